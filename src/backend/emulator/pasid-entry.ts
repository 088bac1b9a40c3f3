/**
 * One entry of a PASID table: 512 bits, VT-d "Scalable-Mode PASID Table Entry" (9.6), Linux
 * drivers/iommu/intel/pasid.h. The only file that knows its bits. An entry is named by the words
 * of its table page and the index of its first word, so that reading a field makes no object.
 *
 * What always holds: what encodeEntry() is given is asserted to fit its field, and decodeEntry()
 * asserts the same on the way out; P is 0 while the rest is written (setPresent() comes last) and
 * is cleared first. (Messages of assertions are constant here and wherever every bind passes: a
 * template is built even when the assertion holds.)
 *
 * Called by the programming of bindings and by the PASID fetch of a translation.
 */

import { assert } from '../../core/assert.js'
import { OFFSET, PHYSICAL_LAST } from './memory.js'
import type { UnitOptions } from './unit-options.js'

export const ENTRY_WORDS = 16

/** PGTT, bits 8:6. 0 and 5..7 are reserved. */
const PGTT = { FIRST_STAGE: 1, SECOND_STAGE: 2, NESTED: 3, PASS_THROUGH: 4 } as const
export type TranslationType = keyof typeof PGTT
const TYPE_OF_PGTT: readonly (TranslationType | undefined)[] = [
  undefined,
  'FIRST_STAGE',
  'SECOND_STAGE',
  'NESTED',
  'PASS_THROUGH',
]

/** AW, bits 4:2: bits that the second stage translates. 0 means nothing without one. */
export type SecondStageWidth = 39 | 48 | 57
const WIDTH_OF_AW: readonly (SecondStageWidth | undefined)[] = [undefined, 39, 48, 57]

/** Fields that are reserved unless the unit has what they are for. */
export type EntryChecks = Pick<
  UnitOptions,
  'hostAddressWidth' | 'fiveLevels' | 'supervisorRequests' | 'extendedAccessed'
>

/** The largest hardware domain id: bits 79:64. */
export const HARDWARE_DOMAIN_LAST = 0xffff

export interface PasidEntry {
  /** FPD: faults of this entry's requests are not recorded. */
  readonly faultsDisabled: boolean
  readonly type: TranslationType
  /** DID: the tag of everything cached through this entry. */
  readonly domain: number
  /** Undefined unless the type is SECOND_STAGE or NESTED. */
  readonly secondStage:
    | {
        /** SLPTPTR: host-physical, 4 KiB aligned. */
        readonly pointer: number
        readonly width: SecondStageWidth
        /** SSADE: the second stage has accessed and dirty flags. */
        readonly accessedDirty: boolean
      }
    | undefined
  /** Undefined unless the type is FIRST_STAGE or NESTED. */
  readonly firstStage:
    | {
        /** FLPTPTR: guest-physical when NESTED, else host-physical; 4 KiB aligned. */
        readonly pointer: number
        /** FLPM. */
        readonly levels: 4 | 5
        /** SRE. */
        readonly supervisor: boolean
        /** WPE. */
        readonly writeProtect: boolean
        /** EAFE. */
        readonly extendedAccessed: boolean
      }
    | undefined
  /** PWSNP: reads of paging entries snoop the caches. */
  readonly pageWalkSnoop: boolean
  /** PGSNP: the requests themselves do. */
  readonly pageSnoop: boolean
}

const BIT = {
  PRESENT: 1 << 0,
  FAULTS_DISABLED: 1 << 1,
  SECOND_STAGE_ACCESSED_DIRTY: 1 << 9,
  /** 87 - 64 and 88 - 64. */
  PAGE_WALK_SNOOP: 1 << 23,
  PAGE_SNOOP: 1 << 24,
  /** 128.. - 128. */
  SUPERVISOR: 1 << 0,
  WRITE_PROTECT: 1 << 4,
  EXTENDED_ACCESSED: 1 << 7,
} as const

const AW_SHIFT = 2
const PGTT_SHIFT = 6
/** 131:130; of its two bits only the lower has a meaning. */
const LEVELS_SHIFT = 2
const THREE_BITS = 7
const WORD = 2 ** 32

/**
 * Bits that must be 0, by words of 32: 5, 10, 11; 86:80; ERE, NXE, SMEP and 139:136 with a first
 * stage (a unit without execute requests has none of them); and everything from 192 on. (CD, EMTE,
 * EMT and PAT of older revisions are let through: a unit ignores them.)
 */
