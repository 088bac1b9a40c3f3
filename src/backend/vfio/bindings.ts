/**
 * The effects on bindings of one holding, on top of what iommufd does (drivers/iommu/iommufd/
 * device.c). Everything is checked before the kernel is asked; the books are right at every end.
 *
 * What always holds: after RETRY and REFUSE nothing stands where nothing stood, and what stood
 * stands: after a failed replace the entry may be torn down though the kernel's books say that the
 * old table is there, so it is detached and attached anew. After a STOP nothing of the place
 * stands, as far as we could see to it. So it is for whoever is not waited for any more.
 */

import type { Binding } from '../../core/binding.js'
import { sameTable } from '../../core/binding.js'
import { RID, type Target } from '../../core/ids.js'
import { BackendFault, type BindRequest } from '../backend.js'
import { faultOf } from './errors.js'
import { checkPlace, pasidOf } from './guards.js'
import type { HeldDevice } from './held-device.js'
import type { Holding, StandingPlace } from './holding.js'
import { quietly, type Hwpt } from './hwpts.js'
import { KernelRefusal } from './ports.js'
import { attachRid } from './rid.js'
import type { Job } from './work.js'

export class Bindings {
  readonly #holding: Holding

  constructor(holding: Holding) {
    this.#holding = holding
  }

  /** Answers the HWPT. @throws BackendFault */
  async bind(job: Job, device: HeldDevice, request: BindRequest): Promise<number> {
    this.#check(device, request)
    const { target, table, domain } = request
    const place = this.#holding.places.get(target)
    if (place === undefined) return this.#bindNew(job, device, request)
    const isSame = sameTable(place.table, table) && place.domain === domain
    const isUnproven = place.unproven.has(device)
    if (!isSame && isUnproven) {
      // What an earlier life left: the record that is bound now is the newer one.
      await this.#takeDown(target, place)
      return this.#bindNew(job, device, request)
    }
    if (!isSame) throw occupied(device, target, place)
    if (place.through.has(device) && !isUnproven) return place.hwpt.id
    return this.#bindSame(job, device, target, place)
  }

  /** Answers the HWPT. @throws BackendFault */
  async replace(
    job: Job,
    device: HeldDevice,
    request: BindRequest,
    old: Pick<Binding, 'table' | 'domain'>,
  ): Promise<number> {
    this.#check(device, request)
    const { target, table, domain } = request
    const place = this.#holding.places.get(target)
    // A repeated replace whose first half was done already.
    if (place === undefined) return this.#bindNew(job, device, request)
    if (!place.through.has(device)) {
      throw new BackendFault(`${device.name}: entry ${target} is not attached by it`, 'REFUSE')
    }
    if (sameTable(place.table, table) && place.domain === domain) return place.hwpt.id
    const isOld = sameTable(place.table, old.table) && place.domain === old.domain
    if (!isOld && !place.unproven.has(device)) {
      throw new BackendFault(`${device.name}: entry ${target} holds neither table`, 'REFUSE')
    }
    if (sameTable(place.table, table)) {
      place.domain = domain
      this.#intendAll(target, place)
      return place.hwpt.id
    }
    return this.#exchange(job, device, request, place)
  }

  /** @throws BackendFault: then it stands still, or may */
  async unbind(device: HeldDevice, target: Target): Promise<void> {
    const holding = this.#holding
    const place = holding.places.get(target)
    if (place?.through.has(device) !== true) {
      // Also what the VMM has attached there by itself: nothing of the place is to be left.
      const canHave = target !== RID && device.info.maxPasidLog2 > 0
      if (canHave) await this.#detach(device, target)
      return
    }
    await this.#detach(device, target)
    if (target === RID) device.otherRid = 'NOT_ATTACHED'
    if (holding.gone(device, target)) await holding.hwpts.release(place.hwpt)
  }

