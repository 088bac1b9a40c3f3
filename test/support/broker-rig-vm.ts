/**
 * One VM on a rig: a session and its commands with everything defaulted that a test does not care
 * about. Answers are the broker's own; `ok` and `codeOf` take them apart.
 */

import { createHash } from 'node:crypto'
import type { HandOver } from '../../src/broker/answers.js'
import type { Broker } from '../../src/broker/broker.js'
import type { Table } from '../../src/core/binding.js'
import type { Actor } from '../../src/core/audit.js'
import type { AllocatePasids, InvalidationEntry, ScopeName } from '../../src/core/commands.js'
import { domainId, pasid, target, type SessionId } from '../../src/core/ids.js'
import type { PasidRange } from '../../src/core/range.js'
import type { Outcome, RefusalCode } from '../../src/core/refusal.js'
import type { RequestKey } from '../../src/core/requests.js'
import type { Labels } from '../../src/core/session.js'
import type { SessionView } from '../../src/core/view.js'
import { NOBODY, type RigProcess } from './broker-rig-owners.js'

export function ok<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value
  throw new Error(`refused: ${JSON.stringify(outcome.refusal)}`)
}

export function codeOf(outcome: Outcome<unknown>): RefusalCode | 'ACCEPTED' {
  return outcome.ok ? 'ACCEPTED' : outcome.refusal.code
}

/** A request id and what it was used for, hashed as the service does: 64 bits each. */
export function requestKey(text: string, args = ''): RequestKey {
  const id = createHash('sha256').update(text).digest()
  const print = createHash('sha256').update(args).digest()
  return {
    text,
    idHigh: id.readUInt32BE(0),
    idLow: id.readUInt32BE(4),
    fingerprintHigh: print.readUInt32BE(0),
    fingerprintLow: print.readUInt32BE(4),
  }
}

/** A first-stage table; each address is another table. */
export function tableAt(address: number): Table {
  return {
    kind: 'FIRST_STAGE',
    address: address * 4096,
    width: 48,
    supervisor: false,
    writeProtect: false,
    extendedAccessed: false,
  }
}

export const ACTOR: Actor = { uid: 1000, gid: 1000, pid: 1 }

/** SHA-256 in hex of the token of the session of that name. */
export function tokenOf(name: string): string {
  return createHash('sha256').update(name).digest('hex')
}

export interface OpenAsk {
  /** Absent: nobody's, as one that an older release opened. */
  readonly owner?: RigProcess
  readonly delegate?: number
  readonly lingerMs?: number
  readonly name?: string
  readonly tenant?: string
  readonly maxPasids?: number
  readonly labels?: Labels
  readonly request?: RequestKey
}

export interface AllocateAsk {
  readonly ask?: AllocatePasids['ask']
  readonly scope?: ScopeName
  readonly range?: PasidRange
  readonly devices?: readonly string[]
  readonly labels?: Labels
  readonly request?: RequestKey | undefined
}

export interface FreeAsk {
  readonly scope?: ScopeName
  readonly request?: RequestKey | undefined
}

export interface BindAsk {
  readonly devices?: readonly string[]
  readonly table?: Table
  readonly domain?: number
  readonly guestPasid?: number
  readonly replace?: boolean
}

const HOST: ScopeName = { kind: 'HOST' }
const WHOLE_RANGE = { first: 1, last: 2 ** 20 - 1 }

export function blockAsk(order: number): AllocatePasids['ask'] {
  return { kind: 'BLOCK', order }
}

export function exactAsk(...pasids: number[]): AllocatePasids['ask'] {
  return { kind: 'EXACT', pasids: pasids.map(pasid) }
}

export function openVm(broker: Broker, ask: OpenAsk) {
  const tenant = broker.tenantId(ask.tenant ?? 'default')
  if (tenant === undefined) throw new Error(`no tenant ${ask.tenant ?? 'default'}`)
  const name = ask.name ?? 'vm'
  return broker.openSession(
    {
      verb: 'open-session',
      tenant,
      name,
      tokenHash: tokenOf(name),
      maxPasids: ask.maxPasids,
      labels: ask.labels ?? {},
      owner: ask.owner,
      delegate: ask.delegate,
      lingerMs: ask.lingerMs ?? 0,
      request: ask.request,
    },
    ACTOR,
  )
}

