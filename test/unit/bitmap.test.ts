/** PasidBitmap at its bounds: ends of words, of levels, of the namespace, of the orders. */

import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../src/core/assert.js'
import { PasidBitmap } from '../../src/core/bitmap.js'

const EACH_SIZE = Array.from({ length: 16 }, (_, i) => i + 5)

describe('a new bitmap', () => {
  test.each(EACH_SIZE)('of 2^%i numbers has all of them free', (bits) => {
    const map = new PasidBitmap(bits)
    const last = map.size - 1
    expect(map.size).toBe(2 ** bits)
    expect(map.freeCount).toBe(map.size)
    expect(map.countFree(0, last)).toBe(map.size)
    expect(map.largestFreeOrder()).toBe(Math.min(bits, 12))
    expect(map.nextFree(0, last)).toBe(0)
    expect(map.nextFree(last, last)).toBe(last)
    expect(map.isFree(0)).toBe(true)
    expect(map.isFree(last)).toBe(true)
  })

  test.each([4, 21, 5.5, Number.NaN, -5])('of 2^%d numbers is a bug', (bits) => {
    expect(() => new PasidBitmap(bits)).toThrow(InvariantViolation)
  })
})

describe('one number', () => {
  test.each(EACH_SIZE)('at every edge of a word or level of 2^%i comes and goes', (bits) => {
    const map = new PasidBitmap(bits)
    const last = map.size - 1
    const edges = [0, 1, 30, 31, 32, 33, 1023, 1024, 32_767, 32_768, last - 32, last - 1, last]
    for (const at of edges.filter((edge) => edge >= 0 && edge <= last)) {
      map.occupy(at)
      expect(map.isFree(at)).toBe(false)
      expect(map.freeCount).toBe(last)
      expect(map.nextFree(at, at)).toBeUndefined()
      expect(map.nextFree(at, last)).toBe(at === last ? undefined : at + 1)
      map.vacate(at)
      expect(map.isFree(at)).toBe(true)
      expect(map.largestFreeOrder()).toBe(Math.min(bits, 12))
    }
  })

  test.each(EACH_SIZE)('is found wherever it is the only free one of 2^%i', (bits) => {
    const map = new PasidBitmap(bits)
    const last = map.size - 1
    map.occupyRange(0, map.size)
    expect(map.nextFree(0, last)).toBeUndefined()
    expect(map.largestFreeOrder()).toBeUndefined()
    for (const at of [0, 31, last >>> 1, (last >>> 1) + 1, last - 31, last]) {
      map.vacate(at)
      expect(map.nextFree(0, last)).toBe(at)
      expect(map.nextFree(at, last)).toBe(at)
      expect(map.nextFree(0, at)).toBe(at)
      if (at > 0) expect(map.nextFree(0, at - 1)).toBeUndefined()
      if (at < last) expect(map.nextFree(at + 1, last)).toBeUndefined()
      expect(map.nextFreeBlock(0, 0, last)).toBe(at)
      expect(map.largestFreeOrder()).toBe(0)
      expect(map.countFree(0, last)).toBe(1)
      map.occupy(at)
    }
  })

  test('is not occupied twice, nor vacated twice', () => {
    const map = new PasidBitmap(10)
    expect(() => map.vacate(7)).toThrow(InvariantViolation)
    map.occupy(7)
    expect(() => map.occupy(7)).toThrow(InvariantViolation)
    map.vacate(7)
    expect(() => map.vacate(7)).toThrow(InvariantViolation)
    expect(map.freeCount).toBe(1024)
  })

  test.each([-1, 1024, 0.5, Number.NaN, 2 ** 32])('%d is outside of 0..1023', (at) => {
    const map = new PasidBitmap(10)
    expect(() => map.isFree(at)).toThrow(InvariantViolation)
    expect(() => map.occupy(at)).toThrow(InvariantViolation)
    expect(() => map.vacate(at)).toThrow(InvariantViolation)
    expect(() => map.nextFree(at, 2 ** 33)).toThrow(InvariantViolation)
    expect(() => map.countFree(at, 2 ** 33)).toThrow(InvariantViolation)
    expect(() => map.nextFreeBlock(0, at, 2 ** 33)).toThrow(InvariantViolation)
  })
})

