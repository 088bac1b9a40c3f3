/** Memory behind a descriptor, which lives as long as anybody has one of it: memfd_create(2). */
import { native } from './addon.js'
import { failureOf, type SyscallFailure } from './errno.js'
import { OwnedFd } from './owned-fd.js'

/**
 * An empty one, read and written like a file, that cannot be executed. `name`: at most 249 bytes,
 * for people, as /proc/PID/fd shows it. Fails with EMFILE or ENFILE without a descriptor left.
 */
export function createMemfd(name: string): OwnedFd | SyscallFailure {
  const fd = native.memfdCreate(name)
  return fd < 0 ? failureOf('memfd_create', fd) : new OwnedFd(fd, `the memory ${name}`)
}
