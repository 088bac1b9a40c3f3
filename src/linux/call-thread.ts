/**
 * A thread outside libuv's pool for system calls that may take long or never come back: ioctl(2),
 * read(2), write(2), close(2), one after the other, in the order in which they were given.
 *
 * What always holds: the thread has copies of its own of all that a call touches, so one that is
 * stuck disturbs nobody; nothing here waits for it, the end of the process included. A call under
 * way does not keep the process alive: who waits for it has a deadline. A call that was not made
 * at all ends with -ENOBUFS or -ECANCELED and empty memory. What a descriptor number means when the
 * call's turn comes is the caller's to see to: whatever is used here is closed here.
 */
import fs from 'node:fs'
import os from 'node:os'
import { native } from './addon.js'
import { failureOf, type SyscallFailure, thrownFailure } from './errno.js'
import { FdMisuse, OwnedFd } from './owned-fd.js'

/** Of an ioctl's structure; native/call.cc has the same. */
const STRUCTURE_BYTES_MAX = 4096
/** Of what a structure points to, and of one read or write; native/call.cc has the same. */
export const DATA_BYTES_MAX = 64 * 1024
/** A 64-bit pointer in a structure. */
const POINTER_BYTES = 8
const REQUEST_MAX = 2 ** 32 - 1
/** Before a thread is tried for again, when a descriptor must be closed and none can be had. */
const RETRY_MS = 100

const NOTHING = new Uint8Array()
const { ECANCELED } = os.constants.errno

/** How a call ended: a value of at least 0, or minus errno. */
export interface CallEnd {
  readonly code: number
}

export interface ReadEnd extends CallEnd {
  readonly data: Uint8Array
}

export interface IoctlEnd extends ReadEnd {
  /** The structure as the kernel left it; its pointer as it was given. */
  readonly bytes: Uint8Array
}

export interface IoctlCall {
  readonly fd: number
  /** Request number, 32 bits. */
  readonly request: number
  /** At most STRUCTURE_BYTES_MAX; empty: the argument is a null pointer. */
  readonly bytes: Uint8Array
  /** A 64-bit pointer at this offset is made to point to a copy of the data (DATA_BYTES_MAX). */
  readonly pointer?: { readonly at: number; readonly data: Uint8Array } | undefined
}

/** A descriptor whose owner can be changed, as OwnedFd. */
export interface ReleasableFd {
  readonly number: number
  release(): number
}

interface Pending {
  readonly settle: (end: IoctlEnd) => void
  /** What a close would have closed. */
  readonly closes: number | undefined
}

/** A range that the caller has to keep to: to break it is a bug. */
function within(value: number, last: number, what: string): void {
  if (Number.isInteger(value) && value >= 0 && value <= last) return
  throw new RangeError(`${what} is ${value}, and must be a whole number of 0 to ${last}`)
}

/**
 * Makes the one call that `queue` gives to the thread, which it has for itself; answers its code.
 * Waits for a thread if none can be had: a descriptor may not stay open for want of one.
 */
function madeApart(queue: (thread: number) => number): Promise<number> {
  return new Promise((resolve) => {
    const thread = native.callStart('pasidd-close', (...end) => {
      if (end.length === 4) resolve(end[1])
    })
    if (thread < 0) {
      setTimeout(() => resolve(madeApart(queue)), RETRY_MS).unref()
      return
    }
    queue(thread)
    native.callEnd(thread)
  })
}

/**
 * close(2) on a thread that does nothing else. It needs no descriptor, and waits for a thread if
 * none can be had. The descriptor is let go of at once. Resolves when the file is closed.
 */
export async function closeOnThread(fd: ReleasableFd): Promise<void> {
  const number = fd.release()
  await madeApart((thread) => native.callClose(thread, number))
}

export class LinuxCallThread {
  readonly #thread: number
  /** Takes the place of what is closed while a call may still mean its number. */
  readonly #stopgap: OwnedFd
  readonly #pending = new Map<number, Pending>()
  /** Numbers that stand for the stopgap until the thread is over. */
  readonly #replaced: number[] = []
  #replacing: Promise<unknown> = Promise.resolve()
  /** Calls of other threads that mean them too. */
  #meant: Promise<unknown> = Promise.resolve()
  #isOver = false

