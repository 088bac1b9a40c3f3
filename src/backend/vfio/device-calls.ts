/**
 * System calls for one device, each with a deadline. Holds: a call that is overdue is told once,
 * and told when it is back after all; one that waits behind another device's stuck call is made on
 * another thread instead, with its time anew; after end() none is begun any more.
 */

import os from 'node:os'
import { present } from '../../core/assert.js'
import { BackendFault } from '../backend.js'
import type { HeldFd } from './held-fd.js'
import type { CallEnd, Calls, CallThread, IoctlCall, IoctlEnd, VfioClock } from './ports.js'
import type { Seat } from './threads.js'

const { ECANCELED } = os.constants.errno

/** Who hears of calls that are overdue. */
export interface Overdue {
  /** `what`: the call, for people. */
  overdue(call: object, what: string): void
  returned(call: object): void
}

export interface DeviceCallsParts {
  readonly device: string
  readonly seat: Seat
  readonly clock: VfioClock
  readonly deadlineMs: number
  readonly watcher: Overdue
}

export class DeviceCalls implements Calls {
  readonly #parts: DeviceCallsParts
  /** Those under way: where, and until when. */
  readonly #underWay = new Map<
    object,
    { readonly thread: CallThread; readonly end: Promise<CallEnd> }
  >()
  #ended = false

  constructor(parts: DeviceCallsParts) {
    this.#parts = parts
  }

  /** How many are under way. */
  get underWay(): number {
    return this.#underWay.size
  }

  ioctl(call: IoctlCall): Promise<IoctlEnd> {
    const what = `ioctl 0x${call.request.toString(16)}`
    return this.#make(what, (thread) => thread.ioctl(call))
  }

  read(fd: number, bytes: number): Promise<CallEnd & { readonly data: Uint8Array }> {
    return this.#make('read', (thread) => thread.read(fd, bytes))
  }

  write(fd: number, bytes: Uint8Array): Promise<CallEnd> {
    return this.#make('write', (thread) => thread.write(fd, bytes))
  }

  /** Nothing of the device is under way or comes any more. Repeatable. */
  end(): void {
    this.#ended = true
    this.#parts.seat.leave()
  }

  /** Something of the device that another thread does, with the same deadline. */
  async watched(what: string, work: Promise<void>): Promise<void> {
    const call = {}
    const cancel = this.#deadline(call, what)
    try {
      await work
    } finally {
      cancel()
      this.#parts.watcher.returned(call)
    }
  }

  /**
   * As end(), with calls under way: the descriptors are closed by other threads, and their numbers
   * stay taken until all these calls are back, and whatever else means them.
   */
  async abandon(fds: readonly HeldFd[]): Promise<void> {
    const { seat } = this.#parts
    this.#ended = true
    const calls = [...this.#underWay.values()]
    const meant = Promise.allSettled([
      ...calls.map(({ end }) => end),
      ...fds.map((fd) => fd.unused()),
    ])
    // What the thread is busy with may be another device's, so it is known by the call that waits.
    const [lead, ...others] = new Set(calls.map(({ thread }) => thread))
    const first = present(lead, 'the thread of a call under way')
    const closed = seat.abandon(first, fds, meant)
    for (const thread of others) void seat.abandon(thread, [])
    await closed
    seat.leave()
  }

  async #make<End extends CallEnd>(
    what: string,
    make: (thread: CallThread) => Promise<End>,
  ): Promise<End> {
    const { device, seat, watcher } = this.#parts
    const call = {}
    try {
      for (;;) {
        if (this.#ended) throw new BackendFault(`${device} was let go`, 'STOP')
        const thread = seat.thread()
        const cancel = this.#deadline(call, what, thread)
        const made = make(thread).finally(cancel)
        this.#underWay.set(call, { thread, end: made })
        const end = await made
        if (end.code !== -ECANCELED || !seat.isAbandoned(thread)) return end
      }
    } finally {
      this.#underWay.delete(call)
      watcher.returned(call)
    }
  }

  /** Answers with what cancels it. */
  #deadline(call: object, what: string, thread?: CallThread): () => void {
    const { device, seat, clock, deadlineMs, watcher } = this.#parts
    const overdue = (): void => {
      watcher.overdue(call, `${device} is stuck: ${what} has not come back for ${deadlineMs} ms`)
      if (thread !== undefined) void seat.abandon(thread, [])
    }
    let cancel = clock.after(deadlineMs, () => {
      // Another's call was stuck there: ours ends at once if it had not begun, and goes elsewhere.
      if (thread !== undefined && seat.isAbandoned(thread)) cancel = clock.after(1, overdue)
      else overdue()
    })
    return () => cancel()
  }
}
