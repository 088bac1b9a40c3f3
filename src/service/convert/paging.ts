/** Pages of lists: sizes, positions, and how many rows fit a message. */

import type { AllocationPosition } from '../../core/view.js'
import { namespaceId } from '../../core/ids.js'
import { refuse, accept, type Outcome } from '../../core/refusal.js'
import type { ListName, PageTokens } from '../page-tokens.js'
import { Fields } from './fields.js'

export const PAGE_SIZE_DEFAULT = 1000
export const PAGE_SIZE_MAX = 5000

export interface PageAsked {
  readonly pageSize: number
  readonly pageToken: string
}

export interface PageStart {
  readonly after: string | undefined
  readonly limit: number
}

export function pageOf(message: PageAsked, list: ListName, tokens: PageTokens): Outcome<PageStart> {
  const { pageSize, pageToken } = message
  if (pageSize < 0) {
    const fields = new Fields()
    const bound = `a whole number from 0 (= ${PAGE_SIZE_DEFAULT}) to ${PAGE_SIZE_MAX}`
    fields.no('page_size', String(pageSize), bound, 'send 0 or more')
    return fields.answer({ after: undefined, limit: 0 })
  }
  const after = tokens.read(list, pageToken)
  if (!after.ok) return refuse(after.refusal)
  const limit = pageSize === 0 ? PAGE_SIZE_DEFAULT : Math.min(pageSize, PAGE_SIZE_MAX)
  return accept({ after: after.value, limit })
}

export function allocationPosition(text: string | undefined): AllocationPosition | undefined {
  if (text === undefined) return undefined
  const [namespace, pasid] = text.split(':').map(Number)
  return { namespace: namespaceId(namespace ?? 0), pasid: pasid ?? 0 }
}

export function allocationPositionText(position: AllocationPosition | undefined) {
  return position === undefined ? undefined : `${position.namespace}:${position.pasid}`
}

/**
 * As many rows, from the first on, as fit into so many bytes; at least one. `sizeOf` must not
 * answer less than a row takes.
 */
export function rowsThatFit<Row>(
  rows: readonly Row[],
  bytes: number,
  sizeOf: (row: Row) => number,
): readonly Row[] {
  let left = bytes
  for (const [i, row] of rows.entries()) {
    left -= sizeOf(row)
    if (left < 0 && i > 0) return rows.slice(0, i)
  }
  return rows
}
