/**
 * The owner's process ends: what it held is taken back in order, at once or after a linger, and
 * only from it. Who may command a session while that goes on. Processes are the test's own script.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import type { SessionEvent, WatchStep } from '../../src/broker/answers.js'
import { SLOT } from '../../src/core/namespace.js'
import { BrokerRig, removeFolders, tenant, type RigOptions } from '../support/broker-rig.js'
import { blockAsk, codeOf, ok, requestKey, type RigVm } from '../support/broker-rig-vm.js'
import type { OpenAsk } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

/** One VM with a number bound, one idle, and a device. */
async function up(ask: OpenAsk = {}, options: RigOptions = {}) {
  const on = await BrokerRig.start(options)
  rig = on
  const vm = await on.vm(ask)
  ok(await vm.attach())
  const [bound, idle] = [await vm.one(), await vm.one()]
  ok(await vm.bind(bound))
  await on.settled()
  return { on, vm, bound, idle }
}

function gone(on: BrokerRig, vm: RigVm): boolean {
  return !on.broker.state.sessions.has(vm.id)
}

async function inForce(on: BrokerRig): Promise<number[]> {
  const observed = await on.emulator.observe()
  return observed.kind === 'KNOWN' ? observed.places.map(({ target }) => target) : []
}

function stateOf(on: BrokerRig, vm: RigVm) {
  return on.broker.state.sessions.get(vm.id)?.record.state
}

describe('the event', () => {
  test('takes everything down in order, and numbers are free only after the hold', async () => {
    const { on, vm, bound, idle } = await up()
    const other = await on.vm()
    ok(await other.attach())
    const theirs = await other.one()
    ok(await other.bind(theirs))
    await on.settled()
    const events: SessionEvent[] = []
    on.broker.subscribe({
      session: vm.id,
      receivePageRequests: false,
      deliver: (event) => events.push(event),
    })
    const cursor = ok(on.broker.watch(undefined, () => undefined))
    on.emulator.operations.on = true
    const unbinding = on.backend.hold('unbind')
    on.clock.pass(500)
    on.owners.kill(vm.owner)
    await unbinding.reached
    const { host } = on.broker.state
    expect(host.slotOf(bound)).toBe(SLOT.FREE_PENDING)
    expect(host.slotOf(idle)).toBe(SLOT.QUARANTINED)
    expect(stateOf(on, vm)).toBe('CLOSING')
    unbinding.release()
    await on.until(() => gone(on, vm))
    await on.settled()
    const kinds = on.emulator.operations.list().map(({ kind }) => kind)
    expect(kinds).toEqual([
      'CLEAR_PRESENT',
      'INVALIDATE_PASID_CACHE',
      'INVALIDATE_IOTLB',
      'INVALIDATE_DEVICE_TLB',
      'CLEAR_ENTRY',
      'DRAIN_PAGE_REQUESTS',
    ])
    expect(await inForce(on)).toEqual([theirs])
    expect(other.bindingState(theirs)).toBe('BOUND')
    await on.until(() => events.length > 0)
    expect(events).toEqual([{ kind: 'session-ended', cause: 'its owner has ended' }])
    const pids = { ownerPid: vm.owner.pid, sessions: 1, session: vm.name }
    expect(on.telemetry.reclaims).toEqual([{ cause: 'EXIT', pasids: 2, ageMs: 500, ...pids }])
    const [record] = await on.audit('RECLAIM')
    expect(record).toMatchObject({ cause: 'EXIT', actor: undefined, outcome: 'DONE' })
    expect(record?.subject).toBe(`sessions/${vm.name}`)
    expect(record?.details).toMatch(/held 2 PASIDs, 1 bindings, 1 devices/)
    const seen: string[] = []
    for (let step: WatchStep | undefined; (step = cursor.next()) !== undefined; ) {
      if (step.kind === 'change') seen.push(...step.change.events.map(({ kind }) => kind))
    }
    expect(seen.filter((kind) => kind === 'released')).toHaveLength(2)
    expect(seen.at(-1)).toBe('session-changed')
    on.clock.pass(999)
    ok(await other.allocate())
    expect([host.slotOf(bound), host.slotOf(idle)]).toEqual([SLOT.QUARANTINED, SLOT.QUARANTINED])
    on.clock.pass(1)
    ok(await other.allocate())
    expect([host.slotOf(bound), host.slotOf(idle)]).toEqual([SLOT.FREE, SLOT.FREE])
  })

  test('of one that lives is not a reason to ask twice, and one that comes twice is one', async () => {
    const { on, vm } = await up()
    on.owners.kill(vm.owner)
    on.owners.deliver(vm.owner)
    await on.broker.reclaim()
    await on.until(() => gone(on, vm))
    expect(await on.audit('RECLAIM')).toHaveLength(1)
  })

  test('while a grant is on its way to the disk: that is taken back as well', async () => {
    const { on, vm } = await up()
    const append = on.ledger.holdAppend()
    const asked = vm.allocate({ ask: blockAsk(3) })
    await append.reached
    on.owners.kill(vm.owner)
    append.release()
    await asked
    await on.until(() => gone(on, vm))
    expect(on.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 10 })
    await on.until(() => on.telemetry.reclaims.length > 0)
    expect(on.telemetry.reclaims).toMatchObject([{ pasids: 10 }])
  })

  test('of three hundred sessions at once: all gone, and each told once', async () => {
    const on = await BrokerRig.start({ policy: { maxSessions: 2000 } })
    rig = on
    const all = await Promise.all(Array.from({ length: 300 }, () => on.vm()))
    const living = await on.vm()
    await Promise.all([...all, living].map((vm) => vm.one()))
    for (const { owner } of all) on.owners.kill(owner)
    await on.until(() => on.broker.state.sessions.size === 1)
    await on.until(() => on.telemetry.reclaims.length === all.length)
    expect(await living.held()).toHaveLength(1)
    expect(on.owners.watches.size).toBe(1)
  })
})