  /** Nothing of the place stands any more; where a detach failed it is known to be unproven. */
  async #takeDown(
    target: Target,
    place: StandingPlace,
    devices: readonly HeldDevice[] = [...place.through],
  ): Promise<void> {
    const holding = this.#holding
    for (const device of devices) {
      if (!(await quietly(() => device.port.detach(pasidOf(target))))) {
        place.unproven.add(device)
        continue
      }
      if (holding.gone(device, target)) await holding.hwpts.release(place.hwpt)
    }
  }

  /** The first attachment of the group. */
  async #bindNew(job: Job, device: HeldDevice, request: BindRequest): Promise<number> {
    const { target, table, domain } = request
    const hwpt = await this.#attachNew(job, device, request)
    this.#holding.stands(device, target, { table, domain, hwpt })
    if (device.otherRid === 'INCOMPATIBLE' && target !== RID) device.otherRid = 'COMPATIBLE'
    await this.#unlessGivenUp(job, target, [device])
    return hwpt.id
  }

  /** Through another device of the group, or to make certain what an earlier life left. */
  async #bindSame(
    job: Job,
    device: HeldDevice,
    target: Target,
    place: StandingPlace,
  ): Promise<number> {
    const holding = this.#holding
    job.check()
    holding.intend(device, target, place.hwpt, place.domain)
    try {
      await attachTo(holding, device, target, place.hwpt)
    } catch (error) {
      const isVanished = isRefusal(error, 'ENOENT')
      const fault = faultOf(device.name, error)
      await this.#detachAfter(device, target)
      if (holding.gone(device, target)) {
        if (isVanished) holding.hwpts.forget(place.hwpt)
        else await holding.hwpts.release(place.hwpt)
      }
      if (!isVanished || holding.places.has(target)) throw fault
      const { table, domain } = place
      return this.#bindNew(job, device, { ...placeOf(device, target, holding), table, domain })
    }
    holding.stands(device, target, place)
    await this.#unlessGivenUp(job, target, [device])
    return place.hwpt.id
  }

  /** Answers what the target is attached to now, with one user more. Else nothing is there. */
  async #attachNew(job: Job, device: HeldDevice, request: BindRequest): Promise<Hwpt> {
    const holding = this.#holding
    const { target, table, domain } = request
    for (let mayRepeat = true; ; mayRepeat = false) {
      const hwpt = await this.#acquire(job, device, table)
      try {
        job.check()
        holding.intend(device, target, hwpt, domain)
        await attachTo(holding, device, target, hwpt)
        return hwpt
      } catch (error) {
        const isVanished = isRefusal(error, 'ENOENT')
        const isOther = isVanished || (isRefusal(error, 'ENODEV') && holding.faults !== undefined)
        const again = mayRepeat && isOther && table.kind === 'FIRST_STAGE'
        if (again) await this.#detachAfter(device, target)
        const fault = again ? undefined : await this.#explained(device, request, error)
        holding.gone(device, target)
        if (isVanished) holding.hwpts.forget(hwpt)
        else await holding.hwpts.release(hwpt)
        if (fault !== undefined) throw fault
        // drivers/iommu/intel/iommu.c: the device cannot raise page requests after all.
        if (!isVanished) holding.withoutFaults = true
      }
    }
  }

  async #acquire(job: Job, device: HeldDevice, table: BindRequest['table']): Promise<Hwpt> {
    try {
      return await this.#holding.hwpts.acquire(job, table)
    } catch (error) {
      throw faultOf(device.name, error)
    }
  }

  /**
   * After a failed attach where nothing stood: makes certain that nothing is there, and says why.
   */
  async #explained(
    device: HeldDevice,
    { target, table }: BindRequest,
    error: unknown,
  ): Promise<BackendFault> {
    const fault = faultOf(device.name, error)
    let why = fault
    if (isRefusal(error, 'ENODEV') && this.#holding.foreignFaultId !== undefined) {
      const what = 'hand it over without fault_id, if it can raise no page requests'
      why = new BackendFault(`${fault.message}; ${what}`, 'REFUSE', { cause: error })
    }
    const mayBeRid = isRefusal(error, 'EINVAL') && target !== RID
    if (mayBeRid && (await this.#isRidInTheWay(device, target, table))) {
      device.otherRid = 'INCOMPATIBLE'
      why = new BackendFault(`${fault.message}. ${ridText(this.#holding.parent.id)}`, 'REFUSE', {
        cause: error,
      })
    }
    // Nothing was asked of the kernel: there is nothing to make certain.
    if (!(error instanceof KernelRefusal) && fault.kind !== 'STOP') return why
    if (!(await this.#detachAfter(device, target))) {
      return new BackendFault(`${why.message}; and it could not be detached`, 'STOP')
    }
    return why
  }

  /** Whether not even the parent can be attached to the PASID. Something may be attached then. */
  async #isRidInTheWay(
    device: HeldDevice,
    target: Target,
    table: BindRequest['table'],
  ): Promise<boolean> {
    if (table.kind === 'PASS_THROUGH') return true
    return !(await quietly(() => device.port.attach(this.#holding.parent.id, pasidOf(target))))
  }

  /** False: not known. The RID is not touched: what the VMM has there is its own. */
  async #detachAfter(device: HeldDevice, target: Target): Promise<boolean> {
    const pasid = pasidOf(target)
    return pasid === undefined || quietly(() => device.port.detach(pasid))
  }

  async #exchange(
    job: Job,
    device: HeldDevice,
    request: BindRequest,
    place: StandingPlace,
  ): Promise<number> {
    const holding = this.#holding
    const { target, table, domain } = request
    const before = place.hwpt
    for (let mayRepeat = true; ; mayRepeat = false) {
      const next = await this.#acquire(job, device, table)
      try {
        job.check()
        for (const each of place.through) holding.intend(each, target, next, domain)
        await device.port.attach(next.id, pasidOf(target))
      } catch (error) {
        const isVanished = isRefusal(error, 'ENOENT')
        const again = mayRepeat && isVanished && table.kind === 'FIRST_STAGE'
        const fault = again
          ? undefined
          : await this.#restored(job, device, { target, place, error })
        if (isVanished) holding.hwpts.forget(next)
        else await holding.hwpts.release(next)
        if (fault !== undefined) throw fault
        continue
      }
      for (const each of place.through) holding.faults?.gone(each.name, target)
      place.hwpt = next
      place.table = table
      place.domain = domain
      place.unproven.clear()
      await holding.hwpts.release(before)
      await this.#unlessGivenUp(job, target, place.through)
      return next.id
    }
  }

  /** Answers what a failed replace is to be told as: with a STOP nothing stands. */
  async #restored(
    job: Job,
    device: HeldDevice,
    failed: { readonly target: Target; readonly place: StandingPlace; readonly error: unknown },
  ): Promise<BackendFault> {
    const { target, place, error } = failed
    const fault = faultOf(device.name, error)
    this.#intendAll(target, place)
    const isAsked = error instanceof KernelRefusal || fault.kind === 'STOP'
    if (!isAsked && !job.isGivenUp) return fault
    if (fault.kind !== 'STOP' && !job.isGivenUp && (await this.#attachAnew(target, place))) {
      return fault
    }
    await this.#takeDown(target, place)
    if (fault.kind === 'STOP') return fault
    return new BackendFault(`${fault.message}; the old table could not be attached anew`, 'STOP')
  }

  /** Detached everywhere first: to attach what the kernel's books have there changes nothing. */
  async #attachAnew(target: Target, { through, hwpt }: StandingPlace): Promise<boolean> {
    const pasid = pasidOf(target)
    for (const device of through) {
      if (!(await quietly(() => device.port.detach(pasid)))) return false
      this.#holding.faults?.gone(device.name, target)
    }
    for (const device of through) {
      if (!(await quietly(() => device.port.attach(hwpt.id, pasid)))) return false
    }
    return true
  }

  #intendAll(target: Target, { through, hwpt, domain }: StandingPlace): void {
    for (const device of through) this.#holding.intend(device, target, hwpt, domain)
  }

  /** What came back when nobody waited for it any more is taken back. */
  async #unlessGivenUp(job: Job, target: Target, of: Iterable<HeldDevice>): Promise<void> {
    if (!job.isGivenUp) return
    const place = this.#holding.places.get(target)
    if (place !== undefined) await this.#takeDown(target, place, [...of])
    job.check()
  }

  /** @throws BackendFault */
  async #detach(device: HeldDevice, target: Target): Promise<void> {
    try {
      await device.port.detach(pasidOf(target))
    } catch (error) {
      throw faultOf(device.name, error)
    }
  }

  /**
   * On every device of the group that is in our hands: the kernel writes to all that have PASIDs.
   */
  #check(device: HeldDevice, { target, table }: BindRequest): void {
    const reached = [device.facts]
    for (const { facts } of this.#holding.devices.values()) {
      if (facts !== device.facts && (target === RID || facts.pasidBits > 0)) reached.push(facts)
    }
    checkPlace(reached, target, table)
  }
}

