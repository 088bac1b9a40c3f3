/**
 * From an input page to a host-physical one, for a request whose PASID entry is known: first stage
 * of 4 or 5 levels, second stage, or one over the other: then each table of the first stage and the
 * page that comes out go through the second (VT-d 3.8 "Nested Translation"), and setting a flag in
 * a first-stage entry is a write there.
 *
 * Order of the checks of a first stage, as QEMU models it (hw/i386/intel_iommu.c
 * vtd_iova_to_fspte): canonical, then on each level readable, present, user, write, reserved bits,
 * accessed flag; the dirty flag on the leaf of a write. A walk that went by a paging-structure
 * cache and ended in a fault is done again from the top: no fault is reported that the tables do
 * not know, and a right that was granted needs no invalidation. Called by the request path.
 */

import { highOf, lowOf, outputOf } from './entry-words.js'
import type { FaultName } from './faults.js'
import { PAGE_BYTES } from './memory.js'
import { blockStart, isCanonical, pagesOf, tableIndex } from './pages.js'
import type { PasidEntry } from './pasid-entry.js'
import { walkSecondStage, type Place, type SecondStage } from './second-stage-walk.js'
import type { Mapping } from './translation-cache.js'
import type { WalkScope } from './walk-scope.js'

/** A request of a device, after its PASID entry was found. */
export interface WalkRequest {
  /** Tags what is cached of a first stage. */
  readonly pasid: number
  readonly page: number
  readonly write: boolean
  /** A supervisor request. */
  readonly privileged: boolean
}

export type Walked =
  | {
      readonly kind: 'MAPPING'
      readonly mapping: Mapping
      /** Host-physical addresses of the entries whose dirty flag was clear; -1 = of none. */
      readonly leaf: number
      readonly secondLeaf: number
    }
  | { readonly kind: 'FAULT'; readonly fault: FaultName }

export type FirstStage = NonNullable<PasidEntry['firstStage']>

const PRESENT = 1 << 0
const WRITABLE = 1 << 1
const USER = 1 << 2
const ACCESSED = 1 << 5
const DIRTY = 1 << 6
const PAGE_SIZE = 1 << 7
/** Set beside ACCESSED when EAFE is: VT-d 3.6.2. */
const EXTENDED_ACCESSED = 1 << 10
const INDEX_BITS = 9
/** 0xFEEx_xxxx in pages: the interrupt address range (VT-d 3.14). */
const INTERRUPT_FIRST = 0xfee00
const INTERRUPT_LAST = 0xfeeff

export function isInterruptPage(page: number): boolean {
  return page >= INTERRUPT_FIRST && page <= INTERRUPT_LAST
}

/** The entry is of a type that has a first or a second stage. */
export function walk(scope: WalkScope, entry: PasidEntry, request: WalkRequest): Walked {
  const walked = walkOnce(scope, entry, request)
  if (walked.kind === 'MAPPING' || !scope.usedStructures) return walked
  scope.ignoreStructures()
  return walkOnce(scope, entry, request)
}

/** What the first stage made of the input page. */
interface Leaf {
  /** Page number, guest-physical where there is a second stage. */
  readonly page: number
  readonly order: number
  readonly writable: boolean
  readonly user: boolean
  readonly dirty: boolean
  readonly leaf: number
}

function walkOnce(scope: WalkScope, entry: PasidEntry, request: WalkRequest): Walked {
  const { page, write } = request
  const { firstStage, secondStage } = entry
  const first =
    firstStage === undefined
      ? { page, order: 52, writable: true, user: true, dirty: true, leaf: -1 }
      : walkFirstStage(scope, { firstStage, secondStage }, request)
  if (typeof first === 'string') return { kind: 'FAULT', fault: first }
  const place = through(scope, secondStage, first.page, write)
  if (typeof place === 'string') return { kind: 'FAULT', fault: place }
  if (isInterruptPage(place.frame)) return { kind: 'FAULT', fault: 'INTERRUPT_ADDRESS' }
  const order = cachedOrder(page, place.frame, Math.min(first.order, place.order))
  const start = blockStart(page, order)
  const mapping = {
    first: start,
    order,
    frame: place.frame - (page - start),
    readable: place.readable,
    writable: first.writable && place.writable,
    user: first.user,
    // A second stage alone asks nobody's privilege.
    supervisor: firstStage?.supervisor ?? true,
    dirty: first.dirty && place.dirty,
  }
  return { kind: 'MAPPING', mapping, leaf: first.leaf, secondLeaf: place.leaf }
}

/** Of the block that may be cached: no part of it leads into the interrupt range. */
function cachedOrder(page: number, frame: number, order: number): number {
  const start = frame - (page - blockStart(page, order))
  return start > INTERRUPT_LAST || start + pagesOf(order) <= INTERRUPT_FIRST ? order : 0
}

/** Without a second stage an address is host-physical already. */
function through(
  scope: WalkScope,
  stage: SecondStage | undefined,
  page: number,
  write: boolean,
): Place | FaultName {
  if (stage !== undefined) return walkSecondStage(scope, stage, page, write)
  return { frame: page, order: 52, readable: true, writable: true, dirty: true, leaf: -1 }
}

/** Where a first-stage table is, in memory. */
interface Table {
  /** Its page number before and after the second stage. */
  readonly guest: number
  readonly frame: number
  /** Flags may be set in it without asking the second stage again. */
  readonly flagsWritable: boolean
}

