/**
 * Guest memory that was handed over on the side socket: one-time tokens, to be named in
 * MapGuestMemory, and how many files each user has here, waiting or mapped: every one of them is a
 * descriptor of the daemon's. Holds: a file is counted from the moment it is taken until it is
 * closed, by whoever has it then; one that nobody came for is closed when its token expires.
 */

import type { Caller } from '../broker/caller.js'
import type { Chance, Clock } from '../broker/ports.js'
import type { GuestFile } from '../broker/verbs/guest-memory.js'
import { assert } from '../core/assert.js'
import { OneTimeTokens, type Sender } from './one-time-tokens.js'

/** Unused tokens: a VMM maps what it has handed over, and then hands over the next. */
export const MEMORY_TOKENS_MAX = 256
export const MEMORY_TOKENS_PER_USER_MAX = 64
/** Files, mapped ones included: a tenth of the descriptors that a host usually lets us have. */
export const MEMORY_FILES_MAX = 2048
export const MEMORY_FILES_PER_USER_MAX = 512

export class MemoryTokens {
  readonly #tokens: OneTimeTokens<GuestFile>
  readonly #filesOf = new Map<number, number>()
  #files = 0

  constructor(clock: Clock, chance: Chance) {
    const limits = { all: MEMORY_TOKENS_MAX, perUser: MEMORY_TOKENS_PER_USER_MAX }
    this.#tokens = new OneTimeTokens({ clock, chance }, limits, (file) => file.close())
  }

  get outstanding(): number {
    return this.#tokens.outstanding
  }

  /** Open files, mapped ones included. */
  get files(): number {
    return this.#files
  }

  /** Why the user gets no token now, for people; undefined when it would. */
  problem(uid: number): string | undefined {
    if (this.#files >= MEMORY_FILES_MAX || this.#of(uid) >= MEMORY_FILES_PER_USER_MAX) {
      const bound = `at most ${MEMORY_FILES_MAX}, and ${MEMORY_FILES_PER_USER_MAX} of one user`
      return `too many files of guest memory are open (${bound}); unmap some`
    }
    if (this.#tokens.hasRoom(uid)) return undefined
    const bound = `at most ${MEMORY_TOKENS_MAX}, and ${MEMORY_TOKENS_PER_USER_MAX} of one user`
    return `too many tokens are unused (${bound}); use some, or let them expire`
  }

  /** The file is taken over. There is room. */
  issue(file: GuestFile, sender: Sender): string | undefined {
    return this.#tokens.issue(this.#counted(file, sender.uid), sender)
  }

  /** The file is the caller's then. Undefined as OneTimeTokens.take() says. */
  take(token: string, caller: Caller): GuestFile | undefined {
    return this.#tokens.take(token, caller)
  }

  /** Closes what waits; for the end of the daemon. */
  close(): void {
    this.#tokens.close()
  }

  #of(uid: number): number {
    return this.#filesOf.get(uid) ?? 0
  }

  #count(uid: number, change: 1 | -1): void {
    this.#files += change
    const left = this.#of(uid) + change
    assert(left >= 0, 'files of guest memory are counted')
    if (left > 0) this.#filesOf.set(uid, left)
    else this.#filesOf.delete(uid)
  }

  /** The same file, which says when it is closed. */
  #counted(file: GuestFile, uid: number): GuestFile {
    this.#count(uid, 1)
    return {
      bytes: file.bytes,
      mapped: file.mapped,
      read: (offset) => file.read(offset),
      exchange: (offset, expected, next) => file.exchange(offset, expected, next),
      close: () => {
        this.#count(uid, -1)
        file.close()
      },
    }
  }
}
