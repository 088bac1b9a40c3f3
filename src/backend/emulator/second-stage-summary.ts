/** A second-stage table in one line: its root, and how many leaves of which size it has. */

import type { PhysicalMemory } from './memory.js'
import type { PasidEntry } from './pasid-entry.js'

type SecondStage = NonNullable<PasidEntry['secondStage']>

const INDEX_BITS = 9
const ENTRIES = 2 ** INDEX_BITS
const ADDRESS = 0x000f_ffff_ffff_f000n
const READ = 1n
const WRITE = 2n
const PAGE_SIZE = 0x80n
const SIZES = ['', '4 KiB', '2 MiB', '1 GiB'] as const
/** Tables looked at in one dump: 2 MiB. A table that a loop leads round in ends there too. */
export const SUMMARY_TABLES_MAX = 512

/** Levels of a table by the bits that it translates. */
export const SECOND_STAGE_LEVELS: Readonly<Record<SecondStage['width'], number>> = {
  39: 3,
  48: 4,
  57: 5,
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`
}

/** What a dump may still look at, of all its second stages together. */
export interface TableBudget {
  left: number
}

interface Count {
  readonly budget: TableBudget
  tables: number
  cut: boolean
  readOnly: number
  /** Leaves by level. */
  readonly leaves: number[]
}

export function secondStageLine(
  memory: PhysicalMemory,
  stage: SecondStage,
  budget: TableBudget,
): string {
  const { pointer, width } = stage
  const levels = SECOND_STAGE_LEVELS[width]
  const count: Count = { budget, tables: 0, cut: false, readOnly: 0, leaves: [] }
  countLeaves(memory, pointer, levels, count)
  const leaves = [3, 2, 1].flatMap((level) => {
    const found = count.leaves[level] ?? 0
    return found === 0 ? [] : [`${found} of ${SIZES[level] ?? ''}`]
  })
  const readOnly = count.readOnly === 0 ? '' : `, ${count.readOnly} of them read-only`
  const what = leaves.length === 0 ? 'no leaves' : `leaves: ${leaves.join(', ')}${readOnly}`
  const more = count.cut ? `, and more beyond the ${SUMMARY_TABLES_MAX} tables of a dump` : ''
  return `second stage at ${hex(pointer)}: ${levels} levels, ${count.tables} tables, ${what}${more}`
}

function countLeaves(memory: PhysicalMemory, table: number, level: number, count: Count): void {
  if (count.budget.left === 0) {
    count.cut = true
    return
  }
  count.budget.left -= 1
  count.tables += 1
  for (let i = 0; i < ENTRIES; i += 1) {
    const entry = memory.read(table + i * 8) ?? 0n
    if ((entry & (READ | WRITE)) === 0n) continue
    if (level > 1 && (entry & PAGE_SIZE) === 0n) {
      countLeaves(memory, Number(entry & ADDRESS), level - 1, count)
      continue
    }
    count.leaves[level] = (count.leaves[level] ?? 0) + 1
    if ((entry & WRITE) === 0n) count.readOnly += 1
  }
}
