/**
 * The four ways of noticing that an owner has ended: each alone suffices, and without any one of
 * them the others do. Sweeps stay within their bounds, and "exhausted" is not answered while dead
 * owners hold what is asked for.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { ALL_PATHS, EXHAUSTED_SWEEP_PAUSE_MS, type ReclaimPaths } from '../../src/broker/reaper.js'
import { BrokerRig, removeFolders, tenant, type RigOptions } from '../support/broker-rig.js'
import {
  busyVm,
  inForce,
  isGone,
  NO_PATHS,
  PATH_NAMES,
  stateOf,
  sweepNow,
} from '../support/broker-rig-reclaim.js'
import { codeOf, exactAsk, ok } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

async function start(options: RigOptions): Promise<BrokerRig> {
  rig = await BrokerRig.start(options)
  return rig
}

/** Two sessions may be open, so that a third must wait for a dead one to go. */
const TWO = { policy: { maxSessions: 2 } }

/** The owner ends, then whatever can notice it comes by; answers how it was noticed. */
async function noticed(paths: ReclaimPaths, restart: boolean): Promise<string | undefined> {
  let on = await start({ ...TWO, paths })
  const { vm, bound, idle } = await busyVm(on)
  const other = await busyVm(on)
  if (restart) on.owners.become(vm.owner, 'DEAD_PROVEN')
  else on.owners.kill(vm.owner)
  if (restart) rig = on = await on.restart()
  await on.settled()
  if (paths.sweeps && !isGone(on, vm)) await sweepNow(on)
  if (paths.beforeExhausted) await on.tryVm({ owner: on.owners.start() })
  await on.until(() => isGone(on, vm))
  await on.until(() => on.telemetry.reclaims.length > 0)
  expect(on.telemetry.reclaims).toMatchObject([{ pasids: 2, session: vm.name }])
  expect(await inForce(on)).toEqual([other.bound])
  expect(stateOf(on, other.vm)).toBe('OPEN')
  const { host } = on.broker.state
  expect([host.slotOf(bound), host.slotOf(idle)].every((slot) => slot !== 1)).toBe(true)
  return (await on.audit('RECLAIM'))[0]?.cause
}

describe('each way alone suffices', () => {
  test.each([
    ['events', false, 'EXIT'],
    // Who is watched anew at the start is found to have ended before.
    ['events', true, 'SWEEP'],
    ['startSweep', true, 'SWEEP'],
    ['sweeps', false, 'SWEEP'],
    ['sweeps', true, 'SWEEP'],
    ['beforeExhausted', false, 'SWEEP'],
    ['beforeExhausted', true, 'SWEEP'],
  ] as const)('%s, restarted: %s', async (path, restart, cause) => {
    expect(await noticed({ ...NO_PATHS, [path]: true }, restart)).toBe(cause)
  })

  test('none of them notices anything: the tests above can fail', async () => {
    let on = await start({ ...TWO, paths: NO_PATHS })
    const { vm, bound } = await busyVm(on)
    await busyVm(on)
    on.owners.kill(vm.owner)
    expect(codeOf(await on.tryVm({ owner: on.owners.start() }))).toBe('SESSIONS_EXHAUSTED')
    on.clock.pass(1e12)
    rig = on = await on.restart()
    on.clock.pass(1e12)
    await on.settled()
    expect(stateOf(on, vm)).toBe('OPEN')
    expect(await inForce(on)).toContain(bound)
  })
})

describe('with one way taken away the others do', () => {
  const cases = PATH_NAMES.flatMap((path) => [[path, false] as const, [path, true] as const])
  test.each(cases)('without %s, restarted: %s', async (path, restart) => {
    const cause = await noticed({ ...ALL_PATHS, [path]: false }, restart)
    expect(cause).toBe(path === 'events' || restart ? 'SWEEP' : 'EXIT')
  })
})

test('an owner that cannot be watched is left to sweeps; one that nobody can tell of, to nobody', async () => {
  const on = await start({ reclaim: { breakerFloor: 0, breakerShare: 0 } })
  const hidden = await on.vm({ owner: on.owners.start(1000, false) })
  const unknown = await on.vm()
  expect(on.owners.watches.size).toBe(1)
  expect(ok(await on.broker.reclaim())).toMatchObject({ watchedOwners: 1, unwatchedOwners: 1 })
  on.owners.kill(hidden.owner)
  on.owners.become(unknown.owner, 'UNKNOWN')
  await sweepNow(on)
  await on.until(() => isGone(on, hidden))
  for (let i = 0; i < 3; i += 1) await sweepNow(on)
  expect(stateOf(on, unknown)).toBe('OPEN')
  expect(ok(await on.broker.reclaim())).toMatchObject({ unknownOwners: 1, breakerOpen: false })
  const next = await on.restart()
  rig = next
  await sweepNow(next)
  expect(stateOf(next, unknown)).toBe('OPEN')
})

