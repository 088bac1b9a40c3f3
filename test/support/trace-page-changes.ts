/**
 * How software changes page tables in a trace: leaves and tables, of both stages, on the way of a
 * page. What needs no invalidation changes the entry without a touch of its flags; what needs one
 * may write them as it likes.
 */
import { firstStageNeeds, secondStageNeeds } from './trace-needs.js'
import { PAGE } from './trace-image.js'
import { chooseOutput } from './trace-spaces.js'
import {
  addressOf,
  BITS,
  blockStart,
  flagsOf,
  isLeaf,
  link,
  newTable,
  orderOf,
  pathTo,
  slotAt,
  someFlags,
  someRights,
  store,
  type Slot,
  type Space,
  type Table,
} from './trace-tables.js'
import type { Block, Change, World } from './trace-world.js'

const LARGE = 0x80

interface Target {
  readonly world: World
  readonly space: Space
  readonly page: number
  readonly slot: Slot
  /** The pages that the slot is for. */
  readonly block: Block
}

/** What was done, and whether it needs invalidations: of leaves only, or of tables too. */
interface Done {
  readonly text: string
  readonly needs: 'NONE' | 'LEAF' | 'ALL'
  /** Other than the slot's own pages. */
  readonly block?: Block
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}

/** Changes something on the way of the page. Nothing on it is broken. */
export function changePages(world: World, space: Space, page: number): Change | undefined {
  const { random } = world
  const path = pathTo(space, page)
  const last = path.length - 1
  const at = random.percent(60) ? last : random.below(path.length)
  const slot = path[at]
  if (slot === undefined) return undefined
  const order = orderOf(slot.table.level)
  const target = { world, space, page, slot, block: { first: blockStart(page, order), order } }
  const done = isThere(slot)
    ? slot.child !== undefined && !isLeaf(slot)
      ? changeTable(target)
      : changeLeaf(target)
    : fillIn(target)
  return done === undefined ? undefined : finish(target, done)
}

function finish(target: Target, done: Done): Change {
  const { world, space, slot, block } = target
  const name = `${space.stage} level ${slot.table.level} entry at ${hex(addressOf(slot))}`
  const of = done.block ?? block
  const pages = `${hex(of.first)}000 order ${of.order}`
  const text = `${name} for ${pages}: ${done.text} (now ${hex(slot.output + slot.bits)})`
  if (done.needs === 'NONE') return { text, needs: [] }
  const leaf = done.needs === 'LEAF' && mayHint(target)
  const needsOf = space.stage === 'FIRST' ? firstStageNeeds : secondStageNeeds
  return { text, needs: needsOf(world, space, of, leaf) }
}

/** Where a table of a first stage lies in the page, paging structures of that stage are changed. */
function mayHint({ space, slot, block }: Target): boolean {
  if (space.stage === 'FIRST' || !isLeaf(slot)) return true
  for (const page of space.guests.keys()) {
    if (blockStart(page, block.order) === block.first) return false
  }
  return true
}

function isThere(slot: Slot): boolean {
  return (slot.bits & 3) !== 0
}

/** An entry that is not there: a leaf, or the table that it once led to. */
function fillIn(target: Target): Done | undefined {
  const { world, space, slot } = target
  const { random } = world
  if (slot.child !== undefined) {
    link(space, slot, slot.child, someRights(random, space.stage, 90))
    return { text: 'leads to its table again', needs: 'NONE' }
  }
  if (slot.table.level > 1) return undefined
  const guest = space.guests.get(target.page)
  slot.output = guest?.table.frame ?? chooseOutput(world, space, 1).output
  slot.bits = someRights(random, space.stage, 85)
  slot.high = 0n
  store(space, slot, someFlags(random, space.stage))
  return { text: 'maps a page', needs: 'NONE' }
}

/** Rights that are taken, given, or a bit that must be 0. */
function changeBits(target: Target, leaf: boolean): Done | undefined {
  const { world, space, slot } = target
  const { random } = world
  const bits = BITS[space.stage]
  const needs = leaf ? 'LEAF' : 'ALL'
  const flags = flagsOf(space, slot)
  const had = slot.bits
  const right = random.pick(space.stage === 'FIRST' ? [bits.write, bits.user] : [1, 2])
  switch (random.below(4)) {
    case 0:
      slot.bits = had & ~right
      if (slot.bits === had) return undefined
      store(space, slot, random.percent(50) ? flags : 0)
      return { text: `loses right ${right}`, needs }
    case 1:
      slot.bits = had | right
      if (slot.bits === had) return undefined
      store(space, slot, flags)
      return { text: `is given right ${right}`, needs: 'NONE' }
    case 2:
      store(space, slot, flags & ~bits.accessed)
      // Lost without an invalidation, which is no harm, unless it may not be set again.
      return {
        text: 'its accessed flag is cleared',
        needs: space.home === undefined ? 'NONE' : needs,
      }
    default:
      return spoilBits(target, leaf)
  }
}

