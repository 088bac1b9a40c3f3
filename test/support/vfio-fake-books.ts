/**
 * The books of iommufd and VFIO as the native backend meets them (Linux 7.1 drivers/iommu/iommufd/
 * {main,device,hw_pagetable,eventq}.c, drivers/vfio/{device_cdev,iommufd}.c, drivers/iommu/intel):
 * contexts with objects whose ids are handed out lowest first, groups with what is attached, and
 * the devices' tables, which are not always what the books say. Answers 0 or more, or minus errno.
 */

import os from 'node:os'

const { constants } = os
/** libuv does not know of EBADFD. */
export const E = { ...constants.errno, EBADFD: 77 }

/** include/uapi/linux/iommufd.h. */
const NEST_PARENT = 1
const DIRTY = 2
const FAULT_VALID = 4
const ALLOC_PASID = 8
export const RID = 0

interface Of<Kind extends string> {
  readonly kind: Kind
  readonly id: number
  /** What needs it. */
  users: number
}

export type FakeIoas = Of<'IOAS'>

export interface FakeHwpt extends Of<'HWPT'> {
  readonly base: FakeIoas | FakeHwpt
  readonly flags: number
  /** Of a nested one. */
  readonly table: FakeTable | undefined
  readonly queue: FakeQueue | undefined
  /** Entries that were carried out. */
  readonly invalidated: FakeRange[]
}

export interface FakeTable {
  readonly flags: bigint
  readonly address: bigint
  readonly width: number
}

export interface FakeRange {
  readonly address: bigint
  readonly pages: bigint
  readonly flags: number
}

export interface FakeFault {
  readonly device: FakeDevice
  readonly pasid: number
  readonly group: number
  readonly pages: number
  cookie: number
  readonly hwpt: FakeHwpt
}

export interface FakeQueue extends Of<'FAULT'> {
  /** Not read yet. */
  readonly deliver: FakeFault[]
  /** Read and not answered, by cookie. */
  readonly response: Map<number, FakeFault>
  readonly answered: { readonly fault: FakeFault; readonly code: number }[]
  wake: (() => void) | undefined
}

export interface FakeIdev extends Of<'DEVICE'> {
  readonly device: FakeDevice
}

export type FakeObject = FakeIoas | FakeHwpt | FakeQueue | FakeIdev

/** One open of /dev/iommu. */
export class FakeContext {
  readonly objects = new Map<number, FakeObject>()

  newId(): number {
    let id = 1
    while (this.objects.has(id)) id += 1
    return id
  }

  add<T extends FakeObject>(object: T): T {
    this.objects.set(object.id, object)
    return object
  }

  ioasAlloc(): number {
    const id = this.newId()
    this.add({ kind: 'IOAS', id, users: 0 })
    return id
  }

  faultAlloc(): FakeQueue {
    const queue: FakeQueue = {
      kind: 'FAULT',
      id: this.newId(),
      // Its descriptor.
      users: 1,
      deliver: [],
      response: new Map(),
      answered: [],
      wake: undefined,
    }
    return this.add(queue)
  }

  hwptAlloc(ask: {
    readonly flags: number
    readonly devId: number
    readonly ptId: number
    readonly dataType: number
    readonly table: FakeTable | undefined
    readonly faultId: number
  }): number {
    const idev = this.objects.get(ask.devId)
    if (idev?.kind !== 'DEVICE') return -E.ENOENT
    const base = this.objects.get(ask.ptId)
    const isNested = ask.dataType !== 0
    const allowed = isNested ? FAULT_VALID | ALLOC_PASID : 15
    if ((ask.flags & ~allowed) !== 0 || ask.dataType > 1) return -E.EOPNOTSUPP
    if ((ask.flags & NEST_PARENT) !== 0 && (ask.flags & FAULT_VALID) !== 0) return -E.EOPNOTSUPP
    if ((ask.flags & DIRTY) !== 0 && !idev.device.dirty) return -E.EOPNOTSUPP
    if (isNested !== (ask.table !== undefined)) return -E.EINVAL
    if ((ask.flags & NEST_PARENT) !== 0 && !idev.device.nests) return -E.EOPNOTSUPP
    if (isNested) {
      if (base?.kind !== 'HWPT' || (base.flags & NEST_PARENT) === 0) return -E.EINVAL
    } else if (base?.kind !== 'IOAS') return -E.EINVAL
    let queue: FakeQueue | undefined
    if ((ask.flags & FAULT_VALID) !== 0) {
      const found = this.objects.get(ask.faultId)
      if (found?.kind !== 'FAULT') return -E.ENOENT
      queue = found
      queue.users += 1
    }
    base.users += 1
    const { flags, table } = ask
    const id = this.newId()
    this.add({ kind: 'HWPT', id, users: 0, base, flags, table, queue, invalidated: [] })
    return id
  }

