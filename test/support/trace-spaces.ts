/**
 * How the page tables of a trace look at first: a few small pages next to each other, one leaf of
 * 2 MiB and one of 1 GiB beside them, and a second lowest table in a first stage; some pages that
 * are not mapped. A first stage that lies in a second maps guest pages that the second one has.
 */
import type { UnitOptions } from '../../src/backend/emulator/unit-options.js'
import { PAGE, type TraceImage } from './trace-image.js'
import type { Random } from './trace-random.js'
import {
  blockStart,
  map,
  newTable,
  orderOf,
  pagesOfOrder,
  someFlags,
  somePage,
  someRights,
  type Slot,
  type Space,
  type Stage,
} from './trace-tables.js'

/** Pages of a guest that tables may lie in, and data pages after them: mapped, and not. */
const TABLE_PAGES = 20
const DATA_MAPPED = 10
const DATA_PAGES = 12

interface Maker {
  readonly random: Random
  readonly image: TraceImage
  readonly options: UnitOptions
}

function emptySpace(
  { image, random }: Maker,
  stage: Stage,
  levels: number,
  home: Space | undefined,
): Space {
  const root = { level: levels, name: 0, frame: 0, slots: new Map<number, Slot>() }
  const space: Space = {
    stage,
    levels,
    image,
    home,
    root,
    hot: [],
    flags: stage === 'SECOND' && random.percent(60),
    spare: [],
    data: [],
    guests: new Map(),
  }
  if (home === undefined) {
    const frame = image.allocate(stage)
    space.root = { ...root, name: frame, frame }
  }
  return space
}

/** The block beside the page's own, in the same table. */
function beside(page: number, order: number): number {
  const first = blockStart(page, order)
  return (first / 2 ** order) % 2 === 0 ? first + 2 ** order : first - 2 ** order
}

export function makeSecond(maker: Maker): Space {
  const { random, options } = maker
  const levels = random.pick([3, 4, 4, 5])
  const space = emptySpace(maker, 'SECOND', levels, undefined)
  const bits = Math.min(9 * levels, options.hostAddressWidth - 12)
  const base = blockStart(random.bits(bits), 5)
  for (let i = TABLE_PAGES - 1; i >= 0; i -= 1) space.spare.push(base + i)
  const first = base + TABLE_PAGES
  for (let i = 0; i < DATA_PAGES; i += 1) {
    space.data.push(first + i)
    if (i < DATA_MAPPED) mapLeaf(maker, space, first + i, 1)
  }
  space.hot.push(first, first + 1, first + 2, first + 3, first + DATA_MAPPED)
  for (const level of [2, 3]) {
    const block = beside(base, orderOf(level))
    mapLeaf(maker, space, block, level)
    const page = block + random.bits(orderOf(level))
    space.data.push(page)
    space.hot.push(page)
  }
  return space
}

export function makeFirst(maker: Maker, home: Space | undefined): Space {
  const { random, options } = maker
  const levels = options.fiveLevels && random.percent(35) ? 5 : 4
  const space = emptySpace(maker, 'FIRST', levels, home)
  if (home !== undefined) {
    const root = newTable(space, levels)
    if (root === undefined) throw new Error('the guest has no page for a root')
    space.root = root
  }
  const bits = 9 * levels
  const low = blockStart(random.bits(bits), 3)
  const base = low >= 2 ** (bits - 1) ? low + 2 ** 52 - 2 ** bits : low
  for (let i = 0; i < 6; i += 1) mapLeaf(maker, space, base + i, 1)
  space.hot.push(base, base + 1, base + 2, base + 3, base + 6)
  for (const level of options.leaf1G ? [2, 3] : [2]) {
    const block = beside(base, orderOf(level))
    const offset = mapLeaf(maker, space, block, level)
    space.hot.push(block + offset)
  }
  const other = beside(base, 10) + (base % 512)
  mapLeaf(maker, space, other, 1)
  space.hot.push(other)
  return space
}

/** What a leaf of the space may lead to, and a page in it that exists where it leads. */
export function chooseOutput(
  { random, options }: Maker,
  space: Space,
  level: number,
): { readonly output: number; readonly offset: number } {
  const order = orderOf(level)
  if (space.home !== undefined) {
    const page = random.pick(space.home.data)
    const first = blockStart(page, order)
    return { output: first * PAGE + pat(random, space, level), offset: page - first }
  }
  // Now and then into the interrupt range, or around it.
  const special = random.percent(3)
  const page = special
    ? blockStart(0xfee00 + random.below(256), order)
    : somePage(random, options.hostAddressWidth - 12, order)
  const offset =
    special && level > 1 ? 0xfee00 - page + random.below(512) : random.below(pagesOfOrder(order))
  return { output: page * PAGE + pat(random, space, level), offset: offset % 2 ** order }
}

/** Bit 12 of a large leaf of a first stage is no address. */
function pat(random: Random, { stage }: Space, level: number): number {
  return stage === 'FIRST' && level > 1 && random.percent(15) ? PAGE : 0
}

function mapLeaf(maker: Maker, space: Space, page: number, level: number): number {
  const { random } = maker
  const { output, offset } = chooseOutput(maker, space, level)
  const bits = someRights(random, space.stage, 85)
  const flags = someFlags(random, space.stage)
  // XD, which a unit without execute requests ignores, and a bit that software may use.
  const high = random.percent(4) ? (space.stage === 'FIRST' ? 1n << 63n : 1n << 52n) : 0n
  map(space, page, { output, bits, level, high }, flags)
  return offset
}
