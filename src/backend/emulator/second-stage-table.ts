/**
 * The writer of a second-stage table: VT-d "Second-Stage Paging Entries" (9.8), Linux
 * drivers/iommu/intel/iommu.h struct dma_pte. 48 bits, 4 levels, in host memory, with the largest
 * leaves that alignment allows. The entries' accessed and dirty flags are the unit's to set.
 *
 * What always holds: an entry that is present leads to a table or to memory; table pages come with
 * the first leaf below them. What an unmap takes out is given back in a second step, after the
 * caller's invalidation: until then paging-structure caches may lead there. Used by address spaces.
 */

import { assert, present } from '../../core/assert.js'
import { PAGE_BYTES, type HostMemory } from './memory.js'

export const SECOND_STAGE_READ = 1
export const SECOND_STAGE_WRITE = 2
/** PS: a leaf above the lowest level. */
export const SECOND_STAGE_PAGE_SIZE = 1 << 7

const LEVELS = 4
export const SECOND_STAGE_BYTES = 2 ** 48
const INDEX_BITS = 9
const ENTRIES = 2 ** INDEX_BITS
/** 1 GiB. */
const LEAF_LEVEL_MAX = 3
const WORD = 2 ** 32

/** Bytes that one entry of the level maps. */
function entryBytes(level: number): number {
  return PAGE_BYTES * 2 ** (INDEX_BITS * (level - 1))
}

export interface SecondStageRange {
  /** Guest-physical. */
  readonly address: number
  readonly bytes: number
  /** Host-physical. */
  readonly host: number
  readonly writable: boolean
}

/** A table, and the part of a range that lies below it. */
interface Part {
  readonly table: number
  readonly level: number
  /** Guest-physical; the part ends within the table. */
  readonly address: number
  readonly end: number
}

export class SecondStageTable {
  /** SLPTPTR. */
  readonly root: number
  readonly #memory: HostMemory

  constructor(memory: HostMemory) {
    this.#memory = memory
    this.root = memory.allocate(1)
  }

  /** Nothing of the range is mapped yet. All are multiples of 4096. */
  map(range: SecondStageRange): void {
    const part = this.#whole(range)
    assert(range.host % PAGE_BYTES === 0, 'a second-stage leaf is page aligned')
    this.#map(part, range.host - range.address, range.writable)
  }

  /** The range is mapped, and no leaf reaches beyond it. Pairs with release(). */
  unmap(range: Pick<SecondStageRange, 'address' | 'bytes'>): readonly number[] {
    const cut: number[] = []
    this.#unmap(this.#whole(range), cut)
    return cut
  }

  /** Table pages that an unmap cut out, once nothing cached leads there. */
  release(cut: readonly number[]): void {
    for (const table of cut) this.#memory.release(table, 1)
  }

  /** Nothing is mapped any more, and no entry names the table. */
  destroy(): void {
    assert(this.#isEmpty(this.root), 'a destroyed second stage maps nothing')
    this.#memory.release(this.root, 1)
  }

  #whole({ address, bytes }: Pick<SecondStageRange, 'address' | 'bytes'>): Part {
    const end = address + bytes
    const pages = address % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0
    assert(pages && address >= 0 && bytes > 0 && end <= SECOND_STAGE_BYTES, 'a range of 48 bits')
    return { table: this.root, level: LEVELS, address, end }
  }

  #map({ table, level, address, end }: Part, shift: number, writable: boolean): void {
    const size = entryBytes(level)
    const rights = writable ? SECOND_STAGE_READ | SECOND_STAGE_WRITE : SECOND_STAGE_READ
    const flags = level > 1 ? rights | SECOND_STAGE_PAGE_SIZE : rights
    const page = this.#memory.getPage(table)
    const mayBeLeaf = level <= LEAF_LEVEL_MAX && shift % size === 0
    for (let at = address, next = 0; at < end; at = next) {
      next = Math.min(end, (Math.floor(at / size) + 1) * size)
      if (mayBeLeaf && next - at === size) {
        const index = indexOf(size, at)
        assert(read(page, index) === undefined, 'nothing is mapped twice')
        write(page, index, at + shift + flags)
      } else {
        const below = { table: this.#ensure(table, level, at), level: level - 1 }
        this.#map({ ...below, address: at, end: next }, shift, writable)
      }
    }
  }

  #unmap({ table, level, address, end }: Part, cut: number[]): void {
    const size = entryBytes(level)
    const page = this.#memory.getPage(table)
    for (let at = address, next = 0; at < end; at = next) {
      next = Math.min(end, (Math.floor(at / size) + 1) * size)
      const index = indexOf(size, at)
      const entry = present(read(page, index), 'the entry of what is unmapped')
      if (isLeaf(entry, level)) {
        assert(next - at === size, 'a leaf is unmapped whole')
        write(page, index, 0)
        continue
      }
      const below = entry - (entry % PAGE_BYTES)
      this.#unmap({ table: below, level: level - 1, address: at, end: next }, cut)
      if (!this.#isEmpty(below)) continue
      write(page, index, 0)
      cut.push(below)
    }
  }

  /** The table below an entry that is no leaf; made where there is none. */
  #ensure(table: number, level: number, address: number): number {
    const page = this.#memory.getPage(table)
    const index = indexOf(entryBytes(level), address)
    const entry = read(page, index)
    if (entry !== undefined) {
      assert(!isLeaf(entry, level), 'nothing is mapped twice')
      return entry - (entry % PAGE_BYTES)
    }
    const fresh = this.#memory.allocate(1)
    // The rights of a translation are those of all levels: the leaf decides.
    write(page, index, fresh + SECOND_STAGE_READ + SECOND_STAGE_WRITE)
    return fresh
  }

  #isEmpty(table: number): boolean {
    return this.#memory.findPage(table)?.every((word) => word === 0) ?? true
  }
}

/** In a table whose entries map `size` bytes each. */
function indexOf(size: number, address: number): number {
  return Math.floor(address / size) % ENTRIES
}

/** Entries have 52 bits here, so a number holds one; undefined = not present. */
function read(page: Uint32Array, index: number): number | undefined {
  const low = page[index * 2] ?? 0
  if ((low & (SECOND_STAGE_READ | SECOND_STAGE_WRITE)) === 0) return undefined
  return (page[index * 2 + 1] ?? 0) * WORD + low
}

function write(page: Uint32Array, index: number, entry: number): void {
  page[index * 2 + 1] = Math.floor(entry / WORD)
  page[index * 2] = entry % WORD
}

function isLeaf(entry: number, level: number): boolean {
  return level === 1 || (entry & SECOND_STAGE_PAGE_SIZE) !== 0
}
