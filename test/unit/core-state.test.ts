/**
 * What the state keeps beside the numbers: rest, labels, undoing, restoring, comparing, checking.
 */

import { describe, expect, test } from 'vitest'
import type { AuditRecord } from '../../src/core/audit.js'
import type { Binding } from '../../src/core/binding.js'
import { InvariantViolation } from '../../src/core/assert.js'
import { differencesOf } from '../../src/core/compare.js'
import type { Event } from '../../src/core/events.js'
import {
  PASID_LAST,
  deviceId,
  domainId,
  generation,
  instantMs,
  pasid,
  sessionId,
  target,
  tenantId,
  wallMs,
  type DeviceId,
  type NamespaceId,
  type SessionId,
} from '../../src/core/ids.js'
import type { Image } from '../../src/core/image.js'
import { problemsOf } from '../../src/core/invariants.js'
import { applyChange, completions, revertChange, verbs } from '../../src/core/machine.js'
import { SLOT } from '../../src/core/namespace.js'
import { Quarantine } from '../../src/core/quarantine.js'
import { restore, type DescribedDevice } from '../../src/core/restore.js'
import type { Policy, State } from '../../src/core/state.js'
import { sessionView } from '../../src/core/view.js'
import { exactLines } from '../support/canonical.js'
import { imageOfState } from '../support/core-image.js'
import {
  World,
  device,
  policy,
  processOf,
  requestKey,
  tenantPolicy,
} from '../support/core-world.js'

const HOST = 0 as NamespaceId

function world(rest: Partial<Policy> = {}): World {
  return new World(policy(rest), [
    device('nic', 'HOST'),
    device('gpu', 'HOST'),
    device('own', 'DEVICE', { shared: false }),
  ])
}

/** A grant, not yet durable. */
function grant(
  at: World,
  session: SessionId,
  numbers: readonly number[],
  more: { labels?: Record<string, string>; device?: string; request?: number } = {},
): number {
  const decided = verbs.allocate(
    at.state,
    {
      verb: 'allocate',
      session,
      scope: more.device === undefined ? { kind: 'HOST' } : { kind: 'DEVICE', device: more.device },
      ask: { kind: 'EXACT', pasids: numbers.map(pasid) },
      range: { first: 1, last: PASID_LAST },
      devices: [],
      labels: more.labels ?? {},
      request: more.request === undefined ? undefined : requestKey(more.request),
    },
    at.now,
  )
  return at.take(decided).generation
}

function take(...args: Parameters<typeof grant>): number {
  const made = grant(...args)
  args[0].commit()
  return made
}

function free(at: World, session: SessionId, numbers: readonly number[]) {
  const what = { kind: 'NUMBERS', pasids: numbers.map(pasid) } as const
  const scope = { kind: 'HOST' } as const
  const command = { verb: 'free', session, scope, what, request: undefined } as const
  return at.take(verbs.free(at.state, command, at.now, at.state.revision))
}

function bind(at: World, session: SessionId, number: number, name = 'nic'): void {
  const decided = verbs.bind(at.state, {
    verb: 'bind',
    session,
    target: target(number),
    devices: [name],
    table: { kind: 'PASS_THROUGH' },
    domain: domainId(3),
    guestPasid: undefined,
    replace: false,
  })
  const { steps } = at.take(decided)
  for (const step of steps) at.apply(completions.completeBind(at.state, step, 'BOUND'))
  at.commit()
}

