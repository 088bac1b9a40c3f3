/** Ranges of numbers: `first` and `last` are both inside. A range that would be empty is absent. */

export interface PasidRange {
  readonly first: number
  readonly last: number
}

/** `count` numbers from `first` on: how grants, releases and quarantine name several numbers. */
export interface PasidRun {
  readonly first: number
  readonly count: number
}

export function intersect(a: PasidRange, b: PasidRange): PasidRange | undefined {
  const first = Math.max(a.first, b.first)
  const last = Math.min(a.last, b.last)
  return first <= last ? { first, last } : undefined
}

export function contains(range: PasidRange, value: number): boolean {
  return value >= range.first && value <= range.last
}

/** Ascending numbers without repeats, as the fewest runs. */
export function runsOf(ascending: ArrayLike<number>): PasidRun[] {
  const runs: PasidRun[] = []
  for (let i = 0; i < ascending.length; ) {
    const first = ascending[i] ?? 0
    let count = 1
    while (ascending[i + count] === first + count) count += 1
    runs.push({ first, count })
    i += count
  }
  return runs
}

export function countOf(runs: readonly PasidRun[]): number {
  let total = 0
  for (const run of runs) total += run.count
  return total
}
