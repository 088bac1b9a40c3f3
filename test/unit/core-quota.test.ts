/** Limits: at the bound and one past it, on every level; absent inherits, 0 denies. */

import { describe, expect, test } from 'vitest'
import { PASID_LAST, type SessionId } from '../../src/core/ids.js'
import { verbs } from '../../src/core/machine.js'
import {
  checkTenants,
  headroomOf,
  inherited,
  windowOf,
  type TenantPolicy,
} from '../../src/core/quota.js'
import type { Policy } from '../../src/core/state.js'
import { headroom, tenantView } from '../../src/core/view.js'
import { World, codeOf, policy, tenantPolicy } from '../support/core-world.js'

function worldOf(tenants: readonly TenantPolicy[], rest: Partial<Policy> = {}): World {
  return new World(policy({ ...rest, tenants }), [], ['former'])
}

function ask(world: World, session: SessionId, count: number) {
  const order = Math.log2(count)
  return verbs.allocate(
    world.state,
    {
      verb: 'allocate',
      session,
      scope: { kind: 'HOST' },
      ask: count === 1 ? { kind: 'ONE' } : { kind: 'BLOCK', order },
      range: { first: 1, last: PASID_LAST },
      devices: [],
      labels: {},
      request: undefined,
    },
    world.now,
  )
}

function take(world: World, session: SessionId, count: number): void {
  world.take(ask(world, session, count))
  world.commit()
}

describe('a limit is exact', () => {
  test.each<[string, readonly TenantPolicy[], Partial<Policy>, object]>([
    [
      'session',
      [tenantPolicy('main')],
      { sessionMaxPasids: 4 },
      { level: 'SESSION', subject: 's1' },
    ],
    ['tenant', [tenantPolicy('main', { maxPasids: 4 })], {}, { level: 'TENANT', subject: 'main' }],
    [
      'tenant above',
      [tenantPolicy('top', { maxPasids: 4 }), tenantPolicy('main', { parent: 'top' })],
      {},
      { level: 'TENANT', subject: 'top' },
    ],
    ['host', [tenantPolicy('main')], { hostMaxPasids: 4 }, { level: 'HOST', subject: 'host' }],
  ])('of the %s', (_, tenants, rest, told) => {
    const world = worldOf(tenants, rest)
    const session = world.open('main')
    take(world, session, 2)
    take(world, session, 1)
    expect(ask(world, session, 2)).toEqual({
      kind: 'refused',
      refusal: { code: 'QUOTA_EXCEEDED', ...told, limit: 4, used: 3, aside: 0, asked: 2 },
    })
    take(world, session, 1)
    expect(codeOf(ask(world, session, 1))).toBe('QUOTA_EXCEEDED')
  })

  test('what is not yet durable is counted too', () => {
    const world = worldOf([tenantPolicy('main', { maxPasids: 2 })])
    const session = world.open('main')
    world.take(ask(world, session, 2))
    expect(codeOf(ask(world, session, 1))).toBe('QUOTA_EXCEEDED')
    world.undo()
    expect(codeOf(ask(world, session, 2))).toBe('accepted')
  })

  test('a resting number is charged to tenant and host, not to the session', () => {
    const world = worldOf([tenantPolicy('main', { maxPasids: 1 })], { sessionMaxPasids: 1 })
    const session = world.open('main')
    take(world, session, 1)
    const own = { session, scope: { kind: 'HOST' }, request: undefined } as const
    const what = { kind: 'RANGE', range: { first: 1, last: PASID_LAST } } as const
    const command = { verb: 'free', ...own, what } as const
    world.take(verbs.free(world.state, command, world.now, world.state.revision))
    world.commit()
    const refused = { code: 'QUOTA_EXCEEDED', level: 'TENANT', used: 1 }
    expect(ask(world, session, 1)).toMatchObject({ refusal: refused })
    world.pass(999)
    expect(ask(world, session, 1)).toMatchObject({ refusal: refused })
    world.pass(1)
    expect(codeOf(ask(world, session, 1))).toBe('accepted')
  })
})

