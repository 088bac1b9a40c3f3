/**
 * Memory that somebody handed over: a memfd (or another file of tmpfs or hugetlbfs) that came over
 * the side socket, or a regular file that an operator names. It is read and written by the word,
 * where it is, and never copied.
 *
 * What always holds: what is mapped is sealed against shrinking, so whatever its owner does, no
 * access raises SIGBUS; everything else is read with pread(2), where a word that is cut off is no
 * word. Nothing is asked of a file before it is known that no other process has to answer. The last
 * close frees the memory, which can take long, and is done on another thread.
 */
import fs from 'node:fs'
import { type MemoryFacts, native } from './addon.js'
import { SyscallFailure, thrownFailure } from './errno.js'
import { MappedWindows } from './memory-window.js'
import { OwnedFd } from './owned-fd.js'
import type { ReceivedFd } from './received-fd.js'

/** As the backend's door has it. */
export interface GuestMemoryFile {
  readonly bytes: number
  readonly mapped: boolean
  read(offset: number): bigint | undefined
  exchange(offset: number, expected: bigint, next: bigint): boolean
  close(): void
}

/** Why a descriptor or path is not taken, and what to do instead; for people. */
export class MemoryProblem {
  constructor(
    readonly problem: string,
    readonly remedy: string,
  ) {}
}

/** include/uapi/linux/magic.h. */
const TMPFS_MAGIC = 0x0102_1994
const HUGETLBFS_MAGIC = 0x9584_58f6
/** include/uapi/linux/fcntl.h. */
const F_SEAL_SHRINK = 0x2
const F_SEAL_WRITE = 0x8
const F_SEAL_FUTURE_WRITE = 0x10
const O_PATH = 0o10000000
const O_ACCMODE = 0o3
/** inode(7). */
const TYPE_MASK = 0o170000
const TYPES: ReadonlyMap<number, string> = new Map([
  [0o010000, 'a pipe'],
  [0o020000, 'a character device'],
  [0o040000, 'a directory'],
  [0o060000, 'a block device'],
  [0o100000, 'a file that is neither a memfd nor on tmpfs'],
  [0o140000, 'a socket'],
])
const SEND_MEMFD =
  'send a memfd (memfd_create), best sealed with F_SEAL_SHRINK, so that it is mapped'
/** Offsets are numbers: 2^53 is far beyond what 48 bits of guest-physical addresses need. */
const BYTES_MAX = 2n ** 52n

function wholeWords(bytes: bigint): number {
  const held = bytes < BYTES_MAX ? bytes : BYTES_MAX
  return Number(held - (held % 8n))
}

/**
 * Takes the descriptor over: the memory holds it, or it is closed. Refused is what is no memory, by
 * its kind: a file with another process behind it (FUSE, a pipe) could make a read wait for good.
 */
export function openReceivedMemory(received: ReceivedFd): GuestMemoryFile | MemoryProblem {
  const facts = received.memoryFacts()
  const problem =
    facts === undefined ? new MemoryProblem('it cannot be looked at', SEND_MEMFD) : problemOf(facts)
  if (facts !== undefined && problem === undefined) {
    return openMemory(new OwnedFd(received.take(), 'guest memory'), facts)
  }
  received.discard()
  return problem ?? new MemoryProblem('it cannot be looked at', SEND_MEMFD)
}

function problemOf({ flags, seals, filesystem, mode }: MemoryFacts): MemoryProblem | undefined {
  if ((flags & O_PATH) !== 0) {
    return new MemoryProblem('it was opened with O_PATH and cannot be read', SEND_MEMFD)
  }
  if (seals === -1) {
    const kind = TYPES.get(mode & TYPE_MASK) ?? 'no file with memory behind it'
    return new MemoryProblem(`it is ${kind}`, SEND_MEMFD)
  }
  if ((flags & O_ACCMODE) === fs.constants.O_WRONLY) {
    return new MemoryProblem('it was opened for writing only', 'open it for reading and writing')
  }
  if (filesystem === TMPFS_MAGIC || filesystem === HUGETLBFS_MAGIC) return undefined
  const kind = `filesystem 0x${filesystem.toString(16)}`
  return new MemoryProblem(`it is on ${kind}, not on tmpfs or hugetlbfs`, SEND_MEMFD)
}

