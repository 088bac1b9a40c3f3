/**
 * From an input address to a host-physical page, from the tables alone: no cache is asked. First
 * stage of 4 or 5 levels over the guest's memory, each table address and the result through the
 * second stage (VT-d 3.8 "Nested Translation"); second stage alone; pass-through.
 *
 * Order of the checks, as QEMU models it (hw/i386/intel_iommu.c vtd_iova_to_fspte): canonical, then
 * on each level readable, present, reserved bits, user, write, accessed flag; the dirty flag on the
 * leaf of a write. Paging-structure caches are not modelled: each walk starts at the top, so an
 * invalidation that leaves them alone ("leaf only") and one that does not are the same here.
 * Called by the unit on a miss; by tests as the truth about the tables.
 */

import type { FaultName } from './faults.js'
import type { AddressSpace } from './address-space.js'
import { blockStart, isCanonical } from './pages.js'
import { PAGE_BYTES } from './memory.js'
import type { PasidEntry } from './pasid-entry.js'

/** A request of a device, after its PASID entry was found. */
export interface WalkRequest {
  readonly page: number
  readonly write: boolean
  /** PR of the TLP prefix: a supervisor request. */
  readonly privileged: boolean
  /** CAP.FL1GP. */
  readonly leaf1G: boolean
}

export interface Mapping {
  /** Host-physical number of the block's first page. */
  readonly frame: number
  /** The block of input pages that one leaf maps. */
  readonly first: number
  readonly order: number
  /** May be written. */
  readonly writable: boolean
  /** May be used by requests that are not privileged. */
  readonly user: boolean
  /** May be used by requests that are privileged: SRE of the entry that it was walked for. */
  readonly supervisor: boolean
  /** A write went through: its dirty flag is set. */
  readonly dirty: boolean
}

export type Walked =
  | { readonly kind: 'MAPPING'; readonly mapping: Mapping }
  | { readonly kind: 'FAULT'; readonly fault: FaultName }

const PRESENT = 1 << 0
const WRITABLE = 1 << 1
const USER = 1 << 2
const ACCESSED = 1 << 5
const DIRTY = 1 << 6
const PAGE_SIZE = 1 << 7
/** Set beside ACCESSED when EAFE is: VT-d 3.6.2. */
const EXTENDED_ACCESSED = 1 << 10
const LOW_BITS = 0xfffn
const ADDRESS = 0x000f_ffff_ffff_f000n
const INDEX_BITS = 9
/** 0xFEEx_xxxx: the interrupt address range (VT-d 3.14). */
const INTERRUPT_FIRST = 0xfee0_0000
const INTERRUPT_LAST = 0xfeef_ffff

function fault(name: FaultName): Walked {
  return { kind: 'FAULT', fault: name }
}

/** The entry is of a type that uses a second stage. */
export function walk(entry: PasidEntry, space: AddressSpace, request: WalkRequest): Walked {
  if (entry.firstStage === undefined) return walkSecondStage(space, request)
  return walkFirstStage(entry.firstStage, space, request)
}

/** PGTT 2: the input is guest-physical. The rights of the identity are all but supervisor's. */
function walkSecondStage(space: AddressSpace, request: WalkRequest): Walked {
  const resolved = space.resolve(request.page * PAGE_BYTES)
  if (resolved === undefined) return fault('ADDRESS_BEYOND_WIDTH')
  if (isInterruptAddress(resolved.address)) return fault('INTERRUPT_ADDRESS')
  const frame = resolved.address / PAGE_BYTES
  const rights = { writable: true, user: true, supervisor: false, dirty: true }
  return { kind: 'MAPPING', mapping: { frame, first: request.page, order: 0, ...rights } }
}

