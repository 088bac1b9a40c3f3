/**
 * The invalidation queue of a unit: descriptors as software writes them, carried out in order (VT-d
 * 6.5.2, Linux drivers/iommu/intel/dmar.c qi_submit_sync). A wait is done strictly after everything
 * before it, since each descriptor is done when its turn is over; so a fence adds nothing, and a
 * status write says that all of it is done. Who stores that is the ports' affair.
 *
 * What always holds: a descriptor that is no valid one stops the queue (IQE) before it does
 * anything; nothing more is carried out until the error is cleared, and `done` counts exactly what
 * was. Nothing is rolled back. Source ids that are no device's are let pass: their caches are
 * empty.
 */

import {
  decodeDescriptors,
  type DescriptorBlock,
  type DescriptorError,
  type QueueFacts,
  type VtdDescriptor,
} from '../../uapi/vtd-descriptor.js'
import { pageNumberOf, type PageBlock } from './pages.js'
import type { UnitDevice } from './request-path.js'
import type { IommuUnit } from './unit.js'

type Of<Kind extends VtdDescriptor['kind']> = Extract<VtdDescriptor, { kind: Kind }>

export type StatusWrite = NonNullable<Of<'WAIT'>['statusWrite']>

/** What of a descriptor is not the unit's own. */
export interface QueuePorts {
  /** Undefined: there is no such device. */
  device(sourceId: number): UnitDevice | undefined
  /** PD of a wait: page requests that came before it are through. */
  drainPageRequests(): void
  respond(response: Of<'PAGE_GROUP_RESPONSE'>): void
  /** SW of a wait: 32 bits; the address is a multiple of 4. */
  writeStatus(write: StatusWrite): void
  /** IF of a wait. */
  interrupt(): void
}

export interface QueueProgress {
  /** Descriptors carried out. */
  readonly done: number
  /** Why the queue stands at the next one; undefined: all were carried out. */
  readonly error: DescriptorError | undefined
}

export class InvalidationQueue {
  readonly #unit: IommuUnit
  readonly #ports: QueuePorts
  #wide = false
  #error: DescriptorError | undefined

  constructor(unit: IommuUnit, ports: QueuePorts) {
    this.#unit = unit
    this.#ports = ports
  }

  /** IQE: why it stands. */
  get error(): DescriptorError | undefined {
    return this.#error
  }

  /** IQA_REG.DW: descriptors of 256 bits from now on. */
  setWide(on: boolean): void {
    this.#wide = on
  }

  get facts(): QueueFacts {
    return { addressMaskMax: this.#unit.options.addressMask, wide: this.#wide }
  }

  /** FSTS_REG.IQE: software has seen to it, and may go on from wherever it likes. */
  clearError(): void {
    this.#error = undefined
  }

  /** Descriptors one behind the other, 16 or 32 bytes each. Does nothing while the queue stands. */
  run(bytes: Uint8Array): QueueProgress {
    if (this.#error !== undefined) return { done: 0, error: this.#error }
    return this.carryOut(decodeDescriptors(bytes, this.facts))
  }

  /** The same, decoded already. */
  carryOut(descriptors: readonly (VtdDescriptor | DescriptorError)[]): QueueProgress {
    let done = 0
    for (const one of descriptors) {
      if (this.#error !== undefined) break
      if (one.kind === 'ERROR') this.#error = one
      else {
        this.#carryOut(one)
        done += 1
      }
    }
    return { done, error: this.#error }
  }

  #carryOut(one: VtdDescriptor): void {
    const unit = this.#unit
    switch (one.kind) {
      case 'CONTEXT':
        unit.invalidateContext(one.granularity, one.sourceId, one.functionMask)
        break
      case 'PASID_CACHE': {
        const { granularity, domain, pasid } = one
        const global = granularity === 'GLOBAL'
        unit.invalidatePasidCache(
          global ? undefined : domain,
          granularity === 'PASID' ? pasid : undefined,
        )
        break
      }
      case 'IOTLB': {
        const domain = one.granularity === 'GLOBAL' ? undefined : one.domain
        unit.invalidateIotlb(domain, pagesOf(one.block), one.leaf)
        break
      }
      case 'PIOTLB':
        unit.invalidatePiotlb(one.domain, one.pasid, pagesOf(one.block), one.leaf)
        break
      case 'DEVICE_TLB':
      case 'PASID_DEVICE_TLB':
        this.#invalidateDevice(one)
        break
      case 'PAGE_GROUP_RESPONSE':
        this.#ports.respond(one)
        break
      case 'WAIT':
        this.#wait(one)
        break
      case 'INTERRUPT_ENTRY':
        break
    }
  }

  #invalidateDevice(one: Of<'DEVICE_TLB'> | Of<'PASID_DEVICE_TLB'>): void {
    const device = this.#ports.device(one.sourceId)
    if (device === undefined) return
    const block = pagesOf(one.block)
    if (one.kind === 'DEVICE_TLB') this.#unit.invalidateDeviceTlb(device, undefined, block)
    else if (one.global) this.#unit.invalidateWholeDeviceTlb(device, block)
    else this.#unit.invalidateDeviceTlb(device, one.pasid, block)
  }

  #wait({ drain, statusWrite, interrupt }: Of<'WAIT'>): void {
    if (drain) this.#ports.drainPageRequests()
    if (statusWrite !== undefined) this.#ports.writeStatus(statusWrite)
    if (interrupt) this.#ports.interrupt()
  }
}

function pagesOf(block: DescriptorBlock | undefined): PageBlock | undefined {
  return block === undefined
    ? undefined
    : { first: pageNumberOf(block.address), order: block.order }
}
