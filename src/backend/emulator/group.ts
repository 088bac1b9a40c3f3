/**
 * IOMMU groups: devices that the IOMMU cannot tell apart, so that what one of them may reach all of
 * them may. A device without a named group is a group of its own.
 *
 * What always holds, as in Linux drivers/iommu/iommufd/device.c (struct iommufd_group): all
 * attachments of a group are one session's; an entry stands in the tables of all members that can
 * use it or of none; it stands for as long as it is attached through at least one of them.
 * Made by Devices, changed by the effects (effects.ts).
 */

import { assert } from '../../core/assert.js'
import type { DeviceFacts } from '../../core/device.js'
import { RID, type SessionId, type Target } from '../../core/ids.js'

/** What a group needs to know of its devices. */
export interface GroupMember {
  readonly name: string
  readonly facts: DeviceFacts
  /** How many entries each session that has it attached has attached through it. */
  readonly entriesBy: ReadonlyMap<SessionId, number>
  countEntries(session: SessionId, change: 1 | -1): void
}

export class DeviceGroup<Member extends GroupMember> {
  /** Undefined: a device alone, of which the table says by itself what is attached. */
  readonly name: string | undefined
  readonly #members: Member[] = []
  /** igroup->pasid_attach and its device_array: through which members each target is attached. */
  readonly #attached = new Map<Target, Set<Member>>()
  /** Entries in the gap of a replace. The broker serialises one session's effects on a group. */
  readonly replacing = new Set<Target>()

  constructor(name: string | undefined) {
    this.name = name
  }

  get members(): readonly Member[] {
    return this.#members
  }

  join(device: Member): void {
    assert(this.name !== undefined || this.#members.length === 0, 'a lone device stays alone')
    assert(!this.inUse(), 'nobody joins a group in use: its tables would lack what is attached')
    this.#members.push(device)
  }

  /** Pairs with join(). */
  leave(device: Member): void {
    assert(!this.inUse(), 'nobody leaves a group in use')
    this.#members.splice(this.#members.indexOf(device), 1)
  }

  inUse(): boolean {
    return this.#members.some((member) => member.entriesBy.size > 0)
  }

  /** Linux iommu_device_claim_dma_owner: a group has one owner. */
  heldByOther(session: SessionId): boolean {
    return this.#members.some(({ entriesBy }) => {
      for (const holder of entriesBy.keys()) if (holder !== session) return true
      return false
    })
  }

  /**
   * Whose tables an entry is written to: every member's for the RID (Linux
   * iommu_attach_group_handle), those of members with PASIDs else (iommu_attach_device_pasid, which
   * skips max_pasids == 0).
   */
  reached(target: Target): readonly Member[] {
    if (target === RID) return this.#members
    return this.#members.filter(({ facts }) => facts.pasidBits > 0)
  }

  /** Linux iommufd_device_is_attached. `present`: whether the entry stands in the tables. */
  isAttached(device: Member, target: Target, present: boolean): boolean {
    if (this.name === undefined) return present
    return this.#attached.get(target)?.has(device) === true
  }

  attach(device: Member, target: Target, session: SessionId): void {
    device.countEntries(session, 1)
    if (this.name === undefined) return
    const known = this.#attached.get(target)
    if (known === undefined) this.#attached.set(target, new Set([device]))
    else known.add(device)
  }

  /** True when it was the last: the entry goes. Pairs with attach(). */
  detach(device: Member, target: Target, session: SessionId): boolean {
    device.countEntries(session, -1)
    if (this.name === undefined) return true
    const known = this.#attached.get(target)
    assert(known?.delete(device) === true, `entry ${target} is attached through ${device.name}`)
    if (known.size > 0) return false
    this.#attached.delete(target)
    return true
  }

  /** Pairs with every attach() of the target: the entry is gone from all tables. */
  forget(device: Member, target: Target, session: SessionId): void {
    const holders = this.name === undefined ? [device] : [...(this.#attached.get(target) ?? [])]
    for (const holder of holders) this.detach(holder, target, session)
  }

  /** The first other member through which the target is attached. */
  otherHolder(device: Member, target: Target): Member | undefined {
    for (const holder of this.#attached.get(target) ?? []) if (holder !== device) return holder
    return undefined
  }
}
