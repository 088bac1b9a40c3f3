/**
 * What core/ costs by itself, in one process and without a disk: the namespace beside a bare
 * bitmap, whole decisions with their application, nearly full beside empty, and the restoring of a
 * million grants. The cases take turns, round by round, so that a slow second of the machine meets
 * all of them; the figure is the median of the rounds, its spread the quartiles.
 * Called by bench/main.ts, or alone: node build/bench/core.js
 */

import process from 'node:process'
import { pathToFileURL } from 'node:url'
import type {
  AllocatePasids,
  BindPasid,
  FreePasids,
  Now,
  UnbindPasids,
} from '../src/core/commands.js'
import type { Decided } from '../src/core/decided.js'
import type { DeviceFacts } from '../src/core/device.js'
import {
  HOST_NAMESPACE,
  PASID_LAST,
  deviceId,
  domainId,
  generation,
  instantMs,
  sessionId,
  target,
  tenantId,
  wallMs,
  type Pasid,
  type SessionId,
  type TenantId,
} from '../src/core/ids.js'
import type { Image } from '../src/core/image.js'
import { advance, applyChange, completions, verbs } from '../src/core/machine.js'
import { Namespace } from '../src/core/namespace.js'
import type { PasidRange } from '../src/core/range.js'
import { restore } from '../src/core/restore.js'
import { State, type Policy } from '../src/core/state.js'
import { benchBitmap } from './core-bitmap.js'

const BITS = 20
/** Not 2 ** BITS: V8 keeps that as a double, and `% SIZE` alone would then cost 15 ns. */
const SIZE = 1 << BITS
const WHOLE: PasidRange = { first: 1, last: PASID_LAST }
const ROUNDS = 31
const ROUNDS_WARMUP = 6
const NAMESPACE_OPERATIONS = 50_000
const DECISIONS = 10_000
const RESTORED = 1_000_000
const RESTORE_ROUNDS = 5
/** Numbers that a session holds while others come and go. */
const HELD = 1000
const FREE_WHEN_FULL = Math.floor(SIZE / 10_000)

export interface CoreRow {
  readonly name: string
  readonly unit: 'ns' | 'ms' | 'x' | 'MiB'
  readonly median: number
  readonly lower: number
  readonly upper: number
  /** What DESIGN §11 asks for, where it does. */
  readonly bar: number | undefined
}

/** Does that many operations; the answer depends on all of them, so that none is dropped. */
interface Case {
  readonly name: string
  readonly bar: number | undefined
  readonly operations: number
  /** What the next round uses up is made before it, and is not timed. */
  readonly prepare?: () => void
  readonly round: (operations: number) => number
}

// -- the namespace alone -------------------------------------------------------------------------

function bare(): Case {
  const words = new Uint32Array(SIZE / 32).fill(0xffff_ffff)
  let cursor = 0
  const round = (operations: number): number => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) {
      const word = cursor >>> 5
      words[word] = (words[word] ?? 0) & ~(1 << cursor)
      seen ^= words[word] ?? 0
      words[word] = (words[word] ?? 0) | (1 << cursor)
      cursor = (cursor + 1) % SIZE
    }
    return seen
  }
  const name = 'bare Uint32Array set + clear'
  return { name, bar: undefined, operations: NAMESPACE_OPERATIONS, round }
}

const HOLDER = { session: sessionId(1), tenant: tenantId(0), at: wallMs(1) }

/** Every number but a few, spread evenly. */
function fill(namespace: Namespace): void {
  const step = Math.floor(SIZE / FREE_WHEN_FULL)
  for (let first = 1; first < SIZE; first += step) {
    const count = Math.min(step - 1, SIZE - first)
    if (count > 0) namespace.grant({ first, count }, { ...HOLDER, generation: generation(1) })
  }
}

