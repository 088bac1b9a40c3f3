/**
 * One-time tokens for what was handed over on the side socket, to be named in a call. Holds: a
 * token works once, for the process that it was given to, and for a short time; what it stands for
 * is held until then, and let go of when nobody came for it or that process has ended; how many
 * there are is bounded, in all, a user and, where it is asked for, a process. Then a process that
 * has more of its user's than another cannot keep that one out.
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
  /**
   * A newer one of the same process takes the place of its oldest; one of a user who has as many
   * as it may that of the oldest of the user's process that has the most; and where all are taken,
   * one of a user who has fewer than another such a one of that user's. Undefined: no such bound,
   * and nothing takes a place.
   */
  readonly perProcess?: number | undefined
}

/** Whoever it was given to. */
export interface Sender {
  readonly process: ProcessId
  readonly uid: number
  /**
   * Calls back once when the process has ended; the answer leaves off. Undefined: what is held
   * stays for its time, since it is of no weight.
   */
  readonly watch?: ((onEnd: () => void) => () => void) | undefined
}

interface Entry<Held> {
  readonly held: Held
  readonly sender: Sender
  readonly cancel: () => void
  readonly leaveOff: (() => void) | undefined
}

/** Of a user's, what one process has: oldest first. */
interface Share {
  readonly process: ProcessId
  readonly tokens: string[]
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
    if (this.#inTheWayOf(uid, process) !== undefined) return true
    const { all, perUser } = this.limits
    return this.#entries.size < all && (this.#ofUser.get(uid) ?? 0) < perUser
  }

  /**
   * The token that gives way: the oldest of a process that has as many as it may; else, of a user
   * who does, the oldest of the process that has the most; else, where all are taken, the same of
   * the user who has the most, if that is more than this one.
   */
  #inTheWayOf(uid: number, process: ProcessId | undefined): string | undefined {
    const { all, perProcess, perUser } = this.limits
    if (perProcess === undefined || process === undefined) return undefined
    const shares = this.#sharesOf(uid)
    const own = shares.find((share) => sameProcess(share.process, process))
    if (own !== undefined && own.tokens.length >= perProcess) return own.tokens[0]
    const count = this.#ofUser.get(uid) ?? 0
    if (count >= perUser) return heaviest(shares, own)
    if (this.#entries.size < all) return undefined
    const most = Math.max(...this.#ofUser.values())
    if (count >= most) return undefined
    const [other] = [...this.#ofUser].find(([, has]) => has === most) ?? []
    return other === undefined ? undefined : heaviest(this.#sharesOf(other))
  }

  /** The user's tokens by process: oldest first, and by their oldest. */
  #sharesOf(uid: number): readonly Share[] {
    const shares: Share[] = []
    for (const [token, { sender }] of this.#entries) {
      if (sender.uid !== uid) continue
      const known = shares.find(({ process }) => sameProcess(process, sender.process))
      if (known === undefined) shares.push({ process: sender.process, tokens: [token] })
      else known.tokens.push(token)
    }
    return shares
  }

  /** 64 hex digits; undefined when as many as may be wait to be used, and `held` is let go of. */
  issue(held: Held, sender: Sender): string | undefined {
    if (!this.hasRoom(sender.uid, sender.process)) {
      this.letGo(held)
      return undefined
    }
    const inTheWay = this.#inTheWayOf(sender.uid, sender.process)
    if (inTheWay !== undefined) this.#expire(inTheWay)
    const { clock, chance } = this.ports
    const token = Buffer.from(chance.bytes(TOKEN_BYTES)).toString('hex')
    const cancel = clock.after(TOKEN_LIFE_MS, () => this.#expire(token))
    const leaveOff = sender.watch?.(() => this.#expire(token))
    this.#entries.set(token, { held, sender, cancel, leaveOff })
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

  #forget(token: string, { sender: { uid }, cancel, leaveOff }: Entry<Held>): void {
    this.#entries.delete(token)
    cancel()
    leaveOff?.()
    const left = (this.#ofUser.get(uid) ?? 0) - 1
    if (left > 0) this.#ofUser.set(uid, left)
    else this.#ofUser.delete(uid)
  }
}

/** The oldest of who has the most; of several that have as many: of `own`, else of the oldest. */
function heaviest(shares: readonly Share[], own?: Share): string | undefined {
  const most = Math.max(...shares.map(({ tokens }) => tokens.length))
  const isOwn = own?.tokens.length === most
  return (isOwn ? own : shares.find(({ tokens }) => tokens.length === most))?.tokens[0]
}