  destroy(id: number): number {
    const object = this.objects.get(id)
    if (object === undefined) return -E.ENOENT
    if (object.users > 0 || object.kind === 'DEVICE') return -E.EBUSY
    this.objects.delete(id)
    if (object.kind !== 'HWPT') return 0
    object.base.users -= 1
    if (object.queue !== undefined) object.queue.users -= 1
    return 0
  }

  hwpts(): readonly FakeHwpt[] {
    return [...this.objects.values()].filter((each) => each.kind === 'HWPT')
  }
}

export interface FakeDeviceOptions {
  readonly name: string
  readonly maxPasidLog2: number
  readonly group?: string
  readonly pri?: boolean
  readonly nests?: boolean
  readonly dirty?: boolean
}

/** struct iommufd_group: who owns it, and what is attached. */
export class FakeGroup {
  owner: FakeContext | undefined
  readonly devices: FakeDevice[] = []
  readonly attached = new Map<number, { hwpt: FakeHwpt; readonly through: Set<FakeDevice> }>()
}

export class FakeDevice {
  readonly name: string
  readonly maxPasidLog2: number
  readonly group: FakeGroup
  readonly pri: boolean
  readonly nests: boolean
  readonly dirty: boolean
  /** The PASID table that the driver wrote; RID is 0. */
  readonly table = new Map<number, FakeHwpt>()
  bound: { readonly context: FakeContext; readonly idev: FakeIdev } | undefined
  /** Its node is away; and, with `removed`, all of it. */
  hidden = false
  removed = false
  /** What the driver answers to the next set-ups of an entry, instead of doing it. */
  readonly setUpErrors: number[] = []

  constructor(options: FakeDeviceOptions, group: FakeGroup) {
    this.name = options.name
    this.maxPasidLog2 = options.maxPasidLog2
    this.pri = options.pri ?? false
    this.nests = options.nests ?? true
    this.dirty = options.dirty ?? true
    this.group = group
    group.devices.push(this)
  }

  /** Answers the device's id in the context. */
  bind(context: FakeContext): number {
    if (this.bound !== undefined) return -E.EINVAL
    const { group } = this
    if (group.owner !== undefined && group.owner !== context) return -E.EPERM
    group.owner = context
    const idev: FakeIdev = { kind: 'DEVICE', id: context.newId(), users: 1, device: this }
    context.add(idev)
    this.bound = { context, idev }
    return idev.id
  }

  /** The last close of the cdev. */
  unbind(): void {
    if (this.bound === undefined) return
    for (const pasid of [...this.group.attached.keys()]) this.detach(pasid)
    this.bound.context.objects.delete(this.bound.idev.id)
    this.bound = undefined
    if (this.group.devices.every(({ bound }) => bound === undefined)) this.group.owner = undefined
  }

  attach(ptId: number, pasid: number): number {
    if (this.bound === undefined) return -E.EINVAL
    const { context } = this.bound
    const pt = context.objects.get(ptId)
    if (pt === undefined) return -E.ENOENT
    const refusal = pt.kind === 'HWPT' ? this.#refusal(pt, pasid) : -E.EINVAL
    if (pt.kind === 'IOAS' && pasid === RID) return this.#attachAuto(pt)
    if (pt.kind !== 'HWPT' || refusal < 0) return refusal
    const standing = this.group.attached.get(pasid)
    if (standing === undefined) {
      const failed = this.#setUpAll(pasid, pt, undefined)
      if (failed < 0) return failed
      this.group.attached.set(pasid, { hwpt: pt, through: new Set([this]) })
      pt.users += 1
      return 0
    }
    if (!standing.through.has(this)) {
      if (standing.hwpt !== pt) return -E.EINVAL
      standing.through.add(this)
      pt.users += 1
      return 0
    }
    if (standing.hwpt === pt) return 0
    const failed = this.#setUpAll(pasid, pt, standing.hwpt)
    if (failed < 0) return failed
    endFaults(standing.hwpt, this.group, pasid)
    standing.hwpt.users -= standing.through.size
    pt.users += standing.through.size
    standing.hwpt = pt
    return 0
  }