function spoilBits(target: Target, leaf: boolean): Done | undefined {
  const { world, space, slot } = target
  const { hostAddressWidth } = world.options
  const had = { high: slot.high, output: slot.output }
  const wide = hostAddressWidth < 52
  if (wide && world.random.percent(60)) {
    slot.output += 2 ** (hostAddressWidth + world.random.below(52 - hostAddressWidth))
  } else if (space.stage === 'SECOND') slot.high |= world.random.pick([1n << 62n, 1n << 11n])
  else if (leaf && slot.table.level > 1) slot.output += 2 * PAGE
  else return undefined
  store(space, slot, flagsOf(space, slot))
  world.broken = () => {
    Object.assign(slot, had)
    store(space, slot, flagsOf(space, slot))
    const where = hex(addressOf(slot))
    return { text: `${space.stage} entry at ${where}: its reserved bit is cleared`, needs: [] }
  }
  return { text: 'a reserved bit of it is set', needs: leaf ? 'LEAF' : 'ALL' }
}

/** A slot of a second stage behind which a table of a first one lies. */
function isGuestTable({ space, page, slot }: Target): boolean {
  return slot.table.level === 1 && space.guests.has(page)
}

function changeLeaf(target: Target): Done | undefined {
  const { world, space, slot } = target
  const { random } = world
  const bits = BITS[space.stage]
  const kind = random.below(10)
  if (kind < 3) return isGuestTable(target) ? moveTable(target) : remap(target)
  if (kind === 3) {
    slot.bits &= ~3
    store(space, slot, random.percent(50) ? flagsOf(space, slot) : 0)
    return { text: 'unmaps it', needs: 'LEAF' }
  }
  if (kind === 4) return splitLeaf(target)
  if (kind === 5 && slot.table.level === 1) return changeRun(target)
  if (kind <= 7) {
    const flags = flagsOf(space, slot)
    if ((flags & bits.dirty) === 0) return undefined
    store(space, slot, flags & ~(bits.dirty | (random.percent(50) ? bits.accessed : 0)))
    return { text: 'its dirty flag is cleared', needs: 'LEAF' }
  }
  return changeBits(target, true)
}

function remap({ world, space, slot }: Target): Done {
  const { random } = world
  slot.output = chooseOutput(world, space, slot.table.level).output
  slot.bits = someRights(random, space.stage, 85) | (slot.bits & LARGE)
  store(space, slot, someFlags(random, space.stage))
  return { text: 'maps another page', needs: 'LEAF' }
}

/** Several small pages next to each other at once. */
function changeRun(target: Target): Done | undefined {
  const { world, space, page } = target
  const { random } = world
  const order = 1 + random.below(3)
  const first = blockStart(page, order)
  const remaps = random.percent(50)
  for (let i = 0; i < 2 ** order; i += 1) {
    const slot = slotAt(target.slot.table, (first + i) % 512)
    const each = { ...target, slot, page: first + i }
    if (!isThere(slot) || isGuestTable(each)) continue
    if (remaps) remap(each)
    else {
      slot.bits &= ~3
      store(space, slot, 0)
    }
  }
  const text = remaps ? 'and its neighbours map others' : 'and its neighbours are unmapped'
  return { text, needs: 'LEAF', block: { first, order } }
}

/** Puts the table of a first stage somewhere else, where one page that it maps is another. */
function moveTable({ world, space, page, slot }: Target): Done | undefined {
  const { random, image } = world
  const guest = space.guests.get(page)
  if (guest === undefined) return undefined
  const { table } = guest
  const frame = image.allocate('FIRST')
  for (const { index } of table.slots.values()) {
    image.write(frame + index * 8, image.read(table.frame + index * 8) ?? 0n)
  }
  table.frame = frame
  slot.output = frame
  store(space, slot, random.percent(50) ? flagsOf(space, slot) : 0)
  if (table.level === 1 && random.percent(80)) {
    for (const inner of table.slots.values()) {
      if (!isThere(inner)) continue
      inner.output = chooseOutput(world, guest.space, 1).output
      store(guest.space, inner, 0)
    }
  }
  return { text: `moves a first-stage table of level ${table.level}`, needs: 'LEAF' }
}

