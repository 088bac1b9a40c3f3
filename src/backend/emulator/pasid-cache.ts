/**
 * The PASID cache: entries of PASID tables that a request once needed, tagged (source id, PASID)
 * and DID (VT-d 6.2.2.2). Served until invalidated, even when the table has changed. With caching
 * mode also what was found of an entry that is not present or wrong: it has no DID of its own, its
 * tag is 0, and a PASID-selective flush takes it whatever DID that names (Linux pasid_flush_caches
 * names the new entry's). Bounded, the oldest goes first. Called by the unit.
 */

import { assert } from '../../core/assert.js'
import type { FetchedEntry } from './pasid-table.js'
import { GROWN_ENTRIES_MAX } from './tagged-cache.js'

const PASID_SPAN = 2 ** 20
/** The tag of what has no entry. */
export const ABSENT_DOMAIN = 0

export class PasidCache {
  readonly #capacity: number
  /** By source id and PASID; a Map keeps the order of filling. */
  readonly #entries = new Map<number, FetchedEntry>()
  /** Which source ids hold an entry of a PASID: a PASID-selective flush names no source id. */
  readonly #sources = new Map<number, Set<number>>()
  #evicts = true
  #evicted = 0

  constructor(capacity: number) {
    assert(Number.isSafeInteger(capacity) && capacity >= 1, `${capacity} PASID-cache entries`)
    this.#capacity = capacity
  }

  get size(): number {
    return this.#entries.size
  }

  get capacity(): number {
    return this.#evicts ? this.#capacity : Math.max(this.#capacity, GROWN_ENTRIES_MAX)
  }

  /** Entries that were replaced by others since setEviction(). */
  get evicted(): number {
    return this.#evicted
  }

  setEviction(on: boolean): void {
    this.#evicts = on
    this.#evicted = 0
  }

  find(sourceId: number, pasid: number): FetchedEntry | undefined {
    return this.#entries.get(sourceId * PASID_SPAN + pasid)
  }

  fill(sourceId: number, pasid: number, fetched: FetchedEntry): void {
    while (this.#entries.size >= this.capacity) this.#dropOldest()
    this.#entries.set(sourceId * PASID_SPAN + pasid, fetched)
    const sources = this.#sources.get(pasid)
    if (sources === undefined) this.#sources.set(pasid, new Set([sourceId]))
    else sources.add(sourceId)
  }

  /** Whatever the source id: the descriptor has none (VT-d 6.5.2.2). */
  flushPasid(domain: number, pasid: number): void {
    const sources = this.#sources.get(pasid)
    if (sources === undefined) return
    for (const sourceId of sources) {
      const cached = this.find(sourceId, pasid)
      if (cached === undefined) continue
      if (cached.kind === 'FAULT' || cached.entry.domain === domain) this.#drop(sourceId, pasid)
    }
  }

  flushDomain(domain: number): void {
    for (const [key, cached] of this.#entries) {
      const tag = cached.kind === 'FAULT' ? ABSENT_DOMAIN : cached.entry.domain
      if (tag === domain) this.#drop(Math.floor(key / PASID_SPAN), key % PASID_SPAN)
    }
  }

  flushAll(): void {
    this.#entries.clear()
    this.#sources.clear()
  }

  #dropOldest(): void {
    for (const key of this.#entries.keys()) {
      this.#drop(Math.floor(key / PASID_SPAN), key % PASID_SPAN)
      this.#evicted += 1
      return
    }
  }

  #drop(sourceId: number, pasid: number): void {
    this.#entries.delete(sourceId * PASID_SPAN + pasid)
    const sources = this.#sources.get(pasid)
    sources?.delete(sourceId)
    if (sources?.size === 0) this.#sources.delete(pasid)
  }
}
