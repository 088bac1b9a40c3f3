/**
 * A process, held by descriptor (pidfd_open(2)): the number of a process is given to another one
 * day, its pidfd never stands for another. Does not keep the process, nor the event loop, alive.
 * Holds: the descriptor has this one owner; `close` ends its watch first.
 */
import fs from 'node:fs'
import { type FileFacts, native } from './addon.js'
import { failureOf, SyscallFailure } from './errno.js'
import { FdMisuse, OwnedFd } from './owned-fd.js'
import { ReadableWatch } from './readable.js'

/** PIDFS_MAGIC, include/uapi/linux/magic.h: "PIDF". */
export const PIDFS_MAGIC = 0x50494446
/** How often a process is looked at when the kernel has no watch left to give. */
const FALLBACK_POLL_MS = 500

/** What is left of a process that was reaped: exit(3)'s code, or the signal that ended it. */
export type ExitStatus = { readonly code: number } | { readonly signal: number }

/**
 * The inode that tells a process from every other of this boot, over exec and over opens; '' where
 * all pidfds share one (Linux < 6.9, when they were no files of pidfs).
 */
function inodeOf(facts: FileFacts): string {
  return facts.filesystem === PIDFS_MAGIC ? String(facts.inode) : ''
}

export class Pidfd {
  readonly inode: string
  readonly #fd: OwnedFd
  readonly #onEnd = new Set<() => void>()
  #watch: (() => void) | undefined

  private constructor(fd: OwnedFd, inode: string) {
    this.#fd = fd
    this.inode = inode
  }

  /**
   * The process with this number, zombies included. ESRCH: there is none; EINVAL, or ENOENT since
   * Linux 6.15: the number is that of a thread; EMFILE, ENFILE: no descriptor left.
   */
  static open(pid: number): Pidfd | SyscallFailure {
    const fd = native.pidfdOpen(pid)
    return fd < 0 ? failureOf('pidfd_open', fd) : Pidfd.adopt(fd)
  }

  /** Takes a pidfd over; it is closed when it turns out to be none. */
  static adopt(fd: number): Pidfd | SyscallFailure {
    const owned = new OwnedFd(fd, 'a pidfd')
    const facts = native.fileFacts(fd)
    if (typeof facts !== 'number') return new Pidfd(owned, inodeOf(facts))
    owned.close()
    return failureOf('fstat', facts)
  }

  /**
   * Whether every thread of the process has ended: true for a zombie, and for good. One poll(2)
   * that does not wait. For a fact read from /proc/PID this is asked after the read, never before.
   */
  ended(): boolean {
    const code = native.pidfdEnded(this.#fd.number)
    if (code < 0) throw new FdMisuse(`a pidfd cannot be polled: ${failureOf('poll', code).errno}`)
    return code > 0
  }

  /**
   * Calls back once when the process has ended, in a later turn of the event loop, also when it
   * has ended already. The returned function cancels; so does `close`.
   */
  onEnd(callback: () => void): () => void {
    // Each call is a callback of its own, also when the same function is given twice.
    const entry = () => callback()
    this.#onEnd.add(entry)
    this.#watch ??= this.#startWatch()
    return () => {
      this.#onEnd.delete(entry)
      if (this.#onEnd.size === 0) this.#stopWatch()
    }
  }

  #startWatch(): () => void {
    const watch = ReadableWatch.start(this.#fd.number, false, () => this.#announce())
    if (!(watch instanceof SyscallFailure)) return () => watch.stop()
    // Too many watches: a death is noticed a little later then, but it is noticed.
    const timer = setInterval(() => {
      if (this.ended()) this.#announce()
    }, FALLBACK_POLL_MS)
    timer.unref()
    return () => clearInterval(timer)
  }

  #announce(): void {
    const callbacks = [...this.#onEnd]
    this.#onEnd.clear()
    this.#stopWatch()
    for (const callback of callbacks) callback()
  }

  #stopWatch(): void {
    this.#watch?.()
    this.#watch = undefined
  }

  /**
   * The number in our pid namespace; undefined once the process is reaped, and for one outside.
   * PIDFD_GET_INFO, or the Pid line of fdinfo (Linux < 6.13): -1 when reaped, 0 when outside.
   */
  pid(): number | undefined {
    const info = native.pidfdInfo(this.#fd.number)
    if (typeof info !== 'number') return info.pid
    if (failureOf('ioctl', info).errno !== 'ENOTTY') return undefined
    const fdinfo = fs.readFileSync(`/proc/self/fdinfo/${this.#fd.number}`, 'utf8')
    const pid = Number(/^Pid:\s*(-?\d+)$/m.exec(fdinfo)?.[1] ?? 0)
    return pid > 0 ? pid : undefined
  }

  /** How the process ended, once it is reaped: PIDFD_INFO_EXIT of Linux >= 6.15. */
  exitStatus(): ExitStatus | undefined {
    const info = native.pidfdInfo(this.#fd.number)
    if (typeof info === 'number' || info.exitStatus === undefined) return undefined
    // As wait(2) gives it: the signal in the low seven bits, else the code in the next byte.
    const signal = info.exitStatus & 0x7f
    return signal === 0 ? { code: (info.exitStatus >> 8) & 0xff } : { signal }
  }

  close(): void {
    this.#onEnd.clear()
    this.#stopWatch()
    this.#fd.close()
  }
}