  detach(pasid: number): number {
    const standing = this.group.attached.get(pasid)
    if (standing?.through.delete(this) !== true) return 0
    standing.hwpt.users -= 1
    endFaults(standing.hwpt, this.group, pasid, this)
    if (standing.through.size > 0) return 0
    this.group.attached.delete(pasid)
    for (const device of this.group.devices) device.table.delete(pasid)
    return 0
  }

  #refusal(hwpt: FakeHwpt, pasid: number): number {
    const { attached, devices } = this.group
    const isForPasids = (hwpt.flags & ALLOC_PASID) !== 0
    if (pasid === RID) {
      const others = [...attached.keys()].some((each) => each !== RID)
      return others && !isForPasids ? -E.EINVAL : 0
    }
    if (!isForPasids) return -E.EINVAL
    const rid = attached.get(RID)
    if (rid !== undefined && (rid.hwpt.flags & ALLOC_PASID) === 0) return -E.EINVAL
    if (pasid >= 2 ** 31) return -E.ENOSPC
    const tooWide = devices.some(({ maxPasidLog2: bits }) => bits > 0 && pasid >= 2 ** bits)
    return tooWide || this.maxPasidLog2 === 0 ? -E.EINVAL : 0
  }

  /** IOMMUFD_OBJ_IOAS: an HWPT of the IOAS's own, which is not for PASIDs. */
  #attachAuto(ioas: FakeIoas): number {
    const { context } = this.bound ?? {}
    if (context === undefined) return -E.EINVAL
    const devId = this.bound?.idev.id ?? 0
    const made = { flags: 0, devId, ptId: ioas.id, dataType: 0, table: undefined, faultId: 0 }
    return this.attach(context.hwptAlloc(made), RID)
  }

  /** __iommu_set_group_pasid: a device that fails has nothing then; those before it the old one. */
  #setUpAll(pasid: number, hwpt: FakeHwpt, old: FakeHwpt | undefined): number {
    const done: FakeDevice[] = []
    for (const device of this.group.devices) {
      if (pasid !== RID && device.maxPasidLog2 === 0) continue
      device.table.delete(pasid)
      const code = device.#setUp(hwpt)
      if (code < 0) {
        for (const each of done) {
          if (old === undefined) each.table.delete(pasid)
          else each.table.set(pasid, old)
        }
        return code
      }
      device.table.set(pasid, hwpt)
      done.push(device)
    }
    return 0
  }

  /** intel_pasid_setup_nested, iopf_for_domain_set. */
  #setUp({ table, queue }: FakeHwpt): number {
    const error = this.setUpErrors.shift()
    if (error !== undefined) return -error
    if (queue !== undefined && !this.pri) return -E.ENODEV
    if (table === undefined) return 0
    return table.width === 48 || table.width === 57 ? 0 : -E.EINVAL
  }
}

/** iommufd_auto_response_faults: what waits is answered INVALID, read or not. */
function endFaults(hwpt: FakeHwpt, group: FakeGroup, pasid: number, only?: FakeDevice): void {
  const { queue } = hwpt
  if (queue === undefined) return
  const isMeant = (fault: FakeFault): boolean => {
    if (fault.pasid !== pasid || !group.devices.includes(fault.device)) return false
    return only === undefined || fault.device === only
  }
  for (const fault of queue.deliver.filter(isMeant)) {
    queue.deliver.splice(queue.deliver.indexOf(fault), 1)
    queue.answered.push({ fault, code: 1 })
  }
  for (const [cookie, fault] of queue.response) {
    if (!isMeant(fault)) continue
    queue.response.delete(cookie)
    queue.answered.push({ fault, code: 1 })
  }
}
