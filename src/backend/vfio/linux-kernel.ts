/** The product's kernel: threads, watches and descriptors of src/linux/, behind the port. */

import { SyscallFailure } from '../../linux/errno.js'
import { closeOnThread, LinuxCallThread } from '../../linux/call-thread.js'
import { OwnedFd } from '../../linux/owned-fd.js'
import { ReadableOnce } from '../../linux/readable.js'
import { BackendFault } from '../backend.js'
import type { Kernel } from './ports.js'

function orRetry<T extends object>(made: T | SyscallFailure): T {
  if (made instanceof SyscallFailure) throw new BackendFault(made.toString(), 'RETRY')
  return made
}

export const linuxKernel: Kernel = {
  startThread: (name) => orRetry(LinuxCallThread.start(name)),
  close: (fd) => closeOnThread(fd),
  whenReadable: (fd, readable) => orRetry(ReadableOnce.start(fd, false, readable)),
  adopt: (fd, what) => new OwnedFd(fd, what),
}
