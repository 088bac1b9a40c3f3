/**
 * A descriptor in a box: the end of a Unix socket in whose queue it lies, in a message that is
 * looked at and never taken. For who keeps each open file once (the service manager's store,
 * src/core/service.c of systemd: same_fd()): a box is a file of its own, whatever is in it. What is
 * in it stays open as long as the box does.
 */
import { native } from './addon.js'
import { failureOf, type SyscallFailure } from './errno.js'
import { OwnedFd } from './owned-fd.js'

const MARK = Buffer.from('box')

/**
 * A new box; the descriptor stays the caller's too. Fails with EMFILE or ENFILE without a
 * descriptor left, and with ETOOMANYREFS when more than RLIMIT_NOFILE of the user's lie in sockets
 * (unix(7)).
 */
export function boxed(fd: number): OwnedFd | SyscallFailure {
  const pair = native.seqpacketPair()
  if (typeof pair === 'number') return failureOf('socketpair', pair)
  const box = new OwnedFd(pair[0], 'a box')
  const sent = native.sendMessage(pair[1], MARK, [fd])
  // What was sent outlives the end that it came from.
  native.close(pair[1])
  if (sent >= 0) return box
  box.close()
  return failureOf('sendmsg', sent)
}

/** What is in it, again and again; undefined: it is no box. The box stays the caller's. */
export function unboxed(box: OwnedFd): OwnedFd | undefined {
  const message = native.receiveMessage(box.number, MARK.length, 1, true)
  if (typeof message === 'number') return undefined
  const [fd] = message.fds
  if (fd === undefined) return undefined
  const content = new OwnedFd(fd, 'what was in a box')
  if (MARK.equals(message.bytes)) return content
  content.close()
  return undefined
}
