/**
 * The threads of one session: one for each device, up to a cap, then devices share. Holds: who
 * shares a thread with a device that is stuck moves to another, and the stuck one counts no more:
 * so there are never more threads than the cap and as many stuck ones as the session has devices.
 */

import type { CallThread, Kernel } from './ports.js'
import type { HandedFd } from '../backend.js'

interface Slot {
  readonly thread: CallThread
  readonly users: Set<Seat>
}

export class SessionThreads {
  readonly #kernel: Kernel
  readonly #max: number
  readonly #slots = new Set<Slot>()

  /** `max`: at least 1. */
  constructor(kernel: Kernel, max: number) {
    this.#kernel = kernel
    this.#max = max
  }

  /** For one device. */
  join(): Seat {
    return new Seat((seat) => this.#slotFor(seat), this.#slots)
  }

  /** @throws BackendFault RETRY when there is no thread at all, and none can be had */
  #slotFor(seat: Seat): Slot {
    if (this.#slots.size < this.#max) {
      const slot = { thread: this.#kernel.startThread('pasidd-vfio'), users: new Set([seat]) }
      this.#slots.add(slot)
      return slot
    }
    const [first, ...others] = this.#slots
    let least = first
    for (const slot of others) {
      if (least === undefined || slot.users.size < least.users.size) least = slot
    }
    if (least === undefined) throw new RangeError('a session has at least one thread')
    least.users.add(seat)
    return least
  }
}

/** One device's place on a thread. */
export class Seat {
  readonly #find: (seat: Seat) => Slot
  readonly #slots: Set<Slot>
  #slot: Slot | undefined

  constructor(find: (seat: Seat) => Slot, slots: Set<Slot>) {
    this.#find = find
    this.#slots = slots
  }

  /** For the next call. @throws BackendFault RETRY */
  thread(): CallThread {
    if (this.#slot === undefined || !this.#slots.has(this.#slot)) this.#slot = this.#find(this)
    return this.#slot.thread
  }

  /** Whether calls that it had not begun are to be made on another. */
  isAbandoned(thread: CallThread): boolean {
    return this.#slot?.thread !== thread || !this.#slots.has(this.#slot)
  }

  /** The thread is stuck: what has not begun on it goes elsewhere. Settles as CallThread says. */
  async abandon(
    thread: CallThread,
    fds: readonly HandedFd[],
    meant?: Promise<unknown>,
  ): Promise<void> {
    for (const slot of this.#slots) if (slot.thread === thread) this.#slots.delete(slot)
    await thread.abandon(fds, meant)
  }

  /** The device needs it no more. Repeatable. */
  leave(): void {
    const slot = this.#slot
    this.#slot = undefined
    if (slot === undefined) return
    slot.users.delete(this)
    if (slot.users.size > 0 || !this.#slots.delete(slot)) return
    slot.thread.end()
  }
}
