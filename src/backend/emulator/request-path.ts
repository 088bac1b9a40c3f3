/**
 * The way of a device's request to its translation: device-TLB, context cache or entry, PASID cache
 * or entry, IOTLB, page walk; each miss fills what it passed on the way back. The same way is gone
 * for real, without caches (what the tables say), and with invalidations imagined (the oracle): a
 * view says which.
 *
 * What always holds: a cached translation answers as long as it permits the access, true or not.
 * Faults are never cached, but for entries that are not present or wrong, with caching mode. A
 * cached translation that does not permit the access is walked anew, so a right that was granted
 * later needs no invalidation. IOTLB tags carry no source id: like real software (VT-d 6.2.3.1),
 * whoever gives one (DID, PASID) two different tables gets the translations of either.
 * Called by the unit and the oracle.
 */

import { ContextCache } from './context-cache.js'
import { readContext, type ContextEntry, type FoundContext } from './context-entry.js'
import { FAULT, isRecorded, type FaultCode, type FaultName } from './faults.js'
import { PAGE_BYTES, type PhysicalMemory } from './memory.js'
import { takes, type Hit, type Removal } from './needed.js'
import { isInterruptPage, walk } from './page-walk.js'
import { pageNumberOf, type PageBlock } from './pages.js'
import { PagingStructureCache } from './paging-structure-cache.js'
import { ABSENT_DOMAIN, PasidCache } from './pasid-cache.js'
import type { PasidEntry } from './pasid-entry.js'
import { fetchPasidEntry, PASID_BITS_SMALLEST, type FetchedEntry } from './pasid-table.js'
import { NO_PASID } from './tagged-cache.js'
import { rightsFor, TranslationCache, type Mapping } from './translation-cache.js'
import type { UnitOptions } from './unit-options.js'
import { WalkScope } from './walk-scope.js'

/** A device, as the unit sees it. */
export interface UnitDevice {
  readonly name: string
  readonly sourceId: number
  /** Whether it has a device-TLB. */
  readonly ats: boolean
  /** Made by the unit with the first translation that is kept. */
  tlb: TranslationCache | undefined
}

export interface Access {
  /** 20 bits, of whatever the request's prefix says; undefined = a request without PASID. */
  readonly pasid: number | undefined
  /** 64 bits. */
  readonly address: bigint
  readonly write: boolean
  /** A supervisor request; of one without PASID the context entry's RID_PRIV counts instead. */
  readonly privileged: boolean
}