  private constructor(name: string, stopgap: OwnedFd) {
    this.#stopgap = stopgap
    this.#thread = native.callStart(name, (...end) => {
      if (end.length === 1) return this.#over()
      const [call, code, bytes, data] = end
      this.#ended(call, { code, bytes, data })
    })
  }

  /**
   * `name`: for ps(1) and debuggers, of which the kernel keeps 15 bytes. Fails with EAGAIN when
   * there are too many threads, and with EMFILE or ENFILE without a descriptor left.
   */
  static start(name: string): LinuxCallThread | SyscallFailure {
    let stopgap: OwnedFd
    try {
      stopgap = new OwnedFd(fs.openSync('/dev/null', 'r+'), 'the stopgap of a call thread')
    } catch (error) {
      return thrownFailure('open /dev/null', error)
    }
    const started = new LinuxCallThread(name, stopgap)
    if (started.#thread >= 0) return started
    stopgap.close()
    return failureOf('pthread_create', started.#thread)
  }

  /** ioctl(2). A structure that says how large it is says the truth. */
  async ioctl({ fd, request, bytes, pointer }: IoctlCall): Promise<IoctlEnd> {
    within(request, REQUEST_MAX, 'an ioctl’s request')
    within(bytes.length, STRUCTURE_BYTES_MAX, 'the length of a structure')
    const { at, data } = pointer ?? { at: -1, data: NOTHING }
    if (pointer !== undefined) within(at, bytes.length - POINTER_BYTES, 'a pointer’s offset')
    within(data.length, DATA_BYTES_MAX, 'the length of what a structure points to')
    return await this.#queued(native.callIoctl(this.#thread, fd, request, bytes, at, data))
  }

  /** read(2) of at most `bytes`, themselves at most DATA_BYTES_MAX. */
  async read(fd: number, bytes: number): Promise<ReadEnd> {
    within(bytes, DATA_BYTES_MAX, 'the length of a read')
    const { code, data } = await this.#queued(native.callRead(this.#thread, fd, bytes))
    return { code, data }
  }

  /** write(2) of at most DATA_BYTES_MAX; perhaps of fewer than were given, as the code says. */
  async write(fd: number, bytes: Uint8Array): Promise<CallEnd> {
    within(bytes.length, DATA_BYTES_MAX, 'the length of a write')
    const { code } = await this.#queued(native.callWrite(this.#thread, fd, bytes))
    return { code }
  }

  /** close(2), in its turn. One that could not be queued stays its owner's. */
  async close(fd: ReleasableFd): Promise<CallEnd> {
    const call = native.callClose(this.#thread, fd.number)
    const { code } = await this.#queued(call, call < 0 ? undefined : fd.release())
    return { code }
  }

  /** No more calls; those that wait are carried out first. Repeatable. */
  end(): void {
    native.callEnd(this.#thread)
  }

  /**
   * For a thread that is stuck: ends it, and what has not begun ends with -ECANCELED. The
   * descriptors, and those that waited to be closed, are closed at once, each by a thread of its
   * own. Their numbers stand for /dev/null until the call under way is back, and `meant` has
   * resolved (calls of other threads that mean them too): whatever these still do with one fails,
   * and hits no other file that got the number. Settles when all are closed. Repeatable.
   */
  async abandon(fds: readonly ReleasableFd[], meant?: Promise<unknown>): Promise<void> {
    const isMeant = meant !== undefined && !this.#isOver
    if (isMeant) this.#meant = Promise.all([this.#meant, meant])
    const closing = fds.map((fd) => this.#closeElsewhere(fd.release(), isMeant))
    for (const call of native.callAbandon(this.#thread)) {
      const closes = this.#pending.get(call)?.closes
      if (closes === undefined) this.#ended(call, notMade(-ECANCELED))
      else closing.push(this.#closeElsewhere(closes).then(() => this.#ended(call, notMade(0))))
    }
    const closed = Promise.all(closing)
    this.#replacing = Promise.all([this.#replacing, closed])
    await closed
  }

  #queued(call: number, closes?: number): Promise<IoctlEnd> {
    if (call < 0) return Promise.resolve(notMade(call))
    return new Promise((settle) => this.#pending.set(call, { settle, closes }))
  }

  #ended(call: number, end: IoctlEnd): void {
    const pending = this.#pending.get(call)
    this.#pending.delete(call)
    pending?.settle(end)
  }

  async #closeElsewhere(number: number, isMeant = false): Promise<void> {
    const code = await madeApart((thread) => {
      if (this.#isOver && !isMeant) return native.callClose(thread, number)
      this.#replaced.push(number)
      return native.callReplace(thread, number, this.#stopgap.number)
    })
    if (code < 0 && failureOf('dup3', code).errno === 'EBADF') {
      throw new FdMisuse(`descriptor ${number} was closed by somebody who does not own it`)
    }
  }

  /** Nothing means the numbers any more, once what is being replaced is. */
  #over(): void {
    this.#isOver = true
    void Promise.all([this.#replacing, this.#meant]).then(() => {
      for (const number of this.#replaced) native.close(number)
      this.#stopgap.close()
    })
  }
}

function notMade(code: number): IoctlEnd {
  return { code, bytes: NOTHING, data: NOTHING }
}
