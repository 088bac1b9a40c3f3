/**
 * The effects on bindings, group by group: what iommufd does on top of the driver's programming.
 * Everything is checked before anything is touched; what is refused has changed nothing.
 *
 * What always holds: an entry and its DID use belong to a group; a replace goes device by device
 * (Linux __iommu_set_group_pasid), each with its teardown, gap and set-up, and a fault in its
 * middle puts the old table back everywhere, or leaves nothing anywhere when it is a STOP.
 * Called by the emulator, which has asked for ordered faults before.
 */

import { present } from '../../core/assert.js'
import type { Binding } from '../../core/binding.js'
import { RID, type Target } from '../../core/ids.js'
import { unsupportedTable } from '../../core/table-support.js'
import { BackendFault, type BindRequest, type InvalidateRequest, type Place } from '../backend.js'
import type { AddressSpace } from './address-space.js'
import { pasidOf, type DeviceState } from './device.js'
import type { Devices } from './devices.js'
import type { DomainIds } from './domain-ids.js'
import { entryOffset } from './pasid-table.js'
import type { Programmed, Programming } from './programming.js'
import { blockOfRange, type IommuUnit } from './unit.js'

export interface EffectParts {
  readonly unit: IommuUnit
  readonly devices: Devices
  readonly domains: DomainIds
  readonly programming: Programming
  /** How long the gap of a replace lasts. */
  readonly gap: () => Promise<void>
  /** What the set-up of a replace meets on the device; undefined = it succeeds. */
  readonly setUpFault: (device: DeviceState) => BackendFault | undefined
}

export class Effects {
  readonly #parts: EffectParts

  constructor(parts: EffectParts) {
    this.#parts = parts
  }

  /**
   * Linux iommufd_device_do_attach: the first attachment in the group writes the entries; the same
   * table through another device of the group is counted; any other is refused.
   */
  bind(device: DeviceState, request: BindRequest): void {
    const { programming } = this.#parts
    const { target, session, table } = request
    const { group } = device
    const space = this.#check(device, request)
    const standing = programming.standing(device, target, session)
    if (standing !== 'NOTHING') {
      const same = programming.stands(device, target, { table, domain: request.domain, space })
      if (standing === 'FOREIGN' || !same) throw this.#occupied(device, target)
      if (!group.isAttached(device, target, true)) group.attach(device, target, session)
      return
    }
    const domain = this.#acquire(request)
    for (const each of group.reached(target)) {
      programming.setUp(each, target, { table, domain, space })
    }
    group.attach(device, target, session)
  }

  /**
   * Linux iommufd_device_do_replace: the target must be attached through this very device (EINVAL),
   * and is exchanged for every other device of the group through which it is attached as well: it
   * moves all of their references. The table that stands already is a success without effect.
   */
  async replace(
    device: DeviceState,
    request: BindRequest,
    old: Pick<Binding, 'table' | 'domain'>,
  ): Promise<void> {
    const { programming, domains } = this.#parts
    const { target, session, table } = request
    const { group } = device
    const space = this.#check(device, request)
    const standing = programming.standing(device, target, session)
    if (standing === 'FOREIGN') throw this.#occupied(device, target)
    if (standing === 'OWN') {
      if (!group.isAttached(device, target, true)) {
        throw new BackendFault(`${device.name}: entry ${target} is not attached by it`, 'REFUSE')
      }
      if (programming.stands(device, target, { ...request, space })) return
      if (!programming.stands(device, target, { ...old, space })) {
        throw new BackendFault(`${device.name}: entry ${target} holds neither table`, 'REFUSE')
      }
    }
    // Before anything is touched: afterwards there must be nothing left that could be refused.
    const domain = this.#acquire(request)
    const after = { table, domain, space }
    if (standing === 'NOTHING') {
      // A repeated replace whose first half was done already.
      for (const each of group.reached(target)) programming.setUp(each, target, after)
      group.attach(device, target, session)
      return
    }
    const before = { table: old.table, domain: programming.domainOf(device, target), space }
    const fault = await this.#exchange(device, target, before, after)
    if (fault?.kind === 'STOP') {
      for (const one of [before, after]) domains.release(one.domain)
      group.forget(device, target, session)
    } else {
      domains.release(fault === undefined ? before.domain : after.domain)
    }
    if (fault !== undefined) throw fault
  }

  /** Linux iommufd_hw_pagetable_detach: what is not attached through the device is no error. */
  unbind(device: DeviceState, { target, session }: Place): void {
    const { programming, domains } = this.#parts
    const { group } = device
    // What another session has there is none of this session's business, and stays.
    if (programming.standing(device, target, session) !== 'OWN') return
    if (!group.isAttached(device, target, true)) return
    if (!group.detach(device, target, session)) {
      // The entry stays for the others. Nobody answers for this device any more.
      programming.drain(device, target)
      return
    }
    const domain = programming.domainOf(device, target)
    for (const each of group.reached(target)) programming.tearDown(each, target)
    domains.release(domain)
  }

