/**
 * PasidBitmap against a row of booleans that knows no words, levels or orders: after the same calls
 * both give the same answers. The long run has a seed of its own, printed in the name of each test
 * (SEED=n replays or varies it); the short one shrinks what it finds, by fast-check.
 */

import process from 'node:process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PasidBitmap } from '../../src/core/bitmap.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)
const ORDERS = Array.from({ length: 13 }, (_, order) => order)

class NaiveMap {
  readonly free: boolean[]

  constructor(readonly size: number) {
    this.free = Array.from({ length: size }, () => true)
  }

  all(first: number, count: number, free: boolean): boolean {
    for (let at = first; at < first + count; at += 1) if (this.free[at] !== free) return false
    return true
  }

  set(first: number, count: number, free: boolean): void {
    for (let at = first; at < first + count; at += 1) this.free[at] = free
  }

  nextFree(first: number, last: number): number | undefined {
    for (let at = first; at <= last; at += 1) if (this.free[at] === true) return at
    return undefined
  }

  nextFreeBlock(order: number, first: number, last: number): number | undefined {
    const length = 2 ** order
    for (let at = Math.ceil(first / length) * length; at + length - 1 <= last; at += length) {
      if (this.all(at, length, true)) return at
    }
    return undefined
  }

  countFree(first: number, last: number): number {
    let count = 0
    for (let at = first; at <= last; at += 1) if (this.free[at] === true) count += 1
    return count
  }

  largestFreeOrder(): number | undefined {
    const orders = ORDERS.filter((n) => this.nextFreeBlock(n, 0, this.size - 1) !== undefined)
    return orders.at(-1)
  }
}

/** xorshift32: small, seeded, good enough to wander with. */
function randomFrom(seed: number): (below: number) => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Hops from answer to answer: each free number and block is named by the search, and no other. */
function everyBlock(
  map: { nextFreeBlock: PasidBitmap['nextFreeBlock'] },
  order: number,
  size: number,
) {
  const found: number[] = []
  for (let at = 0; at < size; ) {
    const block = map.nextFreeBlock(order, at, size - 1)
    if (block === undefined) break
    found.push(block)
    at = block + 2 ** order
  }
  return found
}

/**
 * What the levels above say is what the words say, asked through the door alone. A level that
 * claims too little hides a number or block; one that claims too much leads to an empty word.
 */
function expectConsistent(map: PasidBitmap, naive: NaiveMap): void {
  const size = map.size
  const free = naive.free.flatMap((isFree, at) => (isFree ? [at] : []))
  const hops: number[] = []
  for (let at = map.nextFree(0, size - 1); at !== undefined; ) {
    hops.push(at)
    at = map.nextFree(at + 1, size - 1)
  }
  expect(hops).toEqual(free)
  expect(map.freeCount).toBe(free.length)
  expect(map.countFree(0, size - 1)).toBe(free.length)
  expect(map.largestFreeOrder()).toBe(naive.largestFreeOrder())
  for (const order of ORDERS) {
    expect(everyBlock(map, order, size), `order ${order}`).toEqual(everyBlock(naive, order, size))
  }
  for (let at = 0; at < size; at += 1) {
    if (map.isFree(at) !== naive.free[at]) expect.fail(`isFree(${at}) is ${map.isFree(at)}`)
  }
}

interface Pair {
  readonly map: PasidBitmap
  readonly naive: NaiveMap
}

function change({ map, naive }: Pair, first: number, count: number, free: boolean): void {
  if (!naive.all(first, count, !free)) return
  if (count === 1 && free) map.vacate(first)
  else if (count === 1) map.occupy(first)
  else if (free) map.vacateRange(first, count)
  else map.occupyRange(first, count)
  naive.set(first, count, free)
}

/** A question of each kind about one range; compared by hand, as `expect` is slow in a long run. */
function compare(
  { map, naive }: Pair,
  first: number,
  last: number,
  orders: readonly number[],
): void {
  const range = `${first}..${last} of ${map.size}`
  const answers: [string, number | undefined, number | undefined][] = [
    ['nextFree', map.nextFree(first, last), naive.nextFree(first, last)],
    ['countFree', map.countFree(first, last), naive.countFree(first, last)],
  ]
  for (const order of orders) {
    const name = `nextFreeBlock of order ${order}`
    const got = map.nextFreeBlock(order, first, last)
    answers.push([name, got, naive.nextFreeBlock(order, first, last)])
  }
  for (const [name, got, wanted] of answers) {
    if (got !== wanted)
      expect.fail(`${name} in ${range}: ${got ?? 'none'}, not ${wanted ?? 'none'}`)
  }
}

