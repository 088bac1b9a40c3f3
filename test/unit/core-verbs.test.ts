/** Every "no" that a decision can say, each at its bound, with the facts that it tells. */

import { describe, expect, test } from 'vitest'
import { FORGET_PAUSE_MS } from '../../src/core/advance.js'
import type { Table } from '../../src/core/binding.js'
import type {
  BindPasid,
  CloseSession,
  InvalidationEntry,
  ScopeName,
} from '../../src/core/commands.js'
import type { BindEnd } from '../../src/core/decide/bind.js'
import {
  PASID_LAST,
  RID,
  domainId,
  pasid,
  sessionId,
  target,
  type SessionId,
} from '../../src/core/ids.js'
import { problemsOf } from '../../src/core/invariants.js'
import {
  DEVICES_PER_SESSION_MAX,
  REQUEST_IDS_KEPT_MIN,
  REQUEST_ID_AGE_MS_MIN,
} from '../../src/core/limits.js'
import { completions, forgetRequests, verbs } from '../../src/core/machine.js'
import type { PasidRange } from '../../src/core/range.js'
import type { RequestKey } from '../../src/core/requests.js'
import { World, codeOf, device, policy, requestKey, tenantPolicy } from '../support/core-world.js'

const HOST: ScopeName = { kind: 'HOST' }
const OWN: ScopeName = { kind: 'DEVICE', device: 'own' }
const WHOLE: PasidRange = { first: 1, last: PASID_LAST }
const TABLE: Table = {
  kind: 'FIRST_STAGE',
  address: 4096,
  width: 48,
  supervisor: false,
  writeProtect: false,
  extendedAccessed: false,
}

/** One tenant with everything; the others are told apart by what they may not. */
class Desk {
  readonly world = new World(
    policy({
      reservations: [{ first: 1, last: 255, reason: 'the host kernel' }],
      tenants: [
        tenantPolicy('main'),
        tenantPolicy('few', { devices: new Map([['own', 'DEVICE']]) }),
      ],
    }),
    [
      device('nic', 'HOST'),
      device('gpu', 'HOST', { pasidBits: 9, addressWidths: [48], passThrough: false }),
      device('ssd', 'HOST', { shared: false, translation: 'NONE', supervisorRequests: false }),
      device('own', 'DEVICE', { shared: true, pasidBits: 6, extendedAccessed: false }),
      { name: 'gone', scope: 'HOST', facts: undefined },
      device('amd', 'HOST', { platform: 'AMD', addressWidths: [] }),
    ],
  )
  readonly session = this.world.open()

  get state() {
    return this.world.state
  }

  attach(...names: string[]): this {
    for (const name of names) this.world.attach(this.session, name)
    return this
  }

  exact(numbers: readonly number[], scope = HOST, session = this.session, range = WHOLE) {
    return verbs.allocate(
      this.state,
      {
        verb: 'allocate',
        session,
        scope,
        ask: { kind: 'EXACT', pasids: numbers.map(pasid) },
        range,
        devices: [],
        labels: {},
        request: undefined,
      },
      this.world.now,
    )
  }

  hold(numbers: readonly number[], scope = HOST, session = this.session): this {
    this.world.take(this.exact(numbers, scope, session))
    this.world.commit()
    return this
  }

  one(range: PasidRange, devices: readonly string[] = [], scope = HOST, request?: RequestKey) {
    const { session } = this
    const rest = { scope, range, devices, labels: {}, request }
    const command = { verb: 'allocate', session, ask: { kind: 'ONE' }, ...rest } as const
    return verbs.allocate(this.state, command, this.world.now)
  }

  free(numbers: readonly number[], scope = HOST, session = this.session, request?: RequestKey) {
    const what = { kind: 'NUMBERS', pasids: numbers.map(pasid) } as const
    const command = { verb: 'free', session, scope, what, request } as const
    return verbs.free(this.state, command, this.world.now, this.state.revision)
  }

  freeRange(range: PasidRange, asOf = this.state.revision) {
    const what = { kind: 'RANGE', range } as const
    const own = { session: this.session, scope: HOST, request: undefined }
    return verbs.free(this.state, { verb: 'free', ...own, what }, this.world.now, asOf)
  }

  bind(rest: Partial<BindPasid> & Pick<BindPasid, 'devices'>) {
    return verbs.bind(this.state, {
      verb: 'bind',
      session: this.session,
      target: target(300),
      table: TABLE,
      domain: domainId(1),
      guestPasid: undefined,
      replace: false,
      ...rest,
    })
  }

  bound(rest: Parameters<Desk['bind']>[0], end: BindEnd = 'BOUND') {
    const { steps } = this.world.take(this.bind(rest))
    for (const step of steps) this.world.apply(completions.completeBind(this.state, step, end))
    return steps
  }

  unbind(at: number, devices: readonly string[] = []) {
    const what = { kind: 'TARGET', target: target(at), devices } as const
    return verbs.unbind(this.state, { verb: 'unbind', session: this.session, what })
  }