const RESERVED_LOW = 0xc20
const RESERVED_TAGS = 0x7f_0000
const RESERVED_FIRST_STAGE = 0xf62
const WORDS_DEFINED = 6

function word(words: Uint32Array, at: number): number {
  return words[at] ?? 0
}

/** Bits 63:12 of two words. `>>> 0`, because `&` answers a signed number. */
function pointer(words: Uint32Array, at: number): number {
  return word(words, at + 1) * WORD + ((word(words, at) & 0xffff_f000) >>> 0)
}

function assertPointer(address: number): void {
  const fits = Number.isSafeInteger(address) && address >= 0 && address <= PHYSICAL_LAST
  assert(fits && (address & OFFSET) === 0, 'a table pointer is page aligned and has 52 bits')
}

export function isPresent(words: Uint32Array, at: number): boolean {
  return (word(words, at) & BIT.PRESENT) !== 0
}

/** FPD. */
export function areFaultsDisabled(words: Uint32Array, at: number): boolean {
  return (word(words, at) & BIT.FAULTS_DISABLED) !== 0
}

export function domainOf(words: Uint32Array, at: number): number {
  return word(words, at + 2) & HARDWARE_DOMAIN_LAST
}

export function typeOf(words: Uint32Array, at: number): TranslationType | undefined {
  return TYPE_OF_PGTT[(word(words, at) >>> PGTT_SHIFT) & THREE_BITS]
}

function hasFirstStage(type: TranslationType): boolean {
  return type === 'FIRST_STAGE' || type === 'NESTED'
}

function hasSecondStage(type: TranslationType): boolean {
  return type === 'SECOND_STAGE' || type === 'NESTED'
}

function assertEntry(entry: PasidEntry): void {
  const { type, firstStage, secondStage, domain } = entry
  const first = hasFirstStage(type)
  const second = hasSecondStage(type)
  assert(first === (firstStage !== undefined), 'the type and the first stage agree')
  assert(second === (secondStage !== undefined), 'the type and the second stage agree')
  if (firstStage !== undefined) assertPointer(firstStage.pointer)
  if (secondStage !== undefined) assertPointer(secondStage.pointer)
  const fits = Number.isSafeInteger(domain) && domain >= 0 && domain <= HARDWARE_DOMAIN_LAST
  assert(fits, 'a DID has 16 bits')
}

/** Writes everything but P, which must be 0: intel_pasid_setup_nested refuses with EBUSY. */
export function encodeEntry(words: Uint32Array, at: number, entry: PasidEntry): void {
  assert(!isPresent(words, at), 'only an entry that is not present is written')
  assertEntry(entry)
  const { firstStage, secondStage } = entry
  let low = PGTT[entry.type] << PGTT_SHIFT
  if (entry.faultsDisabled) low |= BIT.FAULTS_DISABLED
  if (secondStage !== undefined) {
    low |= WIDTH_OF_AW.indexOf(secondStage.width) << AW_SHIFT
    if (secondStage.accessedDirty) low |= BIT.SECOND_STAGE_ACCESSED_DIRTY
    // `|` takes the lower 32 bits of a pointer.
    low |= secondStage.pointer
    words[at + 1] = Math.floor(secondStage.pointer / WORD)
  } else words[at + 1] = 0
  words[at] = low
  let tags = entry.domain
  if (entry.pageWalkSnoop) tags |= BIT.PAGE_WALK_SNOOP
  if (entry.pageSnoop) tags |= BIT.PAGE_SNOOP
  words[at + 2] = tags
  words[at + 3] = 0
  let flags = 0
  if (firstStage !== undefined) {
    if (firstStage.supervisor) flags |= BIT.SUPERVISOR
    if (firstStage.writeProtect) flags |= BIT.WRITE_PROTECT
    if (firstStage.extendedAccessed) flags |= BIT.EXTENDED_ACCESSED
    if (firstStage.levels === 5) flags |= 1 << LEVELS_SHIFT
    flags |= firstStage.pointer
    words[at + 5] = Math.floor(firstStage.pointer / WORD)
  } else words[at + 5] = 0
  words[at + 4] = flags
  for (let i = WORDS_DEFINED; i < ENTRY_WORDS; i += 1) words[at + i] = 0
}

