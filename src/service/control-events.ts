/**
 * Events on their way to one Control stream: how many its client has not taken, and when that is
 * too many. Faults do not count: a guest makes them as fast as its devices run, and must not have
 * its VMM cut off. One event of faults is on its way at a time; those that come meanwhile are
 * merged into the next, the oldest in full, the rest as a count.
 */

import type { SessionEvent } from '../broker/answers.js'

type Faults = Extract<SessionEvent, { readonly kind: 'device-faults' }>

/** ControlResponse.device_faults has at most so many. */
const FAULTS_MAX = 64
/** DeviceFaults.lost has 32 bits. */
const LOST_MAX = 2 ** 32 - 1

export class ControlEvents {
  readonly #limit: number
  readonly #send: (event: SessionEvent, taken: () => void) => void
  #untaken = 0
  #faultsUntaken = false
  #nextFaults: Faults | undefined

  /** `send` calls back when the client has taken the event; it may drop one instead. */
  constructor(limit: number, send: (event: SessionEvent, taken: () => void) => void) {
    this.#limit = limit
    this.#send = send
  }

  /** False: the client has `limit` events that it does not take. */
  offer(event: SessionEvent): boolean {
    if (event.kind === 'device-faults') {
      this.#offerFaults(event)
      return true
    }
    if (this.#untaken >= this.#limit) return false
    this.#untaken += 1
    this.#send(event, this.#taken)
    return true
  }

  readonly #taken = (): void => {
    this.#untaken -= 1
  }

  #offerFaults(event: Faults): void {
    if (this.#faultsUntaken) {
      this.#nextFaults = this.#nextFaults === undefined ? event : merged(this.#nextFaults, event)
      return
    }
    this.#faultsUntaken = true
    this.#send(event, () => {
      this.#faultsUntaken = false
      const next = this.#nextFaults
      this.#nextFaults = undefined
      if (next !== undefined) this.#offerFaults(next)
    })
  }
}

function merged(first: Faults, second: Faults): Faults {
  const all = [...first.faults, ...second.faults]
  const faults = all.slice(0, FAULTS_MAX)
  const lost = first.lost + second.lost + all.length - faults.length
  return { kind: 'device-faults', faults, lost: Math.min(lost, LOST_MAX) }
}
