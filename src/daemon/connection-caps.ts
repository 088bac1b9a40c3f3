/**
 * How many connections may be open: on one socket, and of one user over all sockets of VMMs. Root
 * and the daemon's own user have a few more on each count, so that a probe of health and an
 * operator get in when somebody has taken all the others.
 */

import { assert } from '../core/assert.js'

/** Kept on each socket, and beyond the bound of a user, for root and the daemon's own user. */
export const RESERVED_CONNECTIONS = 8

export interface CapLimits {
  /** Open at once on one socket. */
  readonly connections: number
  /** Open at once of one user. */
  readonly connectionsPerUid: number
}

export type Cap = 'SOCKET' | 'USER'

export class ConnectionCaps {
  readonly #ofUser = new Map<number, number>()

  constructor(
    readonly limits: CapLimits,
    /** Users for whom the reserve is: root and the daemon's own. */
    private readonly reservedFor: readonly number[],
  ) {}

  /**
   * Which bound keeps one more of this user out of a socket with `open` connections. `counted`:
   * whether it would be one of those of the user.
   */
  reached(uid: number, at: { readonly open: number; readonly counted: boolean }): Cap | undefined {
    const reserved = this.reservedFor.includes(uid) ? RESERVED_CONNECTIONS : 0
    if (at.open >= this.limits.connections + reserved) return 'SOCKET'
    if (!at.counted) return undefined
    return this.countOf(uid) >= this.limits.connectionsPerUid + reserved ? 'USER' : undefined
  }

  countOf(uid: number): number {
    return this.#ofUser.get(uid) ?? 0
  }

  enter(uid: number): void {
    this.#ofUser.set(uid, this.countOf(uid) + 1)
  }

  /** Pairs with enter(). */
  leave(uid: number): void {
    const count = this.countOf(uid)
    assert(count > 0, 'a user whose connection entered')
    if (count === 1) this.#ofUser.delete(uid)
    else this.#ofUser.set(uid, count - 1)
  }
}
