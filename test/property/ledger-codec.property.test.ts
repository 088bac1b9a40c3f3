/**
 * The codec gives back what it was given, for any events; and bytes that it did not make are
 * refused or decode to something that is in range, but never hang or read beyond their end.
 */

import process from 'node:process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../src/core/assert.js'
import { AUDIT_ACTIONS, AUDIT_TEXT_LENGTH_MAX } from '../../src/core/audit.js'
import type { Binding } from '../../src/core/binding.js'
import type { Change, Event } from '../../src/core/events.js'
import { PASID_LAST } from '../../src/core/ids.js'
import { REQUEST_METHODS, type RequestRecord } from '../../src/core/requests.js'
import { END_CAUSES, type SessionRecord } from '../../src/core/session.js'
import { CodecFault } from '../../src/ledger/bytes.js'
import { decodeChanges, encodeChanges } from '../../src/ledger/codec.js'
import { audited, granted, kept, limits, opened, OWNER, session } from '../support/ledger-events.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)

const upTo = (last: number) => fc.oneof(fc.integer({ min: 0, max: last }), fc.constant(last))
const from1 = (last: number) => fc.oneof(fc.integer({ min: 1, max: last }), fc.constant(last))
const u16 = upTo(0xffff)
const u32 = upTo(0xffff_ffff)
const sessionIds = from1(0xffff_ffff)
const whole = fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER), fc.constant(0))
const devices = upTo(4095)
const namespaces = upTo(4096)
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', minLength: 100, maxLength: 300 }),
  fc.string(),
)
const labels = fc.dictionary(text, text, { maxKeys: 16 })
const runs = fc.array(
  from1(PASID_LAST).chain((first) =>
    from1(PASID_LAST - first + 1).map((count) => ({ first, count })),
  ),
  { minLength: 1, maxLength: 20 },
)

const decimal = fc.oneof(fc.constant(''), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String))
const owners = fc.record({
  pid: from1(2 ** 22),
  inode: decimal,
  startTime: decimal,
  pidNamespace: decimal,
  uid: u32,
  gid: u32,
})
const causes = fc.constantFrom(...END_CAUSES)
const standings = fc.oneof(
  fc.record({ state: fc.constant('OPEN'), cause: fc.constant(undefined) }),
  fc.record({ state: fc.constant('LINGERING'), cause: causes }),
  fc.record({ state: fc.constant('CLOSING'), cause: fc.option(causes, { nil: undefined }) }),
)
const sessions = fc
  .record({
    id: sessionIds,
    name: text,
    tenant: u16,
    tokenHash: text,
    maxPasids: whole,
    labels,
    openedAt: whole,
    owner: fc.option(owners, { nil: undefined }),
    delegate: fc.option(u32, { nil: undefined }),
    lingerMs: whole,
    withheld: fc.boolean(),
    unproven: fc.boolean(),
  })
  .chain((record) => standings.map((standing) => ({ ...record, ...standing })))
