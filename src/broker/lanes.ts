/**
 * Order: work on the same lane runs one after the other, in the order it was asked for; lanes do
 * not wait for each other. A lane is one session's use of one device, so a slow device holds up
 * neither other devices nor other sessions.
 */

import type { DeviceId, SessionId } from '../core/ids.js'

export type Lane = number

export function laneOf(session: SessionId, device: DeviceId): Lane {
  return session * 4096 + device
}

const nothing = (): void => undefined

export class Lanes {
  readonly #tails = new Map<Lane, Promise<void>>()

  get busy(): number {
    return this.#tails.size
  }

  /** Runs when all the lanes are free of earlier work; at once when they are idle. */
  run<T>(lanes: readonly Lane[], work: () => Promise<T>): Promise<T> {
    const ahead: Promise<void>[] = []
    for (const lane of lanes) {
      const tail = this.#tails.get(lane)
      if (tail !== undefined) ahead.push(tail)
    }
    const done = ahead.length === 0 ? work() : Promise.all(ahead).then(work)
    const tail = done.then(nothing, nothing)
    for (const lane of lanes) this.#tails.set(lane, tail)
    void tail.then(() => {
      for (const lane of lanes) if (this.#tails.get(lane) === tail) this.#tails.delete(lane)
    })
    return done
  }
}
