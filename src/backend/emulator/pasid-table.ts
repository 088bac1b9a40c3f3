/**
 * A device's PASID table: a directory of 8-byte entries, each with the page of 64 PASID entries
 * (Linux drivers/iommu/intel/pasid.c intel_pasid_alloc_table, intel_pasid_get_entry). Everything
 * lies in host memory: this object knows only where the directory is and how long. Pages of entries
 * come with the first binding in them and stay until the table is released, as in Linux.
 *
 * Called by the programming of bindings (find, ensure), by observe and dump (forEach). The fetch of
 * a translation (fetchPasidEntry) reads the same tables from any image of memory.
 */

import { assert } from '../../core/assert.js'
import type { FaultName } from './faults.js'
import {
  OFFSET,
  PAGE_BYTES,
  type HostMemory,
  type PhysicalMemory,
  type SparseMemory,
} from './memory.js'
import {
  areFaultsDisabled,
  checkEntry,
  decodeEntry,
  ENTRY_WORDS,
  isPresent,
  type EntryChecks,
  type PasidEntry,
} from './pasid-entry.js'

const ENTRIES_PER_PAGE = 64
const DIRECTORY_ENTRY_BYTES = 8
const DIRECTORY_PER_FRAME = PAGE_BYTES / DIRECTORY_ENTRY_BYTES
const PRESENT = 1
const TABLE_ADDRESS = 0x000f_ffff_ffff_f000n
const WORD = 2 ** 32
/** PASIDs of the smallest directory, PDTS 0. */
export const PASID_BITS_SMALLEST = 13

/** The index of a PASID's first word in its page. */
export function entryOffset(pasid: number): number {
  return (pasid % ENTRIES_PER_PAGE) * ENTRY_WORDS
}

export class PasidTable {
  readonly #memory: HostMemory
  /** PASIDDIRPTR. */
  readonly directory: number
  /** PDTS. */
  readonly directorySize: number
  readonly #entries: number
  readonly #frames: number

