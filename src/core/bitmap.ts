/**
 * Which of the 2^bits numbers of a namespace are free, with the lowest free number or naturally
 * aligned free block found without a scan. Called by the namespaces of core/ only.
 *
 * A tower of floors. On the ground floor a bit is one number, 1 when FREE. A bit of the next floor
 * is one word (32 bits) of the floor below, 1 when that word is wholly free: so a bit is a block of
 * order 5 there and of order 10 one higher, and a block of order 5f + k is an aligned run of 2^k
 * bits inside one word of floor f. Beside its words a floor keeps, for each k of 0..4, the set of
 * the words that hold such a run; the words that hold k = 5, being full, are the floor above.
 *
 * What always holds: these sets are exact for every word but one, the word touched last, which is
 * settled before another word is touched and before any search that leaves it. So no search ever
 * meets a word that promises a run and has none: every call on one number or block is O(levels) in
 * the worst case, in full and fragmented maps as in empty ones, with nothing to amortise. And calls
 * that stay in one word, a number taken and given back or the next one taken, cost that word alone.
 */

import { assert } from './assert.js'
import { BLOCK_ORDER_MAX } from './limits.js'

const BITS_MIN = 5
const BITS_MAX = 20
const WORD_BITS = 32
/** A word of 2^5 bits holds runs of order 0..5; order 5 is the word itself. */
const WORD_ORDER = 5
const FULL = -1
const FLOORS = Math.floor(BLOCK_ORDER_MAX / WORD_ORDER) + 1
/** Where an aligned run of 2^k bits may start. Int32Array, so that words compare with `===`. */
const RUN_STARTS = Int32Array.of(-1, 0x55555555, 0x11111111, 0x01010101, 0x00010001, 1)

/** Index of the lowest bit set; the word is not 0. */
function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word)
}

function popcount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555)
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** The bits from `first` to `last` of a word, both inside, 0..31. */
function bitsBetween(first: number, last: number): number {
  return (FULL << first) & (FULL >>> (WORD_BITS - 1 - last))
}

/** The bits of a word above this one; in two steps, for a shift by 32 would be a shift by 0. */
function aboveBit(bit: number): number {
  return (FULL << bit) << 1
}

/** From the starts of the runs of 2^order in a word to those of the runs twice as long. */
function doubled(starts: number, order: number): number {
  return starts & (starts >>> (1 << order)) & (RUN_STARTS[order + 1] ?? 0)
}

/** A bit at the start of each aligned run of 2^order set bits. */
function runStarts(word: number, order: number): number {
  let starts = word
  for (let k = 0; k < order; k += 1) starts = doubled(starts, k)
  return starts
}

/**
 * A set of integers from 0 on: a bit for each, and above it levels with a bit for each non-zero
 * word of the level below, up to a single word. All levels lie in one array, the top word at 0 and
 * the 32 words below word c from 32c + 1 on, so that the way up and down needs no table of levels.
 */
class SparseSet {
  readonly #cells: Int32Array
  /** Where the lowest level starts, whose bits are the members. */
  readonly #lowest: number

  constructor(size: number) {
    const words = Math.max(1, Math.ceil(size / WORD_BITS))
    let lowest = 0
    for (let width = 1; width < words; width *= WORD_BITS) lowest += width
    this.#lowest = lowest
    this.#cells = new Int32Array(lowest + words)
  }

  isEmpty(): boolean {
    return this.#cells[0] === 0
  }

  /** The members from 32 * index on, as bits. */
  word(index: number): number {
    return this.#cells[this.#lowest + index] ?? 0
  }

  add(member: number): void {
    const at = this.#lowest + (member >>> 5)
    const before = this.#cells[at] ?? 0
    this.#cells[at] = before | (1 << member)
    if (before === 0) this.#raise(at)
  }

  remove(member: number): void {
    const at = this.#lowest + (member >>> 5)
    const after = (this.#cells[at] ?? 0) & ~(1 << member)
    this.#cells[at] = after
    if (after === 0) this.#lower(at)
  }

  /** The lowest member above `member`, which need not be one: up until there is one, then down. */
  nextAfter(member: number): number | undefined {
    const cells = this.#cells
    // Counts on below the lowest level, as if each bit of it were a word.
    const bits = (this.#lowest << 5) + 1
    for (let at = bits + member; at > 0; ) {
      const up = (at - 1) >>> 5
      const after = (cells[up] ?? 0) & aboveBit(at - 1)
      at = up
      if (after === 0) continue
      at = (up << 5) + 1 + lowestBit(after)
      while (at < bits) at = (at << 5) + 1 + lowestBit(cells[at] ?? 0)
      return at - bits
    }
    return undefined
  }

  /** The word at `from` is no longer 0. Pairs with #lower. */
  #raise(from: number): void {
    const cells = this.#cells
    for (let at = from; at > 0; ) {
      const bit = 1 << (at - 1)
      at = (at - 1) >>> 5
      const before = cells[at] ?? 0
      cells[at] = before | bit
      if (before !== 0) return
    }
  }

  /** The word at `from` has become 0. Pairs with #raise. */
  #lower(from: number): void {
    const cells = this.#cells
    for (let at = from; at > 0; ) {
      const bit = 1 << (at - 1)
      at = (at - 1) >>> 5
      const after = (cells[at] ?? 0) & ~bit
      cells[at] = after
      if (after !== 0) return
    }
  }
}

