/**
 * core/ against a naive model, over random operations of every verb and completion, with time
 * passing, the disk lagging and commits failing (test/support/core-driver.ts). SEED=n replays or
 * varies it, OPS=n says how many operations in total.
 */

import process from 'node:process'
import { describe, expect, test } from 'vitest'
import type { TenantPolicy } from '../../src/core/quota.js'
import type { Policy } from '../../src/core/state.js'
import { Driver } from '../support/core-driver.js'
import { Random, device, policy, tenantPolicy, type WorldDevice } from '../support/core-world.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)
const OPS = Number(process.env['OPS'] ?? 1_000_000)
const GROUPS = 10
const OPS_PER_WORLD = 12_500
const INSPECT_EVERY = 500
const RESTART_EVERY = 2500
const MINUTES = 60_000

const KERNEL = { first: 1, last: 255, reason: 'the host kernel' }
/** What is left is soon used up: then guarantees bite where no limit does. */
const ALMOST_ALL = { first: 400, last: 2 ** 20 - 1, reason: 'another operator' }
const HOLE = { first: 310, last: 319, reason: 'an operator' }

/** Limits of every kind, 0 and absent among them; a tenant below another in two steps. */
function tenantsOf(random: Random): TenantPolicy[] {
  const maybe = (value: number): number | undefined => (random.chance(40) ? undefined : value)
  return [
    tenantPolicy('site', {
      maxPasids: maybe(random.between(20, 140)),
      guaranteedPasids: maybe(random.between(0, 20)),
      maxSessions: maybe(10),
    }),
    tenantPolicy('team', {
      parent: 'site',
      maxPasids: maybe(random.between(0, 60)),
      guaranteedPasids: maybe(random.between(0, 20)),
      sessionMaxPasids: maybe(random.between(5, 40)),
      window: { first: 256, last: 399 },
    }),
    tenantPolicy('project', {
      parent: 'team',
      maxPasids: maybe(random.between(0, 30)),
      maxSessions: maybe(random.between(0, 4)),
      window: random.chance(50) ? { first: 380, last: 900 } : undefined,
      devices: random.chance(30) ? new Map([['shared9', 'HOST']]) : undefined,
    }),
    tenantPolicy('nothing', { maxPasids: 0, sessionMaxPasids: maybe(0) }),
    tenantPolicy('sure', { guaranteedPasids: random.between(0, 40) }),
    tenantPolicy('free', { devices: new Map([['own6', 'DEVICE']]) }),
    tenantPolicy('free', { window: { first: 500, last: 520 } }),
  ].filter(({ name }, i, all) => all.findIndex((other) => other.name === name) === i)
}

function policyOf(random: Random): Policy {
  return policy({
    hostMaxPasids: random.chance(50) ? random.between(60, 250) : undefined,
    sessionMaxPasids: random.between(10, 60),
    maxSessions: random.between(4, 14),
    maxRequestIds: random.chance(20) ? random.between(40, 300) : 1_000_000,
    holdMs: random.pick([0, 40, 1000]),
    lingerMsMax: random.pick([0, 1000, 60_000]),
    reservations: random.pick([[], [KERNEL, HOLE], [KERNEL, HOLE], [KERNEL, HOLE, ALMOST_ALL]]),
    tenants: tenantsOf(random),
  })
}

function devicesOf(random: Random): WorldDevice[] {
  return [
    device('plain', 'HOST', { shared: false, translation: 'NONE', extendedAccessed: false }),
    device('shared9', 'HOST', { pasidBits: 9 }),
    device('shared20', 'HOST', { passThrough: false, supervisorRequests: false }),
    device('shy', 'HOST', { pasidBits: random.between(8, 20) }),
    device('amd', 'HOST', { platform: 'AMD', addressWidths: [], pasidBits: 16 }),
    device('none0', 'HOST', { pasidBits: 0 }),
    device('own6', 'DEVICE', { pasidBits: 6, shared: false, translation: 'NONE' }),
    device('shy-own', 'DEVICE', { addressWidths: [48] }),
  ]
}

