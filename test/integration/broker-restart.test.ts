/**
 * The next incarnation of the broker on the same ledger, with an emulator that knows nothing: after
 * an orderly end, after a kill in the middle of each verb, after a reboot of the host.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { BrokerRig, removeFolders, SHARED, tenant } from '../support/broker-rig.js'
import { blockAsk, codeOf, exactAsk, ok, requestKey, tableAt } from '../support/broker-rig-vm.js'
import type { RigVm } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  if (rig === undefined) return
  expect(await rig.problems()).toEqual([])
  await rig.stop()
  rig = undefined
})
afterAll(removeFolders)

async function up(): Promise<{ on: BrokerRig; vm: RigVm }> {
  const on = await BrokerRig.start()
  rig = on
  const vm = await on.vm({ labels: { vm: 'a' } })
  ok(await vm.attach())
  return { on, vm }
}

/** What is in force: device, target, table. */
async function inForce(on: BrokerRig): Promise<string[]> {
  const observed = await on.emulator.observe()
  if (observed.kind === 'UNKNOWN') return [observed.reason]
  return observed.places.map(({ device, target, table }) => {
    const address = table.kind === 'FIRST_STAGE' ? table.address / 4096 : 0
    return `${device} ${target} ${address}`
  })
}

describe('after an orderly end', () => {
  test('everything is as it was, bindings in force again, holds whole', async () => {
    const { on, vm } = await up()
    const { runs, generation } = ok(
      await vm.allocate({ ask: blockAsk(2), labels: { use: 'queue' } }),
    )
    expect(runs).toEqual([{ first: 256, count: 4 }])
    ok(await vm.bind(256, { table: tableAt(5), domain: 3, guestPasid: 1 }))
    ok(await vm.bind(257, { table: tableAt(6) }))
    ok(await vm.unbind(257))
    ok(await vm.free([259]))
    const [before, revision] = [await vm.held(), on.broker.state.revision]
    rig = await on.restart()
    const again = vm.on(rig.broker)
    expect(rig.broker.info().recoveredRevision).toBe(revision)
    expect(await again.held()).toEqual(before)
    expect(await inForce(rig)).toEqual(['emu0 256 5'])
    const view = ok(await rig.broker.getAllocation({ scope: { kind: 'HOST' }, pasid: 256 }))
    expect(view).toMatchObject({ generation, labels: { use: 'queue' }, state: 'ACTIVE' })
    expect(codeOf(await again.bind(257, { guestPasid: 1 }))).toBe('GUEST_PASID_TAKEN')
    rig.clock.pass(999)
    expect(codeOf(await again.allocate({ ask: exactAsk(259) }))).toBe('PASID_TAKEN')
    rig.clock.pass(1)
    expect(await again.one({ ask: exactAsk(259) })).toBe(259)
    expect(await again.one()).toBeGreaterThan(259)
  })

  test('a device that is gone makes its bindings LOST; they can be unbound and freed', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    ok(await vm.bind(pasid))
    rig = await on.restart({ devices: [{ ...SHARED, name: 'emu9' }], scopes: new Map() })
    const again = vm.on(rig.broker)
    expect(again.bindingState(pasid)).toBe('LOST')
    expect(rig.telemetry.lost).toMatchObject([{ device: 'emu0', target: pasid }])
    expect(ok(await again.unbindAll())).toMatchObject({ unbound: 1 })
    expect(ok(await again.free([pasid])).freed).toBe(1)
    ok(await again.detach('emu0'))
    expect(codeOf(await again.attach('emu0'))).toBe('DEVICE_NOT_FOUND')
  })

  test('a tenant that is no longer configured keeps what it has and gets nothing new', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    rig = await on.restart({ tenants: [tenant('other')] })
    const again = vm.on(rig.broker)
    expect(await again.held()).toEqual([pasid])
    expect(codeOf(await again.allocate())).toBe('QUOTA_EXCEEDED')
    expect(ok(await again.free([pasid])).freed).toBe(1)
  })

  test('held numbers of a scope refuse to be moved to the other by an edit', async () => {
    const { on, vm } = await up()
    ok(await vm.attach('emu1'))
    await vm.one({ scope: { kind: 'DEVICE', device: 'emu1' } })
    await expect(on.restart({ scopes: new Map() })).rejects.toThrow(/DEVICE scope/)
    rig = undefined
  })
})

