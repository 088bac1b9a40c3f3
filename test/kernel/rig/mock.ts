/**
 * The kernel's own mock devices (CONFIG_IOMMUFD_TEST, drivers/iommu/iommufd/selftest.c): their test
 * commands, their language of nested tables, and an attach port that makes one look like a device
 * behind VFIO. They are iommufd devices without a cdev, so a second descriptor of the same iommufd
 * stands for it. They raise page requests, which no other device of the machine can.
 */
import type { FirstStageTable } from '../../../src/core/binding.js'
import type { DeviceFacts } from '../../../src/core/device.js'
import type { HandedFd } from '../../../src/backend/backend.js'
import { succeeded } from '../../../src/backend/vfio/calls.js'
import type {
  AttachPort,
  Calls,
  HostDevice,
  HwInfo,
  NestedCodec,
} from '../../../src/backend/vfio/ports.js'
import { HWPT_ALLOC, IOMMUFD } from '../../../src/uapi/iommufd.js'
import { IOMMUFD_DATA } from '../../../src/uapi/iommufd-data.js'
import {
  decode,
  encode,
  structure,
  u32,
  u64,
  type Request,
  type ValuesOf,
} from '../../../src/uapi/structure.js'
import { KernelSaid, type IommufdUser } from './iommufd-user.js'

/** struct iommu_test_cmd: a head, and a union of what each command has. */
const COMMAND_BYTES = 72
const HEAD = { op: u32('op', 4), id: u32('id', 8) }
const NOT_USED: readonly [string, number, number] = ['__reserved', 12, 4]

function command<F extends Request['structure']['fields']>(name: string, fields: F, used: number) {
  const rest: [string, number, number] = ['rest', used, COMMAND_BYTES - used]
  return {
    name,
    request: 0x3ba0,
    structure: structure('iommu_test_cmd', COMMAND_BYTES, {
      length: 'size',
      fields: { ...HEAD, ...fields },
      reserved: [NOT_USED, rest],
    }),
  } satisfies Request
}

const OP = {
  MOCK_DOMAIN_REPLACE: 10,
  MOCK_DOMAIN_FLAGS: 12,
  MD_CHECK_IOTLB: 14,
  TRIGGER_IOPF: 15,
  PASID_ATTACH: 18,
  PASID_REPLACE: 19,
  PASID_DETACH: 20,
  PASID_CHECK_HWPT: 21,
} as const

const MOCK_DOMAIN_FLAGS = command(
  'IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS',
  {
    outStdevId: u32('out_stdev_id', 16),
    outHwptId: u32('out_hwpt_id', 20),
    outIdevId: u32('out_idev_id', 24),
    devFlags: u32('dev_flags', 28),
  },
  32,
)
const MOCK_FLAGS_DEVICE_NO_DIRTY = 1
const MOCK_FLAGS_DEVICE_PASID = 4
const MOCK_DOMAIN_REPLACE = command(
  'IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE',
  { ptId: u32('pt_id', 16) },
  20,
)
const CHECK_IOTLB = command(
  'IOMMU_TEST_OP_MD_CHECK_IOTLB',
  { cell: u32('id', 16), iotlb: u32('iotlb', 20) },
  24,
)
const TRIGGER_IOPF = command(
  'IOMMU_TEST_OP_TRIGGER_IOPF',
  {
    devId: u32('dev_id', 16),
    pasid: u32('pasid', 20),
    grpid: u32('grpid', 24),
    perm: u32('perm', 28),
    addr: u64('addr', 32),
  },
  40,
)
/** ATTACH, REPLACE, DETACH and CHECK_HWPT. */
const PASID = command(
  'IOMMU_TEST_OP_PASID',
  { pasid: u32('pasid', 16), ptId: u32('pt_id', 20) },
  24,
)

/** struct iommu_hwpt_selftest, _invalidate_selftest. */
const TABLE = structure('iommu_hwpt_selftest', 8, {
  fields: { iotlb: u32('iotlb', 0), pagetableType: u32('pagetable_type', 4) },
})
const ENTRY = structure('iommu_hwpt_invalidate_selftest', 8, {
  fields: { flags: u32('flags', 0), iotlbId: u32('iotlb_id', 4) },
})
const FLAG_ALL = 1
/**
 * Cells of a nested table's mock IOTLB; each holds what the table's data says until invalidated.
 */
export const IOTLB_CELLS = 4
const PAGE = 4096

/** What the cells of a table hold; never 0, which stands for invalidated. */
export function iotlbOf(table: FirstStageTable): number {
  return (Math.floor(table.address / PAGE) % (2 ** 32 - 1)) + 1
}