export class RigVm {
  readonly id: SessionId
  readonly name: string

  constructor(
    readonly broker: Broker,
    readonly session: Pick<SessionView, 'id' | 'name'>,
    readonly owner: RigProcess = NOBODY,
  ) {
    this.id = session.id
    this.name = session.name
  }

  /** The same session, on another incarnation of the broker. */
  on(broker: Broker): RigVm {
    return new RigVm(broker, this.session, this.owner)
  }

  attach(device = 'emu0', request?: RequestKey) {
    const { id: session } = this
    return this.broker.attachDevice({ verb: 'attach-device', session, device, request })
  }

  /** With the descriptors that the VMM hands over. */
  handOver(take: () => Outcome<HandOver>, device = 'nic0', request?: RequestKey) {
    const command = { verb: 'attach-device', session: this.id, device, request } as const
    return this.broker.attachDevice(command, take)
  }

  detach(device = 'emu0', request?: RequestKey) {
    const { id: session } = this
    return this.broker.detachDevice({ verb: 'detach-device', session, device, request })
  }

  allocate(ask: AllocateAsk = {}) {
    return this.broker.allocate({
      verb: 'allocate',
      session: this.id,
      scope: ask.scope ?? HOST,
      ask: ask.ask ?? { kind: 'ONE' },
      range: ask.range ?? WHOLE_RANGE,
      devices: ask.devices ?? [],
      labels: ask.labels ?? {},
      request: ask.request,
    })
  }

  /** The first of the numbers granted. */
  async one(ask: AllocateAsk = {}): Promise<number> {
    const { runs } = ok(await this.allocate(ask))
    return runs[0]?.first ?? 0
  }

  free(pasids: readonly number[], ask: FreeAsk = {}) {
    const what = { kind: 'NUMBERS', pasids: pasids.map(pasid) } as const
    const { scope = HOST, request } = ask
    return this.broker.free({ verb: 'free', session: this.id, scope, what, request })
  }

  freeRange(range: PasidRange = WHOLE_RANGE, ask: FreeAsk = {}) {
    const what = { kind: 'RANGE', range } as const
    const { scope = HOST, request } = ask
    return this.broker.free({ verb: 'free', session: this.id, scope, what, request })
  }

  bind(at: number, ask: BindAsk = {}) {
    return this.broker.bind({
      verb: 'bind',
      session: this.id,
      target: target(at),
      devices: ask.devices ?? ['emu0'],
      table: ask.table ?? tableAt(1),
      domain: domainId(ask.domain ?? 7),
      guestPasid: ask.guestPasid === undefined ? undefined : pasid(ask.guestPasid),
      replace: ask.replace ?? false,
    })
  }

  unbind(at: number, devices: readonly string[] = []) {
    const what = { kind: 'TARGET', target: target(at), devices } as const
    return this.broker.unbind({ verb: 'unbind', session: this.id, what })
  }

  unbindAll() {
    return this.broker.unbind({ verb: 'unbind', session: this.id, what: { kind: 'ALL' } })
  }

  /** One entry: everything of one target. */
  invalidate(at: number, device?: string) {
    const granularity = { kind: 'PASID', target: target(at), device } as const
    return this.invalidateAll([{ granularity, caches: ['IOTLB', 'DEVICE_TLB'] }])
  }

  invalidateAll(entries: readonly InvalidationEntry[]) {
    return this.broker.invalidate({ verb: 'invalidate', session: this.id, entries })
  }

  close() {
    return this.broker.closeSession(this.id, ACTOR)
  }

  /** Its own numbers as the broker answers them, without those being freed. */
  async held(): Promise<number[]> {
    const page = ok(await this.broker.listOwn({ session: this.id, after: undefined, limit: 5000 }))
    return page.rows.filter(({ state }) => state !== 'FREE_PENDING').map(({ pasid }) => pasid)
  }

  /** State of its binding; undefined when there is none. */
  bindingState(at: number, device = 'emu0'): string | undefined {
    const { state } = this.broker
    const id = state.deviceByName.get(device)?.id
    return id === undefined ? undefined : state.bindingAt(id, target(at))?.state
  }
}
