/** First-stage tables for tests; nothing reads them, their addresses tell them apart. */
import type { FirstStageTable, Table } from '../../../src/core/binding.js'

export function firstStage(
  address: number,
  more: Partial<Omit<FirstStageTable, 'kind' | 'address'>> = {},
): FirstStageTable {
  const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
  return { kind: 'FIRST_STAGE', address, width: 48, ...flags, ...more }
}

export const PASS_THROUGH: Table = { kind: 'PASS_THROUGH' }