describe('a range', () => {
  test('whose last is below its first holds nothing', () => {
    const map = new PasidBitmap(10)
    expect(map.nextFree(5, 4)).toBeUndefined()
    expect(map.nextFree(1024, 1023)).toBeUndefined()
    expect(map.nextFreeBlock(0, 5, 4)).toBeUndefined()
    expect(map.countFree(5, 4)).toBe(0)
  })

  test.each([
    [0, 1],
    [0, 32],
    [1, 31],
    [31, 2],
    [5, 20],
    [32, 64],
    [31, 66],
    [0, 4096],
    [4095, 1],
    [1, 4094],
    [4064, 32],
  ])('from %i, %i long, comes and goes as one', (first, count) => {
    const map = new PasidBitmap(12)
    map.occupyRange(first, count)
    const last = first + count - 1
    expect(map.freeCount).toBe(4096 - count)
    expect(map.countFree(first, last)).toBe(0)
    expect(map.countFree(0, 4095)).toBe(4096 - count)
    expect(map.nextFree(first, last)).toBeUndefined()
    expect(map.nextFree(first, 4095)).toBe(last === 4095 ? undefined : last + 1)
    expect(map.nextFree(0, 4095)).toBe(first > 0 ? 0 : last === 4095 ? undefined : last + 1)
    map.vacateRange(first, count)
    expect(map.freeCount).toBe(4096)
    expect(map.largestFreeOrder()).toBe(12)
  })

  test('of which one number is not as it should be changes nothing', () => {
    const map = new PasidBitmap(12)
    map.occupy(2000)
    expect(() => map.occupyRange(100, 3000)).toThrow(InvariantViolation)
    expect(() => map.vacateRange(2000, 2)).toThrow(InvariantViolation)
    expect(map.freeCount).toBe(4095)
    expect(map.countFree(0, 1999)).toBe(2000)
    expect(map.isFree(2000)).toBe(false)
  })

  test.each([
    [0, 0],
    [0, -1],
    [0, 1.5],
    [0, 4097],
    [4095, 2],
    [-1, 2],
  ])('from %d, %d long, is no range of 4096 numbers', (first, count) => {
    const map = new PasidBitmap(12)
    expect(() => map.occupyRange(first, count)).toThrow(InvariantViolation)
    expect(() => map.vacateRange(first, count)).toThrow(InvariantViolation)
    expect(map.freeCount).toBe(4096)
  })

  test('is counted from any number to any other', () => {
    const map = new PasidBitmap(12)
    for (let at = 0; at < 4096; at += 3) map.occupy(at)
    for (const first of [0, 1, 31, 32, 33, 1000, 2048, 4095]) {
      for (const last of [0, 31, 32, 63, 64, 1055, 2047, 4064, 4095]) {
        let naive = 0
        for (let at = first; at <= last; at += 1) if (at % 3 !== 0) naive += 1
        expect(map.countFree(first, last)).toBe(naive)
      }
    }
  })
})

describe('a block', () => {
  const orders = Array.from({ length: 13 }, (_, order) => order)

  test.each(orders)(
    'of order %i is found as the last and only one of 2^20 and of 2^13',
    (order) => {
      for (const bits of [13, 20]) {
        const map = new PasidBitmap(bits)
        const last = map.size - 1
        const block = map.size - 2 ** order
        map.occupyRange(0, map.size)
        map.vacateRange(block, 2 ** order)
        expect(map.largestFreeOrder()).toBe(order)
        expect(map.nextFreeBlock(order, 0, last)).toBe(block)
        expect(map.nextFreeBlock(order, block, last)).toBe(block)
        expect(map.nextFreeBlock(order, 0, last - 1)).toBeUndefined()
        if (order < 12) expect(map.nextFreeBlock(order + 1, 0, last)).toBeUndefined()
        if (order > 0) expect(map.nextFreeBlock(order, block + 1, last)).toBeUndefined()
        map.occupy(last)
        expect(map.nextFreeBlock(order, 0, last)).toBeUndefined()
        expect(map.largestFreeOrder()).toBe(order === 0 ? undefined : order - 1)
      }
    },
  )

  test.each(orders)('of order %i must be aligned', (order) => {
    const map = new PasidBitmap(16)
    const length = 2 ** order
    map.occupyRange(0, map.size)
    map.vacateRange(Math.ceil(length / 2), length)
    // Half of two neighbours is free, so no block of this order is, unless the half is a number.
    expect(map.nextFreeBlock(order, 0, 65_535)).toBe(order === 0 ? 1 : undefined)
  })

  test.each([-1, 13, 0.5, Number.NaN])('of order %d is a bug', (order) => {
    const map = new PasidBitmap(20)
    expect(() => map.nextFreeBlock(order, 0, 1)).toThrow(InvariantViolation)
    expect(() => map.nextFreeBlock(order, 1, 0)).toThrow(InvariantViolation)
  })

  test.each([5, 6, 9, 10, 11, 12])('larger than 2^%i numbers is not there', (bits) => {
    const map = new PasidBitmap(bits)
    for (const order of orders) {
      expect(map.nextFreeBlock(order, 0, map.size - 1)).toBe(order <= bits ? 0 : undefined)
    }
  })

  test('search leaves no trace, and a full map full of holes does not mislead it', () => {
    const map = new PasidBitmap(20)
    for (let at = 0; at < map.size; at += 2) map.occupy(at)
    for (const order of orders.slice(1)) {
      expect(map.nextFreeBlock(order, 0, map.size - 1)).toBeUndefined()
    }
    expect(map.largestFreeOrder()).toBe(0)
    map.vacate(777_776)
    expect(map.nextFreeBlock(1, 0, map.size - 1)).toBe(777_776)
    expect(map.largestFreeOrder()).toBe(1)
  })
})