function findTable(
  scope: WalkScope,
  stage: SecondStage | undefined,
  at: { readonly guest: number; readonly top: boolean; readonly write: boolean },
): Table | FaultName {
  const { guest, top, write } = at
  const place = through(scope, stage, guest, write)
  if (typeof place === 'string') return faultOfTable(place, top)
  return { guest, frame: place.frame, flagsWritable: place.writable && place.dirty }
}

/** A second stage's fault for a table is another than for the page itself. */
function faultOfTable(fault: FaultName, top: boolean): FaultName {
  if (fault === 'SECOND_STAGE_BEYOND_WIDTH') return 'FIRST_STAGE_ENTRY_BEYOND_WIDTH'
  if (fault === 'WRITE_NOT_ALLOWED') return 'FIRST_STAGE_ENTRY_WRITE_NOT_ALLOWED'
  if (fault !== 'READ_NOT_ALLOWED') return fault
  return top ? 'FIRST_STAGE_POINTER_READ_NOT_ALLOWED' : 'FIRST_STAGE_ENTRY_READ_NOT_ALLOWED'
}

/** What the entries on the way to a table allow. */
interface Rights {
  readonly writable: boolean
  readonly user: boolean
}

function walkFirstStage(
  scope: WalkScope,
  stages: { readonly firstStage: FirstStage; readonly secondStage: SecondStage | undefined },
  request: WalkRequest,
): Leaf | FaultName {
  const { firstStage, secondStage } = stages
  const { pasid, page, write } = request
  const { levels } = firstStage
  if (!isCanonical(page, levels === 4 ? 48 : 57)) return 'NOT_CANONICAL'
  const accessed = firstStage.extendedAccessed ? ACCESSED | EXTENDED_ACCESSED : ACCESSED
  const known = scope.findStructure(pasid, page)
  let level = known === undefined ? levels : known.order / INDEX_BITS
  let rights: Rights = known ?? { writable: true, user: true }
  const start = { guest: firstStage.pointer / PAGE_BYTES, top: true, write: false }
  let table: Table | FaultName = known ?? findTable(scope, secondStage, start)
  for (;;) {
    if (typeof table === 'string') return table
    const top = level === levels
    const order = INDEX_BITS * (level - 1)
    const address: number = table.frame * PAGE_BYTES + tableIndex(page, order) * 8
    const entry = scope.memory.read(address)
    if (entry === undefined) {
      return top ? 'FIRST_STAGE_POINTER_UNREADABLE' : 'FIRST_STAGE_ENTRY_UNREADABLE'
    }
    const low = lowOf(entry)
    const output = outputOf(low, highOf(entry))
    const leaf = level === 1 || (low & PAGE_SIZE) !== 0
    const here: Rights | FaultName = checkEntry(low, rights, firstStage, request)
    if (typeof here === 'string') return here
    if (isReserved(scope, output, level, leaf)) return 'FIRST_STAGE_ENTRY_RESERVED'
    const flags = leaf && write ? accessed | DIRTY : accessed
    if ((low & flags) !== flags) {
      if (!table.flagsWritable) {
        // Asked for, it is writable from here on, wherever it is then.
        const found = findTable(scope, secondStage, { guest: table.guest, top, write: true })
        table = typeof found === 'string' ? found : { ...found, flagsWritable: true }
        continue
      }
      const set = scope.setFlags(address, entry, BigInt(flags))
      if (set === 'CHANGED') continue
      if (set === 'FAILED') return 'BIT_UPDATE_FAILED'
    }
    rights = here
    const first = blockStart(page, order)
    if (leaf) {
      // Bit 12 of a large leaf is PAT, not address.
      const found = blockStart(output, order) + (page - first)
      const wasDirty = (low & DIRTY) !== 0
      const dirty = wasDirty || (write && scope.live)
      const { writable, user } = here
      return { page: found, order, writable, user, dirty, leaf: wasDirty ? -1 : address }
    }
    table = findTable(scope, secondStage, { guest: output, top: false, write: false })
    if (scope.keeps && typeof table !== 'string') {
      scope.keepStructure(pasid, { ...table, first, order, readable: true, ...rights })
    }
    level -= 1
  }
}

/** What is allowed down to this entry, or what is missing for the request. */
function checkEntry(
  low: number,
  above: Rights,
  { writeProtect }: FirstStage,
  { write, privileged }: WalkRequest,
): Rights | FaultName {
  if ((low & PRESENT) === 0) return 'FIRST_STAGE_ENTRY_NOT_PRESENT'
  const user = above.user && (low & USER) !== 0
  if (!user && !privileged) return 'USER_NOT_ALLOWED'
  const writable = above.writable && (low & WRITABLE) !== 0
  // Without WPE a privileged write ignores R/W, as a processor does with CR0.WP = 0.
  const mayWrite = writable || (privileged && !writeProtect)
  return write && !mayWrite ? 'WRITE_NOT_ALLOWED' : { writable, user }
}

/** Reserved: addresses beyond the host's, and of a large leaf those below its size, but for PAT. */
function isReserved(scope: WalkScope, output: number, level: number, leaf: boolean): boolean {
  if (output >= scope.pagesEnd) return true
  if (!leaf || level === 1) return false
  if (level > 3 || (level === 3 && !scope.leaf1G)) return true
  return output - blockStart(output, INDEX_BITS * (level - 1)) > 1
}