describe('a session that lingers', () => {
  test('has a successor in time: nothing is lost, and the late event is not for it', async () => {
    const { on, vm, bound } = await up({ lingerMs: 5000 })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    expect(codeOf(await vm.allocate())).toBe('SESSION_LINGERING')
    expect(await inForce(on)).toEqual([bound])
    on.clock.pass(4999)
    const heir = on.owners.start()
    const resumed = ok(await on.resume(vm, heir)).session
    expect(resumed).toMatchObject({ state: 'OPEN', cause: undefined, owner: heir })
    on.clock.pass(60_000)
    on.owners.deliver(vm.owner)
    await on.broker.reclaim()
    ok(await vm.allocate())
    expect(await vm.held()).toHaveLength(3)
    expect(on.telemetry.reclaims).toEqual([])
    expect((await on.audit()).map(({ action }) => action)).toEqual([
      'RESUME_SESSION',
      'LINGER',
      'OPEN_SESSION',
    ])
    // The successor's own end counts.
    on.owners.kill(heir)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
  })

  test('has none: reclaimed when the time is over, and its subscribers are told', async () => {
    const { on, vm } = await up({ lingerMs: 5000 })
    const events: SessionEvent[] = []
    const deliver = (event: SessionEvent): void => void events.push(event)
    on.broker.subscribe({ session: vm.id, receivePageRequests: false, deliver })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    on.clock.pass(4999)
    await on.broker.getSession(vm.id)
    expect(stateOf(on, vm)).toBe('LINGERING')
    on.clock.pass(1)
    await on.until(() => events.length > 0)
    expect(events).toEqual([{ kind: 'session-ended', cause: 'its owner has ended' }])
    expect(gone(on, vm)).toBe(true)
    expect(on.telemetry.reclaims).toMatchObject([{ cause: 'LINGER', pasids: 2 }])
    expect((await on.audit('RECLAIM'))[0]).toMatchObject({ cause: 'LINGER' })
    expect(codeOf(await on.resume(vm, on.owners.start()))).toBe('SESSION_NOT_FOUND')
  })

  test('is repeated by its delegate while it lingers: it goes on lingering, and ends', async () => {
    const request = requestKey('open')
    const { on, vm } = await up({ lingerMs: 5000, delegate: 7, request })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    const again = await on.tryVm({ owner: vm.owner, delegate: 7, lingerMs: 5000, request })
    expect(ok(again).session).toMatchObject({ id: vm.id, state: 'LINGERING' })
    on.clock.pass(5000)
    await on.until(() => gone(on, vm))
  })

  test('waits anew after a restart', async () => {
    const { on, vm, bound } = await up({ lingerMs: 5000 })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    on.clock.pass(4000)
    rig = await on.restart()
    expect(await inForce(rig)).toEqual([bound])
    rig.clock.pass(4999)
    await rig.settled()
    expect(stateOf(rig, vm)).toBe('LINGERING')
    ok(await rig.resume(vm, rig.owners.start()))
    rig = await rig.restart()
    expect(stateOf(rig, vm)).toBe('OPEN')
  })

  test.each([
    [0, 'ends at once'],
    [70_000, 'is cut to what the host allows'],
  ])('asked for %d ms: %s', async (lingerMs) => {
    const { on, vm } = await up({ lingerMs })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) !== 'OPEN')
    if (lingerMs > 0) {
      on.clock.pass(59_999)
      await on.settled()
      expect(stateOf(on, vm)).toBe('LINGERING')
      on.clock.pass(1)
    }
    await on.until(() => gone(on, vm))
  })
})

