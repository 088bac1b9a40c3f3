/**
 * A device's PASID table: a directory of 8-byte entries, each with the page of 64 PASID entries
 * (Linux drivers/iommu/intel/pasid.c intel_pasid_alloc_table, intel_pasid_get_entry). Everything
 * lies in host memory: this object knows only where the directory is and how long. Pages of entries
 * come with the first binding in them and stay until the table is released, as in Linux.
 *
 * Called by the programming of bindings (find, ensure), by observe and dump (forEach), and, as a
 * walk from the context entry, by the PASID fetch of a translation (fetchPasidEntry).
 */

import { assert } from '../../core/assert.js'
import { readContext } from './context-entry.js'
import type { FaultName } from './faults.js'
import { OFFSET, PAGE_BYTES, type HostMemory, type SparseMemory } from './memory.js'
import { checkEntry, decodeEntry, ENTRY_WORDS, isPresent, type PasidEntry } from './pasid-entry.js'

const ENTRIES_PER_PAGE = 64
const DIRECTORY_ENTRY_BYTES = 8
const PRESENT = 1
const WORD = 2 ** 32
/** PASIDs of the smallest directory, PDTS 0. */
const PASID_BITS_SMALLEST = 13

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
    const address = this.#pageAddress(Math.floor(pasid / ENTRIES_PER_PAGE))
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
      if (address === undefined) continue
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
  | { readonly kind: 'ENTRY'; readonly entry: PasidEntry }
  | { readonly kind: 'FAULT'; readonly fault: FaultName; readonly recorded: boolean }

export interface FetchRequest {
  readonly root: number
  readonly sourceId: number
  /** Undefined = a request without PASID: RID_PASID of the context entry. */
  readonly pasid: number | undefined
}

/** What a unit does to find the PASID entry of a request: root, context, directory, table. */
export function fetchPasidEntry(memory: SparseMemory, request: FetchRequest): FetchedEntry {
  const fault = (name: FaultName, recorded = true): FetchedEntry => {
    return { kind: 'FAULT', fault: name, recorded }
  }
  const context = readContext(memory, request.root, request.sourceId)
  if (context.kind === 'FAULT') return fault(context.fault)
  const { directory, directorySize, pasids, ridPasid } = context.entry
  if (request.pasid !== undefined && !pasids) return fault('PASID_NOT_ENABLED')
  const pasid = request.pasid ?? ridPasid
  if (pasid >= 2 ** (directorySize + PASID_BITS_SMALLEST)) return fault('PASID_BEYOND_TABLE')
  const page = readDirectory(memory, directory, Math.floor(pasid / ENTRIES_PER_PAGE))
  if (page === undefined) return fault('PASID_DIRECTORY_ENTRY_NOT_PRESENT')
  const words = memory.findPage(page)
  if (words === undefined) return fault('PASID_TABLE_UNREADABLE')
  const at = entryOffset(pasid)
  // FPD counts even in an entry that is not present (VT-d 9.6): the unit read it already.
  const recorded = ((words[at] ?? 0) & 2) === 0
  if (!isPresent(words, at)) return fault('PASID_ENTRY_NOT_PRESENT', recorded)
  const check = checkEntry(words, at)
  if (check === 'RESERVED') return fault('PASID_ENTRY_RESERVED', recorded)
  if (check === 'INVALID') return fault('PASID_ENTRY_INVALID', recorded)
  return { kind: 'ENTRY', entry: decodeEntry(words, at) }
}
