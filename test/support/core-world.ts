/** Small worlds for tests of core/: a policy, devices, a state with both registered and durable. */

import type { Now, OpenSession, ScopeName } from '../../src/core/commands.js'
import type { DeviceFacts, Scope } from '../../src/core/device.js'
import type { Change, Event } from '../../src/core/events.js'
import {
  PASID_LAST,
  deviceId,
  domainId,
  instantMs,
  pasid,
  target,
  tenantId,
  wallMs,
  type DeviceId,
  type InstantMs,
  type SessionId,
  type TenantId,
} from '../../src/core/ids.js'
import { advance, applyChange, completions, revertChange, verbs } from '../../src/core/machine.js'
import type { Owner } from '../../src/core/owner.js'
import type { TenantPolicy } from '../../src/core/quota.js'
import type { RefusalCode } from '../../src/core/refusal.js'
import type { RequestKey } from '../../src/core/requests.js'
import { State, type Policy } from '../../src/core/state.js'
import type { Decided } from '../../src/core/decided.js'

const HOST: ScopeName = { kind: 'HOST' }
export const WALL_START = 1_700_000_000_000

/** mulberry32: small, seeded, good enough to wander with. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 to below `below`. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }

  /** From `first` to `last`, both inside. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1)
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  pick<T>(from: readonly T[]): T {
    const found = from[this.below(from.length)]
    if (found === undefined) throw new Error('nothing to pick from')
    return found
  }
}

export function tenantPolicy(name: string, rest: Partial<TenantPolicy> = {}): TenantPolicy {
  return {
    name,
    parent: undefined,
    maxPasids: undefined,
    guaranteedPasids: undefined,
    sessionMaxPasids: undefined,
    maxSessions: undefined,
    window: undefined,
    devices: undefined,
    ...rest,
  }
}

export function facts(name: string, rest: Partial<DeviceFacts> = {}): DeviceFacts {
  return {
    name,
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
    ...rest,
  }
}

export function policy(rest: Partial<Policy> = {}): Policy {
  return {
    hostMaxPasids: undefined,
    sessionMaxPasids: 1000,
    maxSessions: 16,
    maxRequestIds: 1_000_000,
    holdMs: 1000,
    lingerMsMax: 60_000,
    reservations: [],
    tenants: [tenantPolicy('main')],
    ...rest,
  }
}

export interface WorldDevice {
  readonly name: string
  readonly scope: Scope
  /** Undefined: the backend does not know it. */
  readonly facts: DeviceFacts | undefined
}

export function device(name: string, scope: Scope, rest: Partial<DeviceFacts> = {}): WorldDevice {
  return { name, scope, facts: facts(name, rest) }
}

/** 64-bit hashes made of small numbers: `id` names the request, `argument` what it asked. */
export function requestKey(id: number, argument = 0): RequestKey {
  return {
    text: `request-${id}`,
    idHigh: (id * 0x9e37) >>> 0,
    idLow: id,
    fingerprintHigh: argument,
    fingerprintLow: (argument * 0x85eb) >>> 0,
  }
}

/** A process as the kernel names it; the credentials are those of nobody in particular. */
export function processOf(pid: number, rest: Partial<Owner> = {}): Owner {
  const named = { inode: `${7000 + pid}`, startTime: `${90_000 + pid}`, pidNamespace: '4026531836' }
  return { pid, ...named, uid: 1000, gid: 1000, ...rest }
}

export type Opening = Partial<
  Pick<OpenSession, 'name' | 'maxPasids' | 'owner' | 'delegate' | 'lingerMs'>
>

/** A state as the broker drives it: decide, apply, disk, time. */
export class World {
  readonly state: State
  readonly changes: Change[] = []
  instant = 0

  constructor(
    readonly policy: Policy,
    readonly devices: readonly WorldDevice[] = [],
    /** Tenants that the ledger knows beside those configured. */
    formerTenants: readonly string[] = [],
  ) {
    this.state = new State(policy)
    const names = [...policy.tenants.map(({ name }) => name), ...formerTenants]
    const events: Event[] = [
      ...names.map((name, i): Event => ({ kind: 'tenant-registered', id: tenantId(i), name })),
      ...devices.map(({ name }, i): Event => {
        return { kind: 'device-registered', id: deviceId(i), name }
      }),
    ]
    this.apply(events)
    this.state.configureTenants()
    for (const { name, scope, facts: known } of devices) {
      this.state.describeDevice(this.deviceId(name), known, scope)
    }
    this.commit()
  }

