/**
 * What the unit's caches of addresses share: slots tagged (DID, PASID, block), in typed arrays. A
 * block is of one of a few sizes; what a slot says of it is a frame, a second number and flags,
 * whose meaning is that of the cache that is built on this one (translations, paging structures).
 *
 * What always holds: no object per entry; every valid slot is in three chains (by block, by (DID,
 * PASID), by DID), so a flush of a page looks at that page's buckets and a flush of a PASID or a
 * domain at its own entries, never at the whole cache. Tags that share a bucket are told apart, and
 * no flush takes more than its tags say. Bounded: the oldest is replaced, or, with eviction off,
 * the slots grow up to 65536, and only what is full then replaces. Replacements are counted: an
 * entry that was forgotten so needed no invalidation.
 */

import { assert } from '../../core/assert.js'
import { blockStart, overlaps, type PageBlock } from './pages.js'
import { NO_SLOT, SlotChains } from './slot-chains.js'

/** The tag of what no PASID reaches: requests without one, and the second stage. */
export const NO_PASID = 2 ** 20

/** How far a cache grows with eviction off. */
export const GROWN_ENTRIES_MAX = 65_536

const VALID = 1
/** The flags of the cache that is built on this one begin here. */
export const FLAG_FIRST = 2
/** Up to 2^3 pages are looked up one by one; a larger block goes through the PASID's chain. */
const LOOKUP_ORDER_MAX = 3

export class TaggedCache {
  readonly #orders: readonly number[]
  #slots: number
  #mask: number
  #domain: Uint16Array
  #pasid: Uint32Array
  #first: Float64Array
  #frame: Float64Array
  #second: Float64Array
  #order: Uint8Array
  #flags: Uint16Array
  #byBlock: SlotChains
  #byPasid: SlotChains
  #byDomain: SlotChains
  /** The next to be replaced: first in, first out. */
  #cursor = 0
  #size = 0
  #evicts = true
  #evicted = 0

  /** `orders`: the sizes of blocks, 2^order pages, ascending. */
  constructor(slots: number, orders: readonly number[]) {
    assert(slots >= 2 && slots <= 2 ** 20 && (slots & (slots - 1)) === 0, `${slots} cache slots`)
    this.#orders = orders
    this.#slots = slots
    this.#mask = slots - 1
    this.#domain = new Uint16Array(slots)
    this.#pasid = new Uint32Array(slots)
    this.#first = new Float64Array(slots)
    this.#frame = new Float64Array(slots)
    this.#second = new Float64Array(slots)
    this.#order = new Uint8Array(slots)
    this.#flags = new Uint16Array(slots)
    this.#byBlock = new SlotChains(slots)
    this.#byPasid = new SlotChains(slots)
    this.#byDomain = new SlotChains(slots)
  }

  get size(): number {
    return this.#size
  }

  get capacity(): number {
    return this.#evicts ? this.#slots : Math.max(this.#slots, GROWN_ENTRIES_MAX)
  }

  /** Entries that were replaced by others since setEviction(). */
  get evicted(): number {
    return this.#evicted
  }

  /** The count of replaced entries begins anew. */
  setEviction(on: boolean): void {
    this.#evicts = on
    this.#evicted = 0
  }