function openMemory(fd: OwnedFd, facts: MemoryFacts): GuestMemoryFile {
  const { flags, seals, filesystem } = facts
  const bytes = wholeWords(facts.bytes)
  const sealed = (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0
  const writable = (flags & O_ACCMODE) === fs.constants.O_RDWR && !sealed
  // Huge pages can be missing when one is first touched, which is SIGBUS: never mapped.
  const mayMap = filesystem === TMPFS_MAGIC && (seals & F_SEAL_SHRINK) !== 0 && bytes > 0
  return mayMap ? new MappedMemory(fd, bytes, writable) : new ReadMemory(fd, bytes, writable)
}

/** The last close frees the memory: elsewhere, since that takes long when there is much of it. */
function closeMemory(fd: OwnedFd): void {
  fs.close(fd.release(), () => undefined)
}

/**
 * The file behind a path of an operator's: a regular one, itself and no link to it. Read-only where
 * it cannot be opened for writing. Opening waits for nobody but the disk.
 */
export function openMemoryPath(path: string): GuestMemoryFile | MemoryProblem {
  const remedy = 'name a regular file that the daemon may read'
  const { O_RDWR, O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = fs.constants
  // To open a device can change it, and a pipe has somebody at its other end: looked at first.
  const before = attempt('lstat', () => fs.lstatSync(path))
  if (before instanceof SyscallFailure)
    return new MemoryProblem(`${path}: ${String(before)}`, remedy)
  if (!before.isFile()) return new MemoryProblem(`${path} is no regular file`, remedy)
  const how = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
  const both = attempt('open', () => fs.openSync(path, O_RDWR | how))
  const writable = typeof both === 'number'
  const opened = writable ? both : attempt('open', () => fs.openSync(path, O_RDONLY | how))
  if (opened instanceof SyscallFailure)
    return new MemoryProblem(`${path}: ${String(opened)}`, remedy)
  const fd = new OwnedFd(opened, 'an operator’s memory')
  const stat = fs.fstatSync(fd.number, { bigint: true })
  if (!stat.isFile()) {
    closeMemory(fd)
    return new MemoryProblem(`${path} is no regular file`, remedy)
  }
  return new ReadMemory(fd, wholeWords(stat.size), writable)
}

function attempt<T>(syscall: string, call: () => T): T | SyscallFailure {
  try {
    return call()
  } catch (error) {
    return thrownFailure(syscall, error)
  }
}

/** With pread(2) and pwrite(2): for what its owner may truncate at any time. */
class ReadMemory implements GuestMemoryFile {
  readonly bytes: number
  readonly mapped: boolean = false
  protected readonly fd: OwnedFd
  protected readonly writable: boolean

  constructor(fd: OwnedFd, bytes: number, writable: boolean) {
    this.fd = fd
    this.bytes = bytes
    this.writable = writable
  }

  read(offset: number): bigint | undefined {
    return this.holds(offset) ? native.readWord(this.fd.number, offset) : undefined
  }

  /**
   * Read, compare, write, read again. It cannot promise what an atomic exchange does: another's
   * write between the two is lost, and true is answered. hugetlbfs takes no write(2): false.
   */
  exchange(offset: number, expected: bigint, next: bigint): boolean {
    if (!this.writable || this.read(offset) !== expected) return false
    return native.writeWord(this.fd.number, offset, next) && this.read(offset) === next
  }

  close(): void {
    closeMemory(this.fd)
  }

  protected holds(offset: number): boolean {
    return offset >= 0 && offset % 8 === 0 && offset + 8 <= this.bytes
  }
}

class MappedMemory extends ReadMemory {
  override readonly mapped = true
  readonly #windows: MappedWindows

  constructor(fd: OwnedFd, bytes: number, writable: boolean) {
    super(fd, bytes, writable)
    this.#windows = new MappedWindows(fd, bytes, writable)
  }

  override read(offset: number): bigint | undefined {
    if (!this.holds(offset)) return undefined
    const window = this.#windows.find(offset)
    return window === undefined ? super.read(offset) : native.loadWord(window.id, window.at)
  }

  override exchange(offset: number, expected: bigint, next: bigint): boolean {
    if (!this.writable || !this.holds(offset)) return false
    const window = this.#windows.find(offset)
    return window === undefined
      ? super.exchange(offset, expected, next)
      : native.exchangeWord(window.id, window.at, expected, next)
  }

  override close(): void {
    this.#windows.close()
    super.close()
  }
}