function walkFirstStage(
  table: NonNullable<PasidEntry['firstStage']>,
  space: AddressSpace,
  request: WalkRequest,
): Walked {
  const { page, write, privileged } = request
  if (!isCanonical(page, table.levels === 4 ? 48 : 57)) return fault('NOT_CANONICAL')
  // Without WPE a privileged write ignores R/W, as a processor does with CR0.WP = 0.
  const mayWrite = privileged && !table.writeProtect
  const accessed = table.extendedAccessed ? ACCESSED | EXTENDED_ACCESSED : ACCESSED
  let pointer = table.pointer
  let writable = true
  let user = true
  for (let level = table.levels as number; ; level -= 1) {
    const order = INDEX_BITS * (level - 1)
    const index = Math.floor(page / 2 ** order) % 2 ** INDEX_BITS
    const address = pointer + index * 8
    if (space.resolve(address) === undefined) return fault('FIRST_STAGE_ENTRY_BEYOND_WIDTH')
    const entry = space.memory?.read(address)
    if (entry === undefined) {
      const top = level === table.levels
      return fault(top ? 'FIRST_STAGE_POINTER_UNREADABLE' : 'FIRST_STAGE_ENTRY_UNREADABLE')
    }
    const low = Number(entry & LOW_BITS)
    const leaf = level === 1 || (low & PAGE_SIZE) !== 0
    if ((low & PRESENT) === 0) return fault('FIRST_STAGE_ENTRY_NOT_PRESENT')
    const output = Number(entry & ADDRESS)
    if (leaf && level > 1 && !mayBeLarge(level, output, request.leaf1G)) {
      return fault('FIRST_STAGE_ENTRY_RESERVED')
    }
    user &&= (low & USER) !== 0
    if (!user && !privileged) return fault('USER_NOT_ALLOWED')
    writable &&= (low & WRITABLE) !== 0
    if (write && !writable && !mayWrite) return fault('WRITE_NOT_ALLOWED')
    const flags = accessed | (leaf && write ? DIRTY : 0)
    if (!setFlags(space, address, entry, flags)) return fault('BIT_UPDATE_FAILED')
    if (!leaf) {
      pointer = output
      continue
    }
    const dirty = write || (low & DIRTY) !== 0
    // Bit 12 of a large leaf is PAT, not address.
    const start = output - (output % (2 ** order * PAGE_BYTES))
    const { supervisor } = table
    return finish(space, page, { start, order, writable, user, supervisor, dirty })
  }
}

/** Reserved bits of a large leaf: the address below its size, but for PAT; PS above level 3. */
function mayBeLarge(level: number, output: number, leaf1G: boolean): boolean {
  if (level > 3 || (level === 3 && !leaf1G)) return false
  const below = output % (2 ** (INDEX_BITS * (level - 1)) * PAGE_BYTES)
  return below === 0 || below === PAGE_BYTES
}

function setFlags(space: AddressSpace, address: number, entry: bigint, flags: number): boolean {
  const next = entry | BigInt(flags)
  if (next === entry) return true
  return space.memory?.exchange(address, entry, next) === true
}

interface Leaf {
  /** Guest-physical. */
  readonly start: number
  readonly order: number
  readonly writable: boolean
  readonly user: boolean
  readonly supervisor: boolean
  readonly dirty: boolean
}

/** The leaf's page through the second stage; the smaller of both blocks is what may be cached. */
function finish(space: AddressSpace, page: number, leaf: Leaf): Walked {
  const guest = leaf.start + (page % 2 ** leaf.order) * PAGE_BYTES
  if (isInterruptAddress(guest)) return fault('INTERRUPT_ADDRESS')
  const resolved = space.resolve(guest)
  if (resolved === undefined) return fault('SECOND_STAGE_BEYOND_WIDTH')
  const order = Math.min(leaf.order, resolved.order)
  const first = blockStart(page, order)
  const frame = resolved.address / PAGE_BYTES - (page - first)
  const { writable, user, supervisor, dirty } = leaf
  const rights = { writable, user, supervisor, dirty }
  return { kind: 'MAPPING', mapping: { frame, first, order, ...rights } }
}

function isInterruptAddress(address: number): boolean {
  return address >= INTERRUPT_FIRST && address <= INTERRUPT_LAST
}