export type Outcome =
  | {
      readonly kind: 'TRANSLATED'
      /** Host-physical. */
      readonly address: number
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

/** Who answered: the tables when the request was walked, or failed before it could be. */
export type Source = 'DEVICE_TLB' | 'IOTLB' | 'TABLES'

export interface Followed {
  readonly outcome: Outcome
  readonly source: Source
  /** Whether the dirty flags are set that a write would leave. */
  readonly dirty: boolean
  /** Of a walk: host-physical addresses of the entries whose dirty flag was clear; -1 = of none. */
  readonly leaf: number
  readonly secondLeaf: number
}

/** The unit's own caches. */
export interface UnitCaches {
  readonly context: ContextCache
  readonly pasid: PasidCache
  readonly iotlb: TranslationCache
  readonly structures: PagingStructureCache
}

export function makeCaches(options: UnitOptions): UnitCaches {
  const caches = {
    context: new ContextCache(),
    pasid: new PasidCache(options.pasidCacheEntries),
    iotlb: new TranslationCache(options.iotlbEntries),
    structures: new PagingStructureCache(options.pagingStructureEntries),
  }
  for (const cache of Object.values(caches)) cache.setEviction(options.eviction)
  return caches
}

export interface View {
  /** Undefined: only the tables are asked. */
  readonly caches: UnitCaches | undefined
  /** Fills caches and sets flags. */
  readonly live: boolean
  /** Imagined: what these take away is not there, and every hit is noted. */
  readonly imagined: { readonly removals: readonly Removal[]; readonly hits: Hit[] } | undefined
}

/** Device-TLB entries are tagged by PASID only. */
const NO_DOMAIN = 0

interface Step {
  readonly device: UnitDevice
  readonly access: Access
  readonly page: number
  readonly view: View
}

export class RequestPath {
  readonly #memory: PhysicalMemory
  readonly #root: number
  /** Devices whose TLBs were made here. */
  readonly #withTlb = new Set<UnitDevice>()
  /** Caching mode and eviction are switched by the unit. */
  options: UnitOptions

  constructor(memory: PhysicalMemory, root: number, options: UnitOptions) {
    this.#memory = memory
    this.#root = root
    this.options = options
  }

  /** Devices that have a TLB. */
  devicesWithTlb(): readonly (UnitDevice & { readonly tlb: TranslationCache })[] {
    const found: (UnitDevice & { readonly tlb: TranslationCache })[] = []
    for (const device of this.#withTlb) if (hasTlb(device)) found.push(device)
    return found
  }

  follow(device: UnitDevice, access: Access, view: View): Followed {
    const page = pageNumberOf(access.address)
    const { pasid } = access
    // Not DMA: an interrupt message, which no table translates (VT-d 3.14).
    if (pasid === undefined && isInterruptPage(page)) return failed('INTERRUPT_ADDRESS', false)
    const step = { device, access, page, view }
    const own = this.#findInDevice(step)
    if (own !== undefined) return served(own, step, 'DEVICE_TLB')
    const found = this.#context(step)
    if (found.kind === 'FAULT') return failed(found.fault, found.silenced)
    const context = found.entry
    const silenced = context.faultsDisabled
    const limit = 2 ** (context.directorySize + PASID_BITS_SMALLEST)
    if (pasid !== undefined && !context.pasids) return failed('PASID_NOT_ENABLED', silenced)
    const number = pasid ?? context.ridPasid
    if (number >= limit) {
      return failed(pasid === undefined ? 'RID_PASID_BEYOND_TABLE' : 'PASID_BEYOND_TABLE', silenced)
    }
    const fetched = this.#pasidEntry(step, context.directory, number)
    const quiet = silenced || fetched.silenced
    if (fetched.kind === 'FAULT') return failed(fetched.fault, quiet)
    return this.#translate(step, { context, entry: fetched.entry, pasid: number, silenced: quiet })
  }

  #translate(
    step: Step,
    found: {
      readonly context: ContextEntry
      readonly entry: PasidEntry
      readonly pasid: number
      readonly silenced: boolean
    },
  ): Followed {
    const { access, page, view } = step
    const { context, entry, pasid, silenced } = found
    const privileged = access.pasid === undefined ? context.ridPrivileged : access.privileged
    if (privileged && entry.firstStage?.supervisor === false) {
      return failed('SUPERVISOR_NOT_ALLOWED', silenced)
    }
    if (entry.type === 'PASS_THROUGH') {
      const through = this.#passThrough(page)
      if (typeof through === 'string') return failed(through, silenced)
      this.#fillDevice(step, context, through)
      return served(through, step, 'TABLES')
    }
    // What a second stage alone translates is the same for all PASIDs.
    const tag = entry.firstStage === undefined ? NO_PASID : pasid
    const { domain } = entry
    const known = this.#findInIotlb(step, domain, tag, privileged)
    if (known !== undefined) {
      this.#fillDevice(step, context, known)
      return served(known, step, 'IOTLB')
    }
    const request = { pasid, page, write: access.write, privileged }
    const walked = walk(this.#scope(view, domain), entry, request)
    if (walked.kind === 'FAULT') return failed(walked.fault, silenced)
    if (view.live) view.caches?.iotlb.fill(domain, tag, walked.mapping)
    this.#fillDevice(step, context, walked.mapping)
    const { leaf, secondLeaf } = walked
    return { ...served(walked.mapping, step, 'TABLES'), leaf, secondLeaf }
  }

  /** The host-physical address itself. Nothing of it is in the IOTLB; a device may keep it. */
  #passThrough(page: number): Mapping | FaultName {
    if (page >= 2 ** (this.options.hostAddressWidth - 12)) return 'ADDRESS_BEYOND_WIDTH'
    if (isInterruptPage(page)) return 'INTERRUPT_ADDRESS'
    const rights = { readable: true, writable: true, user: true, supervisor: true, dirty: true }
    return { frame: page, first: page, order: 0, ...rights }
  }

  #context({ device, view }: Step): FoundContext {
    const { sourceId } = device
    const cached = view.caches?.context.find(sourceId)
    if (cached !== undefined && this.#counts(view, { cache: 'CONTEXT', sourceId })) return cached
    const found = readContext(this.#memory, { root: this.#root, sourceId }, this.options)
    if (view.live && (found.kind === 'CONTEXT' || this.options.cachingMode)) {
      view.caches?.context.fill(sourceId, found)
    }
    return found
  }

  #pasidEntry({ device, view }: Step, directory: number, pasid: number): FetchedEntry {
    const { sourceId } = device
    const cached = view.caches?.pasid.find(sourceId, pasid)
    if (cached !== undefined) {
      const absent = cached.kind === 'FAULT'
      const domain = absent ? ABSENT_DOMAIN : cached.entry.domain
      if (this.#counts(view, { cache: 'PASID', domain, pasid, absent })) return cached
    }
    const fetched = fetchPasidEntry(this.#memory, { directory, pasid }, this.options)
    if (view.live && (fetched.kind === 'ENTRY' || this.options.cachingMode)) {
      view.caches?.pasid.fill(sourceId, pasid, fetched)
    }
    return fetched
  }

  #findInDevice({ device, access, page, view }: Step): Mapping | undefined {
    const { pasid, write } = access
    if (view.caches === undefined || device.tlb === undefined) return undefined
    const rights = rightsFor(write, pasid === undefined ? undefined : access.privileged)
    const found = device.tlb.find(NO_DOMAIN, pasid ?? NO_PASID, page, rights)
    if (found === undefined) return undefined
    const { sourceId } = device
    const hit = { cache: 'DEVICE_TLB', sourceId, pasid, block: found } as const
    return this.#counts(view, hit) ? found : undefined
  }

  #findInIotlb(
    { access, page, view }: Step,
    domain: number,
    pasid: number,
    privileged: boolean,
  ): Mapping | undefined {
    const rights = rightsFor(access.write, privileged)
    const found = view.caches?.iotlb.find(domain, pasid, page, rights)
    if (found === undefined) return undefined
    const hit = { cache: 'IOTLB', domain, pasid, block: found, page } as const
    return this.#counts(view, hit) ? found : undefined
  }

  #scope(view: View, domain: number): WalkScope {
    const { caches, live, imagined } = view
    if (caches === undefined) return new WalkScope(this.#memory, this.options, live, undefined)
    const mayUse =
      imagined === undefined
        ? undefined
        : (pasid: number, block: PageBlock, page: number): boolean => {
            return this.#counts(view, { cache: 'PAGING_STRUCTURE', domain, pasid, block, page })
          }
    const structures = { cache: caches.structures, domain, mayUse }
    return new WalkScope(this.#memory, this.options, live, structures)
  }

  /** Whether the entry is there, in this view. */
  #counts({ imagined }: View, hit: Hit): boolean {
    if (imagined === undefined) return true
    if (imagined.removals.some((removal) => takes(removal, hit))) return false
    imagined.hits.push(hit)
    return true
  }

  #fillDevice({ device, access, view }: Step, context: ContextEntry, mapping: Mapping): void {
    if (!view.live || !device.ats || !context.deviceTlb) return
    if (device.tlb === undefined) {
      device.tlb = new TranslationCache(this.options.deviceTlbEntries)
      device.tlb.setEviction(this.options.eviction)
      this.#withTlb.add(device)
    }
    device.tlb.fill(NO_DOMAIN, access.pasid ?? NO_PASID, mapping)
  }
}

function hasTlb(device: UnitDevice): device is UnitDevice & { tlb: TranslationCache } {
  return device.tlb !== undefined
}

function served(mapping: Mapping, { access, page }: Step, source: Source): Followed {
  const offset = Number(access.address & 0xfffn)
  const address = (mapping.frame + page - mapping.first) * PAGE_BYTES + offset
  const outcome = { kind: 'TRANSLATED', address, order: mapping.order } as const
  return { outcome, source, dirty: mapping.dirty, leaf: -1, secondLeaf: -1 }
}

function failed(fault: FaultName, silenced: boolean): Followed {
  const recorded = isRecorded(fault, silenced)
  const outcome = { kind: 'FAULT', fault, code: FAULT[fault], recorded } as const
  return { outcome, source: 'TABLES', dirty: false, leaf: -1, secondLeaf: -1 }
}
