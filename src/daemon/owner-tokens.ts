/**
 * One-time tokens for processes that delegates hand over on the side socket, to be named in
 * OpenSession. Holds: a token works once, for the process that it was given to, and for a short
 * time; the process behind it is held until then; how many there are is bounded, in all and a user.
 */

import type { Caller } from '../broker/caller.js'
import type { Chance, Clock } from '../broker/ports.js'
import { sameProcess, type Owner, type ProcessId } from '../core/owner.js'
import type { ProcessHold } from './processes.js'

export const TOKENS_MAX = 1024
export const TOKENS_PER_USER_MAX = 256
/** A manager hands over and opens in one go. */
export const TOKEN_LIFE_MS = 30_000
const TOKEN_BYTES = 32

interface Entry {
  readonly owner: Owner
  readonly hold: ProcessHold
  readonly sender: ProcessId
  readonly uid: number
  readonly cancel: () => void
}

/** Who hands over which process. The hold is taken over, also when there is no room. */
export interface HandOver {
  readonly owner: Owner
  readonly hold: ProcessHold
  readonly sender: ProcessId
  /** Of the sender. */
  readonly uid: number
}

export class OwnerTokens {
  readonly #entries = new Map<string, Entry>()
  readonly #ofUser = new Map<number, number>()

  constructor(
    private readonly clock: Clock,
    private readonly chance: Chance,
  ) {}

  get outstanding(): number {
    return this.#entries.size
  }

  /** Whether one more may be issued to the user. */
  hasRoom(uid: number): boolean {
    return this.#entries.size < TOKENS_MAX && (this.#ofUser.get(uid) ?? 0) < TOKENS_PER_USER_MAX
  }

  /** 64 hex digits; undefined when as many as may be wait to be used. */
  issue(handOver: HandOver): string | undefined {
    const { hold, uid } = handOver
    if (!this.hasRoom(uid)) {
      hold.release()
      return undefined
    }
    const ofUser = this.#ofUser.get(uid) ?? 0
    const token = Buffer.from(this.chance.bytes(TOKEN_BYTES)).toString('hex')
    const cancel = this.clock.after(TOKEN_LIFE_MS, () => this.#drop(token))
    this.#entries.set(token, { ...handOver, cancel })
    this.#ofUser.set(uid, ofUser + 1)
    return token
  }

  /**
   * Whom the token stands for, once. Undefined: it is none, was used, has expired, or was given to
   * another process than the caller.
   */
  take(token: string, caller: Caller): { owner: Owner; ended: boolean } | undefined {
    const entry = this.#entries.get(token)
    if (entry === undefined || !sameProcess(entry.sender, caller.process)) return undefined
    const taken = { owner: entry.owner, ended: entry.hold.ended() }
    this.#drop(token)
    return taken
  }

  /** Forgets all; for the end of the daemon. */
  close(): void {
    for (const token of [...this.#entries.keys()]) this.#drop(token)
  }

  #drop(token: string): void {
    const entry = this.#entries.get(token)
    if (entry === undefined) return
    this.#entries.delete(token)
    entry.cancel()
    entry.hold.release()
    const left = (this.#ofUser.get(entry.uid) ?? 0) - 1
    if (left > 0) this.#ofUser.set(entry.uid, left)
    else this.#ofUser.delete(entry.uid)
  }
}
