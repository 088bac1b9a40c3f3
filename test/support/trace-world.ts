/**
 * What there is in a trace: devices, their context entries, PASID directories and entries, and the
 * page tables of both stages, written into the image as VT-d 9 lays them out. Tags follow VT-d
 * 6.2.3.1: whoever has the same DID and PASID has the very same entry; a DID of a second stage, or
 * of what is nested on it, is of no other.
 */
import type { UnitDevice } from '../../src/backend/emulator/request-path.js'
import type { UnitOptions } from '../../src/backend/emulator/unit-options.js'
import type { TraceImage } from './trace-image.js'
import type { Random } from './trace-random.js'
import type { Space } from './trace-tables.js'
import type { SlowCaps } from './slow-types.js'
import { makeFirst, makeSecond } from './trace-spaces.js'

/** Of an entry that leads to a table: NOWHERE is where no memory is. */
export type State = 'PRESENT' | 'ABSENT' | 'RESERVED' | 'NOWHERE'
export const ODD_STATES = ['ABSENT', 'RESERVED', 'NOWHERE'] as const

export interface Group {
  readonly frame: number
  /** FPD. */
  readonly silenced: boolean
  state: State
}

/** A PASID directory: groups of 64 entries. */
export interface Directory {
  readonly address: number
  readonly groups: Map<number, Group>
}

export interface Device extends UnitDevice {
  directory: Directory
  state: State
  /** PASIDE, FPD, RID_PASID, RID_PRIV. */
  pasids: boolean
  silenced: boolean
  rid: number
  ridPrivileged: boolean
}

export type EntryType = 'FIRST' | 'SECOND' | 'NESTED' | 'PASS'

/** One PASID entry, the same in each of the directories. */
export interface Entry {
  readonly pasid: number
  readonly directories: readonly Directory[]
  state: 'PRESENT' | 'ABSENT' | 'WRONG'
  type: EntryType
  domain: number
  first: Space | undefined
  second: Space | undefined
  silenced: boolean
  /** SRE, WPE, EAFE. */
  supervisor: boolean
  writeProtect: boolean
  extended: boolean
  /** A table pointer leads nowhere. */
  lost: boolean
  /** What a WRONG one has in its words. */
  spoil: ((words: bigint[]) => void) | undefined
}

export interface World {
  readonly random: Random
  readonly image: TraceImage
  readonly options: UnitOptions
  /** The same, for the slow model. */
  readonly caps: SlowCaps
  readonly root: number
  readonly contexts: Map<number, number>
  /** Root entries that are not as they should be, by their index. */
  readonly oddRoots: Map<number, State>
  readonly directorySize: number
  readonly devices: Device[]
  readonly entries: Entry[]
  readonly firsts: Space[]
  readonly seconds: Space[]
  readonly domains: readonly number[]
  /** Something is not as it should be, and this makes it good again: one at a time. */
  broken: (() => Change) | undefined
}

/** What software has changed, and the invalidations that it must make for it. */
export interface Change {
  readonly text: string
  readonly needs: readonly Need[]
}

/** An invalidation by its tags; what is undefined does not matter. */
export type Need =
  | {
      readonly cache: 'CONTEXT'
      readonly sourceId: number | undefined
      readonly functionMask: number
    }
  | {
      readonly cache: 'PASID'
      readonly domain: number | undefined
      readonly pasid: number | undefined
    }
  /** PASID-based. */
  | {
      readonly cache: 'PIOTLB'
      readonly domain: number
      readonly pasid: number
      readonly block: Block | undefined
      /** IH. */
      readonly leaf: boolean
    }
  | {
      readonly cache: 'IOTLB'
      readonly domain: number | undefined
      readonly block: Block | undefined
      readonly leaf: boolean
    }
  | {
      readonly cache: 'DEVICE_TLB'
      readonly device: Device
      /** 'ALL': of every PASID and without. */
      readonly pasid: number | 'ALL' | undefined
      readonly block: Block | undefined
    }

export interface Block {
  readonly first: number
  readonly order: number
}

/** Index of a device's root entry, a half of 8 bytes each. */
export function rootIndex(sourceId: number): number {
  return (sourceId >>> 8) * 2 + ((sourceId >>> 7) & 1)
}

export function writeRoot(world: World, index: number): void {
  const table = world.contexts.get(index)
  if (table === undefined) throw new Error('a root entry without context table')
  const state = world.oddRoots.get(index) ?? 'PRESENT'
  const at = state === 'NOWHERE' ? world.image.nowhere : table
  world.image.write(world.root + index * 8, BigInt(at + lowBits(state, 0b11)))
}

/** `reserved`: P, and a bit that must be 0. */
function lowBits(state: State, reserved: number): number {
  return state === 'ABSENT' ? 0 : state === 'RESERVED' ? reserved : 1
}

