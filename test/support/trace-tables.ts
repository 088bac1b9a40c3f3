/**
 * Page tables of a trace, as software keeps them: a tree of tables whose slots say what software
 * wrote there. One class for both stages; the bits are those of VT-d 9.7 and 9.8. Tables of a first
 * stage lie in guest pages of `home` where it has one, so that they can be moved about below it.
 */
import { PAGE, type TraceImage } from './trace-image.js'
import type { Random } from './trace-random.js'

export const BITS = {
  /** Present, of a second stage R; and the rights beside it. */
  FIRST: { present: 1, write: 2, user: 4, accessed: 0x20, dirty: 0x40, flags: 0x460 },
  SECOND: { present: 1, write: 2, user: 0, accessed: 0x100, dirty: 0x200, flags: 0x300 },
} as const
export type Stage = keyof typeof BITS
const LARGE = 0x80

export interface Slot {
  readonly table: Table
  readonly index: number
  /** Table below, also while the entry does not lead there. */
  child: Table | undefined
  /** Address field, with PAT of a large leaf. */
  output: number
  /** The lowest 12 bits without flags. 0 = nothing there. */
  bits: number
  /** Bits 63:52. */
  high: bigint
}

export interface Table {
  readonly level: number
  /** What entries call it: guest-physical where it lies in a guest. */
  readonly name: number
  /** Host-physical. */
  frame: number
  readonly slots: Map<number, Slot>
}

export interface Space {
  readonly stage: Stage
  readonly levels: number
  readonly image: TraceImage
  /** The second stage that the tables lie in. */
  readonly home: Space | undefined
  root: Table
  /** Pages worth asking for: mapped ones, and some beside them. */
  readonly hot: number[]
  /** SSADE. */
  readonly flags: boolean
  /** Of a second stage: guest pages that tables may be put in; and those that are data. */
  readonly spare: number[]
  readonly data: number[]
  /** Tables of first stages that lie in it, by guest page. */
  readonly guests: Map<number, { readonly space: Space; readonly table: Table }>
}

/** 2^order pages. */
const PAGES = Float64Array.from({ length: 53 }, (_, order) => 2 ** order)

export function pagesOfOrder(order: number): number {
  return PAGES[order] ?? 0
}

/** Of a page, in a table of that level. */
export function indexOf(page: number, level: number): number {
  return Math.floor(page / pagesOfOrder(9 * (level - 1))) % 512
}

export function orderOf(level: number): number {
  return 9 * (level - 1)
}

export function blockStart(page: number, order: number): number {
  const pages = pagesOfOrder(order)
  return Math.floor(page / pages) * pages
}

export function addressOf(slot: Slot): number {
  return slot.table.frame + slot.index * 8
}

export function isLeaf(slot: Slot): boolean {
  return slot.table.level === 1 || (slot.bits & LARGE) !== 0
}

/** Writes the slot's entry, with these flags. */
export function store(space: Space, slot: Slot, flags: number): void {
  const word = BigInt(slot.output + slot.bits + flags)
  space.image.write(addressOf(slot), slot.high === 0n ? word : word | slot.high)
}

/** Accessed and dirty flags that stand in the slot's entry. */
export function flagsOf(space: Space, slot: Slot): number {
  return space.image.low(addressOf(slot)) & BITS[space.stage].flags & ~slot.bits
}

/** A new table, in a guest page where the space has a home; undefined: there is none left. */
export function newTable(space: Space, level: number): Table | undefined {
  const frame = space.image.allocate(space.stage)
  if (space.home === undefined) return { level, name: frame, frame, slots: new Map() }
  const page = space.home.spare.pop()
  if (page === undefined) return undefined
  const table = { level, name: page * PAGE, frame, slots: new Map<number, Slot>() }
  map(space.home, page, { output: frame, bits: 3, level: 1 }, 0)
  space.home.guests.set(page, { space, table })
  return table
}

export function slotAt(table: Table, index: number): Slot {
  const known = table.slots.get(index)
  if (known !== undefined) return known
  const slot: Slot = { table, index, child: undefined, output: 0, bits: 0, high: 0n }
  table.slots.set(index, slot)
  return slot
}

/** Slots from the root on towards the page; the last one has no table below that it leads to. */
export function pathTo(space: Space, page: number): readonly Slot[] {
  const path: Slot[] = []
  let table: Table | undefined = space.root
  while (table !== undefined) {
    const slot: Slot = slotAt(table, indexOf(page, table.level))
    path.push(slot)
    table = slot.child
  }
  return path
}

/** Makes a slot lead to a table. */
export function link(space: Space, slot: Slot, child: Table, bits: number): void {
  slot.child = child
  slot.output = child.name
  slot.bits = bits
  slot.high = 0n
  store(space, slot, 0)
}

/** Maps a page with a leaf of a level, making the tables that it needs. */
export function map(
  space: Space,
  page: number,
  leaf: {
    readonly output: number
    readonly bits: number
    readonly level: number
    readonly high?: bigint
  },
  flags: number,
): Slot {
  const rights = space.stage === 'FIRST' ? 7 : 3
  let table = space.root
  while (table.level > leaf.level) {
    const slot = slotAt(table, indexOf(page, table.level))
    if (slot.child === undefined) {
      const child = newTable(space, table.level - 1)
      if (child === undefined) throw new Error('the guest has no page left for a table')
      link(space, slot, child, rights)
    }
    table = slot.child ?? table
  }
  const slot = slotAt(table, indexOf(page, leaf.level))
  slot.output = leaf.output
  slot.high = leaf.high ?? 0n
  slot.bits = leaf.level > 1 ? leaf.bits | LARGE : leaf.bits
  store(space, slot, flags)
  return slot
}

/** Rights of a leaf or table that software gives: mostly all of them. */
export function someRights(random: Random, stage: Stage, plain: number): number {
  const all = stage === 'FIRST' ? 7 : 3
  if (random.percent(plain)) return all
  if (stage === 'FIRST') return random.pick([5, 3, 1, 5])
  return random.pick([1, 1, 2])
}

/** Flags that software may write with an entry. */
export function someFlags(random: Random, stage: Stage): number {
  const { accessed, dirty } = BITS[stage]
  return random.pick([0, 0, 0, accessed, accessed | dirty])
}

/** A page of the physical address space where nothing special is, for a leaf of an order. */
export function somePage(random: Random, bits: number, order: number): number {
  const page = blockStart(random.bits(bits), order)
  return page < 2 ** 20 && page + 2 ** order > 0xfee00 ? blockStart(2 ** 21, order) : page
}