/** One floor of the tower. Its callers assert; it asserts nothing. Starts with no bit set. */
class Floor {
  readonly words: Int32Array
  /** holding[k]: the words that hold an aligned run of 2^k bits; k is 0..4. */
  readonly holding: readonly SparseSet[]
  readonly #above: Floor | undefined

  constructor(size: number, above: Floor | undefined) {
    const length = Math.max(1, Math.ceil(size / WORD_BITS))
    this.words = new Int32Array(length)
    this.holding = Array.from({ length: WORD_ORDER }, () => new SparseSet(length))
    this.#above = above
  }

  /**
   * The word has changed from `before` to `after`: makes the sets and the floor above say so. The
   * runs of both are doubled side by side; once they are the same, they stay the same.
   */
  settle(word: number, before: number, after: number): void {
    let was = before
    let is = after
    for (let order = 0; was !== is; order += 1) {
      if (order === WORD_ORDER) {
        this.#above?.flip(word)
        return
      }
      if (was === 0) this.holding[order]?.add(word)
      if (is === 0) this.holding[order]?.remove(word)
      was = doubled(was, order)
      is = doubled(is, order)
    }
  }

  /** Adds the bit or takes it away, whichever it needs. */
  flip(unit: number): void {
    const word = unit >>> 5
    const before = this.words[word] ?? 0
    const after = before ^ (1 << unit)
    this.words[word] = after
    this.settle(word, before, after)
  }

  /** The start of the lowest aligned run of 2^order bits at `from`, aligned itself, or above. */
  nextRun(order: number, from: number): number | undefined {
    const here = from >>> 5
    const rest = runStarts(this.words[here] ?? 0, order) & (FULL << from)
    if (rest !== 0) return (here << 5) + lowestBit(rest)
    const word = this.holding[order]?.nextAfter(here)
    if (word === undefined) return undefined
    return (word << 5) + lowestBit(runStarts(this.words[word] ?? 0, order))
  }
}

export class PasidBitmap {
  readonly size: number
  readonly #ground: Floor
  /** #floors[f]: its bits are blocks of order 5f. */
  readonly #floors: readonly Floor[]
  /** Those of the ground floor. */
  readonly #words: Int32Array
  #freeCount = 0
  /** The word touched last, and what it was when the levels above last heard of it. */
  #touched = 0
  #settled = 0

  /** All numbers are free at first. */
  constructor(bits: number) {
    assert(Number.isInteger(bits) && bits >= BITS_MIN && bits <= BITS_MAX, 'bits of a namespace')
    // Not 2 ** bits: V8 keeps that as a double, and compares and shifts with it cost thrice.
    this.size = 1 << bits
    const floors: Floor[] = []
    for (let f = FLOORS - 1; f >= 0; f -= 1) {
      floors.unshift(new Floor(this.size >>> (f * WORD_ORDER), floors[0]))
    }
    const ground = floors[0]
    assert(ground !== undefined, 'a tower has a ground floor')
    this.#ground = ground
    this.#words = ground.words
    this.#floors = floors
    this.vacateRange(0, this.size)
  }

  get freeCount(): number {
    return this.#freeCount
  }