  /** The slot of the smallest block around the page that has all these flags; else NO_SLOT. */
  find(domain: number, pasid: number, page: number, flags: number): number {
    if (this.#size === 0) return NO_SLOT
    for (const order of this.#orders) {
      const slot = this.#findSlot(domain, pasid, blockStart(page, order), order)
      if (slot !== NO_SLOT && ((this.#flags[slot] ?? 0) & flags) === flags) return slot
    }
    return NO_SLOT
  }

  /** Of a slot that find() has answered. */
  first(slot: number): number {
    return this.#first[slot] ?? 0
  }

  order(slot: number): number {
    return this.#order[slot] ?? 0
  }

  frame(slot: number): number {
    return this.#frame[slot] ?? 0
  }

  second(slot: number): number {
    return this.#second[slot] ?? 0
  }

  flags(slot: number): number {
    return this.#flags[slot] ?? 0
  }

  /** Takes the place of the same block's entry, else a free one, else the oldest's. */
  fill(
    domain: number,
    pasid: number,
    block: PageBlock,
    content: { readonly frame: number; readonly second: number; readonly flags: number },
  ): void {
    const { first, order } = block
    assert(blockStart(first, order) === first, 'a cached block is aligned')
    const known = this.#findSlot(domain, pasid, first, order)
    const slot = known === NO_SLOT ? this.#take() : known
    if (this.#isValid(slot)) {
      if (known === NO_SLOT) this.#evicted += 1
      this.#drop(slot)
    }
    this.#domain[slot] = domain
    this.#pasid[slot] = pasid
    this.#first[slot] = first
    this.#order[slot] = order
    this.#frame[slot] = content.frame
    this.#second[slot] = content.second
    this.#flags[slot] = VALID | content.flags
    this.#link(slot)
    this.#size += 1
  }

  /** Every entry of the tag that covers a page of the block: a large one by any page inside it. */
  flushBlock(domain: number, pasid: number, block: PageBlock): void {
    if (this.#size === 0) return
    if (block.order > LOOKUP_ORDER_MAX) {
      this.#flushPasidChain(domain, pasid, block)
      return
    }
    for (const order of this.#orders) {
      if (order > 0) this.#dropIfFound(domain, pasid, blockStart(block.first, order), order)
      else {
        for (let i = 0; i < 2 ** block.order; i += 1) {
          this.#dropIfFound(domain, pasid, block.first + i, 0)
        }
      }
    }
  }

  flushPasid(domain: number, pasid: number): void {
    if (this.#size > 0) this.#flushPasidChain(domain, pasid, undefined)
  }

  /** `block` undefined = everything of the domain; else it is of entries without PASID only. */
  flushDomain(domain: number, block: PageBlock | undefined): void {
    if (this.#size === 0) return
    for (let slot = this.#byDomain.head(domain & this.#mask); slot !== NO_SLOT; ) {
      const next = this.#byDomain.next(slot)
      const reached = this.#pasid[slot] !== NO_PASID || this.#touches(slot, block)
      if (this.#domain[slot] === domain && reached) this.#drop(slot)
      slot = next
    }
  }

  flushAll(): void {
    if (this.#size === 0) return
    for (let slot = 0; slot < this.#slots; slot += 1) if (this.#isValid(slot)) this.#drop(slot)
  }

  #flushPasidChain(domain: number, pasid: number, block: PageBlock | undefined): void {
    for (let slot = this.#byPasid.head(this.#pasidBucket(domain, pasid)); slot !== NO_SLOT; ) {
      const next = this.#byPasid.next(slot)
      if (this.#carries(slot, domain, pasid) && this.#touches(slot, block)) this.#drop(slot)
      slot = next
    }
  }

  #dropIfFound(domain: number, pasid: number, first: number, order: number): void {
    const slot = this.#findSlot(domain, pasid, first, order)
    if (slot !== NO_SLOT) this.#drop(slot)
  }

  #take(): number {
    const grows = !this.#evicts && this.#size * 2 >= this.#slots
    if (grows && this.#slots < GROWN_ENTRIES_MAX) this.#grow(this.#slots * 2)
    // With eviction off the walk to a free slot is short: half of them are, below the bound.
    const walks = !this.#evicts && this.#size < this.#slots
    while (walks && this.#isValid(this.#cursor)) this.#advance()
    const slot = this.#cursor
    this.#advance()
    return slot
  }

  #advance(): void {
    this.#cursor = (this.#cursor + 1) & this.#mask
  }

  #grow(slots: number): void {
    const grown = new TaggedCache(slots, this.#orders)
    for (let slot = 0; slot < this.#slots; slot += 1) {
      if (!this.#isValid(slot)) continue
      const content = {
        frame: this.frame(slot),
        second: this.second(slot),
        flags: this.flags(slot),
      }
      const block = { first: this.first(slot), order: this.order(slot) }
      grown.fill(this.#domain[slot] ?? 0, this.#pasid[slot] ?? 0, block, content)
    }
    this.#slots = slots
    this.#mask = slots - 1
    this.#domain = grown.#domain
    this.#pasid = grown.#pasid
    this.#first = grown.#first
    this.#frame = grown.#frame
    this.#second = grown.#second
    this.#order = grown.#order
    this.#flags = grown.#flags
    this.#byBlock = grown.#byBlock
    this.#byPasid = grown.#byPasid
    this.#byDomain = grown.#byDomain
    this.#cursor = grown.#cursor
  }

  #link(slot: number): void {
    const domain = this.#domain[slot] ?? 0
    const pasid = this.#pasid[slot] ?? 0
    this.#byBlock.add(slot, this.#blockBucket(domain, pasid, this.first(slot), this.order(slot)))
    this.#byPasid.add(slot, this.#pasidBucket(domain, pasid))
    this.#byDomain.add(slot, domain & this.#mask)
  }

  #drop(slot: number): void {
    assert(this.#isValid(slot), 'a dropped slot is valid')
    const domain = this.#domain[slot] ?? 0
    const pasid = this.#pasid[slot] ?? 0
    this.#byBlock.remove(slot, this.#blockBucket(domain, pasid, this.first(slot), this.order(slot)))
    this.#byPasid.remove(slot, this.#pasidBucket(domain, pasid))
    this.#byDomain.remove(slot, domain & this.#mask)
    this.#flags[slot] = 0
    this.#size -= 1
  }

  #findSlot(domain: number, pasid: number, first: number, order: number): number {
    let slot = this.#byBlock.head(this.#blockBucket(domain, pasid, first, order))
    while (slot !== NO_SLOT) {
      const same = this.#first[slot] === first && this.#order[slot] === order
      if (same && this.#carries(slot, domain, pasid)) return slot
      slot = this.#byBlock.next(slot)
    }
    return NO_SLOT
  }

  #isValid(slot: number): boolean {
    return ((this.#flags[slot] ?? 0) & VALID) !== 0
  }

  #carries(slot: number, domain: number, pasid: number): boolean {
    return this.#domain[slot] === domain && this.#pasid[slot] === pasid
  }

  #touches(slot: number, block: PageBlock | undefined): boolean {
    if (block === undefined) return true
    return overlaps(this.first(slot), this.order(slot), block)
  }

  #blockBucket(domain: number, pasid: number, first: number, order: number): number {
    const low = first | 0
    const high = Math.floor(first / 2 ** 32) | 0
    const page = Math.imul(low, 0x9e3779b1) ^ Math.imul(high + order, 0x85ebca6b)
    return this.#spread(page ^ Math.imul(pasid, 0xc2b2ae35) ^ domain)
  }

  #pasidBucket(domain: number, pasid: number): number {
    return this.#spread(Math.imul(pasid, 0x9e3779b1) ^ Math.imul(domain, 0x85ebca6b))
  }

  /** The upper bits of a product depend on all of its factors; the lower ones pick the bucket. */
  #spread(hash: number): number {
    return (hash ^ (hash >>> 15)) & this.#mask
  }
}
