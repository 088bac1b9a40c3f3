/** What operators do to what is not theirs: a number taken back, limits changed at run time. */

import { describe, expect, test } from 'vitest'
import type { UpdateTenant } from '../../src/core/commands.js'
import { differencesOf } from '../../src/core/compare.js'
import { etagOf } from '../../src/core/etag.js'
import {
  HOST_NAMESPACE,
  generation,
  namespaceOfDevice,
  type NamespaceId,
} from '../../src/core/ids.js'
import { problemsOf } from '../../src/core/invariants.js'
import { completions, operatorVerbs, verbs } from '../../src/core/machine.js'
import { SLOT } from '../../src/core/namespace.js'
import type { TenantOverride } from '../../src/core/quota.js'
import { restore } from '../../src/core/restore.js'
import type { Policy } from '../../src/core/state.js'
import { tenantView } from '../../src/core/view.js'
import { exactLines } from '../support/canonical.js'
import { imageOfState } from '../support/core-image.js'
import { World, codeOf, device, policy, tenantPolicy } from '../support/core-world.js'

function update(world: World, tenant: string, rest: Partial<UpdateTenant>) {
  const whole = { verb: 'update-tenant', tenant, change: {}, etag: undefined, ...rest } as const
  return operatorVerbs.updateTenant(world.state, whole)
}

function limit(world: World, tenant: string, change: TenantOverride | 'REVERT'): void {
  world.take(update(world, tenant, { change }))
  world.commit()
}

describe('a number taken back', () => {
  const OWN = { kind: 'DEVICE', device: 'own' } as const

  function busy() {
    const devices = [device('nic', 'HOST'), device('own', 'DEVICE', { shared: false })]
    const world = new World(policy(), devices)
    const session = world.open()
    world.attach(session, 'nic')
    world.attach(session, 'own')
    world.hold(session, [300, 301])
    const { revision } = world.state
    world.bind(session, 301, 'nic')
    return { world, session, granted: revision }
  }

  function release(
    world: World,
    pasid: number,
    of: number,
    namespace: NamespaceId = HOST_NAMESPACE,
  ) {
    const named = { namespace, pasid, generation: generation(of) }
    const command = { verb: 'release-allocation', ...named } as const
    return operatorVerbs.releaseAllocation(world.state, command, world.now)
  }

  test('idle, it goes to rest, and the session holds one less', () => {
    const { world, session, granted } = busy()
    const before = exactLines(world.state)
    const decided = release(world, 300, granted)
    expect(world.take(decided)).toEqual({ freed: 1, teardown: [], pending: [], session })
    expect(world.state.host.slotOf(300)).toBe(SLOT.QUARANTINED)
    expect(world.state.session(session).held).toBe(1)
    world.undo()
    expect(exactLines(world.state)).toEqual(before)
    world.take(decided)
    expect(world.give(session, [300])).toMatchObject({ kind: 'accepted', answer: { freed: 0 } })
    world.commit()
    world.pass(1000)
    expect(world.state.host.slotOf(300)).toBe(SLOT.FREE)
  })

  test('bound, it waits for the teardown that is named', () => {
    const { world, session, granted } = busy()
    const { teardown, pending } = world.take(release(world, 301, granted))
    expect(teardown.map(({ target }) => target)).toEqual([301])
    expect(pending).toEqual([{ namespace: 0, runs: [{ first: 301, count: 1 }] }])
    expect(world.state.host.slotOf(301)).toBe(SLOT.FREE_PENDING)
    expect(release(world, 301, granted)).toEqual({
      kind: 'refused',
      refusal: { code: 'PASID_BEING_FREED', pasid: 301 },
    })
    expect(codeOf(world.binding(session, 301, 'nic'))).toBe('PASID_BEING_FREED')
    world.apply(completions.completeUnbind(world.state, teardown))
    world.apply(completions.completeFree(world.state, session, pending, world.at))
    expect(world.state.host.slotOf(301)).toBe(SLOT.QUARANTINED)
    expect(codeOf(release(world, 301, granted))).toBe('PASID_BEING_FREED')
    expect(problemsOf(world.state)).toEqual([])
  })

  test('one that nobody has is not found, 0 and one beyond the last neither', () => {
    const { world, granted } = busy()
    for (const pasid of [299, 0, 2 ** 20]) {
      const refusal = { code: 'PASID_NOT_FOUND', pasid, scope: 'HOST' }
      expect(release(world, pasid, granted)).toEqual({ kind: 'refused', refusal })
    }
  })

  test('one that has been granted anew is not taken from its new holder', () => {
    const { world, session, granted } = busy()
    world.take(release(world, 300, granted))
    world.commit()
    world.pass(1000)
    world.hold(world.open(), [300])
    const current = world.state.host.holderOf(300).generation
    const refusal = {
      code: 'GENERATION_STALE',
      pasid: 300,
      scope: 'HOST',
      generation: granted,
      current,
    }
    expect(release(world, 300, granted)).toEqual({ kind: 'refused', refusal })
    expect(codeOf(release(world, 300, current + 1))).toBe('GENERATION_STALE')
    expect(world.take(release(world, 300, current)).session).not.toBe(session)
  })

  test('one whose grant is on its way to the disk is waited for', () => {
    const { world, session } = busy()
    world.take(world.ask(session, [400]))
    const { revision } = world.state
    expect(release(world, 400, revision)).toEqual({ kind: 'wait', revision })
  })

  test('of a device’s numbering, no other is touched', () => {
    const { world, session, granted } = busy()
    world.hold(session, [300], OWN)
    const own = namespaceOfDevice(world.deviceId('own'))
    const { generation: of } = world.state.namespace(own).holderOf(300)
    expect(release(world, 300, granted, own)).toMatchObject({
      refusal: { code: 'GENERATION_STALE', scope: 'DEVICE/own' },
    })
    world.take(release(world, 300, of, own))
    expect(world.state.namespace(own).slotOf(300)).toBe(SLOT.QUARANTINED)
    expect(world.state.host.slotOf(300)).toBe(SLOT.HELD)
  })
})

