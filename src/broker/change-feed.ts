/**
 * Durable changes for whoever watches: the newest so many are kept, and each watcher pulls from
 * them at its own pace. Holds: a watcher sees every revision once and in order, or is told that it
 * missed some; none holds up another or the broker, and none has a queue of its own.
 */

import { assert } from '../core/assert.js'
import type { Change } from '../core/events.js'
import type { SessionId } from '../core/ids.js'
import { refuse, type Outcome } from '../core/refusal.js'
import type { SessionRecord } from '../core/session.js'
import type { WatchCursor, WatchStep } from './answers.js'

export interface FeedLimits {
  /** Watchers at once. */
  readonly watchersMax: number
  /** Changes kept; fewer when they are large. */
  readonly changesKept: number
}

/**
 * Events and runs of numbers kept for each change that may be: most have two or three. A list of
 * numbers that lie apart is thousands of runs, and whoever asks for those must not fill the memory.
 */
export const PARTS_PER_CHANGE = 32

function partsOf(change: Change | undefined): number {
  let parts = 0
  for (const event of change?.events ?? []) parts += 'runs' in event ? event.runs.length + 1 : 1
  return parts
}

export class ChangeFeed {
  readonly #limits: FeedLimits
  /** By revision modulo its length. */
  readonly #ring: (Change | undefined)[]
  readonly #watchers = new Set<() => void>()
  /** Names of sessions that ended in a change that is kept: earlier ones know them by number. */
  readonly #gone = new Map<SessionId, string>()
  #newest: number
  #kept = 0
  /** Of all that is kept. */
  #parts = 0

  /** `newest`: the revision that is durable now; nothing before it can be watched. */
  constructor(limits: FeedLimits, newest: number) {
    this.#limits = limits
    this.#ring = new Array<Change | undefined>(limits.changesKept).fill(undefined)
    this.#newest = newest
  }

  get watchers(): number {
    return this.#watchers.size
  }

  publish(changes: readonly Change[]): void {
    for (const change of changes) {
      assert(change.revision === this.#newest + 1, `revision ${change.revision} is the next`)
      this.#drop(change.revision)
      this.#ring[change.revision % this.#ring.length] = change
      this.#parts += partsOf(change)
      for (const event of change.events) {
        if (event.kind !== 'session-changed' || event.after !== undefined) continue
        if (event.before !== undefined) this.#gone.set(event.before.id, event.before.name)
      }
      this.#newest = change.revision
      this.#kept = Math.min(this.#kept + 1, this.#ring.length)
      while (this.#kept > 1 && this.#parts > PARTS_PER_CHANGE * this.#ring.length) {
        this.#drop(this.#newest - this.#kept + 1)
        this.#kept -= 1
      }
    }
    for (const wake of [...this.#watchers]) wake()
  }

  /** It ends in a change that is on its way to the disk: changes before it may still name it. */
  ends({ id, name }: Pick<SessionRecord, 'id' | 'name'>): void {
    this.#gone.set(id, name)
  }

  /** The name of a session that is gone and that a change that is kept may speak of. */
  nameOfGone(id: SessionId): string | undefined {
    return this.#gone.get(id)
  }

  /** What is kept in the place of the revision. */
  #drop(revision: number): void {
    const at = revision % this.#ring.length
    this.#parts -= partsOf(this.#ring[at])
    this.#forgetNames(this.#ring[at])
    this.#ring[at] = undefined
  }

  #forgetNames(change: Change | undefined): void {
    for (const event of change?.events ?? []) {
      if (event.kind !== 'session-changed' || event.after !== undefined) continue
      if (event.before !== undefined) this.#gone.delete(event.before.id)
    }
  }

  /** Changes after `from`, undefined = from now on. `wake`: there is something after none was. */
  watch(from: number | undefined, wake: () => void): Outcome<WatchCursor> {
    const { watchersMax: limit } = this.#limits
    if (this.#watchers.size >= limit) {
      return refuse({ code: 'OVERLOADED', limit, what: 'watchers' })
    }
    let revision = from ?? this.#newest
    const own = (): void => wake()
    this.#watchers.add(own)
    const next = (): WatchStep | undefined => {
      if (revision === this.#newest) return undefined
      const change = revision < this.#newest ? this.#at(revision + 1) : undefined
      if (change === undefined) {
        const reason = this.#whyNot(revision)
        revision = this.#newest
        return { kind: 'resync', revision, reason }
      }
      revision = change.revision
      return { kind: 'change', change }
    }
    const close = (): void => void this.#watchers.delete(own)
    return {
      ok: true,
      value: {
        get revision() {
          return revision
        },
        next,
        close,
      },
    }
  }

  #at(revision: number): Change | undefined {
    if (revision <= this.#newest - this.#kept) return undefined
    return this.#ring[revision % this.#ring.length]
  }

  #whyNot(revision: number): string {
    if (revision > this.#newest) return `revision ${revision} is beyond this ledger's newest`
    const first = this.#newest - this.#kept + 1
    return `changes before revision ${first} are not kept; ${revision + 1} was the next wanted`
  }
}
