/**
 * The page requests of one IOMMU group: read from the fault queue's descriptor, told, kept until
 * they are answered. Holds: a group that was read is answered once, by its receiver, by us with
 * INVALID where nobody can be told, or by the kernel when its place is detached; an answer that the
 * kernel did not take leaves it waiting; what waits outlives the daemon with the holding. Linux
 * drivers/iommu/iommufd/eventq.c: a read brings whole groups, none twice; an answer to a group that
 * is gone is EINVAL.
 */

import { RID, type SessionId, type Target } from '../../core/ids.js'
import {
  decodePageFaults,
  encodePageResponse,
  HWPT_PGFAULT,
  IOMMUFD_DATA,
  type PageFaultRecord,
} from '../../uapi/iommufd-data.js'
import {
  BackendFault,
  PAGE_REQUESTS_OF_GROUP_MAX,
  type BackendListener,
  type PageRequestAnswer,
  type RaisedGroup,
  type RaisedPage,
} from '../backend.js'
import { succeeded } from './calls.js'
import { faultOf } from './errors.js'
import type { HeldFd } from './held-fd.js'
import {
  KernelRefusal,
  type Calls,
  type Kernel,
  type ReadableOnce,
  type VfioClock,
} from './ports.js'

/** As many whole records as one read may bring: 64 KB. */
const READ_BYTES = 1600 * HWPT_PGFAULT.bytes
/** Groups that wait for an answer, on one IOMMU group: beyond them each is answered INVALID. */
export const PAGE_GROUPS_MAX = 4096
/** Before it is read again after a failure; doubles up to the second. */
const AGAIN_MS_MIN = 100
const AGAIN_MS_MAX = 10_000

export interface WaitingGroup {
  readonly device: string
  readonly target: Target
  readonly group: number
  readonly cookie: number
  readonly pages: readonly RaisedPage[]
}

export interface FaultQueueParts {
  readonly id: number
  readonly fd: HeldFd
  readonly session: SessionId
  readonly kernel: Kernel
  readonly clock: VfioClock
  /** Of any device of the group. @throws BackendFault STOP when there is none */
  readonly calls: () => Calls
  /** The device's name, if something of ours is attached to the target through it. */
  readonly deviceAt: (devId: number, target: Target) => string | undefined
  readonly listener: () => BackendListener | undefined
  /** What outlives the daemon. */
  readonly memory: { waits(group: WaitingGroup): void; waitsNoMore(group: WaitingGroup): void }
}

/** An answer that is being given. */
interface Answering {
  readonly waiting: WaitingGroup
  /** A group with the same key was read meanwhile. */
  isFollowed: boolean
}

export class FaultQueue {
  readonly id: number
  readonly fd: HeldFd
  readonly #parts: FaultQueueParts
  readonly #waiting = new Map<string, WaitingGroup>()
  readonly #answering = new Map<string, Answering>()
  /**
   * Cookies of groups to be answered INVALID: nobody can be told of them, or nobody is any more.
   */
  readonly #unwanted = new Set<number>()
  #watch: ReadableOnce | undefined
  #cancelAgain: (() => void) | undefined
  #pauseMs = AGAIN_MS_MIN
  #stopped = false

  constructor(parts: FaultQueueParts) {
    this.id = parts.id
    this.fd = parts.fd
    this.#parts = parts
  }

