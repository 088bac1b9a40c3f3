/**
 * A cache of translations: the IOTLB, tagged (DID, PASID, block), and each device's TLB, tagged
 * (PASID, block) with DID 0 (VT-d 6.2.3, 6.2.4; PCIe ATS). Translations of a second stage alone,
 * and a device's of requests without PASID, carry NO_PASID. It holds what a walk once found,
 * whether or not the tables still say so: only a flush or replacement takes it out. Called by the
 * unit.
 */

import { LEAF_ORDERS, type PageBlock } from './pages.js'
import { NO_SLOT } from './slot-chains.js'
import { FLAG_FIRST, TaggedCache } from './tagged-cache.js'

/** What a walk found for a block of input pages. */
export interface Mapping {
  /** Host-physical number of the block's first page. */
  readonly frame: number
  /** The block of input pages that one leaf maps. */
  readonly first: number
  readonly order: number
  readonly readable: boolean
  readonly writable: boolean
  /** May be used by requests that are not privileged. */
  readonly user: boolean
  /** May be used by requests that are privileged: SRE of the entry that it was walked for. */
  readonly supervisor: boolean
  /** A write went through: the dirty flags that there are, are set. */
  readonly dirty: boolean
}

const READABLE = FLAG_FIRST
const WRITABLE = FLAG_FIRST << 1
const USER = FLAG_FIRST << 2
const SUPERVISOR = FLAG_FIRST << 3
const DIRTY = FLAG_FIRST << 4

/** What a mapping must have to answer an access. */
export type Rights = number

/** `privileged` undefined: whose request it is does not matter (a device's, without PASID). */
export function rightsFor(write: boolean, privileged: boolean | undefined): Rights {
  const access = write ? WRITABLE | DIRTY : READABLE
  if (privileged === undefined) return access
  return access | (privileged ? SUPERVISOR : USER)
}

export class TranslationCache {
  readonly #cache: TaggedCache

  constructor(slots: number) {
    this.#cache = new TaggedCache(slots, LEAF_ORDERS)
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

  /** The smallest block around the page with these rights. */
  find(domain: number, pasid: number, page: number, rights: Rights): Mapping | undefined {
    const cache = this.#cache
    const slot = cache.find(domain, pasid, page, rights)
    if (slot === NO_SLOT) return undefined
    const flags = cache.flags(slot)
    return {
      frame: cache.frame(slot),
      first: cache.first(slot),
      order: cache.order(slot),
      readable: (flags & READABLE) !== 0,
      writable: (flags & WRITABLE) !== 0,
      user: (flags & USER) !== 0,
      supervisor: (flags & SUPERVISOR) !== 0,
      dirty: (flags & DIRTY) !== 0,
    }
  }

  fill(domain: number, pasid: number, mapping: Mapping): void {
    let flags = mapping.readable ? READABLE : 0
    if (mapping.writable) flags |= WRITABLE
    if (mapping.user) flags |= USER
    if (mapping.supervisor) flags |= SUPERVISOR
    if (mapping.dirty) flags |= DIRTY
    this.#cache.fill(domain, pasid, mapping, { frame: mapping.frame, second: 0, flags })
  }

  flushBlock(domain: number, pasid: number, block: PageBlock): void {
    this.#cache.flushBlock(domain, pasid, block)
  }

  flushPasid(domain: number, pasid: number): void {
    this.#cache.flushPasid(domain, pasid)
  }

  /**
   * `block` undefined = everything of the domain. A block is of a second stage's input addresses:
   * it takes those translations of the second stage alone, and all that have a first stage above
   * it, which nothing tells apart by guest-physical address (VT-d 6.5.2.3).
   */
  flushDomain(domain: number, block: PageBlock | undefined): void {
    this.#cache.flushDomain(domain, block)
  }

  flushAll(): void {
    this.#cache.flushAll()
  }
}
