/**
 * What the emulator did at the level of the hardware, in order: table stores and invalidation
 * descriptors, named as VT-d names them. Off until switched on; a ring of the newest operations.
 * Written by the unit and the programming of bindings, read by tests and the lab.
 */

import { assert } from '../../core/assert.js'
import type { Target } from '../../core/ids.js'
import type { PageBlock } from './pages.js'

/** Two full teardowns of a session's default quota of 1000 PASIDs, at 7 operations each. */
export const OPERATIONS_KEPT_DEFAULT = 16_384

export type Operation =
  | { readonly kind: 'WRITE_CONTEXT' | 'CLEAR_CONTEXT'; readonly device: string }
  | {
      readonly kind: 'WRITE_ENTRY' | 'SET_PRESENT' | 'CLEAR_PRESENT' | 'CLEAR_ENTRY'
      readonly device: string
      readonly target: Target
    }
  /** PASID-selective: type 7, G = 1. */
  | { readonly kind: 'INVALIDATE_PASID_CACHE'; readonly domain: number; readonly pasid: number }
  /** PASID-based IOTLB: type 6; `block` undefined = all-in-PASID (G = 2), else page-selective. */
  | {
      readonly kind: 'INVALIDATE_PIOTLB'
      readonly domain: number
      readonly pasid: number
      readonly block: PageBlock | undefined
      /** IH: only leaf entries changed. */
      readonly leaf: boolean
    }
  /** IOTLB: type 2; `block` undefined = domain-selective, else page-selective-within-domain. */
  | {
      readonly kind: 'INVALIDATE_IOTLB'
      readonly domain: number
      readonly block: PageBlock | undefined
      readonly leaf: boolean
    }
  /** Type 8 for a PASID, type 3 without one; `block` undefined = everything (S, all ones). */
  | {
      readonly kind: 'INVALIDATE_DEVICE_TLB'
      readonly device: string
      readonly pasid: number | undefined
      readonly block: PageBlock | undefined
    }
  | {
      readonly kind: 'DRAIN_PAGE_REQUESTS'
      readonly device: string
      readonly target: Target
      /** Groups answered INVALID. */
      readonly answered: number
    }
  | {
      readonly kind: 'PAGE_GROUP_RESPONSE'
      readonly device: string
      readonly target: Target
      readonly group: number
      readonly code: 'SUCCESS' | 'INVALID' | 'FAILURE'
    }

export class OperationLog {
  /** Asked before an operation is even made: the hot paths make no object while it is off. */
  on = false
  readonly #ring: Operation[] = []
  readonly #kept: number
  #next = 0

  constructor(kept: number) {
    assert(Number.isSafeInteger(kept) && kept >= 1, `operations kept: ${kept}`)
    this.#kept = kept
  }

  record(operation: Operation): void {
    assert(this.on, 'operations are recorded while the log is on')
    this.#ring[this.#next] = operation
    this.#next = (this.#next + 1) % this.#kept
  }

  /** The oldest kept first. */
  list(): readonly Operation[] {
    const full = this.#ring.length === this.#kept
    if (!full) return [...this.#ring]
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)]
  }

  clear(): void {
    this.#ring.length = 0
    this.#next = 0
  }
}
