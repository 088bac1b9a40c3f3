/** Where the next number comes from, and what a namespace counts and knows of each. */

import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../src/core/assert.js'
import {
  HOST_NAMESPACE,
  PASID_LAST,
  generation,
  sessionId,
  tenantId,
  wallMs,
} from '../../src/core/ids.js'
import { Namespace, SLOT } from '../../src/core/namespace.js'
import type { PasidRange } from '../../src/core/range.js'

const WHOLE: PasidRange = { first: 1, last: PASID_LAST }
const HOLDER = {
  session: sessionId(1),
  tenant: tenantId(0),
  generation: generation(7),
  at: wallMs(9),
}

function fresh(): Namespace {
  return new Namespace(HOST_NAMESPACE, 20)
}

/** As a grant of one does: finds, takes, moves the cursor. */
function takeOne(namespace: Namespace, range: PasidRange): number | undefined {
  const first = namespace.findOne(range)
  if (first === undefined) return undefined
  namespace.grant({ first, count: 1 }, HOLDER)
  namespace.cursor = (first + 1) % namespace.size
  return first
}

function giveBack(namespace: Namespace, first: number): void {
  namespace.release({ first, count: 1 }, 'HELD')
  namespace.lapse({ first, count: 1 })
}

describe('next-fit', () => {
  test('a number given back is not the next one given', () => {
    const namespace = fresh()
    expect(takeOne(namespace, WHOLE)).toBe(1)
    giveBack(namespace, 1)
    expect(takeOne(namespace, WHOLE)).toBe(2)
    expect(takeOne(namespace, WHOLE)).toBe(3)
    giveBack(namespace, 2)
    expect(takeOne(namespace, WHOLE)).toBe(4)
  })

  test('within a window, every number comes before any comes again', () => {
    const namespace = fresh()
    const window = { first: 300, last: 331 }
    const taken: number[] = []
    for (let i = 0; i < 32; i += 1) {
      const pasid = takeOne(namespace, window) ?? 0
      taken.push(pasid)
      giveBack(namespace, pasid)
    }
    expect(taken.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, i) => 300 + i))
  })

  test('a cursor beyond a window does not make its lowest number the favourite', () => {
    const namespace = fresh()
    const window = { first: 1000, last: 1999 }
    const first = new Set<number>()
    for (let cursor = 2500; cursor < 2600; cursor += 1) {
      namespace.cursor = cursor
      first.add(namespace.findOne(window) ?? 0)
    }
    expect(first.size).toBe(100)
  })

  test('two windows taken in turn are each walked through', () => {
    const namespace = fresh()
    const windows = [
      { first: 300, last: 399 },
      { first: 700, last: 799 },
    ]
    const seen = [new Set<number>(), new Set<number>()]
    for (let i = 0; i < 50; i += 1) {
      for (const [w, window] of windows.entries()) {
        const pasid = takeOne(namespace, window) ?? 0
        seen[w]?.add(pasid)
        giveBack(namespace, pasid)
      }
    }
    expect(seen.map(({ size }) => size)).toEqual([50, 50])
  })

  test('the search goes on at the start of the range when the end is reached', () => {
    const namespace = fresh()
    namespace.cursor = PASID_LAST
    expect(takeOne(namespace, WHOLE)).toBe(PASID_LAST)
    expect(namespace.cursor).toBe(0)
    expect(takeOne(namespace, WHOLE)).toBe(1)
    namespace.cursor = 312
    namespace.grant({ first: 312, count: 8 }, HOLDER)
    expect(namespace.findOne({ first: 310, last: 319 })).toBe(310)
  })

  test('the last free number of a range is found wherever the cursor is, and none is said', () => {
    const namespace = fresh()
    const range = { first: 40, last: 49 }
    namespace.grant({ first: 40, count: 6 }, HOLDER)
    namespace.grant({ first: 47, count: 3 }, HOLDER)
    for (const cursor of [0, 1, 40, 46, 47, 49, 50, 1000, PASID_LAST]) {
      namespace.cursor = cursor
      expect(namespace.findOne(range), `cursor ${cursor}`).toBe(46)
    }
    namespace.grant({ first: 46, count: 1 }, HOLDER)
    expect(namespace.findOne(range)).toBeUndefined()
    expect(namespace.countFree(range)).toBe(0)
  })

  test('a block is aligned, and one before the cursor is found as well', () => {
    const namespace = fresh()
    const range = { first: 33, last: 127 }
    namespace.cursor = 100
    expect(namespace.findBlock(5, range)).toBe(64)
    namespace.cursor = 65
    expect(namespace.findBlock(5, range)).toBe(96)
    namespace.grant({ first: 96, count: 1 }, HOLDER)
    expect(namespace.findBlock(5, range)).toBe(64)
    namespace.grant({ first: 64, count: 1 }, HOLDER)
    expect(namespace.findBlock(5, range)).toBeUndefined()
    expect(namespace.findBlock(4, range)).toBe(80)
  })

  test('0 is never found', () => {
    const namespace = fresh()
    for (const cursor of [0, 1, PASID_LAST]) {
      namespace.cursor = cursor
      expect(namespace.findOne({ first: 1, last: 1 })).toBe(1)
    }
    expect(namespace.isFree(0)).toBe(false)
    expect(namespace.freeCount).toBe(PASID_LAST)
  })
})

