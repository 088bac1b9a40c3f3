/** What happened in one run: counts by kind and outcome, and how long each call took. */

import type { DescriptorKind } from './descriptors.js'
import { CALLS, KINDS, type Call } from './plan.js'

/** How a descriptor ended. */
export const OUTCOMES = ['answered', 'completed', 'not ours', 'refused'] as const
export type Outcome = (typeof OUTCOMES)[number]

export interface Percentiles {
  readonly count: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly maxUs: number
}

/** Room at first; doubles. */
const SAMPLES_ROOM = 1024

/** Durations, kept as numbers in one array however many there are. */
export class Samples {
  #us = new Float64Array(SAMPLES_ROOM)
  #count = 0

  add(us: number): void {
    if (this.#count === this.#us.length) {
      const grown = new Float64Array(this.#us.length * 2)
      grown.set(this.#us)
      this.#us = grown
    }
    this.#us[this.#count] = us
    this.#count += 1
  }

  /** Undefined: there are none. */
  percentiles(): Percentiles | undefined {
    if (this.#count === 0) return undefined
    const sorted = this.#us.slice(0, this.#count).sort()
    return {
      count: this.#count,
      p50Us: quantile(sorted, 0.5),
      p90Us: quantile(sorted, 0.9),
      p99Us: quantile(sorted, 0.99),
      maxUs: quantile(sorted, 1),
    }
  }
}

/** The least value that at least that share of all do not pass (nearest rank). */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const rank = Math.max(1, Math.ceil(share * sorted.length))
  return sorted[rank - 1] ?? Number.NaN
}

export class Tally {
  readonly #counts = new Map<string, number>()
  readonly #latencies = new Map<Call | 'wait', Samples>()
  /** The first few refusals, in words. */
  readonly refusals: string[] = []
  elapsedMs = 0
  #ended = 0

  count(kind: DescriptorKind, outcome: Outcome): void {
    const key = `${kind}/${outcome}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    this.#ended += 1
  }

  time(call: Call | 'wait', us: number): void {
    const samples = this.#latencies.get(call) ?? new Samples()
    this.#latencies.set(call, samples)
    samples.add(us)
  }

  /** Descriptors that have come to an end. */
  get ended(): number {
    return this.#ended
  }

  of(kind: DescriptorKind, outcome: Outcome): number {
    return this.#counts.get(`${kind}/${outcome}`) ?? 0
  }

  total(outcome: Outcome): number {
    return KINDS.reduce((sum, kind) => sum + this.of(kind, outcome), 0)
  }

  latencies(): [Call | 'wait', Percentiles][] {
    const rows: [Call | 'wait', Percentiles][] = []
    for (const call of [...CALLS, 'wait'] as const) {
      const percentiles = this.#latencies.get(call)?.percentiles()
      if (percentiles !== undefined) rows.push([call, percentiles])
    }
    return rows
  }
}
