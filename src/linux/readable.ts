/**
 * A descriptor watched in the event loop (uv_poll_t): until it is stopped, level-triggered, so that
 * it calls as long as there is something to read; or once. Holds: after `stop` it never calls, and
 * the descriptor may be closed at once.
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

/** The same, for the next time only. */
export class ReadableOnce {
  #watch: ReadableWatch | undefined

  private constructor() {}

  /** Called at most once; by then it has stopped. Fails as ReadableWatch.start. */
  static start(
    fd: number,
    holdsLoop: boolean,
    onReadable: () => void,
  ): ReadableOnce | SyscallFailure {
    const once = new ReadableOnce()
    const watch = ReadableWatch.start(fd, holdsLoop, () => {
      once.stop()
      onReadable()
    })
    if (!(watch instanceof ReadableWatch)) return watch
    once.#watch = watch
    return once
  }

  /** Repeatable, also when it has called. */
  stop(): void {
    this.#watch?.stop()
    this.#watch = undefined
  }
}
