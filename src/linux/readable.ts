/**
 * A descriptor watched in the event loop (uv_poll_t). Level-triggered: it calls as long as there is
 * something to read. Holds: after `stop` it never calls, and the descriptor may be closed at once.
 */
import { native } from './addon.js'
import { failureOf, type SyscallFailure } from './errno.js'
import { FdMisuse } from './owned-fd.js'

export class ReadableWatch {
  #id: number | undefined

  private constructor(id: number) {
    this.#id = id
  }

  /**
   * `holdsLoop`: whether the process stays alive for it. Fails with ENOSPC or ENOMEM when the
   * kernel has no room (fs.epoll.max_user_watches), and with EEXIST for a second watch of one fd.
   */
  static start(
    fd: number,
    holdsLoop: boolean,
    onReadable: () => void,
  ): ReadableWatch | SyscallFailure {
    // A poll that fails (its fd is broken) is an end too: the next call on the fd tells.
    const id = native.watch(fd, () => onReadable(), holdsLoop)
    return id < 0 ? failureOf('epoll_ctl', id) : new ReadableWatch(id)
  }

  stop(): void {
    if (this.#id === undefined || !native.unwatch(this.#id)) {
      throw new FdMisuse('a watch is stopped a second time')
    }
    this.#id = undefined
  }
}
