/**
 * From a guest-physical page to a host-physical one: a second-stage table of 3, 4 or 5 levels (VT-d
 * 3.7, 9.8). Leaves of 4 KiB, 2 MiB and 1 GiB; accessed and dirty flags where SSADE is set. Reads,
 * and writes flags, in whatever memory the scope has.
 *
 * Order of the checks on each level: readable memory, R or W set ("present"), the right that the
 * access needs, reserved bits, accessed flag; the dirty flag on the leaf of a write (QEMU
 * hw/i386/intel_iommu.c vtd_iova_to_sspte). Called by the page walk, for each table of a first
 * stage and for the page itself.
 */

import { highOf, lowOf, outputOf } from './entry-words.js'
import type { FaultName } from './faults.js'
import { PAGE_BYTES } from './memory.js'
import { blockStart, pagesOf, tableIndex } from './pages.js'
import type { PasidEntry, SecondStageWidth } from './pasid-entry.js'
import { NO_PASID } from './tagged-cache.js'
import type { WalkScope } from './walk-scope.js'

export type SecondStage = NonNullable<PasidEntry['secondStage']>

export interface Place {
  /** Host-physical page number. */
  readonly frame: number
  /** Pages of the leaf: 2^order. */
  readonly order: number
  /** What the entries of all levels allow. */
  readonly readable: boolean
  readonly writable: boolean
  /** Whether a write needs no flag any more. */
  readonly dirty: boolean
  /** Host-physical address of the leaf's entry, if its dirty flag was clear; else -1. */
  readonly leaf: number
}

const READ = 1 << 0
const WRITE = 1 << 1
const PAGE_SIZE = 1 << 7
const ACCESSED = 1 << 8
const DIRTY = 1 << 9
/** SNP, bit 11, and TM, bit 62: this unit has no use for either. */
const RESERVED_LOW = 1 << 11
const RESERVED_HIGH = 1 << 30
const INDEX_BITS = 9
/** 1 GiB. */
const LEAF_LEVEL_MAX = 3

const LEVELS: Readonly<Record<SecondStageWidth, number>> = { 39: 3, 48: 4, 57: 5 }

/** Where the page is, or why the access may not go there. */
export function walkSecondStage(
  scope: WalkScope,
  stage: SecondStage,
  page: number,
  write: boolean,
): Place | FaultName {
  if (page >= pagesOf(stage.width - 12)) return 'SECOND_STAGE_BEYOND_WIDTH'
  const top = LEVELS[stage.width]
  const known = scope.findStructure(NO_PASID, page)
  let table = known === undefined ? stage.pointer / PAGE_BYTES : known.frame
  let level = known === undefined ? top : known.order / INDEX_BITS
  let readable = known?.readable ?? true
  let writable = known?.writable ?? true
  // A cached entry without the right is no answer; the caller walks anew.
  if (write ? !writable : !readable) return write ? 'WRITE_NOT_ALLOWED' : 'READ_NOT_ALLOWED'
  for (;;) {
    const order = INDEX_BITS * (level - 1)
    const address = table * PAGE_BYTES + tableIndex(page, order) * 8
    const entry = scope.memory.read(address)
    if (entry === undefined) {
      return level === top ? 'SECOND_STAGE_POINTER_UNREADABLE' : 'SECOND_STAGE_ENTRY_UNREADABLE'
    }
    const low = lowOf(entry)
    if ((low & (READ | WRITE)) === 0) return 'SECOND_STAGE_ENTRY_NOT_PRESENT'
    if (write && (low & WRITE) === 0) return 'WRITE_NOT_ALLOWED'
    if (!write && (low & READ) === 0) return 'READ_NOT_ALLOWED'
    const high = highOf(entry)
    const output = outputOf(low, high)
    const leaf = level === 1 || (low & PAGE_SIZE) !== 0
    const odd = (low & RESERVED_LOW) !== 0 || (high & RESERVED_HIGH) !== 0
    if (odd || output >= scope.pagesEnd || (leaf && !mayBeLeaf(level, output))) {
      return 'SECOND_STAGE_ENTRY_RESERVED'
    }
    const flags = leaf && write ? ACCESSED | DIRTY : ACCESSED
    if (stage.accessedDirty && (low & flags) !== flags) {
      const set = scope.setFlags(address, entry, BigInt(flags))
      if (set === 'CHANGED') continue
      if (set === 'FAILED') return 'BIT_UPDATE_FAILED'
    }
    readable &&= (low & READ) !== 0
    writable &&= (low & WRITE) !== 0
    const first = blockStart(page, order)
    if (leaf) {
      const frame = output + (page - first)
      const wasDirty = !stage.accessedDirty || (low & DIRTY) !== 0
      const dirty = wasDirty || (write && scope.live)
      return { frame, order, readable, writable, dirty, leaf: wasDirty ? -1 : address }
    }
    if (scope.keeps) {
      const rights = { readable, writable, user: true, flagsWritable: true }
      scope.keepStructure(NO_PASID, { first, order, frame: output, guest: 0, ...rights })
    }
    table = output
    level -= 1
  }
}

/** Address bits below the size of a large leaf are reserved, as is PS above 1 GiB. */
function mayBeLeaf(level: number, output: number): boolean {
  if (level === 1) return true
  return level <= LEAF_LEVEL_MAX && blockStart(output, INDEX_BITS * (level - 1)) === output
}
