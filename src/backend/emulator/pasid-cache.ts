/**
 * The PASID cache: entries of PASID tables that a request once needed, tagged (source id, PASID)
 * and DID (VT-d 6.2.2.2). Served until invalidated, even when the table has changed; bounded, the
 * oldest goes first. Called by the unit.
 */

import type { PasidEntry } from './pasid-entry.js'

/** Entries held; a real unit holds some hundreds. */
const PASID_CACHE_ENTRIES = 1024
const PASID_SPAN = 2 ** 20

export class PasidCache {
  /** By source id and PASID; a Map keeps the order of filling. */
  readonly #entries = new Map<number, PasidEntry>()
  /** Which source ids hold an entry of a PASID: a PASID-selective flush names no source id. */
  readonly #sources = new Map<number, Set<number>>()

  get size(): number {
    return this.#entries.size
  }

  find(sourceId: number, pasid: number): PasidEntry | undefined {
    return this.#entries.get(sourceId * PASID_SPAN + pasid)
  }

  fill(sourceId: number, pasid: number, entry: PasidEntry): void {
    if (this.#entries.size >= PASID_CACHE_ENTRIES) this.#dropOldest()
    this.#entries.set(sourceId * PASID_SPAN + pasid, entry)
    const sources = this.#sources.get(pasid)
    if (sources === undefined) this.#sources.set(pasid, new Set([sourceId]))
    else sources.add(sourceId)
  }

  /** Whatever the source id: the descriptor has none (VT-d 6.5.2.2). */
  flushPasid(domain: number, pasid: number): void {
    const sources = this.#sources.get(pasid)
    if (sources === undefined) return
    for (const sourceId of sources) {
      if (this.find(sourceId, pasid)?.domain === domain) this.#drop(sourceId, pasid)
    }
  }

  #dropOldest(): void {
    for (const key of this.#entries.keys()) {
      this.#drop(Math.floor(key / PASID_SPAN), key % PASID_SPAN)
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