function isRefusal(error: unknown, errno: string): boolean {
  return error instanceof KernelRefusal && error.errno === errno
}

async function attachTo(
  holding: Holding,
  device: HeldDevice,
  target: Target,
  hwpt: Hwpt,
): Promise<void> {
  const pasid = pasidOf(target)
  if (pasid === undefined) await attachRid(holding, device, hwpt)
  else await device.port.attach(hwpt.id, pasid)
}

function placeOf(device: HeldDevice, target: Target, { session }: Holding) {
  return { device: device.name, target, session }
}

function occupied(device: HeldDevice, target: Target, { through }: StandingPlace): BackendFault {
  const [holder] = [...through].filter((each) => each !== device)
  const where = holder === undefined ? '' : `, attached to another table by ${holder.name}`
  return new BackendFault(`${device.name}: entry ${target} is present${where}`, 'REFUSE')
}

function ridText(parent: number): string {
  return (
    'RID_INCOMPATIBLE: requests without PASID are on an HWPT that was made without ' +
    'IOMMU_HWPT_ALLOC_PASID (that of an IOAS is, too), or the parent was: no PASID can be ' +
    'attached ' +
    `beside it. Attach the RID to HWPT ${parent} or to another made with that flag ` +
    '(VFIO_DEVICE_ATTACH_IOMMUFD_PT), or hand the device over with move_rid'
  )
}
