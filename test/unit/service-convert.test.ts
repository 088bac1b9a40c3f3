/** Conversions of what operators and openers ask, at their bounds and one past; and of changes. */
import { describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/events.js'
import type { Outcome } from '../../src/core/refusal.js'
import { auditAsked } from '../../src/service/convert/audit.js'
import { durationOf } from '../../src/service/convert/duration.js'
import { Fields } from '../../src/service/convert/fields.js'
import { releaseOf } from '../../src/service/convert/reclaim.js'
import { tenantUpdateOf } from '../../src/service/convert/tenant.js'
import { reasonOf } from '../../src/service/convert/text.js'
import { watchMessages } from '../../src/service/convert/watch.js'
import { operatorDefinition } from '../../src/wire/load.js'
import { strictOperator } from '../../src/wire/services.js'
import type { OperatorRequest } from '../../src/wire/messages.js'
import type { Decoded } from '../../src/wire/strict.js'

/** As a handler is given it: through the encoder and the strict decoder. */
function decoded<Name extends 'UpdateTenant' | 'ReleaseAllocation'>(
  name: Name,
  message: object,
): OperatorRequest<Name> {
  const bytes = operatorDefinition[name].requestSerialize(message)
  const strict = strictOperator[name]?.requestDeserialize(bytes) as Decoded<OperatorRequest<Name>>
  if (!strict.ok) throw new Error(JSON.stringify(strict.refusal))
  return strict.message
}

const refusalOf = (outcome: Outcome<unknown>) => (outcome.ok ? undefined : outcome.refusal)

describe('durations', () => {
  const read = (value: { seconds: string; nanos: number } | null) => {
    const fields = new Fields()
    return fields.answer(durationOf(fields, 'linger', value, 3_600_000))
  }

  test.each([
    [null, 0],
    [{ seconds: '0', nanos: 0 }, 0],
    [{ seconds: '0', nanos: 1_000_000 }, 1],
    [{ seconds: '1', nanos: 999_000_000 }, 1999],
    [{ seconds: '3600', nanos: 0 }, 3_600_000],
  ])('%j is %i ms', (value, ms) => {
    expect(read(value)).toEqual({ ok: true, value: ms })
  })

  test.each([
    { seconds: '3600', nanos: 1_000_000 },
    { seconds: '3601', nanos: 0 },
    { seconds: '0', nanos: 1 },
    { seconds: '0', nanos: 999_999 },
    { seconds: '0', nanos: 1_000_000_000 },
    { seconds: '0', nanos: -1_000_000 },
    { seconds: '-1', nanos: 0 },
    { seconds: '1', nanos: -1_000_000 },
    { seconds: '9223372036854775807', nanos: 0 },
    { seconds: '-9223372036854775808', nanos: 0 },
  ])('%j is refused with field, value and bound', (value) => {
    expect(refusalOf(read(value))).toMatchObject({
      field: 'linger',
      value: `${value.seconds} s ${value.nanos} ns`,
      bound: 'whole milliseconds from 0 to 3600 s',
    })
  })
})

describe('reasons', () => {
  const read = (text: string) => {
    const fields = new Fields()
    return fields.answer(reasonOf(fields, text))
  }

  test('are at most 255 characters without control characters', () => {
    for (const text of ['', 'x'.repeat(255), 'maintenance, ticket 17: ä']) {
      expect(read(text)).toEqual({ ok: true, value: text })
    }
    expect(refusalOf(read('x'.repeat(256)))).toMatchObject({ value: '256 characters' })
    for (const text of ['a\nb', '\x00', '\x7f', '\x9b']) {
      expect(refusalOf(read(text))).toMatchObject({ field: 'reason', bound: /control/ })
    }
  })
})

describe('UpdateTenant', () => {
  const all = {
    name: 'tenants/t',
    maxPasids: 4_294_967_295,
    guaranteedPasids: 0,
    maxSessions: 1_048_576,
    ownSessionMaxPasids: 1_048_575,
    ownWindow: { first: 1, last: 1_048_575 },
  }
  const paths = [
    'max_pasids',
    'guaranteed_pasids',
    'max_sessions',
    'own_session_max_pasids',
    'own_window',
  ]
  const read = (message: object) => tenantUpdateOf(decoded('UpdateTenant', message))

  test('takes each limit at its bound, and absent as inherited', () => {
    const set = read({ tenant: { ...all, etag: 'e' }, updateMask: { paths } })
    expect(set).toEqual({
      ok: true,
      value: {
        tenant: 't',
        change: {
          maxPasids: 4_294_967_295,
          guaranteedPasids: 0,
          maxSessions: 1_048_576,
          sessionMaxPasids: 1_048_575,
          window: { first: 1, last: 1_048_575 },
        },
        etag: 'e',
        reason: '',
        validateOnly: false,
      },
    })
    const none = read({ tenant: { name: 'tenants/t' }, updateMask: { paths } })
    expect(none).toMatchObject({
      value: {
        change: {
          maxPasids: null,
          guaranteedPasids: null,
          maxSessions: null,
          sessionMaxPasids: null,
          window: null,
        },
        etag: undefined,
      },
    })
  })

  test('changes only what the mask names', () => {
    const one = read({ tenant: all, updateMask: { paths: ['max_sessions'] } })
    expect(one).toMatchObject({ value: { change: { maxSessions: 1_048_576 } } })
    expect(Object.keys((one.ok && one.value.change) || {})).toEqual(['maxSessions'])
  })

  test('takes everything back, with an etag or without', () => {
    const back = read({ tenant: { name: 'tenants/t' }, revert: true, validateOnly: true })
    expect(back).toMatchObject({ value: { change: 'REVERT', validateOnly: true } })
  })

  const tenant = { name: 'tenants/t' }
  const mask = (...named: string[]) => ({ updateMask: { paths: named } })
  test.each<[string, object, string]>([
    ['no tenant', mask('max_pasids'), 'tenant'],
    ['no name', { tenant: {}, ...mask('max_pasids') }, 'tenant.name'],
    [
      'another collection',
      { tenant: { name: 'sessions/t' }, ...mask('max_pasids') },
      'tenant.name',
    ],
    ['no mask', { tenant }, 'update_mask'],
    ['an empty mask', { tenant, ...mask() }, 'update_mask'],
    ['an unknown path', { tenant, ...mask('used_pasids') }, 'update_mask'],
    ['everything', { tenant, ...mask('*') }, 'update_mask'],
    ['a path in camel case', { tenant, ...mask('maxPasids') }, 'update_mask'],
    ['a path of every object', { tenant, ...mask('toString') }, 'update_mask'],
    ['an empty path', { tenant, ...mask('') }, 'update_mask'],
    ['a path twice', { tenant, ...mask('max_pasids', 'max_pasids') }, 'update_mask'],
    ['a mask with revert', { tenant, revert: true, ...mask('max_pasids') }, 'update_mask'],
    [
      'too many sessions',
      { tenant: { ...tenant, maxSessions: 1_048_577 }, ...mask('max_sessions') },
      'tenant.max_sessions',
    ],
    [
      'too many numbers in a session',
      { tenant: { ...tenant, ownSessionMaxPasids: 1_048_576 }, ...mask('own_session_max_pasids') },
      'tenant.own_session_max_pasids',
    ],
    [
      'a window from 0',
      { tenant: { ...tenant, ownWindow: { first: 0, last: 9 } }, ...mask('own_window') },
      'tenant.own_window.first',
    ],
    [
      'a window beyond the last number',
      { tenant: { ...tenant, ownWindow: { first: 1, last: 1_048_576 } }, ...mask('own_window') },
      'tenant.own_window.last',
    ],
    [
      'a window the wrong way round',
      { tenant: { ...tenant, ownWindow: { first: 9, last: 8 } }, ...mask('own_window') },
      'tenant.own_window.first',
    ],
  ])('refuses %s', (_name, message, field) => {
    expect(refusalOf(read(message))).toMatchObject({ code: 'INVALID_ARGUMENT', field })
  })
})

describe('ReleaseAllocation', () => {
  const read = (message: object) => releaseOf(decoded('ReleaseAllocation', message))

  test('takes numbers and generations at their bounds', () => {
    const first = { pasid: 1, generation: 1 }
    const last = { pasid: 1_048_575, generation: String(Number.MAX_SAFE_INTEGER) }
    for (const message of [first, last]) expect(read(message).ok).toBe(true)
  })

  test.each<[string, object, string]>([
    ['no generation', { pasid: 1 }, 'generation'],
    ['a generation of 2^53', { pasid: 1, generation: '9007199254740992' }, 'generation'],
    ['the greatest generation', { pasid: 1, generation: '18446744073709551615' }, 'generation'],
    ['no number', { generation: 1 }, 'pasid'],
    ['a number of 21 bits', { pasid: 1_048_576, generation: 1 }, 'pasid'],
    ['a device in HOST scope', { pasid: 1, generation: 1, device: 'devices/d' }, 'device'],
  ])('refuses %s', (_name, message, field) => {
    expect(refusalOf(read(message))).toMatchObject({ code: 'INVALID_ARGUMENT', field })
  })
})

describe('audit filters', () => {
  test('know action, subject, uid and outcome', () => {
    const filter = 'action = END_SESSION AND subject = sessions/x AND uid = 0 AND outcome = DONE'
    const known = { action: 'END_SESSION', subject: 'sessions/x', uid: 0, outcome: 'DONE' }
    expect(auditAsked(filter)).toEqual({ ok: true, value: { ...known, nothing: false } })
    expect(auditAsked('uid = 1 AND uid = 2')).toMatchObject({ value: { nothing: true } })
    expect(auditAsked('uid = 4294967295')).toMatchObject({ value: { uid: 4_294_967_295 } })
  })

  test.each(['action = DANCE', 'uid = x', 'uid = 4294967296', 'uid = -1', 'time = 1', 'uid >= 1'])(
    '%s is refused',
    (filter) => {
      expect(refusalOf(auditAsked(filter))).toMatchObject({ code: 'FILTER_INVALID', filter })
    },
  )
})

describe('changes', () => {
  const BYTES = 4096
  const names = {
    sessionName: (id: number) => (id === 1 ? 'vm' : undefined),
    state: { tenant: () => ({ name: 't' }), device: () => ({ name: 'mdev0' }) },
  } as unknown as Parameters<typeof watchMessages>[0]
  const told = (events: Event[]) => {
    return [...watchMessages(names, { revision: 7, events }, BYTES)]
  }
  const serialize = operatorDefinition.Watch.responseSerialize

  test('of any size are told whole, in order, in messages that stay small', () => {
    const runs = Array.from({ length: 20_000 }, (_, i) => ({ first: 2 * i + 1, count: 1 }))
    const released = { kind: 'released', namespace: 0, session: 1, tenant: 0, runs } as const
    const audited = {
      kind: 'audited',
      record: {
        at: 0,
        action: 'CLOSE_SESSION',
        actor: { uid: 1, gid: 2, pid: 3 },
        subject: 'sessions/vm',
        cause: 'ä'.repeat(255),
        outcome: 'DONE',
        details: '',
      },
    } as const
    const events = [released, audited, released] as unknown as Event[]
    const messages = told(events)
    expect(messages.length).toBeGreaterThan(2)
    for (const message of messages) {
      expect(serialize(message).length).toBeLessThanOrEqual(BYTES)
      expect(message.change?.revision).toBe(7)
    }
    const all = messages.flatMap(({ change }) => change?.events ?? [])
    const ranges = all.flatMap(({ numbers }) => numbers?.ranges ?? [])
    const asRanges = runs.map(({ first }) => ({ first, last: first }))
    expect(ranges).toEqual([...asRanges, ...asRanges])
    const audit = all.findIndex((event) => event.audit)
    const before = all.slice(0, audit).flatMap(({ numbers }) => numbers?.ranges ?? [])
    expect(before).toHaveLength(runs.length)
    for (const { numbers } of all) {
      if (!numbers) continue
      expect(numbers).toMatchObject({ session: 'sessions/vm', generation: 0 })
      expect(numbers.state).toBe('ALLOCATION_STATE_QUARANTINED')
    }
  })

  test('of which nothing is to be seen are not told', () => {
    expect(told([{ kind: 'tenant-registered', id: 0, name: 't' }] as unknown as Event[])).toEqual(
      [],
    )
    const attaching = { kind: 'attachment-changed', session: 1, device: 0, after: 'ATTACHING' }
    expect(told([attaching] as unknown as Event[])).toEqual([])
  })

  test('tell when a device is there, and when it is gone or on its way', () => {
    const attachment = (after: string | undefined) => {
      return { kind: 'attachment-changed', session: 1, device: 0, after } as unknown as Event
    }
    const events = told([attachment('ATTACHED'), attachment('DETACHING'), attachment(undefined)])
    const [message] = events
    expect(message?.change?.events?.map(({ attachment: one }) => one?.attached)).toEqual([
      true,
      false,
      false,
    ])
  })

  test('tell a session that nobody remembers without a name', () => {
    const runs = [{ first: 5, count: 1 }]
    const freed = { kind: 'free-begun', namespace: 0, session: 2, runs } as unknown as Event
    expect(told([freed])[0]?.change?.events?.[0]?.numbers).toMatchObject({
      session: '',
      ranges: [{ first: 5, last: 5 }],
      state: 'ALLOCATION_STATE_FREE_PENDING',
    })
  })
})
