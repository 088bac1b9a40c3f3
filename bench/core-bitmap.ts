/**
 * What one number costs in memory: nextFree + occupy + vacate with a moving cursor, at several
 * fillings, beside the least any bitmap must do: one bit of a bare Uint32Array set and cleared.
 * The cases take turns, round by round, so that a slow second of the machine meets all of them;
 * the figure is the median of the rounds. Called by bench/main.ts, or alone:
 * node build/bench/core-bitmap.js
 */

import process from 'node:process'
import { PasidBitmap } from '../src/core/bitmap.js'

const BITS = 20
/** Not 2 ** BITS: V8 keeps that as a double, and `% SIZE` alone would then cost 15 ns. */
const SIZE = 1 << BITS
const ROUNDS = 31
const OPERATIONS_PER_ROUND = 100_000
/** Enough for the optimising compiler to have seen every case before a round is counted. */
const ROUNDS_WARMUP = 5

export interface BitmapRow {
  readonly name: string
  readonly medianNs: number
  /** Beside the bare set and clear of the same run. */
  readonly timesBare: number
}

/** Does that many operations; returns something that depends on all of them, so none is dropped. */
type Round = (operations: number) => number

/** Numerical Recipes' LCG: the same maps in every run. */
function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function bareRound(): Round {
  const words = new Uint32Array(SIZE / 32).fill(0xffff_ffff)
  let cursor = 0
  return (operations) => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) {
      const word = cursor >>> 5
      words[word] = (words[word] ?? 0) & ~(1 << cursor)
      seen ^= words[word] ?? 0
      words[word] = (words[word] ?? 0) | (1 << cursor)
      cursor = (cursor + 1) % SIZE
    }
    return seen
  }
}

/** Takes the next number from the cursor on and gives it back at once. */
function nextFitRound(map: PasidBitmap): Round {
  let cursor = 0
  return (operations) => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) {
      const found = map.nextFree(cursor, SIZE - 1) ?? map.nextFree(0, SIZE - 1) ?? 0
      map.occupy(found)
      seen ^= found
      map.vacate(found)
      cursor = (found + 1) % SIZE
    }
    return seen
  }
}

/** As above, but each number is held until 1000 others were taken: what sessions do. */
function heldRound(map: PasidBitmap): Round {
  const held: number[] = []
  let cursor = 0
  let slot = 0
  return (operations) => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) {
      const found = map.nextFree(cursor, SIZE - 1) ?? map.nextFree(0, SIZE - 1) ?? 0
      map.occupy(found)
      seen ^= found
      const oldest = held[slot]
      if (oldest !== undefined) map.vacate(oldest)
      held[slot] = found
      slot = (slot + 1) % 1000
      cursor = (found + 1) % SIZE
    }
    return seen
  }
}

function blockRound(map: PasidBitmap, order: number): Round {
  const length = 2 ** order
  let cursor = 0
  return (operations) => {
    let seen = 0
    for (let i = 0; i < operations; i += 1) {
      const last = SIZE - 1
      const found = map.nextFreeBlock(order, cursor, last) ?? map.nextFreeBlock(order, 0, last)
      seen ^= found ?? i
      cursor = ((found ?? cursor) + length) % SIZE
    }
    return seen
  }
}

/** Each number occupied with that chance. */
function filledMap(share: number): PasidBitmap {
  const map = new PasidBitmap(BITS)
  const random = lcg(1)
  for (let at = 0; at < SIZE; at += 1) if (random(1_000_000) < share * 1_000_000) map.occupy(at)
  return map
}

/** One number free in each word: no block anywhere, and no word that says so by being 0. */
function combMap(): PasidBitmap {
  const map = new PasidBitmap(BITS)
  for (let at = 0; at < SIZE; at += 1) if (at % 32 !== 7) map.occupy(at)
  return map
}

function cases(): [string, Round][] {
  return [
    ['bare Uint32Array set + clear', bareRound()],
    ['next + occupy + vacate, empty', nextFitRound(new PasidBitmap(BITS))],
    ['next + occupy + vacate, 50 % full', nextFitRound(filledMap(0.5))],
    ['next + occupy + vacate, 99.99 % full', nextFitRound(filledMap(0.9999))],
    ['next + occupy + vacate, 1 of 32 free', nextFitRound(combMap())],
    ['next + occupy + vacate, 1000 held', heldRound(new PasidBitmap(BITS))],
    ['next block of 2, 50 % full', blockRound(filledMap(0.5), 1)],
    ['next block of 16, 50 % full', blockRound(filledMap(0.5), 4)],
    ['next block of 2, 1 of 32 free', blockRound(combMap(), 1)],
    ['next block of 4096, empty', blockRound(new PasidBitmap(BITS), 12)],
  ]
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

export async function benchBitmap(): Promise<BitmapRow[]> {
  const timed = cases().map(([name, round]) => ({ name, round, ns: [] as number[] }))
  let seen = 0
  for (let i = 0; i < ROUNDS_WARMUP + ROUNDS; i += 1) {
    for (const { round, ns } of timed) {
      const begin = process.hrtime.bigint()
      seen ^= round(OPERATIONS_PER_ROUND)
      const each = Number(process.hrtime.bigint() - begin) / OPERATIONS_PER_ROUND
      if (i >= ROUNDS_WARMUP) ns.push(each)
    }
    // Others on this process get their turn between rounds, never inside one.
    await new Promise((resolve) => setImmediate(resolve))
  }
  const medians = timed.map(({ name, ns }) => ({ name, medianNs: median(ns) }))
  const bareNs = medians[0]?.medianNs ?? Number.NaN
  if (Number.isNaN(seen)) throw new Error('the rounds were not run')
  return medians.map((row) => ({ ...row, timesBare: row.medianNs / bareNs }))
}

if (import.meta.filename === process.argv[1]) {
  for (const { name, medianNs, timesBare } of await benchBitmap()) {
    const figures = `${medianNs.toFixed(1).padStart(8)} ns ${timesBare.toFixed(2).padStart(7)} x`
    process.stdout.write(`${name.padEnd(40)}${figures}\n`)
  }
}