/** Finds, grants, gives back and frees one number, as a grant and its end do in the table. */
function namespaceAlone(name: string, full: boolean): Case {
  const namespace = new Namespace(HOST_NAMESPACE, BITS)
  if (full) fill(namespace)
  const holder = { ...HOLDER, session: sessionId(2), generation: generation(2) }
  const round = (operations: number): number => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) {
      const first = namespace.findOne(WHOLE) ?? 0
      const run = { first, count: 1 }
      namespace.grant(run, holder)
      namespace.cursor = (first + 1) % SIZE
      seen ^= first
      namespace.release(run, 'HELD')
      namespace.lapse(run)
    }
    return seen
  }
  return { name, bar: full ? undefined : 150, operations: NAMESPACE_OPERATIONS, round }
}

// -- decide and apply
// ------------------------------------------------------------------------------

const POLICY: Policy = {
  hostMaxPasids: SIZE,
  sessionMaxPasids: SIZE,
  maxSessions: 16,
  maxRequestIds: 4_000_000,
  holdMs: 0,
  lingerMsMax: 0,
  reservations: [{ first: 1, last: 255, reason: 'the host kernel' }],
  tenants: [
    tenant('site', undefined),
    { ...tenant('team', 'site'), window: { first: 1, last: PASID_LAST } },
  ],
}

function tenant(name: string, parent: string | undefined): Policy['tenants'][number] {
  return {
    name,
    parent,
    maxPasids: SIZE,
    guaranteedPasids: undefined,
    sessionMaxPasids: undefined,
    maxSessions: undefined,
    window: undefined,
    devices: undefined,
  }
}

const DEVICE: DeviceFacts = {
  name: 'nic',
  pasidBits: 20,
  translation: 'MEDIATED',
  shared: true,
  platform: 'INTEL_VTD',
  addressWidths: [48, 57],
  supervisorRequests: true,
  extendedAccessed: true,
  passThrough: true,
  hitlessReplace: false,
  pageRequests: true,
}

/** A state with one session of a tenant below another, one device attached, all durable. */
class Desk {
  readonly state = new State(POLICY)
  readonly session: SessionId
  instant = 0
  requests = 0

  constructor() {
    const { state } = this
    applyChange(state, [
      { kind: 'tenant-registered', id: tenantId(0), name: 'site' },
      { kind: 'tenant-registered', id: tenantId(1), name: 'team' },
      { kind: 'device-registered', id: deviceId(0), name: 'nic' },
    ])
    state.configureTenants()
    state.describeDevice(deviceId(0), DEVICE, 'HOST')
    this.session = this.open(tenantId(1))
    const attached = { session: this.session, device: deviceId(0) }
    applyChange(state, [
      { kind: 'attachment-changed', ...attached, before: undefined, after: 'ATTACHED' },
    ])
    this.settle()
  }

  open(id: TenantId): SessionId {
    const { state } = this
    const rest = { name: `s${state.nextSession}`, tokenHash: '', labels: {}, request: undefined }
    const whose = { owner: undefined, delegate: undefined, lingerMs: 0 }
    const asked = { tenant: id, maxPasids: undefined, ...whose, ...rest }
    const command = { verb: 'open-session', ...asked } as const
    const { session } = this.take(verbs.openSession(state, command, this.now))
    this.settle()
    return session
  }

  get now(): Now {
    return { instant: instantMs(this.instant), wall: wallMs(this.instant) }
  }

  /** All on disk, all holds over: once a round, not once an operation. */
  settle(): void {
    this.instant += 1
    advance(this.state, instantMs(this.instant), this.state.revision)
  }

  take<T>(decided: Decided<T>): T {
    if (decided.kind !== 'accepted') throw new Error(JSON.stringify(decided))
    if (decided.events.length > 0) applyChange(this.state, decided.events)
    return decided.answer
  }

  allocate(withRequest: boolean): number {
    const command: AllocatePasids = {
      verb: 'allocate',
      session: this.session,
      scope: { kind: 'HOST' },
      ask: { kind: 'ONE' },
      range: WHOLE,
      devices: [],
      labels: {},
      request: withRequest ? this.request() : undefined,
    }
    return this.take(verbs.allocate(this.state, command, this.now)).runs[0]?.first ?? 0
  }

