/**
 * The context cache: context entries that a request once needed, by source id (VT-d 6.2.2). Served
 * until invalidated, even when the entry has changed. With caching mode also what was found of an
 * entry that is not present or wrong. Bounded, the oldest goes first. Called by the unit.
 */

import { assert } from '../../core/assert.js'
import type { FoundContext } from './context-entry.js'

/**
 * A real unit holds some hundreds. There are 2^16 source ids, so this needs no bound to grow to.
 */
const CONTEXT_CACHE_ENTRIES = 256

export class ContextCache {
  /** By source id; a Map keeps the order of filling. */
  readonly #entries = new Map<number, FoundContext>()
  #evicts = true
  #evicted = 0

  get size(): number {
    return this.#entries.size
  }

  get capacity(): number {
    return this.#evicts ? CONTEXT_CACHE_ENTRIES : 2 ** 16
  }

  /** Entries that were replaced by others since setEviction(). */
  get evicted(): number {
    return this.#evicted
  }

  setEviction(on: boolean): void {
    this.#evicts = on
    this.#evicted = 0
  }

  find(sourceId: number): FoundContext | undefined {
    return this.#entries.get(sourceId)
  }

  fill(sourceId: number, found: FoundContext): void {
    assert(!this.#entries.has(sourceId), 'what is cached already is not fetched')
    if (this.#evicts && this.#entries.size >= CONTEXT_CACHE_ENTRIES) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        this.#evicted += 1
        break
      }
    }
    this.#entries.set(sourceId, found)
  }

  /** `functionMask`: FM; 1 to 3 leave the upper 1 to 3 bits of the function out of the match. */
  flushDevice(sourceId: number, functionMask: number): void {
    if (functionMask === 0) {
      this.#entries.delete(sourceId)
      return
    }
    const ignored = 0b111 & ~(0b111 >>> functionMask)
    for (const each of this.#entries.keys()) {
      if ((each | ignored) === (sourceId | ignored)) this.#entries.delete(each)
    }
  }

  flushAll(): void {
    this.#entries.clear()
  }
}
