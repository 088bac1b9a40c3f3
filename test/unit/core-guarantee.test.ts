/** Guarantees: what is kept for one tenant, from whom, in which scope, and when it is used up. */

import { describe, expect, test } from 'vitest'
import { PASID_LAST, type SessionId } from '../../src/core/ids.js'
import { problemsOf } from '../../src/core/invariants.js'
import { completions, operatorVerbs } from '../../src/core/machine.js'
import type { TenantOverride, TenantPolicy } from '../../src/core/quota.js'
import { restore } from '../../src/core/restore.js'
import type { Policy } from '../../src/core/state.js'
import { headroom, tenantView } from '../../src/core/view.js'
import { imageOfState } from '../support/core-image.js'
import { World, codeOf, device, policy, tenantPolicy } from '../support/core-world.js'

const OWN = { kind: 'DEVICE', device: 'own' } as const

function worldOf(tenants: readonly TenantPolicy[], rest: Partial<Policy> = {}): World {
  const devices = [device('nic', 'HOST'), device('own', 'DEVICE', { shared: false })]
  return new World(policy({ ...rest, tenants }), devices)
}

/** Numbers from here on, one by one, until a limit says no: how many it gave, and what it said. */
function fill(world: World, session: SessionId) {
  for (let given = 0; ; given += 1) {
    const decided = world.ask(session, 'ONE')
    if (decided.kind === 'refused') return { given, refusal: decided.refusal }
    world.take(decided)
    world.commit()
  }
}

function limit(world: World, tenant: string, change: TenantOverride): void {
  const command = { verb: 'update-tenant', tenant, change, etag: undefined } as const
  world.take(operatorVerbs.updateTenant(world.state, command))
  world.commit()
}

function left(world: World, session: SessionId, namespace = world.state.host) {
  return headroom(world.state, world.state.session(session), namespace).tenant
}

describe('a tenant that has not used its guarantee keeps its room', () => {
  const sure = tenantPolicy('sure', { guaranteedPasids: 3 })
  const other = tenantPolicy('other')
  const below = (policy: TenantPolicy): TenantPolicy => ({ ...policy, parent: 'top' })
  const places: [string, readonly TenantPolicy[], Partial<Policy>, object][] = [
    [
      'under a limit that both stand under',
      [tenantPolicy('top', { maxPasids: 8 }), below(sure), below(other)],
      {},
      { level: 'TENANT', subject: 'top', limit: 8, used: 5, aside: 3, asked: 1 },
    ],
    [
      'under the limit of the host',
      [sure, other],
      { hostMaxPasids: 8 },
      { level: 'HOST', subject: 'host', limit: 8, used: 5, aside: 3, asked: 1 },
    ],
    [
      'in HOST scope, without any limit',
      [sure, other],
      { reservations: [{ first: 9, last: PASID_LAST, reason: 'others' }] },
      { level: 'HOST', subject: 'HOST scope', limit: PASID_LAST, used: PASID_LAST - 3, aside: 3 },
    ],
  ]

  test.each(places)('%s', (_, tenants, rest, told) => {
    const world = worldOf(tenants, rest)
    const [others, own] = [world.open('other'), world.open('sure')]
    expect([left(world, others), left(world, own)]).toEqual([5, rest.reservations ? undefined : 8])
    const { given, refusal } = fill(world, others)
    expect(given).toBe(5)
    expect(refusal).toMatchObject({ code: 'QUOTA_EXCEEDED', ...told })
    expect(left(world, others)).toBe(0)
    // The tenant itself is given every one of the three.
    expect(fill(world, own).given).toBe(3)
    expect(problemsOf(world.state)).toEqual([])
  })

  test.each(places)('%s, to the last, whoever comes first', (_, tenants, rest) => {
    const world = worldOf(tenants, rest)
    const [others, own] = [world.open('other'), world.open('sure')]
    expect(fill(world, own).given).toBe(8)
    expect(fill(world, others).given).toBe(0)
    expect(world.state.hostAside.aside).toBe(0)
  })

  test('and beyond it competes as any other', () => {
    const world = worldOf([sure, other], { hostMaxPasids: 8 })
    const [others, own] = [world.open('other'), world.open('sure')]
    world.hold(others, [100, 101, 102, 103])
    expect(left(world, own)).toBe(4)
    world.hold(own, [200, 201, 202, 203])
    expect(codeOf(world.ask(own, 'ONE'))).toBe('QUOTA_EXCEEDED')
  })

  test('one ask in part out of the guarantee: the rest must have room', () => {
    const world = worldOf([sure, other], { hostMaxPasids: 8 })
    const [others, own] = [world.open('other'), world.open('sure')]
    world.hold(others, [100, 101, 102])
    expect(codeOf(world.ask(own, [1, 2, 3, 4, 5]))).toBe('accepted')
    const refusal = { level: 'HOST', used: 3, aside: 0, asked: 6 }
    expect(world.ask(own, [1, 2, 3, 4, 5, 6])).toMatchObject({ refusal })
  })
})

