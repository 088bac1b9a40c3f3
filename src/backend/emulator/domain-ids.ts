/**
 * Hardware domain ids (DID, 16 bits): the tag of everything the unit caches. A VMM's domain id
 * holds within its session only, so each (session, domain) gets a DID of its own for as long as a
 * binding uses it.
 *
 * What always holds: two sessions never share a DID; a DID is given again only after its last
 * binding was torn down, which includes the IOTLB invalidation of the whole DID, and then as late
 * as possible: the longest free one comes first. Called by the programming of bindings.
 */

import { assert, present } from '../../core/assert.js'
import { DOMAIN_LAST, type DomainId, type SessionId } from '../../core/ids.js'
import { HARDWARE_DOMAIN_LAST } from './pasid-entry.js'

/** Linux drivers/iommu/intel/pasid.h FLPT_DEFAULT_DID: the host's own SVA and pass-through. */
export const FLPT_DEFAULT_DID = 1
/** 0 tags cached not-present entries in caching mode (VT-d 6.1) and is never a domain. */
const HARDWARE_DOMAIN_FIRST = FLPT_DEFAULT_DID + 1
const COUNT = HARDWARE_DOMAIN_LAST - HARDWARE_DOMAIN_FIRST + 1

export class DomainIds {
  /** From session and domain to DID. 2^32 sessions of 2^16 domains: 48 bits. */
  readonly #hardware = new Map<number, number>()
  readonly #key = new Float64Array(HARDWARE_DOMAIN_LAST + 1)
  readonly #uses = new Uint32Array(HARDWARE_DOMAIN_LAST + 1)
  /** A ring of the free ones, the longest free first. */
  readonly #free = new Uint16Array(COUNT)
  #firstFree = 0
  #freeCount = COUNT

  constructor() {
    for (let i = 0; i < COUNT; i += 1) this.#free[i] = HARDWARE_DOMAIN_FIRST + i
  }

  /** One use more; undefined when all ids are in use. Pairs with release(). */
  acquire(session: SessionId, domain: DomainId): number | undefined {
    const key = keyOf(session, domain)
    const known = this.#hardware.get(key)
    if (known !== undefined) {
      this.#uses[known] = (this.#uses[known] ?? 0) + 1
      return known
    }
    if (this.#freeCount === 0) return undefined
    const fresh = this.#free[this.#firstFree] ?? 0
    this.#firstFree = (this.#firstFree + 1) % COUNT
    this.#freeCount -= 1
    assert(
      fresh >= HARDWARE_DOMAIN_FIRST && this.#uses[fresh] === 0,
      'a DID that is given was free',
    )
    this.#hardware.set(key, fresh)
    this.#key[fresh] = key
    this.#uses[fresh] = 1
    return fresh
  }

  release(hardware: number): void {
    const uses = this.#uses[hardware] ?? 0
    assert(uses > 0, 'a released DID was in use')
    this.#uses[hardware] = uses - 1
    if (uses > 1) return
    this.#hardware.delete(present(this.#key[hardware], 'the key of a DID'))
    this.#free[(this.#firstFree + this.#freeCount) % COUNT] = hardware
    this.#freeCount += 1
  }

  find(session: SessionId, domain: DomainId): number | undefined {
    return this.#hardware.get(keyOf(session, domain))
  }

  /** Whose the id is, which is in use. */
  sessionOf(hardware: number): SessionId {
    assert((this.#uses[hardware] ?? 0) > 0, 'a DID in an entry is in use')
    return Math.floor((this.#key[hardware] ?? 0) / (DOMAIN_LAST + 1)) as SessionId
  }

  /** Every id that the session uses: for what is invalidated beneath all of its domains. */
  ofSession(session: SessionId): readonly number[] {
    const found: number[] = []
    for (const [key, hardware] of this.#hardware) {
      if (Math.floor(key / (DOMAIN_LAST + 1)) === session) found.push(hardware)
    }
    return found
  }

  freeCount(): number {
    return this.#freeCount
  }
}

function keyOf(session: SessionId, domain: DomainId): number {
  return session * (DOMAIN_LAST + 1) + domain
}