describe('a hand-over and the ledger', () => {
  test('refused while the time runs out: the session ends, and is not forgotten', async () => {
    const { on, vm } = await up({ lingerMs: 5000 })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    await on.settled()
    const append = on.ledger.holdAppend()
    on.ledger.plan({ nth: 1, how: 'NOT_WRITTEN' })
    const resuming = on.resume(vm, on.owners.start())
    await append.reached
    on.clock.pass(5000)
    append.release()
    expect(codeOf(await resuming)).toBe('LEDGER_UNAVAILABLE')
    await on.passUntil(() => gone(on, vm) && on.broker.info().writable)
    expect(on.telemetry.reclaims).toMatchObject([{ cause: 'LINGER' }])
  })

  test('refused, and found written: its end is noticed like any other', async () => {
    const { on, vm } = await up({ lingerMs: 60_000 })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    await on.settled()
    on.ledger.plan({ nth: 1, how: 'UNKNOWN_WRITTEN', reopenFailures: 2 })
    const heir = on.owners.start()
    expect(codeOf(await on.resume(vm, heir))).toBe('LEDGER_UNAVAILABLE')
    await on.passUntil(() => on.broker.info().writable)
    expect(stateOf(on, vm)).toBe('OPEN')
    on.clock.pass(60_000)
    await on.settled()
    expect(stateOf(on, vm)).toBe('OPEN')
    on.owners.kill(heir)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
  })

  test('ended by its heir before its hand-over fails: memory is what the file says', async () => {
    const { on, vm } = await up({ lingerMs: 5000 })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    await on.settled()
    const append = on.ledger.holdAppend()
    on.ledger.plan({ nth: 1, how: 'NOT_WRITTEN', reopenFailures: 1 })
    const resuming = on.resume(vm, on.owners.start())
    await append.reached
    const unbinding = on.backend.hold('unbind')
    const closing = vm.close()
    append.release()
    expect(codeOf(await resuming)).toBe('LEDGER_UNAVAILABLE')
    await unbinding.reached
    expect(await on.problems()).toEqual([])
    unbinding.release()
    expect(ok(await closing)).toMatchObject({ freed: 2, durable: false })
    await on.passUntil(() => gone(on, vm) && on.broker.info().writable)
  })
})

