/**
 * Which request ids were used, and what was answered: one log per session (and per tenant for
 * OpenSession). Kept in typed arrays, 45 bytes an entry: a Map of a million UUIDs costs 564 MB.
 * An id stays while it is among the newest REQUEST_IDS_KEPT_MIN or younger than
 * REQUEST_ID_AGE_MS_MIN. Forgetting is time passing: it happens as ids come in and when the log is
 * full, only to what is durable, and is never undone.
 */

import { assert } from './assert.js'
import { REQUEST_IDS_KEPT_MIN, REQUEST_ID_AGE_MS_MIN } from './limits.js'
import type { SessionId, TenantId, WallMs } from './ids.js'

export const REQUEST_METHODS = [
  'OpenSession',
  'AllocatePasids',
  'FreePasids',
  'AttachDevice',
  'DetachDevice',
] as const
export type RequestMethod = (typeof REQUEST_METHODS)[number]

/** A caller's request id and its arguments, as 64-bit hashes in two 32-bit halves each. */
export interface RequestKey {
  readonly text: string
  readonly idHigh: number
  readonly idLow: number
  readonly fingerprintHigh: number
  readonly fingerprintLow: number
}

export interface RequestRecord {
  /** Exactly one owner: the session, or for OpenSession the tenant. */
  readonly session: SessionId | undefined
  readonly tenant: TenantId
  readonly method: RequestMethod
  readonly idHigh: number
  readonly idLow: number
  readonly fingerprintHigh: number
  readonly fingerprintLow: number
  readonly at: WallMs
  /** What the answer is rebuilt from: AllocatePasids first number; FreePasids numbers freed;
   * OpenSession the session's id; the others 0. */
  readonly answer: number
  /** The revision of the change it belongs to (for AllocatePasids the generation). */
  readonly revision: number
}

const FIRST_CAPACITY = 8

type Column = Uint8Array | Uint32Array | Float64Array

/** Fields of one entry, in columns; `order` is a ring, oldest first. */
export class RequestLog {
  #capacity = 0
  #oldest = 0
  #count = 0
  #id = new Uint32Array(0)
  #fingerprint = new Uint32Array(0)
  #method = new Uint8Array(0)
  #answer = new Float64Array(0)
  #revision = new Float64Array(0)
  #at = new Float64Array(0)
  /** Open addressing: slot + 1, or 0 for empty; twice as many places as slots. */
  #index = new Uint32Array(0)

  get count(): number {
    return this.#count
  }

