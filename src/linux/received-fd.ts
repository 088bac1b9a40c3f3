/**
 * A descriptor that another process sent. Nothing of it is to be trusted, its kind included. Holds:
 * it is closed, or taken, exactly once; it stays open until then, whatever the sender does.
 */
import fs from 'node:fs'
import { native } from './addon.js'
import { SyscallFailure } from './errno.js'
import { OwnedFd } from './owned-fd.js'
import { PIDFS_MAGIC, Pidfd } from './pidfd.js'

export type FdKind =
  | 'pidfd'
  | 'pidfd of a thread'
  | 'regular file'
  | 'socket'
  | 'directory'
  | 'character device'
  | 'other'

/** S_IFMT and its values, inode(7). A memfd is a regular file. */
const TYPE_MASK = 0o170000
const TYPES: ReadonlyMap<number, FdKind> = new Map([
  [0o140000, 'socket'],
  [0o100000, 'regular file'],
  [0o040000, 'directory'],
  [0o020000, 'character device'],
])
/** PIDFD_THREAD is O_EXCL, include/uapi/linux/pidfd.h: it stands for a thread (Linux >= 6.9). */
const PIDFD_THREAD = 0o200
/** ANON_INODE_FS_MAGIC, and what /proc/self/fd says of a pidfd on it (Linux < 6.9). */
const ANON_INODE_FS_MAGIC = 0x09041934
const OLD_PIDFD = 'anon_inode:[pidfd]'

/** Of libuv's pool of four threads; what else uses that goes on. */
const CLOSES_AT_ONCE = 2
/** Descriptors waiting for their close; with more, no others are taken. */
const CLOSES_WAITING_MAX = 64

const waiting: number[] = []
let closing = 0

/**
 * On another thread: close(2) waits for the server of a file on FUSE to answer FUSE_FLUSH
 * (fs/fuse/file.c), and the sender may be that server.
 */
function closeElsewhere(fd: number): void {
  waiting.push(fd)
  closeNext()
}

function closeNext(): void {
  while (closing < CLOSES_AT_ONCE) {
    const fd = waiting.shift()
    if (fd === undefined) return
    closing += 1
    fs.close(fd, () => {
      closing -= 1
      closeNext()
    })
  }
}

/** Whether those that nobody wanted are closed fast enough for more to be taken. */
export function mayTakeFds(): boolean {
  return waiting.length < CLOSES_WAITING_MAX
}

export class ReceivedFd {
  readonly #fd: OwnedFd

  constructor(fd: number) {
    this.#fd = new OwnedFd(fd, 'a received descriptor')
  }

  /** What file it is, in words for a refusal too. */
  kind(): FdKind {
    const facts = native.fileFacts(this.#fd.number)
    if (typeof facts === 'number') return 'other'
    if (!this.#isPidfd(facts.filesystem)) return TYPES.get(facts.mode & TYPE_MASK) ?? 'other'
    // One opened with O_PATH has all that a pidfd has, but it cannot be polled.
    if (native.pidfdEnded(this.#fd.number) < 0) return 'other'
    return (this.#flags() & PIDFD_THREAD) === 0 ? 'pidfd' : 'pidfd of a thread'
  }

  #isPidfd(filesystem: number): boolean {
    if (filesystem !== ANON_INODE_FS_MAGIC) return filesystem === PIDFS_MAGIC
    return fs.readlinkSync(`/proc/self/fd/${this.#fd.number}`) === OLD_PIDFD
  }

  /** Of open(2), as fdinfo has them, in octal. */
  #flags(): number {
    const fdinfo = fs.readFileSync(`/proc/self/fdinfo/${this.#fd.number}`, 'utf8')
    return Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(fdinfo)?.[1] ?? '0', 8)
  }

  /** The process it stands for; then the Pidfd is the owner. Undefined, and still ours, if none. */
  takePidfd(): Pidfd | undefined {
    if (this.kind() !== 'pidfd') return undefined
    const pidfd = Pidfd.adopt(this.#fd.release())
    return pidfd instanceof SyscallFailure ? undefined : pidfd
  }

  close(): void {
    this.#fd.close()
  }

  /** As close(), for one of whose kind nothing good is known: it is gone a moment later. */
  discard(): void {
    closeElsewhere(this.#fd.release())
  }
}
