/**
 * A guest for the emulator's tests: memory, and first-stage tables in it as a guest kernel writes
 * them. Large and small leaves, 4 and 5 levels. Called by the emulator's unit and property tests.
 */

import type { FirstStageTable } from '../../src/core/binding.js'
import { SparseMemory } from '../../src/backend/emulator/memory.js'

export const LEAF_PRESENT = 1n
export const LEAF_WRITABLE = 2n
export const LEAF_USER = 4n
export const LEAF_ACCESSED = 0x20n
export const LEAF_DIRTY = 0x40n
const PAGE_SIZE = 0x80n
const ADDRESS = 0x000f_ffff_ffff_f000n

export interface GuestMapping {
  /** Guest-physical page number. */
  readonly frame: number
  readonly order: 0 | 9 | 18
  readonly writable: boolean
  readonly user: boolean
}

/** Hands out pages of a guest's memory for its tables. */
export class Guest {
  readonly memory: SparseMemory
  #next: number

  constructor(sizeBytes = 2 ** 32, firstTable = 0x10_0000) {
    this.memory = new SparseMemory(sizeBytes)
    this.#next = firstTable
  }

  allocate(): number {
    this.#next += 4096
    return this.#next - 4096
  }
}

export class GuestTables {
  readonly root: number
  readonly #guest: Guest
  readonly #levels: number

  constructor(guest: Guest, levels: 4 | 5 = 4) {
    this.#guest = guest
    this.#levels = levels
    this.root = guest.allocate()
  }

  table(more: Partial<FirstStageTable> = {}): FirstStageTable {
    const width = this.#levels === 4 ? 48 : 57
    const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
    return { kind: 'FIRST_STAGE', address: this.root, width, ...flags, ...more }
  }

  /** Where the entry of that order lies; tables on the way are made. */
  entryAddress(page: number, order: number): number {
    let table = this.root
    for (let level = this.#levels; ; level -= 1) {
      const address = table + (Math.floor(page / 2 ** (9 * (level - 1))) % 512) * 8
      if (9 * (level - 1) === order) return address
      let entry = this.#guest.memory.read(address) ?? 0n
      if ((entry & LEAF_PRESENT) === 0n) {
        entry = BigInt(this.#guest.allocate()) | LEAF_PRESENT | LEAF_WRITABLE | LEAF_USER
        this.#guest.memory.write(address, entry)
      }
      table = Number(entry & ADDRESS)
    }
  }

  map(page: number, mapping: GuestMapping): void {
    let leaf = BigInt(mapping.frame * 4096) | LEAF_PRESENT
    if (mapping.writable) leaf |= LEAF_WRITABLE
    if (mapping.user) leaf |= LEAF_USER
    if (mapping.order > 0) leaf |= PAGE_SIZE
    this.#guest.memory.write(this.entryAddress(page, mapping.order), leaf)
  }

  unmap(page: number, order: number): void {
    this.#guest.memory.write(this.entryAddress(page, order), 0n)
  }

  leaf(page: number, order = 0): bigint {
    return this.#guest.memory.read(this.entryAddress(page, order)) ?? 0n
  }
}
