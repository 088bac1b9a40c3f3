/**
 * Page numbers: a 64-bit input address without its lowest 12 bits. 52 bits, so a number holds it
 * and no sum of two overflows. Blocks are 2^order pages, aligned to their size: what a leaf of a
 * page table maps (order 0, 9, 18) and what one invalidation descriptor covers (any order). Used by
 * walks, caches and invalidations.
 */

import { assert } from '../../core/assert.js'

export const PAGE_NUMBER_BITS = 52
const PAGE_NUMBER_LAST = 2 ** PAGE_NUMBER_BITS - 1
const ADDRESS_LAST = (1n << 64n) - 1n

/** 4 KiB, 2 MiB and 1 GiB leaves. */
export const LEAF_ORDERS = [0, 9, 18] as const

/** Pages of a block, by order. A table, and division instead of `%`: both are calls on doubles. */
const PAGES_OF_ORDER = Float64Array.from({ length: PAGE_NUMBER_BITS + 1 }, (_, order) => 2 ** order)

export interface PageBlock {
  /** First page; a multiple of 2^order. */
  readonly first: number
  readonly order: number
}

export function pageNumberOf(address: bigint): number {
  assert(address >= 0n && address <= ADDRESS_LAST, 'an address has 64 bits')
  return Number(address >> 12n)
}

/** 2^order; 0 to 52. */
export function pagesOf(order: number): number {
  return PAGES_OF_ORDER[order] ?? 1
}

/** Which of a table's 512 entries, each for 2^order pages, is the page's. */
export function tableIndex(page: number, order: number): number {
  // Division, not a shift: page numbers have more than 32 bits.
  return Math.floor(page / pagesOf(order)) & 511
}

/** The first page of the block of that order that a page lies in. */
export function blockStart(page: number, order: number): number {
  const pages = pagesOf(order)
  return Math.floor(page / pages) * pages
}

/** Whether two blocks share a page: then the smaller one lies in the larger. */
export function overlaps(first: number, order: number, other: PageBlock): boolean {
  return order >= other.order
    ? blockStart(other.first, order) === first
    : blockStart(first, other.order) === other.first
}

/**
 * The smallest block with all the pages: Linux drivers/iommu/intel/cache.c
 * calculate_psi_aligned_address. Never less than asked, at most all 2^52 pages.
 */
export function blockAround(first: number, pages: number): PageBlock {
  const last = first + pages - 1
  assert(
    pages >= 1 && first >= 0 && last <= PAGE_NUMBER_LAST,
    'a range has a page, and none beyond 64 bits',
  )
  let order = 0
  while (blockStart(first, order) !== blockStart(last, order)) order += 1
  return { first: blockStart(first, order), order }
}

/** Whether all bits from the sign bit of the width on are equal: VT-d 3.6, "canonical". */
export function isCanonical(page: number, width: 48 | 57): boolean {
  const half = 2 ** (width - 1 - 12)
  return page < half || page >= 2 ** PAGE_NUMBER_BITS - half
}