  constructor(memory: HostMemory, pasidBits: number) {
    this.#memory = memory
    this.directorySize = Math.max(0, pasidBits - PASID_BITS_SMALLEST)
    this.#entries = 2 ** (this.directorySize + 7)
    this.#frames = Math.ceil((this.#entries * DIRECTORY_ENTRY_BYTES) / PAGE_BYTES)
    this.directory = memory.allocate(this.#frames)
  }

  /** The page with the PASID's entry, if there is one. */
  findPage(pasid: number): Uint32Array | undefined {
    const index = Math.floor(pasid / ENTRIES_PER_PAGE)
    // Beyond the directory lies what is none of this table's. A device may have become narrower.
    if (index >= this.#entries) return undefined
    const address = this.#pageAddress(index)
    return address === undefined ? undefined : this.#memory.getPage(address)
  }

  /** The page with the PASID's entry, made where there is none. */
  ensurePage(pasid: number): Uint32Array {
    const known = this.findPage(pasid)
    if (known !== undefined) return known
    const index = Math.floor(pasid / ENTRIES_PER_PAGE)
    assert(index < this.#entries, `the directory has an entry for PASID ${pasid}`)
    const address = this.#memory.allocate(1)
    const page = this.#memory.getPage(address)
    this.#memory.write(this.directory + index * DIRECTORY_ENTRY_BYTES, BigInt(address + PRESENT))
    return page
  }

  /** Every present entry from `first` on, ascending, until the visitor answers false. */
  forEach(first: number, visit: (pasid: number, page: Uint32Array, at: number) => boolean): void {
    for (let index = Math.floor(first / ENTRIES_PER_PAGE); index < this.#entries; index += 1) {
      const address = this.#pageAddress(index)
      if (address === undefined) {
        if (this.#isUnwritten(index)) index += DIRECTORY_PER_FRAME - 1
        continue
      }
      const page = this.#memory.getPage(address)
      for (let i = 0; i < ENTRIES_PER_PAGE; i += 1) {
        const pasid = index * ENTRIES_PER_PAGE + i
        if (pasid < first || !isPresent(page, i * ENTRY_WORDS)) continue
        if (!visit(pasid, page, i * ENTRY_WORDS)) return
      }
    }
  }

  /** Nothing may be present any more. */
  release(): void {
    this.forEach(0, (pasid) => {
      assert(false, `PASID ${pasid} is present in a released table`)
      return false
    })
    for (let index = 0; index < this.#entries; index += 1) {
      const address = this.#pageAddress(index)
      if (address !== undefined) this.#memory.release(address, 1)
    }
    this.#memory.release(this.directory, this.#frames)
  }

  /** The index is a frame's first, and nothing was ever in that frame of the directory. */
  #isUnwritten(index: number): boolean {
    if (index % DIRECTORY_PER_FRAME !== 0) return false
    return this.#memory.findPage(this.directory + index * DIRECTORY_ENTRY_BYTES) === undefined
  }

  #pageAddress(index: number): number | undefined {
    return readDirectory(this.#memory, this.directory, index)
  }
}

/** By the half word, not as a BigInt: every bind and unbind passes here. */
function readDirectory(memory: SparseMemory, directory: number, index: number): number | undefined {
  const byte = directory + index * DIRECTORY_ENTRY_BYTES
  const page = memory.findPage(byte)
  if (page === undefined) return undefined
  const at = (byte & OFFSET) >>> 2
  const low = page[at] ?? 0
  if ((low & PRESENT) === 0) return undefined
  return (page[at + 1] ?? 0) * WORD + ((low & 0xffff_f000) >>> 0)
}

export type FetchedEntry =
  | {
      readonly kind: 'ENTRY'
      readonly entry: PasidEntry
      /** FPD of the directory entry or of the entry itself. */
      readonly silenced: boolean
    }
  | { readonly kind: 'FAULT'; readonly fault: FaultName; readonly silenced: boolean }

const ENTRY_BYTES = 64
const FAULTS_DISABLED = 2n
const RESERVED_DIRECTORY = 0xffcn
/** An entry that is fetched is put together here, from words of whatever memory. */
const fetched = new Uint32Array(ENTRY_WORDS)

/** What a unit does to find the PASID's entry, from the directory of a context entry on. */
export function fetchPasidEntry(
  memory: PhysicalMemory,
  place: { readonly directory: number; readonly pasid: number },
  checks: EntryChecks,
): FetchedEntry {
  const { directory, pasid } = place
  let silenced = false
  const fault = (name: FaultName): FetchedEntry => ({ kind: 'FAULT', fault: name, silenced })
  const index = Math.floor(pasid / ENTRIES_PER_PAGE)
  const pointer = memory.read(directory + index * DIRECTORY_ENTRY_BYTES)
  if (pointer === undefined) return fault('PASID_DIRECTORY_UNREADABLE')
  // FPD counts even in an entry that is not present (VT-d 9.5, 9.6): the unit read it already.
  silenced = (pointer & FAULTS_DISABLED) !== 0n
  if ((pointer & BigInt(PRESENT)) === 0n) return fault('PASID_DIRECTORY_ENTRY_NOT_PRESENT')
  const beyond = pointer >> BigInt(checks.hostAddressWidth) !== 0n
  if (beyond || (pointer & RESERVED_DIRECTORY) !== 0n) {
    return fault('PASID_DIRECTORY_ENTRY_RESERVED')
  }
  const table = Number(pointer & TABLE_ADDRESS)
  if (!copyEntry(memory, table + (pasid % ENTRIES_PER_PAGE) * ENTRY_BYTES)) {
    return fault('PASID_TABLE_UNREADABLE')
  }
  silenced ||= areFaultsDisabled(fetched, 0)
  if (!isPresent(fetched, 0)) return fault('PASID_ENTRY_NOT_PRESENT')
  const check = checkEntry(fetched, 0, checks)
  if (check === 'RESERVED') return fault('PASID_ENTRY_RESERVED')
  if (check === 'INVALID') return fault('PASID_ENTRY_INVALID')
  return { kind: 'ENTRY', entry: decodeEntry(fetched, 0), silenced }
}

function copyEntry(memory: PhysicalMemory, address: number): boolean {
  for (let i = 0; i < ENTRY_WORDS; i += 2) {
    const value = memory.read(address + i * 4)
    if (value === undefined) return false
    fetched[i] = Number(value & 0xffff_ffffn)
    fetched[i + 1] = Number(value >> 32n)
  }
  return true
}
