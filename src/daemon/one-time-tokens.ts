/**
 * One-time tokens for what was handed over on the side socket, to be named in a call. Holds: a
 * token works once, for the process that it was given to, and for a short time; what it stands for
 * is held until then, and let go of when nobody came for it; how many there are is bounded, in all,
 * a user and, where it is asked for, a process.
 */

import type { Caller } from '../broker/caller.js'
import type { Chance, Clock } from '../broker/ports.js'
import { sameProcess, type ProcessId } from '../core/owner.js'

/** Who hands over and who calls does so in one go. */
export const TOKEN_LIFE_MS = 30_000
const TOKEN_BYTES = 32

/** How many may wait to be used. */
export interface TokenLimits {
  readonly all: number
  readonly perUser: number
  /** A newer one of the same process takes the place of its oldest. Undefined: no such bound. */
  readonly perProcess?: number | undefined
}

/** Whoever it was given to. */
export interface Sender {
  readonly process: ProcessId
  readonly uid: number
}

interface Entry<Held> {
  readonly held: Held
  readonly sender: Sender
  readonly cancel: () => void
}

export class OneTimeTokens<Held> {
  readonly #entries = new Map<string, Entry<Held>>()
  readonly #ofUser = new Map<number, number>()

  constructor(
    private readonly ports: { readonly clock: Clock; readonly chance: Chance },
    private readonly limits: TokenLimits,
    private readonly letGo: (held: Held) => void,
  ) {}

  get outstanding(): number {
    return this.#entries.size
  }

  /** Whether one more may be issued to the process of the user. */
  hasRoom(uid: number, process?: ProcessId): boolean {
    if (this.#inTheWayOf(process) !== undefined) return true
    const { all, perUser } = this.limits
    return this.#entries.size < all && (this.#ofUser.get(uid) ?? 0) < perUser
  }

  /** The oldest token of a process that has as many as it may. */
  #inTheWayOf(process: ProcessId | undefined): string | undefined {
    const { perProcess } = this.limits
    if (perProcess === undefined || process === undefined) return undefined
    const own = [...this.#entries].filter(([, { sender }]) => sameProcess(sender.process, process))
    return own.length < perProcess ? undefined : own[0]?.[0]
  }

  /** 64 hex digits; undefined when as many as may be wait to be used, and `held` is let go of. */
  issue(held: Held, sender: Sender): string | undefined {
    if (!this.hasRoom(sender.uid, sender.process)) {
      this.letGo(held)
      return undefined
    }
    const oldest = this.#inTheWayOf(sender.process)
    if (oldest !== undefined) this.#expire(oldest)
    const { clock, chance } = this.ports
    const token = Buffer.from(chance.bytes(TOKEN_BYTES)).toString('hex')
    const cancel = clock.after(TOKEN_LIFE_MS, () => this.#expire(token))
    this.#entries.set(token, { held, sender, cancel })
    this.#ofUser.set(sender.uid, (this.#ofUser.get(sender.uid) ?? 0) + 1)
    return token
  }

  /**
   * What the token stands for, once; then it is the caller's. Undefined: it is none, was used, has
   * expired, or was given to another process than the caller.
   */
  take(token: string, caller: Caller): Held | undefined {
    const entry = this.#entries.get(token)
    if (entry === undefined || !sameProcess(entry.sender.process, caller.process)) return undefined
    this.#forget(token, entry)
    return entry.held
  }

  /** Forgets all; for the end of the daemon. */
  close(): void {
    for (const token of [...this.#entries.keys()]) this.#expire(token)
  }

  #expire(token: string): void {
    const entry = this.#entries.get(token)
    if (entry === undefined) return
    this.#forget(token, entry)
    this.letGo(entry.held)
  }

  #forget(token: string, { sender: { uid }, cancel }: Entry<Held>): void {
    this.#entries.delete(token)
    cancel()
    const left = (this.#ofUser.get(uid) ?? 0) - 1
    if (left > 0) this.#ofUser.set(uid, left)
    else this.#ofUser.delete(uid)
  }
}
