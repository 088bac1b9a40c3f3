/**
 * A small world of remapping tables for tests of a unit: two devices, a few PASIDs, first and
 * second stages, all in one image of memory. Every word that matters has a few values that it may
 * have; a change gives one of them another. The copies of the guest's memory differ, so that it
 * shows which way a request went. Random by a seed, and the same again with the same seed.
 */

import { SparseMemory } from '../../src/backend/emulator/memory.js'
import type { Access, UnitDevice } from '../../src/backend/emulator/request-path.js'
import type { VtdDescriptor } from '../../src/uapi/vtd-descriptor.js'

export type Random = (below: number) => number

export function lcg(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

export function pick<T>(random: Random, list: readonly T[]): T {
  const found = list[random(list.length)]
  if (found === undefined) throw new Error('an empty list')
  return found
}

const PAGE = 4096
export const ROOT = 0x40 * PAGE
const CONTEXTS = 0x41 * PAGE
const DIRECTORIES = [0x42 * PAGE, 0x43 * PAGE]
const PASID_TABLES = [0x44 * PAGE, 0x45 * PAGE]
/** Top, then two tables of each lower level. */
const SECOND_STAGES = [0x50, 0x60]
/** Where the guest's memory is, once as it is (for a first stage alone) and three times mapped. */
const COPIES = [0, 0x200, 0x400, 0x600]
/** Guest-physical pages of the first stage: the top, then two tables of each lower level. */
const TOP = 8
const SOURCES = [0x100, 0x101]
export const DOMAINS = [2, 3] as const
export const PASIDS = [0, 1, 2] as const

/** A place of one or several words, and what may be there. */
interface Slot {
  readonly address: number
  readonly values: readonly (readonly bigint[])[]
}

function bigint(page: number): bigint {
  return BigInt(page) << 12n
}

function contextSlots(): readonly Slot[] {
  const root = { address: ROOT + 16, values: [[BigInt(CONTEXTS) | 1n], [0n]] }
  const [first = 0n, second = 0n] = DIRECTORIES.map(BigInt)
  const contexts = SOURCES.map((source) => {
    const address = CONTEXTS + (source & 0x7f) * 32
    // P, DTE, PASIDE; FPD; without DTE; without PASIDE; another directory; RID_PASID 2; nothing.
    const values = [
      [first | 13n, 0n],
      [first | 15n, 0n],
      [first | 9n, 0n],
      [first | 5n, 0n],
      [second | 13n, 0n],
      [first | 13n, 2n],
      [first | 12n, 0n],
    ]
    return { address, values }
  })
  const tables = PASID_TABLES.map((table) => [BigInt(table) | 1n])
  const directories = DIRECTORIES.map((address) => ({ address, values: [...tables, [0n], [2n]] }))
  return [root, ...contexts, ...directories]
}

/** PASID entries, by their first three words; the rest is 0. */
function pasidValues(domains: readonly number[]): readonly (readonly bigint[])[] {
  const [four = 0, three = 0] = SECOND_STAGES
  const second = [bigint(four) | (2n << 2n), bigint(three) | (1n << 2n)]
  const values: (readonly bigint[])[] = [[0n, 0n, 0n]]
  for (const domain of domains.map(BigInt)) {
    for (const stage of second) {
      for (const dirty of [0n, 1n << 9n]) {
        values.push([stage | dirty | (3n << 6n) | 1n, domain, bigint(TOP)])
        values.push([stage | dirty | (2n << 6n) | 1n, domain, 0n])
      }
    }
    values.push([(second[0] ?? 0n) | (3n << 6n) | 3n, domain, bigint(TOP) | 1n])
    values.push([(1n << 6n) | 1n, domain, bigint(TOP)])
    values.push([(4n << 6n) | 1n, domain, 0n])
  }
  return values
}

/** Entries of a second stage's tables; level 1 is the last. */
function secondStageSlots(base: number, levels: number): readonly Slot[] {
  const slots: Slot[] = []
  for (let level = levels; level > 1; level -= 1) {
    const below = tablesOf(base, levels, level - 1)
    const values = [...below.map((page) => [bigint(page) | 3n]), [0n]]
    values.push([bigint(below[0] ?? 0) | 1n])
    if (level === 2) values.push([bigint(0x400) | 0x83n], [bigint(0x600) | 0x81n])
    for (const table of tablesOf(base, levels, level)) {
      slots.push({ address: table * PAGE, values })
    }
  }
  for (const table of tablesOf(base, levels, 1)) {
    for (let page = 0; page < 24; page += 1) {
      const leaves = COPIES.slice(1).map((copy) => [bigint(copy + page) | 3n])
      const values = [...leaves, ...leaves, [bigint(0x200 + page) | 1n], [0n]]
      slots.push({ address: table * PAGE + page * 8, values })
    }
  }
  return slots
}

function tablesOf(base: number, levels: number, level: number): readonly number[] {
  if (level === levels) return [base]
  const first = base + 1 + (levels - 1 - level) * 2
  return [first, first + 1]
}

/** A first stage of 4 levels in one copy of the guest's memory. */
function firstStageSlots(copy: number): readonly Slot[] {
  const slots: Slot[] = []
  for (let level = 4; level > 1; level -= 1) {
    const below = tablesOf(TOP, 4, level - 1)
    const values = [...below.map((page) => [bigint(page) | 7n]), [0n]]
    values.push([bigint(below[0] ?? 0) | 5n], [bigint(below[1] ?? 0) | 3n])
    // Guest pages 0..511, as one leaf.
    if (level === 2) values.push([0x87n])
    for (const table of tablesOf(TOP, 4, level)) {
      slots.push({ address: (copy + table) * PAGE, values })
    }
  }
  for (const table of tablesOf(TOP, 4, 1)) {
    for (let page = 0; page < 4; page += 1) {
      const values = [16, 17, 18].flatMap((frame) => [
        [bigint(frame) | 7n],
        [bigint(frame) | 5n],
        [bigint(frame) | 3n],
      ])
      slots.push({ address: (copy + table) * PAGE + page * 8, values: [...values, [0n]] })
    }
  }
  return slots
}

export class World {
  readonly memory = new SparseMemory(2 ** 30)
  readonly devices: readonly UnitDevice[]
  readonly #random: Random
  readonly #slots: readonly Slot[]

  /**
   * `tagged`: each PASID entry has a domain of its own, so that no tag stands for two tables (VT-d
   * 6.2.3.1). Else two domains are shared as it happens.
   */
  constructor(random: Random, tagged: boolean) {
    this.#random = random
    const names = ['a', 'b']
    this.devices = SOURCES.map((sourceId, i) => {
      return { name: names[i] ?? '', sourceId, ats: i === 0, tlb: undefined }
    })
    const entries = PASID_TABLES.flatMap((table, i) => {
      return PASIDS.map((pasid) => {
        const values = pasidValues(tagged ? [2 + 3 * i + pasid] : DOMAINS)
        return { address: table + pasid * 64, values }
      })
    })
    const [four = 0, three = 0] = SECOND_STAGES
    this.#slots = [
      ...contextSlots(),
      ...entries,
      ...secondStageSlots(four, 4),
      ...secondStageSlots(three, 3),
      ...COPIES.flatMap(firstStageSlots),
    ]
    for (const slot of this.#slots) this.#put(slot, random(4) === 0 ? this.#some(slot) : 0)
    // So that most requests go somewhere.
    for (const slot of entries) this.#put(slot, 1 + random(slot.values.length - 1))
  }

  change(): void {
    const slot = pick(this.#random, this.#slots)
    this.#put(slot, this.#some(slot))
  }

  access(): { readonly device: UnitDevice; readonly access: Access } {
    const random = this.#random
    const page = random(3) === 0 ? random(24) : random(4)
    const pasid = pick(random, PASIDS)
    const access = {
      pasid: pasid === 0 ? undefined : pasid,
      address: BigInt(page * PAGE + random(512) * 8),
      write: random(2) === 0,
      privileged: random(8) === 0,
    }
    return { device: pick(random, this.devices), access }
  }

  /** Any that there is, narrow or wide. */
  invalidation(): VtdDescriptor {
    const random = this.#random
    const domain = pick(random, DOMAINS)
    const pasid = pick(random, PASIDS)
    const order = pick(random, [0, 0, 1, 9])
    const page = Math.floor(random(24) / 2 ** order) * 2 ** order
    const block = { address: BigInt(page * PAGE), order }
    const leaf = random(2) === 0
    const sourceId = pick(random, SOURCES)
    return pick<() => VtdDescriptor>(random, [
      () => ({ kind: 'CONTEXT', granularity: 'DEVICE', domain: 0, sourceId, functionMask: 0 }),
      () => ({ kind: 'PASID_CACHE', granularity: 'PASID', domain, pasid }),
      () => ({ kind: 'PASID_CACHE', granularity: 'DOMAIN', domain, pasid: 0 }),
      () => ({ kind: 'PIOTLB', granularity: 'PASID', domain, pasid, block: undefined, leaf }),
      () => ({ kind: 'PIOTLB', granularity: 'PAGE', domain, pasid, block, leaf }),
      () => ({ kind: 'PIOTLB', granularity: 'PAGE', domain, pasid, block, leaf }),
      () => ({ kind: 'IOTLB', granularity: 'DOMAIN', domain, block: undefined, leaf }),
      () => ({ kind: 'IOTLB', granularity: 'PAGE', domain, block, leaf }),
      () => ({ kind: 'DEVICE_TLB', sourceId, block }),
      () => ({ kind: 'PASID_DEVICE_TLB', sourceId, pasid, global: false, block }),
      () => ({ kind: 'PASID_DEVICE_TLB', sourceId, pasid, global: false, block: undefined }),
    ])()
  }

  /** All that there may be to invalidate. */
  everything(): readonly VtdDescriptor[] {
    return [
      { kind: 'CONTEXT', granularity: 'GLOBAL', domain: 0, sourceId: 0, functionMask: 0 },
      { kind: 'PASID_CACHE', granularity: 'GLOBAL', domain: 0, pasid: 0 },
      { kind: 'IOTLB', granularity: 'GLOBAL', domain: 0, block: undefined, leaf: false },
      ...SOURCES.map((sourceId) => {
        const all = { pasid: 0, global: true, block: undefined }
        return { kind: 'PASID_DEVICE_TLB', sourceId, ...all } as const
      }),
    ]
  }

  #some({ values }: Slot): number {
    return this.#random(values.length)
  }

  #put({ address, values }: Slot, which: number): void {
    for (const [i, value] of (values[which] ?? []).entries()) {
      this.memory.write(address + i * 8, value)
    }
  }
}