  free(pasid: number): number {
    const command: FreePasids = {
      verb: 'free',
      session: this.session,
      scope: { kind: 'HOST' },
      what: { kind: 'NUMBERS', pasids: [pasid as Pasid] },
      request: undefined,
    }
    return this.take(verbs.free(this.state, command, this.now, this.state.revision)).freed
  }

  request() {
    this.requests += 1
    const id = this.requests
    // As hashes are: no order in them (the finaliser of murmur3).
    let mixed = Math.imul(id ^ (id >>> 16), 0x85eb_ca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
    const hashes = { idHigh: id, idLow: (mixed ^ (mixed >>> 16)) >>> 0 }
    return { text: '', ...hashes, fingerprintHigh: 1, fingerprintLow: 2 }
  }

  bind(pasid: number, domain: number): number {
    const command: BindPasid = {
      verb: 'bind',
      session: this.session,
      target: target(pasid),
      devices: ['nic'],
      table: {
        kind: 'FIRST_STAGE',
        address: 4096,
        width: 48,
        supervisor: false,
        writeProtect: false,
        extendedAccessed: false,
      },
      domain: domainId(domain),
      guestPasid: undefined,
      replace: false,
    }
    const { steps } = this.take(verbs.bind(this.state, command))
    for (const step of steps) {
      applyChange(this.state, completions.completeBind(this.state, step, 'BOUND'))
    }
    return steps.length
  }

  unbind(pasid: number): number {
    const what = { kind: 'TARGET', target: target(pasid), devices: [] } as const
    const command: UnbindPasids = { verb: 'unbind', session: this.session, what }
    const { teardown } = this.take(verbs.unbind(this.state, command))
    applyChange(this.state, completions.completeUnbind(this.state, teardown))
    return teardown.length
  }
}

/** Allocations are timed; giving back and time passing are not. */
function allocating(name: string, desk: Desk, bar: number | undefined, withRequest = false): Case {
  const held: number[] = []
  const round = (operations: number): number => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) {
      const pasid = desk.allocate(withRequest)
      held.push(pasid)
      seen ^= pasid
    }
    return seen
  }
  return {
    name,
    bar,
    operations: DECISIONS,
    round,
    prepare: () => {
      desk.settle()
      for (const pasid of held.splice(0)) desk.free(pasid)
      desk.settle()
    },
  }
}

function freeing(name: string, desk: Desk, bar: number | undefined): Case {
  let held: number[] = []
  const round = (operations: number): number => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) seen += desk.free(held[i] ?? 0)
    return seen
  }
  return {
    name,
    bar,
    operations: DECISIONS,
    round,
    prepare: () => {
      desk.settle()
      held = Array.from({ length: DECISIONS }, () => desk.allocate(false))
      desk.settle()
    },
  }
}

/** Allocate and free with all that is between them: the disk's word, the hold, the return. */
function cycling(name: string, desk: Desk, operations: number, bar: number | undefined): Case {
  const round = (count: number): number => {
    let seen = 0
    for (let i = 0; i < count; i += 1) {
      const pasid = desk.allocate(false)
      desk.settle()
      seen += desk.free(pasid)
      desk.settle()
    }
    return seen
  }
  return { name, bar, operations, round }
}

function binding(name: string, desk: Desk, bar: number | undefined): Case {
  const held = Array.from({ length: HELD }, () => desk.allocate(false))
  desk.settle()
  let bound = false
  const round = (operations: number): number => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) seen += desk.bind(held[i] ?? 0, i % 256)
    bound = true
    return seen
  }
  return {
    name,
    bar,
    operations: HELD,
    round,
    prepare: () => {
      if (bound) for (const pasid of held) desk.unbind(pasid)
      desk.settle()
    },
  }
}

function unbinding(name: string, desk: Desk, bar: number | undefined): Case {
  const held = Array.from({ length: HELD }, () => desk.allocate(false))
  desk.settle()
  const round = (operations: number): number => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) seen += desk.unbind(held[i] ?? 0)
    return seen
  }
  return {
    name,
    bar,
    operations: HELD,
    round,
    prepare: () => {
      for (const [i, pasid] of held.entries()) desk.bind(pasid, i % 256)
      desk.settle()
    },
  }
}