describe('limits changed at run time', () => {
  function two(): World {
    const tenants = [
      tenantPolicy('top', { maxPasids: 8, sessionMaxPasids: 5, maxSessions: 3 }),
      tenantPolicy('low', { parent: 'top', maxPasids: 4, window: { first: 300, last: 310 } }),
    ]
    return new World(policy({ tenants, sessionMaxPasids: 7 }), [], ['former'])
  }

  const view = (world: World, name: string) => {
    return tenantView(world.state, world.state.tenant(world.tenantId(name)))
  }

  test('a value takes the place of the configured one, null of both, absent of none', () => {
    const world = two()
    limit(world, 'low', { maxPasids: 6 })
    expect(view(world, 'low')).toMatchObject({ maxPasids: 6, overridden: true })
    expect(view(world, 'low').ownWindow).toEqual({ first: 300, last: 310 })
    // What was changed before stays, and is not said again.
    limit(world, 'low', { window: null })
    expect(view(world, 'low')).toMatchObject({ maxPasids: 6, ownWindow: undefined })
    limit(world, 'low', { maxPasids: null })
    expect(view(world, 'low').maxPasids).toBeUndefined()
    limit(world, 'low', 'REVERT')
    expect(view(world, 'low')).toMatchObject({ maxPasids: 4, overridden: false })
  })

  test('null inherits, 0 denies', () => {
    const world = two()
    const session = world.open('low')
    limit(world, 'low', { maxPasids: 0 })
    expect(world.ask(session, 'ONE')).toMatchObject({ refusal: { subject: 'low', limit: 0 } })
    limit(world, 'low', { maxPasids: null })
    limit(world, 'top', { maxPasids: 1 })
    world.hold(session, [300])
    expect(world.ask(session, 'ONE')).toMatchObject({ refusal: { subject: 'top', limit: 1 } })
    limit(world, 'top', { maxPasids: null })
    expect(codeOf(world.ask(session, 'ONE'))).toBe('accepted')
  })

  test('of sessions: how many, and how much each, those that are open included', () => {
    const world = two()
    const session = world.open('low')
    const most = () => view(world, 'low').sessionMaxPasids
    limit(world, 'low', { sessionMaxPasids: 0, maxSessions: 1 })
    expect(world.ask(session, 'ONE')).toMatchObject({ refusal: { level: 'SESSION', limit: 0 } })
    const open = () => codeOf(verbs.openSession(world.state, world.openCommand('low'), world.now))
    expect(open()).toBe('SESSIONS_EXHAUSTED')
    limit(world, 'low', { sessionMaxPasids: null, maxSessions: null })
    expect(most()).toBe(5)
    expect(open()).toBe('accepted')
    limit(world, 'top', { sessionMaxPasids: null })
    expect(most()).toBe(7)
  })

  test('a window moves what is given next, not what is held', () => {
    const world = two()
    const session = world.open('low')
    world.hold(session, [300])
    limit(world, 'low', { window: { first: 500, last: 500 } })
    expect(world.state.host.slotOf(300)).toBe(SLOT.HELD)
    expect(world.ask(session, [301])).toMatchObject({ refusal: { code: 'PASID_OUT_OF_RANGE' } })
    expect(codeOf(world.ask(session, [500]))).toBe('accepted')
  })

  test('below the usage it takes nothing and gives nothing', () => {
    const world = two()
    const session = world.open('low')
    world.hold(session, [300, 301, 302])
    limit(world, 'low', { maxPasids: 1 })
    expect(view(world, 'low')).toMatchObject({ used: 3, maxPasids: 1 })
    expect(world.state.session(session).held).toBe(3)
    const refusal = { code: 'QUOTA_EXCEEDED', level: 'TENANT', limit: 1, used: 3, asked: 1 }
    expect(world.ask(session, 'ONE')).toMatchObject({ refusal })
    const back = (numbers: number[]) => {
      world.take(world.give(session, numbers))
      world.commit()
      world.pass(1000)
    }
    back([301, 302])
    expect(codeOf(world.ask(session, 'ONE'))).toBe('QUOTA_EXCEEDED')
    back([300])
    expect(codeOf(world.ask(session, 'ONE'))).toBe('accepted')
  })

  test('a tenant that there is not, or no longer, has no limits to change', () => {
    for (const tenant of ['nobody', 'former']) {
      const refusal = { code: 'TENANT_NOT_FOUND', tenant }
      const change = { maxPasids: 1 }
      expect(update(two(), tenant, { change })).toEqual({ kind: 'refused', refusal })
    }
  })

  test('an etag of other limits is stale; those of now are not', () => {
    const world = two()
    const etag = () => etagOf(world.state.tenant(world.tenantId('low')))
    const first = etag()
    expect(codeOf(update(world, 'low', { change: { maxPasids: 6 }, etag: first }))).toBe('accepted')
    limit(world, 'low', { maxPasids: 6 })
    const current = etag()
    expect(update(world, 'low', { change: { maxPasids: 7 }, etag: first })).toEqual({
      kind: 'refused',
      refusal: { code: 'ETAG_STALE', tenant: 'low', etag: first, current },
    })
    expect(codeOf(update(world, 'low', { change: 'REVERT', etag: current }))).toBe('accepted')
    limit(world, 'low', 'REVERT')
    expect(etag()).toBe(first)
    // Said anew, the configured value is a change all the same: it stays when the file changes.
    limit(world, 'low', { maxPasids: 4 })
    expect(etag()).not.toBe(first)
    expect(view(world, 'low').etag).toBe(etag())
  })

  test('what changes nothing makes no change', () => {
    const world = two()
    const events = (change: TenantOverride | 'REVERT') => update(world, 'low', { change })
    expect(events({})).toMatchObject({ kind: 'accepted', events: [] })
    expect(events('REVERT')).toMatchObject({ kind: 'accepted', events: [] })
    limit(world, 'low', { maxPasids: 6 })
    expect(events({})).toMatchObject({ events: [] })
    expect(events({ maxPasids: 6 })).toMatchObject({ events: [] })
  })

  test('is undone exactly, and is there again after a restart', () => {
    const world = two()
    const session = world.open('low')
    world.hold(session, [300, 301])
    const before = exactLines(world.state)
    const change = { maxPasids: 0, guaranteedPasids: null, window: { first: 310, last: 320 } }
    const decided = update(world, 'low', { change })
    world.take(decided)
    world.undo()
    expect(exactLines(world.state)).toEqual(before)
    world.take(decided)
    world.commit()
    const image = imageOfState(world.state)
    const state = restore(image, world.policy, new Map(), world.at)
    expect(differencesOf(world.state, state, { left: 'memory', right: 'ledger' })).toEqual([])
    const restored = tenantView(state, state.tenant(world.tenantId('low')))
    expect(restored).toEqual(view(world, 'low'))
    expect(problemsOf(state)).toEqual([])
  })
})

