/**
 * What operators do: end, release, change limits. A dry run changes nothing, what is out of date is
 * refused, every act and every refusal is recorded, and those whom it concerns are told.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { SessionEvent } from '../../src/broker/answers.js'
import { generation, pasid } from '../../src/core/ids.js'
import { SLOT } from '../../src/core/namespace.js'
import { BrokerRig, removeFolders, tenant } from '../support/broker-rig.js'
import { busyVm, inForce, isGone, stateOf } from '../support/broker-rig-reclaim.js'
import { ACTOR, codeOf, ok, type RigVm } from '../support/broker-rig-vm.js'
import { exactLines } from '../support/canonical.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

const TREE = [
  tenant('default'),
  tenant('team', { parent: 'default' }),
  tenant('squad', { parent: 'team' }),
  tenant('beside', { parent: 'default' }),
]
const HOST = { kind: 'HOST' } as const
const ACT = { actor: ACTOR, reason: 'because', validateOnly: false }

async function up() {
  const on = await BrokerRig.start({ tenants: TREE })
  rig = on
  return { on, ...(await busyVm(on)) }
}

function hear(on: BrokerRig, { id: session }: RigVm): SessionEvent[] {
  const events: SessionEvent[] = []
  const deliver = (event: SessionEvent): void => void events.push(event)
  on.broker.subscribe({ session, receivePageRequests: false, deliver })
  return events
}

async function outcomes(on: BrokerRig): Promise<string[]> {
  await on.settled()
  return (await on.audit()).map(({ action, outcome }) => `${action} ${outcome}`)
}

describe('EndSession', () => {
  test('says what it breaks, breaks it, and is recorded with its reason', async () => {
    const { on, vm, bound } = await up()
    const events = hear(on, vm)
    const ended = ok(await on.broker.endSession({ ...ACT, name: vm.name }))
    expect(ended).toMatchObject({ durable: true, session: { held: 2, bindings: 1, state: 'OPEN' } })
    expect(isGone(on, vm)).toBe(true)
    expect(await inForce(on)).not.toContain(bound)
    expect(events).toEqual([{ kind: 'session-ended', cause: 'ended by an operator' }])
    expect((await on.audit('END_SESSION'))[0]).toMatchObject({ actor: ACTOR, cause: 'because' })
    expect(on.owners.watches.size).toBe(0)
    on.owners.kill(vm.owner)
    expect(on.telemetry.reclaims).toMatchObject([{ cause: 'OPERATOR', sessions: 1, pasids: 2 }])
    expect(codeOf(await on.broker.endSession({ ...ACT, name: vm.name }))).toBe('SESSION_NOT_FOUND')
    expect((await outcomes(on))[0]).toBe('END_SESSION SESSION_NOT_FOUND')
  })

  test('of one that lingers ends it at once', async () => {
    const on = await BrokerRig.start()
    rig = on
    const vm = await on.vm({ lingerMs: 5000 })
    on.owners.kill(vm.owner)
    await on.until(() => stateOf(on, vm) === 'LINGERING')
    ok(await on.broker.endSession({ ...ACT, name: vm.name }))
    expect(isGone(on, vm)).toBe(true)
    on.clock.pass(5000)
    await on.settled()
    expect(await on.audit('RECLAIM')).toEqual([])
  })

  test('while its owner ends as well: it ends once', async () => {
    const { on, vm } = await up()
    const ending = on.broker.endSession({ ...ACT, name: vm.name })
    on.owners.kill(vm.owner)
    ok(await ending)
    await on.settled()
    expect((await outcomes(on)).filter((text) => !text.startsWith('OPEN'))).toEqual([
      'END_SESSION DONE',
    ])
  })
})

describe('ReleaseAllocation', () => {
  test('takes one number back, and its binding; the others stay', async () => {
    const { on, vm, bound, idle } = await up()
    const now = ok(await on.broker.getAllocation({ scope: HOST, pasid: bound }))
    const request = { ...ACT, scope: HOST, pasid: pasid(bound) }
    const release = (of: number) => {
      return on.broker.releaseAllocation({ ...request, generation: generation(of) })
    }
    expect(codeOf(await release(now.generation - 1))).toBe('GENERATION_STALE')
    const released = ok(await release(now.generation))
    expect(released).toMatchObject({ durable: true, allocation: { pasid: bound, state: 'ACTIVE' } })
    expect(released.allocation.bindings).toHaveLength(1)
    await on.settled()
    expect(on.broker.state.host.slotOf(bound)).toBe(SLOT.QUARANTINED)
    expect(await inForce(on)).toEqual([])
    expect(await vm.held()).toEqual([idle])
    // Late calls of the owner find nothing, and harm nothing.
    expect(ok(await vm.free([bound])).freed).toBe(0)
    expect(codeOf(await release(now.generation))).toBe('PASID_BEING_FREED')
    on.clock.pass(1000)
    await vm.one()
    expect(codeOf(await release(now.generation))).toBe('PASID_NOT_FOUND')
    expect((await outcomes(on)).filter((text) => text.startsWith('RELEASE'))).toEqual([
      'RELEASE_ALLOCATION PASID_NOT_FOUND',
      'RELEASE_ALLOCATION PASID_BEING_FREED',
      'RELEASE_ALLOCATION DONE',
      'RELEASE_ALLOCATION GENERATION_STALE',
    ])
    const [record] = (await on.audit('RELEASE_ALLOCATION')).filter((row) => row.outcome === 'DONE')
    expect(record?.subject).toBe(`pasids/HOST/${bound}`)
    expect(record?.details).toMatch(`1 bindings of sessions/${vm.name}`)
  })

  test('of one that is not durable yet waits for it, and then takes it', async () => {
    const { on, vm } = await up()
    const append = on.ledger.holdAppend()
    const asked = vm.allocate()
    await append.reached
    const [newest] = [...on.broker.state.host.heldBy(vm.id)].sort((a, b) => b - a)
    const number = newest ?? 0
    const of = on.broker.state.host.holderOf(number).generation
    const releasing = on.broker.releaseAllocation({
      ...ACT,
      scope: HOST,
      pasid: pasid(number),
      generation: of,
    })
    append.release()
    ok(await asked)
    expect(ok(await releasing).allocation.pasid).toBe(number)
  })
})

describe('UpdateTenant', () => {
  test('below the usage is legal: nothing is taken, nothing more is given, raising gives again', async () => {
    const { on, vm } = await up()
    const update = (maxPasids: number | null) => {
      return on.broker.updateTenant({
        ...ACT,
        tenant: 'default',
        change: { maxPasids },
        etag: undefined,
      })
    }
    expect(ok(await update(1))).toMatchObject({ maxPasids: 1, used: 2, overridden: true })
    expect(await vm.held()).toHaveLength(2)
    expect(codeOf(await vm.allocate())).toBe('QUOTA_EXCEEDED')
    const next = await on.restart()
    rig = next
    const again = vm.on(next.broker)
    expect(codeOf(await again.allocate())).toBe('QUOTA_EXCEEDED')
    const raise = { ...ACT, tenant: 'default', etag: undefined }
    ok(await next.broker.updateTenant({ ...raise, change: { maxPasids: 3 } }))
    ok(await again.allocate())
    expect(codeOf(await again.allocate())).toBe('QUOTA_EXCEEDED')
    const reverted = ok(await next.broker.updateTenant({ ...raise, change: 'REVERT' }))
    expect(reverted).toMatchObject({ maxPasids: undefined, overridden: false })
    ok(await again.allocate())
  })

  test('is told to subscribers of the tenant and below it, of no other', async () => {
    const { on } = await up()
    const [team, squad, beside] = [
      await on.vm({ tenant: 'team' }),
      await on.vm({ tenant: 'squad' }),
      await on.vm({ tenant: 'beside' }),
    ]
    const heard = [team, squad, beside].map((vm) => hear(on, vm))
    const change = { maxPasids: 5 }
    ok(await on.broker.updateTenant({ ...ACT, tenant: 'team', change, etag: undefined }))
    const headroom = { tenant: 5 }
    expect(heard[0]).toMatchObject([{ kind: 'quota-changed', headroom }])
    expect(heard[1]).toMatchObject([{ kind: 'quota-changed', headroom }])
    expect(heard[2]).toEqual([])
  })

  test('with an etag that is out of date is refused, and nobody is told', async () => {
    const { on, vm } = await up()
    const events = hear(on, vm)
    const view = ok(await on.broker.listTenants({ after: undefined, limit: 10 })).rows
    const etag = view.find(({ name }) => name === 'default')?.etag
    const request = { ...ACT, tenant: 'default', etag }
    const changed = ok(await on.broker.updateTenant({ ...request, change: { maxPasids: 50 } }))
    expect(codeOf(await on.broker.updateTenant({ ...request, change: { maxPasids: 60 } }))).toBe(
      'ETAG_STALE',
    )
    ok(await on.broker.updateTenant({ ...request, change: { maxPasids: 60 }, etag: changed.etag }))
    expect(events).toHaveLength(2)
    expect((await outcomes(on)).filter((text) => text.startsWith('UPDATE'))).toEqual([
      'UPDATE_TENANT DONE',
      'UPDATE_TENANT ETAG_STALE',
      'UPDATE_TENANT DONE',
    ])
  })
})

test('dry runs answer as the act would and change nothing at all, not even the audit', async () => {
  const { on, vm, bound } = await up()
  const events = hear(on, vm)
  const now = ok(await on.broker.getAllocation({ scope: HOST, pasid: bound }))
  await on.settled()
  const before = exactLines(on.broker.state)
  const dry = { ...ACT, validateOnly: true }
  const scoped = { ...dry, scope: HOST, pasid: pasid(bound) }
  const limits = { ...dry, tenant: 'default', etag: undefined }
  expect(ok(await on.broker.endSession({ ...dry, name: vm.name })).session.held).toBe(2)
  ok(await on.broker.releaseAllocation({ ...scoped, generation: generation(now.generation) }))
  const view = ok(await on.broker.updateTenant({ ...limits, change: { maxPasids: 1 } }))
  expect(view).toMatchObject({ maxPasids: 1, overridden: true })
  expect(codeOf(await on.broker.endSession({ ...dry, name: 'none' }))).toBe('SESSION_NOT_FOUND')
  const stale = await on.broker.releaseAllocation({ ...scoped, generation: generation(1) })
  expect(codeOf(stale)).toBe('GENERATION_STALE')
  const wrong = await on.broker.updateTenant({ ...limits, change: 'REVERT', etag: 'old' })
  expect(codeOf(wrong)).toBe('ETAG_STALE')
  expect(exactLines(on.broker.state)).toEqual(before)
  expect(events).toEqual([])
  expect(await outcomes(on)).toEqual(['OPEN_SESSION DONE'])
})