describe('rest', () => {
  test('a number is free when its hold is over and its release durable, not before', () => {
    for (const order of ['hold first', 'disk first']) {
      const at = world({ holdMs: 50 })
      const session = at.open()
      take(at, session, [300])
      free(at, session, [300])
      if (order === 'disk first') at.commit()
      at.pass(49)
      expect(at.state.host.isFree(300), order).toBe(false)
      at.pass(1)
      expect(at.state.host.isFree(300), order).toBe(order === 'disk first')
      at.commit()
      expect(at.state.host.isFree(300), order).toBe(true)
      expect(at.state.hostUsed).toBe(0)
    }
  })

  test('a hold of 0 still waits for the disk', () => {
    const at = world({ holdMs: 0 })
    const session = at.open()
    take(at, session, [300])
    free(at, session, [300])
    at.pass(10)
    expect(at.state.host.slotOf(300)).toBe(SLOT.QUARANTINED)
    at.commit()
    expect(at.state.host.slotOf(300)).toBe(SLOT.FREE)
  })

  test('a release that is undone gives the number back to its holder', () => {
    const at = world({ holdMs: 10 })
    const session = at.open()
    take(at, session, [300, 301])
    free(at, session, [300])
    at.pass(1000)
    at.undo()
    expect(at.state.host.slotOf(300)).toBe(SLOT.HELD)
    expect(at.state.quarantine.size).toBe(0)
    expect(problemsOf(at.state)).toEqual([])
  })

  test('entries leave in order, and those that left are forgotten', () => {
    const quarantine = new Quarantine()
    const entry = (i: number) => ({
      namespace: HOST,
      tenant: tenantId(0),
      runs: [{ first: i, count: 1 }],
      until: instantMs(i),
      revision: i,
    })
    for (let i = 1; i <= 5000; i += 1) quarantine.push(entry(i))
    expect(quarantine.takeLapsed(instantMs(0), 9999)).toBeUndefined()
    for (let i = 1; i <= 4000; i += 1) {
      expect(quarantine.takeLapsed(instantMs(i), i - 1)).toBeUndefined()
      expect(quarantine.takeLapsed(instantMs(i), i)?.runs).toEqual([{ first: i, count: 1 }])
    }
    expect(quarantine.size).toBe(1000)
    expect(quarantine.nextUntil()).toBe(4001)
    expect(quarantine.pop().runs).toEqual([{ first: 5000, count: 1 }])
    expect([...quarantine.entries()]).toHaveLength(999)
    for (let i = 0; i < 999; i += 1) quarantine.pop()
    expect(() => quarantine.pop()).toThrow(InvariantViolation)
    expect(quarantine.nextUntil()).toBeUndefined()
  })
})

describe('labels', () => {
  test('live until the last number of their grant is free', () => {
    const at = world()
    const session = at.open()
    const labels = { vm: 'a' }
    const made = take(at, session, [300, 301, 310], { labels })
    const kept = () => at.state.labels.get(generation(made))
    expect(kept()).toEqual({ labels, numbers: 3 })
    free(at, session, [300, 310])
    at.commit()
    expect(kept()?.numbers).toBe(3)
    at.pass(1000)
    expect(kept()?.numbers).toBe(1)
    free(at, session, [301])
    at.commit()
    at.pass(1000)
    expect(kept()).toBeUndefined()
  })

  test('go with a grant that is undone, and are not made for none', () => {
    const at = world()
    const session = at.open()
    take(at, session, [300])
    expect(at.state.labels.size).toBe(0)
    grant(at, session, [301], { labels: { a: 'b' } })
    expect(at.state.labels.size).toBe(1)
    at.undo()
    expect(at.state.labels.size).toBe(0)
  })
})

/** A state with something of each kind, all of it durable. */
function full(rest: Partial<Policy> = {}) {
  const at = world(rest)
  const session = at.open()
  const leaving = at.open()
  for (const name of ['nic', 'own']) at.attach(session, name)
  at.attach(leaving, 'gpu')
  take(at, session, [300, 301, 302, 303], { labels: { vm: 'a' }, request: 1 })
  take(at, session, [5, 6], { device: 'own' })
  take(at, leaving, [400, 401, 402])
  bind(at, session, 300)
  bind(at, session, 5, 'own')
  bind(at, leaving, 400, 'gpu')
  free(at, leaving, [401])
  const { pending } = free(at, leaving, [400])
  at.commit()
  return { at, session, leaving, pending }
}

