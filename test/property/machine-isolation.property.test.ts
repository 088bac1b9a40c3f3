/**
 * One tenant at full speed, and what is left for another: where every tenant has a limit and the
 * limits fit the namespace, no churn of a neighbour can make an allocation fail. SEED=n varies it.
 */

import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { pasid, type SessionId } from '../../src/core/ids.js'
import { problemsOf } from '../../src/core/invariants.js'
import { verbs } from '../../src/core/machine.js'
import type { PasidRange } from '../../src/core/range.js'
import { Random, World, codeOf, policy, tenantPolicy } from '../support/core-world.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)
const MINUTES = 60_000
/** All the numbers that there are to share: 300 to 427. */
const RANGE: PasidRange = { first: 300, last: 427 }
const VICTIM = 32
const CHURNER = 96

function ask(world: World, session: SessionId, order: number, range: PasidRange = RANGE) {
  const scope = { kind: 'HOST' } as const
  const block = order === 0 ? ({ kind: 'ONE' } as const) : ({ kind: 'BLOCK', order } as const)
  const rest = { scope, ask: block, range, devices: [], labels: {}, request: undefined }
  return verbs.allocate(world.state, { verb: 'allocate', session, ...rest }, world.now)
}

function giveBack(world: World, session: SessionId, numbers: readonly number[]): void {
  const what = { kind: 'NUMBERS', pasids: numbers.map(pasid) } as const
  const rest = { scope: { kind: 'HOST' }, request: undefined } as const
  const command = { verb: 'free', session, what, ...rest } as const
  const decided = verbs.free(world.state, command, world.now, world.state.revision)
  if (decided.kind === 'accepted') world.apply(decided.events)
}

function ownOf(world: World, session: SessionId): number[] {
  return [...world.state.host.heldBy(session)].sort((a, b) => a - b)
}

/** Takes and gives back what it can, as fast as it can; the disk lags behind. */
function churn(world: World, sessions: readonly SessionId[], random: Random): void {
  for (let i = 0; i < 40; i += 1) {
    const session = random.pick(sessions)
    const decided = ask(world, session, random.chance(80) ? 0 : random.below(5))
    if (decided.kind === 'accepted') world.apply(decided.events)
    if (random.chance(40)) {
      giveBack(
        world,
        session,
        ownOf(world, session).filter(() => random.chance(30)),
      )
    }
    if (random.chance(10)) world.commit()
    if (random.chance(2)) world.undo()
    if (random.chance(20)) world.pass(random.below(400))
  }
}

function worldOf(random: Random): { world: World; victim: SessionId; churners: SessionId[] } {
  const world = new World(
    policy({
      holdMs: random.pick([0, 200, 1000]),
      reservations: [
        { first: 1, last: RANGE.first - 1, reason: 'others' },
        { first: RANGE.last + 1, last: 2 ** 20 - 1, reason: 'others' },
      ],
      tenants: [
        tenantPolicy('victim', { maxPasids: VICTIM }),
        tenantPolicy('churner', { maxPasids: CHURNER }),
        tenantPolicy('helper', { parent: 'churner' }),
      ],
    }),
  )
  const churners = [world.open('churner'), world.open('churner'), world.open('helper')]
  return { world, victim: world.open('victim'), churners }
}

describe(`a tenant within its limit is served whatever its neighbour does, seed ${SEED}`, () => {
  test('one number more, at any moment, up to the limit', { timeout: 2 * MINUTES }, () => {
    for (let round = 0; round < 12; round += 1) {
      const random = new Random(SEED + round)
      const { world, victim, churners } = worldOf(random)
      for (let step = 0; step < 250; step += 1) {
        churn(world, churners, random)
        const { used } = world.state.tenant(world.tenantId('victim'))
        const decided = ask(world, victim, 0)
        expect(codeOf(decided)).toBe(used < VICTIM ? 'accepted' : 'QUOTA_EXCEEDED')
        if (decided.kind === 'accepted' && random.chance(70)) world.apply(decided.events)
        if (random.chance(20)) {
          world.commit()
          const own = ownOf(world, victim).filter(() => random.chance(50))
          giveBack(world, victim, own)
        }
        const churned = world.state.tenant(world.tenantId('churner')).used
        expect(churned).toBeLessThanOrEqual(CHURNER)
      }
      world.commit()
      expect(problemsOf(world.state)).toEqual([])
    }
  })

  test('the whole limit at once, after any churn', { timeout: 2 * MINUTES }, () => {
    for (let round = 0; round < 30; round += 1) {
      const random = new Random(SEED + 1000 + round)
      const { world, victim, churners } = worldOf(random)
      for (let step = 0; step < 20; step += 1) churn(world, churners, random)
      for (let i = 0; i < VICTIM; i += 1) world.take(ask(world, victim, 0))
      expect(codeOf(ask(world, victim, 0))).toBe('QUOTA_EXCEEDED')
    }
  })

  test('a window of its own keeps even blocks free', { timeout: 2 * MINUTES }, () => {
    const window = { first: 384, last: 415 }
    const tenants = [
      tenantPolicy('victim', { maxPasids: 32, window }),
      tenantPolicy('churner', { window: { first: 256, last: 383 } }),
    ]
    for (let round = 0; round < 20; round += 1) {
      const random = new Random(SEED + 2000 + round)
      const world = new World(policy({ tenants }))
      const churners = [world.open('churner'), world.open('churner')]
      const victim = world.open('victim')
      for (let step = 0; step < 20; step += 1) churn(world, churners, random)
      const { runs } = world.take(ask(world, victim, 5, { first: 1, last: 2 ** 20 - 1 }))
      expect(runs).toEqual([{ first: 384, count: 32 }])
    }
  })
})

describe('a number that was released', () => {
  test(`is not granted before its hold is over and its release durable, seed ${SEED}`, () => {
    for (let round = 0; round < 10; round += 1) {
      const random = new Random(SEED + 3000 + round)
      const { world, churners } = worldOf(random)
      const { holdMs } = world.policy
      /** When each was released last, and by which revision. */
      const released = new Map<number, { at: number; revision: number; generation: number }>()
      for (let step = 0; step < 3000; step += 1) {
        const session = random.pick(churners)
        const decided = ask(world, session, random.chance(80) ? 0 : random.below(5))
        if (decided.kind === 'accepted') {
          const { runs, generation } = decided.answer
          for (const { first, count } of runs) {
            for (let at = first; at < first + count; at += 1) {
              const before = released.get(at)
              if (before === undefined) continue
              expect(world.instant - before.at).toBeGreaterThanOrEqual(holdMs)
              expect(before.revision).toBeLessThanOrEqual(world.state.durable)
              expect(generation).toBeGreaterThan(before.generation)
            }
          }
          world.apply(decided.events)
        }
        if (random.chance(40)) world.commit()
        if (random.chance(60)) {
          const own = ownOf(world, session).filter(() => random.chance(30))
          const revision = world.state.revision + 1
          const host = world.state.host
          const given = own.map((at) => [at, host.holderOf(at).generation] as const)
          const { held } = host.counts
          giveBack(world, session, own)
          if (host.counts.held === held) continue
          for (const [at, generation] of given) {
            released.set(at, { at: world.instant, revision, generation })
          }
        }
        if (random.chance(30)) world.pass(random.below(400))
      }
    }
  })
})
