/**
 * A descriptor that another process sent. Nothing of it is to be trusted, its kind included. Holds:
 * it is closed, or taken, exactly once; it stays open until then, whatever the sender does.
 */
import fs from 'node:fs'
import { type MemoryFacts, native } from './addon.js'
import { type DeviceFacts, deviceFacts } from './char-device.js'
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
const O_PATH = 0o10000000
/** ANON_INODE_FS_MAGIC, and what /proc/self/fd says of a pidfd on it (Linux < 6.9). */
const ANON_INODE_FS_MAGIC = 0x09041934
const OLD_PIDFD = 'anon_inode:[pidfd]'

/** Of libuv's pool of four threads; what else uses that goes on. */
const CLOSES_AT_ONCE = 2
/** Descriptors waiting for their close; with more, no others are taken. */
const CLOSES_WAITING_MAX = 64

/** Of those, from one user: its files may never be closed, and others still need the rest. */
const CLOSES_OF_SENDER_MAX = 8

interface Close {
  readonly fd: number
  readonly sender: number
}

const waiting: Close[] = []
/** Waiting and under way. */
const bySender = new Map<number, number>()
/** Whose close is under way: one of a user's at a time, so that one cannot hold up the rest. */
const closing = new Set<number>()

/**
 * On another thread: close(2) waits for the server of a file on FUSE to answer FUSE_FLUSH
 * (fs/fuse/file.c), and the sender may be that server.
 */
function closeElsewhere(close: Close): void {
  waiting.push(close)
  bySender.set(close.sender, (bySender.get(close.sender) ?? 0) + 1)
  closeNext()
}

function closed({ sender }: Close): void {
  closing.delete(sender)
  const left = (bySender.get(sender) ?? 0) - 1
  if (left > 0) bySender.set(sender, left)
  else bySender.delete(sender)
}

function closeNext(): void {
  while (closing.size < CLOSES_AT_ONCE) {
    const at = waiting.findIndex(({ sender }) => !closing.has(sender))
    const [next] = at === -1 ? [] : waiting.splice(at, 1)
    if (next === undefined) return
    closing.add(next.sender)
    fs.close(next.fd, () => {
      closed(next)
      closeNext()
    })
  }
}

/** Whether those that nobody wanted are closed fast enough for more of the user's to be taken. */
export function mayTakeFds(sender: number): boolean {
  return waiting.length < CLOSES_WAITING_MAX && (bySender.get(sender) ?? 0) < CLOSES_OF_SENDER_MAX
}

export class ReceivedFd {
  readonly #fd: OwnedFd
  readonly #sender: number

  /** `sender`: the user. */
  constructor(fd: number, sender: number) {
    this.#fd = new OwnedFd(fd, 'a received descriptor')
    this.#sender = sender
  }

  /** What file it is, in words for a refusal too. Waits for nobody, whatever it is. */
  kind(): FdKind {
    const facts = native.memoryFacts(this.#fd.number)
    // One opened with O_PATH has all that a pidfd has, but it cannot be polled.
    if (typeof facts === 'number' || (facts.flags & O_PATH) !== 0) return 'other'
    if (!this.#isPidfd()) return TYPES.get(facts.mode & TYPE_MASK) ?? 'other'
    return (facts.flags & PIDFD_THREAD) === 0 ? 'pidfd' : 'pidfd of a thread'
  }

  #isPidfd(): boolean {
    // fstatfs(2) waits for the server of a file on FUSE: only a pidfd has this line.
    const fdinfo = fs.readFileSync(`/proc/self/fdinfo/${this.#fd.number}`, 'utf8')
    if (!/^Pid:/m.test(fdinfo)) return false
    const facts = native.fileFacts(this.#fd.number)
    if (typeof facts === 'number') return false
    if (facts.filesystem !== ANON_INODE_FS_MAGIC) return facts.filesystem === PIDFS_MAGIC
    return this.name() === OLD_PIDFD
  }

  /** As /proc/self/fd has it: a path, or a kind such as `anon_inode:[eventfd]`. It never waits. */
  name(): string {
    return fs.readlinkSync(`/proc/self/fd/${this.#fd.number}`)
  }

  /** What decides whether it is memory; undefined when it cannot be looked at. Waits for nobody. */
  memoryFacts(): MemoryFacts | undefined {
    const facts = native.memoryFacts(this.#fd.number)
    return typeof facts === 'number' ? undefined : facts
  }

  /** What decides whether it is a device, and which. Waits for nobody. */
  deviceFacts(): DeviceFacts | undefined {
    return deviceFacts(this.#fd)
  }

  /** The process it stands for; then the Pidfd is the owner. Undefined, and still ours, if none. */
  takePidfd(): Pidfd | undefined {
    if (this.kind() !== 'pidfd') return undefined
    const pidfd = Pidfd.adopt(this.#fd.release())
    return pidfd instanceof SyscallFailure ? undefined : pidfd
  }

  /** Hands it to another owner. */
  take(): number {
    return this.#fd.release()
  }

  close(): void {
    this.#fd.close()
  }

  /** As close(), for one of whose kind nothing good is known: it is gone a moment later. */
  discard(): void {
    closeElsewhere({ fd: this.#fd.release(), sender: this.#sender })
  }
}