describe('what uses a guarantee up', () => {
  const tenants = [tenantPolicy('sure', { guaranteedPasids: 2 }), tenantPolicy('other')]
  const aside = (world: World) => world.state.hostAside.aside

  test('numbers held, on their way back and resting; a lapsed one is set aside again', () => {
    const world = worldOf(tenants, { hostMaxPasids: 5 })
    const [own, others] = [world.open('sure'), world.open('other')]
    world.attach(own, 'nic')
    world.hold(own, [300, 301])
    world.bind(own, 300, 'nic')
    expect(aside(world)).toBe(0)
    const { teardown, pending } = world.take(world.give(own, [300, 301]))
    expect(aside(world)).toBe(0)
    expect(left(world, own)).toBe(3)
    expect(fill(world, others).given).toBe(3)
    world.apply(completions.completeUnbind(world.state, teardown))
    world.apply(completions.completeFree(world.state, own, pending, world.at))
    world.commit()
    // Both rest: they are the tenant's, and nobody's to have.
    expect([aside(world), left(world, own), left(world, others)]).toEqual([0, 0, 0])
    world.pass(1000)
    expect([aside(world), left(world, own), left(world, others)]).toEqual([2, 2, 0])
    expect(fill(world, others).given).toBe(0)
    expect(fill(world, own).given).toBe(2)
    expect(problemsOf(world.state)).toEqual([])
  })

  test('a grant that was undone leaves it as it was', () => {
    const world = worldOf(tenants, { hostMaxPasids: 5 })
    const own = world.open('sure')
    world.take(world.ask(own, [300]))
    expect(aside(world)).toBe(1)
    world.undo()
    expect(aside(world)).toBe(2)
  })

  test('numbers of a device’s own numbering do not, nor do they come out of it', () => {
    const world = worldOf(tenants, { hostMaxPasids: 5 })
    const own = world.open('sure')
    world.attach(own, 'own')
    const numbering = world.state.namespace(world.state.device(world.deviceId('own')).namespace)
    expect(left(world, own, numbering)).toBe(3)
    world.hold(own, [1, 2, 3], OWN)
    expect(aside(world)).toBe(2)
    const refusal = { level: 'HOST', limit: 5, used: 3, aside: 2, asked: 1 }
    expect(world.ask(own, [4], OWN)).toMatchObject({ refusal })
    expect(fill(world, own).given).toBe(2)
  })

  test('another’s device numbering cannot take what is kept', () => {
    const world = worldOf(tenants, { hostMaxPasids: 5 })
    const [own, others] = [world.open('sure'), world.open('other')]
    world.attach(others, 'own')
    expect(codeOf(world.ask(others, [1, 2, 3, 4], OWN))).toBe('QUOTA_EXCEEDED')
    world.hold(others, [1, 2, 3], OWN)
    expect(fill(world, own).given).toBe(2)
  })

  test('without a limit on the host, a device’s numbering has no part in it', () => {
    const few = [{ first: 3, last: PASID_LAST, reason: 'others' }]
    const world = worldOf(tenants, { reservations: few })
    const others = world.open('other')
    world.attach(others, 'own')
    expect(codeOf(world.ask(others, 'ONE'))).toBe('QUOTA_EXCEEDED')
    expect(codeOf(world.ask(others, [1, 2, 3, 4], OWN))).toBe('accepted')
  })
})

describe('nested guarantees', () => {
  const tree = (top: Partial<TenantPolicy>): TenantPolicy[] => [
    tenantPolicy('top', top),
    tenantPolicy('a', { parent: 'top', guaranteedPasids: 3 }),
    tenantPolicy('b', { parent: 'top', guaranteedPasids: 2 }),
    tenantPolicy('plain', { parent: 'top' }),
    tenantPolicy('out'),
  ]

  test('those below set aside within what the one above does', () => {
    const world = worldOf(tree({ guaranteedPasids: 7 }), { hostMaxPasids: 10 })
    const of = (name: string) => tenantView(world.state, world.state.tenant(world.tenantId(name)))
    expect([of('top').aside, of('a').aside, of('b').aside]).toEqual([7, 3, 2])
    expect(world.state.hostAside.aside).toBe(7)
    // Outside there are 3 to have; `plain` has those and the two that are top's alone.
    expect(left(world, world.open('out'))).toBe(3)
    const plain = world.open('plain')
    expect(left(world, plain)).toBe(5)
    expect(fill(world, plain).given).toBe(5)
    expect(fill(world, world.open('out')).given).toBe(0)
    expect(fill(world, world.open('a')).given).toBe(3)
    expect(fill(world, world.open('b')).given).toBe(2)
    expect(world.state.hostUsed).toBe(10)
  })

  test('what those below are guaranteed is kept where the one above has none', () => {
    const world = worldOf(tree({}), { hostMaxPasids: 10 })
    expect(world.state.hostAside.aside).toBe(5)
    expect(fill(world, world.open('out')).given).toBe(5)
    expect(fill(world, world.open('top')).given).toBe(0)
    expect(fill(world, world.open('b')).given).toBe(2)
    expect(fill(world, world.open('a')).given).toBe(3)
  })

  test('the one above, by itself, leaves those below their part under its own limit', () => {
    const world = worldOf(tree({ maxPasids: 6 }))
    const { given, refusal } = fill(world, world.open('top'))
    expect(given).toBe(1)
    expect(refusal).toMatchObject({ subject: 'top', used: 1, aside: 5 })
    expect(fill(world, world.open('a')).given).toBe(3)
  })

  test('what one below has beyond its own counts towards that of the one above', () => {
    const world = worldOf(tree({ guaranteedPasids: 8 }), { hostMaxPasids: 20 })
    world.hold(world.open('a'), [300, 301, 302, 303, 304])
    // 5 of 8 are used; `b` is owed 2 of the other 3.
    expect(world.state.hostAside.aside).toBe(3)
    world.hold(world.open('plain'), [400, 401, 402])
    // 8 of 8 are used, and `b` is owed its 2 all the same.
    expect(world.state.hostAside.aside).toBe(2)
    expect(problemsOf(world.state)).toEqual([])
  })
})