  attaching(name: string, session = this.session, request?: RequestKey) {
    const command = { verb: 'attach-device', session, device: name, request } as const
    return verbs.attachDevice(this.state, command, this.world.now)
  }

  detaching(name: string, request?: RequestKey) {
    const { session } = this
    const command = { verb: 'detach-device', session, device: name, request } as const
    return verbs.detachDevice(this.state, command, this.world.now)
  }

  closing(session: SessionId = this.session) {
    return verbs.closeSession(this.state, closing(session), this.world.now)
  }

  invalidate(...entries: InvalidationEntry[]) {
    return verbs.invalidate(this.state, { verb: 'invalidate', session: this.session, entries })
  }
}

function closing(session: SessionId): CloseSession {
  return { verb: 'close-session', session, cause: 'CLOSED', withhold: false, unproven: false }
}

function refusal(code: string, rest: object = {}) {
  return { kind: 'refused', refusal: { code, ...rest } }
}

describe('a session', () => {
  test('that nobody opened is not found', () => {
    const { world } = new Desk()
    const command = closing(sessionId(99))
    expect(verbs.closeSession(world.state, command, world.now)).toEqual(
      refusal('SESSION_NOT_FOUND', { session: '#99' }),
    )
  })

  test('is waited for while its opening is on its way to the disk', () => {
    const { world } = new Desk()
    const { session } = world.take(
      verbs.openSession(world.state, world.openCommand('main'), world.now),
    )
    const command = closing(session)
    const revision = world.state.revision
    expect(verbs.closeSession(world.state, command, world.now)).toEqual({ kind: 'wait', revision })
    world.commit()
    expect(codeOf(verbs.closeSession(world.state, command, world.now))).toBe('accepted')
  })

  test('that is closing takes no more commands', () => {
    const desk = new Desk().attach('nic').hold([300])
    desk.world.take(desk.closing())
    const told = refusal('SESSION_CLOSING', { session: 's1' })
    expect(desk.closing()).toEqual(told)
    expect(desk.one(WHOLE)).toEqual(told)
    expect(desk.free([300])).toEqual(told)
    expect(desk.bind({ devices: ['nic'] })).toEqual(told)
    expect(desk.unbind(300)).toEqual(told)
    expect(desk.attaching('gpu')).toEqual(told)
    expect(desk.detaching('nic')).toEqual(told)
    expect(desk.invalidate()).toEqual(told)
  })

  test('ends only when nothing of it is left', () => {
    const desk = new Desk().attach('nic').hold([300, 301])
    desk.bound({ devices: ['nic'] })
    const { pending, teardown, devices } = desk.world.take(desk.closing())
    expect(pending).toEqual([{ namespace: 0, runs: [{ first: 300, count: 1 }] }])
    expect(completions.completeClose(desk.state, desk.session)).toEqual([])
    desk.world.apply(completions.completeUnbind(desk.state, teardown))
    for (const id of devices) {
      const gone = completions.completeDetach(desk.state, { session: desk.session, device: id })
      desk.world.apply(gone)
    }
    expect(completions.completeClose(desk.state, desk.session)).toEqual([])
    desk.world.apply(completions.completeFree(desk.state, desk.session, pending, desk.world.at))
    desk.world.apply(completions.completeClose(desk.state, desk.session))
    expect(desk.state.sessions.size).toBe(0)
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('that ends takes over what an earlier free still waits for', () => {
    const desk = new Desk().attach('nic').hold([300])
    desk.bound({ devices: ['nic'] })
    desk.world.take(desk.free([300]))
    const { pending } = desk.world.take(desk.closing())
    expect(pending).toEqual([{ namespace: 0, runs: [{ first: 300, count: 1 }] }])
  })

  test('that ends before its grants are durable only shuts its door', () => {
    const desk = new Desk()
    desk.world.take(desk.exact([300]))
    expect(desk.closing()).toMatchObject({ answer: { complete: false, freed: 0 } })
    desk.world.undo()
    expect(desk.closing()).toMatchObject({ answer: { complete: true } })
  })

  test('of which a grant was undone waits for nothing that was never made', () => {
    const desk = new Desk()
    desk.world.take(desk.attaching('nic'))
    const other = desk.world.take(
      verbs.openSession(desk.state, desk.world.openCommand('main'), desk.world.now),
    )
    desk.world.take(desk.exact([300]))
    desk.world.undo()
    expect(desk.state.sessions.has(other.session)).toBe(false)
    expect(codeOf(desk.freeRange(WHOLE))).toBe('accepted')
    expect(desk.closing()).toMatchObject({ answer: { complete: true } })
  })
})

describe('devices', () => {
  test('unknown, unknown to the backend and not for the tenant look the same', () => {
    const desk = new Desk()
    const few = desk.world.open('few')
    const told = (name: string) => refusal('DEVICE_NOT_FOUND', { device: name })
    expect(desk.attaching('nothing')).toEqual(told('nothing'))
    expect(desk.attaching('gone')).toEqual(told('gone'))
    expect(desk.attaching('nic', few)).toEqual(told('nic'))
    expect(codeOf(desk.attaching('own', few))).toBe('accepted')
  })

  test('one is attached once, and an exclusive one by one session', () => {
    const desk = new Desk().attach('nic', 'ssd', 'own')
    const other = desk.world.open()
    expect(desk.attaching('nic')).toEqual(refusal('DEVICE_ALREADY_ATTACHED', { device: 'nic' }))
    expect(codeOf(desk.attaching('nic', other))).toBe('accepted')
    expect(desk.attaching('ssd', other)).toEqual(refusal('DEVICE_IN_USE', { device: 'ssd' }))
    // Shared by nature, but its numbers are its own: one session at a time.
    expect(desk.attaching('own', other)).toEqual(refusal('DEVICE_IN_USE', { device: 'own' }))
  })

  test('as many as a session may have, and not one more', () => {
    const names = Array.from({ length: DEVICES_PER_SESSION_MAX + 1 }, (_, i) => `d${i}`)
    const world = new World(
      policy(),
      names.map((name) => device(name, 'HOST')),
    )
    const session = world.open()
    for (const name of names.slice(0, -1)) world.attach(session, name)
    const last = names.at(-1) ?? ''
    const command = { verb: 'attach-device', session, device: last, request: undefined } as const
    expect(verbs.attachDevice(world.state, command, world.now)).toEqual(
      refusal('DEVICES_EXHAUSTED', { limit: DEVICES_PER_SESSION_MAX }),
    )
  })

  test('what is not attached cannot be detached, unbound, invalidated or bound on', () => {
    const desk = new Desk().hold([300])
    const told = refusal('DEVICE_NOT_ATTACHED', { device: 'nic' })
    expect(desk.detaching('nic')).toEqual(told)
    expect(desk.bind({ devices: ['nic'] })).toEqual(told)
    expect(desk.unbind(300, ['nic'])).toEqual(told)
    expect(desk.one(WHOLE, ['nic'])).toEqual(told)
    const pasidOf = { kind: 'PASID', target: target(300), device: 'nic' } as const
    expect(desk.invalidate({ granularity: pasidOf, caches: [] })).toEqual(told)
    expect(desk.one(WHOLE, [], { kind: 'DEVICE', device: 'nic' })).toEqual(told)
  })

  test('a detaching asked for again does not take down an attachment made since', () => {
    const desk = new Desk().attach('nic')
    const request = requestKey(1)
    const { device: id } = desk.world.take(desk.detaching('nic', request))
    expect(desk.detaching('nic', request)).toMatchObject({ answer: { device: id } })
    const gone = { session: desk.session, device: desk.world.deviceId('nic') }
    desk.world.apply(completions.completeDetach(desk.state, gone))
    desk.world.commit()
    desk.attach('nic')
    const again = desk.detaching('nic', request)
    expect(again).toMatchObject({ events: [], answer: { device: undefined, teardown: [] } })
    expect(desk.state.session(desk.session).attachments.size).toBe(1)
  })

  test('an attachment that a failed bind of the backend ends is gone, and may be tried again', () => {
    const desk = new Desk()
    const request = requestKey(1)
    const { device: id } = desk.world.take(desk.attaching('nic', desk.session, request))
    desk.world.commit()
    expect(desk.attaching('nic', desk.session, request)).toMatchObject({ answer: { begin: false } })
    const begun = { session: desk.session, device: id }
    desk.world.apply(completions.completeAttach(desk.state, begun, false))
    expect(desk.attaching('nic', desk.session, request)).toMatchObject({ answer: { begin: true } })
  })
})

describe('allocate', () => {
  test('the range is cut by the narrowest device, named or attached', () => {
    const desk = new Desk().attach('nic', 'gpu')
    const edge = { first: 511, last: 600 }
    expect(desk.one(edge)).toMatchObject({ answer: { runs: [{ first: 511, count: 1 }] } })
    expect(desk.one({ first: 512, last: 600 })).toEqual(
      refusal('RANGE_EMPTY', {
        asked: { first: 512, last: 600 },
        window: { first: 1, last: PASID_LAST },
        widthBits: 9,
      }),
    )
    expect(codeOf(desk.one({ first: 512, last: 600 }, ['nic']))).toBe('accepted')
    expect(codeOf(desk.one({ first: 512, last: 600 }, ['nic', 'gpu']))).toBe('RANGE_EMPTY')
  })

  test('scopes do not mix', () => {
    const desk = new Desk().attach('nic', 'own')
    expect(desk.one(WHOLE, ['own'])).toEqual(
      refusal('SCOPE_NOT_ALLOWED', { device: 'own', scope: 'HOST', allowed: 'DEVICE' }),
    )
    expect(desk.one(WHOLE, [], { kind: 'DEVICE', device: 'nic' })).toEqual(
      refusal('SCOPE_NOT_ALLOWED', { device: 'nic', scope: 'DEVICE', allowed: 'HOST' }),
    )
    desk.hold([300]).hold([5], OWN)
    expect(desk.exact([5], OWN)).toEqual(refusal('PASID_TAKEN', { pasid: 5, scope: 'DEVICE/own' }))
    expect(codeOf(desk.exact([6, 63], OWN))).toBe('accepted')
    expect(desk.exact([6, 64], OWN)).toEqual(
      refusal('PASID_OUT_OF_RANGE', { pasid: 64, allowed: { first: 1, last: 63 } }),
    )
  })

  test('reservations hold in HOST scope and not in a device of its own', () => {
    const desk = new Desk().attach('own')
    const reason = 'the host kernel'
    expect(desk.exact([255, 256])).toEqual(refusal('PASID_RESERVED', { pasid: 255, reason }))
    expect(codeOf(desk.exact([256]))).toBe('accepted')
    expect(codeOf(desk.exact([1], OWN))).toBe('accepted')
  })

  test('exact numbers: all or none, and what is taken is told even to a stranger', () => {
    const desk = new Desk().hold([301])
    const other = desk.world.open()
    expect(desk.exact([300, 301, 302], HOST, other)).toEqual(
      refusal('PASID_TAKEN', { pasid: 301, scope: 'HOST' }),
    )
    expect(codeOf(desk.exact([300, 302], HOST, other))).toBe('accepted')
    const narrow = { first: 300, last: 310 }
    expect(codeOf(desk.exact([300, 310], HOST, other, narrow))).toBe('accepted')
    expect(desk.exact([300, 311], HOST, other, narrow)).toEqual(
      refusal('PASID_OUT_OF_RANGE', { pasid: 311, allowed: narrow }),
    )
  })

  test('exhaustion says how many are free, and when one may be', () => {
    const desk = new Desk().hold([300, 301, 302])
    const range = { first: 300, last: 303 }
    desk.hold([303])
    const told = { scope: 'HOST', range, asked: 1, free: 0 }
    expect(desk.one(range)).toEqual(refusal('NAMESPACE_EXHAUSTED', { ...told, retryMs: undefined }))
    desk.world.take(desk.free([301]))
    desk.world.pass(400)
    expect(desk.one(range)).toEqual(refusal('NAMESPACE_EXHAUSTED', { ...told, retryMs: 600 }))
    desk.world.pass(600)
    // The hold is over; the release is not yet on the disk.
    expect(desk.one(range)).toEqual(refusal('NAMESPACE_EXHAUSTED', { ...told, retryMs: 1 }))
    desk.world.commit()
    expect(desk.one(range)).toMatchObject({ answer: { runs: [{ first: 301, count: 1 }] } })
  })

  test('a block that does not fit is refused though enough numbers are free', () => {
    const desk = new Desk().hold([301])
    const { session } = desk
    const ask = { kind: 'BLOCK', order: 1 } as const
    const rest = { scope: HOST, range: { first: 300, last: 303 }, devices: [], labels: {} }
    const command = { verb: 'allocate', session, ask, ...rest, request: undefined } as const
    const block = () => verbs.allocate(desk.state, command, desk.world.now)
    expect(block()).toMatchObject({ answer: { runs: [{ first: 302, count: 2 }] } })
    desk.hold([302])
    expect(block()).toMatchObject({ refusal: { code: 'NAMESPACE_EXHAUSTED', free: 2, asked: 2 } })
  })
})

describe('free', () => {
  test('may be repeated while the number rests, and then it is not found', () => {
    const desk = new Desk().hold([300, 301])
    expect(desk.world.take(desk.free([300])).freed).toBe(1)
    expect(desk.world.take(desk.free([300, 301])).freed).toBe(1)
    expect(desk.world.take(desk.free([300])).freed).toBe(0)
    desk.world.commit()
    desk.world.pass(1000)
    expect(desk.free([300])).toEqual(refusal('PASID_NOT_FOUND', { pasid: 300, scope: 'HOST' }))
  })

  test("another's number looks like one that does not exist, and none is freed", () => {
    const desk = new Desk().hold([300])
    const other = desk.world.open()
    const told = (n: number) => refusal('PASID_NOT_FOUND', { pasid: n, scope: 'HOST' })
    expect(desk.free([300], HOST, other)).toEqual(told(300))
    expect(desk.free([400], HOST, other)).toEqual(told(400))
    expect(desk.free([255], HOST, other)).toEqual(told(255))
    expect(desk.free([300, 301])).toEqual(told(301))
    expect(desk.state.host.counts.held).toBe(1)
  })

  test('waits for the grant that it undoes, by number and by range, and for no other', () => {
    const desk = new Desk().hold([300])
    desk.world.take(desk.exact([310]))
    const { revision } = desk.state
    expect(desk.free([310])).toEqual({ kind: 'wait', revision })
    expect(desk.freeRange({ first: 300, last: 310 })).toEqual({ kind: 'wait', revision })
    expect(codeOf(desk.free([300]))).toBe('accepted')
    expect(desk.freeRange({ first: 300, last: 309 })).toMatchObject({ answer: { freed: 1 } })
    expect(desk.freeRange(WHOLE, revision - 1)).toMatchObject({ answer: { freed: 1 } })
  })

  test('of a DEVICE scope goes on after the device is detached', () => {
    const desk = new Desk().attach('own').hold([5, 6], OWN)
    desk.world.take(desk.detaching('own'))
    const id = desk.world.deviceId('own')
    desk.world.apply(completions.completeDetach(desk.state, { session: desk.session, device: id }))
    desk.world.commit()
    expect(codeOf(desk.exact([7], OWN))).toBe('DEVICE_NOT_ATTACHED')
    expect(desk.world.take(desk.free([5], OWN)).freed).toBe(1)
    expect(desk.world.take(desk.free([6], OWN)).freed).toBe(1)
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('a bound number waits for the backend and cannot be bound again meanwhile', () => {
    const desk = new Desk().attach('nic').hold([300])
    desk.bound({ devices: ['nic'] })
    const { teardown, pending } = desk.world.take(desk.free([300]))
    expect(desk.bind({ devices: ['nic'] })).toEqual(refusal('PASID_BEING_FREED', { pasid: 300 }))
    expect(completions.completeFree(desk.state, desk.session, pending, desk.world.at)).toEqual([])
    desk.world.apply(completions.completeUnbind(desk.state, teardown))
    desk.world.apply(completions.completeFree(desk.state, desk.session, pending, desk.world.at))
    expect(desk.state.host.counts).toMatchObject({ held: 0, pending: 0, quarantined: 1 })
    expect(codeOf(desk.bind({ devices: ['nic'] }))).toBe('PASID_NOT_FOUND')
  })
})

describe('bind', () => {
  test('a number not held, resting or of another session is not found', () => {
    const desk = new Desk().attach('nic').hold([300])
    const other = desk.world.open()
    desk.world.attach(other, 'nic')
    const told = (n: number) => refusal('PASID_NOT_FOUND', { pasid: n, scope: 'HOST' })
    expect(desk.bind({ devices: ['nic'], target: target(301) })).toEqual(told(301))
    expect(desk.bind({ devices: ['nic'], session: other })).toEqual(told(300))
  })

  test('waits for grant and attachment', () => {
    const desk = new Desk().hold([301])
    desk.world.take(desk.attaching('nic'))
    const id = desk.world.deviceId('nic')
    const attachment = desk.state.revision
    desk.world.apply(
      completions.completeAttach(desk.state, { session: desk.session, device: id }, true),
    )
    expect(desk.bind({ devices: ['nic'] })).toEqual({ kind: 'wait', revision: attachment })
    desk.world.commit()
    desk.world.take(desk.exact([300]))
    const grant = desk.state.revision
    expect(desk.bind({ devices: ['nic'] })).toEqual({ kind: 'wait', revision: grant })
    expect(codeOf(desk.bind({ devices: ['nic'], target: target(301) }))).toBe('accepted')
  })

  test('the number must be sayable on the device', () => {
    const desk = new Desk().hold([511, 512]).attach('gpu')
    expect(codeOf(desk.bind({ devices: ['gpu'], target: target(511) }))).toBe('accepted')
    expect(desk.bind({ devices: ['gpu'], target: target(512) })).toEqual(
      refusal('PASID_BEYOND_DEVICE_WIDTH', { pasid: 512, device: 'gpu', widthBits: 9 }),
    )
  })

  test('a device that the backend has forgotten is not found, whatever is bound', () => {
    const desk = new Desk().attach('nic').hold([300])
    desk.state.describeDevice(desk.world.deviceId('nic'), undefined, 'HOST')
    const told = refusal('DEVICE_NOT_FOUND', { device: 'nic' })
    expect(desk.bind({ devices: ['nic'] })).toEqual(told)
    expect(desk.bind({ devices: ['nic'], target: RID })).toEqual(told)
  })

  test.each<[string, string, Partial<typeof TABLE>, string]>([
    ['gpu', 'table.first_stage.address_width', { width: 57 }, '48'],
    ['ssd', 'table.first_stage.supervisor', { supervisor: true }, 'ECAP.SRS'],
    ['own', 'table.first_stage.extended_accessed', { extendedAccessed: true }, 'ECAP.EAFS'],
    ['amd', 'table.first_stage.address_width', {}, 'none'],
    ['gpu', 'table', { kind: 'PASS_THROUGH' } as never, 'first_stage only'],
  ])('%s does not take %s as asked', (name, field, change, supported) => {
    const desk = new Desk().attach(name)
    const number = name === 'own' ? 60 : 300
    desk.hold([number], name === 'own' ? OWN : HOST)
    const table = { ...TABLE, ...change }
    const bind = { devices: [name], target: target(number) }
    expect(desk.bind({ ...bind, table })).toMatchObject({
      refusal: { code: 'TABLE_UNSUPPORTED', device: name, field },
    })
    expect(codeOf(desk.bind({ devices: ['nic'], target: target(number) }))).not.toBe('accepted')
    const said = JSON.stringify(desk.bind({ ...bind, table }))
    expect(said).toContain(supported)
  })

  test('RID: not on a shared device, but on one of its own', () => {
    const desk = new Desk().attach('nic', 'ssd', 'own')
    const told = refusal('RID_NOT_AVAILABLE', { device: 'nic' })
    expect(desk.bind({ devices: ['nic'], target: RID })).toEqual(told)
    expect(codeOf(desk.bind({ devices: ['ssd'], target: RID }))).toBe('accepted')
    expect(codeOf(desk.bind({ devices: ['own'], target: RID }))).toBe('accepted')
  })

  test('guest PASIDs: equal without translation, unique on a device', () => {
    const desk = new Desk().attach('nic', 'ssd', 'gpu').hold([300, 301])
    const guestPasid = pasid(7)
    expect(desk.bind({ devices: ['ssd'], guestPasid })).toEqual(
      refusal('GUEST_PASID_MISMATCH', { pasid: 300, guestPasid: 7, device: 'ssd' }),
    )
    expect(codeOf(desk.bind({ devices: ['ssd'], guestPasid: pasid(300) }))).toBe('accepted')
    desk.bound({ devices: ['nic'], guestPasid })
    expect(desk.bind({ devices: ['nic'], target: target(301), guestPasid })).toEqual(
      refusal('GUEST_PASID_TAKEN', { guestPasid: 7, device: 'nic', pasid: 300 }),
    )
    expect(codeOf(desk.bind({ devices: ['gpu'], target: target(301), guestPasid }))).toBe(
      'accepted',
    )
    expect(codeOf(desk.bind({ devices: ['nic'], guestPasid, replace: true }))).toBe('accepted')
  })

  test('replace is for what is bound, and bind for what is not', () => {
    const desk = new Desk().attach('nic').hold([300])
    const at = { device: 'nic', target: 300 }
    expect(desk.bind({ devices: ['nic'], replace: true })).toEqual(refusal('NOT_BOUND', at))
    const { steps } = desk.world.take(desk.bind({ devices: ['nic'] }))
    expect(desk.bind({ devices: ['nic'] })).toEqual(refusal('BIND_SUPERSEDED', at))
    desk.world.apply(steps.flatMap((step) => completions.completeBind(desk.state, step, 'BOUND')))
    expect(desk.bind({ devices: ['nic'] })).toEqual(refusal('ALREADY_BOUND', at))
    desk.bound({ devices: ['nic'], replace: true }, { lost: 'no answer' })
    expect(desk.bind({ devices: ['nic'], replace: true })).toEqual(refusal('NOT_BOUND', at))
    desk.bound({ devices: ['nic'] })
    desk.world.take(desk.unbind(300))
    expect(desk.bind({ devices: ['nic'] })).toEqual(refusal('BIND_SUPERSEDED', at))
  })

  test('nothing is begun on any device when one says no', () => {
    const desk = new Desk().attach('nic', 'gpu').hold([300])
    desk.bound({ devices: ['gpu'] })
    expect(codeOf(desk.bind({ devices: ['nic', 'gpu'] }))).toBe('ALREADY_BOUND')
    expect(desk.state.bindings.size).toBe(1)
  })

  test('a replace that fails puts back what was bound', () => {
    const desk = new Desk().attach('nic').hold([300])
    desk.bound({ devices: ['nic'], domain: domainId(1), guestPasid: pasid(7) })
    const before = desk.state.bindingAt(desk.world.deviceId('nic'), target(300))
    const change = { table: { ...TABLE, address: 8192 }, domain: domainId(2) }
    desk.bound({ devices: ['nic'], replace: true, guestPasid: pasid(8), ...change }, 'RESTORED')
    expect(desk.state.bindingAt(desk.world.deviceId('nic'), target(300))).toEqual(before)
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('what cannot be put back, its guest PASID being taken, is lost', () => {
    const desk = new Desk().attach('nic').hold([300, 301])
    desk.bound({ devices: ['nic'], guestPasid: pasid(7) })
    const replace = { devices: ['nic'], guestPasid: pasid(8), replace: true }
    const { steps } = desk.world.take(desk.bind(replace))
    desk.bound({ devices: ['nic'], target: target(301), guestPasid: pasid(7) })
    for (const step of steps) {
      desk.world.apply(completions.completeBind(desk.state, step, 'RESTORED'))
    }
    const id = desk.world.deviceId('nic')
    expect(desk.state.bindingAt(id, target(300))).toMatchObject({ state: 'LOST' })
    expect(desk.state.bindingAt(id, target(301))).toMatchObject({ guestPasid: 7, state: 'BOUND' })
    expect(desk.state.session(desk.session).guestPasids.size).toBe(1)
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('a bind that was unbound meanwhile has no say in how it ends', () => {
    const desk = new Desk().attach('nic').hold([300])
    const { steps } = desk.world.take(desk.bind({ devices: ['nic'] }))
    desk.world.take(desk.unbind(300))
    for (const step of steps) {
      for (const end of ['BOUND', 'GONE', { lost: 'x' }] as const) {
        expect(completions.completeBind(desk.state, step, end)).toEqual([])
      }
    }
  })
})

describe('unbind', () => {
  test('a target bound nowhere is refused, all of nothing is fine', () => {
    const desk = new Desk().attach('nic', 'gpu').hold([300])
    expect(desk.unbind(300)).toEqual(refusal('NOT_BOUND', { device: '', target: 300 }))
    desk.bound({ devices: ['nic'] })
    const told = refusal('NOT_BOUND', { device: 'gpu', target: 300 })
    expect(desk.unbind(300, ['nic', 'gpu'])).toEqual(told)
    const all = { verb: 'unbind', session: desk.session, what: { kind: 'ALL' } } as const
    const { teardown } = desk.world.take(verbs.unbind(desk.state, all))
    expect(teardown).toHaveLength(1)
    desk.world.apply(completions.completeUnbind(desk.state, teardown))
    expect(verbs.unbind(desk.state, all)).toMatchObject({ events: [], answer: { teardown: [] } })
    expect(desk.state.host.counts.held).toBe(1)
  })
})

describe('invalidate', () => {
  test('reaches what is bound: by domain, by number, on one device or on all', () => {
    const desk = new Desk().attach('nic', 'gpu').hold([300, 301])
    desk.bound({ devices: ['nic', 'gpu'], domain: domainId(5) })
    desk.bound({ devices: ['nic'], target: target(301), domain: domainId(6) })
    const reached = (entry: InvalidationEntry): number[] => {
      const decided = desk.invalidate(entry)
      if (decided.kind !== 'accepted') return []
      return decided.answer.flatMap(({ bindings }) => bindings.map((is) => is.target)).sort()
    }
    const caches = ['IOTLB'] as const
    const of = (domain: number) => ({ kind: 'DOMAIN', domain: domainId(domain) }) as const
    expect(reached({ granularity: of(5), caches })).toEqual([300, 300])
    expect(reached({ granularity: of(6), caches })).toEqual([301])
    expect(desk.invalidate({ granularity: of(9), caches })).toMatchObject({
      answer: [{ bindings: [] }],
    })
    const on = (name?: string) => {
      return { kind: 'PASID', target: target(300), device: name } as const
    }
    expect(reached({ granularity: on(), caches })).toEqual([300, 300])
    expect(reached({ granularity: on('gpu'), caches })).toEqual([300])
  })

  test('refuses a cache that the granularity does not have, with the entry it means', () => {
    const desk = new Desk().attach('nic').hold([300])
    desk.bound({ devices: ['nic'] })
    const domain = { kind: 'DOMAIN', domain: domainId(1) } as const
    const number = { kind: 'PASID', target: target(300), device: undefined } as const
    const address = { ...number, kind: 'ADDRESS', address: 0n, pages: 1n, leaf: true } as const
    const good: InvalidationEntry = { granularity: domain, caches: ['IOTLB', 'PASID_CACHE'] }
    expect(desk.invalidate(good, { granularity: domain, caches: ['DEVICE_TLB'] })).toEqual(
      refusal('INVALIDATION_UNSUPPORTED', {
        entry: 1,
        granularity: 'DOMAIN',
        caches: 'DEVICE_TLB',
      }),
    )
    expect(desk.invalidate({ granularity: address, caches: ['IOTLB', 'PASID_CACHE'] })).toEqual(
      refusal('INVALIDATION_UNSUPPORTED', {
        entry: 0,
        granularity: 'ADDRESS',
        caches: 'IOTLB | PASID_CACHE',
      }),
    )
    const all = ['IOTLB', 'DEVICE_TLB', 'PASID_CACHE'] as const
    expect(codeOf(desk.invalidate({ granularity: number, caches: all }))).toBe('accepted')
  })

  test('a number of nobody or of another is not found, an own one is not bound', () => {
    const desk = new Desk().attach('nic').hold([300])
    const entry = (n: number): InvalidationEntry => {
      return { granularity: { kind: 'PASID', target: target(n), device: undefined }, caches: [] }
    }
    expect(desk.invalidate(entry(301))).toMatchObject(refusal('PASID_NOT_FOUND', { pasid: 301 }))
    const notBound = refusal('NOT_BOUND', { device: '', target: 300 })
    expect(desk.invalidate(entry(300))).toEqual(notBound)
    desk.world.take(desk.bind({ devices: ['nic'] }))
    expect(desk.invalidate(entry(300))).toEqual(notBound)
    expect(desk.invalidate(entry(0))).toEqual(refusal('NOT_BOUND', { device: '', target: 0 }))
  })
})

describe('request ids', () => {
  test('the same id gives the same answer, and nothing happens again', () => {
    const desk = new Desk()
    const request = requestKey(1)
    const first = desk.world.take(desk.one(WHOLE, [], HOST, request))
    const { revision } = desk.state
    expect(desk.one(WHOLE, [], HOST, request)).toEqual({
      kind: 'accepted',
      events: [],
      answer: first,
      repeats: revision,
    })
    desk.world.commit()
    desk.world.take(desk.free([first.runs[0]?.first ?? 0], HOST, desk.session, request))
    expect(desk.one(WHOLE, [], HOST, request)).toMatchObject({ answer: first })
    const again = desk.free([400], HOST, desk.session, request)
    expect(again).toMatchObject({ events: [], answer: { freed: 1 } })
  })

  test('with other arguments it is refused, and another method has ids of its own', () => {
    const desk = new Desk()
    desk.world.take(desk.one(WHOLE, [], HOST, requestKey(1)))
    expect(desk.one(WHOLE, [], HOST, requestKey(1, 2))).toEqual(
      refusal('REQUEST_ID_REUSED', { requestId: 'request-1', method: 'AllocatePasids' }),
    )
    expect(codeOf(desk.attaching('nic', desk.session, requestKey(1, 2)))).toBe('accepted')
  })

  test('a refusal is not remembered', () => {
    const desk = new Desk()
    const request = requestKey(1)
    expect(codeOf(desk.attaching('nothing', desk.session, request))).toBe('DEVICE_NOT_FOUND')
    expect(desk.state.requestIds).toBe(0)
    expect(codeOf(desk.attaching('nic', desk.session, request))).toBe('accepted')
  })

  test('what a failed commit undid is asked anew', () => {
    const desk = new Desk()
    const request = requestKey(1)
    desk.world.take(desk.one(WHOLE, [], HOST, request))
    desk.world.undo()
    expect(desk.one(WHOLE, [], HOST, request)).toMatchObject({ repeats: 0 })
  })

  test('a tenant at its share may take nothing new; time, or giving back, goes on', () => {
    const share = REQUEST_IDS_KEPT_MIN + 10
    const { tenants } = policy({})
    const maxRequestIds = tenants.length * share
    const world = new World(policy({ maxRequestIds, sessionMaxPasids: 5000 }))
    const hog = world.open()
    const other = world.open()
    const ask = (session: SessionId, id: number) => {
      const rest = { scope: HOST, range: WHOLE, devices: [], labels: {}, request: requestKey(id) }
      const command = { verb: 'allocate', session, ask: { kind: 'ONE' }, ...rest } as const
      return verbs.allocate(world.state, command, world.now)
    }
    for (let id = 1; id < share; id += 1) world.take(ask(hog, id))
    world.take(ask(other, 1))
    world.commit()
    const full = refusal('REQUEST_IDS_EXHAUSTED', { limit: share })
    expect(ask(other, 2)).toEqual(full)
    expect(ask(hog, share)).toEqual(full)
    expect(ask(hog, 1)).toMatchObject({ events: [] })
    const what = { kind: 'RANGE', range: WHOLE } as const
    const back = {
      verb: 'free',
      session: other,
      scope: HOST,
      what,
      request: requestKey(9),
    } as const
    const freed = verbs.free(world.state, back, world.now, world.state.revision)
    expect(freed).toMatchObject({ kind: 'accepted', events: [{ kind: 'released' }] })
    world.pass(REQUEST_ID_AGE_MS_MIN - 1)
    forgetRequests(world.state, world.now.wall)
    expect(ask(other, 2)).toEqual(full)
    world.pass(FORGET_PAUSE_MS)
    forgetRequests(world.state, world.now.wall)
    expect(world.state.requestIds).toBe(REQUEST_IDS_KEPT_MIN + 1)
    expect(codeOf(ask(other, 2))).toBe('accepted')
    expect(problemsOf(world.state)).toEqual([])
  })

  test('an open is repeated within its tenant; when that session is gone, so says the answer', () => {
    const { world } = new Desk()
    const command = { ...world.openCommand('main'), request: requestKey(1) }
    const { session } = world.take(verbs.openSession(world.state, command, world.now))
    const repeated = () => verbs.openSession(world.state, command, world.now)
    expect(repeated()).toMatchObject({ answer: { session }, repeats: world.state.revision })
    const few = { ...command, tenant: world.tenantId('few') }
    expect(verbs.openSession(world.state, few, world.now)).toMatchObject({ repeats: 0 })
    const { record } = world.state.session(session)
    world.apply([{ kind: 'session-changed', before: record, after: undefined }])
    expect(codeOf(repeated())).toBe('SESSION_NOT_FOUND')
  })
})
