/**
 * The remapping unit: one root table and the caches of all devices behind it. `translate` is what a
 * device's request meets: device-TLB, PASID cache or fetch, IOTLB, page walk, in that order, each
 * miss filling the caches on the way back. The invalidations are the descriptors of VT-d 6.5.2.
 *
 * What always holds: a cached translation is served as long as it permits the access, true or not:
 * forgetting an invalidation has its real consequence. Faults are never cached. An entry that does
 * not permit the access, or is clean and to be written, is walked anew, so a right that was granted
 * later needs no invalidation. IOTLB tags carry no source id: like real software (VT-d 6.2.3.1),
 * whoever gives one (DID, PASID) two different tables gets the translations of either.
 * Called by the emulator and by the programming of bindings.
 */

import { assert } from '../../core/assert.js'
import { RID, type Target } from '../../core/ids.js'
import { AddressSpaces } from './address-space.js'
import type { DeviceState } from './device.js'
import { FAULT, type FaultCode, type FaultName } from './faults.js'
import { HostMemory, PAGE_BYTES } from './memory.js'
import type { OperationLog } from './operation-log.js'
import { walk, type Mapping, type WalkRequest } from './page-walk.js'
import { blockAround, PAGE_NUMBER_BITS, pageNumberOf, type PageBlock } from './pages.js'
import { PasidCache } from './pasid-cache.js'
import type { PasidEntry } from './pasid-entry.js'
import { fetchPasidEntry } from './pasid-table.js'
import { TranslationCache } from './translation-cache.js'

/** Of the order of a real unit's. */
export const IOTLB_ENTRIES_DEFAULT = 4096
/** A network card's ATC holds some hundreds. */
export const DEVICE_TLB_ENTRIES_DEFAULT = 256
/** CAP.MAMV of the recorded host: one page-selective descriptor covers 1 GiB at most. */
export const ADDRESS_MASK_DEFAULT = 18
/** Device-TLB entries are tagged by PASID only. */
const NO_DOMAIN = 0

export interface UnitOptions {
  readonly iotlbEntries: number
  readonly deviceTlbEntries: number
  /** CAP.MAMV. */
  readonly addressMask: number
  /** CAP.FL1GP. */
  readonly leaf1G: boolean
}

export interface Access {
  readonly target: Target
  /** 64 bits. */
  readonly address: bigint
  readonly write: boolean
  /** A supervisor request; legal only with SRE. */
  readonly privileged: boolean
}

export type Translation =
  | {
      readonly kind: 'TRANSLATED'
      /** Host-physical. */
      readonly address: number
      /** Who knew. */
      readonly source: 'DEVICE_TLB' | 'IOTLB' | 'TABLES'
      /** Pages of the mapping: 2^order. */
      readonly order: number
    }
  | {
      readonly kind: 'FAULT'
      readonly fault: FaultName
      readonly code: FaultCode
      /** False when FPD suppresses the record; the request is aborted all the same. */
      readonly recorded: boolean
    }

function permits(mapping: Mapping, access: Access): boolean {
  if (access.privileged ? !mapping.supervisor : !mapping.user) return false
  return !access.write || (mapping.writable && mapping.dirty)
}

function served(
  mapping: Mapping,
  access: Access,
  source: 'DEVICE_TLB' | 'IOTLB' | 'TABLES',
): Translation {
  const page = pageNumberOf(access.address)
  const offset = Number(access.address & 0xfffn)
  const address = (mapping.frame + page - mapping.first) * PAGE_BYTES + offset
  return { kind: 'TRANSLATED', address, source, order: mapping.order }
}

function failed(fault: FaultName, recorded: boolean): Translation {
  return { kind: 'FAULT', fault, code: FAULT[fault], recorded }
}

export class IommuUnit {
  readonly memory = new HostMemory()
  /** RTADDR. */
  readonly root = this.memory.allocate(1)
  readonly spaces = new AddressSpaces(this.memory)
  readonly log: OperationLog
  readonly #options: UnitOptions
  readonly #iotlb: TranslationCache
  readonly #pasidCache = new PasidCache()

  constructor(options: UnitOptions, log: OperationLog) {
    const { addressMask } = options
    assert(addressMask >= 9 && addressMask <= PAGE_NUMBER_BITS, `MAMV: ${addressMask}`)
    this.#options = options
    this.#iotlb = new TranslationCache(options.iotlbEntries)
    this.log = log
  }

