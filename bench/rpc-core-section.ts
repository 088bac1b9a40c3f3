/** The core bench as a section of bench/RESULTS.md: what it answers, as a table. */

import { benchCore, type CoreRow } from './core.js'
import { markdownTable } from './rpc-figures.js'

function coreCells({ name, unit, median, lower, upper, bar }: CoreRow): string[] {
  const figure = (value: number) => value.toFixed(value < 100 ? 2 : 0)
  const verdict = median <= (bar ?? Infinity) ? 'met' : 'MISSED'
  return [
    name,
    `${figure(median)} ${unit}`,
    `${figure(lower)} to ${figure(upper)}`,
    bar === undefined ? '' : `≤ ${bar} ${unit}`,
    bar === undefined ? '' : verdict,
  ]
}

export async function coreSection(options: {
  readonly smoke: boolean
  readonly say: (line: string) => void
}): Promise<string> {
  const { smoke, say } = options
  const core = (await benchCore({ smoke })).map(coreCells)
  for (const cells of core) say(cells.join(', ').replace(/[, ]+$/, ''))
  return [
    'In one process, without a disk. The spread is the quartiles of the rounds.',
    markdownTable(['what', 'median', 'spread', 'bar', ''], core),
  ].join('\n\n')
}
