/**
 * Doubly linked chains of slots in typed arrays, by bucket: the index of a cache. Each slot is in
 * one chain at most. Adding, removing and stepping are O(1) and make no object. Called by the
 * translation cache only.
 */

import { assert } from '../../core/assert.js'

/** Ends a chain; no slot has this number. */
export const NO_SLOT = -1

export class SlotChains {
  readonly #heads: Int32Array
  readonly #next: Int32Array
  readonly #previous: Int32Array

  /** As many buckets as slots: a power of two. */
  constructor(slots: number) {
    this.#heads = new Int32Array(slots).fill(NO_SLOT)
    this.#next = new Int32Array(slots).fill(NO_SLOT)
    this.#previous = new Int32Array(slots).fill(NO_SLOT)
  }

  /** The slot added last, or NO_SLOT. */
  head(bucket: number): number {
    return this.#heads[bucket] ?? NO_SLOT
  }

  next(slot: number): number {
    return this.#next[slot] ?? NO_SLOT
  }

  add(slot: number, bucket: number): void {
    const head = this.head(bucket)
    assert(head !== slot, 'an added slot is in no chain yet')
    this.#next[slot] = head
    this.#previous[slot] = NO_SLOT
    if (head !== NO_SLOT) this.#previous[head] = slot
    this.#heads[bucket] = slot
  }

  remove(slot: number, bucket: number): void {
    const next = this.next(slot)
    const previous = this.#previous[slot] ?? NO_SLOT
    if (previous === NO_SLOT) {
      assert(this.head(bucket) === slot, 'a removed slot is in its chain')
      this.#heads[bucket] = next
    } else this.#next[previous] = next
    if (next !== NO_SLOT) this.#previous[next] = previous
  }
}