/**
 * A desk whose HOST scope has one number in ten thousand free, the rest held by another session.
 */
function fullDesk(): Desk {
  const desk = new Desk()
  const { state } = desk
  const other = desk.open(tenantId(0))
  const step = Math.floor(SIZE / FREE_WHEN_FULL)
  const runs: { first: number; count: number }[] = []
  for (let first = 256; first < SIZE; first += step) {
    runs.push({ first, count: Math.min(step - 1, SIZE - first) })
  }
  applyChange(state, [
    {
      kind: 'granted',
      namespace: HOST_NAMESPACE,
      session: other,
      tenant: tenantId(0),
      runs,
      generation: generation(state.revision + 1),
      at: wallMs(1),
      labels: undefined,
      cursorBefore: state.host.cursor,
      cursorAfter: state.host.cursor,
    },
  ])
  desk.settle()
  return desk
}

// -- restoring
// ---------------------------------------------------------------------------------------

/** A million grants of a thousand sessions, one number each, as a ledger hands them over. */
function imageOfGrants(count: number): Image {
  const sessions = 1000
  const empty = <T>(make: new (length: number) => T): T => new make(0)
  const record = (id: number) => ({
    id: sessionId(id),
    name: `s${id}`,
    tenant: tenantId(1),
    tokenHash: '',
    maxPasids: SIZE,
    labels: {},
    openedAt: wallMs(1),
    owner: undefined,
    delegate: undefined,
    lingerMs: 0,
    state: 'OPEN' as const,
    cause: undefined,
    withheld: false,
    unproven: false,
  })
  return {
    revision: count + 10,
    lastSession: sessions,
    tenants: [
      { id: tenantId(0), name: 'site', override: undefined },
      { id: tenantId(1), name: 'team', override: undefined },
    ],
    devices: [{ id: deviceId(0), name: 'nic' }],
    sessions: Array.from({ length: sessions }, (_, i) => record(i + 1)),
    attachments: [],
    allocations: {
      count,
      namespace: new Uint16Array(count),
      pasid: new Uint32Array(count).map((_, i) => 256 + i),
      slot: new Uint8Array(count).fill(1),
      session: new Uint32Array(count).map((_, i) => 1 + (i % sessions)),
      tenant: new Uint16Array(count).fill(1),
      generation: new Float64Array(count).map((_, i) => i + 1),
      at: new Float64Array(count).fill(1_700_000_000_000),
    },
    labels: new Map(),
    bindings: [],
    requests: {
      count: 0,
      session: empty(Uint32Array),
      tenant: empty(Uint16Array),
      method: empty(Uint8Array),
      idHigh: empty(Uint32Array),
      idLow: empty(Uint32Array),
      fingerprintHigh: empty(Uint32Array),
      fingerprintLow: empty(Uint32Array),
      at: empty(Float64Array),
      answer: empty(Float64Array),
      revision: empty(Float64Array),
    },
  }
}

function restoreRows(rounds: number): CoreRow[] {
  const image = imageOfGrants(RESTORED)
  const policy = { ...POLICY, maxSessions: 2000 }
  const devices = new Map([['nic', { facts: DEVICE, scope: 'HOST' as const }]])
  const times: number[] = []
  let held = 0
  for (let i = 0; i < rounds; i += 1) {
    const begin = performance.now()
    const state = restore(image, policy, devices, instantMs(0))
    times.push(performance.now() - begin)
    held += state.host.counts.held
  }
  if (held !== rounds * RESTORED) throw new Error('not all were restored')
  const rss = process.memoryUsage().rss / 2 ** 20
  const memory = { name: 'RSS after it, all cases of this bench included', unit: 'MiB' } as const
  return [
    { name: 'restore of 1 000 000 grants', unit: 'ms', ...spreadOf(times), bar: undefined },
    { ...memory, median: rss, lower: rss, upper: rss, bar: undefined },
  ]
}

