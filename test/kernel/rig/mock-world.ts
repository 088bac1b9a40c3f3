/**
 * The ground of cases on mock devices: one VM with one device in the native backend's hands, and
 * what the kernel itself says of it.
 */
import type { HandOver, NativeAttachment } from '../../../src/backend/backend.js'
import { BackendFault } from '../../../src/backend/backend.js'
import type { Kernel } from '../../../src/backend/vfio/ports.js'
import { createVfioBackend, type VfioBackend } from '../../../src/backend/vfio/vfio.js'
import type { Table } from '../../../src/core/binding.js'
import { domainId, sessionId, target } from '../../../src/core/ids.js'
import { KernelSaid } from './iommufd-user.js'
import { MockDevice, type MockOptions } from './mock.js'
import { partsForTests } from './parts.js'
import { firstStage, PASS_THROUGH } from './tables.js'
import { TestVm } from './vm.js'
import { WatchedHost } from './watched-host.js'

const SESSION = sessionId(1)
const DOMAIN = domainId(7)
const NAME = 'mock'

/** `s2` is the parent. */
export const TABLES = {
  nested0: firstStage(0x10_0000),
  nested1: firstStage(0x20_0000),
  s2: PASS_THROUGH,
} as const

const worlds: MockWorld[] = []

/** For afterEach. */
export async function endWorlds(): Promise<void> {
  for (const world of worlds.splice(0)) await world.end()
}

export class MockWorld {
  readonly vm: TestVm
  readonly device: MockDevice
  readonly host: WatchedHost
  readonly backend: VfioBackend
  /** As the backend answered the hand-over. */
  attachment: NativeAttachment | undefined

  private constructor(vm: TestVm, device: MockDevice, kernel?: Kernel) {
    this.vm = vm
    this.device = device
    this.host = new WatchedHost(device)
    const parts = partsForTests()
    const devices = [this.host]
    this.backend = createVfioBackend({ ...parts, kernel: kernel ?? parts.kernel, devices })
    worlds.push(this)
  }

  /** `more`: of the hand-over. */
  static async start(options: MockOptions = {}, more: Partial<HandOver> = {}): Promise<MockWorld> {
    const world = new MockWorld(await TestVm.start(), new MockDevice(NAME, options))
    await world.handOver(more)
    return world
  }

  /** Nothing is handed over yet. */
  static async bare(options: MockOptions = {}, kernel?: Kernel): Promise<MockWorld> {
    return new MockWorld(await TestVm.start(), new MockDevice(NAME, options), kernel)
  }

  async handOver(more: Partial<HandOver> = {}): Promise<void> {
    const { device, vm } = this
    this.attachment = await this.backend.attachDevice(NAME, SESSION, vm.handOverMock(device, more))
  }

  get parent(): number {
    if (this.attachment === undefined) throw new Error('the device was not handed over')
    return this.attachment.parentHwpt
  }

  /** `pasid` 0: the RID. Answers the HWPT. */
  async bind(pasid: number, table: Table): Promise<number> {
    const hwpt = await this.backend.bind({ ...this.place(pasid), table, domain: DOMAIN })
    return hwpt
  }

  async replace(pasid: number, table: Table, old: Table): Promise<number> {
    const request = { ...this.place(pasid), table, domain: DOMAIN }
    return this.backend.replace(request, { table: old, domain: DOMAIN })
  }

  async unbind(pasid: number): Promise<void> {
    await this.backend.unbind(this.place(pasid))
  }

  /** Pages of 4 KiB; none: everything. */
  async invalidate(pasid: number, ...pages: readonly number[]): Promise<void> {
    const caches = ['IOTLB', 'DEVICE_TLB'] as const
    const ranges = pages.map((page) => ({ address: BigInt(page) << 12n, pages: 1n, leaf: false }))
    const place = this.place(pasid)
    const all = ranges.length === 0 ? [undefined] : ranges
    await Promise.all(all.map((range) => this.backend.invalidate({ ...place, caches, range })))
  }

  place(pasid: number) {
    return { device: NAME, session: SESSION, target: target(pasid) }
  }

  async end(): Promise<void> {
    await this.backend.close()
    await this.device.unplug()
    this.vm.close()
  }
}

/** `ok`, the kind of the backend's fault, or the kernel's errno. */
export async function said(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (error instanceof BackendFault) return error.kind
    if (error instanceof KernelSaid) return error.errno
    throw error
  }
}