  translate(device: DeviceState, access: Access): Translation {
    const { target } = access
    const page = pageNumberOf(access.address)
    const own = device.tlb?.find({ domain: NO_DOMAIN, pasid: target }, page)
    if (own !== undefined && permits(own, access)) return served(own, access, 'DEVICE_TLB')
    const fetched = this.#fetch(device, target)
    if (fetched.kind === 'FAULT') return failed(fetched.fault, fetched.recorded)
    const { entry } = fetched
    const recorded = !entry.faultsDisabled
    if (access.privileged && entry.firstStage?.supervisor !== true) {
      return failed('SUPERVISOR_NOT_ALLOWED', recorded)
    }
    const tag = { domain: entry.domain, pasid: target }
    const known = this.#iotlb.find(tag, page)
    if (known !== undefined && permits(known, access)) {
      this.#fillDeviceTlb(device, target, known)
      return served(known, access, 'IOTLB')
    }
    const { write, privileged } = access
    const walked = this.#walk(entry, { page, write, privileged, leaf1G: this.#options.leaf1G })
    if (walked.kind === 'FAULT') return failed(walked.fault, recorded)
    this.#iotlb.fill(tag, walked.mapping)
    this.#fillDeviceTlb(device, target, walked.mapping)
    return served(walked.mapping, access, 'TABLES')
  }

  /** Type 7, G = 1. */
  invalidatePasidCache(domain: number, pasid: number): void {
    const { log } = this
    if (log.on) log.record({ kind: 'INVALIDATE_PASID_CACHE', domain, pasid })
    this.#pasidCache.flushPasid(domain, pasid)
  }

  /**
   * Type 6. A block beyond MAMV is widened to all-in-PASID. `leaf` lets paging-structure caches
   * stay, of which there are none (page-walk.ts).
   */
  invalidatePiotlb(
    domain: number,
    pasid: number,
    asked: PageBlock | undefined,
    leaf: boolean,
  ): void {
    const { log } = this
    const block = this.#withinMask(asked)
    if (log.on) log.record({ kind: 'INVALIDATE_PIOTLB', domain, pasid, block, leaf })
    if (block === undefined) this.#iotlb.flushPasid({ domain, pasid })
    else this.#iotlb.flushBlock({ domain, pasid }, block)
  }

  /** Type 2: every PASID of the domain. A block beyond MAMV is widened to the whole domain. */
  invalidateIotlb(domain: number, asked: PageBlock | undefined, leaf: boolean): void {
    const { log } = this
    const block = this.#withinMask(asked)
    if (log.on) log.record({ kind: 'INVALIDATE_IOTLB', domain, block, leaf })
    this.#iotlb.flushDomain(domain, block)
  }

  /** Type 8 with a PASID, type 3 without one: Linux devtlb_invalidation_with_pasid. */
  invalidateDeviceTlb(device: DeviceState, target: Target, block: PageBlock | undefined): void {
    if (!device.ats) return
    const { log } = this
    const pasid = target === RID ? undefined : target
    if (log.on) log.record({ kind: 'INVALIDATE_DEVICE_TLB', device: device.name, pasid, block })
    const tag = { domain: NO_DOMAIN, pasid: target }
    if (block === undefined) device.tlb?.flushPasid(tag)
    else device.tlb?.flushBlock(tag, block)
  }

  cacheSizes(device: DeviceState): { pasidCache: number; iotlb: number; deviceTlb: number } {
    const deviceTlb = device.tlb?.size ?? 0
    return { pasidCache: this.#pasidCache.size, iotlb: this.#iotlb.size, deviceTlb }
  }

  #withinMask(block: PageBlock | undefined): PageBlock | undefined {
    return block !== undefined && block.order <= this.#options.addressMask ? block : undefined
  }

  #fetch(device: DeviceState, target: Target): ReturnType<typeof fetchPasidEntry> {
    const { sourceId } = device
    // RID_PASID of every context entry here is 0, which is also the tag of requests without PASID.
    const cached = this.#pasidCache.find(sourceId, target)
    if (cached !== undefined) return { kind: 'ENTRY', entry: cached }
    const pasid = target === RID ? undefined : target
    const fetched = fetchPasidEntry(this.memory, { root: this.root, sourceId, pasid })
    if (fetched.kind === 'ENTRY') this.#pasidCache.fill(sourceId, target, fetched.entry)
    return fetched
  }

  #walk(entry: PasidEntry, request: WalkRequest): ReturnType<typeof walk> {
    // Types without a second stage are the host's own. This unit offers neither (ECAP.PT = 0): a
    // guest's pass-through is its second stage alone.
    if (entry.secondStage === undefined) return { kind: 'FAULT', fault: 'PASID_ENTRY_INVALID' }
    const space = this.spaces.findByRoot(entry.secondStage.pointer)
    if (space === undefined) return { kind: 'FAULT', fault: 'SECOND_STAGE_POINTER_INVALID' }
    return walk(entry, space, request)
  }

  #fillDeviceTlb(device: DeviceState, target: Target, mapping: Mapping): void {
    if (!device.ats) return
    device.tlb ??= new TranslationCache(this.#options.deviceTlbEntries)
    device.tlb.fill({ domain: NO_DOMAIN, pasid: target }, mapping)
  }
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
