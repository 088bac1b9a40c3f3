/**
 * Who is at the other end of a Unix socket, by the kernel's word (unix(7), socket(7)). The kernel
 * noted it at connect(): a descriptor that was inherited or passed on keeps the connector's
 * identity, and later changes of uid do not show.
 */
import { native } from './addon.js'
import { failureOf, SyscallFailure } from './errno.js'
import { Pidfd } from './pidfd.js'

export interface Peer {
  /** In our pid namespace; 0 for a process outside of it. */
  readonly pid: number
  /** In our user namespace; the overflow uid (see ourselves.ts) for one that has no number here. */
  readonly uid: number
  readonly gid: number
  /** The supplementary groups; they need not hold `gid`. */
  readonly groups: readonly number[]
  /** What the security module calls it; undefined where none gives labels. */
  readonly label: string | undefined
  /** The caller closes it. Undefined only where the kernel has no SO_PEERPIDFD (Linux < 6.5). */
  readonly pidfd: Pidfd | undefined
}

/** The kernel does not know the option. */
const UNKNOWN_OPTION = 'ENOPROTOOPT'

function pidfdOf(fd: number): Pidfd | undefined | SyscallFailure {
  const pidfd = native.peerPidfd(fd)
  if (pidfd >= 0) return Pidfd.adopt(pidfd)
  const failure = failureOf('getsockopt(SO_PEERPIDFD)', pidfd)
  return failure.errno === UNKNOWN_OPTION ? undefined : failure
}

function labelOf(fd: number): string | undefined | SyscallFailure {
  const label = native.peerLabel(fd)
  if (typeof label === 'string') return label
  const failure = failureOf('getsockopt(SO_PEERSEC)', label)
  return failure.errno === UNKNOWN_OPTION ? undefined : failure
}

/**
 * The peer of a connected socket; works also when it has ended and was reaped (Linux >= 6.16).
 * Fails with the first call that did: ENODATA for a socket that is not connected, EINVAL or ESRCH
 * of SO_PEERPIDFD when the peer was reaped (Linux 6.5 to 6.15), EMFILE without a descriptor left.
 */
export function peerOf(socketFd: number): Peer | SyscallFailure {
  const credentials = native.peerCredentials(socketFd)
  if (typeof credentials === 'number') return failureOf('getsockopt(SO_PEERCRED)', credentials)
  const groups = native.peerGroups(socketFd)
  if (typeof groups === 'number') return failureOf('getsockopt(SO_PEERGROUPS)', groups)
  const label = labelOf(socketFd)
  if (label instanceof SyscallFailure) return label
  // Last: from here on there is something to close.
  const pidfd = pidfdOf(socketFd)
  if (pidfd instanceof SyscallFailure) return pidfd
  const { pid, uid, gid } = credentials
  return { pid, uid, gid, groups, label, pidfd }
}