// -- rounds
// ------------------------------------------------------------------------------------------

function spreadOf(values: readonly number[]): Pick<CoreRow, 'median' | 'lower' | 'upper'> {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
  return { median: at(0.5), lower: at(0.25), upper: at(0.75) }
}

function casesOf(): Case[] {
  return [
    bare(),
    namespaceAlone('namespace: find + grant + release + lapse, empty', false),
    namespaceAlone('namespace: the same, 99.99 % full', true),
    allocating('decide + apply: allocate', new Desk(), 1000),
    allocating('decide + apply: allocate with a request id', new Desk(), undefined, true),
    freeing('decide + apply: free', new Desk(), 1000),
    cycling('allocate + free + advance, empty', new Desk(), DECISIONS, undefined),
    cycling('allocate + free + advance, 99.99 % full', fullDesk(), DECISIONS, undefined),
    binding('decide + apply: bind + completion', new Desk(), 1000),
    unbinding('decide + apply: unbind + completion', new Desk(), undefined),
  ]
}

/** Of two cases of the same round: what the machine did meanwhile, it did to both. */
function ratio(
  name: string,
  bar: number,
  above: readonly number[],
  below: readonly number[],
): CoreRow {
  const ratios = above.map((ns, i) => ns / (below[i] ?? Number.NaN))
  return { name, unit: 'x', ...spreadOf(ratios), bar }
}

/** `smoke`: one round of each, only to see that it runs. */
export async function benchCore({ smoke }: { readonly smoke: boolean }): Promise<CoreRow[]> {
  const warmup = smoke ? 0 : ROUNDS_WARMUP
  const rounds = smoke ? 1 : ROUNDS
  const timed = casesOf().map((one) => ({ ...one, ns: [] as number[] }))
  let seen = 0
  for (let i = 0; i < warmup + rounds; i += 1) {
    for (const { prepare, round, operations, ns } of timed) {
      prepare?.()
      const begin = process.hrtime.bigint()
      seen ^= round(operations)
      const each = Number(process.hrtime.bigint() - begin) / operations
      if (i >= warmup) ns.push(each)
    }
    // Others on this process get their turn between rounds, never inside one.
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (Number.isNaN(seen)) throw new Error('the rounds were not run')
  const rows = timed.map(({ name, bar, ns }): CoreRow => {
    return { name, unit: 'ns', ...spreadOf(ns), bar }
  })
  const nsOf = (name: string): readonly number[] => {
    return timed.find((one) => one.name.startsWith(name))?.ns ?? []
  }
  const namespace = nsOf('namespace: find')
  const cycle = nsOf('allocate + free + advance, empty')
  return [
    ...rows,
    ratio('namespace beside the bare bitmap', 3, namespace, nsOf('bare')),
    ratio('namespace, 99.99 % full beside empty', 1.5, nsOf('namespace: the same'), namespace),
    ratio(
      'allocate + free, 99.99 % full beside empty',
      1.5,
      nsOf('allocate + free + advance, 99.99'),
      cycle,
    ),
    ...restoreRows(smoke ? 1 : RESTORE_ROUNDS),
    ...(smoke ? [] : await bitmapRows()),
  ]
}

/** The bitmap below it all, by its own bench. */
async function bitmapRows(): Promise<CoreRow[]> {
  const rows = await benchBitmap()
  return rows.slice(1).map(({ name, medianNs: median }) => {
    return {
      name: `bitmap: ${name}`,
      unit: 'ns',
      median,
      lower: median,
      upper: median,
      bar: undefined,
    }
  })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, unit, median, lower, upper, bar } of await benchCore({ smoke: false })) {
    const spread = `${lower.toFixed(1)} .. ${upper.toFixed(1)}`
    const asked = bar === undefined ? '' : `  (bar ${bar})`
    const figures = `${median.toFixed(1).padStart(9)} ${unit.padEnd(4)} ${spread.padEnd(20)}${asked}`
    process.stdout.write(`${name.padEnd(52)}${figures}\n`)
  }
}
