/** The core benches as a section of bench/RESULTS.md: what they answer, as tables. */

import { benchCore, type CoreRow } from './core.js'
import { benchBitmap, type BitmapRow } from './core-bitmap.js'
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

function bitmapCells({ name, medianNs, timesBare }: BitmapRow): string[] {
  return [name, `${medianNs.toFixed(1)} ns`, `${timesBare.toFixed(2)} x`]
}

export async function coreSection(options: {
  readonly smoke: boolean
  readonly say: (line: string) => void
}): Promise<string> {
  const { smoke, say } = options
  const core = (await benchCore({ smoke })).map(coreCells)
  const bitmap = (await benchBitmap()).map(bitmapCells)
  for (const cells of [...core, ...bitmap]) say(cells.join(', ').replace(/[, ]+$/, ''))
  return [
    'In one process, without a disk. The spread is the quartiles of the rounds.',
    markdownTable(['what', 'median', 'spread', 'bar', ''], core),
    'The bitmap below it:',
    markdownTable(['what', 'median', 'beside the bare one'], bitmap),
  ].join('\n\n')
}
