/**
 * A cache of translations: the IOTLB, tagged (DID, PASID, block), and each device's TLB, tagged
 * (PASID, block) with DID 0 (VT-d 6.2.3, 6.2.4; PCIe ATS). It holds what a walk once found, whether
 * or not the tables still say so: only a flush or the replacement of the oldest takes it out.
 *
 * What always holds: bounded, no object per entry; every valid slot is in three chains (by page, by
 * (DID, PASID), by DID), so a flush of a page looks at that page's bucket and a flush of a PASID or
 * a domain at its own entries, never at the whole cache. Two PASIDs may share a bucket: the tags
 * decide, and no flush takes more than its tags say. Called by the unit.
 */

import { assert } from '../../core/assert.js'
import type { Mapping } from './page-walk.js'
import { blockStart, LEAF_ORDERS, overlaps, type PageBlock } from './pages.js'
import { NO_SLOT, SlotChains } from './slot-chains.js'

/** DID and PASID. */
export interface CacheTag {
  readonly domain: number
  readonly pasid: number
}

const VALID = 1
const WRITABLE = 2
const USER = 4
const DIRTY = 8
const SUPERVISOR = 16
/** Up to 2^3 pages are looked up one by one; a larger block goes through the PASID's chain. */
const LOOKUP_ORDER_MAX = 3

export class TranslationCache {
  readonly #slots: number
  readonly #mask: number
  readonly #domain: Uint16Array
  readonly #pasid: Uint32Array
  readonly #first: Float64Array
  readonly #frame: Float64Array
  readonly #order: Uint8Array
  readonly #flags: Uint8Array
  readonly #byPage: SlotChains
  readonly #byPasid: SlotChains
  readonly #byDomain: SlotChains
  /** The next to be replaced: first in, first out. */
  #cursor = 0
  #size = 0

  constructor(slots: number) {
    assert(slots >= 2 && slots <= 2 ** 20 && (slots & (slots - 1)) === 0, `${slots} cache slots`)
    this.#slots = slots
    this.#mask = slots - 1
    this.#domain = new Uint16Array(slots)
    this.#pasid = new Uint32Array(slots)
    this.#first = new Float64Array(slots)
    this.#frame = new Float64Array(slots)
    this.#order = new Uint8Array(slots)
    this.#flags = new Uint8Array(slots)
    this.#byPage = new SlotChains(slots)
    this.#byPasid = new SlotChains(slots)
    this.#byDomain = new SlotChains(slots)
  }

  get size(): number {
    return this.#size
  }