describe('killed in the middle', () => {
  test('of a bind: it is finished, since that is the newest that was asked for', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    const held = on.backend.hold('bind')
    void vm.bind(pasid, { table: tableAt(5) })
    await held.reached
    await on.settled()
    rig = await on.kill()
    expect(vm.on(rig.broker).bindingState(pasid)).toBe('BOUND')
    expect(await inForce(rig)).toEqual([`emu0 ${pasid} 5`])
  })

  test('of a replace: the new table stands, nothing remembers the old one', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    ok(await vm.bind(pasid, { table: tableAt(5) }))
    const held = on.backend.hold('replace')
    void vm.bind(pasid, { table: tableAt(6), replace: true })
    await held.reached
    await on.settled()
    rig = await on.kill()
    expect(vm.on(rig.broker).bindingState(pasid)).toBe('BOUND')
    expect(await inForce(rig)).toEqual([`emu0 ${pasid} 6`])
    ok(await vm.on(rig.broker).unbind(pasid))
  })

  test('of an unbind: it is finished', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    ok(await vm.bind(pasid))
    const held = on.backend.hold('unbind')
    void vm.unbind(pasid)
    await held.reached
    await on.settled()
    rig = await on.kill()
    expect(vm.on(rig.broker).bindingState(pasid)).toBeUndefined()
    expect(await vm.on(rig.broker).held()).toEqual([pasid])
    expect(await inForce(rig)).toEqual([])
  })

  test('of a free of bound numbers: they rest, and their number is given to nobody before', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    ok(await vm.bind(pasid))
    const held = on.backend.hold('unbind')
    void vm.free([pasid])
    await held.reached
    rig = await on.kill()
    expect(rig.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 1 })
    const other = await rig.vm()
    expect(codeOf(await other.allocate({ ask: exactAsk(pasid) }))).toBe('PASID_TAKEN')
    expect(ok(await vm.on(rig.broker).free([pasid])).freed).toBe(0)
  })

  test('of a close: the session is gone with all it had', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    ok(await vm.bind(pasid))
    await vm.one()
    const held = on.backend.hold('unbind')
    void vm.close()
    await held.reached
    rig = await on.kill()
    expect(rig.broker.state.sessions.size).toBe(0)
    expect(rig.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 2 })
    expect(await inForce(rig)).toEqual([])
  })

  test('of an attach: the device is attached; of a detach: it is let go', async () => {
    const { on, vm } = await up()
    const other = await on.vm()
    const attaching = on.backend.hold('attachDevice')
    void other.attach('emu1')
    await attaching.reached
    const detaching = on.backend.hold('detachDevice')
    void vm.detach('emu0')
    await detaching.reached
    rig = await on.kill()
    expect(ok(await rig.broker.getSession(other.id)).devices).toEqual(['emu1'])
    expect(ok(await rig.broker.getSession(vm.id)).devices).toEqual([])
  })

  test('with a device that fails at first: what is half done is finished while it serves', async () => {
    const { on, vm } = await up()
    const pasid = await vm.one()
    ok(await vm.bind(pasid))
    on.emulator.injectFault('emu0', { kind: 'STOP', effect: 'unbind', times: 100 })
    ok(await vm.free([pasid]))
    on.clock.pass(200)
    rig = await on.kill()
    expect(rig.broker.state.host.counts).toMatchObject({ pending: 0, quarantined: 1 })
  })
})

describe('a ledger that fails while the broker recovers', () => {
  test.each(['NOT_WRITTEN', 'UNKNOWN_WRITTEN', 'UNKNOWN_NOT_WRITTEN'] as const)(
    '%s: what was half done is finished all the same, and recorded when it can be',
    async (how) => {
      const { on, vm } = await up()
      const [bound, freed] = [await vm.one(), await vm.one()]
      ok(await vm.bind(freed))
      const closing = await on.vm()
      ok(await closing.attach())
      ok(await closing.bind(await closing.one(), { guestPasid: 9 }))
      const held = [on.backend.hold('bind'), on.backend.hold('unbind'), on.backend.hold('unbind')]
      void vm.bind(bound, { guestPasid: 8 })
      await held[0]?.reached
      void vm.free([freed])
      void closing.close()
      await held[1]?.reached
      await on.settled()
      const next = await on.kill({ plan: { nth: 1, how, reopenFailures: 2 } })
      rig = next
      expect(next.broker.info().writable).toBe(false)
      expect(await inForce(next)).toEqual([`emu0 ${bound} 1`])
      expect(codeOf(await vm.on(next.broker).allocate())).toBe('LEDGER_UNAVAILABLE')
      await next.passUntil(() => next.broker.state.sessions.size === 1)
      await next.passUntil(() => next.broker.info().writable)
      await next.settled()
      expect(next.broker.state.host.counts).toMatchObject({ held: 1, pending: 0 })
      expect(vm.on(next.broker).bindingState(bound)).toBe('BOUND')
      expect(await next.differencesFromFile()).toEqual([])
    },
  )
})

