/**
 * What a walk of page tables sees of the machine: its memory, the unit's options, and the
 * paging-structure caches; and whether it leaves traces (flags, cached entries) or only looks. One
 * for each request. Made by the request path, used by both walks.
 */

import type { PhysicalMemory } from './memory.js'
import { pagesOf, type PageBlock } from './pages.js'
import type { PagingStructureCache, Structure } from './paging-structure-cache.js'
import type { UnitOptions } from './unit-options.js'

export type WalkOptions = Pick<UnitOptions, 'leaf1G' | 'hostAddressWidth'>

/** Whether an entry that is found in a cache may be used. */
export type MayUse = (pasid: number, block: PageBlock, page: number) => boolean

export interface StructureView {
  readonly cache: PagingStructureCache
  /** The tag of everything below one PASID entry. */
  readonly domain: number
  /** Undefined: all. */
  readonly mayUse: MayUse | undefined
}

/** Somebody may write the same entry; then it is read again, this often. */
const FLAG_ATTEMPTS = 16

export class WalkScope {
  readonly memory: PhysicalMemory
  /** CAP.FL1GP. */
  readonly leaf1G: boolean
  /** Page numbers from here on are beyond the host address width: reserved in every entry. */
  readonly pagesEnd: number
  /** Sets flags and fills caches. */
  readonly live: boolean
  readonly #structures: StructureView | undefined
  #ignores = false
  #usedStructures = false
  #attempts = 0

  constructor(
    memory: PhysicalMemory,
    options: WalkOptions,
    live: boolean,
    structures: StructureView | undefined,
  ) {
    this.memory = memory
    this.leaf1G = options.leaf1G
    this.pagesEnd = pagesOf(options.hostAddressWidth - 12)
    this.live = live
    this.#structures = structures
  }

  /** Whether anything came from a paging-structure cache. */
  get usedStructures(): boolean {
    return this.#usedStructures
  }

  /** From now on only the tables are asked. */
  ignoreStructures(): void {
    this.#ignores = true
    this.#usedStructures = false
    this.#attempts = 0
  }

  findStructure(pasid: number, page: number): Structure | undefined {
    const view = this.#structures
    if (view === undefined || this.#ignores) return undefined
    const found = view.cache.find(view.domain, pasid, page)
    if (found === undefined) return undefined
    if (view.mayUse !== undefined && !view.mayUse(pasid, found, page)) return undefined
    this.#usedStructures = true
    return found
  }

  /** Whether keepStructure() keeps anything. */
  get keeps(): boolean {
    return this.live && this.#structures !== undefined
  }

  keepStructure(pasid: number, structure: Structure): void {
    const view = this.#structures
    if (this.live && view !== undefined) view.cache.fill(view.domain, pasid, structure)
  }

  /**
   * Sets flags of an entry, not all of which are set, where it still stands. A walk that leaves no
   * traces writes the entry back as it is, which shows whether it could be written.
   */
  setFlags(address: number, entry: bigint, flags: bigint): 'SET' | 'CHANGED' | 'FAILED' {
    if (this.memory.exchange(address, entry, this.live ? entry | flags : entry)) return 'SET'
    if (this.memory.read(address) === entry) return 'FAILED'
    this.#attempts += 1
    return this.#attempts < FLAG_ATTEMPTS ? 'CHANGED' : 'FAILED'
  }
}
