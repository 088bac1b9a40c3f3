/**
 * A file descriptor and its one owner. Holds: it is closed exactly once; whoever uses or closes it
 * after that has a bug and is told so, because by then the number may be another file's.
 */
import { native } from './addon.js'
import { failureOf } from './errno.js'

/** A bug, never a refusal: a closed descriptor was used, or one was closed twice. */
export class FdMisuse extends Error {
  override readonly name = 'InvariantViolation'
}

export class OwnedFd {
  #fd: number | undefined
  readonly #what: string

  /** `what` names it in the report of a misuse. */
  constructor(fd: number, what: string) {
    this.#fd = fd
    this.#what = what
  }

  get isOpen(): boolean {
    return this.#fd !== undefined
  }

  /** For a system call, at once: not to be kept. */
  get number(): number {
    if (this.#fd === undefined) throw new FdMisuse(`${this.#what} is used after it was closed`)
    return this.#fd
  }

  /** Hands the descriptor to another owner; to this one it is closed. */
  release(): number {
    const fd = this.number
    this.#fd = undefined
    return fd
  }

  close(): void {
    if (this.#fd === undefined) throw new FdMisuse(`${this.#what} is closed a second time`)
    const code = native.close(this.release())
    // Of its errors only this one says that the number was not ours.
    const failure = code < 0 ? failureOf('close', code) : undefined
    if (failure?.errno === 'EBADF') {
      throw new FdMisuse(`${this.#what} was closed by somebody who does not own it`)
    }
  }
}