describe('every event is undone exactly', () => {
  const { at, session, leaving } = full()
  const { state } = at
  const binding = state.bindingAt(at.deviceId('nic'), target(300)) as Binding
  const record = state.session(session).record
  const owner = { namespace: HOST, session, tenant: record.tenant }
  const next = state.nextSession
  const audit: AuditRecord = {
    at: record.openedAt,
    action: 'RECLAIM',
    actor: undefined,
    subject: 'sessions/s1',
    cause: 'EXIT',
    outcome: 'DONE',
    details: '',
  }
  const events: [string, () => Event[]][] = [
    ['tenant-registered', () => [{ kind: 'tenant-registered', id: tenantId(9), name: 'new' }]],
    ['device-registered', () => [{ kind: 'device-registered', id: deviceId(9), name: 'new' }]],
    [
      'session-changed, opened',
      () => {
        const after = { ...record, id: sessionId(next), name: 'new' }
        return [{ kind: 'session-changed', before: undefined, after }]
      },
    ],
    [
      'session-changed, closing',
      () => [{ kind: 'session-changed', before: record, after: { ...record, state: 'CLOSING' } }],
    ],
    [
      'session-changed, lingering, taken over, withheld and unproven, proven',
      () => {
        const lingers = { ...record, state: 'LINGERING', cause: 'EXIT' } as const
        const taken = { ...record, owner: processOf(9), cause: undefined }
        const held = { withheld: true, unproven: true }
        const closing = { ...taken, state: 'CLOSING', cause: 'INFERRED', ...held } as const
        const proven = { ...closing, unproven: false }
        return [
          { kind: 'session-changed', before: record, after: lingers },
          { kind: 'session-changed', before: lingers, after: taken },
          { kind: 'session-changed', before: taken, after: closing },
          { kind: 'session-changed', before: closing, after: proven },
        ]
      },
    ],
    [
      'tenant-changed',
      () => {
        const once = { maxPasids: 900, guaranteedPasids: 700 }
        const change = { kind: 'tenant-changed', id: record.tenant } as const
        return [
          { ...change, before: undefined, after: once },
          { ...change, before: once, after: { guaranteedPasids: null } },
        ]
      },
    ],
    ['audited', () => [{ kind: 'audited', record: audit }]],
    [
      'session-changed, opened and closed',
      () => {
        const made = { ...record, id: sessionId(next), name: 'new' }
        return [
          { kind: 'session-changed', before: undefined, after: made },
          { kind: 'session-changed', before: made, after: undefined },
        ]
      },
    ],
    [
      'attachment-changed, begun',
      () => [
        {
          kind: 'attachment-changed',
          session,
          device: at.deviceId('gpu'),
          before: undefined,
          after: 'ATTACHING',
        },
      ],
    ],
    [
      'attachment-changed, ended',
      () => [
        {
          kind: 'attachment-changed',
          session: leaving,
          device: at.deviceId('gpu'),
          before: 'ATTACHED',
          after: 'DETACHING',
        },
      ],
    ],
    [
      'granted',
      () => [
        {
          kind: 'granted',
          ...owner,
          runs: [
            { first: 500, count: 2 },
            { first: 4095, count: 3 },
          ],
          generation: generation(state.revision + 1),
          at: wallMs(1),
          labels: { x: 'y' },
          cursorBefore: state.host.cursor,
          cursorAfter: 4098,
        },
      ],
    ],
    ['free-begun', () => [{ kind: 'free-begun', ...owner, runs: [{ first: 300, count: 2 }] }]],
    [
      'released, held',
      () => [
        {
          kind: 'released',
          ...owner,
          runs: [{ first: 302, count: 2 }],
          from: 'HELD',
          until: instantMs(9),
        },
      ],
    ],
    [
      'released, pending',
      () => [
        { kind: 'free-begun', ...owner, runs: [{ first: 302, count: 1 }] },
        {
          kind: 'released',
          ...owner,
          runs: [{ first: 302, count: 1 }],
          from: 'FREE_PENDING',
          until: instantMs(9),
        },
      ],
    ],
    [
      'binding-changed, made',
      () => [
        {
          kind: 'binding-changed',
          before: undefined,
          after: {
            ...binding,
            target: target(301),
            guestPasid: pasid(8),
            domain: domainId(8),
            state: 'BINDING',
          },
        },
      ],
    ],
    [
      'binding-changed, replaced and moved',
      () => {
        const during: Binding = {
          ...binding,
          guestPasid: pasid(9),
          domain: domainId(4),
          state: 'BINDING',
        }
        return [
          { kind: 'binding-changed', before: binding, after: during },
          { kind: 'binding-changed', before: during, after: { ...during, state: 'BOUND' } },
        ]
      },
    ],
    [
      'binding-changed, gone',
      () => {
        const after: Binding = { ...binding, state: 'UNBINDING' }
        return [
          { kind: 'binding-changed', before: binding, after },
          { kind: 'binding-changed', before: after, after: undefined },
        ]
      },
    ],
    ['binding-changed, lost', () => [completions.loseBinding(binding, 'reset')]],
    [
      'binding-changed, lost, its guest PASID gone to another, and gone',
      () => {
        const during: Binding = { ...binding, state: 'BINDING' }
        const lost: Binding = { ...binding, guestPasid: undefined, state: 'LOST' }
        return [
          { kind: 'binding-changed', before: binding, after: during },
          { kind: 'binding-changed', before: during, after: lost },
          { kind: 'binding-changed', before: lost, after: undefined },
        ]
      },
    ],
    [
      'request-kept',
      () => [
        {
          kind: 'request-kept',
          record: {
            session,
            tenant: record.tenant,
            method: 'FreePasids',
            idHigh: 1,
            idLow: 2,
            fingerprintHigh: 3,
            fingerprintLow: 4,
            at: wallMs(5),
            answer: 6,
            revision: state.revision + 1,
          },
        },
      ],
    ],
  ]

  test.each(events)('%s', (_, make) => {
    const before = exactLines(state)
    const change = applyChange(state, make())
    const during = exactLines(state)
    expect(during).not.toEqual(before)
    revertChange(state, change)
    expect(exactLines(state)).toEqual(before)
    revertChange(state, applyChange(state, change.events))
    expect(exactLines(state)).toEqual(before)
    expect(problemsOf(state)).toEqual([])
  })

  test('a session counts its LOST bindings at each step, forth and back', () => {
    const own = state.bindingAt(at.deviceId('own'), target(5)) as Binding
    const lost = { ...binding, state: 'LOST', cause: 'reset' } as const
    const bare = { ...lost, guestPasid: undefined }
    const during = { ...binding, state: 'BINDING' } as const
    const steps: [Event, number][] = [
      [completions.loseBinding(binding, 'reset'), 1],
      [completions.loseBinding(own, 'reset'), 2],
      [{ kind: 'binding-changed', before: lost, after: during }, 1],
      [{ kind: 'binding-changed', before: during, after: bare }, 2],
      [{ kind: 'binding-changed', before: bare, after: undefined }, 1],
    ]
    const counted = () => {
      expect(problemsOf(state)).toEqual([])
      expect(state.session(leaving).lost).toBe(0)
      return sessionView(state, state.session(session)).lostBindings
    }
    const changes = steps.map(([event, count]) => {
      const change = applyChange(state, [event])
      expect(counted()).toBe(count)
      return { change, count }
    })
    expect(restored(state).session(session).lost).toBe(1)
    for (const { change, count } of changes.reverse()) {
      expect(counted()).toBe(count)
      revertChange(state, change)
    }
    expect(counted()).toBe(0)
  })

  test('a transition that the table does not have is a bug', () => {
    const bound: Binding = { ...binding, state: 'BOUND' }
    const wrong: Event = { kind: 'binding-changed', before: undefined, after: bound }
    expect(() => applyChange(state, [wrong])).toThrow(InvariantViolation)
  })
})

