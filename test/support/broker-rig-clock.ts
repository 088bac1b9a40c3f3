/**
 * A clock that stands still until a test moves it: timers fire in order, at their own time, and
 * only inside `pass`. Used by every test that works on a broker without a daemon.
 */

import type { Clock } from '../../src/broker/ports.js'
import { instantMs, wallMs, type InstantMs, type WallMs } from '../../src/core/ids.js'

const WALL_START = Date.UTC(2026, 0, 1)

interface Timer {
  readonly at: number
  readonly run: () => void
}

export class RigClock implements Clock {
  #now = 1000
  #wallOffset = WALL_START
  readonly #timers = new Set<Timer>()

  instant(): InstantMs {
    return instantMs(this.#now)
  }

  wall(): WallMs {
    return wallMs(Math.floor(this.#now + this.#wallOffset))
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Lets time pass; what is due runs at its time, in order. */
  pass(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.run()
    }
    this.#now = end
  }

  /** The wall clock jumps; the monotonic one does not notice. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms
  }
}