describe('a guarantee at run time is one that can be kept', () => {
  const KERNEL = { first: 1, last: 255, reason: 'the host kernel' }

  /** The most that `low` can be guaranteed. */
  function mostOf(world: World, change: TenantOverride = {}): number {
    const ask = (guaranteedPasids: number) => {
      return update(world, 'low', { change: { ...change, guaranteedPasids } })
    }
    const beyond = ask(2 ** 20)
    if (beyond.kind !== 'refused' || beyond.refusal.code !== 'INVALID_ARGUMENT') {
      throw new Error('more than there are')
    }
    expect(beyond.refusal.field).toBe('tenant.guaranteed_pasids')
    const most = Number(/at most (\d+)/.exec(beyond.refusal.bound)?.[1])
    expect(codeOf(ask(most))).toBe('accepted')
    expect(codeOf(ask(most + 1))).toBe('INVALID_ARGUMENT')
    return most
  }

  const top = tenantPolicy('top', { maxPasids: 50 })
  const low = tenantPolicy('low', { parent: 'top' })
  const world = (rest: Partial<Policy>): World => {
    return new World(policy({ reservations: [KERNEL], ...rest }))
  }

  test('the numbers that are not reserved', () => {
    expect(mostOf(world({ tenants: [tenantPolicy('low')] }))).toBe(2 ** 20 - 1 - 255)
  })

  test('the limit of the host', () => {
    expect(mostOf(world({ tenants: [tenantPolicy('low')], hostMaxPasids: 20 }))).toBe(20)
  })

  test('its own limit, as it will be', () => {
    const tenants = [tenantPolicy('low', { maxPasids: 9 })]
    expect(mostOf(world({ tenants }))).toBe(9)
    expect(mostOf(world({ tenants }), { maxPasids: 11 })).toBe(11)
  })

  test('its window, without what is reserved in it', () => {
    const window = { first: 250, last: 259 }
    expect(mostOf(world({ tenants: [tenantPolicy('low', { window })] }))).toBe(4)
  })

  test('what its window has in common with those above', () => {
    const tenants = [
      tenantPolicy('top', { window: { first: 300, last: 309 } }),
      tenantPolicy('low', { parent: 'top', window: { first: 307, last: 400 } }),
    ]
    expect(mostOf(world({ tenants }))).toBe(3)
  })

  test('the limit above, beside the siblings', () => {
    const other = tenantPolicy('other', { parent: 'top', guaranteedPasids: 12 })
    expect(mostOf(world({ tenants: [top, low, other] }))).toBe(38)
  })

  test('the limit two above, beside a cousin that stands in the way of it', () => {
    const tenants = [
      tenantPolicy('site', { maxPasids: 30 }),
      tenantPolicy('top', { parent: 'site', maxPasids: 1000 }),
      low,
      tenantPolicy('branch', { parent: 'site' }),
      tenantPolicy('cousin', { parent: 'branch', guaranteedPasids: 8 }),
    ]
    expect(mostOf(world({ tenants }))).toBe(22)
  })

  test('within what the tenant above is guaranteed itself, the same numbers count once', () => {
    const tenants = [
      tenantPolicy('top', { guaranteedPasids: 40 }),
      low,
      tenantPolicy('else', { guaranteedPasids: 40 }),
    ]
    expect(mostOf(world({ tenants, hostMaxPasids: 100 }))).toBe(60)
  })
})