  find(tag: CacheTag, page: number): Mapping | undefined {
    if (this.#size === 0) return undefined
    for (const order of LEAF_ORDERS) {
      const slot = this.#findSlot(tag, blockStart(page, order), order)
      if (slot !== NO_SLOT) return this.#mapping(slot)
    }
    return undefined
  }

  /** Takes the place of the same block's entry, else of the oldest. */
  fill(tag: CacheTag, mapping: Mapping): void {
    assert(blockStart(mapping.first, mapping.order) === mapping.first, 'a cached block is aligned')
    const known = this.#findSlot(tag, mapping.first, mapping.order)
    const slot = known === NO_SLOT ? this.#cursor : known
    if (known === NO_SLOT) this.#cursor = (this.#cursor + 1) % this.#slots
    if (this.#isValid(slot)) this.#drop(slot)
    this.#domain[slot] = tag.domain
    this.#pasid[slot] = tag.pasid
    this.#first[slot] = mapping.first
    this.#frame[slot] = mapping.frame
    this.#order[slot] = mapping.order
    const rights = (mapping.writable ? WRITABLE : 0) | (mapping.user ? USER : 0)
    const state = (mapping.supervisor ? SUPERVISOR : 0) | (mapping.dirty ? DIRTY : 0)
    this.#flags[slot] = VALID | rights | state
    this.#byPage.add(slot, this.#pageBucket(tag, mapping.first, mapping.order))
    this.#byPasid.add(slot, this.#pasidBucket(tag))
    this.#byDomain.add(slot, tag.domain & this.#mask)
    this.#size += 1
  }

  /** Every entry of the tag that maps a page of the block: a large one by any page inside it. */
  flushBlock(tag: CacheTag, block: PageBlock): void {
    if (this.#size === 0) return
    if (block.order > LOOKUP_ORDER_MAX) {
      this.#flushPasidChain(tag, block)
      return
    }
    for (let i = 0; i < 2 ** block.order; i += 1) this.#dropIfFound(tag, block.first + i, 0)
    for (const order of LEAF_ORDERS) {
      if (order > 0) this.#dropIfFound(tag, blockStart(block.first, order), order)
    }
  }

  flushPasid(tag: CacheTag): void {
    if (this.#size > 0) this.#flushPasidChain(tag, undefined)
  }

  /** `block` undefined = everything of the domain. */
  flushDomain(domain: number, block: PageBlock | undefined): void {
    if (this.#size === 0) return
    for (let slot = this.#byDomain.head(domain & this.#mask); slot !== NO_SLOT; ) {
      const next = this.#byDomain.next(slot)
      if (this.#domain[slot] === domain && this.#touches(slot, block)) this.#drop(slot)
      slot = next
    }
  }

  flushAll(): void {
    for (let slot = 0; slot < this.#slots; slot += 1) if (this.#isValid(slot)) this.#drop(slot)
  }

  #flushPasidChain(tag: CacheTag, block: PageBlock | undefined): void {
    for (let slot = this.#byPasid.head(this.#pasidBucket(tag)); slot !== NO_SLOT; ) {
      const next = this.#byPasid.next(slot)
      if (this.#carries(slot, tag) && this.#touches(slot, block)) this.#drop(slot)
      slot = next
    }
  }

  #dropIfFound(tag: CacheTag, first: number, order: number): void {
    const slot = this.#findSlot(tag, first, order)
    if (slot !== NO_SLOT) this.#drop(slot)
  }

  #drop(slot: number): void {
    assert(this.#isValid(slot), 'a dropped slot is valid')
    const tag = { domain: this.#domain[slot] ?? 0, pasid: this.#pasid[slot] ?? 0 }
    const bucket = this.#pageBucket(tag, this.#first[slot] ?? 0, this.#order[slot] ?? 0)
    this.#byPage.remove(slot, bucket)
    this.#byPasid.remove(slot, this.#pasidBucket(tag))
    this.#byDomain.remove(slot, tag.domain & this.#mask)
    this.#flags[slot] = 0
    this.#size -= 1
  }

  #findSlot(tag: CacheTag, first: number, order: number): number {
    let slot = this.#byPage.head(this.#pageBucket(tag, first, order))
    while (slot !== NO_SLOT) {
      const same = this.#first[slot] === first && this.#order[slot] === order
      if (same && this.#carries(slot, tag)) return slot
      slot = this.#byPage.next(slot)
    }
    return NO_SLOT
  }

  #mapping(slot: number): Mapping {
    const flags = this.#flags[slot] ?? 0
    return {
      frame: this.#frame[slot] ?? 0,
      first: this.#first[slot] ?? 0,
      order: this.#order[slot] ?? 0,
      writable: (flags & WRITABLE) !== 0,
      user: (flags & USER) !== 0,
      supervisor: (flags & SUPERVISOR) !== 0,
      dirty: (flags & DIRTY) !== 0,
    }
  }

  #isValid(slot: number): boolean {
    return ((this.#flags[slot] ?? 0) & VALID) !== 0
  }

  #carries(slot: number, tag: CacheTag): boolean {
    return this.#domain[slot] === tag.domain && this.#pasid[slot] === tag.pasid
  }

  #touches(slot: number, block: PageBlock | undefined): boolean {
    if (block === undefined) return true
    return overlaps(this.#first[slot] ?? 0, this.#order[slot] ?? 0, block)
  }

  #pageBucket(tag: CacheTag, first: number, order: number): number {
    const low = first | 0
    const high = Math.floor(first / 2 ** 32) | 0
    const page = Math.imul(low, 0x9e3779b1) ^ Math.imul(high + order, 0x85ebca6b)
    return this.#spread(page ^ Math.imul(tag.pasid, 0xc2b2ae35) ^ tag.domain)
  }

  #pasidBucket(tag: CacheTag): number {
    return this.#spread(Math.imul(tag.pasid, 0x9e3779b1) ^ Math.imul(tag.domain, 0x85ebca6b))
  }

  /** The upper bits of a product depend on all of its factors; the lower ones pick the bucket. */
  #spread(hash: number): number {
    return (hash ^ (hash >>> 15)) & this.#mask
  }
}
