/**
 * The ground of the conformance cases: a daemon with devices of each kind, VMs that speak to it
 * over its sockets, and words for what comes out of each step.
 */

import { PasidClient, PasidError, type PasidSession } from '../../src/client/index.js'
import { Channel } from '../../src/client/channel.js'
import { OperatorClient } from '../../src/client/index.js'
import { target, type SessionId } from '../../src/core/ids.js'
import { ERRNO } from '../../src/uapi/errno.js'
import { pasidBrokerDefinition, vfioUapiDefinition } from '../../src/wire/load.js'
import { startInProcess, stopAll, type InProcessDaemon } from '../support/daemon.js'
import { Guest, GuestTables } from '../support/emulator-guest.js'

const TOML = `
[namespace]
reservations = []
hold = "0s"
[limits]
calls_per_second = 0
[[tenant]]
name = "default"
devices = [
  { name = "dev" }, { name = "plain" }, { name = "narrow" }, { name = "mdev" },
  { name = "one" }, { name = "two" },
]
[[backend.device]]
name = "dev"
address_widths = [48]
page_requests = true
[[backend.device]]
name = "plain"
pasid_bits = 0
[[backend.device]]
name = "narrow"
pasid_bits = 10
[[backend.device]]
name = "mdev"
shared = true
[[backend.device]]
name = "one"
group = "pair"
[[backend.device]]
name = "two"
group = "pair"
`

/** Of the VMM's own choice; each table has one. */
const DOMAINS = { nested0: 10, nested1: 11, s2: 12 } as const
/** Pages that the nested tables map, and that the cases look at as cells of a cache. */
export const CELLS = 4

export type TableName = keyof typeof DOMAINS
/** A PASID, or requests without one. */
export type At = number | 'rid'

export class World {
  readonly #vms: Vm[] = []

  private constructor(
    readonly daemon: InProcessDaemon,
    readonly client: PasidClient,
    readonly operator: OperatorClient,
    readonly channel: Channel,
  ) {}

  static async start(): Promise<World> {
    const daemon = await startInProcess({ toml: TOML })
    // What is refused as retryable is to be seen.
    const settings = { socket: daemon.vmmSocket, retry: { attempts: 1 } }
    const operator = new OperatorClient({ socket: daemon.adminSocket })
    return new World(daemon, new PasidClient(settings), operator, new Channel(settings))
  }

  async stop(): Promise<void> {
    for (const one of [this.client, this.operator, this.channel]) one.close()
    await stopAll()
  }

  /** A VM with these devices and numbers. */
  async vm(devices: readonly string[], pasids: readonly number[] = []): Promise<Vm> {
    const session = await this.client.openSession()
    // Before there are devices: one without PASIDs would leave no number that all of them can say.
    if (pasids.length > 0) await session.allocatePasids({ exact: { pasids: [...pasids] } })
    for (const device of devices) await session.attachDevice({ device: `devices/${device}` })
    return this.#take(session)
  }

  /** A container of the 2020 series, set to nesting. */
  async container(devices: readonly string[]): Promise<Vm> {
    const { OpenContainer } = vfioUapiDefinition
    const names = devices.map((device) => `devices/${device}`)
    const opened = await this.channel.call(OpenContainer, { devices: names })
    const session = this.client.session(opened.session?.name ?? '', opened.token)
    const vm = this.#take(session)
    await vm.ioctl(0x3b66, Buffer.alloc(0), 6)
    return vm
  }

  #take(session: PasidSession): Vm {
    const id = this.daemon.broker.sessionId(session.name.replace('sessions/', ''))
    if (id === undefined) throw new Error(`${session.name} is no session`)
    const vm = new Vm(this, session, id)
    this.#vms.push(vm)
    return vm
  }

  /** After each case: nothing is left of it, and record, memory and backend agree. */
  async cleanUp(): Promise<readonly string[]> {
    for (const vm of this.#vms.splice(0)) {
      if (this.daemon.broker.state.sessions.has(vm.id)) await vm.session.closeSession()
    }
    const observed = await this.daemon.backend.observe()
    const { problems } = await this.operator.check()
    const bound = observed.kind === 'KNOWN' ? observed.places : [observed]
    return [
      ...bound.map((place) => JSON.stringify(place)),
      ...problems.map((one) => one.description),
    ]
  }
}

export class Vm {
  readonly guest = new Guest()
  readonly tables: Readonly<Record<'nested0' | 'nested1', GuestTables>>

  constructor(
    readonly world: World,
    readonly session: PasidSession,
    readonly id: SessionId,
  ) {
    this.tables = { nested0: new GuestTables(this.guest), nested1: new GuestTables(this.guest) }
    for (const [i, tables] of Object.values(this.tables).entries()) {
      for (let page = 0; page < CELLS; page += 1) {
        const frame = 100 + 10 * i + page
        tables.map(page, { frame, order: 0, writable: true, user: true })
      }
    }
    world.daemon.backend.setGuestMemory(id, this.guest.memory)
  }

  /** BindPasid on the devices; `more` is merged into the request. */
  bind(at: At, table: TableName, devices = ['dev'], more: object = {}): Promise<string> {
    const request = {
      ...targetOf(at),
      devices: devices.map((device) => `devices/${device}`),
      ...this.tableOf(table),
      domain: DOMAINS[table],
      ...more,
    }
    return said(this.session.bindPasid(request))
  }