describe('who may command', () => {
  const asked = (on: BrokerRig, vm: RigVm, process: RigVm['owner'], more?: Partial<Caller>) => {
    return codeOf(on.broker.authenticate(on.bearer(vm, process, more)))
  }

  test('the owner and its delegate, and nobody else who has the token', async () => {
    const { on, vm } = await up({ delegate: 500 }, { tenants: [tenant('default'), tenant('b')] })
    const delegateFor = new Set(['default'])
    const manager = { tenant: undefined, delegateFor }
    expect(asked(on, vm, vm.owner)).toBe('ACCEPTED')
    expect(asked(on, vm, on.owners.start())).toBe('NOT_OWNER')
    expect(asked(on, vm, on.owners.start(500), manager)).toBe('ACCEPTED')
    expect(asked(on, vm, on.owners.start(501), manager)).toBe('NOT_OWNER')
    // The same user, but not as a delegate: the config says no more that it is one.
    expect(asked(on, vm, on.owners.start(500))).toBe('NOT_OWNER')
    const elsewhere = { tenant: undefined, delegateFor: new Set(['b']) }
    expect(asked(on, vm, on.owners.start(500), elsewhere)).toBe('SESSION_NOT_FOUND')
    const both = { tenant: 'default', delegateFor: new Set(['b']) }
    expect(asked(on, vm, on.owners.start(500), both)).toBe('NOT_OWNER')
    expect(asked(on, vm, vm.owner, { tenant: 'b' })).toBe('SESSION_NOT_FOUND')
    expect(codeOf(on.broker.authenticate({ ...on.bearer(vm), tokenHash: '0'.repeat(64) }))).toBe(
      'SESSION_TOKEN_WRONG',
    )
  })

  test('not the delegate of an owner that has just ended, nor a caller that has', async () => {
    const { on, vm } = await up({ delegate: 500 })
    const manager = on.owners.start(500)
    const caller = on.bearer(vm, manager, { delegateFor: new Set(['default']) }).caller
    expect(on.broker.recheck(caller, vm.id)).toBeUndefined()
    on.owners.become(vm.owner, 'DEAD_PROVEN')
    expect(on.broker.recheck(caller, vm.id)).toEqual({ code: 'OWNER_ENDED', pid: vm.owner.pid })
    expect(asked(on, vm, vm.owner)).toBe('CALLER_ENDED')
    on.owners.become(manager, 'DEAD_PROVEN')
    expect(on.broker.recheck(caller, vm.id)).toMatchObject({ code: 'CALLER_ENDED' })
    on.owners.deliver(vm.owner)
    await on.until(() => gone(on, vm))
    expect(on.broker.recheck(caller, vm.id)).toMatchObject({ code: 'SESSION_NOT_FOUND' })
  })

  test('of a session that nobody owns: whoever has the token may take it, and then only it', async () => {
    const on = await BrokerRig.start()
    rig = on
    const name = ok(await on.tryVm({ name: 'old' })).session
    const [vm, heir] = [(await on.vm()).on(on.broker), on.owners.start()]
    const old = Object.assign(vm, { id: name.id, name: name.name })
    expect(asked(on, old, heir)).toBe('SESSION_LINGERING')
    expect(ok(await on.resume(old, heir)).session.owner).toEqual(heir)
    expect(asked(on, old, heir)).toBe('ACCEPTED')
    expect(codeOf(await on.resume(old, on.owners.start()))).toBe('NOT_OWNER')
    on.owners.kill(heir)
    await on.until(() => gone(on, old))
  })

  test('the owner that resumes what is its own; another while it lives is refused', async () => {
    const { on, vm } = await up({ lingerMs: 100 })
    const revision = on.broker.state.revision
    ok(await on.resume(vm, vm.owner))
    expect(on.broker.state.revision).toBe(revision)
    expect(codeOf(await on.resume(vm, on.owners.start()))).toBe('NOT_OWNER')
    for (const liveness of ['UNKNOWN', 'DEAD_INFERRED'] as const) {
      on.owners.become(vm.owner, liveness)
      expect(codeOf(await on.resume(vm, on.owners.start()))).toBe('NOT_OWNER')
    }
  })

  test('a successor that is faster than the event gets the session; without linger nobody does', async () => {
    const { on, vm } = await up({ lingerMs: 100 })
    on.owners.become(vm.owner, 'DEAD_PROVEN')
    const heir = on.owners.start()
    expect(ok(await on.resume(vm, heir)).session.owner).toEqual(heir)
    on.owners.deliver(vm.owner)
    await on.settled()
    expect(stateOf(on, vm)).toBe('OPEN')
    const strict = await on.vm()
    on.owners.become(strict.owner, 'DEAD_PROVEN')
    expect(codeOf(await on.resume(strict, on.owners.start()))).toBe('SESSION_NOT_FOUND')
  })
})

test('what a sweep found of a former owner does not touch its successor', async () => {
  const { on, vm } = await up({ lingerMs: 5000 }, { reclaim: { sweepSessions: 1 } })
  const second = await on.vm()
  on.owners.become(vm.owner, 'DEAD_INFERRED')
  // One at the start, of nothing. The first step of a pass sees it; the hand-over comes before the
  // pass is over.
  on.clock.pass(1e9)
  await on.until(() => on.telemetry.sweeps.length === 2)
  on.owners.become(vm.owner, 'DEAD_PROVEN')
  const heir = on.owners.start()
  ok(await on.resume(vm, heir))
  await on.until(() => on.clock.timers > 0)
  on.clock.pass(1e9)
  await on.until(() => on.telemetry.sweeps.length === 3)
  await on.settled()
  expect(on.telemetry.sweeps.map(({ inferred }) => inferred)).toEqual([0, 1, 0])
  expect(stateOf(on, vm)).toBe('OPEN')
  expect(stateOf(on, second)).toBe('OPEN')
  on.owners.kill(heir)
  await on.until(() => stateOf(on, vm) === 'LINGERING')
})
