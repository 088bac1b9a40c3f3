/**
 * Small remapping tables for the slow VT-d model's own test, built word by word: a device with one
 * PASID entry, and paths from a table's top to one leaf. A page has memory once a word is put
 * there.
 */
import { slowTranslate } from './slow-iommu.js'
import type { SlowAnswer, SlowCaps, SlowMemory, SlowRequest } from './slow-types.js'

export const ROOT = 0x1000n
export const SOURCE = 0x1234
/** PASID directory entry 0x41, PASID table entry 0x21. */
export const PASID = 0x1061

/** Where device() puts its tables, and where the entries of SOURCE and PASID in them are. */
export const PLACES = {
  rootEntry: ROOT + 0x12n * 16n,
  context: 0x2000n + 0x34n * 32n,
  directory: 0x3000n + 0x41n * 8n,
  pasid: 0x5000n + 0x21n * 64n,
} as const

export const CAPS: SlowCaps = {
  leaf1G: true,
  fiveLevels: true,
  secondStageLeaf2M: true,
  secondStageLeaf1G: true,
  supervisorRequests: true,
  extendedAccessed: true,
  hostAddressWidth: 46,
}

/** What firstStage() and nested() map, and what secondStage() maps. */
export const VA = 0x7f12_3456_7000n
export const GPA = 0x12_3456_7000n

/** PGTT in place. */
export const FIRST = 1n << 6n
export const SECOND = 2n << 6n
export const NESTED = 3n << 6n
export const PASS = 4n << 6n
/** Present, writable, user: a first-stage entry. Read and write: a second-stage one. */
export const USER = 7n
export const RW = 3n
export const LARGE = 0x80n

export class SlowTables implements SlowMemory {
  readonly #words = new Map<bigint, bigint>()
  readonly #pages = new Set<bigint>()

  read(address: bigint): bigint | undefined {
    return this.#pages.has(address >> 12n) ? (this.#words.get(address) ?? 0n) : undefined
  }

  put(address: bigint, ...words: readonly bigint[]): this {
    words.forEach((word, at) => {
      this.#words.set(address + BigInt(8 * at), word)
      this.#pages.add(address >> 12n)
    })
    return this
  }

  /** Sets bits of one word. */
  set(address: bigint, bits: bigint): this {
    return this.put(address, (this.read(address) ?? 0n) | bits)
  }

  /** Takes the memory of a page away. */
  drop(address: bigint): this {
    this.#pages.delete(address >> 12n)
    return this
  }
}

/** SOURCE with a context entry (PASIDE, PDTS 0, `ridPasid`) and PASID with the given entry. */
export function device(low: bigint, third = 0n, ridPasid = BigInt(PASID)): SlowTables {
  return new SlowTables()
    .put(PLACES.rootEntry, 0x2001n, 0n)
    .put(PLACES.context, 0x3009n, ridPasid, 0n, 0n)
    .put(PLACES.directory, 0x5001n)
    .put(PLACES.pasid, low | 1n, 7n, third, 0n, 0n, 0n, 0n, 0n)
}

export interface Path {
  /** Table at the top; the lower ones follow it, one page each. */
  readonly top: bigint
  readonly levels: number
  readonly address: bigint
  /** Bits of each entry that points to a table. */
  readonly table: bigint
  /** The leaf entry whole, and its level. */
  readonly leaf: bigint
  readonly level?: number
  /** Where an address of a table is in memory; the address itself unless nested. */
  readonly at?: (address: bigint) => bigint
}

/** Lays one path; answers where its entries are in memory, the top one first. */
export function lay(tables: SlowTables, path: Path): readonly bigint[] {
  const { top, levels, address, table, leaf, level = 1, at = (place: bigint) => place } = path
  const entries: bigint[] = []
  for (let here = levels; here >= level; here -= 1) {
    const base = top + BigInt(levels - here) * 0x1000n
    const index = (address >> BigInt(12 + 9 * (here - 1))) & 0x1ffn
    const entry = at(base + index * 8n)
    tables.put(entry, here === level ? leaf : (base + 0x1000n) | table)
    entries.push(entry)
  }
  return entries
}

/** A first-stage-only device whose 4-level table at 0x10000 maps `address` to 0x789000, user RW. */
export function firstStage(
  address = VA,
  more: Partial<Path> = {},
  third = 0n,
): { readonly tables: SlowTables; readonly entries: readonly bigint[] } {
  const tables = device(FIRST, 0x10000n | third)
  const path = { top: 0x10000n, levels: 4, address, table: USER, leaf: 0x789000n | USER, ...more }
  return { tables, entries: lay(tables, path) }
}

/** A second-stage-only device, 4 levels at 0x20000, that maps `address` to 0x789000, RW. */
export function secondStage(
  address = GPA,
  more: Partial<Path> = {},
  low = 0n,
): { readonly tables: SlowTables; readonly entries: readonly bigint[] } {
  const tables = device(SECOND | (2n << 2n) | 0x20000n | low)
  const path = { top: 0x20000n, levels: 4, address, table: RW, leaf: 0x789000n | RW, ...more }
  return { tables, entries: lay(tables, path) }
}

/** What nested() maps, and where its pages' second-stage leaves are in memory. */
export const NESTED_PLACES = {
  address: VA,
  /** Guest-physical page of the first-stage tables, from the top. */
  guestTables: [0x40000n, 0x41000n, 0x42000n, 0x43000n],
  guestPage: 0x50000n,
  /** Second-stage leaf entry of a guest-physical page below 0x200000. */
  leaf: (gpa: bigint): bigint => 0x23000n + (gpa >> 12n) * 8n,
} as const

/**
 * A nested device: 4 first-stage levels at guest 0x40000, 4 second-stage ones at 0x20000 with 4 KiB
 * leaves; guest page G is at host G + 0x1000000. `low` adds to the PASID entry's first word.
 */
export function nested(
  low = 0n,
  third = 0n,
): { readonly tables: SlowTables; readonly entries: readonly bigint[] } {
  const tables = device(NESTED | (2n << 2n) | 0x20000n | low, 0x40000n | third)
  const at = (gpa: bigint): bigint => gpa + 0x1000000n
  const { address, guestTables, guestPage } = NESTED_PLACES
  for (const gpa of [...guestTables, guestPage]) {
    lay(tables, { top: 0x20000n, levels: 4, address: gpa, table: RW, leaf: at(gpa) | RW })
  }
  const path = { top: 0x40000n, levels: 4, address, table: USER, leaf: guestPage | USER, at }
  return { tables, entries: lay(tables, path) }
}

/** What a unit with CAPS answers SOURCE: a user's read of address 0 under PASID, unless told. */
export function ask(
  tables: SlowTables,
  request: Partial<SlowRequest>,
  caps: SlowCaps = CAPS,
): SlowAnswer {
  const plain = { sourceId: SOURCE, pasid: PASID, address: 0n, write: false, privileged: false }
  return slowTranslate(tables, ROOT, caps, { ...plain, ...request })
}