  replace(at: At, table: TableName, devices = ['dev']): Promise<string> {
    return this.bind(at, table, devices, { replace: true })
  }

  unbind(at: At, device = 'dev'): Promise<string> {
    const target = { ...targetOf(at), devices: [`devices/${device}`] }
    return said(this.session.unbindPasids({ target }))
  }

  tableOf(table: TableName): object {
    if (table === 's2') return { passThrough: {} }
    return { firstStage: { address: this.tables[table].root, addressWidth: 48 } }
  }

  /** What the IOMMU's own table holds there: `check: null` when nothing. */
  check(at: At, device = 'dev'): string {
    const first = numberOf(at)
    const { entries } = this.world.daemon.backend.dumpTables(device, { first, count: 1 })
    const entry = entries.find(({ pasid }) => pasid === first)?.entry
    if (entry === undefined) return 'check: null'
    if (entry.firstStage === undefined) return 'check: s2'
    const { nested0, nested1 } = this.tables
    if (entry.firstStage.pointer === nested0.root) return 'check: nested0'
    return entry.firstStage.pointer === nested1.root ? 'check: nested1' : 'check: another table'
  }

  /** The backend's door itself, as recovery and teardown use it. */
  place(at: At, device = 'dev') {
    return { device, session: this.id, target: target(numberOf(at)) }
  }

  /** Who answers for a cell now; it is in all caches afterwards. */
  source(at: At, cell: number, device = 'dev'): string {
    const access = { address: BigInt(cell) << 12n, write: false, privileged: false }
    const asked = { target: numberOf(at), ...access }
    const { outcome, source } = this.world.daemon.backend.translate(device, asked)
    return outcome.kind === 'FAULT' ? outcome.fault : source
  }

  /** Puts all cells in the caches. */
  warm(at: At): void {
    for (let cell = 0; cell < CELLS; cell += 1) this.source(at, cell)
  }

  /** Cells that were not cached any more. */
  cleared(at: At): string {
    const cells = Array.from({ length: CELLS }, (_, cell) => cell)
    const gone = cells.filter((cell) => this.source(at, cell) === 'TABLES')
    return `cleared: ${gone.length === 0 ? 'none' : gone.join(' ')}`
  }

  /** InvalidateRaw in the form of IOMMU_HWPT_INVALIDATE. */
  async hwptInvalidate(
    at: At,
    entries: readonly Buffer[],
    how: {
      readonly dataType?: number
      readonly entryLen?: number
      readonly entryNum?: number
    } = {},
  ): Promise<string> {
    const { dataType = 0, entryLen = 24, entryNum = entries.length } = how
    const place = { ...targetOf(at), device: 'devices/dev' }
    const vtdS1 = { ...place, dataType, entryLen, entryNum, entries: Buffer.concat(entries) }
    const { InvalidateRaw } = pasidBrokerDefinition
    const request = { session: this.session.name, vtdS1 }
    const { token } = this.session
    const answer = await this.world.channel.call(InvalidateRaw, request, { token })
    return `${errnoName(answer.error)}, ${answer.done} done`
  }

  /** VfioUapi.Ioctl: what it returns, or its errno. */
  async ioctl(request: number, data: Buffer, argument = 0): Promise<string> {
    const { name: session, token } = this.session
    const { Ioctl } = vfioUapiDefinition
    const asked = { session, request, argument, data }
    const { result, error } = await this.world.channel.call(Ioctl, asked, { token })
    return result === -1 ? errnoName(error) : `returns ${result}`
  }

  /** As ioctl(), with what was written back. */
  async ioctlData(request: number, data: Buffer): Promise<Buffer> {
    const { name: session, token } = this.session
    const { Ioctl } = vfioUapiDefinition
    const asked = { session, request, argument: 0, data }
    return (await this.world.channel.call(Ioctl, asked, { token })).data
  }
}

function numberOf(at: At): number {
  return at === 'rid' ? 0 : at
}

export function targetOf(at: At): object {
  return at === 'rid' ? { rid: true } : { pasid: at }
}

/** `ok`, or the reason of the refusal. */
export async function said(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (!(error instanceof PasidError)) throw error
    return error.reason === '' ? error.message : error.reason
  }
}

/** The same of the backend's door. */
export async function doorSaid(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'door: ok'
  } catch (error) {
    if (!(error instanceof Error) || !('kind' in error)) throw error
    return `door: ${String(error.kind)}`
  }
}

export function errnoName(error: number): string {
  if (error === 0) return 'ok'
  return Object.entries(ERRNO).find(([, number]) => number === error)?.[0] ?? `errno ${error}`
}

/** struct iommu_hwpt_vtd_s1_invalidate. */
export function vtdS1(address: bigint, pages: bigint, flags = 0, reserved = 0): Buffer {
  const entry = Buffer.alloc(24)
  entry.writeBigUInt64LE(address, 0)
  entry.writeBigUInt64LE(pages, 8)
  entry.writeUInt32LE(flags, 16)
  entry.writeUInt32LE(reserved, 20)
  return entry
}

/** One page, by its number. */
export function page(cell: number): Buffer {
  return vtdS1(BigInt(cell) << 12n, 1n)
}

/** Words of 32 bits, little endian. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i)
  return bytes
}