/** What a ledger would hand over of the state; of its requests, one. */
function imageOf(state: State): Image {
  return {
    ...imageOfState(state),
    requests: {
      count: 1,
      session: Uint32Array.of(1),
      tenant: Uint16Array.of(0),
      method: Uint8Array.of(1),
      idHigh: Uint32Array.of(requestKey(1).idHigh),
      idLow: Uint32Array.of(1),
      fingerprintHigh: Uint32Array.of(0),
      fingerprintLow: Uint32Array.of(0),
      at: Float64Array.of(1_700_000_000_000),
      answer: Float64Array.of(300),
      revision: Float64Array.of(state.session(sessionId(1)).requests.answerOf(0).revision),
    },
  }
}

function restored(state: State, rest: Partial<Policy> = {}, without?: string): State {
  const devices = new Map<string, DescribedDevice>()
  for (const { name, facts, scope } of state.devices.values()) {
    if (name !== without) devices.set(name, { facts, scope })
  }
  return restore(imageOf(state), { ...state.policy, ...rest }, devices, instantMs(5000))
}

const NAMES = { left: 'memory', right: 'ledger' }

describe('restore', () => {
  test('brings every state back, and holds begin anew', () => {
    const { at, session } = full()
    const state = restored(at.state)
    expect(differencesOf(at.state, state, NAMES)).toEqual([])
    expect(problemsOf(state)).toEqual([])
    expect(state.host.slotOf(400)).toBe(SLOT.FREE_PENDING)
    expect(state.host.slotOf(401)).toBe(SLOT.QUARANTINED)
    expect([...state.quarantine.entries()]).toMatchObject([{ until: 6000 }])
    expect(state.durable).toBe(state.revision)
    expect(state.nextSession).toBe(at.state.nextSession)
    expect(state.session(session).requests.find('AllocatePasids', requestKey(1))).toBe(0)
    expect(state.tenant(tenantId(0)).used).toBe(9)
  })

  test('numbers held in a window that is reserved since stay until they are released', () => {
    const { at, session } = full()
    const reservations = [{ first: 290, last: 500, reason: 'maintenance' }]
    const state = restored(at.state, { reservations })
    expect(problemsOf(state)).toEqual([])
    expect(state.host.slotOf(300)).toBe(SLOT.HELD)
    const again = new World({ ...at.policy, reservations }, at.devices)
    expect(state.host.reservedCount).toBe(again.state.host.reservedCount - 7)
    expect([...state.host.heldBy(session)].sort((a, b) => a - b)).toEqual([300, 301, 302, 303])
  })

  test('the search goes on after the newest grant of each scope', () => {
    const { at, session } = full()
    const state = restored(at.state)
    expect(state.host.cursor).toBe(403)
    expect(state.namespace((at.deviceId('own') + 1) as NamespaceId).cursor).toBe(7)
    expect(state.session(session).held).toBe(6)
  })

  test('a device that the backend does not know keeps its scope and its numbers', () => {
    const { at } = full()
    const state = restored(at.state, {}, 'own')
    const own = state.device(at.deviceId('own'))
    expect(own).toMatchObject({ facts: undefined, scope: 'DEVICE' })
    expect(state.namespace(own.namespace).counts.held).toBe(2)
    expect(problemsOf(state)).toEqual([])
  })

  test('a device moved to HOST scope may leave numbers of its own at rest behind', () => {
    const at = world()
    const session = at.open()
    at.attach(session, 'own')
    take(at, session, [5], { device: 'own', request: 1 })
    const scope = { kind: 'DEVICE', device: 'own' } as const
    const what = { kind: 'NUMBERS', pasids: [pasid(5)] } as const
    const command = { verb: 'free', session, scope, what, request: undefined } as const
    at.take(verbs.free(at.state, command, at.now, at.state.revision))
    const devices = new Map<string, DescribedDevice>()
    for (const { name, facts } of at.state.devices.values())
      devices.set(name, { facts, scope: 'HOST' })
    const state = restore(imageOf(at.state), at.policy, devices, instantMs(0))
    expect(state.hostUsed).toBe(1)
    expect(state.device(at.deviceId('own')).scope).toBe('HOST')
    expect(problemsOf(state)).toEqual([])
  })
})

