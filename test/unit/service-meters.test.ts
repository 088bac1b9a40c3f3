/** Rates and bounds per tenant: buckets against a naive model, hold-back, refusal, memory. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { accept, refuse, type Refusal } from '../../src/core/refusal.js'
import { Bucket } from '../../src/service/bucket.js'
import { DEFAULT_SERVICE_LIMITS } from '../../src/service/limits.js'
import { meterKey, Meters } from '../../src/service/meters.js'
import { RigClock } from '../support/broker-rig-clock.js'
import { processOf, TestCaller } from '../support/service-callers.js'

describe('a bucket', () => {
  test('lets the burst through at once, then one an interval', () => {
    const bucket = new Bucket({ perSecond: 10, burst: 3 })
    expect([1, 2, 3, 4, 5].map(() => bucket.take(0))).toEqual([0, 0, 0, 100, 200])
    expect(bucket.waitMs(150)).toBe(150)
    expect(bucket.waitMs(300)).toBe(0)
    expect(bucket.isFull(499)).toBe(false)
    expect(bucket.isFull(500)).toBe(true)
  })

  test('saves no more than the burst, however long the pause', () => {
    const bucket = new Bucket({ perSecond: 1000, burst: 2 })
    expect([1, 2, 3].map(() => bucket.take(1e9))).toEqual([0, 0, 1])
  })

  test('without a rate never makes anybody wait', () => {
    const bucket = new Bucket({ perSecond: 0, burst: 1 })
    for (let i = 0; i < 1000; i += 1) expect(bucket.take(5)).toBe(0)
  })

  test('is a counter that is filled up evenly, whatever comes when', () => {
    const arrivals = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 })
    const property = fc.property(fc.constantFrom(1, 4, 8), arrivals, (burst, pauses) => {
      const bucket = new Bucket({ perSecond: 8, burst })
      let tokens: number = burst
      let now = 0
      for (const pause of pauses) {
        now += pause
        tokens = Math.min(burst, tokens + pause / 125)
        const waitMs = bucket.waitMs(now)
        expect(waitMs).toBeCloseTo(tokens >= 1 ? 0 : (1 - tokens) * 125, 6)
        // Taken only when there, as unary calls do, or in advance, as streams do.
        if (waitMs > 0 && pause % 2 === 0) continue
        expect(bucket.take(now)).toBeCloseTo(waitMs, 6)
        tokens -= 1
      }
    })
    fc.assert(property, { numRuns: 200, seed: 7 })
  })
})

const METHOD = 'PasidBroker/GetSession'

/** Calls through meters, with what became of each. */
class Rig {
  readonly clock = new RigClock()
  readonly meters: Meters
  readonly ran: number[] = []
  readonly refused: { id: number; refusal: Refusal }[] = []
  readonly leave = new Map<number, () => void>()
  readonly gone = new Set<number>()
  #next = 1

  constructor(limits: Partial<typeof DEFAULT_SERVICE_LIMITS>) {
    this.meters = new Meters({ ...DEFAULT_SERVICE_LIMITS, ...limits }, this.clock)
  }

  call(key = 'tenants/a', method = METHOD): number {
    const id = this.#next++
    this.meters.admit(key, method, {
      run: (left) => {
        this.ran.push(id)
        this.leave.set(id, left)
      },
      refuse: (refusal) => this.refused.push({ id, refusal }),
      gone: () => this.gone.has(id),
    })
    return id
  }

  calls(count: number, key?: string): number[] {
    return Array.from({ length: count }, () => this.call(key))
  }
}

const SLOW = { callsPerSecond: 10, callsBurst: 2, rateWaitMs: 300 }

