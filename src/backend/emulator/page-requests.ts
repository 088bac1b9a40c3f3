/**
 * Page requests of one device (PRI): descriptors collect into groups, a group with its last page
 * waits for one response (VT-d 7.4, 7.7). The listener is told of each complete group; a drain, at
 * teardown, answers what waits with INVALID and drops what is not complete.
 *
 * What always holds: bounded; a group is answered once; nothing of a place is left after its drain.
 */

import { assert } from '../../core/assert.js'
import type { Target } from '../../core/ids.js'
import type { PageRequestAnswer } from '../backend.js'

/** Descriptors waiting of one device: 16 KiB (Linux PRQ_ORDER 2) of 32-byte descriptors. */
export const PAGE_REQUESTS_WAITING_MAX = 512
/** PRGI has nine bits. */
const GROUP_LAST = 511

export interface PageRequest {
  readonly device: string
  readonly target: Target
  readonly group: number
  /** Byte address, 4 KiB aligned. */
  readonly address: bigint
  readonly read: boolean
  readonly write: boolean
  readonly privileged: boolean
  /** LPIG: the group is complete with this one. */
  readonly last: boolean
}

export interface PageRequestGroup {
  readonly device: string
  readonly target: Target
  readonly group: number
  readonly requests: readonly PageRequest[]
}

/** DROPPED: lost, or a stop marker; no response will come. */
export type Raised = 'WAITING' | 'COMPLETE' | 'DROPPED' | PageRequestAnswer['code']

interface Group {
  readonly requests: PageRequest[]
  complete: boolean
}

export class PageRequests {
  readonly #groups = new Map<number, Group>()
  #waiting = 0

  /** `bound`: whether anything stands at the place; without it nobody could answer. */
  raise(request: PageRequest, bound: boolean): Raised {
    assert(request.group >= 0 && request.group <= GROUP_LAST, `page group ${request.group}`)
    const { read, write, last } = request
    if (!read && !write && last) return 'DROPPED'
    if (!bound || isMalformed(request)) return last ? 'INVALID' : 'DROPPED'
    // PRO: the queue is full. The unit itself answers a last one with success, so that the device
    // tries again (VT-d 7.4.1; kernel drivers/iommu/intel/prq.c).
    if (this.#waiting >= PAGE_REQUESTS_WAITING_MAX) return last ? 'SUCCESS' : 'DROPPED'
    const key = keyOf(request.target, request.group)
    const known = this.#groups.get(key)
    // A device must not use a group again before its response (PCIe PRI).
    if (known?.complete === true) return 'DROPPED'
    const group = known ?? { requests: [], complete: false }
    if (known === undefined) this.#groups.set(key, group)
    group.requests.push(request)
    group.complete = last
    this.#waiting += 1
    return last ? 'COMPLETE' : 'WAITING'
  }

  find(target: Target, group: number): readonly PageRequest[] | undefined {
    const found = this.#groups.get(keyOf(target, group))
    return found?.complete === true ? found.requests : undefined
  }

  /** Whether such a complete group waited; it does no more. */
  answer(target: Target, group: number): boolean {
    const key = keyOf(target, group)
    const found = this.#groups.get(key)
    if (found?.complete !== true) return false
    this.#forget(key, found)
    return true
  }

  /** Everything of the place is gone; answers the groups that a response is due to. */
  drain(target: Target): readonly number[] {
    const due: number[] = []
    if (this.#groups.size === 0) return due
    for (const [key, group] of this.#groups) {
      if (Math.floor(key / (GROUP_LAST + 1)) !== target) continue
      if (group.complete) due.push(key % (GROUP_LAST + 1))
      this.#forget(key, group)
    }
    return due
  }

  #forget(key: number, group: Group): void {
    this.#groups.delete(key)
    this.#waiting -= group.requests.length
    assert(this.#waiting >= 0, 'page requests are counted')
  }
}

/** prq.c: a supervisor request with rights is refused; so is an address that is not canonical. */
function isMalformed(request: PageRequest): boolean {
  const sign = request.address >> 56n
  const canonical = sign === 0n || sign === 0xffn
  return !canonical || request.privileged
}

function keyOf(target: Target, group: number): number {
  return target * (GROUP_LAST + 1) + group
}