describe('absent and 0', () => {
  test('absent is whatever is above, 0 is nothing', () => {
    const world = worldOf([
      tenantPolicy('open'),
      tenantPolicy('shut', { maxPasids: 0 }),
      tenantPolicy('below', { parent: 'shut', maxPasids: 100 }),
      tenantPolicy('mute', { sessionMaxPasids: 0 }),
      tenantPolicy('closed', { maxSessions: 0 }),
    ])
    take(world, world.open('open'), 4096 / 4096)
    expect(ask(world, world.open('shut'), 1)).toMatchObject({ refusal: { limit: 0, used: 0 } })
    expect(ask(world, world.open('below'), 1)).toMatchObject({ refusal: { subject: 'shut' } })
    expect(ask(world, world.open('mute'), 1)).toMatchObject({ refusal: { level: 'SESSION' } })
    const opening = verbs.openSession(world.state, world.openCommand('closed'), world.now)
    expect(opening).toEqual({ kind: 'refused', refusal: { code: 'SESSIONS_EXHAUSTED', limit: 0 } })
  })

  test('a tenant that is configured no more gets nothing new', () => {
    const world = worldOf([tenantPolicy('main')])
    const command = world.openCommand('former')
    expect(verbs.openSession(world.state, command, world.now)).toMatchObject({
      refusal: { code: 'SESSIONS_EXHAUSTED', limit: 0 },
    })
    const former = world.state.tenant(world.tenantId('former'))
    expect(codeOf({ kind: 'accepted', events: [], answer: 0, repeats: 0 })).toBe('accepted')
    expect(checkTenants(former, 1, true)).toMatchObject({ ok: false })
    const host = { limit: undefined, used: 0, aside: 0, free: PASID_LAST }
    expect(headroomOf(former, true, host)).toBe(0)
    expect(tenantView(world.state, former)).toMatchObject({ configured: false, maxPasids: 0 })
  })

  test('a session asks for less than its tenant allows, never for more', () => {
    const world = worldOf([tenantPolicy('main', { sessionMaxPasids: 8 })], {
      sessionMaxPasids: 100,
    })
    const most = (maxPasids?: number) => {
      const rest = maxPasids === undefined ? {} : { maxPasids }
      return world.state.sessionLimit(world.state.session(world.open('main', rest)))
    }
    expect([most(), most(7), most(8), most(9), most(0)]).toEqual([8, 7, 8, 8, 0])
  })

  test('the nearest value of a session limit counts, wherever it is set', () => {
    const world = worldOf([
      tenantPolicy('top', { sessionMaxPasids: 3 }),
      tenantPolicy('middle', { parent: 'top' }),
      tenantPolicy('low', { parent: 'middle', sessionMaxPasids: 5 }),
    ])
    const of = (name: string) => world.state.tenant(world.tenantId(name))
    const limits = ['top', 'middle', 'low'].map((name) => {
      return inherited(of(name), ({ sessionMaxPasids }) => sessionMaxPasids)
    })
    expect(limits).toEqual([3, 3, 5])
  })
})

describe('sessions', () => {
  test.each<[string, readonly TenantPolicy[], Partial<Policy>]>([
    ['the host', [tenantPolicy('main')], { maxSessions: 2 }],
    ['the tenant', [tenantPolicy('main', { maxSessions: 2 })], {}],
    [
      'one above',
      [tenantPolicy('top', { maxSessions: 2 }), tenantPolicy('main', { parent: 'top' })],
      {},
    ],
  ])('as many as %s allows, and not one more', (_, tenants, rest) => {
    const world = worldOf(tenants, rest)
    world.open('main')
    const second = world.open('main')
    const third = () => verbs.openSession(world.state, world.openCommand('main'), world.now)
    expect(third()).toEqual({ kind: 'refused', refusal: { code: 'SESSIONS_EXHAUSTED', limit: 2 } })
    const { record } = world.state.session(second)
    const gone = { kind: 'session-changed', before: record, after: undefined } as const
    world.apply([gone])
    expect(codeOf(third())).toBe('accepted')
  })
})

describe('windows and headroom', () => {
  test('windows meet, and may have nothing in common', () => {
    const world = worldOf([
      tenantPolicy('top', { window: { first: 100, last: 200 } }),
      tenantPolicy('in', { parent: 'top', window: { first: 150, last: 300 } }),
      tenantPolicy('out', { parent: 'top', window: { first: 201, last: 300 } }),
      tenantPolicy('edge', { parent: 'top', window: { first: 200, last: 300 } }),
    ])
    const whole = { first: 1, last: PASID_LAST }
    const of = (name: string) => windowOf(world.state.tenant(world.tenantId(name)), whole)
    expect(of('in')).toEqual({ first: 150, last: 200 })
    expect(of('out')).toBeUndefined()
    expect(of('edge')).toEqual({ first: 200, last: 200 })
    expect(ask(world, world.open('out'), 1)).toEqual({
      kind: 'refused',
      refusal: { code: 'RANGE_EMPTY', asked: whole, window: { first: 0, last: 0 }, widthBits: 20 },
    })
    expect(ask(world, world.open('edge'), 1)).toMatchObject({ answer: { runs: [{ first: 200 }] } })
  })

  test('headroom is the least of what is above, and never below nothing', () => {
    const world = worldOf(
      [
        tenantPolicy('top', { maxPasids: 6 }),
        tenantPolicy('main', { parent: 'top', maxPasids: 9 }),
      ],
      { hostMaxPasids: 7, sessionMaxPasids: 5 },
    )
    const session = world.state.session(world.open('main'))
    const left = () => headroom(world.state, session, world.state.host)
    expect(left()).toEqual({ session: 5, tenant: 6, scope: PASID_LAST })
    take(world, session.record.id, 4)
    expect(left()).toEqual({ session: 1, tenant: 2, scope: PASID_LAST - 4 })
    const top = world.state.tenant(world.tenantId('top'))
    top.policy = tenantPolicy('top', { maxPasids: 3 })
    expect(left()).toMatchObject({ tenant: 0 })
    expect(codeOf(ask(world, session.record.id, 1))).toBe('QUOTA_EXCEEDED')
  })

  test('without any limit there is no headroom to tell', () => {
    const world = worldOf([tenantPolicy('main')])
    const session = world.state.session(world.open('main'))
    expect(headroom(world.state, session, world.state.host).tenant).toBeUndefined()
    world.state.tenant(session.record.tenant).policy = tenantPolicy('main', { maxPasids: 3 })
    expect(headroom(world.state, session, world.state.host).tenant).toBe(3)
  })
})