export function writeContext(world: World, device: Device): void {
  const { image, directorySize } = world
  const table = world.contexts.get(rootIndex(device.sourceId))
  if (table === undefined) throw new Error('a context entry without table')
  const at = table + (device.sourceId & 0x7f) * 32
  const { state, pasids, silenced, ats, rid, ridPrivileged } = device
  let low = (state === 'NOWHERE' ? image.nowhere : device.directory.address) + (directorySize << 9)
  low += lowBits(state, 0x21)
  if (silenced) low += 2
  if (ats) low += 4
  if (pasids) low += 8
  image.write(at, BigInt(low))
  image.write(at + 8, BigInt(rid + (ridPrivileged ? 2 ** 20 : 0)))
}

export function writeGroup(world: World, directory: Directory, index: number): void {
  const group = directory.groups.get(index)
  if (group === undefined) throw new Error('a directory entry without table')
  const { state, silenced } = group
  const at = state === 'NOWHERE' ? world.image.nowhere : group.frame
  const low = lowBits(state, 0b101) + (silenced ? 2 : 0)
  world.image.write(directory.address + index * 8, BigInt(at + low))
}

const PGTT = { FIRST: 1, SECOND: 2, NESTED: 3, PASS: 4 } as const

export function writeEntry(world: World, entry: Entry): void {
  const { image } = world
  const { type, first, second, state } = entry
  let low = PGTT[type] * 2 ** 6 + (state === 'ABSENT' ? 0 : 1) + (entry.silenced ? 2 : 0)
  if (second !== undefined) {
    low += (second.levels - 2) * 4 + (second.flags ? 2 ** 9 : 0)
    low += entry.lost && first === undefined ? image.nowhere : second.root.frame
  }
  let third = 0
  if (first !== undefined) {
    third += (entry.supervisor ? 1 : 0) + (entry.writeProtect ? 16 : 0) + (entry.extended ? 128 : 0)
    third += (first.levels - 4) * 4 + (entry.lost ? image.nowhere : first.root.name)
  }
  const words = [BigInt(low), BigInt(entry.domain), BigInt(third), 0n, 0n, 0n, 0n, 0n]
  if (state === 'WRONG') entry.spoil?.(words)
  for (const directory of entry.directories) {
    const group = directory.groups.get(entry.pasid >>> 6)
    if (group === undefined) throw new Error('an entry without table')
    const at = group.frame + (entry.pasid & 63) * 64
    for (const [i, word] of words.entries()) {
      if (image.read(at + i * 8) !== word) image.write(at + i * 8, word)
    }
  }
}

export function entryAt(
  world: World,
  directory: Directory,
  pasid: number | undefined,
): Entry | undefined {
  for (const entry of world.entries) {
    if (entry.pasid === pasid && entry.directories.includes(directory)) return entry
  }
  return undefined
}

/**
 * Domain ids that an entry of a type may have: of a first stage, of a second, of what is nested.
 */
export function domainsOf(world: World, type: EntryType, second: Space | undefined): number[] {
  const own = second === undefined ? 0 : 4 + 3 * world.seconds.indexOf(second)
  const at = { PASS: [0], FIRST: [1, 2, 3], SECOND: [own], NESTED: [own + 1, own + 2] }[type]
  return at.map((index) => world.domains[index] ?? 0)
}

/** Gives the entry another type, tables and domain; only where its tags are then its own. */
export function chooseTables(world: World, entry: Entry, type: EntryType): boolean {
  const { random } = world
  const second = type === 'SECOND' || type === 'NESTED' ? someSecond(world) : undefined
  const first = type === 'FIRST' || type === 'NESTED' ? someFirst(world, second) : undefined
  const domain = random.pick(domainsOf(world, type, second))
  const taken = world.entries.some((other) => {
    return other !== entry && other.pasid === entry.pasid && other.domain === domain
  })
  if (taken && type !== 'SECOND' && type !== 'PASS') return false
  Object.assign(entry, { type, domain, first, second })
  return true
}

function someSecond(world: World): Space {
  const { random, seconds } = world
  if (seconds.length === 2 || (seconds.length === 1 && random.percent(80)))
    return random.pick(seconds)
  const made = makeSecond(world)
  seconds.push(made)
  return made
}

/** Tables that makeFirst() makes, at most. */
const TABLES_OF_FIRST = 8

function someFirst(world: World, home: Space | undefined): Space {
  const { random, firsts } = world
  const same = firsts.filter((space) => space.home === home)
  const room = home === undefined || home.spare.length >= TABLES_OF_FIRST
  if (same.length === 2 || (same.length === 1 && (!room || random.percent(50)))) {
    return random.pick(same)
  }
  const made = makeFirst(world, home)
  firsts.push(made)
  return made
}

