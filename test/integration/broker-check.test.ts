/**
 * What can be asked of a broker: reads show what is durable and nothing else, and Check finds every
 * difference that a test plants between memory, ledger and backend.
 */

import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { deviceId, domainId, generation, instantMs, target } from '../../src/core/ids.js'
import { applyChange } from '../../src/core/machine.js'
import { BrokerRig, removeFolders, tenant } from '../support/broker-rig.js'
import { blockAsk, codeOf, exactAsk, ok, requestKey, tableAt } from '../support/broker-rig-vm.js'
import type { RigVm } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})
afterAll(removeFolders)

async function up(): Promise<{ on: BrokerRig; vm: RigVm }> {
  const on = await BrokerRig.start({
    tenants: [tenant('default'), tenant('team', { maxPasids: 10 })],
  })
  rig = on
  const vm = await on.vm()
  ok(await vm.attach())
  return { on, vm }
}

describe('a read', () => {
  test('is answered when what it saw is durable', async () => {
    const { on, vm } = await up()
    await on.settled()
    const append = on.ledger.holdAppend()
    const granted = vm.allocate()
    await append.reached
    let read = false
    const reading = on.broker
      .listAllocations({ after: undefined, limit: 10, filter: {} })
      .then((page) => {
        read = true
        return ok(page)
      })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(read).toBe(false)
    append.release()
    const granting = ok(await granted)
    const page = await reading
    expect(page.rows.map(({ pasid }) => pasid)).toEqual([256])
    expect(page.revision).toBeGreaterThanOrEqual(granting.generation)
    expect(page.revision).toBeLessThanOrEqual(on.broker.info().durableRevision)
  })

  test('is decided again when its commit failed: what was refused was never seen', async () => {
    const { on, vm } = await up()
    await on.settled()
    on.ledger.plan({ nth: 1, how: 'UNKNOWN_NOT_WRITTEN' })
    const append = on.ledger.holdAppend()
    const granted = vm.allocate()
    await append.reached
    const scope = { kind: 'HOST' } as const
    const reads = Promise.all([
      on.broker.getAllocation({ scope, pasid: 256 }),
      on.broker.namespace(scope),
      on.broker.getSession(vm.id),
      vm.held(),
    ])
    append.release()
    expect(codeOf(await granted)).toBe('LEDGER_UNAVAILABLE')
    const [allocation, namespace, session, held] = await reads
    expect(codeOf(allocation)).toBe('PASID_NOT_FOUND')
    expect(ok(namespace)).toMatchObject({ held: 0, hostUsed: 0 })
    expect(ok(session).held).toBe(0)
    expect(held).toEqual([])
  })

  test('while the ledger is down shows what was given back, and nothing refused', async () => {
    const { on, vm } = await up()
    const [a, b] = [await vm.one(), await vm.one()]
    on.ledger.plan({ nth: 1, how: 'NOT_WRITTEN', reopenFailures: 100 })
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    ok(await vm.free([a]))
    expect(await vm.held()).toEqual([b])
    expect(ok(await on.broker.namespace({ kind: 'HOST' })).quarantined).toBe(1)
  })

  test('lists by pages: every row once, in order, whatever happens between the pages', async () => {
    const { on, vm } = await up()
    ok(await vm.allocate({ ask: blockAsk(5) }))
    const seen: number[] = []
    let after: Parameters<typeof on.broker.listAllocations>[0]['after']
    for (;;) {
      const page = ok(await on.broker.listAllocations({ after, limit: 5, filter: {} }))
      seen.push(...page.rows.map(({ pasid }) => pasid))
      ok(await vm.free([seen[0] ?? 0]))
      await vm.one({ ask: exactAsk(2000 + seen.length) })
      if (page.next === undefined) break
      after = page.next
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect([...seen].sort((a, b) => a - b)).toEqual(seen)
    for (let pasid = 256; pasid < 288; pasid += 1) expect(seen).toContain(pasid)
  })

  test('of sessions, tenants, devices and reservations', async () => {
    const { on, vm } = await up()
    const other = await on.vm({ tenant: 'team' })
    await other.one()
    const all = { after: undefined, limit: 10 }
    const filter = { ...all, tenant: undefined, state: undefined, device: undefined }
    const sessions = ok(await on.broker.listSessions(filter)).rows
    expect(sessions.map(({ name }) => name)).toEqual([vm.name, other.name])
    const team = ok(await on.broker.listSessions({ ...filter, tenant: 'team' })).rows
    expect(team.map(({ name }) => name)).toEqual([other.name])
    const page = ok(await on.broker.listSessions({ ...filter, limit: 1 }))
    expect(ok(await on.broker.listSessions({ ...filter, after: page.next })).rows).toHaveLength(1)
    const tenants = ok(await on.broker.listTenants(all)).rows
    expect(tenants.map(({ name, used }) => [name, used])).toEqual([
      ['default', 0],
      ['team', 1],
    ])
    const devices = ok(await on.broker.listDevices(all)).rows
    expect(devices.map(({ name, scope }) => [name, scope])).toEqual([
      ['emu0', 'HOST'],
      ['emu1', 'DEVICE'],
    ])
    expect(ok(await on.broker.reservations()).rows).toMatchObject([{ first: 1, last: 255 }])
  })
})

describe('Check', () => {
  test('finds nothing wrong, also under load, and while something is on its way', async () => {
    const { on, vm } = await up()
    const work: Promise<unknown>[] = []
    const checks: Promise<string[]>[] = []
    for (let i = 0; i < 60; i += 1) {
      work.push(
        vm.allocate({ request: requestKey(`${i}`) }).then(async (outcome) => {
          const pasid = ok(outcome).runs[0]?.first ?? 0
          ok(await vm.bind(pasid, { guestPasid: i + 1 }))
          if (i % 3 === 0) ok(await vm.free([pasid], { request: requestKey(`free ${i}`) }))
        }),
      )
      if (i % 10 === 0) checks.push(on.problems())
    }
    await Promise.all(work)
    for (const problems of await Promise.all(checks)) expect(problems).toEqual([])
    const report = ok(await on.broker.check())
    expect(report).toMatchObject({ allocations: 40, sessions: 1, bindings: 40, problemCount: 0 })
  })

  test('is refused while the ledger cannot be read', async () => {
    const { on, vm } = await up()
    await on.settled()
    on.ledger.plan({ nth: 1, how: 'UNKNOWN_NOT_WRITTEN', reopenFailures: 100 })
    expect(codeOf(await vm.allocate())).toBe('LEDGER_UNAVAILABLE')
    expect(codeOf(await on.broker.check())).toBe('LEDGER_UNAVAILABLE')
  })

  test('finds a binding that nobody asked for, one that is not there, and another table', async () => {
    const { on, vm } = await up()
    const [a, b, c] = [await vm.one(), await vm.one(), await vm.one()]
    ok(await vm.bind(b, { guestPasid: 1 }))
    ok(await vm.bind(c, { guestPasid: 2 }))
    const place = (at: number) => ({ device: 'emu0', target: target(at), session: vm.id })
    const domain = domainId(7)
    await on.emulator.bind({ ...place(a), table: tableAt(9), domain })
    await on.emulator.unbind(place(b))
    await on.emulator.unbind(place(c))
    await on.emulator.bind({ ...place(c), table: tableAt(9), domain })
    expect(await on.problems()).toEqual([
      `backend: emu0 target ${a} is bound and nobody asked for it`,
      `backend: emu0 target ${c} is bound to another table than recorded`,
      `backend: emu0 target ${b} is recorded as bound and is not`,
    ])
  })

  test('finds what memory has and the ledger has not, and the other way round', async () => {
    const { on, vm } = await up()
    const [kept, gone] = [await vm.one(), await vm.one()]
    await on.settled()
    // Past the commit queue: memory alone.
    const { state } = on.broker
    const { revision } = state
    const runs = [{ first: gone, count: 1 }]
    const record = state.session(vm.id).record
    const owner = { namespace: state.host.id, session: vm.id, tenant: record.tenant }
    const until = instantMs(1e9)
    applyChange(state, [{ kind: 'released', ...owner, runs, from: 'HELD', until }])
    const after = { ...record, maxPasids: 7 }
    applyChange(state, [{ kind: 'session-changed', before: record, after }])
    state.revision = revision
    const problems = await on.problems()
    expect(problems).toHaveLength(2)
    expect(problems[0]).toContain(`HOST pasid ${gone}: memory has QUARANTINED`)
    expect(problems[1]).toContain(`session ${vm.name}`)
    expect(problems.join()).not.toContain(`pasid ${kept}`)
  })

  test('finds broken invariants, counts them all, and names at most a hundred', async () => {
    const { on, vm } = await up()
    ok(await vm.allocate({ ask: blockAsk(8) }))
    const { state } = on.broker
    state.hostUsed += 1
    state.session(vm.id).held += 1
    expect(await on.problems()).toHaveLength(4)
    for (let i = 0; i < 200; i += 1) state.bindings.set(i, anyBinding(i, vm))
    const report = ok(await on.broker.check())
    expect(report.problems).toHaveLength(100)
    expect(report.problemCount).toBeGreaterThan(200)
  })
})

function anyBinding(at: number, vm: RigVm) {
  return {
    session: vm.id,
    device: deviceId(0),
    target: target(at),
    generation: generation(1),
    table: tableAt(1),
    previous: undefined,
    domain: domainId(1),
    guestPasid: undefined,
    state: 'BOUND' as const,
    cause: '',
  }
}