/** Publishes a written entry: the one store after which requests are translated. */
export function setPresent(words: Uint32Array, at: number): void {
  assert(!isPresent(words, at) && typeOf(words, at) !== undefined, 'a written entry gets its P')
  words[at] = word(words, at) | BIT.PRESENT
}

/** The rest stays: software still needs DID and PGTT to know what to invalidate (VT-d 6.5.3.3). */
export function clearPresent(words: Uint32Array, at: number): void {
  assert(isPresent(words, at), 'a present entry loses its P')
  words[at] = word(words, at) & ~BIT.PRESENT
}

export function clearEntry(words: Uint32Array, at: number): void {
  assert(!isPresent(words, at), 'P is cleared first, and invalidated, before the rest')
  for (let i = 0; i < ENTRY_WORDS; i += 1) words[at + i] = 0
}

/** What a unit checks before it uses a present entry: VT-d faults SPT.3 and SPT.4. */
export function checkEntry(
  words: Uint32Array,
  at: number,
  checks: EntryChecks,
): 'VALID' | 'RESERVED' | 'INVALID' {
  const type = typeOf(words, at)
  if (type === undefined) return 'INVALID'
  const first = hasFirstStage(type)
  const second = hasSecondStage(type)
  const odd =
    (word(words, at) & RESERVED_LOW) !== 0 ||
    (word(words, at + 2) & RESERVED_TAGS) !== 0 ||
    (second && pointer(words, at) >= 2 ** checks.hostAddressWidth) ||
    (first && isFirstStageReserved(words, at, second, checks))
  if (odd) return 'RESERVED'
  for (let i = WORDS_DEFINED; i < ENTRY_WORDS; i += 1)
    if (word(words, at + i) !== 0) return 'RESERVED'
  const width = WIDTH_OF_AW[(word(words, at) >>> AW_SHIFT) & THREE_BITS]
  if (second && width === undefined) return 'INVALID'
  const mode = (word(words, at + 4) >>> LEVELS_SHIFT) & 3
  return first && mode > (checks.fiveLevels ? 1 : 0) ? 'INVALID' : 'VALID'
}

function isFirstStageReserved(
  words: Uint32Array,
  at: number,
  nested: boolean,
  checks: EntryChecks,
): boolean {
  let reserved = RESERVED_FIRST_STAGE
  if (!checks.supervisorRequests) reserved |= BIT.SUPERVISOR | BIT.WRITE_PROTECT
  if (!checks.extendedAccessed) reserved |= BIT.EXTENDED_ACCESSED
  if ((word(words, at + 4) & reserved) !== 0) return true
  // A guest-physical address is the second stage's to refuse.
  return !nested && pointer(words, at + 4) >= 2 ** checks.hostAddressWidth
}

/** Pairs with encodeEntry(). The entry is VALID by checkEntry(). */
export function decodeEntry(words: Uint32Array, at: number): PasidEntry {
  const low = word(words, at)
  const type = typeOf(words, at)
  assert(type !== undefined, 'a decoded entry has a translation type')
  const flags = word(words, at + 4)
  const width = WIDTH_OF_AW[(low >>> AW_SHIFT) & THREE_BITS]
  const second = hasSecondStage(type)
  assert(!second || width !== undefined, 'a decoded second stage has a width')
  const entry: PasidEntry = {
    faultsDisabled: areFaultsDisabled(words, at),
    type,
    domain: domainOf(words, at),
    secondStage:
      second && width !== undefined
        ? {
            pointer: pointer(words, at),
            width,
            accessedDirty: (low & BIT.SECOND_STAGE_ACCESSED_DIRTY) !== 0,
          }
        : undefined,
    firstStage: hasFirstStage(type)
      ? {
          pointer: pointer(words, at + 4),
          levels: ((flags >>> LEVELS_SHIFT) & 1) === 1 ? 5 : 4,
          supervisor: (flags & BIT.SUPERVISOR) !== 0,
          writeProtect: (flags & BIT.WRITE_PROTECT) !== 0,
          extendedAccessed: (flags & BIT.EXTENDED_ACCESSED) !== 0,
        }
      : undefined,
    pageWalkSnoop: (word(words, at + 2) & BIT.PAGE_WALK_SNOOP) !== 0,
    pageSnoop: (word(words, at + 2) & BIT.PAGE_SNOOP) !== 0,
  }
  assertEntry(entry)
  return entry
}