const windows = from1(PASID_LAST).chain((first) =>
  upTo(PASID_LAST - first).map((more) => ({ first, last: first + more })),
)
/** Some of the limits, in any order; null = inherited. */
const overrides = fc
  .array(
    fc.oneof(
      fc.tuple(
        fc.constantFrom('maxPasids', 'guaranteedPasids', 'sessionMaxPasids', 'maxSessions'),
        fc.option(whole, { nil: null }),
      ),
      fc.tuple(fc.constant('window'), fc.option(windows, { nil: null })),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((entries) => Object.fromEntries<unknown>(entries))
const short = fc.string({ unit: 'binary', maxLength: AUDIT_TEXT_LENGTH_MAX / 2 })
const audits = fc.record({
  at: whole,
  action: fc.constantFrom(...AUDIT_ACTIONS),
  actor: fc.option(fc.record({ uid: u32, gid: u32, pid: upTo(2 ** 22) }), { nil: undefined }),
  subject: short,
  cause: fc.oneof(short, fc.constant('c'.repeat(AUDIT_TEXT_LENGTH_MAX))),
  outcome: fc.constantFrom('DONE', 'SESSION_NOT_FOUND', 'DRAINING'),
  details: short,
})
const tables = fc.oneof(
  fc.constant({ kind: 'PASS_THROUGH' }),
  fc.record({
    kind: fc.constant('FIRST_STAGE'),
    address: whole,
    width: fc.constantFrom(48, 57),
    supervisor: fc.boolean(),
    writeProtect: fc.boolean(),
    extendedAccessed: fc.boolean(),
  }),
)
const bindings = fc.record({
  session: sessionIds,
  device: devices,
  target: upTo(PASID_LAST),
  generation: whole,
  table: tables,
  previous: fc.option(fc.record({ table: tables, domain: u16 }), { nil: undefined }),
  domain: u16,
  guestPasid: fc.option(from1(PASID_LAST), { nil: undefined }),
  state: fc.constantFrom('BINDING', 'BOUND', 'UNBINDING', 'LOST'),
  cause: text,
})
const attachments = fc.constantFrom('ATTACHING', 'ATTACHED', 'DETACHING')
const requests = fc.record({
  session: fc.option(sessionIds, { nil: undefined }),
  tenant: u16,
  method: fc.constantFrom(...REQUEST_METHODS),
  idHigh: u32,
  idLow: u32,
  fingerprintHigh: u32,
  fingerprintLow: u32,
  at: whole,
  answer: whole,
})

/** Before, after or both; of the same thing when both. */
function beforeAfter<T>(one: fc.Arbitrary<T>, alike: (before: T, after: T) => T) {
  return fc.oneof(
    one.map((after) => ({ before: undefined, after })),
    one.map((before) => ({ before, after: undefined })),
    fc.tuple(one, one).map(([before, after]) => ({ before, after: alike(before, after) })),
  )
}

const numbers = { namespace: namespaces, session: sessionIds, runs }
const events = fc.oneof(
  fc.record({ kind: fc.constant('tenant-registered'), id: u16, name: text }),
  fc
    .tuple(
      u16,
      beforeAfter(overrides, (_, after) => after),
    )
    .map(([id, change]) => ({ kind: 'tenant-changed', id, ...change })),
  fc.record({ kind: fc.constant('device-registered'), id: devices, name: text }),
  beforeAfter(sessions, (before, after) => ({ ...after, id: before.id })).map((change) => ({
    kind: 'session-changed',
    ...change,
  })),
  fc
    .tuple(
      fc.record({ session: sessionIds, device: devices }),
      beforeAfter(attachments, (_, after) => after),
    )
    .map(([at, change]) => ({ kind: 'attachment-changed', ...at, ...change })),
  fc.record({
    kind: fc.constant('granted'),
    ...numbers,
    tenant: u16,
    generation: whole,
    at: whole,
    labels: fc.option(labels, { nil: undefined }),
    cursorBefore: upTo(PASID_LAST + 1),
    cursorAfter: upTo(PASID_LAST + 1),
  }),
  fc.record({ kind: fc.constant('free-begun'), ...numbers }),
  fc.record({
    kind: fc.constant('released'),
    ...numbers,
    tenant: u16,
    from: fc.constantFrom('HELD', 'FREE_PENDING'),
    until: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
  }),
  beforeAfter(bindings, (_, after) => after).map((change) => ({
    kind: 'binding-changed',
    ...change,
  })),
  requests.map((record) => ({ kind: 'request-kept', record })),
)

/** A request belongs to its change, so it gets that revision. A change is audited once or never. */
const changes = fc
  .array(
    fc.record({
      revision: from1(Number.MAX_SAFE_INTEGER),
      events: fc.array(events),
      audit: fc.option(audits, { nil: undefined }),
    }),
    { maxLength: 12 },
  )
  .map((made) =>
    made.map(({ revision, events: list, audit: record }) => ({
      revision,
      events: [
        ...list.map((event) =>
          'record' in event ? { ...event, record: { ...event.record, revision } } : event,
        ),
        ...(record === undefined ? [] : [{ kind: 'audited', record }]),
      ],
    })),
  ) as unknown as fc.Arbitrary<Change[]>

describe(`the codec of changes (seed ${SEED})`, () => {
  test('gives back what it was given', () => {
    fc.assert(
      fc.property(changes, (given) => {
        expect(decodeChanges(encodeChanges(given))).toEqual(given)
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  test('a batch larger than any buffer so far comes through', () => {
    const many = Array.from({ length: 50_000 }, (_, i) => {
      const revision = i + 1
      return { revision, events: [granted(1, 1 + i, 1, { revision }), kept(revision)] }
    })
    const bytes = encodeChanges(many)
    expect(bytes.byteLength).toBeGreaterThan(4 * 1024 * 1024)
    expect(decodeChanges(bytes)).toEqual(many)
    expect(decodeChanges(encodeChanges(many.slice(0, 1)))).toEqual(many.slice(0, 1))
  })

  test('more than one audit record of a change is refused', () => {
    const twice = [{ revision: 1, events: [audited(), kept(1), audited()] }]
    expect(() => encodeChanges(twice)).toThrow(InvariantViolation)
    const apart = twice.map(({ events: [one, , two] }) => [
      { revision: 1, events: [one as Event] },
      { revision: 2, events: [two as Event] },
    ])
    expect(apart.map((given) => decodeChanges(encodeChanges(given)))).toEqual(apart)
  })

  test('bytes cut short or with a tail are refused', () => {
    fc.assert(
      fc.property(changes, fc.nat(), (given, cut) => {
        const bytes = encodeChanges(given)
        const length = cut % bytes.byteLength
        expect(() => decodeChanges(bytes.slice(0, length))).toThrow(CodecFault)
        const longer = new Uint8Array(bytes.byteLength + 1)
        longer.set(new Uint8Array(bytes))
        expect(() => decodeChanges(longer.buffer)).toThrow(CodecFault)
      }),
      { seed: SEED, numRuns: 200 },
    )
  })

  test('a changed byte is refused or decodes to what could have been encoded', () => {
    fc.assert(
      fc.property(changes, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, where, flip) => {
        const bytes = new Uint8Array(encodeChanges(given))
        const at = where % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ flip
        let decoded: Change[]
        try {
          decoded = decodeChanges(bytes.buffer)
        } catch (error) {
          expect(error).toBeInstanceOf(CodecFault)
          return
        }
        expect(decodeChanges(encodeChanges(decoded))).toEqual(decoded)
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  const wrong: readonly (readonly [string, object])[] = [
    ['no session', { kind: 'session-changed', before: undefined, after: undefined }],
    ['no numbers', { ...granted(1, 1, 1, { revision: 1 }), runs: [] }],
    ['number 0', granted(1, 0, 1, { revision: 1 })],
    ['a run beyond the last number', granted(1, PASID_LAST, 2, { revision: 1 })],
    ['a negative number', granted(1, -1, 1, { revision: 1 })],
    ['half a number', granted(1, 1.5, 1, { revision: 1 })],
    ['a session 0', { ...granted(1, 1, 1, { revision: 1 }), session: 0 }],
    ['a request of another change', kept(2)],
    ['a time that is none', kept(1, { at: Number.NaN as RequestRecord['at'] })],
    ['an open session with a cause', opened(session(1, { cause: 'CLOSED' }))],
    ['a session that lingers for no cause', opened(session(1, { state: 'LINGERING' }))],
    ['an owner 0', opened(session(1, { owner: { ...OWNER, pid: 0 } }))],
    ['an owner beyond all', opened(session(1, { owner: { ...OWNER, pid: 2 ** 22 + 1 } }))],
    ['an inode in words', opened(session(1, { owner: { ...OWNER, inode: 'pidfd:[1]' } }))],
    ['a user -1', opened(session(1, { owner: { ...OWNER, uid: -1 } }))],
    ['a delegate beyond 32 bits', opened(session(1, { delegate: 2 ** 32 }))],
    ['half a millisecond', opened(session(1, { lingerMs: 0.5 }))],
    ['no limits, before or after', limits(1, undefined, undefined)],
    ['limits of which none is set', limits(1, undefined, {})],
    ['a limit below nothing', limits(1, { maxPasids: -1 }, undefined)],
    ['an endless limit', limits(1, undefined, { maxSessions: Infinity })],
    ['a window from 0', limits(1, undefined, { window: { first: 0, last: 1 } })],
    ['a window backwards', limits(1, undefined, { window: { first: 2, last: 1 } })],
    ['a limit there is not', limits(1, undefined, { ...{ hosts: 1 }, maxPasids: 1 })],
    ['an unknown action', audited({ action: 'WAVE' as 'LINGER' })],
    ['an outcome in words', audited({ outcome: 'went well' as 'DONE' })],
    ['a text without an end', audited({ details: 'x'.repeat(AUDIT_TEXT_LENGTH_MAX + 1) })],
    ['an actor beyond all', audited({ actor: { uid: 0, gid: 0, pid: 2 ** 22 + 1 } })],
    [
      'two sessions in one',
      {
        kind: 'session-changed',
        before: { id: 1, labels: {}, state: 'OPEN', name: '', tokenHash: '' },
        after: { id: 2, labels: {}, state: 'OPEN', name: '', tokenHash: '' } as SessionRecord,
      },
    ],
    [
      'an unknown state',
      { kind: 'binding-changed', after: { state: 'ODD' } as unknown as Binding },
    ],
  ]
  test.each(wrong)('what could not be read back is not written: %s', (_what, event) => {
    expect(() => encodeChanges([{ revision: 1, events: [event as Event] }])).toThrow(
      InvariantViolation,
    )
  })
})