  get now(): Now {
    return { instant: instantMs(this.instant), wall: wallMs(WALL_START + this.instant) }
  }

  get at(): InstantMs {
    return instantMs(this.instant)
  }

  tenantId(name: string): TenantId {
    const found = this.state.tenantByName.get(name)
    if (found === undefined) throw new Error(`no tenant ${name}`)
    return found.id
  }

  deviceId(name: string): DeviceId {
    const found = this.state.deviceByName.get(name)
    if (found === undefined) throw new Error(`no device ${name}`)
    return found.id
  }

  apply(events: readonly Event[]): void {
    if (events.length > 0) this.changes.push(applyChange(this.state, events))
  }

  /** All that happened is on disk. */
  commit(): void {
    this.changes.length = 0
    advance(this.state, this.at, this.state.revision)
  }

  pass(ms: number): void {
    this.instant += ms
    advance(this.state, this.at, this.state.durable)
  }

  /** Undoes everything that is not durable, and forgets it. */
  undo(): void {
    for (const change of this.changes.splice(0).reverse()) revertChange(this.state, change)
  }

  /** What an accepted decision answers, applied but not durable. */
  take<T>(decided: Decided<T>): T {
    if (decided.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(decided)}`)
    this.apply(decided.events)
    return decided.answer
  }

  open(tenant = 'main', rest: Opening = {}) {
    const { session } = this.take(
      verbs.openSession(this.state, this.openCommand(tenant, rest), this.now),
    )
    this.commit()
    return session
  }

  openCommand(tenant: string, rest: Opening = {}): OpenSession {
    return {
      verb: 'open-session',
      tenant: this.tenantId(tenant),
      name: `s${this.state.nextSession}`,
      tokenHash: 'ab'.repeat(32),
      maxPasids: undefined,
      labels: {},
      owner: processOf(100 + this.state.nextSession),
      delegate: undefined,
      lingerMs: 0,
      request: undefined,
      ...rest,
    }
  }

  /** One number, or the numbers given. */
  ask(session: SessionId, numbers: 'ONE' | readonly number[], scope: ScopeName = HOST) {
    const ask =
      numbers === 'ONE'
        ? ({ kind: 'ONE' } as const)
        : ({ kind: 'EXACT', pasids: numbers.map(pasid) } as const)
    const range = { first: 1, last: PASID_LAST }
    const rest = { scope, ask, range, devices: [], labels: {}, request: undefined }
    return verbs.allocate(this.state, { verb: 'allocate', session, ...rest }, this.now)
  }

  hold(session: SessionId, numbers: readonly number[], scope: ScopeName = HOST): void {
    this.take(this.ask(session, numbers, scope))
    this.commit()
  }

  give(session: SessionId, numbers: readonly number[], scope: ScopeName = HOST) {
    const what = { kind: 'NUMBERS', pasids: numbers.map(pasid) } as const
    const command = { verb: 'free', session, scope, what, request: undefined } as const
    return verbs.free(this.state, command, this.now, this.state.revision)
  }

  binding(session: SessionId, number: number, name: string) {
    return verbs.bind(this.state, {
      verb: 'bind',
      session,
      target: target(number),
      devices: [name],
      table: { kind: 'PASS_THROUGH' },
      domain: domainId(1),
      guestPasid: undefined,
      replace: false,
    })
  }

  bind(session: SessionId, number: number, name: string): void {
    const { steps } = this.take(this.binding(session, number, name))
    for (const step of steps) this.apply(completions.completeBind(this.state, step, 'BOUND'))
    this.commit()
  }

  attach(session: SessionId, name: string): void {
    const command = { verb: 'attach-device', session, device: name, request: undefined } as const
    this.take(verbs.attachDevice(this.state, command, this.now))
    this.commit()
    const attached = { session, device: this.deviceId(name), before: 'ATTACHING' } as const
    this.apply([{ kind: 'attachment-changed', ...attached, after: 'ATTACHED' }])
    this.commit()
  }
}

export function codeOf(decided: Decided<unknown>): RefusalCode | 'accepted' | 'wait' {
  return decided.kind === 'refused' ? decided.refusal.code : decided.kind
}