/** Every way that a decision may end; a run that misses one has lost its teeth. */
const EXPECTED = [
  ...[
    'accepted',
    'SESSIONS_EXHAUSTED',
    'REQUEST_ID_REUSED',
    'NOT_OWNER',
    'OWNER_TOKEN_INVALID',
  ].map((how) => `open ${how}`),
  ...['accepted', 'wait', 'SESSION_NOT_FOUND', 'SESSION_CLOSING'].map((how) => `close ${how}`),
  'attach accepted',
  'attach DEVICE_NOT_FOUND',
  'attach DEVICE_ALREADY_ATTACHED',
  'attach DEVICE_IN_USE',
  ...['accepted', 'wait', 'DEVICE_NOT_ATTACHED'].map((how) => `detach ${how}`),
  'allocate accepted',
  'allocate QUOTA_EXCEEDED',
  'allocate RANGE_EMPTY',
  'allocate NAMESPACE_EXHAUSTED',
  'allocate PASID_TAKEN',
  'allocate PASID_RESERVED',
  'allocate PASID_OUT_OF_RANGE',
  'allocate SCOPE_NOT_ALLOWED',
  'allocate DEVICE_NOT_ATTACHED',
  'allocate REQUEST_ID_REUSED',
  'allocate REQUEST_IDS_EXHAUSTED',
  ...['accepted', 'wait', 'PASID_NOT_FOUND', 'REQUEST_ID_REUSED'].map((how) => `free ${how}`),
  ...['accepted', 'wait', 'PASID_NOT_FOUND', 'PASID_BEING_FREED'].map((how) => `bind ${how}`),
  'bind PASID_BEYOND_DEVICE_WIDTH',
  'bind GUEST_PASID_MISMATCH',
  'bind GUEST_PASID_TAKEN',
  'bind TABLE_UNSUPPORTED',
  'bind ALREADY_BOUND',
  'bind NOT_BOUND',
  'bind BIND_SUPERSEDED',
  'bind RID_NOT_AVAILABLE',
  'bind DEVICE_NOT_FOUND',
  ...['settled', 'superseded'].map((how) => `bound ${how}`),
  ...['accepted', 'NOT_BOUND', 'DEVICE_NOT_ATTACHED'].map((how) => `unbind ${how}`),
  'invalidate accepted',
  'invalidate INVALIDATION_UNSUPPORTED',
  'invalidate NOT_BOUND',
  'invalidate PASID_NOT_FOUND',
  ...['gone', 'resumed', 'withheld', 'unproven'].map((how) => `closed ${how}`),
  ...['nothing', 'session'].flatMap((how) => [`proved ${how}`, `doubted ${how}`]),
  ...['nothing', 'rests'].map((how) => `hold over ${how}`),
  ...['accepted', 'wait', 'SESSION_NOT_FOUND', 'SESSION_CLOSING'].map((how) => `lose ${how}`),
  ...['goes on', 'ends'].flatMap((how) => [`lost ${how}`, `linger ${how}`]),
  ...['accepted', 'wait', 'SESSION_CLOSING', 'NOT_OWNER'].map((how) => `resume ${how}`),
  ...['allocate', 'free', 'bind', 'attach'].map((verb) => `${verb} SESSION_LINGERING`),
  ...['0', '1', '2'].map((how) => `reclaimed ${how}`),
  ...['accepted', 'wait', 'PASID_NOT_FOUND', 'PASID_BEING_FREED'].map((how) => `release ${how}`),
  'release GENERATION_STALE',
  ...['accepted', 'TENANT_NOT_FOUND', 'INVALID_ARGUMENT', 'ETAG_STALE'].map(
    (how) => `update ${how}`,
  ),
  ...['is there', 'is all'].map((how) => `headroom ${how}`),
  'lost told',
  'undone 5',
]

function wander(seed: number, operations: number): ReadonlyMap<string, number> {
  const random = new Random(seed)
  const driver = new Driver(random.below(2 ** 31), policyOf(random), devicesOf(random), ['former'])
  for (let done = 1; done <= operations; done += 1) {
    try {
      driver.step()
      if (done % INSPECT_EVERY === 0 || done === operations) driver.inspect()
      if (done % RESTART_EVERY === 0 || done === operations) driver.restart()
    } catch (error) {
      throw new Error(`world ${seed}, operation ${done}`, { cause: error })
    }
  }
  return driver.seen
}

describe(`core/ does what the naive model says, ${OPS} operations, seed ${SEED}`, () => {
  const seen = new Map<string, number>()
  const worlds = Math.max(1, Math.ceil(OPS / OPS_PER_WORLD))
  for (let group = 0; group < GROUPS; group += 1) {
    test(`group ${group + 1} of ${GROUPS}`, { timeout: 5 * MINUTES }, () => {
      for (let world = group; world < worlds; world += GROUPS) {
        const found = wander(SEED * 1009 + world, Math.min(OPS, OPS_PER_WORLD))
        for (const [key, count] of found) seen.set(key, (seen.get(key) ?? 0) + count)
      }
    })
  }

  test('and every ending of every verb came up', (context) => {
    if (OPS < 500_000) context.skip(true, 'too few operations to meet everything')
    if (process.env['SHOW'] !== undefined) console.log(new Map([...seen].sort()))
    expect(EXPECTED.filter((key) => (seen.get(key) ?? 0) === 0)).toEqual([])
  })
})
