/**
 * Random numbers for the traces of test/emulator: small, fast, and the same everywhere. Each trace
 * has a generator of its own, so that any one of them can be run alone.
 */

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** Below 2^32: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** A whole number from 0 on. `bound`: 1 to 2^32. */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound)
  }

  /** A whole number of so many bits, 1 to 52. */
  bits(count: number): number {
    if (count <= 26) return this.next() >>> (32 - count)
    return (this.next() >>> 6) + (this.next() >>> (58 - count)) * 2 ** 26
  }

  percent(chance: number): boolean {
    return this.below(100) < chance
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)]
    if (found === undefined) throw new Error('picked from an empty list')
    return found
  }
}

/** The seed of one trace of a run. */
export function traceSeed(seed: number, trace: number): number {
  const mixed = Math.imul(seed ^ Math.imul(trace + 1, 0x9e3779b1), 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}
