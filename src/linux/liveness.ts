/**
 * Whether the owner that we wrote down is still there, when no pidfd of it is held: at start-up, in
 * the sweep, and before "exhausted" is answered. Cheap (a few system calls, no descriptor kept).
 * Holds: DEAD_PROVEN only by the kernel's word that cannot be wrong; what is not known is UNKNOWN.
 */
import { SyscallFailure } from './errno.js'
import { pidNamespace } from './ourselves.js'
import { Pidfd } from './pidfd.js'
import { findByInode } from './pidfs.js'
import { startTimeOf } from './process.js'

/** How a process was written down. */
export interface RecordedProcess {
  readonly pid: number
  /** Of its pidfd; '' where the kernel had none (see Pidfd.inode). */
  readonly inode: string
  /** In clock ticks since boot; '' when it was not known. */
  readonly startTime: string
  /** Of the daemon that wrote it down: `pid` and `inode` mean nothing in another. */
  readonly pidNamespace: string
}

/**
 * DEAD_PROVEN: by pidfd, or by pidfs (another process has the number, or the inode is gone).
 * DEAD_INFERRED: nothing contradicts it, but a wrong record, or a wrong /proc, would look the same.
 */
export type Liveness = 'ALIVE' | 'DEAD_PROVEN' | 'DEAD_INFERRED' | 'UNKNOWN'

function startTimeOrUndefined(pid: number): string | undefined {
  try {
    return startTimeOf(pid)
  } catch {
    // Gone in between, or hidden from us: the caller asks the pidfd, which knows.
    return undefined
  }
}

/**
 * For a kernel, or a record, without inodes. Whoever has the number now is the owner or came after
 * it: when that one has ended, so has the owner.
 */
function compareStartTime(owner: RecordedProcess, pidfd: Pidfd): Liveness {
  const startTime = startTimeOrUndefined(owner.pid)
  const isSame = startTime !== undefined && startTime === owner.startTime
  // After the read: what was read of a process that has ended since may be another's.
  if (pidfd.ended()) return isSame ? 'DEAD_PROVEN' : 'DEAD_INFERRED'
  if (startTime === undefined || owner.startTime === '') return 'UNKNOWN'
  return isSame ? 'ALIVE' : 'DEAD_INFERRED'
}

function compare(owner: RecordedProcess, pidfd: Pidfd): Liveness {
  if (owner.inode === '' || pidfd.inode === '') return compareStartTime(owner, pidfd)
  if (owner.inode !== pidfd.inode) return 'DEAD_PROVEN'
  return pidfd.ended() ? 'DEAD_PROVEN' : 'ALIVE'
}

/** No process has the number. */
function withoutProcess(owner: RecordedProcess): Liveness {
  if (owner.inode === '') return 'DEAD_INFERRED'
  const answer = findByInode(owner.inode)
  if (answer === 'GONE') return 'DEAD_PROVEN'
  return answer === 'UNAVAILABLE' ? 'DEAD_INFERRED' : 'UNKNOWN'
}

/** A thread has the number, which says little of the owner: only the proof counts. */
function withThread(owner: RecordedProcess): Liveness {
  return owner.inode !== '' && findByInode(owner.inode) === 'GONE' ? 'DEAD_PROVEN' : 'UNKNOWN'
}

export function probe(owner: RecordedProcess): Liveness {
  if (owner.pidNamespace !== pidNamespace()) return 'UNKNOWN'
  const pidfd = Pidfd.open(owner.pid)
  if (pidfd instanceof SyscallFailure) {
    if (pidfd.errno === 'ESRCH') return withoutProcess(owner)
    // EINVAL, and ENOENT since Linux 6.15: the number is that of a thread.
    return ['EINVAL', 'ENOENT'].includes(pidfd.errno) ? withThread(owner) : 'UNKNOWN'
  }
  try {
    return compare(owner, pidfd)
  } finally {
    pidfd.close()
  }
}
