/**
 * The log of request ids against a list that is searched from its start. Ids collide on purpose:
 * few low halves, so that probe chains are long and holes in them are closed; ids go at both ends,
 * and the ring wraps.
 */

import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { sessionId, tenantId, wallMs } from '../../src/core/ids.js'
import { REQUEST_IDS_KEPT_MIN, REQUEST_ID_AGE_MS_MIN } from '../../src/core/limits.js'
import { REQUEST_METHODS, RequestLog, type RequestRecord } from '../../src/core/requests.js'
import { Random } from '../support/core-world.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)
const MINUTES = 60_000

function keyOf(record: RequestRecord) {
  const { idHigh, idLow, fingerprintHigh, fingerprintLow } = record
  return { text: '', idHigh, idLow, fingerprintHigh, fingerprintLow }
}

class Pair {
  readonly log = new RequestLog()
  list: RequestRecord[] = []
  now = 1_000_000
  revision = 0
  durable = 0

  constructor(
    readonly random: Random,
    readonly lowHalves: number,
  ) {}

  fresh(): RequestRecord {
    const { random } = this
    this.revision += 1
    return {
      session: sessionId(1),
      tenant: tenantId(0),
      method: random.pick(REQUEST_METHODS),
      idHigh: this.revision,
      idLow: (random.below(this.lowHalves) * 0x2000_0001) >>> 0,
      fingerprintHigh: random.below(3),
      fingerprintLow: random.below(3),
      at: wallMs(this.now),
      answer: random.below(2 ** 20),
      revision: this.revision,
    }
  }

  push(): void {
    const record = this.fresh()
    this.log.push(record)
    this.list.push(record)
  }

  /** What a failed commit takes back: everything that is not durable. */
  undo(): void {
    for (let newest = this.list.at(-1); newest !== undefined; newest = this.list.at(-1)) {
      if (newest.revision <= this.durable) break
      this.log.pop(newest)
      this.list.pop()
    }
    this.revision = this.durable
  }

  forget(): void {
    const before = this.list.length
    const durable = this.list.filter(({ revision }) => revision <= this.durable).length
    let may = Math.max(0, durable - REQUEST_IDS_KEPT_MIN)
    const old = (record: RequestRecord | undefined): boolean => {
      return record !== undefined && this.now - record.at >= REQUEST_ID_AGE_MS_MIN
    }
    while (may > 0 && old(this.list[0])) {
      this.list.shift()
      may -= 1
    }
    expect(this.log.forgetOld(this.now, this.durable)).toBe(before - this.list.length)
  }

  compare(record: RequestRecord): void {
    const { log } = this
    const found = this.list.find(({ method, idHigh, idLow }) => {
      return method === record.method && idHigh === record.idHigh && idLow === record.idLow
    })
    const slot = log.find(record.method, keyOf(record))
    if ((slot === undefined) !== (found === undefined)) expect.fail('one finds it, one does not')
    if (slot === undefined || found === undefined) return
    const { answer, revision } = log.answerOf(slot)
    if (answer !== found.answer || revision !== found.revision) expect.fail('another answer')
    if (!log.sameArguments(slot, keyOf(found))) expect.fail('its own arguments')
    const other = { ...keyOf(found), fingerprintLow: 7 }
    if (log.sameArguments(slot, other)) expect.fail('other arguments')
  }
}

describe(`a log of request ids is a list of them, seed ${SEED}`, () => {
  for (const [name, lowHalves, most] of [
    ['all in one place', 1, 300],
    ['in eight places', 8, 1500],
    ['well spread', 1_000_000, 3000],
  ] as const) {
    test(name, { timeout: 2 * MINUTES }, () => {
      const random = new Random(SEED + lowHalves)
      const pair = new Pair(random, lowHalves)
      const calls = lowHalves === 1 ? 8000 : 20_000
      for (let call = 0; call < calls; call += 1) {
        const kind = random.below(100)
        if (kind < 70 && pair.list.length < most) pair.push()
        else if (kind < 80) pair.durable = random.between(pair.durable, pair.revision)
        else if (kind < 82) pair.undo()
        else if (kind < 90) pair.now += random.below(REQUEST_ID_AGE_MS_MIN / 200)
        else pair.forget()
        if (pair.list.length > 0) pair.compare(random.pick(pair.list))
        pair.compare({ ...pair.fresh(), idHigh: random.below(pair.revision + 1) })
        pair.revision -= 1
        if (pair.log.count !== pair.list.length) expect.fail(`${pair.log.count} of them`)
      }
      for (const record of pair.list) pair.compare(record)
      expect([...pair.log.entries()]).toHaveLength(pair.list.length)
    })
  }
})

describe('how long an id is kept', () => {
  function filled(count: number, at: (i: number) => number): Pair {
    const pair = new Pair(new Random(1), 64)
    for (let i = 0; i < count; i += 1) {
      pair.now = at(i)
      pair.push()
    }
    pair.durable = pair.revision
    return pair
  }

  test('among the newest 1024 whatever its age; one more and it goes when it is old', () => {
    const age = REQUEST_ID_AGE_MS_MIN
    const pair = filled(REQUEST_IDS_KEPT_MIN + 1, () => 0)
    expect(pair.log.forgetOld(age - 1, pair.durable)).toBe(0)
    expect(pair.log.forgetOld(age, pair.durable)).toBe(1)
    expect(pair.log.forgetOld(age * 1000, pair.durable)).toBe(0)
    expect(pair.log.count).toBe(REQUEST_IDS_KEPT_MIN)
  })

  test('younger than ten minutes however many there are', () => {
    const pair = filled(5000, (i) => i)
    expect(pair.log.forgetOld(REQUEST_ID_AGE_MS_MIN + 999, pair.durable)).toBe(1000)
    expect(pair.log.count).toBe(4000)
  })

  test('none goes for a newer one that may yet be taken back', () => {
    const pair = filled(REQUEST_IDS_KEPT_MIN, () => 0)
    pair.now = REQUEST_ID_AGE_MS_MIN * 2
    for (let i = 0; i < 100; i += 1) {
      pair.push()
      expect(pair.log.forgetOld(pair.now, pair.durable)).toBe(0)
    }
    pair.undo()
    expect(pair.log.count).toBe(REQUEST_IDS_KEPT_MIN)
    for (const record of pair.list) pair.compare(record)
  })

  test('a clock that jumps back keeps all', () => {
    const pair = filled(2000, () => REQUEST_ID_AGE_MS_MIN * 10)
    expect(pair.log.forgetOld(0, pair.durable)).toBe(0)
  })

  test('taking back another than the newest is a bug', () => {
    const pair = filled(3, () => 0)
    const [oldest] = pair.list
    expect(() => oldest && pair.log.pop({ ...oldest, idLow: 1 })).toThrow('newest first')
    expect(() => new RequestLog().pop(pair.fresh())).toThrow('a request to take back')
  })
})
