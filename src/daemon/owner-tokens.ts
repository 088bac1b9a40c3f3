/**
 * One-time tokens for processes that delegates hand over on the side socket, to be named in
 * OpenSession. Holds: the process behind a token is held until it is used or has expired.
 */

import type { Caller } from '../broker/caller.js'
import type { Chance, Clock } from '../broker/ports.js'
import type { Owner, ProcessId } from '../core/owner.js'
import { OneTimeTokens } from './one-time-tokens.js'
import type { ProcessHold } from './processes.js'

export const TOKENS_MAX = 1024
export const TOKENS_PER_USER_MAX = 256
const LIMITS = { all: TOKENS_MAX, perUser: TOKENS_PER_USER_MAX }

/** Who hands over which process. The hold is taken over, also when there is no room. */
export interface HandOver {
  readonly owner: Owner
  readonly hold: ProcessHold
  readonly sender: ProcessId
  /** Of the sender. */
  readonly uid: number
}

export class OwnerTokens {
  readonly #tokens: OneTimeTokens<Pick<HandOver, 'owner' | 'hold'>>

  constructor(clock: Clock, chance: Chance) {
    this.#tokens = new OneTimeTokens({ clock, chance }, LIMITS, ({ hold }) => hold.release())
  }

  get outstanding(): number {
    return this.#tokens.outstanding
  }

  /** Whether one more may be issued to the user. */
  hasRoom(uid: number): boolean {
    return this.#tokens.hasRoom(uid)
  }

  /** 64 hex digits; undefined when as many as may be wait to be used. */
  issue({ owner, hold, sender, uid }: HandOver): string | undefined {
    return this.#tokens.issue({ owner, hold }, { process: sender, uid })
  }

  /**
   * Whom the token stands for, once. Undefined: it is none, was used, has expired, or was given to
   * another process than the caller.
   */
  take(token: string, caller: Caller): { owner: Owner; ended: boolean } | undefined {
    const taken = this.#tokens.take(token, caller)
    if (taken === undefined) return undefined
    const { owner, hold } = taken
    const ended = hold.ended()
    hold.release()
    return { owner, ended }
  }

  /** Forgets all; for the end of the daemon. */
  close(): void {
    this.#tokens.close()
  }
}
