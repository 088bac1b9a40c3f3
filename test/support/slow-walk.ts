/**
 * The two page-table walks of the slow VT-d model, a level a turn, nothing remembered between
 * calls. A walk either names its fault or ends at a leaf; the words whose accessed and dirty flags
 * it would set collect in `Words` and are seen by its own later reads.
 *
 * The order of checks in one entry is QEMU's (vtd_iova_to_fspte, vtd_iova_to_sspte): present,
 * access rights, reserved bits, then the flags. Rights are checked at each level, not at the end.
 */
import { faulted, type SlowReason } from './slow-faults.js'
import type { SlowCaps, SlowMemory } from './slow-types.js'

const PAGE_SHIFT = 12
const INDEX_BITS = 9
/** Bit 7 of a first-stage and of a second-stage entry: a leaf above level 1. */
const PAGE_SIZE = 1n << 7n

/** Memory with what the access in progress has changed of it laid over. */
export class Words {
  readonly changed = new Map<bigint, bigint>()
  readonly #memory: SlowMemory

  constructor(memory: SlowMemory) {
    this.#memory = memory
  }

  read(address: bigint): bigint | undefined {
    return this.changed.get(address) ?? this.#memory.read(address)
  }

  /** The entry of `count` words at `address`; undefined if any of them has no memory. */
  entry(address: bigint, count: number): readonly bigint[] | undefined {
    const words: bigint[] = []
    for (let at = 0; at < count; at += 1) {
      const word = this.read(address + BigInt(8 * at))
      if (word === undefined) return undefined
      words.push(word)
    }
    return words
  }

  write(address: bigint, value: bigint): void {
    if (this.read(address) !== value) this.changed.set(address, value)
  }
}

/** By 64 * high + low: the same few are asked for again and again. */
const MASKS: (bigint | undefined)[] = []

/** Bits `high` to `low` of a word, in place. */
export function mask(high: number, low: number): bigint {
  if (high < low) return 0n
  return (MASKS[high * 64 + low] ??= ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low))
}

/** log2 of the bytes that one entry of `level` (1 to 5) covers: 12, 21, 30, 39, 48. */
function shiftOf(level: number): number {
  return PAGE_SHIFT + INDEX_BITS * (level - 1)
}

function entryAddress(table: bigint, address: bigint, level: number): bigint {
  return table + (((address >> BigInt(shiftOf(level))) & mask(INDEX_BITS - 1, 0)) << 3n)
}

/** The leaf's page with the address's offset in it. */
function leafAddress(entry: bigint, address: bigint, level: number): bigint {
  const offset = mask(shiftOf(level) - 1, 0)
  return (entry & mask(51, PAGE_SHIFT) & ~offset) | (address & offset)
}

export interface SecondStage {
  /** SLPTPTR. */
  readonly root: bigint
  /** 3, 4 or 5: 39, 48 or 57 bits. */
  readonly levels: number
  /** SSADE. */
  readonly flags: boolean
}

/** Where a guest-physical address is: `level` is undefined if no second stage was asked. */
export interface Place {
  readonly hpa: bigint
  readonly level: number | undefined
  readonly writable: boolean
}

/** Second-stage bits: QEMU's VTD_SPTE_*_RSVD_MASK, with SNP (11) and TM (62) reserved. */
function secondStageReserved(caps: SlowCaps, entry: bigint, level: number): bigint {
  const common = mask(11, 11) | mask(51, caps.hostAddressWidth) | mask(62, 62)
  if (level === 1) return common
  const large = level === 2 ? caps.secondStageLeaf2M : level === 3 && caps.secondStageLeaf1G
  if ((entry & PAGE_SIZE) === 0n) return common
  return large ? common | mask(shiftOf(level) - 1, 12) : common | PAGE_SIZE
}

const SS_R = 1n
const SS_W = 2n
const SS_ACCESSED = 1n << 8n
const SS_DIRTY = 1n << 9n

/**
 * A guest-physical address to a host-physical one. R and W of every level must allow the access; a
 * read needs no W and a write no R. R=W=0 is "not present" (SSS.2).
 *
 * The width is AW's alone: QEMU also bounds it by the host's, but MGAW is not among `caps`.
 */
export function walkSecondStage(
  words: Words,
  caps: SlowCaps,
  stage: SecondStage,
  gpa: bigint,
  write: boolean,
): SlowReason | Place {
  if (gpa >> BigInt(shiftOf(stage.levels + 1)) !== 0n) return 'SS_TOO_WIDE'
  let table = stage.root
  let writable = true
  for (let level = stage.levels; ; level -= 1) {
    const at = entryAddress(table, gpa, level)
    const entry = words.read(at)
    if (entry === undefined) {
      return level === stage.levels ? 'SS_ROOT_UNREADABLE' : 'SS_ENTRY_UNREADABLE'
    }
    if ((entry & (SS_R | SS_W)) === 0n) return 'SS_NOT_PRESENT'
    if (write && (entry & SS_W) === 0n) return 'SS_WRITE_DENIED'
    if (!write && (entry & SS_R) === 0n) return 'SS_READ_DENIED'
    if ((entry & secondStageReserved(caps, entry, level)) !== 0n) return 'SS_RESERVED'
    writable &&= (entry & SS_W) !== 0n
    const leaf = level === 1 || (entry & PAGE_SIZE) !== 0n
    if (stage.flags) words.write(at, entry | SS_ACCESSED | (leaf && write ? SS_DIRTY : 0n))
    if (leaf) return { hpa: leafAddress(entry, gpa, level), level, writable }
    table = entry & mask(51, PAGE_SHIFT)
  }
}