describe('request ids', () => {
  test('a duplicate in flight waits for the first; both get the same answer', async () => {
    const { on, vm } = await up()
    const append = on.ledger.holdAppend()
    const request = requestKey('a')
    const twice = [vm.allocate({ request }), vm.allocate({ request })]
    await append.reached
    const late = vm.allocate({ request })
    append.release()
    const answers = (await Promise.all([...twice, late])).map(ok)
    expect(new Set(answers.map(({ runs }) => runs[0]?.first))).toEqual(new Set([256]))
    expect(new Set(answers.map(({ generation }) => generation)).size).toBe(1)
    expect(await vm.held()).toEqual([256])
  })

  test('the same id with other arguments is refused; a refusal is not remembered', async () => {
    const { vm } = await up()
    const taken = requestKey('a', 'exact 300')
    expect(codeOf(await vm.allocate({ ask: exactAsk(1), request: taken }))).toBe('PASID_RESERVED')
    ok(await vm.allocate({ ask: exactAsk(300), request: taken }))
    const other = await vm.allocate({ request: requestKey('a', 'one') })
    expect(codeOf(other)).toBe('REQUEST_ID_REUSED')
  })

  test('open, attach, allocate, free, detach: the same answer after a restart', async () => {
    const { on } = await up()
    const open = { name: 'named', request: requestKey('open') }
    const vm = await on.vm(open)
    const attached = ok(await vm.attach('emu1', requestKey('attach')))
    const scope = { kind: 'DEVICE', device: 'emu1' } as const
    const request = requestKey('allocate')
    const granted = ok(await vm.allocate({ ask: blockAsk(3), scope, request }))
    const freed = ok(await vm.free([8], { scope, request: requestKey('free') }))
    rig = await on.restart()
    const again = await rig.vm({ ...open, owner: vm.owner, name: 'another' })
    expect(again.id).toBe(vm.id)
    expect(ok(await again.attach('emu1', requestKey('attach')))).toEqual(attached)
    const { runs, generation } = ok(await again.allocate({ ask: blockAsk(3), scope, request }))
    expect({ runs, generation }).toEqual({ runs: granted.runs, generation: granted.generation })
    const { headroom: _, ...answer } = freed
    const repeat = ok(await again.free([8], { scope, request: requestKey('free') }))
    expect(repeat).toMatchObject(answer)
    const detached = ok(await again.detach('emu1', requestKey('detach')))
    rig = await rig.restart()
    const third = vm.on(rig.broker)
    expect(ok(await third.detach('emu1', requestKey('detach')))).toEqual(detached)
  })

  test('late duplicates of a detach and a free do not reach what is newer', async () => {
    const { vm } = await up()
    ok(await vm.detach('emu0', requestKey('detach')))
    ok(await vm.attach('emu0'))
    ok(await vm.detach('emu0', requestKey('detach')))
    ok(await vm.bind(await vm.one()))
  })
})

test('a reboot voids every grant; tenants, devices and the revision go on', async () => {
  const { on, vm } = await up()
  const pasid = await vm.one()
  await vm.one()
  ok(await vm.bind(pasid))
  ok(await vm.free([await vm.one()]))
  const revision = on.broker.state.revision
  const ids = on.broker.state.deviceByName.get('emu0')?.id
  rig = await on.restart({ bootId: 'boot-2' })
  expect(rig.broker.state.sessions.size).toBe(0)
  expect(rig.broker.state.bindings.size).toBe(0)
  expect(rig.broker.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 0 })
  expect(rig.telemetry.reclaims).toMatchObject([{ cause: 'REBOOT', pasids: 2 }])
  expect(rig.broker.state.revision).toBeGreaterThanOrEqual(revision)
  expect(rig.broker.state.deviceByName.get('emu0')?.id).toBe(ids)
  expect(await inForce(rig)).toEqual([])
  const next = await rig.vm()
  expect(next.id).toBeGreaterThan(vm.id)
  expect(codeOf(await vm.on(rig.broker).allocate())).toBe('SESSION_NOT_FOUND')
  // And the next start within this boot keeps what is granted now.
  const kept = await next.one()
  rig = await rig.restart({ bootId: 'boot-2' })
  expect(await next.on(rig.broker).held()).toEqual([kept])
})
