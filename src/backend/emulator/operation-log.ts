/**
 * What the emulator did at the level of the hardware, in order: table stores and invalidation
 * descriptors, named as VT-d names them. Off until switched on; a ring of the newest operations.
 * Written by the unit and the programming of bindings, read by tests and the lab.
 */

import { assert, present } from '../../core/assert.js'
import { RID, type Target } from '../../core/ids.js'
import type { LabKept, LabOperation } from '../lab.js'
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
  /** Type 1. */
  | {
      readonly kind: 'INVALIDATE_CONTEXT'
      readonly granularity: 'GLOBAL' | 'DOMAIN' | 'DEVICE'
      readonly sourceId: number
      readonly functionMask: number
    }
  /** Type 7. `pasid` undefined = domain-selective, `domain` undefined = global. */
  | {
      readonly kind: 'INVALIDATE_PASID_CACHE'
      readonly domain: number | undefined
      readonly pasid: number | undefined
    }
  /** PASID-based IOTLB: type 6; `block` undefined = all-in-PASID (G = 2), else page-selective. */
  | {
      readonly kind: 'INVALIDATE_PIOTLB'
      readonly domain: number
      readonly pasid: number
      readonly block: PageBlock | undefined
      /** IH: only leaf entries changed. */
      readonly leaf: boolean
    }
  /**
   * IOTLB: type 2; `block` undefined = domain-selective, else page-selective-within-domain;
   * `domain` undefined = global.
   */
  | {
      readonly kind: 'INVALIDATE_IOTLB'
      readonly domain: number | undefined
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
  /** Type 8 with G: of all PASIDs. */
  | {
      readonly kind: 'INVALIDATE_WHOLE_DEVICE_TLB'
      readonly device: string
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
  /** The operation of sequence n is at (n - 1) modulo its length. */
  readonly #ring: (Operation | undefined)[] = []
  readonly #kept: number
  /** Sequence of the newest; they count from 1, over switching off and clearing. */
  #newest = 0
  /** Sequence of the newest that was cleared. */
  #cleared = 0

  constructor(kept: number) {
    assert(Number.isSafeInteger(kept) && kept >= 1, `operations kept: ${kept}`)
    this.#kept = kept
  }

  record(operation: Operation): void {
    assert(this.on, 'operations are recorded while the log is on')
    this.#ring[this.#newest % this.#kept] = operation
    this.#newest += 1
  }

  /** The oldest kept first. */
  list(): readonly Operation[] {
    const found: Operation[] = []
    for (let i = this.#gone; i < this.#newest; i += 1) found.push(this.#at(i))
    return found
  }

  /** Later ones than the sequence `after`, oldest first, at most `count`, readable. */
  window(after: number, count: number): LabKept<LabOperation> {
    const first = Math.max(Math.min(after, this.#newest), this.#gone)
    const rows: LabOperation[] = []
    for (let i = first; i < Math.min(this.#newest, first + count); i += 1) {
      const operation = this.#at(i)
      rows.push({ sequence: i + 1, kind: operation.kind, text: operationText(operation) })
    }
    return { rows, lost: first - Math.min(after, first) }
  }

  clear(): void {
    this.#cleared = this.#newest
    this.#ring.length = 0
  }

  /** Sequence of the newest that is kept no longer. */
  get #gone(): number {
    return Math.max(this.#cleared, this.#newest - this.#kept)
  }

  #at(index: number): Operation {
    return present(this.#ring[index % this.#kept], 'an operation that is kept')
  }
}

const PAGE_SHIFT = 12n

/** `INVALIDATE_PIOTLB domain 3 pasid 300 pages 0x7000..0x7fff leaf`. */
function operationText(operation: Operation): string {
  const { kind, ...fields } = operation
  const words: string[] = [kind]
  for (const [name, value] of Object.entries<Field>(fields)) {
    const word = fieldText(name, value)
    if (word !== '') words.push(word)
  }
  return words.join(' ')
}

type Field = string | number | boolean | PageBlock | undefined

/** Empty for what is not said: no block, no PASID, a flag that is clear. */
function fieldText(name: string, value: Field): string {
  if (value === undefined || value === false) return ''
  if (value === true) return name
  if (typeof value === 'object') return blockText(value)
  if (name === 'target' && value === RID) return 'rid'
  return `${name} ${value}`
}

/** Byte addresses, the last one included. */
function blockText({ first, order }: PageBlock): string {
  const start = BigInt(first) << PAGE_SHIFT
  const bytes = 1n << (PAGE_SHIFT + BigInt(order))
  return `pages 0x${start.toString(16)}..0x${(start + bytes - 1n).toString(16)}`
}