  isFree(pasid: number): boolean {
    this.#assertInside(pasid)
    return ((this.#words[pasid >>> 5] ?? 0) & (1 << pasid)) !== 0
  }

  occupy(pasid: number): void {
    this.#assertInside(pasid)
    const word = pasid >>> 5
    const before = this.#words[word] ?? 0
    assert((before & (1 << pasid)) !== 0, 'a number that is occupied was free')
    if (word !== this.#touched) this.#touch(word)
    this.#words[word] = before & ~(1 << pasid)
    this.#freeCount -= 1
  }

  vacate(pasid: number): void {
    this.#assertInside(pasid)
    const word = pasid >>> 5
    const before = this.#words[word] ?? 0
    assert((before & (1 << pasid)) === 0, 'a number that is vacated was occupied')
    if (word !== this.#touched) this.#touch(word)
    this.#words[word] = before | (1 << pasid)
    this.#freeCount += 1
  }

  /** All of it was free, which is asserted before anything changes. */
  occupyRange(first: number, count: number): void {
    const last = this.#lastOf(first, count)
    assert(this.countFree(first, last) === count, 'a range that is occupied was free')
    this.#write(first, last, false)
    this.#freeCount -= count
  }

  /** All of it was occupied, which is asserted before anything changes. */
  vacateRange(first: number, count: number): void {
    const last = this.#lastOf(first, count)
    assert(this.countFree(first, last) === 0, 'a range that is vacated was occupied')
    this.#write(first, last, true)
    this.#freeCount += count
  }

  /** The lowest free number of first..last; a range whose last is below its first has none. */
  nextFree(first: number, last: number): number | undefined {
    if (last < first) return undefined
    this.#assertInside(first)
    this.#assertInside(last)
    const here = first >>> 5
    const rest = (this.#words[here] ?? 0) & (FULL << first)
    const found = rest !== 0 ? (here << 5) + lowestBit(rest) : this.#nextBeyond(here)
    return found !== undefined && found <= last ? found : undefined
  }

  /** The lowest block of 2^order numbers, naturally aligned, free and wholly inside first..last. */
  nextFreeBlock(order: number, first: number, last: number): number | undefined {
    assert(Number.isInteger(order) && order >= 0 && order <= BLOCK_ORDER_MAX, 'order of a block')
    if (last < first) return undefined
    this.#assertInside(first)
    this.#assertInside(last)
    const length = 1 << order
    const aligned = (first + length - 1) & -length
    if (aligned + length - 1 > last) return undefined
    this.#settle()
    const floor = Math.trunc(order / WORD_ORDER)
    const shift = floor * WORD_ORDER
    const unit = this.#floors[floor]?.nextRun(order - shift, aligned >>> shift)
    if (unit === undefined) return undefined
    // The lowest of all: when it does not end inside the range, no other does.
    const found = unit << shift
    return found + length - 1 <= last ? found : undefined
  }

  /** Counts the smaller of the range and what is outside it: the whole namespace is O(1). */
  countFree(first: number, last: number): number {
    if (last < first) return 0
    this.#assertInside(first)
    this.#assertInside(last)
    if (last - first < this.size / 2) return this.#count(first, last)
    return this.#freeCount - this.#count(0, first - 1) - this.#count(last + 1, this.size - 1)
  }

  /** The largest order, 0..BLOCK_ORDER_MAX, of which some block is free. */
  largestFreeOrder(): number | undefined {
    this.#settle()
    for (let order = BLOCK_ORDER_MAX; order >= 0; order -= 1) {
      const floor = Math.trunc(order / WORD_ORDER)
      const holding = this.#floors[floor]?.holding[order - floor * WORD_ORDER]
      if (holding?.isEmpty() === false) return order
    }
    return undefined
  }

  #assertInside(pasid: number): void {
    assert(pasid >>> 0 === pasid && pasid < this.size, 'a number is inside the namespace')
  }

  #lastOf(first: number, count: number): number {
    assert(Number.isInteger(count) && count >= 1, 'a range holds at least one number')
    const last = first + count - 1
    this.#assertInside(first)
    this.#assertInside(last)
    return last
  }

  /** The lowest free number in the words after this one. */
  #nextBeyond(word: number): number | undefined {
    this.#settle()
    const found = this.#ground.holding[0]?.nextAfter(word)
    return found === undefined ? undefined : (found << 5) + lowestBit(this.#words[found] ?? 0)
  }

  /** The word is about to change; the one before it is settled. */
  #touch(word: number): void {
    this.#settle()
    this.#touched = word
    this.#settled = this.#words[word] ?? 0
  }

  /** From here on all levels are exact, until a number changes. */
  #settle(): void {
    const now = this.#words[this.#touched] ?? 0
    if (now === this.#settled) return
    this.#ground.settle(this.#touched, this.#settled, now)
    this.#settled = now
  }

  #write(first: number, last: number, free: boolean): void {
    const words = this.#words
    for (let at = first; at <= last; at = (at | 31) + 1) {
      const word = at >>> 5
      this.#touch(word)
      const mask = bitsBetween(at & 31, Math.min(last, at | 31) & 31)
      words[word] = free ? (words[word] ?? 0) | mask : (words[word] ?? 0) & ~mask
    }
  }

  #count(first: number, last: number): number {
    if (last < first) return 0
    const words = this.#words
    const head = first >>> 5
    const tail = last >>> 5
    if (head === tail) return popcount((words[head] ?? 0) & bitsBetween(first & 31, last & 31))
    const ends =
      popcount((words[head] ?? 0) & bitsBetween(first & 31, 31)) +
      popcount((words[tail] ?? 0) & bitsBetween(0, last & 31))
    return ends + this.#countWords(head + 1, tail - 1)
  }

  /** Looks at a word only where it is neither 0 nor full; 32 words a step where none is. */
  #countWords(first: number, last: number): number {
    this.#settle()
    const words = this.#words
    let count = 0
    for (let at = first; at <= last; at = (at | 31) + 1) {
      const group = at >>> 5
      const inside = bitsBetween(at & 31, Math.min(last, at | 31) & 31)
      const full = (this.#floors[1]?.words[group] ?? 0) & inside
      let mixed = (this.#ground.holding[0]?.word(group) ?? 0) & inside & ~full
      count += WORD_BITS * popcount(full)
      for (; mixed !== 0; mixed &= mixed - 1) {
        count += popcount(words[(group << 5) + lowestBit(mixed)] ?? 0)
      }
    }
    return count
  }
}