describe('compare finds what differs', () => {
  const plants: [string, string, (image: Image) => Image][] = [
    ['a slot', 'pasid 300', (i) => withNumber(i, 300, 'slot', SLOT.FREE_PENDING)],
    ['an owner', 'pasid 302', (i) => withNumber(i, 302, 'session', 2)],
    ['a generation', 'pasid 302', (i) => withNumber(i, 302, 'generation', 1)],
    ['a time', 'pasid 302', (i) => withNumber(i, 302, 'at', 1)],
    ['a session', 'session s2', (i) => ({ ...i, sessions: i.sessions.map(closing) })],
    [
      'an attachment',
      'session s1',
      (i) => ({ ...i, attachments: i.attachments.filter(({ device: id }) => id !== 0) }),
    ],
    [
      'a binding',
      'binding',
      (i) => ({ ...i, bindings: i.bindings.map((one) => ({ ...one, domain: domainId(77) })) }),
    ],
    ['no binding', 'binding', (i) => ({ ...i, bindings: i.bindings.slice(1) })],
    ['labels', 'labels of grant', (i) => ({ ...i, labels: new Map() })],
    ['a request', 'requests of s1', (i) => withRequest(i, 'answer', 301)],
    ['its arguments', 'requests of s1', (i) => withRequest(i, 'fingerprintLow', 1)],
    ['its id', 'requests of s1', (i) => withRequest(i, 'idLow', 2)],
  ]

  function withNumber(
    image: Image,
    number: number,
    column: 'slot' | 'session' | 'generation' | 'at',
    value: number,
  ): Image {
    const { allocations } = image
    const at = allocations.pasid.indexOf(number)
    const changed = allocations[column].slice()
    changed[at] = value
    return { ...image, allocations: { ...allocations, [column]: changed } }
  }

  function closing(record: Image['sessions'][number]): Image['sessions'][number] {
    return record.id === 2 ? { ...record, state: 'CLOSING' } : record
  }

  function withRequest(
    image: Image,
    column: 'answer' | 'fingerprintLow' | 'idLow',
    value: number,
  ): Image {
    const changed = image.requests[column].slice()
    changed[0] = value
    return { ...image, requests: { ...image.requests, [column]: changed } }
  }

  test.each(plants)('%s', (_, told, plant) => {
    const { at } = full()
    const devices = new Map<string, DescribedDevice>()
    for (const { name, facts, scope } of at.state.devices.values())
      devices.set(name, { facts, scope })
    const other = restore(plant(imageOf(at.state)), at.policy, devices, instantMs(0))
    const found = differencesOf(at.state, other, NAMES)
    expect(found.join('\n')).toContain(told)
    expect(found.join('\n')).toMatch(/memory has .*, ledger has /)
    expect(differencesOf(other, at.state, NAMES)).toHaveLength(found.length)
  })

  test('and a number that only one has, but nothing of those at rest', () => {
    const { at, session } = full()
    const other = restored(at.state)
    take(at, session, [777])
    expect(differencesOf(at.state, other, NAMES)).toEqual([
      expect.stringMatching(/^HOST pasid 777: memory has HELD .*, ledger has nothing$/),
    ])
    free(at, session, [777])
    at.commit()
    expect(differencesOf(at.state, other, NAMES)).toEqual([])
  })
})

