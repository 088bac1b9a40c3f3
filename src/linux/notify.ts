/** Telling the service manager how we are: sd_notify(3), a datagram to $NOTIFY_SOCKET. */
import { native } from './addon.js'

/**
 * Sends assignments such as `READY=1`, one a line, and at most 253 descriptors with them, which
 * stay the caller's (sd_pid_notify_with_fds(3)). False when no manager asked for them, or when it
 * did not take this one (its queue is full, or it is gone): it never waits.
 */
export function notify(state: string, fds: readonly number[] = []): boolean {
  const name = process.env.NOTIFY_SOCKET
  if (name === undefined || (!name.startsWith('/') && !name.startsWith('@'))) return false
  // "@" stands for the NUL that an abstract name begins with (unix(7)).
  return native.sendDatagram(name.replace(/^@/, '\0'), state, fds) >= 0
}