describe('reservations', () => {
  test('a reserved number is not found, and not counted as free', () => {
    const namespace = fresh()
    namespace.reserve({ first: 1, last: 255 })
    expect(takeOne(namespace, WHOLE)).toBe(256)
    expect(namespace.reservedCount).toBe(255)
    expect(namespace.isReserved(255)).toBe(true)
    expect(namespace.isReserved(256)).toBe(false)
    expect(namespace.nextKnown(0)).toBe(256)
  })

  test('overlapping reservations count once', () => {
    const namespace = fresh()
    namespace.reserve({ first: 10, last: 20 })
    namespace.reserve({ first: 15, last: 25 })
    expect(namespace.reservedCount).toBe(16)
    expect(namespace.freeCount).toBe(PASID_LAST - 16)
  })

  test('a held number that is reserved stays with its holder and then goes to nobody', () => {
    const namespace = fresh()
    namespace.grant({ first: 20, count: 2 }, HOLDER)
    namespace.reserve({ first: 21, last: 30 })
    expect(namespace.reservedCount).toBe(9)
    expect(namespace.slotOf(21)).toBe(SLOT.HELD)
    giveBack(namespace, 20)
    giveBack(namespace, 21)
    expect(namespace.reservedCount).toBe(10)
    expect(namespace.isFree(20)).toBe(true)
    expect(namespace.isFree(21)).toBe(false)
  })
})

describe('what is known of a number', () => {
  test('each step has its way back', () => {
    const namespace = fresh()
    const run = { first: 4094, count: 5 }
    const seen = () => [
      { ...namespace.counts },
      [...namespace.heldBy(HOLDER.session)].sort((a, b) => a - b),
      namespace.freeCount,
    ]
    const empty = seen()
    namespace.grant(run, HOLDER)
    const held = seen()
    namespace.beginFree(run)
    const pending = seen()
    namespace.release(run, 'FREE_PENDING')
    namespace.unrelease(run, 'FREE_PENDING')
    expect(seen()).toEqual(pending)
    namespace.unbeginFree(run)
    expect(seen()).toEqual(held)
    namespace.release(run, 'HELD')
    namespace.unrelease(run, 'HELD')
    expect(seen()).toEqual(held)
    namespace.ungrant(run)
    expect(seen()).toEqual(empty)
    expect(namespace.holdsAny(HOLDER.session)).toBe(false)
  })

  test('the holder is told, over the edge of a page', () => {
    const namespace = fresh()
    namespace.grant({ first: 4095, count: 2 }, HOLDER)
    expect(namespace.holderOf(4096)).toEqual(HOLDER)
    expect(namespace.nextKnown(4095)).toBe(4096)
    expect(namespace.nextKnown(4096)).toBeUndefined()
  })

  test('a session lists its own numbers whatever the order in which they go', () => {
    const namespace = fresh()
    for (const first of [5, 9, 2, 7]) namespace.grant({ first, count: 1 }, HOLDER)
    namespace.grant({ first: 6, count: 1 }, { ...HOLDER, session: sessionId(2) })
    const own = () => [...namespace.heldBy(HOLDER.session)].sort((a, b) => a - b)
    expect(own()).toEqual([2, 5, 7, 9])
    namespace.release({ first: 9, count: 1 }, 'HELD')
    expect(own()).toEqual([2, 5, 7])
    namespace.release({ first: 5, count: 1 }, 'HELD')
    namespace.release({ first: 7, count: 1 }, 'HELD')
    expect(own()).toEqual([2])
    namespace.unrelease({ first: 9, count: 1 }, 'HELD')
    expect(own()).toEqual([2, 9])
    expect([...namespace.heldBy(sessionId(2))]).toEqual([6])
  })

  test.each<[string, (namespace: Namespace) => void]>([
    ['granted twice', (n) => n.grant({ first: 5, count: 1 }, HOLDER)],
    ['granted within a block', (n) => n.grant({ first: 4, count: 4 }, HOLDER)],
    ['granted as 0', (n) => n.grant({ first: 0, count: 1 }, HOLDER)],
    ['released while bound', (n) => (n.bind(5), n.release({ first: 5, count: 1 }, 'HELD'))],
    ['released when free', (n) => n.release({ first: 6, count: 1 }, 'HELD')],
    ['lapsed when held', (n) => n.lapse({ first: 5, count: 1 })],
    ['unbound when not bound', (n) => n.unbind(5)],
    [
      'freed twice',
      (n) => (n.beginFree({ first: 5, count: 1 }), n.beginFree({ first: 5, count: 1 })),
    ],
  ])('a bug is noticed: %s', (_, act) => {
    const namespace = fresh()
    namespace.grant({ first: 5, count: 1 }, HOLDER)
    expect(() => act(namespace)).toThrow(InvariantViolation)
  })
})
