/**
 * The remapping unit: a root table in some image of memory, and the caches of all devices behind
 * it. `translate` is what a device's request meets; it also says whether the tables still support
 * that, and if not, which invalidations are missing. The invalidations are the descriptors of VT-d
 * 6.5.2, by their fields; `invalidation-queue.ts` carries out descriptors as such.
 *
 * What always holds: everything the unit knows beside its caches it reads from memory; forgetting
 * an invalidation has its real consequence; no invalidation makes an object, or reads memory.
 * Called by the emulator, the programming of bindings, and tests.
 */

import type { CacheName } from '../lab.js'
import type { FaultCode, FaultName } from './faults.js'
import type { PhysicalMemory } from './memory.js'
import type { OperationLog } from './operation-log.js'
import { Oracle, type Staleness } from './oracle.js'
import { blockAround, PAGE_NUMBER_BITS, pageNumberOf, type PageBlock } from './pages.js'
import {
  makeCaches,
  RequestPath,
  type Access,
  type Outcome,
  type Source,
  type UnitCaches,
  type UnitDevice,
} from './request-path.js'
import { assert } from '../../core/assert.js'
import { NO_PASID } from './tagged-cache.js'
import { assertOptions, type UnitOptions } from './unit-options.js'

/** The memory that a unit works on, and the scalable-mode root table in it (RTADDR). */
export interface Image {
  readonly memory: PhysicalMemory
  readonly root: number
}

export interface Translation {
  readonly outcome: Outcome
  readonly source: Source
  /** Undefined: the tables support the outcome. */
  readonly staleness: Staleness | undefined
}

/** A fault that went into the fault record: FPD was clear, or did not matter. */
export interface UnitFault {
  readonly device: UnitDevice
  readonly pasid: number | undefined
  readonly code: FaultCode
  readonly name: FaultName
  readonly address: bigint
  readonly write: boolean
  readonly privileged: boolean
}

export interface CacheFill {
  readonly name: CacheName
  /** Whose it is; empty for the unit's own. */
  readonly device: string
  readonly entries: number
  readonly capacity: number
  /** Entries that others replaced since eviction was last switched. */
  readonly evicted: number
}

/** Device-TLB entries are tagged by PASID only. */
const NO_DOMAIN = 0

export class IommuUnit implements Image {
  readonly memory: PhysicalMemory
  readonly root: number
  readonly log: OperationLog
  onFault: ((fault: UnitFault) => void) | undefined
  readonly #caches: UnitCaches
  readonly #path: RequestPath
  readonly #oracle: Oracle

  constructor({ memory, root }: Image, options: UnitOptions, log: OperationLog) {
    assertOptions(options)
    this.memory = memory
    this.root = root
    this.log = log
    this.#caches = makeCaches(options)
    this.#path = new RequestPath(memory, root, options)
    this.#oracle = new Oracle(this.#path, this.#caches)
  }

  get options(): UnitOptions {
    return this.#path.options
  }

