/**
 * The circuit breaker: more inferred deaths than may be hold their numbers back, over restarts and
 * however long, until an operator resumes reclaim. Tables are cleared all the same, what the kernel
 * confirms never counts, and "cannot tell" takes nothing back.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { SLOT } from '../../src/core/namespace.js'
import { BrokerRig, removeFolders, type RigOptions } from '../support/broker-rig.js'
import {
  busyVm,
  inForce,
  isGone,
  passNow,
  stateOf,
  sweepNow,
  type BusyVm,
} from '../support/broker-rig-reclaim.js'
import { ACTOR, ok, type OpenAsk } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

async function crowd(size: number, reclaim: RigOptions['reclaim'], ask: OpenAsk = {}) {
  const on = await BrokerRig.start({ reclaim: { ...reclaim } })
  rig = on
  const vms: BusyVm[] = []
  for (let i = 0; i < size; i += 1) vms.push(await busyVm(on, ask))
  return { on, vms }
}

function slots(on: BrokerRig, { bound, idle }: BusyVm): number[] {
  const { host } = on.broker.state
  return [host.slotOf(bound), host.slotOf(idle)]
}

const HELD_BACK = [SLOT.FREE_PENDING, SLOT.FREE_PENDING]
const STRICT = { breakerFloor: 1, breakerShare: 25 }

/** Tables cleared, devices let go, numbers held back. */
async function isHeldBack(on: BrokerRig, busy: BusyVm): Promise<void> {
  const { vm } = busy
  await on.until(() => on.broker.state.sessions.get(vm.id)?.attachments.size === 0)
  expect(stateOf(on, vm)).toBe('CLOSING')
  expect(await inForce(on)).not.toContain(busy.bound)
  expect(slots(on, busy)).toEqual(HELD_BACK)
}

describe('it opens past floor and share', () => {
  test.each([
    // [owners, inferred, floor, share, opens]
    [4, 2, 2, 0, false],
    [4, 3, 2, 0, true],
    [8, 2, 0, 25, false],
    [8, 3, 0, 25, true],
    [8, 3, 3, 25, false],
    [4, 4, 0, 100, false],
    [4, 1, 0, 0, true],
  ])('%d owners, %d inferred, floor %d, share %d %%: %s', async (...row) => {
    const [owners, inferred, breakerFloor, breakerShare, opens] = row
    const { on, vms } = await crowd(owners, { breakerFloor, breakerShare, sweepSessions: 3 })
    for (const { vm } of vms.slice(0, inferred)) on.owners.become(vm.owner, 'DEAD_INFERRED')
    await passNow(on)
    expect(ok(await on.broker.reclaim()).breakerOpen).toBe(opens)
    const dead = vms.slice(0, inferred)
    if (opens) for (const busy of dead) await isHeldBack(on, busy)
    else await on.until(() => dead.every(({ vm }) => isGone(on, vm)))
    for (const { vm } of vms.slice(inferred)) expect(stateOf(on, vm)).toBe('OPEN')
    expect(on.telemetry.opened).toEqual(
      opens ? [{ inferred, looked: owners, share: breakerShare }] : [],
    )
    const audit = await on.audit('BREAKER_OPENED')
    expect(audit.map(({ details }) => details)).toEqual(
      opens ? [`inferred the end of ${inferred} of ${owners} owners`] : [],
    )
  })

  test('not for proven deaths, nor for those that nobody can tell of', async () => {
    const { on, vms } = await crowd(6, { breakerFloor: 0, breakerShare: 0 })
    for (const { vm } of vms.slice(0, 3)) on.owners.become(vm.owner, 'DEAD_PROVEN')
    for (const { vm } of vms.slice(3, 5)) on.owners.become(vm.owner, 'UNKNOWN')
    await sweepNow(on)
    await on.until(() => vms.slice(0, 3).every(({ vm }) => isGone(on, vm)))
    expect(ok(await on.broker.reclaim())).toMatchObject({ breakerOpen: false, unknownOwners: 2 })
    for (const { vm } of vms.slice(3)) expect(stateOf(on, vm)).toBe('OPEN')
  })
})

