/**
 * The paging-structure caches (VT-d 6.2.5): entries of page tables that lead to tables, so that a
 * walk need not begin at the top. Of a first stage by (DID, PASID, level, prefix), with the place
 * that the second stage gave the table; of a second stage by (DID, level, prefix). It holds what a
 * walk once found; only a flush (with IH clear) or replacement takes it out. Called by the walks
 * and the unit.
 */

import type { PageBlock } from './pages.js'
import { NO_SLOT } from './slot-chains.js'
import { FLAG_FIRST, TaggedCache } from './tagged-cache.js'

/** Pages below an entry of level 2 to 5, as their order. */
const STRUCTURE_ORDERS = [9, 18, 27, 36] as const

export interface Structure {
  /** Input pages below the entry; the table has entries of `order - 9`. */
  readonly first: number
  readonly order: number
  /** Page number of the table, host-physical. */
  readonly frame: number
  /** Of a first stage: the table's page number before the second stage. */
  readonly guest: number
  /** What all entries down to here allow. `user` is of a first stage, `readable` of a second. */
  readonly readable: boolean
  readonly writable: boolean
  readonly user: boolean
  /** Of a first stage: flags may be set in the table without asking the second stage again. */
  readonly flagsWritable: boolean
}

const READABLE = FLAG_FIRST
const WRITABLE = FLAG_FIRST << 1
const USER = FLAG_FIRST << 2
const FLAGS_WRITABLE = FLAG_FIRST << 3

export class PagingStructureCache {
  readonly #cache: TaggedCache

  constructor(slots: number) {
    this.#cache = new TaggedCache(slots, STRUCTURE_ORDERS)
  }

  get size(): number {
    return this.#cache.size
  }

  get capacity(): number {
    return this.#cache.capacity
  }

  /** Entries that were replaced by others since setEviction(). */
  get evicted(): number {
    return this.#cache.evicted
  }

  setEviction(on: boolean): void {
    this.#cache.setEviction(on)
  }

  /** The one nearest to the leaf. `pasid` is NO_PASID for a second stage. */
  find(domain: number, pasid: number, page: number): Structure | undefined {
    const cache = this.#cache
    const slot = cache.find(domain, pasid, page, 0)
    if (slot === NO_SLOT) return undefined
    const flags = cache.flags(slot)
    return {
      first: cache.first(slot),
      order: cache.order(slot),
      frame: cache.frame(slot),
      guest: cache.second(slot),
      readable: (flags & READABLE) !== 0,
      writable: (flags & WRITABLE) !== 0,
      user: (flags & USER) !== 0,
      flagsWritable: (flags & FLAGS_WRITABLE) !== 0,
    }
  }

  fill(domain: number, pasid: number, structure: Structure): void {
    let flags = structure.readable ? READABLE : 0
    if (structure.writable) flags |= WRITABLE
    if (structure.user) flags |= USER
    if (structure.flagsWritable) flags |= FLAGS_WRITABLE
    const { frame, guest } = structure
    this.#cache.fill(domain, pasid, structure, { frame, second: guest, flags })
  }

  flushBlock(domain: number, pasid: number, block: PageBlock): void {
    this.#cache.flushBlock(domain, pasid, block)
  }

  flushPasid(domain: number, pasid: number): void {
    this.#cache.flushPasid(domain, pasid)
  }

  /** As TranslationCache.flushDomain(). */
  flushDomain(domain: number, block: PageBlock | undefined): void {
    this.#cache.flushDomain(domain, block)
  }

  flushAll(): void {
    this.#cache.flushAll()
  }
}