/** A large leaf becomes a table, of which the page keeps its place or gets another. */
function splitLeaf({ world, space, page, slot }: Target): Done | undefined {
  const { level } = slot.table
  if (level === 1) return undefined
  const child = newTable(space, level - 1)
  if (child === undefined) return undefined
  const order = orderOf(level - 1)
  const inner = slotAt(child, Math.floor(page / 2 ** order) % 512)
  const kept = blockStart(slot.output / PAGE, orderOf(level)) + (page % 2 ** orderOf(level))
  const other = chooseOutput(world, space, level - 1).output
  inner.output = world.random.percent(50) ? blockStart(kept, order) * PAGE : other
  inner.bits = someRights(world.random, space.stage, 80) | (level > 2 ? LARGE : 0)
  store(space, inner, 0)
  link(space, slot, child, someRights(world.random, space.stage, 95))
  return { text: 'is split', needs: 'ALL' }
}

function changeTable(target: Target): Done | undefined {
  const { world, space, slot } = target
  const kind = world.random.below(10)
  if (kind < 5) return replaceTable(target)
  if (kind === 5) {
    slot.bits = 0
    store(space, slot, 0)
    return { text: 'leads nowhere', needs: 'ALL' }
  }
  if (kind === 6) return loseTable(target)
  if (kind === 7) return mergeTable(target)
  return changeBits(target, false)
}

/** Another table with the same below it, but for leaves, of which some are others. */
function replaceTable({ world, space, slot }: Target): Done | undefined {
  const { random } = world
  const old = slot.child
  if (old === undefined) return undefined
  const table = newTable(space, old.level)
  if (table === undefined) return undefined
  const change = random.percent(80)
  for (const each of old.slots.values()) copySlot(world, { space, from: each, change }, table)
  link(space, slot, table, someRights(random, space.stage, 90))
  return { text: 'leads to another table', needs: 'ALL' }
}

function copySlot(
  world: World,
  what: { readonly space: Space; readonly from: Slot; readonly change: boolean },
  table: Table,
): void {
  const { space, from, change } = what
  const { index, child, output, bits, high } = from
  const slot: Slot = { table, index, child, output, bits, high }
  table.slots.set(index, slot)
  const free = isLeaf(slot) && isThere(slot) && !leadsToGuestTable(space, slot)
  if (change && free && world.random.percent(70)) {
    slot.output = chooseOutput(world, space, table.level).output
  }
  store(space, slot, world.random.percent(50) ? flagsOf(space, from) & ~slot.bits : 0)
}

function leadsToGuestTable(space: Space, slot: Slot): boolean {
  for (const { table } of space.guests.values()) if (table.frame === slot.output) return true
  return false
}

/** The entry leads to where no memory is. */
function loseTable({ world, space, slot, block }: Target): Done | undefined {
  const { image } = world
  if (space.home !== undefined) return undefined
  const { child } = slot
  if (child === undefined) return undefined
  slot.output = image.nowhere
  store(space, slot, flagsOf(space, slot))
  world.broken = () => {
    slot.output = child.name
    store(space, slot, flagsOf(space, slot))
    const text = `${space.stage} entry at ${hex(addressOf(slot))} leads to its table again`
    const needsOf = space.stage === 'FIRST' ? firstStageNeeds : secondStageNeeds
    return { text, needs: needsOf(world, space, block, false) }
  }
  return { text: 'leads to where no memory is', needs: 'ALL' }
}

/** A table becomes one large leaf. */
function mergeTable(target: Target): Done | undefined {
  const { world, space, slot } = target
  const { level } = slot.table
  const largest = space.stage === 'SECOND' || world.options.leaf1G ? 3 : 2
  if (level > largest || hasGuestTables(target)) return undefined
  slot.child = undefined
  slot.output = chooseOutput(world, space, level).output
  slot.bits = someRights(world.random, space.stage, 85) | LARGE
  store(space, slot, someFlags(world.random, space.stage))
  return { text: 'becomes a large leaf', needs: 'ALL' }
}

function hasGuestTables({ space, block }: Target): boolean {
  for (const page of [...space.guests.keys(), ...space.spare]) {
    if (blockStart(page, block.order) === block.first) return true
  }
  return false
}
