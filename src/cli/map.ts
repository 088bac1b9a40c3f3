/** A picture of one numbering: 256 cells, each as dark as that part of it is full. */

import type { Namespace } from '../client/index.js'
import { PASID_LAST } from '../core/ids.js'
import type { Colors, Output } from './output.js'
import { printable } from './rows.js'

const COLUMNS = 32
const SHADES_UNICODE = ['·', '░', '▒', '▓', '█'] as const
const SHADES_ASCII = ['.', ':', '+', '#', '@'] as const

interface Paper {
  readonly colors: Colors
  readonly isUnicode: boolean
}

/** 0 for nothing, 4 for all, and in between what comes nearest; never 0 for something. */
function shadeOf(used: number, size: number): 0 | 1 | 2 | 3 | 4 {
  if (used === 0) return 0
  if (used >= size) return 4
  const share = used / size
  if (share < 1 / 3) return 1
  return share < 2 / 3 ? 2 : 3
}

function paint(shade: number, text: string, colors: Colors): string {
  if (shade === 0) return colors.dim(text)
  if (shade === 4) return colors.red(text)
  return shade === 3 ? colors.yellow(text) : colors.green(text)
}

/** The cells, row by row, each row with the number that it begins with. */
export function cellLines({ occupancy }: Pick<Namespace, 'occupancy'>, paper: Paper): string[] {
  const shades = paper.isUnicode ? SHADES_UNICODE : SHADES_ASCII
  const size = Math.ceil((PASID_LAST + 1) / Math.max(1, occupancy.length))
  const lines: string[] = []
  for (let start = 0; start < occupancy.length; start += COLUMNS) {
    const cells = occupancy.slice(start, start + COLUMNS).map((used, at) => {
      // Number 0 is never one, so that the first part has one less.
      const shade = shadeOf(used, start + at === 0 ? size - 1 : size)
      return paint(shade, shades[shade], paper.colors)
    })
    lines.push(`${String(start * size).padStart(8)}  ${cells.join('')}`)
  }
  return lines
}

export async function writeMap(output: Output, namespace: Namespace): Promise<void> {
  const { capacity, reserved, free, held, freePending, quarantined } = namespace
  const [none, ...shaded] = output.isUnicode ? SHADES_UNICODE : SHADES_ASCII
  const [some, all] = [shaded.slice(0, -1), shaded.at(-1)]
  const scope = namespace.device === '' ? 'HOST' : printable(namespace.device)
  const size = Math.ceil((PASID_LAST + 1) / Math.max(1, namespace.occupancy.length))
  const used = capacity - free
  const percent = capacity === 0 ? 0 : (used / capacity) * 100
  const host = namespace.hostMax === undefined ? '' : ` of ${namespace.hostMax}`
  const lines = [
    output.colors.bold(
      `${scope}: ${used} of ${capacity} numbers not free (${percent.toFixed(2)} %)`,
    ),
    ...cellLines(namespace, output),
    `one cell is ${size} numbers: ${none} none, ${some.join(' ')} some, ${all} all`,
    `held ${held}, on their way back ${freePending}, resting ${quarantined}, reserved ${reserved}`,
    `largest free block ${namespace.largestFreeBlock}, next search from ${namespace.cursor}`,
    `charged on the whole host ${namespace.hostUsed}${host}; revision ${namespace.revision}`,
  ]
  await output.write(`${lines.join('\n')}\n`)
}
