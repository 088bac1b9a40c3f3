/**
 * Lets the event loop turn during long work: effects that answer at once follow each other as
 * microtasks, and until they end no socket, no disk and no signal is served. Who has much to do
 * counts its effects here and waits when told to.
 */

/** Effects in a row: some hundred microseconds with the emulator. */
export const TURN_EFFECTS_MAX = 128

export class Turns {
  #left = TURN_EFFECTS_MAX

  /** Counts one effect; a promise when it is time to wait. */
  next(): Promise<void> | undefined {
    this.#left -= 1
    if (this.#left > 0) return undefined
    this.#left = TURN_EFFECTS_MAX
    return new Promise((resolve) => setImmediate(resolve))
  }
}