/** Starts that random calls reach seldom: the cases that a search over summaries may get wrong. */
const PATTERNS: Record<string, (at: number) => boolean> = {
  'all free': () => true,
  'none free': () => false,
  'one free in each word': (at) => at % 32 === (at >>> 5) % 32,
  'one occupied in each word': (at) => at % 32 !== (at >>> 5) % 32,
  'every second': (at) => at % 2 === 0,
  'pairs that are not aligned': (at) => at % 4 === 1 || at % 4 === 2,
  'words full and empty in turn': (at) => (at >>> 5) % 2 === 1,
  'every 33rd word': (at) => (at >>> 5) % 33 === 32,
  'only the last number': (at) => (at & 0xfff) === 0xfff,
}

function patterned(bits: number, isFree: (at: number) => boolean): Pair {
  const pair = { map: new PasidBitmap(bits), naive: new NaiveMap(2 ** bits) }
  for (let at = 0; at < pair.naive.size; at += 1) if (!isFree(at)) change(pair, at, 1, false)
  return pair
}

/** A stretch of calls leans towards occupying, the next towards vacating: both ends are reached. */
function wander(pair: Pair, calls: number, random: (below: number) => number): void {
  const { map, naive } = pair
  const size = naive.size
  let leaning = 0
  for (let call = 0; call < calls; call += 1) {
    if (call % (size * 2) === 0) leaning = random(11)
    const free = random(10) < leaning
    const order = random(13)
    if (random(4) !== 0) change(pair, random(size), 1, free)
    else {
      const first = random(size)
      const count = Math.min(size - first, 1 + random(random(8) === 0 ? size : 70))
      const block = map.nextFreeBlock(order, first, size - 1)
      if (!free && block !== undefined) change(pair, block, 2 ** order, false)
      else change(pair, first, count, free)
    }
    const first = random(size)
    const last = random(3) === 0 ? size - 1 : random(size)
    compare(pair, first, last, [order])
  }
}

describe('a bitmap answers as a row of booleans does', () => {
  for (const bits of [5, 6, 7, 8, 9, 10, 11]) {
    test(`2^${bits} numbers, 240 000 calls over all sizes, seed ${SEED}`, {
      timeout: 120_000,
    }, () => {
      const random = randomFrom(SEED + bits)
      const starts = Object.values(PATTERNS)
      for (const isFree of starts) {
        const pair = patterned(bits, isFree)
        wander(pair, Math.ceil(240_000 / 7 / starts.length), random)
        expectConsistent(pair.map, pair.naive)
      }
    })
  }

  test(`large namespaces, seed ${SEED}`, { timeout: 120_000 }, () => {
    for (const [bits, calls] of [
      [13, 2000],
      [16, 300],
      [20, 30],
    ] as const) {
      const random = randomFrom(SEED + bits)
      const pair = patterned(bits, () => true)
      wander(pair, calls, random)
      compare(pair, 0, pair.naive.size - 1, ORDERS)
      compare(pair, 1, pair.naive.size - 2, ORDERS)
      if (bits < 20) expectConsistent(pair.map, pair.naive)
    }
  })

  for (const [name, isFree] of Object.entries(PATTERNS)) {
    test(`starts and stays right: ${name}`, { timeout: 120_000 }, () => {
      for (const bits of [5, 6, 10, 12, 14]) {
        const pair = patterned(bits, isFree)
        expectConsistent(pair.map, pair.naive)
      }
    })
  }

  test('any short sequence, and what is found is shrunk', { timeout: 120_000 }, () => {
    const call = fc.record({
      free: fc.boolean(),
      first: fc.nat({ max: 127 }),
      count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 128 })),
    })
    const property = fc.property(
      fc.integer({ min: 5, max: 7 }),
      fc.array(call, { maxLength: 40 }),
      (bits, calls) => {
        const pair = patterned(bits, () => true)
        for (const { free, first, count } of calls) {
          if (first + count <= pair.naive.size) change(pair, first, count, free)
        }
        expectConsistent(pair.map, pair.naive)
      },
    )
    fc.assert(property, { seed: SEED, numRuns: 300 })
  })
})