  /** Pairs with stop(). */
  start(): void {
    if (this.#stopped) return
    const { kernel } = this.#parts
    try {
      this.#watch = kernel.whenReadable(this.fd.number, () => void this.#read())
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      this.#later()
    }
  }

  /** Nothing more is read. The descriptor stays open. Repeatable. */
  stop(): void {
    this.#stopped = true
    this.#watch?.stop()
    this.#cancelAgain?.()
  }

  /** As stop(); resolves when no call means the descriptor any more, and it can be closed. */
  async end(): Promise<void> {
    this.stop()
    await this.fd.unused()
  }

  /** What an earlier life had read and not answered. */
  adopt(group: WaitingGroup): void {
    this.#waiting.set(keyOf(group), group)
  }

  /** To a listener that is new. */
  tellAll(listener: BackendListener): void {
    for (const group of this.#waiting.values()) listener.pageRequest(this.#raised(group))
  }

  /**
   * @throws BackendFault REFUSE when no such group waits; RETRY or STOP when the answer could not
   * be given: then the group waits on
   */
  async respond(answer: PageRequestAnswer): Promise<void> {
    const { device, target, group } = answer
    const waiting = this.#waiting.get(keyOf(answer))
    // iommufd has no code for a failure; the device meets both in the same way.
    if (waiting !== undefined && (await this.#respond(waiting, answer.code === 'SUCCESS'))) return
    const what = `no page request group ${group} of entry ${target} waits`
    throw new BackendFault(`${device}: ${what}`, 'REFUSE')
  }

  /** As #answer(). At once: it is answered once, however many do. */
  async #respond(waiting: WaitingGroup, isSuccess: boolean): Promise<boolean> {
    const key = keyOf(waiting)
    const answering = { waiting, isFollowed: false }
    const isLast = (): boolean => this.#answering.get(key) === answering
    this.#waiting.delete(key)
    this.#answering.set(key, answering)
    try {
      const isThere = await this.#answer(waiting.cookie, isSuccess)
      if (isLast()) this.#parts.memory.waitsNoMore(waiting)
      return isThere
    } catch (fault) {
      if (isLast()) this.#waiting.set(key, waiting)
      else if (answering.isFollowed) this.#unwanted.add(waiting.cookie)
      throw faultOf(waiting.device, fault)
    } finally {
      if (isLast()) this.#answering.delete(key)
    }
  }

  /** The kernel has answered INVALID what waits there: the place was detached. */
  gone(device: string, target: Target): void {
    const { session } = this.#parts
    const isThere = (group: WaitingGroup): boolean => {
      return group.device === device && group.target === target
    }
    for (const [key, { waiting }] of this.#answering) {
      if (!isThere(waiting)) continue
      this.#answering.delete(key)
      this.#parts.memory.waitsNoMore(waiting)
    }
    for (const group of [...this.#waiting.values()]) {
      if (!isThere(group)) continue
      this.#waiting.delete(keyOf(group))
      this.#parts.memory.waitsNoMore(group)
      this.#parts.listener()?.pageRequestGone({ device, target, session, group: group.group })
    }
  }

  /** False: the kernel knows of no such group. @throws BackendFault; KernelRefusal */
  async #answer(cookie: number, isSuccess: boolean): Promise<boolean> {
    if (this.#stopped) throw new BackendFault('the fault queue was let go', 'STOP')
    const bytes = encodePageResponse(cookie, isSuccess)
    const end = await this.fd.use((fd) => this.#parts.calls().write(fd, bytes))
    try {
      succeeded('write of a page response', end)
      return true
    } catch (error) {
      if (error instanceof KernelRefusal && error.errno === 'EINVAL') return false
      throw error
    }
  }

  /** What could not be answered stays to be. @throws BackendFault */
  async #answerUnwanted(): Promise<void> {
    for (const cookie of [...this.#unwanted]) {
      try {
        await this.#answer(cookie, false)
      } catch (error) {
        throw faultOf('a page request that nobody waits for', error)
      }
      this.#unwanted.delete(cookie)
    }
  }

  /** Everything there is, then waits for more. Nobody would hear of a failure. */
  async #read(): Promise<void> {
    try {
      if (await this.#readAll()) {
        this.#pauseMs = AGAIN_MS_MIN
        this.start()
      } else this.#later()
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      this.#later()
    }
  }

  /**
   * False: nothing came, though there was something: it went with its place, it is a group longer
   * than any device may send, or it could not be read.
   */
  async #readAll(): Promise<boolean> {
    const { calls } = this.#parts
    for (let isMore = true; isMore; ) {
      await this.#answerUnwanted()
      if (this.#stopped) return false
      const { code, data } = await this.fd.use((fd) => calls().read(fd, READ_BYTES))
      if (code <= 0) return false
      for (const records of groupsOf(decodePageFaults(data))) this.#raise(records)
      isMore = code >= READ_BYTES / 2
    }
    await this.#answerUnwanted()
    return true
  }

  #later(): void {
    if (this.#stopped) return
    this.#cancelAgain?.()
    const pause = this.#pauseMs
    this.#pauseMs = Math.min(pause * 2, AGAIN_MS_MAX)
    this.#cancelAgain = this.#parts.clock.after(pause, () => void this.#again())
  }

  /** What is left to be answered makes nothing readable. */
  async #again(): Promise<void> {
    try {
      await this.#answerUnwanted()
      this.start()
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      this.#later()
    }
  }

  #raise(records: readonly [PageFaultRecord, ...PageFaultRecord[]]): void {
    if (this.#stopped) return
    const [{ devId, flags, pasid, grpid: group, cookie }] = records
    const hasPasid = (flags & IOMMUFD_DATA.IOMMU_PGFAULT_FLAGS_PASID_VALID) !== 0
    const target = hasPasid ? (pasid as Target) : RID
    const device = this.#parts.deviceAt(devId, target)
    const isFull = this.#waiting.size >= PAGE_GROUPS_MAX
    // The kernel gives it anew when its former group is gone.
    this.#unwanted.delete(cookie)
    // Also what the VMM has attached to our table by itself: nobody here is to answer it.
    if (device === undefined || isFull || records.length > PAGE_REQUESTS_OF_GROUP_MAX) {
      this.#unwanted.add(cookie)
      return
    }
    const pages = records.map(pageOf)
    const raised = { device, target, group, cookie, pages }
    this.#supersede(raised)
    this.#waiting.set(keyOf(raised), raised)
    this.#parts.memory.waits(raised)
    this.#parts.listener()?.pageRequest(this.#raised(raised))
  }

  /** A former group of the same key, of which the memory may have more pages. */
  #supersede(raised: WaitingGroup): void {
    const key = keyOf(raised)
    const former = this.#waiting.get(key)
    if (former !== undefined) {
      this.#parts.memory.waitsNoMore(former)
      if (former.cookie !== raised.cookie) this.#unwanted.add(former.cookie)
    }
    const answering = this.#answering.get(key)
    if (answering === undefined) return
    this.#parts.memory.waitsNoMore(answering.waiting)
    answering.isFollowed = answering.waiting.cookie !== raised.cookie
    this.#answering.delete(key)
  }

  #raised({ device, target, group, pages }: WaitingGroup): RaisedGroup {
    return { device, target, session: this.#parts.session, group, pages }
  }
}

function keyOf(group: {
  readonly device: string
  readonly target: Target
  readonly group: number
}): string {
  return `${group.device}/${group.target}/${group.group}`
}

/** By cookie: the records of one group come one after the other. */
function groupsOf(
  records: readonly PageFaultRecord[],
): readonly (readonly [PageFaultRecord, ...PageFaultRecord[]])[] {
  const groups: [PageFaultRecord, ...PageFaultRecord[]][] = []
  for (const record of records) {
    const last = groups.at(-1)
    if (last?.[0].cookie === record.cookie) last.push(record)
    else groups.push([record])
  }
  return groups
}

export function pageOf({ addr, perm }: Pick<PageFaultRecord, 'addr' | 'perm'>): RaisedPage {
  const has = (bit: number): boolean => (perm & bit) !== 0
  return {
    // "4 KiB aligned": the mock device's are not.
    address: addr & ~0xfffn,
    read: has(IOMMUFD_DATA.IOMMU_PGFAULT_PERM_READ),
    write: has(IOMMUFD_DATA.IOMMU_PGFAULT_PERM_WRITE),
    execute: has(IOMMUFD_DATA.IOMMU_PGFAULT_PERM_EXEC),
    privileged: has(IOMMUFD_DATA.IOMMU_PGFAULT_PERM_PRIV),
  }
}

/** Pairs with pageOf(). */
export function permOf({ read, write, execute, privileged }: RaisedPage): number {
  return (
    (read ? IOMMUFD_DATA.IOMMU_PGFAULT_PERM_READ : 0) |
    (write ? IOMMUFD_DATA.IOMMU_PGFAULT_PERM_WRITE : 0) |
    (execute ? IOMMUFD_DATA.IOMMU_PGFAULT_PERM_EXEC : 0) |
    (privileged ? IOMMUFD_DATA.IOMMU_PGFAULT_PERM_PRIV : 0)
  )
}