describe('hard limits go before guarantees', () => {
  test('a tenant’s own, and one above that was lowered since', () => {
    const world = worldOf([
      tenantPolicy('top', { maxPasids: 10 }),
      tenantPolicy('sure', { parent: 'top', guaranteedPasids: 4 }),
      tenantPolicy('other', { parent: 'top' }),
    ])
    const [own, others] = [world.open('sure'), world.open('other')]
    world.hold(others, [300, 301, 302])
    limit(world, 'top', { maxPasids: 5 })
    expect([left(world, own), left(world, others)]).toEqual([2, 0])
    expect(fill(world, own).given).toBe(2)
    limit(world, 'top', { maxPasids: 0 })
    expect(codeOf(world.ask(own, 'ONE'))).toBe('QUOTA_EXCEEDED')
  })

  test('a session’s too', () => {
    const sure = tenantPolicy('sure', { guaranteedPasids: 4, sessionMaxPasids: 1 })
    const world = worldOf([sure], { hostMaxPasids: 4 })
    expect(fill(world, world.open('sure'))).toMatchObject({
      given: 1,
      refusal: { level: 'SESSION' },
    })
  })
})

describe('a guarantee changed at run time', () => {
  const tenants = [tenantPolicy('sure', { guaranteedPasids: 2 }), tenantPolicy('other')]

  test('sets aside from then on; null and 0 nothing any more', () => {
    const world = worldOf(tenants, { hostMaxPasids: 6 })
    const others = world.open('other')
    const aside = (change: TenantOverride) => {
      limit(world, 'sure', change)
      return [world.state.hostAside.aside, left(world, others)]
    }
    expect(aside({ guaranteedPasids: 5 })).toEqual([5, 1])
    expect(aside({ guaranteedPasids: 0 })).toEqual([0, 6])
    expect(aside({ guaranteedPasids: 6 })).toEqual([6, 0])
    expect(aside({ guaranteedPasids: null })).toEqual([0, 6])
  })

  test('beyond what others have left: nothing is taken from them, what comes back is kept', () => {
    const world = worldOf(tenants, { hostMaxPasids: 6 })
    const [own, others] = [world.open('sure'), world.open('other')]
    world.hold(others, [300, 301, 302, 303])
    limit(world, 'sure', { guaranteedPasids: 5 })
    expect(world.state.session(others).held).toBe(4)
    expect([left(world, own), left(world, others)]).toEqual([2, 0])
    world.take(world.give(others, [300, 301]))
    world.commit()
    world.pass(1000)
    expect([left(world, own), left(world, others)]).toEqual([4, 0])
    expect(fill(world, own).given).toBe(4)
  })

  test('is in force after a restart, the numbers held and resting counted', () => {
    const world = worldOf(tenants, { hostMaxPasids: 8 })
    const own = world.open('sure')
    world.hold(own, [300, 301])
    world.take(world.give(own, [301]))
    world.commit()
    limit(world, 'sure', { guaranteedPasids: 5 })
    const state = restore(imageOfState(world.state), world.policy, new Map(), world.at)
    expect(state.hostAside).toEqual({ aside: 3 })
    expect(state.hostAside).toEqual(world.state.hostAside)
    expect(problemsOf(state)).toEqual([])
  })

  test('of a tenant that is configured no more nothing is kept', () => {
    const world = worldOf(tenants, { hostMaxPasids: 6 })
    const policy = { ...world.policy, tenants: tenants.slice(1) }
    const state = restore(imageOfState(world.state), policy, new Map(), world.at)
    expect(state.hostAside).toEqual({ aside: 0 })
  })
})