export const mockCodec: NestedCodec = {
  hwptDataType: 0xdead,
  table: (table) => encode(TABLE, { iotlb: iotlbOf(table) }),
  invalidateDataType: 0xdead_beef,
  entryBytes: ENTRY.bytes,
  entry: (range) => {
    if (range === undefined) return encode(ENTRY, { flags: FLAG_ALL })
    return encode(ENTRY, { iotlbId: Number((range.address / BigInt(PAGE)) % BigInt(IOTLB_CELLS)) })
  },
}

interface Ids {
  /** Of the test commands. */
  readonly stdev: number
  /** The device's in its iommufd. */
  readonly idev: number
  /** An HWPT with nothing in it. */
  readonly nowhere: number
}

/** Who hands a mock device over. */
export interface MockOwner {
  readonly user: IommufdUser
  readonly ioas: number
  /** Of its iommufd, where the descriptor that is handed over as the cdev is of something else. */
  readonly through?: { readonly number: number }
}

/** What a device asks for. */
export interface Raise {
  /** IOMMU_PGFAULT_PERM_*. */
  readonly perm?: number
  /** Byte address. */
  readonly addr?: bigint
}

/** A mock device in one iommufd: made when a hand-over of it is bound. */
class Mock {
  readonly owner: MockOwner
  readonly flags: number
  readonly attached = new Set<number>()
  made: Ids | undefined
  isGone = false

  constructor(owner: MockOwner, flags: number) {
    this.owner = owner
    this.flags = flags
  }

  get ids(): Ids {
    if (this.made === undefined) throw new Error('the mock device is not bound')
    return this.made
  }

  /** What VFIO does when the cdev is closed, and nobody does here. */
  async unplug(): Promise<void> {
    if (this.made === undefined || this.isGone) return
    const { user } = this.owner
    const { stdev } = this.made
    for (const pasid of this.attached) {
      await user.ask(PASID, { op: OP.PASID_DETACH, id: stdev, pasid })
    }
    await user.destroy(stdev)
    this.made = undefined
  }
}

/** `cdev`: the other descriptor of the same iommufd, unless its owner names one. */
class MockPort implements AttachPort {
  readonly #mock: Mock
  readonly #cdev: HandedFd
  readonly #calls: Calls

  constructor(mock: Mock, cdev: HandedFd, calls: Calls) {
    this.#mock = mock
    this.#cdev = cdev
    this.#calls = calls
  }

  async bind(): Promise<number> {
    const { owner, flags: devFlags } = this.#mock
    const { ioas: ptId } = owner
    const asked = { op: OP.MOCK_DOMAIN_FLAGS, id: ptId, devFlags }
    const { outIdevId, outStdevId } = await this.#ask(MOCK_DOMAIN_FLAGS, asked)
    const flags = IOMMUFD.IOMMU_HWPT_ALLOC_PASID
    const { outHwptId } = await this.#ask(HWPT_ALLOC, { devId: outIdevId, ptId, flags })
    this.#mock.made = { stdev: outStdevId, idev: outIdevId, nowhere: outHwptId }
    // Its RID is always somewhere; there it is in nobody's way.
    await this.#moveRid(outHwptId)
    return outIdevId
  }

  async attach(ptId: number, pasid: number | undefined): Promise<void> {
    if (pasid === undefined) return this.#moveRid(ptId)
    const { attached, ids } = this.#mock
    // As the VFIO ioctl: what is attached through the same device is replaced.
    const op = attached.has(pasid) ? OP.PASID_REPLACE : OP.PASID_ATTACH
    await this.#ask(PASID, { op, id: ids.stdev, pasid, ptId })
    attached.add(pasid)
  }

  async detach(pasid: number | undefined): Promise<void> {
    const { attached, ids } = this.#mock
    if (pasid === undefined) return this.#moveRid(ids.nowhere)
    await this.#ask(PASID, { op: OP.PASID_DETACH, id: ids.stdev, pasid })
    attached.delete(pasid)
  }

  async #moveRid(ptId: number): Promise<void> {
    const id = this.#mock.ids.stdev
    await this.#ask(MOCK_DOMAIN_REPLACE, { op: OP.MOCK_DOMAIN_REPLACE, id, ptId })
  }

  async #ask<F extends Request['structure']['fields']>(
    { name, request, structure: layout }: Request<F>,
    values: Partial<ValuesOf<F>>,
  ): Promise<ValuesOf<F>> {
    const bytes = encode(layout, values)
    const { number: fd } = this.#mock.owner.through ?? this.#cdev
    const end = await this.#calls.ioctl({ fd, request, bytes })
    return decode(layout, succeeded(name, end).bytes)
  }
}

export interface MockOptions {
  /** Whether it has PASIDs, 20 bits of them. Else none. */
  readonly pasids?: boolean
  /** Whether an HWPT with dirty tracking fits it. */
  readonly dirty?: boolean
}

/** One name; each hand-over makes a device of its own. */
export class MockDevice implements HostDevice {
  readonly name: string
  readonly #flags: number
  /** Of the hand-over that comes next. */
  #owner: MockOwner | undefined
  /** By the descriptor that stands for the cdev; in the order of the hand-overs. */
  readonly #mocks = new Map<HandedFd, Mock>()

