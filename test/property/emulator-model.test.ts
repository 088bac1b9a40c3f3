/**
 * The emulator against a model that knows no entries, levels, tags or caches: what is bound is a
 * flat Map, what a table maps is a flat Map of pages. After random binds, replaces, unbinds,
 * requests, changes of the guest's tables and invalidations, a request meets what the Map says as
 * soon as every invalidation that the changes needed was made; what is observed is what is bound,
 * always.
 * SEED=n replays or varies it; STEPS=n goes on for longer.
 */

import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import { createEmulator, type Emulator } from '../../src/backend/emulator/emulator.js'
import type { FirstStageTable, Table } from '../../src/core/binding.js'
import { domainId, RID, sessionId, target, type SessionId } from '../../src/core/ids.js'
import type { InvalidationCache } from '../../src/core/commands.js'
import { Guest, GuestTables, type GuestMapping } from '../support/emulator-guest.js'

const SEED = Number(process.env['SEED'] ?? 20_200_608)
const STEPS = Number(process.env['STEPS'] ?? 120_000)

const SESSIONS = [sessionId(1), sessionId(2)] as const
const DEVICES = ['gap', 'hitless', 'no-ats'] as const
const TARGETS = [RID, ...[1, 64, 16_383].map(target)]
const TABLES_PER_SESSION = 4
/** Pages with small leaves, and pages inside 2 MiB and 1 GiB leaves, at the ends of both halves. */
const WINDOW = 9
const SMALL = [0, 2 ** 35 - WINDOW, 2 ** 52 - 2 ** 35, 2 ** 52 - WINDOW]
const LARGE = [2 ** 20, 2 ** 52 - 2 ** 20]
const HUGE = [2 ** 25, 2 ** 52 - 2 ** 25]
const NEVER_CANONICAL = 2 ** 51
/** All frames that a leaf may name. */
const GUEST_BYTES = 2 ** 45

type Random = (below: number) => number

