/**
 * Everything that takes something back, or hands it over, while the ledger fails at each commit in
 * turn and in every way, and while the process is killed at each commit in turn: what was taken
 * back stays taken back, nothing that was refused is visible, nothing of a living owner is lost,
 * and memory, file and backend agree.
 */

import { afterAll, afterEach, expect, test } from 'vitest'
import type { EndedSession, OpenedSession, ReleasedAllocation } from '../../src/broker/answers.js'
import { generation, pasid } from '../../src/core/ids.js'
import { SLOT } from '../../src/core/namespace.js'
import type { RigProcess } from '../support/broker-rig-owners.js'
import type { Outcome } from '../../src/core/refusal.js'
import type { TenantView } from '../../src/core/view.js'
import { BrokerRig, removeFolders, tenant } from '../support/broker-rig.js'
import {
  busyVm,
  inForce,
  isGone,
  stateOf,
  sweepNow,
  type BusyVm,
} from '../support/broker-rig-reclaim.js'
import { ACTOR, ok, type RigVm } from '../support/broker-rig-vm.js'
import type { AppendFailure } from '../support/failing-ledger.js'

/** Commits that fail, one after the other: more than the acts make. */
const NTH_LAST = 9
const LINGER_MS = 1e7
const LIMIT = 77

let rig: BrokerRig | undefined

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})
afterAll(removeFolders)

/** Sessions by what is done to them. */
interface World {
  readonly living: BusyVm
  readonly dying: BusyVm
  readonly lingering: BusyVm
  readonly handed: BusyVm
  readonly ended: BusyVm
  readonly released: BusyVm
  readonly withheld: BusyVm
  readonly heir: RigProcess
}

async function world(): Promise<{ on: BrokerRig; all: World }> {
  const on = await BrokerRig.start({
    tenants: [tenant('default'), tenant('limited')],
    reclaim: { breakerFloor: 0, breakerShare: 0 },
  })
  const all = {
    living: await busyVm(on),
    dying: await busyVm(on),
    lingering: await busyVm(on, { lingerMs: LINGER_MS }),
    handed: await busyVm(on, { lingerMs: LINGER_MS }),
    ended: await busyVm(on),
    released: await busyVm(on),
    withheld: await busyVm(on),
    heir: on.owners.start(),
  }
  on.owners.become(all.withheld.vm.owner, 'DEAD_INFERRED')
  await sweepNow(on)
  await on.until(() => on.broker.state.sessions.get(all.withheld.vm.id)?.attachments.size === 0)
  on.owners.kill(all.handed.vm.owner)
  await on.until(() => stateOf(on, all.handed.vm) === 'LINGERING')
  await on.settled()
  return { on, all }
}

interface Answers {
  readonly ended: Outcome<EndedSession>
  readonly released: Outcome<ReleasedAllocation>
  readonly updated: Outcome<TenantView>
  readonly resumed: Outcome<OpenedSession>
  readonly reclaimed: Outcome<{ sessions: number }>
}

/** All of them, a few to a commit; some may never be answered when the process is killed. */
async function act(on: BrokerRig, all: World): Promise<Answers> {
  const { broker } = on
  const said = { actor: ACTOR, reason: '', validateOnly: false }
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1))
  on.owners.kill(all.dying.vm.owner)
  const resuming = on.resume(all.handed.vm, all.heir)
  await turn()
  const ending = broker.endSession({ ...said, name: all.ended.vm.name })
  on.owners.kill(all.lingering.vm.owner)
  await turn()
  const { bound } = all.released
  const of = broker.state.host.holderOf(bound).generation
  const place = {
    scope: { kind: 'HOST' },
    pasid: pasid(bound),
    generation: generation(of),
  } as const
  const releasing = broker.releaseAllocation({ ...said, ...place })
  const change = { maxPasids: LIMIT }
  const updating = broker.updateTenant({ ...said, tenant: 'limited', change, etag: undefined })
  await turn()
  const reclaiming = broker.resumeReclaim(said)
  const [ended, released, updated, resumed, reclaimed] = await Promise.all([
    ending,
    releasing,
    updating,
    resuming,
    reclaiming,
  ])
  return { ended, released, updated, resumed, reclaimed }
}

