/**
 * What one session has of one IOMMU group in our hands: its devices, the parent that guest tables
 * sit on, the HWPTs, the fault queue, and which places stand. Attachments are per group in the
 * kernel (drivers/iommu/iommufd/device.c struct iommufd_group): one table a target, counted by
 * device.
 *
 * What always holds: a place that stands has an HWPT that one of its users is; what is in the books
 * is in the memory that outlives the daemon. Changed by the effects (bindings.ts) and by devices
 * that come and go (hand-over.ts, letting-go.ts), one piece of work at a time.
 */

import type { Table } from '../../core/binding.js'
import { assert, broken, present } from '../../core/assert.js'
import { RID, type DomainId, type SessionId, type Target } from '../../core/ids.js'
import type { NativeAttachment, RidState } from '../backend.js'
import type { FaultQueue, WaitingGroup } from './fault-queue.js'
import { permOf } from './fault-queue.js'
import type { HeldDevice } from './held-device.js'
import { Hwpts, keyOf, type Hwpt } from './hwpts.js'
import { keptName, type Memory } from './memory.js'
import type { DeviceRecord } from './records.js'

/** Of the holding; ids of the VMM's iommufd. */
export interface HeldParent {
  readonly id: number
  /** Ours, made on the VMM's IOAS; undefined: the VMM's. */
  readonly own: { readonly ioas: number; readonly dirtyTracking: boolean } | undefined
}

export interface StandingPlace {
  table: Table
  domain: DomainId
  hwpt: Hwpt
  /** Devices through which it is attached. */
  readonly through: Set<HeldDevice>
  /** Those of them where it may not be: from an earlier life, or after a detach that failed. */
  readonly unproven: Set<HeldDevice>
}

export interface HoldingParts {
  readonly session: SessionId
  readonly parent: HeldParent
  /** The VMM's own fault queue. */
  readonly foreignFaultId: number | undefined
  readonly memory: Memory
}

export class Holding {
  readonly session: SessionId
  readonly parent: HeldParent
  readonly foreignFaultId: number | undefined
  readonly memory: Memory
  readonly devices = new Map<string, HeldDevice>()
  readonly places = new Map<Target, StandingPlace>()
  /** Devices whose RID we have moved to the parent, and that nothing else was bound to since. */
  readonly resting = new Set<HeldDevice>()
  /** Those of them where it may not be: an earlier life was about to. */
  readonly unrested = new Set<HeldDevice>()
  /** Keys of places that may be attached, from before the kernel is asked. */
  readonly #intended = new Set<string>()
  readonly hwpts: Hwpts
  /** Our own. */
  faults: FaultQueue | undefined
  /** Tables that bring page requests cannot be attached: the devices raise none. */
  withoutFaults = false

  constructor({ session, parent, foreignFaultId, memory }: HoldingParts) {
    this.session = session
    this.parent = parent
    this.foreignFaultId = foreignFaultId
    this.memory = memory
    this.hwpts = new Hwpts({
      parent: parent.id,
      lead: () => this.lead,
      faultId: () => this.faultId,
      memory: {
        madeHwpt: ({ id, table }) => {
          if (table.kind === 'FIRST_STAGE') memory.put(hwptKey(table), { type: 'HWPT', id, table })
        },
        forgetHwpt: ({ table }) => memory.forget(hwptKey(table)),
      },
    })
  }

  /** The device through which calls on what the group shares are made. */
  get lead(): HeldDevice {
    for (const device of this.devices.values()) return device
    return broken('a holding has a device')
  }

  /** Whose page requests tables bring. */
  get faultId(): number | undefined {
    return this.foreignFaultId ?? (this.withoutFaults ? undefined : this.faults?.id)
  }

  /** Whether something is attached to the target through the device, by the books. */
  isAttached(device: HeldDevice, target: Target): boolean {
    return this.places.get(target)?.through.has(device) === true
  }

  /** The device by which what is attached, or is about to be, raises page requests. */
  deviceAt(devId: number, target: Target): string | undefined {
    for (const device of this.devices.values()) {
      if (device.devId !== devId) continue
      const isOurs = this.isAttached(device, target) || this.#intended.has(placeKey(device, target))
      return isOurs ? device.name : undefined
    }
    return undefined
  }

  /** Those of the device that are known to stand. */
  provenThrough(device: HeldDevice): number {
    let count = 0
    for (const { through, unproven } of this.places.values()) {
      if (through.has(device) && !unproven.has(device)) count += 1
    }
    return count
  }

