/**
 * The ground of cases on VFIO devices behind the Intel driver: one VM, the native backend, and what
 * stands in the tables that the IOMMU reads.
 */
import type { HandOver, NativeAttachment } from '../../../src/backend/backend.js'
import { createHostDevice } from '../../../src/backend/vfio/host-device.js'
import {
  createVfioBackend,
  type VfioBackend,
  type VfioOptions,
} from '../../../src/backend/vfio/vfio.js'
import type { Table } from '../../../src/core/binding.js'
import { domainId, sessionId, target, type SessionId } from '../../../src/core/ids.js'
import { pasidEntry, tableOf } from './intel-tables.js'
import { partsForTests } from './parts.js'
import { eduDevices, type PciDevice } from './pci.js'
import { TestVm } from './vm.js'
import { WatchedHost } from './watched-host.js'

export const SESSION = sessionId(1)
const DOMAIN = domainId(7)

const worlds: IntelWorld[] = []

/** For afterEach. */
export async function endIntelWorlds(): Promise<void> {
  for (const world of worlds.splice(0)) await world.end()
}

export class IntelWorld {
  readonly vm: TestVm
  /** Of the device `alone`. */
  readonly pci: PciDevice
  readonly host: WatchedHost
  readonly #parts: VfioOptions
  #backend: VfioBackend

  private constructor(vm: TestVm, pci: PciDevice, parts: Partial<VfioOptions>) {
    this.vm = vm
    this.pci = pci
    this.host = new WatchedHost(createHostDevice({ name: 'alone', address: pci.address }))
    this.#parts = { ...partsForTests(), devices: [this.host], ...parts }
    this.#backend = createVfioBackend(this.#parts)
    worlds.push(this)
  }

  /** Nothing is handed over yet. `parts`: what is different from those of all tests. */
  static async bare(parts: Partial<VfioOptions> = {}): Promise<IntelWorld> {
    return new IntelWorld(await TestVm.start(), eduDevices().alone, parts)
  }

  get backend(): VfioBackend {
    return this.#backend
  }

  /** The daemon ends and starts again: it has what its keeper kept. */
  async restart(): Promise<void> {
    await this.#backend.close()
    this.#backend = createVfioBackend(this.#parts)
  }

  static async start(more: Partial<HandOver> = {}): Promise<IntelWorld> {
    const world = await IntelWorld.bare()
    await world.handOver(more)
    return world
  }

  handOver(
    more: Partial<HandOver> = {},
    session: SessionId = SESSION,
  ): Promise<NativeAttachment | undefined> {
    const handOver = this.vm.handOver(this.pci.cdev, more)
    return this.backend.attachDevice('alone', session, handOver)
  }

  place(pasid: number) {
    return { device: 'alone', session: SESSION, target: target(pasid) }
  }

  /** `pasid` 0: the RID. */
  async bind(pasid: number, table: Table): Promise<number> {
    return this.backend.bind({ ...this.place(pasid), table, domain: DOMAIN })
  }

  async replace(pasid: number, table: Table, old: Table): Promise<number> {
    const request = { ...this.place(pasid), table, domain: DOMAIN }
    return this.backend.replace(request, { table: old, domain: DOMAIN })
  }

  async unbind(pasid: number): Promise<void> {
    await this.backend.unbind(this.place(pasid))
  }

  /** What the IOMMU would use; undefined: requests fault. */
  entry(pasid: number): Table | undefined {
    const found = pasidEntry(this.pci.address, pasid)
    return found && tableOf(found)
  }

  async end(): Promise<void> {
    await this.backend.close()
    this.vm.close()
  }
}