describe('while it is open', () => {
  test('no number returns however long, restarts included; ResumeReclaim lets them', async () => {
    const { on, vms } = await crowd(6, STRICT)
    const dead = vms.slice(0, 3)
    for (const { vm } of dead) on.owners.become(vm.owner, 'DEAD_INFERRED')
    await sweepNow(on)
    for (const busy of dead) await isHeldBack(on, busy)
    on.clock.pass(1e12)
    await vms[5]?.vm.one()
    for (const busy of dead) expect(slots(on, busy)).toEqual(HELD_BACK)
    const held = { breakerOpen: true, withheldSessions: 3, withheldPasids: 6, stuckCount: 0 }
    expect(ok(await on.broker.reclaim())).toMatchObject(held)
    for (let round = 0; round < 2; round += 1) {
      const next: BrokerRig = await (rig ?? on).restart()
      rig = next
      next.clock.pass(1e6)
      await next.settled()
      for (const busy of dead) await isHeldBack(next, busy)
      expect(ok(await next.broker.reclaim())).toMatchObject(held)
    }
    const now = rig ?? on
    const resumed = await now.broker.resumeReclaim({ reason: 'a pid namespace', actor: ACTOR })
    expect(ok(resumed)).toEqual({ sessions: 3, pasids: 6 })
    expect(dead.every(({ vm }) => isGone(now, vm))).toBe(true)
    expect(now.telemetry.closed).toEqual([{ sessions: 3, pasids: 6 }])
    expect(ok(await now.broker.reclaim())).toMatchObject({
      breakerOpen: false,
      withheldSessions: 0,
    })
    expect(now.broker.state.host.counts.quarantined).toBe(6)
    const [record] = await now.audit('RESUME_RECLAIM')
    expect(record).toMatchObject({ actor: ACTOR, cause: 'a pid namespace', outcome: 'DONE' })
    await now.settled()
    now.clock.pass(1000)
    await vms[5]?.vm.on(now.broker).one()
    for (const busy of dead) expect(slots(now, busy)).toEqual([SLOT.FREE, SLOT.FREE])
  })

  test('further inferred deaths are held back as well, those that the kernel tells of are not', async () => {
    const { on, vms } = await crowd(6, STRICT)
    for (const { vm } of vms.slice(0, 3)) on.owners.become(vm.owner, 'DEAD_INFERRED')
    await sweepNow(on)
    const [later, killed, swept] = vms.slice(3)
    if (later === undefined || killed === undefined || swept === undefined) throw new Error('six')
    on.owners.become(later.vm.owner, 'DEAD_INFERRED')
    on.owners.become(swept.vm.owner, 'DEAD_PROVEN')
    await sweepNow(on)
    await isHeldBack(on, later)
    on.owners.kill(killed.vm.owner)
    await on.until(() => isGone(on, killed.vm) && isGone(on, swept.vm))
    expect(on.telemetry.opened).toHaveLength(1)
    expect(ok(await on.broker.reclaim()).withheldSessions).toBe(4)
  })

  test('sessions that linger are held back when their time is over, after a restart too', async () => {
    const { on, vms } = await crowd(4, STRICT, { lingerMs: 1000 })
    const [first, second, third] = vms
    if (first === undefined || second === undefined || third === undefined) throw new Error('four')
    for (const { vm } of vms) on.owners.become(vm.owner, 'DEAD_INFERRED')
    await sweepNow(on)
    await on.until(() => vms.every(({ vm }) => stateOf(on, vm) === 'LINGERING'))
    const next = await on.restart()
    rig = next
    expect(ok(await next.broker.reclaim()).breakerOpen).toBe(true)
    // Whoever comes in time has everything back.
    const heir = next.owners.start()
    expect(ok(await next.resume(third.vm, heir)).session).toMatchObject({
      withheld: false,
      held: 2,
    })
    next.clock.pass(1000)
    await isHeldBack(next, first)
    await isHeldBack(next, second)
    next.owners.kill(heir)
    await next.until(() => stateOf(next, third.vm) === 'LINGERING')
    next.clock.pass(1000)
    await next.until(() => isGone(next, third.vm))
    expect(ok(await next.broker.resumeReclaim({ reason: '', actor: ACTOR })).sessions).toBe(3)
    await next.until(() => next.broker.state.sessions.size === 0)
  })

  test('ResumeReclaim while they still linger: they go on lingering, and are held back by nobody', async () => {
    const { on, vms } = await crowd(3, STRICT, { lingerMs: 1000 })
    for (const { vm } of vms) on.owners.become(vm.owner, 'DEAD_INFERRED')
    await sweepNow(on)
    await on.until(() => vms.every(({ vm }) => stateOf(on, vm) === 'LINGERING'))
    ok(await on.broker.resumeReclaim({ reason: '', actor: ACTOR }))
    expect(vms.every(({ vm }) => stateOf(on, vm) === 'LINGERING')).toBe(true)
    on.clock.pass(1000)
    await on.until(() => vms.every(({ vm }) => isGone(on, vm)))
  })

  test('an operator may end what is held back only by resuming; nothing is asked twice', async () => {
    const { on, vms } = await crowd(3, STRICT)
    for (const { vm } of vms) on.owners.become(vm.owner, 'DEAD_INFERRED')
    await sweepNow(on)
    for (const busy of vms) await isHeldBack(on, busy)
    const name = vms[0]?.vm.name ?? ''
    const act = { reason: '', actor: ACTOR, validateOnly: false }
    expect(await on.broker.endSession({ name, ...act })).toMatchObject({
      refusal: { code: 'SESSION_CLOSING' },
    })
    const both = [on.broker.resumeReclaim(act), on.broker.resumeReclaim(act)]
    expect((await Promise.all(both)).map((one) => ok(one).sessions)).toEqual([3, 0])
    expect(on.broker.state.sessions.size).toBe(0)
  })
})

test('a sweep at the start infers too: held back before anything serves', async () => {
  const { on, vms } = await crowd(4, STRICT)
  for (const { vm } of vms.slice(1)) on.owners.become(vm.owner, 'DEAD_INFERRED')
  const next = await on.restart()
  rig = next
  for (const busy of vms.slice(1)) {
    expect(slots(next, busy)).toEqual(HELD_BACK)
    await isHeldBack(next, busy)
  }
  expect(await inForce(next)).toEqual([vms[0]?.bound])
  expect(next.telemetry.opened).toHaveLength(1)
})