  find(method: RequestMethod, key: { idHigh: number; idLow: number }): number | undefined {
    if (this.#count === 0) return undefined
    const code = REQUEST_METHODS.indexOf(method)
    const mask = this.#index.length - 1
    for (let place = placeOf(key.idLow, code) & mask; ; place = (place + 1) & mask) {
      const slot = (this.#index[place] ?? 0) - 1
      if (slot < 0) return undefined
      if (
        this.#id[slot * 2] === key.idHigh &&
        this.#id[slot * 2 + 1] === key.idLow &&
        this.#method[slot] === code
      ) {
        return slot
      }
    }
  }

  sameArguments(slot: number, key: RequestKey): boolean {
    return (
      this.#fingerprint[slot * 2] === key.fingerprintHigh &&
      this.#fingerprint[slot * 2 + 1] === key.fingerprintLow
    )
  }

  answerOf(slot: number): { readonly answer: number; readonly revision: number } {
    return { answer: this.#answer[slot] ?? 0, revision: this.#revision[slot] ?? 0 }
  }

  push(record: RequestRecord): void {
    if (this.#count === this.#capacity) this.#resize(Math.max(FIRST_CAPACITY, this.#capacity * 2))
    const slot = (this.#oldest + this.#count) % this.#capacity
    this.#id[slot * 2] = record.idHigh
    this.#id[slot * 2 + 1] = record.idLow
    this.#fingerprint[slot * 2] = record.fingerprintHigh
    this.#fingerprint[slot * 2 + 1] = record.fingerprintLow
    this.#method[slot] = REQUEST_METHODS.indexOf(record.method)
    this.#answer[slot] = record.answer
    this.#revision[slot] = record.revision
    this.#at[slot] = record.at
    this.#count += 1
    this.#enter(slot)
  }

  /** Pairs with push(): takes back the newest, which must be `record`. */
  pop(record: RequestRecord): void {
    assert(this.#count > 0, 'a request to take back')
    const slot = (this.#oldest + this.#count - 1) % this.#capacity
    assert(this.#id[slot * 2 + 1] === record.idLow, 'requests are taken back newest first')
    this.#leave(slot)
    this.#count -= 1
  }

  /**
   * Drops what is both old and not among the newest that are durable, since a newer one may yet be
   * taken back; answers how many went.
   */
  forgetOld(now: number, durable: number): number {
    let gone = 0
    while (this.#count > REQUEST_IDS_KEPT_MIN) {
      if (now - (this.#at[this.#oldest] ?? 0) < REQUEST_ID_AGE_MS_MIN) break
      const keptFrom = (this.#oldest + REQUEST_IDS_KEPT_MIN) % this.#capacity
      if ((this.#revision[keptFrom] ?? 0) > durable) break
      this.#leave(this.#oldest)
      this.#oldest = (this.#oldest + 1) % this.#capacity
      this.#count -= 1
      gone += 1
    }
    return gone
  }

  /** Oldest first: each as text, for comparing two states. */
  *entries(): Generator<string> {
    for (let i = 0; i < this.#count; i += 1) {
      const slot = (this.#oldest + i) % this.#capacity
      yield [
        this.#method[slot],
        this.#id[slot * 2],
        this.#id[slot * 2 + 1],
        this.#fingerprint[slot * 2],
        this.#fingerprint[slot * 2 + 1],
        this.#answer[slot],
        this.#revision[slot],
        this.#at[slot],
      ].join(':')
    }
  }

  #enter(slot: number): void {
    const mask = this.#index.length - 1
    let place = this.#homeOf(slot)
    while (this.#index[place] !== 0) place = (place + 1) & mask
    this.#index[place] = slot + 1
  }

  /** Takes a slot out of the index; later ones of its chain move up (Knuth 6.4, algorithm R). */
  #leave(slot: number): void {
    const mask = this.#index.length - 1
    let hole = this.#homeOf(slot)
    while (this.#index[hole] !== slot + 1) hole = (hole + 1) & mask
    for (let place = (hole + 1) & mask; ; place = (place + 1) & mask) {
      const other = (this.#index[place] ?? 0) - 1
      if (other < 0) break
      if (((place - this.#homeOf(other)) & mask) < ((place - hole) & mask)) continue
      this.#index[hole] = other + 1
      hole = place
    }
    this.#index[hole] = 0
  }

  #homeOf(slot: number): number {
    const home = placeOf(this.#id[slot * 2 + 1] ?? 0, this.#method[slot] ?? 0)
    return home & (this.#index.length - 1)
  }

  #resize(capacity: number): void {
    const from = this.#oldest
    const move = <A extends Column>(old: A, next: A, w: number): A => {
      for (let i = 0; i < this.#count; i += 1) {
        const slot = (from + i) % this.#capacity
        for (let j = 0; j < w; j += 1) next[i * w + j] = old[slot * w + j] ?? 0
      }
      return next
    }
    this.#id = move(this.#id, new Uint32Array(capacity * 2), 2)
    this.#fingerprint = move(this.#fingerprint, new Uint32Array(capacity * 2), 2)
    this.#method = move(this.#method, new Uint8Array(capacity), 1)
    this.#answer = move(this.#answer, new Float64Array(capacity), 1)
    this.#revision = move(this.#revision, new Float64Array(capacity), 1)
    this.#at = move(this.#at, new Float64Array(capacity), 1)
    this.#index = new Uint32Array(capacity * 2)
    this.#capacity = capacity
    this.#oldest = 0
    for (let slot = 0; slot < this.#count; slot += 1) this.#enter(slot)
  }
}

function placeOf(idLow: number, method: number): number {
  return Math.imul(idLow ^ (method * 0x9e37_79b9), 0x85eb_ca6b) >>> 3
}
