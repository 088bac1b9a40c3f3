/** Lists on the terminal, page by page: a million rows take the memory of one page. */

import { jsonText } from './json.js'
import type { Output } from './output.js'

export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Numbers stand to the right. */
  readonly right?: boolean
  /** At least so wide, so that pages line up. */
  readonly width?: number
}

export interface RowOptions {
  readonly format: 'table' | 'json'
  /** Rows after which it ends. */
  readonly limit: number
}

type Pages<Row> = AsyncIterable<readonly Row[]>

const GAP = '  '

/**
 * What steers a terminal (C0 and C1 controls, line breaks, what turns the writing direction) must
 * not reach it: labels, reasons and command names are written by others.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}

/** The pages, cut off after so many rows. */
async function* firstOf<Row>(pages: Pages<Row>, limit: number): Pages<Row> {
  let left = limit
  for await (const rows of pages) {
    yield rows.length <= left ? rows : rows.slice(0, left)
    left -= rows.length
    if (left <= 0) return
  }
}

function line(
  cells: readonly string[],
  widths: readonly number[],
  columns: readonly Column<never>[],
) {
  const padded = cells.map((cell, at) => {
    const width = widths[at] ?? 0
    return columns[at]?.right === true ? cell.padStart(width) : cell.padEnd(width)
  })
  return padded.join(GAP).trimEnd()
}

async function writeTable<Row>(
  output: Output,
  pages: Pages<Row>,
  columns: readonly Column<Row>[],
): Promise<void> {
  const widths = columns.map(({ title, width }) => Math.max(title.length, width ?? 0))
  let headed = false
  for await (const rows of pages) {
    const cells = rows.map((row) => columns.map(({ text }) => printable(text(row))))
    for (const row of cells) {
      for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
    }
    const lines = cells.map((row) => `${line(row, widths, columns)}\n`)
    if (!headed && rows.length > 0) {
      const titles = columns.map(({ title }) => title)
      lines.unshift(`${output.colors.bold(line(titles, widths, columns))}\n`)
      headed = true
    }
    await output.write(lines.join(''))
  }
  if (!headed && output.isTerminal) await output.write('none\n')
}

/** An array with one row a line, so that it can be read as a whole and line by line. */
async function writeJson<Row>(output: Output, pages: Pages<Row>): Promise<void> {
  let before = '[\n'
  for await (const rows of pages) {
    let text = ''
    for (const row of rows) {
      text += before + jsonText(row)
      before = ',\n'
    }
    await output.write(text)
  }
  await output.write(before === '[\n' ? '[]\n' : '\n]\n')
}

export async function writeRows<Row>(
  output: Output,
  pages: Pages<Row>,
  columns: readonly Column<Row>[],
  { format, limit }: RowOptions,
): Promise<void> {
  const cut = firstOf(pages, limit)
  if (format === 'json') await writeJson(output, cut)
  else await writeTable(output, cut, columns)
}