  /** Fills caches and sets accessed and dirty flags. */
  translate(device: UnitDevice, access: Access): Translation {
    // Before the request fills caches: what comes from there is not to blame for itself.
    const foreseen = this.#oracle.foresee(device, access)
    const view = { caches: this.#caches, live: true, imagined: undefined }
    const met = this.#path.follow(device, access, view)
    const { outcome, source } = met
    if (outcome.kind === 'FAULT' && outcome.recorded) {
      const { code, fault: name } = outcome
      this.onFault?.({ device, code, name, ...access })
    }
    return { outcome, source, staleness: this.#oracle.judge(device, access, foreseen, met) }
  }

  /**
   * What the tables say of the access: no cache is asked, nothing is filled, no flag is set.
   * `dirty`: the flags are set that a write would leave.
   */
  probe(
    device: UnitDevice,
    access: Access,
  ): { readonly outcome: Outcome; readonly dirty: boolean } {
    const { outcome, dirty } = this.#oracle.probe(device, access)
    return { outcome, dirty }
  }

  /**
   * Type 1. In scalable mode context entries have no DID: by domain means all of them.
   * @param functionMask FM: 0 to 3 upper bits of the function that do not matter
   */
  invalidateContext(
    granularity: 'GLOBAL' | 'DOMAIN' | 'DEVICE',
    sourceId: number,
    functionMask: number,
  ): void {
    const { log } = this
    if (log.on) {
      log.record({ kind: 'INVALIDATE_CONTEXT', granularity, sourceId, functionMask })
    }
    if (granularity === 'DEVICE') this.#caches.context.flushDevice(sourceId, functionMask)
    else this.#caches.context.flushAll()
  }

  /** Type 7. `pasid` undefined: all of the domain; `domain` undefined: everything. */
  invalidatePasidCache(domain: number | undefined, pasid: number | undefined): void {
    const { log } = this
    if (log.on) log.record({ kind: 'INVALIDATE_PASID_CACHE', domain, pasid })
    if (domain === undefined) this.#caches.pasid.flushAll()
    else if (pasid === undefined) this.#caches.pasid.flushDomain(domain)
    else this.#caches.pasid.flushPasid(domain, pasid)
  }

  /**
   * Type 6: translations with a first stage. A block beyond MAMV is widened to all-in-PASID, which
   * takes paging structures in any case; a block does unless `leaf` (IH) is set.
   */
  invalidatePiotlb(
    domain: number,
    pasid: number,
    asked: PageBlock | undefined,
    leaf: boolean,
  ): void {
    const { log } = this
    const { iotlb, structures } = this.#caches
    const block = this.#withinMask(asked)
    if (log.on) log.record({ kind: 'INVALIDATE_PIOTLB', domain, pasid, block, leaf })
    if (block === undefined) {
      iotlb.flushPasid(domain, pasid)
      structures.flushPasid(domain, pasid)
      return
    }
    iotlb.flushBlock(domain, pasid, block)
    if (!leaf) structures.flushBlock(domain, pasid, block)
  }

  /**
   * Type 2. A block is of the second stage's input addresses; with it goes everything of the domain
   * that has a first stage (VT-d 6.5.2.3). Beyond MAMV it is widened to the whole domain; `domain`
   * undefined: everything.
   */
  invalidateIotlb(domain: number | undefined, asked: PageBlock | undefined, leaf: boolean): void {
    const { log } = this
    const { iotlb, structures } = this.#caches
    const block = this.#withinMask(asked)
    if (log.on) log.record({ kind: 'INVALIDATE_IOTLB', domain, block, leaf })
    if (domain === undefined) {
      iotlb.flushAll()
      structures.flushAll()
      return
    }
    iotlb.flushDomain(domain, block)
    if (block === undefined || !leaf) structures.flushDomain(domain, block)
  }

  /**
   * Type 8 with a PASID, type 3 without one: Linux devtlb_invalidation_with_pasid. `block`
   * undefined: all of the PASID's.
   */
  invalidateDeviceTlb(
    device: UnitDevice,
    pasid: number | undefined,
    block: PageBlock | undefined,
  ): void {
    if (!device.ats) return
    const { log } = this
    if (log.on) log.record({ kind: 'INVALIDATE_DEVICE_TLB', device: device.name, pasid, block })
    const tag = pasid ?? NO_PASID
    if (block === undefined) device.tlb?.flushPasid(NO_DOMAIN, tag)
    else device.tlb?.flushBlock(NO_DOMAIN, tag, block)
  }

  /** Type 8 with G: of all PASIDs, and of requests without one; more than the block. */
  invalidateWholeDeviceTlb(device: UnitDevice, block: PageBlock | undefined): void {
    if (!device.ats) return
    const { log } = this
    if (log.on) log.record({ kind: 'INVALIDATE_WHOLE_DEVICE_TLB', device: device.name, block })
    device.tlb?.flushDomain(NO_DOMAIN, undefined)
  }

  /** CAP.CM. Off, what was cached of entries that are not present stays until invalidated. */
  setCachingMode(cachingMode: boolean): void {
    this.#path.options = { ...this.options, cachingMode }
  }

  /**
   * Off: caches grow to 65536 entries before they replace any; on again, they keep the size that
   * they have. Replaced entries are counted from here on.
   */
  setEviction(eviction: boolean): void {
    this.#path.options = { ...this.options, eviction }
    for (const cache of ownCaches(this.#caches)) cache.setEviction(eviction)
    for (const { tlb } of this.#path.devicesWithTlb()) tlb.setEviction(eviction)
  }

  /** Every cache, those of the devices too. */
  flushCaches(): void {
    for (const cache of ownCaches(this.#caches)) cache.flushAll()
    for (const { tlb } of this.#path.devicesWithTlb()) tlb.flushAll()
  }

  cacheSizes(): readonly CacheFill[] {
    const { context, pasid, iotlb, structures } = this.#caches
    const own = [
      ['CONTEXT', context],
      ['PASID', pasid],
      ['IOTLB', iotlb],
      ['PAGING_STRUCTURE', structures],
    ] as const
    const fills: CacheFill[] = own.map(([name, { size, capacity, evicted }]) => {
      return { name, device: '', entries: size, capacity, evicted }
    })
    for (const { name: device, tlb } of this.#path.devicesWithTlb()) {
      const { size: entries, capacity, evicted } = tlb
      fills.push({ name: 'DEVICE_TLB', device, entries, capacity, evicted })
    }
    return fills
  }

  #withinMask(block: PageBlock | undefined): PageBlock | undefined {
    return block !== undefined && block.order <= this.options.addressMask ? block : undefined
  }
}

function ownCaches({
  context,
  pasid,
  iotlb,
  structures,
}: UnitCaches): readonly UnitCaches[keyof UnitCaches][] {
  return [context, pasid, iotlb, structures]
}

/** The block of an invalidation's range; undefined when it is the whole address space. */
export function blockOfRange(range: {
  readonly address: bigint
  readonly pages: bigint
}): PageBlock | undefined {
  assert((range.address & 0xfffn) === 0n, 'an invalidated address is page aligned')
  const block = blockAround(pageNumberOf(range.address), Number(range.pages))
  return block.order === PAGE_NUMBER_BITS ? undefined : block
}