/** Types that a world has, more often than others where they are named more often. */
const SHAPES: readonly (readonly EntryType[])[] = [
  ['FIRST'],
  ['FIRST', 'FIRST', 'PASS'],
  ['SECOND', 'SECOND', 'PASS'],
  ['NESTED', 'NESTED', 'SECOND'],
  ['FIRST', 'SECOND', 'NESTED', 'PASS'],
]

/** The unit has large leaves in its second stage, always. */
const SECOND_STAGE_LEAVES = { secondStageLeaf2M: true, secondStageLeaf1G: true } as const

function capsOf(options: UnitOptions): SlowCaps {
  const { leaf1G, fiveLevels, supervisorRequests, extendedAccessed, hostAddressWidth } = options
  const own = { leaf1G, fiveLevels, supervisorRequests, extendedAccessed, hostAddressWidth }
  return { ...own, ...SECOND_STAGE_LEAVES }
}

export function makeWorld(random: Random, image: TraceImage, options: UnitOptions): World {
  const { hostAddressWidth } = options
  const top = 2 ** hostAddressWidth
  image.reset(random.pick([0, 0x100000, 2 ** 32, top / 2, top - 2 ** 24]))
  // The distance makes them share buckets of a cache.
  const [first, distance] = [1 + random.below(1000), random.pick([1, 8, 64, 256])]
  const domains = Array.from({ length: 10 }, (_, i) => first + i * distance)
  const world: World = {
    random,
    image,
    options,
    caps: capsOf(options),
    root: image.allocate('OTHER'),
    contexts: new Map(),
    oddRoots: new Map(),
    directorySize: random.below(3),
    devices: [],
    entries: [],
    firsts: [],
    seconds: [],
    domains,
    broken: undefined,
  }
  const high = 64 * (1 + random.below(2 ** (world.directorySize + 7) - 1)) + random.below(64)
  const pasids = [
    0,
    high,
    random.percent(50) ? high ^ (1 << random.below(6)) : 1 + random.below(63),
  ]
  makeDevices(world, pasids)
  const shape = random.pick(SHAPES)
  for (const pasid of pasids) makeEntries(world, pasid, shape)
  return world
}

function makeDevices(world: World, pasids: readonly number[]): void {
  const { random, image } = world
  const bus = random.below(256)
  const count = random.pick([1, 1, 2, 2, 3])
  for (let i = 0; i < count; i += 1) {
    const directory = { address: image.allocate('OTHER'), groups: new Map<number, Group>() }
    for (const pasid of pasids) {
      if (directory.groups.has(pasid >>> 6)) continue
      const silenced = random.percent(8)
      const frame = image.allocate('OTHER')
      directory.groups.set(pasid >>> 6, { frame, silenced, state: 'PRESENT' })
      writeGroup(world, directory, pasid >>> 6)
    }
    const device: Device = {
      name: `device ${i}`,
      sourceId: bus * 256 + ((random.below(32) * 8 + i * 0x48 + random.below(2)) & 0xff),
      ats: random.percent(65),
      tlb: undefined,
      directory,
      state: 'PRESENT',
      pasids: random.percent(95),
      silenced: random.percent(5),
      rid: random.percent(70) ? 0 : random.pick(pasids),
      ridPrivileged: world.options.supervisorRequests && random.percent(10),
    }
    if (world.devices.some(({ sourceId }) => sourceId === device.sourceId)) continue
    world.devices.push(device)
    const index = rootIndex(device.sourceId)
    if (!world.contexts.has(index)) {
      world.contexts.set(index, image.allocate('OTHER'))
      writeRoot(world, index)
    }
    writeContext(world, device)
  }
}

function makeEntries(world: World, pasid: number, shape: readonly EntryType[]): void {
  const { random, options } = world
  let left = world.devices.map(({ directory }) => directory)
  while (left.length > 0) {
    const shared = random.percent(50) ? left : left.slice(0, 1)
    left = left.slice(shared.length)
    const { supervisorRequests } = options
    const entry: Entry = {
      pasid,
      directories: shared,
      state: random.percent(93) ? 'PRESENT' : 'ABSENT',
      type: 'PASS',
      domain: world.domains[0] ?? 0,
      first: undefined,
      second: undefined,
      silenced: random.percent(5),
      supervisor: supervisorRequests && random.percent(60),
      writeProtect: supervisorRequests && random.percent(50),
      extended: options.extendedAccessed && random.percent(40),
      lost: false,
      spoil: undefined,
    }
    chooseTables(world, entry, random.pick(shape))
    world.entries.push(entry)
    writeEntry(world, entry)
  }
}

/** The pages that a request through the entry could ask for. */
export function pagesOf(entry: Entry): readonly number[] | undefined {
  return entry.first?.hot ?? entry.second?.hot
}