  attachmentOf(device: HeldDevice): NativeAttachment {
    return { devId: device.devId, parentHwpt: this.parent.id, rid: this.#ridOf(device) }
  }

  #ridOf(device: HeldDevice): RidState {
    if (this.resting.has(device)) return 'ON_PARENT'
    const place = this.places.get(RID)
    if (place?.through.has(device) !== true) return device.otherRid
    return place.table.kind === 'PASS_THROUGH' ? 'ON_PARENT' : 'COMPATIBLE'
  }

  // The books, each with its memory.

  remember(device: HeldDevice): void {
    const { name, devId, info } = device
    const isKnown = !this.unrested.has(device)
    const resting = this.resting.has(device) ? (isKnown ? 'YES' : 'INTENDED') : 'NO'
    this.memory.put(`device/${name}`, { type: 'DEVICE', name, devId, info, resting })
  }

  keepFds(device: HeldDevice): void {
    for (const what of ['iommufd', 'cdev'] as const) {
      this.memory.keep(keptName(this.session, device.name, what), device[what])
    }
  }

  /** Pairs with remember() and keepFds(). */
  forgetDevice({ name }: HeldDevice): void {
    for (const what of ['iommufd', 'cdev'] as const) {
      this.memory.drop(keptName(this.session, name, what))
    }
    this.memory.forget(`device/${name}`)
  }

  /** INTENDED: before the kernel is asked. */
  rest(device: HeldDevice, resting: DeviceRecord['resting']): void {
    if (resting === 'NO') this.resting.delete(device)
    else this.resting.add(device)
    if (resting === 'INTENDED') this.unrested.add(device)
    else this.unrested.delete(device)
    if (this.memory.indexOf(`device/${device.name}`) !== undefined) this.remember(device)
  }

  /** Before the kernel is asked: from now on something of ours may be attached there. */
  intend(device: HeldDevice, target: Target, hwpt: Hwpt, domain: DomainId): void {
    const key = placeKey(device, target)
    this.#intended.add(key)
    const index = present(this.memory.indexOf(`device/${device.name}`), 'the record of a device')
    const isParent = hwpt === this.hwpts.parent
    const known = isParent ? undefined : this.memory.indexOf(hwptKey(hwpt.table))
    // The VMM has destroyed it under what is attached: there is no id to be remembered.
    if (!isParent && known === undefined) this.memory.forget(key)
    else this.memory.put(key, { type: 'PLACE', device: index, target, hwpt: known, domain })
  }

  /** It is attached: intend() was called. */
  stands(
    device: HeldDevice,
    target: Target,
    now: Omit<StandingPlace, 'through' | 'unproven'>,
  ): void {
    const { table, domain, hwpt } = now
    const place = this.places.get(target)
    if (place === undefined) {
      const through = new Set([device])
      this.places.set(target, { table, domain, hwpt, through, unproven: new Set() })
      return
    }
    assert(place.hwpt === hwpt, `entry ${target} of a group has one table`)
    place.through.add(device)
    place.unproven.delete(device)
  }

  /** It is detached there. True when it was the last of the group. */
  gone(device: HeldDevice, target: Target): boolean {
    this.faults?.gone(device.name, target)
    this.#intended.delete(placeKey(device, target))
    this.memory.forget(placeKey(device, target))
    const place = this.places.get(target)
    place?.through.delete(device)
    place?.unproven.delete(device)
    if (place === undefined || place.through.size > 0) return false
    this.places.delete(target)
    return true
  }

  waits({ device, target, group, cookie, pages }: WaitingGroup): void {
    const index = this.memory.indexOf(`device/${device}`)
    if (index === undefined) return
    for (const [i, page] of pages.entries()) {
      const place = { device: index, target, group, cookie }
      const { address } = page
      const record = { type: 'PAGE', ...place, address, perm: permOf(page) } as const
      this.memory.put(pageKey({ device, target, group }, i), record)
    }
  }

  waitsNoMore(group: WaitingGroup): void {
    for (const i of group.pages.keys()) this.memory.forget(pageKey(group, i))
  }
}

/** A record of the parent there is none. */
export function hwptKey(table: Table): string {
  return table.kind === 'PASS_THROUGH' ? 'parent' : `hwpt/${keyOf(table)}`
}

export function placeKey(device: { readonly name: string }, target: Target): string {
  return `place/${device.name}/${target}`
}

export function pageKey(
  { device, target, group }: Pick<WaitingGroup, 'device' | 'target' | 'group'>,
  index: number,
): string {
  return `page/${device}/${target}/${group}/${index}`
}
