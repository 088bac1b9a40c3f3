/**
 * Page requests of one device (PRI) as unit and driver queue them: descriptors collect into groups,
 * a group with its last page waits for one response (VT-d 7.4, 7.7; Linux drivers/iommu/intel/prq.c
 * and io-pgfault.c). Who is told, and what becomes of the answers, is in page-request-router.ts.
 *
 * What always holds: descriptors and pages of a group are bounded; a group is answered once, or not
 * at all after a reset; nothing of a place is left after its drain.
 */

import { assert } from '../../core/assert.js'
import type { Target } from '../../core/ids.js'
import { PAGE_REQUESTS_OF_GROUP_MAX, type PageRequestAnswer, type RaisedPage } from '../backend.js'

/** Descriptors waiting of one device: 16 KiB (Linux PRQ_ORDER 2) of 32-byte descriptors. */
export const PAGE_REQUESTS_WAITING_MAX = 512
/** PRGI has nine bits. */
export const GROUP_LAST = 511

export interface PageRequest extends RaisedPage {
  readonly target: Target
  /** PRGI: 9 bits. */
  readonly group: number
  /** LPIG: the group is complete with this one. */
  readonly last: boolean
}

/** DROPPED: lost, or a stop marker; no response will come. */
export type Queued = 'WAITING' | 'COMPLETE' | 'DROPPED' | 'SUCCESS' | 'INVALID'

interface Group {
  readonly pages: RaisedPage[]
  complete: boolean
}

export class PageRequests {
  readonly #groups = new Map<number, Group>()
  #waiting = 0

  /** Descriptors that wait, of complete groups and others. */
  get waiting(): number {
    return this.#waiting
  }

  /** `bound`: whether anything stands at the place; without it nobody could answer. */
  raise(request: PageRequest, bound: boolean): Queued {
    const { target, group: index, last, ...page } = request
    assert(index >= 0 && index <= GROUP_LAST, `page group ${index}`)
    const key = keyOf(target, index)
    const known = this.#groups.get(key)
    const malformed = isMalformed(page)
    // Stop marker: the device is through with the PASID, and asks for nothing.
    if (!malformed && !page.read && !page.write && last) return 'DROPPED'
    // A device must not use a group again before its response (PCIe PRI).
    if (known?.complete === true) return 'DROPPED'
    if (!bound || malformed) {
      if (!last) return 'DROPPED'
      // That was the group's one response: its other pages go unanswered.
      if (known !== undefined) this.#forget(key, known)
      return 'INVALID'
    }
    if (this.#waiting >= PAGE_REQUESTS_WAITING_MAX) return this.#overflow(last)
    const group = known ?? { pages: [], complete: false }
    if (known === undefined) this.#groups.set(key, group)
    // One page too many is lost like one of a full queue; the device asks for it again.
    if (group.pages.length < PAGE_REQUESTS_OF_GROUP_MAX) {
      group.pages.push(page)
      this.#waiting += 1
    } else if (!last) return 'DROPPED'
    group.complete = last
    return last ? 'COMPLETE' : 'WAITING'
  }

  find(target: Target, group: number): readonly RaisedPage[] | undefined {
    const found = this.#groups.get(keyOf(target, group))
    return found?.complete === true ? found.pages : undefined
  }

  /** Whether such a complete group waited; it does no more. */
  answer(target: Target, group: number): boolean {
    const key = keyOf(target, group)
    const found = this.#groups.get(key)
    if (found?.complete !== true) return false
    this.#forget(key, found)
    return true
  }

  /** Where anything waits. */
  places(): readonly Target[] {
    const targets = new Set<Target>()
    for (const key of this.#groups.keys()) targets.add(Math.floor(key / (GROUP_LAST + 1)) as Target)
    return [...targets]
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

  /** The device was reset and waits for nothing any more. Answers how many requests that were. */
  clear(): number {
    const dropped = this.#waiting
    this.#groups.clear()
    this.#waiting = 0
    return dropped
  }

  /**
   * PRO, the queue is full: this request is lost. The unit itself answers a last one with success,
   * so that the device tries again (VT-d 7.4.1), and software gives up on the groups whose last
   * page may have been lost (iopf_queue_discard_partial) before it clears PRO.
   */
  #overflow(last: boolean): Queued {
    for (const [key, group] of this.#groups) if (!group.complete) this.#forget(key, group)
    return last ? 'SUCCESS' : 'DROPPED'
  }

  #forget(key: number, group: Group): void {
    this.#groups.delete(key)
    this.#waiting -= group.pages.length
    assert(this.#waiting >= 0, 'page requests are counted')
  }
}

/**
 * prq.c prq_event_thread: an address that is not canonical, a supervisor request with rights, an
 * execute request with read.
 */
function isMalformed({ address, read, write, execute, privileged }: RaisedPage): boolean {
  const sign = address >> 56n
  const canonical = sign === 0n || sign === 0xffn
  return !canonical || (privileged && (read || write)) || (execute && read)
}

function keyOf(target: Target, group: number): number {
  return target * (GROUP_LAST + 1) + group
}

export type PageRequestEndCode = PageRequestAnswer['code'] | 'DROPPED'