function isHeld(on: BrokerRig, { vm }: { vm: RigVm }, number: number): boolean {
  const { host } = on.broker.state
  return host.slotOf(number) === SLOT.HELD && host.sessionOf(number) === vm.id
}

/** Whatever happened: nothing of the living is lost. */
async function livingIsWhole(on: BrokerRig, { living, released, lingering }: World): Promise<void> {
  expect(stateOf(on, living.vm)).toBe('OPEN')
  expect(isHeld(on, living, living.bound) && isHeld(on, living, living.idle)).toBe(true)
  expect(isHeld(on, released, released.idle)).toBe(true)
  // Its owner has ended, and it waits for a successor with all that it has.
  expect(stateOf(on, lingering.vm)).toBe('LINGERING')
  expect(isHeld(on, lingering, lingering.bound)).toBe(true)
  const bound = await inForce(on)
  expect(bound).toEqual(expect.arrayContaining([living.bound, lingering.bound]))
}

function takenBack(on: BrokerRig, { dying, ended, withheld, released }: World): boolean {
  const gone = [dying, ended, withheld].every(({ vm }) => isGone(on, vm))
  return gone && on.broker.state.host.slotOf(released.bound) !== SLOT.HELD
}

function limitOf(on: BrokerRig): number | undefined {
  return on.broker.state.tenantByName.get('limited')?.policy?.maxPasids
}

const WAYS: readonly (readonly [AppendFailure, number, number])[] = [
  ['NOT_WRITTEN', 0, 1],
  ['NOT_WRITTEN', 2, 2],
  ['UNKNOWN_WRITTEN', 0, 1],
  ['UNKNOWN_WRITTEN', 2, 1],
  ['UNKNOWN_NOT_WRITTEN', 0, 1],
  ['UNKNOWN_NOT_WRITTEN', 2, 2],
]

test.each(WAYS)('%s, reopened at attempt %d + 1, %d in a row', async (...way) => {
  const [how, reopenFailures, times] = way
  let failed = 0
  for (let nth = 1; nth <= NTH_LAST; nth += 1) {
    const { on, all } = await world()
    rig = on
    on.ledger.plan({ nth, how, times, reopenFailures })
    const { ended, released, updated, resumed, reclaimed } = await act(on, all)
    expect([ended.ok, released.ok, reclaimed.ok]).toEqual([true, true, true])
    await on.passUntil(() => {
      const { writable, durableRevision } = on.broker.info()
      const onDisk = writable && durableRevision === on.broker.state.revision
      return onDisk && takenBack(on, all) && on.broker.unfinishedTeardowns === 0
    })
    failed += on.ledger.failures
    on.ledger.plan({ nth: Infinity, how })
    const maybe = how === 'UNKNOWN_WRITTEN' && on.telemetry.failures.length > 0
    const state = stateOf(on, all.handed.vm)
    const owner = on.broker.state.sessions.get(all.handed.vm.id)?.record.owner
    if (resumed.ok) expect([state, owner]).toEqual(['OPEN', all.heir])
    else if (!maybe) expect([state, owner]).toEqual(['LINGERING', all.handed.vm.owner])
    expect(isHeld(on, all.handed, all.handed.bound)).toBe(true)
    if (updated.ok) expect(limitOf(on)).toBe(LIMIT)
    else if (!maybe) expect(limitOf(on)).toBeUndefined()
    await livingIsWhole(on, all)
    expect(await on.problems()).toEqual([])
    expect(await on.differencesFromFile()).toEqual([])
    // Whoever was refused asks again.
    ok(await on.resume(all.handed.vm, all.heir))
    const next = await on.restart()
    rig = next
    expect(takenBack(next, all)).toBe(true)
    expect(stateOf(next, all.handed.vm)).toBe('OPEN')
    await livingIsWhole(next, all)
    expect(await next.problems()).toEqual([])
    expect(await next.audit('RECLAIM')).toHaveLength(2)
    expect(await next.audit('END_SESSION')).toHaveLength(1)
    await next.stop()
    rig = undefined
  }
  // The later ones come after the last commit of the acts.
  expect(failed).toBeGreaterThanOrEqual(3)
})