describe('the invariants notice', () => {
  const ownDevice = (state: State): DeviceId => state.deviceByName.get('nic')?.id ?? deviceId(0)
  const plants: [string, (state: State) => unknown][] = [
    ['a number more than a session counts', (s) => (s.session(sessionId(1)).held -= 1)],
    ['a session that is not there', (s) => s.sessions.delete(sessionId(2))],
    ['a tenant charged too little', (s) => (s.tenant(tenantId(0)).used -= 1)],
    ['a host charged too much', (s) => (s.hostUsed += 1)],
    ['a tenant with a session too many', (s) => (s.tenant(tenantId(0)).sessions += 1)],
    ['a binding counted twice', (s) => s.host.bind(300)],
    ['a binding not counted', (s) => s.host.unbind(300)],
    ['a lost binding that is not', (s) => (s.session(sessionId(1)).lost += 1)],
    ['a binding of nobody', (s) => s.session(sessionId(1)).bindings.clear()],
    ['a binding outside its domain', (s) => s.session(sessionId(1)).domains.clear()],
    ['a binding that is not there', (s) => s.bindings.delete(300)],
    ['a guest PASID that leads nowhere', (s) => s.session(sessionId(1)).guestPasids.set(12345, 1)],
    ['a guest PASID forgotten', (s) => s.session(sessionId(1)).guestPasids.delete(300)],
    ['a device that does not know its session', (s) => s.device(ownDevice(s)).attachedBy.clear()],
    ['a device of a session gone', (s) => s.device(ownDevice(s)).attachedBy.add(sessionId(77))],
    ['an attachment forgotten', (s) => s.session(sessionId(1)).attachments.delete(ownDevice(s))],
    ['a session id that may be given again', (s) => (s.nextSession = 2)],
    ['a session without its name', (s) => s.sessionByName.delete('s1')],
    ['a request id too many', (s) => (s.requestIds += 1)],
    ['a rest that nobody ends', (s) => s.quarantine.pop()],
    ['a number that is free while it rests', (s) => s.host.lapse({ first: 401, count: 1 })],
    ['labels that would stay', (s) => [...s.labels.values()].forEach((one) => (one.numbers += 1))],
    ['labels of no grant', (s) => s.labels.set(generation(1), { labels: {}, numbers: 1 })],
  ]

  test.each(plants)('%s', (_, plant) => {
    const { at } = full()
    expect(problemsOf(at.state)).toEqual([])
    plant(at.state)
    expect(problemsOf(at.state)).not.toEqual([])
  })

  test('nothing is wrong with an empty state', () => {
    expect(problemsOf(new World(policy({ tenants: [tenantPolicy('a')] })).state)).toEqual([])
  })
})