export interface FirstStage {
  /** FLPTPTR: host-physical, or guest-physical when nested. */
  readonly root: bigint
  /** 4 or 5: 48 or 57 bits. */
  readonly levels: number
  /** EAFE. */
  readonly extendedAccessed: boolean
  /** WPE: a supervisor write needs R/W as well. */
  readonly writeProtect: boolean
}

/** What a first-stage walk needs of what lies below: the identity, or the second stage. */
export type Below = (address: bigint, write: boolean) => SlowReason | Place

export interface FirstStageLeaf {
  readonly address: bigint
  readonly level: number
  readonly writable: boolean
  readonly user: boolean
}

/**
 * First-stage bits: QEMU's VTD_FPTE_*_RSVD_MASK. Bits 63:52 (XD among them) are ignored; bit 12 of
 * a large leaf is PAT. A 1 GiB leaf without FL1GP has its page-size bit reserved.
 */
function firstStageReserved(caps: SlowCaps, entry: bigint, level: number): bigint {
  const common = mask(51, caps.hostAddressWidth)
  if (level === 1 || (entry & PAGE_SIZE) === 0n) return common
  const large = level === 2 || (level === 3 && caps.leaf1G)
  return large ? common | mask(shiftOf(level) - 1, 13) : common | PAGE_SIZE
}

const FS_P = 1n
const FS_RW = 2n
const FS_US = 4n
const FS_ACCESSED = 1n << 5n
const FS_DIRTY = 1n << 6n
const FS_EXTENDED_ACCESSED = 1n << 10n

/** A second-stage fault of a first-stage table is another fault than that of the page itself. */
function ofTable(reason: SlowReason, top: boolean): SlowReason {
  if (reason === 'SS_TOO_WIDE') return 'NESTED_TABLE_TOO_WIDE'
  if (reason === 'SS_WRITE_DENIED') return 'NESTED_TABLE_WRITE_DENIED'
  if (reason !== 'SS_READ_DENIED') return reason
  return top ? 'NESTED_ROOT_READ_DENIED' : 'NESTED_TABLE_READ_DENIED'
}

/**
 * An input address to the address that the first stage gives it. A user request needs U/S in every
 * entry; a write needs R/W in every entry, unless it is a supervisor's and WPE is clear.
 */
export function walkFirstStage(
  words: Words,
  caps: SlowCaps,
  stage: FirstStage,
  access: { readonly address: bigint; readonly write: boolean; readonly privileged: boolean },
  below: Below,
): SlowReason | FirstStageLeaf {
  const { address, write, privileged } = access
  const width = shiftOf(stage.levels + 1)
  if (BigInt.asUintN(64, BigInt.asIntN(width, address)) !== address) return 'FS_NOT_CANONICAL'
  const mayIgnoreReadOnly = privileged && !stage.writeProtect
  let table = stage.root
  let writable = true
  let user = true
  for (let level = stage.levels; ; level -= 1) {
    const top = level === stage.levels
    const at = entryAddress(table, address, level)
    const place = below(at, false)
    if (faulted(place)) return ofTable(place, top)
    const entry = words.read(place.hpa)
    if (entry === undefined) return top ? 'FS_ROOT_UNREADABLE' : 'FS_ENTRY_UNREADABLE'
    if ((entry & FS_P) === 0n) return 'FS_NOT_PRESENT'
    if (!privileged && (entry & FS_US) === 0n) return 'FS_SUPERVISOR_PAGE'
    user &&= (entry & FS_US) !== 0n
    writable &&= mayIgnoreReadOnly || (entry & FS_RW) !== 0n
    if (write && !writable) return 'FS_WRITE_DENIED'
    if ((entry & firstStageReserved(caps, entry, level)) !== 0n) return 'FS_RESERVED'
    const leaf = level === 1 || (entry & PAGE_SIZE) !== 0n
    const marked =
      entry |
      FS_ACCESSED |
      (stage.extendedAccessed ? FS_EXTENDED_ACCESSED : 0n) |
      (leaf && write ? FS_DIRTY : 0n)
    if (marked !== entry) {
      const written = below(at, true)
      if (faulted(written)) return ofTable(written, top)
      words.write(place.hpa, marked)
    }
    if (leaf) return { address: leafAddress(entry, address, level), level, writable, user }
    table = entry & mask(51, PAGE_SHIFT)
  }
}