test('killed at each commit: what is half done is finished, and nothing else is lost', async () => {
  for (let nth = 1; nth <= NTH_LAST; nth += 1) {
    const { on, all } = await world()
    let reached = false
    const first = on.ledger.appends
    on.ledger.onAppend = (count) => {
      if (count - first === nth) {
        on.ledger.freeze()
        reached = true
      }
    }
    const answers: { resumed?: boolean; updated?: boolean; ended?: boolean } = {}
    const acting = act(on, all).then(({ resumed, updated, ended }) => {
      Object.assign(answers, { resumed: resumed.ok, updated: updated.ok, ended: ended.ok })
    })
    const late = new Promise((resolve) => setTimeout(resolve, 200))
    await Promise.race([acting, late, on.until(() => reached)])
    const next = await on.kill()
    rig = next
    const { vm } = all.dying
    expect(isGone(next, vm)).toBe(true)
    expect(next.broker.state.host.slotOf(all.dying.bound)).not.toBe(SLOT.HELD)
    // Before its end was durable it has all, after it nothing: never a half.
    if (!isGone(next, all.ended.vm)) expect(isHeld(next, all.ended, all.ended.bound)).toBe(true)
    if (answers.ended === true) expect(isGone(next, all.ended.vm)).toBe(true)
    if (answers.updated === true) expect(limitOf(next)).toBe(LIMIT)
    if (answers.resumed === true) expect(stateOf(next, all.handed.vm)).toBe('OPEN')
    expect(isHeld(next, all.handed, all.handed.bound)).toBe(true)
    await livingIsWhole(next, all)
    expect(await next.problems()).toEqual([])
    ok(await next.broker.resumeReclaim({ actor: ACTOR, reason: '' }))
    expect(isGone(next, all.withheld.vm)).toBe(true)
    await next.settled()
    expect(await next.differencesFromFile()).toEqual([])
    await next.stop()
    rig = undefined
  }
})

test.each([
  ['unbind', 'BEFORE'],
  ['unbind', 'AFTER'],
  ['detachDevice', 'BEFORE'],
  ['detachDevice', 'AFTER'],
] as const)('killed in a reclaim, at %s, %s it', async (effect, when) => {
  const { on, all } = await world()
  const held = on.backend.hold(effect, when)
  on.owners.kill(all.dying.vm.owner)
  await held.reached
  await on.settled()
  const next = await on.kill()
  rig = next
  expect(isGone(next, all.dying.vm)).toBe(true)
  expect(await inForce(next)).not.toContain(all.dying.bound)
  const { host } = next.broker.state
  expect(host.slotOf(all.dying.bound)).toBe(SLOT.QUARANTINED)
  expect(host.slotOf(all.dying.idle)).toBe(SLOT.QUARANTINED)
  expect(await next.problems()).toEqual([])
})

test.each([
  ['bind', true],
  ['bind', false],
  ['unbind', true],
  ['unbind', false],
  ['attachDevice', true],
  ['attachDevice', false],
] as const)('killed in the middle of %s, the owner lives: %s', async (effect, lives) => {
  const { on, all } = await world()
  const { vm, bound, idle } = all.living
  const held = on.backend.hold(effect)
  if (effect === 'bind') void vm.bind(idle)
  if (effect === 'unbind') void vm.free([bound])
  if (effect === 'attachDevice') void vm.attach('emu1')
  await held.reached
  await on.settled()
  if (!lives) on.owners.become(vm.owner, 'DEAD_PROVEN')
  const next = await on.kill()
  rig = next
  const places = await inForce(next)
  expect(places.includes(idle)).toBe(lives && effect === 'bind')
  expect(places.includes(bound)).toBe(lives && effect !== 'unbind')
  expect(isGone(next, vm)).toBe(!lives)
  if (lives) {
    const devices = next.broker.state.sessions.get(vm.id)?.attachments.size
    expect(devices).toBe(effect === 'attachDevice' ? 2 : 1)
    expect(await vm.on(next.broker).held()).toEqual(effect === 'unbind' ? [idle] : [bound, idle])
  }
  expect(await next.problems()).toEqual([])
})