describe('a call over its rate', () => {
  test('waits for its token, and runs in its turn', () => {
    const rig = new Rig(SLOW)
    const ids = rig.calls(5)
    expect(rig.ran).toEqual(ids.slice(0, 2))
    rig.clock.pass(99)
    expect(rig.ran).toEqual(ids.slice(0, 2))
    rig.clock.pass(1)
    expect(rig.ran).toEqual(ids.slice(0, 3))
    rig.clock.pass(200)
    expect(rig.ran).toEqual(ids)
    expect(rig.refused).toEqual([])
  })

  test('that would wait too long is held back as long, then refused with when to come again', () => {
    const rig = new Rig(SLOW)
    const ids = rig.calls(6)
    rig.clock.pass(299)
    expect(rig.refused).toEqual([])
    rig.clock.pass(1)
    const [tenant, method] = ['tenants/a', METHOD]
    const refusal = { code: 'RATE_LIMITED', tenant, method, limit: 10, retryMs: 100 }
    expect(rig.refused).toEqual([{ id: ids[5], refusal }])
    rig.clock.pass(100)
    rig.call()
    expect(rig.ran).toHaveLength(6)
  })

  test('takes no token when it is refused', () => {
    const rig = new Rig(SLOW)
    rig.calls(100)
    rig.clock.pass(300)
    expect(rig.refused).toHaveLength(95)
    rig.clock.pass(100)
    const { ran } = rig
    const before = ran.length
    rig.call()
    expect(ran).toHaveLength(before + 1)
  })

  test('is neither run nor answered when its client has gone meanwhile, and counts no more', () => {
    const rig = new Rig(SLOW)
    const ids = rig.calls(7)
    for (const id of ids.slice(2)) rig.gone.add(id)
    rig.clock.pass(1000)
    expect(rig.ran).toEqual(ids.slice(0, 2))
    expect(rig.refused).toEqual([])
    expect(rig.meters.hold('tenants/a').calls.count).toBe(2)
  })

  test('holds up neither another method nor another tenant', () => {
    const rig = new Rig(SLOW)
    rig.calls(50)
    const others = [rig.call('tenants/b'), rig.call('tenants/a', 'PasidBroker/FreePasids')]
    expect(rig.ran.slice(2)).toEqual(others)
  })
})

describe('calls under way', () => {
  test('are bounded per tenant, those that wait included; beyond, they are refused at once', () => {
    const rig = new Rig({ ...SLOW, tenantCallsInFlight: 4 })
    const ids = rig.calls(5)
    const what = 'calls of tenants/a under way'
    expect(rig.refused).toEqual([{ id: ids[4], refusal: { code: 'OVERLOADED', limit: 4, what } }])
    rig.call('tenants/b')
    expect(rig.refused).toHaveLength(1)
    rig.leave.get(ids[0] ?? 0)?.()
    rig.call()
    expect(rig.refused).toHaveLength(1)
  })
})

describe('memory', () => {
  test('is kept for those who call, not for all who ever did', () => {
    const rig = new Rig({ callsPerSecond: 10, callsBurst: 2 })
    for (let uid = 0; uid < 10_000; uid += 1) {
      rig.leave.get(rig.call(`uid:${uid}`))?.()
      rig.clock.pass(1000)
    }
    expect(rig.meters.count).toBeLessThanOrEqual(64)
  })

  test('is never given up for one who has calls under way, streams, or a bucket not full', () => {
    const rig = new Rig({ callsPerSecond: 1, callsBurst: 1, rateWaitMs: 0 })
    rig.call('tenants/under-way')
    const stream = rig.meters.hold('tenants/stream')
    rig.clock.pass(10_000)
    rig.leave.get(rig.call('tenants/just-called'))?.()
    for (let uid = 0; uid < 1000; uid += 1) {
      rig.meters.release(rig.meters.hold(`uid:${uid}`))
    }
    expect(rig.meters.hold('tenants/stream')).toBe(stream)
    expect(rig.meters.hold('tenants/under-way').calls.count).toBe(1)
    rig.call('tenants/just-called')
    rig.clock.pass(0)
    expect(rig.refused.map(({ refusal }) => refusal.code)).toEqual(['RATE_LIMITED'])
  })
})

test('calls count for the tenant, for a delegate by user, for a stranger by user', () => {
  expect(meterKey(accept(new TestCaller({ tenant: 'a' })))).toBe('tenants/a')
  const delegateFor = new Set(['a'])
  const delegate = { tenant: undefined, delegateFor, process: processOf(9, 1007) }
  expect(meterKey(accept(new TestCaller(delegate)))).toBe('delegate:1007')
  const refusal = { code: 'IDENTITY_REFUSED', uid: 4, gid: 4, pid: 4, problem: '', remedy: '' }
  expect(meterKey(refuse(refusal as Refusal))).toBe('uid:4')
})
