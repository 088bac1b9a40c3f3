/** Figures of the RPC bench: the median of many rounds with its spread, and the rows of a table. */

/** Of one quantity, over all rounds. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const lower = sorted.length % 2 === 1 ? upper : (sorted[middle - 1] ?? Number.NaN)
  return {
    median: (upper + lower) / 2,
    least: sorted[0] ?? Number.NaN,
    most: sorted.at(-1) ?? Number.NaN,
  }
}

/** One line of the results. */
export interface Row {
  readonly what: string
  readonly echo: string
  readonly pasidd: string
  readonly ratio: string
  readonly bar: string
  readonly verdict: string
}

export type Bar =
  | { readonly kind: 'at least'; readonly value: number }
  | { readonly kind: 'at most'; readonly value: number }
  | undefined

export function ratioText({ median, least, most }: Spread): string {
  return `${median.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`
}

export function rateText({ median }: Spread): string {
  return `${Math.round(median)}/s`
}

export function microseconds({ median }: Spread): string {
  return `${Math.round(median)} µs`
}

export function verdictOf({ median }: Spread, bar: Bar): Pick<Row, 'bar' | 'verdict'> {
  if (bar === undefined) return { bar: '', verdict: '' }
  const isMet = bar.kind === 'at least' ? median >= bar.value : median <= bar.value
  const sign = bar.kind === 'at least' ? '≥' : '≤'
  return { bar: `${sign} ${bar.value}`, verdict: isMet ? 'met' : 'MISSED' }
}

export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
