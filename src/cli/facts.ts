/** One thing on the terminal: what it is called to the left, what it is to the right. */

import Table from 'cli-table3'
import { jsonText } from './json.js'
import type { Output } from './output.js'
import { printable } from './rows.js'

/** No lines around anything: what is shown can be copied. */
const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

export type Fact = readonly [name: string, value: string | number | boolean]

export async function writeFacts(output: Output, facts: readonly Fact[]): Promise<void> {
  const style = { 'padding-left': 0, 'padding-right': 0, head: [], border: [] }
  const table = new Table({ chars: NO_LINES, style })
  for (const [name, value] of facts) {
    table.push([output.colors.bold(name), printable(String(value))])
  }
  const lines = table.toString().split('\n')
  await output.write(lines.map((text) => `${text.trimEnd()}\n`).join(''))
}

export async function writeJsonObject(output: Output, message: unknown): Promise<void> {
  await output.write(`${jsonText(message, 2)}\n`)
}