describe('a sweep', () => {
  const SESSIONS = 20_000

  async function crowded(budget: number, most: number): Promise<BrokerRig> {
    const on = await start({
      policy: { maxSessions: SESSIONS },
      paths: { ...ALL_PATHS, events: false },
      reclaim: { sweepBudgetMs: budget, sweepSessions: most, breakerShare: 100 },
    })
    await Promise.all(Array.from({ length: SESSIONS }, () => on.vm()))
    return on
  }

  test(`of ${SESSIONS} sessions ends at its bounds, and the next goes on from there`, async () => {
    let on = await crowded(1000, 6000)
    const ids = [...on.broker.state.sessions.values()]
    const last = ids[ids.length - 1]?.record
    if (last?.owner === undefined) throw new Error('the last has an owner')
    on.owners.become(last.owner, 'DEAD_PROVEN')
    let turns = 0
    const count = (): void => {
      turns += 1
      setImmediate(count)
    }
    setImmediate(count)
    let seenTurns = 0
    on.owners.onProbe = () => (seenTurns = turns)
    for (const [looked, unfinished] of [
      [6000, 1],
      [6000, 2],
      [6000, 3],
      [2000, 0],
    ]) {
      const before = seenTurns
      await sweepNow(on)
      expect(on.telemetry.sweeps.at(-1)).toMatchObject({ looked, whole: unfinished === 0 })
      const view = ok(await on.broker.reclaim())
      expect(view).toMatchObject({ sweepLooked: looked, unfinishedSweeps: unfinished })
      expect(seenTurns - before).toBeGreaterThan(((looked ?? 0) / 128) * 0.9)
    }
    await on.until(() => !on.broker.state.sessions.has(last.id))
    expect(on.owners.probes).toBe(SESSIONS)
    // Each owner costs 0.1 ms: the time is over after 10 of them, which is seen after 64.
    rig = on = await on.restart({ reclaim: { sweepBudgetMs: 1, sweepSessions: 6000 } })
    const { clock } = on
    on.owners.onProbe = () => clock.pass(0.1)
    await sweepNow(on)
    expect(on.telemetry.sweeps.at(-1)).toMatchObject({ looked: 64, whole: false })
    expect(on.telemetry.sweeps.at(-1)?.tookMs).toBeCloseTo(6.4)
    await sweepNow(on)
    expect(ok(await on.broker.reclaim())).toMatchObject({ sweepLooked: 64, unfinishedSweeps: 2 })
  })
})

describe('before "exhausted" is answered', () => {
  const WINDOW = { first: 300, last: 301 }
  const NARROW: RigOptions = {
    tenants: [tenant('default', { window: WINDOW })],
    paths: { ...NO_PATHS, beforeExhausted: true },
  }

  test('the numbers of dead owners are taken back; they come when their hold is over', async () => {
    const on = await start(NARROW)
    const dead = await busyVm(on)
    const asking = await on.vm()
    on.owners.become(dead.vm.owner, 'DEAD_PROVEN')
    const refused = await asking.allocate()
    expect(refused).toMatchObject({ refusal: { code: 'NAMESPACE_EXHAUSTED', retryMs: 1000 } })
    expect(isGone(on, dead.vm)).toBe(true)
    on.clock.pass(1000)
    expect(WINDOW.first <= (await asking.one())).toBe(true)
  })

  test('a quota is asked again at once, and a session more may be opened', async () => {
    const on = await start({ ...NARROW, tenants: [tenant('default', { maxSessions: 2 })] })
    const [dead, second] = [await busyVm(on), await on.vm()]
    on.owners.become(dead.vm.owner, 'DEAD_PROVEN')
    ok(await on.tryVm({ owner: on.owners.start() }))
    expect(stateOf(on, second)).toBe('OPEN')
  })

  test('at most once a second, and never for a limit of the session itself', async () => {
    const on = await start({ ...NARROW, tenants: [tenant('default', { maxPasids: 2 })] })
    const dead = await busyVm(on)
    const asking = await on.vm()
    const small = await on.vm({ maxPasids: 0 })
    expect(codeOf(await small.allocate())).toBe('QUOTA_EXCEEDED')
    expect(codeOf(await asking.allocate({ ask: exactAsk(256) }))).toBe('QUOTA_EXCEEDED')
    const { probes } = on.owners
    // Its own tenant's owners alone, and no part of the sweep of all.
    expect([probes, on.telemetry.sweeps]).toEqual([3, []])
    on.owners.become(dead.vm.owner, 'DEAD_PROVEN')
    on.clock.pass(EXHAUSTED_SWEEP_PAUSE_MS - 1)
    expect(codeOf(await asking.allocate())).toBe('QUOTA_EXCEEDED')
    expect(on.owners.probes).toBe(probes)
    on.clock.pass(1)
    await asking.allocate()
    expect(on.owners.probes).toBe(2 * probes)
    expect(isGone(on, dead.vm)).toBe(true)
  })

  test('is answered all the same while the teardown of the dead one cannot end', async () => {
    const on = await start({ ...NARROW, policy: { holdMs: 5000 } })
    const dead = await busyVm(on)
    const asking = await on.vm()
    on.owners.become(dead.vm.owner, 'DEAD_PROVEN')
    const unbinding = on.backend.hold('unbind')
    const asked = asking.allocate()
    await unbinding.reached
    on.clock.pass(EXHAUSTED_SWEEP_PAUSE_MS)
    expect(codeOf(await asked)).toBe('NAMESPACE_EXHAUSTED')
    unbinding.release()
    await on.until(() => isGone(on, dead.vm))
  })
})