function lcg(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** A guest's table beside the plain truth about it. */
interface Space {
  readonly index: number
  readonly tables: GuestTables
  readonly table: FirstStageTable
  /** By "order:first page of the leaf". */
  readonly truth: Map<string, GuestMapping>
  /** Leaves whose change has not been invalidated yet. */
  readonly stale: Set<string>
}

interface Vm {
  readonly session: SessionId
  readonly guest: Guest
  readonly spaces: readonly Space[]
}

interface Bound {
  readonly vm: Vm
  /** Undefined = pass-through. */
  readonly space: Space | undefined
}

interface World {
  readonly emulator: Emulator
  readonly vms: readonly Vm[]
  readonly bound: Map<string, Bound>
  readonly random: Random
}

function pick<T>(random: Random, list: readonly T[]): T {
  const found = list[random(list.length)]
  if (found === undefined) throw new Error('an empty list')
  return found
}

function makeSpace(guest: Guest, index: number): Space {
  const tables = new GuestTables(guest, index % 2 === 0 ? 4 : 5)
  const supervisor = index >= 2
  const table = tables.table({ supervisor, writeProtect: index === 3 })
  return { index, tables, table, truth: new Map(), stale: new Set() }
}

async function makeWorld(seed: number): Promise<World> {
  const facts = { ...DEVICE_DEFAULTS, pasidBits: 14 }
  const emulator = createEmulator({
    devices: [
      { ...facts, name: 'gap' },
      { ...facts, name: 'hitless', hitlessReplace: true },
      { ...facts, name: 'no-ats', ats: false },
    ],
    // Small, so that entries are pushed out as well.
    unit: { iotlbEntries: 512, deviceTlbEntries: 128 },
  })
  const vms = SESSIONS.map((session) => {
    const guest = new Guest(GUEST_BYTES)
    const spaces = Array.from({ length: TABLES_PER_SESSION }, (_, i) => makeSpace(guest, i))
    return { session, guest, spaces }
  })
  for (const { session, guest } of vms) {
    for (const device of DEVICES) await emulator.attachDevice(device, session)
    emulator.setGuestMemory(session, guest.memory)
  }
  return { emulator, vms, bound: new Map(), random: lcg(seed) }
}

function leafOf(page: number, order: number): string {
  return `${order}:${page - (page % 2 ** order)}`
}

function somePage(random: Random): { page: number; order: 0 | 9 | 18 } {
  const kind = random(8)
  if (kind < 5) return { page: pick(random, SMALL) + random(WINDOW), order: 0 }
  if (kind < 7) return { page: pick(random, LARGE) + random(2 * 512), order: 9 }
  return { page: pick(random, HUGE) + random(2 ** 19), order: 18 }
}

function tableOf({ space }: Bound): Table {
  return space?.table ?? { kind: 'PASS_THROUGH' }
}

/** Guests give one domain id to one table, as VT-d 6.2.3.1 demands of them. */
function domainOf({ space }: Bound): ReturnType<typeof domainId> {
  return domainId(space?.index ?? 99)
}

function parse(key: string): { device: string; target: (typeof TARGETS)[number] } {
  const [device = '', number] = key.split('/')
  return { device, target: target(Number(number)) }
}

interface Ask {
  readonly rid: boolean
  readonly page: number
  readonly write: boolean
  readonly privileged: boolean
}

/** The frame as text, or that it is a fault. */
function naive(bound: Bound | undefined, { rid, page, write, ...ask }: Ask): string {
  if (bound === undefined) return 'fault'
  const { space } = bound
  if (space === undefined) return page * 4096 >= GUEST_BYTES ? 'fault' : `${page}`
  // A request without PASID has no privilege of its own.
  const privileged = ask.privileged && !rid
  if (privileged && !space.table.supervisor) return 'fault'
  for (const order of [0, 9, 18]) {
    const mapping = space.truth.get(leafOf(page, order))
    if (mapping === undefined) continue
    if (!privileged && !mapping.user) return 'fault'
    const ignored = privileged && !space.table.writeProtect
    if (write && !mapping.writable && !ignored) return 'fault'
    return `${mapping.frame + (page % 2 ** order)}`
  }
  return 'fault'
}

async function bindStep(world: World, key: string): Promise<void> {
  const { emulator, random, bound } = world
  const place = parse(key)
  const vm = pick(random, world.vms)
  const next = { vm, space: random(6) === 0 ? undefined : pick(random, vm.spaces) }
  const standing = bound.get(key)
  const request = {
    ...place,
    session: (standing?.vm ?? vm).session,
    table: tableOf(next),
    domain: domainOf(next),
  }
  if (standing === undefined) {
    await emulator.bind({ ...request, session: vm.session })
    bound.set(key, next)
    return
  }
  if (random(2) === 0) {
    await emulator.unbind({ ...place, session: vm.session })
    if (standing.vm === vm) bound.delete(key)
    return
  }
  if (standing.vm !== vm) {
    await expect(emulator.bind({ ...request, session: vm.session })).rejects.toThrow()
    return
  }
  if (random(4) === 0 && place.device === 'gap') {
    emulator.injectFault('gap', { kind: 'RETRY', times: 1, at: 'SET_UP' })
  } else bound.set(key, next)
  const old = { table: tableOf(standing), domain: domainOf(standing) }
  await emulator.replace(request, old).catch(() => undefined)
  emulator.clearFaults('gap')
}

/** A guest changes a leaf; what it may be cached as is stale from now on. */
function changeStep({ random, vms }: World): void {
  const space = pick(random, pick(random, vms).spaces)
  const { page, order } = somePage(random)
  const key = leafOf(page, order)
  const before = space.truth.get(key)
  if (random(4) === 0) {
    space.tables.unmap(page, order)
    space.truth.delete(key)
  } else {
    const frame = (random(2 ** 12) + 1) * 2 ** 20
    const mapping = { frame, order, writable: random(3) > 0, user: random(4) > 0 }
    space.tables.map(page, mapping)
    space.truth.set(key, mapping)
  }
  // Nothing was there: faults are not cached, so nothing has to be invalidated (VT-d 6.1).
  if (before !== undefined) space.stale.add(key)
}

/** What the guest must do after its changes; page by page, by range, or the whole PASID. */
async function cureStep({ emulator, random, vms, bound }: World): Promise<void> {
  const vm = pick(random, vms)
  const space = pick(random, vm.spaces)
  const whole = random(6) === 0
  for (const key of space.stale) {
    const [order = 0, first = 0] = key.split(':').map(Number)
    const inside = first + random(2 ** order)
    const more = Math.min(random(3) === 0 ? 1 + random(700) : 1, 2 ** 52 - inside)
    const range = { address: BigInt(inside) << 12n, pages: BigInt(more), leaf: random(2) === 0 }
    const caches: InvalidationCache[] = ['DEVICE_TLB', 'IOTLB']
    for (const [place, binding] of bound) {
      if (binding.space !== space || binding.vm !== vm) continue
      const request = { ...parse(place), session: vm.session, caches }
      await emulator.invalidate({ ...request, range: whole ? undefined : range })
    }
    if (!whole && random(3) === 0) {
      space.stale.delete(key)
      return
    }
    if (!whole) space.stale.delete(key)
  }
  space.stale.clear()
}

function askStep({ emulator, random, bound }: World, key: string): void {
  const { page } = random(40) === 0 ? { page: NEVER_CANONICAL } : somePage(random)
  const write = random(2) === 0
  const privileged = random(4) === 0
  const offset = BigInt(random(4096))
  const { device, target: at } = parse(key)
  const access = { target: at, address: (BigInt(page) << 12n) + offset, write, privileged }
  const { outcome, staleness } = emulator.translate(device, access)
  const binding = bound.get(key)
  const stale = binding?.space?.stale
  if ([0, 9, 18].some((order) => stale?.has(leafOf(page, order)))) return
  const base = binding === undefined ? 0 : (emulator.hostAddress(binding.vm.session, 0) ?? 0)
  const at4K = (host: number): number => Math.floor((host - base) / 4096)
  const answer = outcome.kind === 'FAULT' ? 'fault' : `${at4K(outcome.address)}`
  const expected = naive(binding, { rid: at === RID, page, write, privileged })
  const wrong = answer !== expected || staleness !== undefined
  if (wrong) expect({ key, page, write, privileged, answer, staleness }).toEqual({ expected })
  if (outcome.kind === 'TRANSLATED') expect(outcome.address % 4096).toBe(Number(offset))
}

async function expectObserved({ emulator, bound }: World): Promise<void> {
  const observed = await emulator.observe()
  const places = observed.kind === 'KNOWN' ? observed.places : []
  const seen = new Map(places.map((place) => [`${place.device}/${place.target}`, place.table]))
  expect(seen).toEqual(new Map(Array.from(bound, ([key, binding]) => [key, tableOf(binding)])))
}

async function step(world: World): Promise<void> {
  const { random } = world
  const key = `${pick(random, DEVICES)}/${pick(random, TARGETS)}`
  const verb = random(20)
  if (verb < 14) askStep(world, key)
  else if (verb < 16) changeStep(world)
  else if (verb < 19) await cureStep(world)
  else {
    await bindStep(world, key)
    await expectObserved(world)
  }
}

describe('emulator', () => {
  test(`a request meets what the flat model says (seed ${SEED}, ${STEPS} steps)`, async () => {
    const world = await makeWorld(SEED)
    const served = { TABLES: 0, IOTLB: 0, DEVICE_TLB: 0 }
    const { emulator } = world
    const translate = emulator.translate.bind(emulator)
    emulator.translate = (device, access) => {
      const found = translate(device, access)
      if (found.outcome.kind === 'TRANSLATED') served[found.source] += 1
      return found
    }
    for (let i = 0; i < STEPS; i += 1) await step(world)
    await expectObserved(world)
    // The trace is worth something only when caches answer too.
    for (const count of Object.values(served)) expect(count).toBeGreaterThan(STEPS / 500)
    if (process.env['SHOW'] !== undefined) process.stdout.write(`${JSON.stringify(served)}\n`)
  })

  test('without its invalidations the trace fails: the model would notice', async () => {
    const world = await makeWorld(SEED)
    world.emulator.invalidate = () => Promise.resolve()
    const run = async (): Promise<void> => {
      for (let i = 0; i < STEPS; i += 1) await step(world)
    }
    await expect(run()).rejects.toThrow()
  })
})