  /**
   * In the order of the hardware's rule, whatever the order of the list: each of these caches can
   * be filled again from the one before it. The device-TLBs are those of the whole group: Linux
   * tags the caches of every device that an attachment reached (cache_tag_assign_domain).
   */
  invalidate(device: DeviceState, request: InvalidateRequest): void {
    const { programming, unit } = this.#parts
    const { target, session, caches, range } = request
    const block = range === undefined ? undefined : blockOfRange(range)
    // Nothing is cached for a place that is not bound: its teardown saw to that.
    if (programming.standing(device, target, session) !== 'OWN') return
    const page = present(device.table?.findPage(target), 'the page of a present entry')
    const entry = { page, at: entryOffset(target) }
    if (caches.includes('PASID_CACHE')) programming.flushPasidCache(target, entry)
    if (caches.includes('IOTLB')) {
      const leaf = range?.leaf === true
      programming.flushIotlb(target, entry, { whole: false, block, leaf })
    }
    if (!caches.includes('DEVICE_TLB')) return
    const pasid = pasidOf(target)
    for (const each of device.group.reached(target)) unit.invalidateDeviceTlb(each, pasid, block)
  }

  /** Device by device; answers the fault in its middle: then old is everywhere, or nothing. */
  async #exchange(
    device: DeviceState,
    target: Target,
    before: Programmed,
    after: Programmed,
  ): Promise<BackendFault | undefined> {
    const { programming, gap, setUpFault } = this.#parts
    const { group } = device
    const reached = group.reached(target)
    const done: DeviceState[] = []
    group.replacing.add(target)
    try {
      for (const each of reached) {
        if (each.facts.hitlessReplace) programming.rewrite(each, target, after)
        else {
          programming.tearDown(each, target)
          await gap()
          const fault = setUpFault(each)
          if (fault !== undefined) {
            this.#undo(reached, each, done, { target, before: keptAfter(fault, before) })
            return fault
          }
          programming.setUp(each, target, after)
        }
        done.push(each)
      }
      return undefined
    } finally {
      group.replacing.delete(target)
    }
  }

  /** `before` undefined: nothing stays. `broken` has nothing already, `done` have the new table. */
  #undo(
    reached: readonly DeviceState[],
    broken: DeviceState,
    done: readonly DeviceState[],
    { target, before }: { readonly target: Target; readonly before: Programmed | undefined },
  ): void {
    const { programming } = this.#parts
    for (const each of reached) {
      if (before === undefined) {
        if (each !== broken) programming.tearDown(each, target)
      } else if (each === broken) programming.setUp(each, target, before)
      else if (!done.includes(each)) continue
      else if (each.facts.hitlessReplace) programming.rewrite(each, target, before)
      else {
        programming.tearDown(each, target)
        programming.setUp(each, target, before)
      }
    }
  }

  /**
   * Checked before anything is touched, for every device that the entry would reach: a failure in
   * the driver would leave a present table torn down. The core refuses all of it before.
   */
  #check(device: DeviceState, { target, session, table }: BindRequest): AddressSpace {
    const space = this.#parts.devices.findSpace(device, session)
    if (space === undefined) {
      throw new BackendFault(`${device.name}: not attached to the session`, 'REFUSE')
    }
    const reached = device.group.reached(target)
    if (!reached.includes(device)) {
      throw new BackendFault(`${device.name}: it has no PASIDs`, 'REFUSE')
    }
    for (const { name, facts } of reached) {
      const wide = target !== RID && target >= 2 ** facts.pasidBits
      if (wide) throw new BackendFault(`${name}: PASID ${target} is too wide`, 'REFUSE')
      const no = unsupportedTable(facts, table)
      if (no === undefined) continue
      const what = `${no.field} is ${no.value}, must be ${no.supported}`
      throw new BackendFault(`${name}: ${what}`, 'REFUSE')
    }
    return space
  }

  /** @throws BackendFault REFUSE when none is left */
  #acquire(request: BindRequest): number {
    const domain = this.#parts.domains.acquire(request.session, request.domain)
    if (domain !== undefined) return domain
    throw new BackendFault('all hardware domain ids are in use', 'REFUSE')
  }

  #occupied(device: DeviceState, target: Target): BackendFault {
    const holder = device.group.otherHolder(device, target)
    // intel_pasid_setup_nested: EBUSY; in a group, iommufd_device_do_attach: EINVAL.
    const through = holder === undefined ? '' : `, attached to another table by ${holder.name}`
    return new BackendFault(`${device.name}: entry ${target} is present${through}`, 'REFUSE')
  }
}

function keptAfter(fault: BackendFault, before: Programmed): Programmed | undefined {
  return fault.kind === 'STOP' ? undefined : before
}