  constructor(name: string, { pasids = true, dirty = true }: MockOptions = {}) {
    this.name = name
    this.#flags = (pasids ? MOCK_FLAGS_DEVICE_PASID : 0) | (dirty ? 0 : MOCK_FLAGS_DEVICE_NO_DIRTY)
  }

  handedOverBy(owner: MockOwner): void {
    this.#owner = owner
  }

  facts(): DeviceFacts {
    return {
      name: this.name,
      pasidBits: 20,
      translation: 'NONE',
      shared: false,
      platform: 'INTEL_VTD',
      addressWidths: [48, 57],
      supervisorRequests: true,
      extendedAccessed: true,
      passThrough: true,
      hitlessReplace: false,
      pageRequests: true,
    }
  }

  factsOf({ maxPasidLog2 }: HwInfo): DeviceFacts {
    return { ...this.facts(), pasidBits: maxPasidLog2 }
  }

  problemWith(): undefined {
    return undefined
  }

  attachPort(cdev: HandedFd, calls: Calls): AttachPort {
    if (this.#owner === undefined) throw new Error(`nobody hands ${this.name} over`)
    const mock = this.#mocks.get(cdev) ?? new Mock(this.#owner, this.#flags)
    this.#mocks.set(cdev, mock)
    return new MockPort(mock, cdev, calls)
  }

  codec(): NestedCodec {
    return mockCodec
  }

  open(): undefined {
    return undefined
  }

  get isGone() {
    return false
  }

  // What a test does by itself, with the VMM's own descriptor of the same iommufd.

  /** Of the last hand-over. */
  get #bound(): Mock {
    const mock = [...this.#mocks.values()].at(-1)
    if (mock === undefined) throw new Error(`${this.name} was not handed over`)
    return mock
  }

  get ids(): Ids {
    return this.#bound.ids
  }

  /**
   * One group of one page, which is all that a mock device can ask for: without more, to be read
   * and written. `pasid` 0: by the RID.
   */
  async raise(pasid: number, group: number, more: Raise = {}): Promise<void> {
    const { IOMMU_PGFAULT_PERM_READ, IOMMU_PGFAULT_PERM_WRITE } = IOMMUFD_DATA
    const { perm = IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE, addr = 0xdead_b000n } = more
    const { owner, ids } = this.#bound
    await owner.user.ask(TRIGGER_IOPF, {
      op: OP.TRIGGER_IOPF,
      devId: ids.idev,
      pasid,
      grpid: group,
      perm,
      addr,
    })
  }

  /** Whether exactly that HWPT is attached to the PASID; `hwpt` 0: whether nothing is. */
  async isAttached(pasid: number, hwpt: number): Promise<boolean> {
    const { owner, ids } = this.#bound
    const check = { op: OP.PASID_CHECK_HWPT, id: ids.stdev, pasid, ptId: hwpt }
    return succeeds(owner.user.ask(PASID, check))
  }

  /** Whether the cell of the nested table's mock IOTLB holds that. */
  async isCached(hwpt: number, cell: number, iotlb: number): Promise<boolean> {
    const check = { op: OP.MD_CHECK_IOTLB, id: hwpt, cell, iotlb }
    return succeeds(this.#bound.owner.user.ask(CHECK_IOTLB, check))
  }

  /** A replace that is none of an attach, as no attach port makes it; 'ok' or the errno. */
  async replaceAsIs(pasid: number, hwpt: number): Promise<string> {
    const { owner, ids } = this.#bound
    const asked = { op: OP.PASID_REPLACE, id: ids.stdev, pasid, ptId: hwpt }
    return (await owner.user.attempt(PASID, asked)).errno ?? 'ok'
  }

  /** Moves the RID by the VMM's own doing. */
  async moveRid(ptId: number): Promise<void> {
    const { owner, ids } = this.#bound
    await owner.user.ask(MOCK_DOMAIN_REPLACE, { op: OP.MOCK_DOMAIN_REPLACE, id: ids.stdev, ptId })
  }

  /** It goes as it is. Nothing may be attached to a PASID of it: the kernel warns of that. */
  async vanish(): Promise<void> {
    const mock = this.#bound
    await mock.owner.user.destroy(mock.ids.stdev)
    mock.isGone = true
  }

  /** Every device that was made, before its iommufd is closed: the kernel warns of PASIDs left. */
  async unplug(): Promise<void> {
    for (const mock of this.#mocks.values()) await mock.unplug()
    this.#mocks.clear()
  }
}

/** A check that fails is EINVAL. */
async function succeeds(check: Promise<unknown>): Promise<boolean> {
  try {
    await check
    return true
  } catch (error) {
    if (error instanceof KernelSaid && error.errno === 'EINVAL') return false
    throw error
  }
}
