/**
 * The ledger against a fold that knows no database: a Map from a name of each fact to its line.
 * After random commands in random batches, with reopening and closing between, both say the same.
 */

import process from 'node:process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Binding } from '../../src/core/binding.js'
import { AUDIT_ACTIONS, SHARE_OF } from '../../src/core/audit.js'
import type { Change, Event } from '../../src/core/events.js'
import { deviceId, domainId, namespaceId, sessionId, tenantId } from '../../src/core/ids.js'
import type { TenantOverride } from '../../src/core/quota.js'
import { END_CAUSES, type SessionRecord } from '../../src/core/session.js'
import type { AuditRow, Ledger } from '../../src/ledger/ledger.js'
import { openSqliteLedger } from '../../src/ledger/sqlite/sqlite-ledger.js'
import * as make from '../support/ledger-events.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)

/** So few, that most plans go beyond it. */
const AUDIT_EVENTS = 20

type State = 'ATTACHING' | 'ATTACHED' | 'DETACHING'

interface Named {
  readonly slot: number
  readonly session: number
  readonly rest: string
  /** Of the grant: there while one of its numbers is not given back. */
  readonly label: string
}

/** What is so now, each thing under a name; makes only events that fit it, and their effect. */
class Naive {
  revision = 0
  lastSession = 0
  readonly tenants = new Map<number, string>()
  readonly devices = new Map<number, string>()
  readonly sessions = new Map<number, SessionRecord>()
  readonly attachments = new Map<string, State>()
  readonly bindings = new Map<number, Binding>()
  /** `namespace number` to slot, owner and the rest of the line, which names the grant. */
  readonly numbers = new Map<string, Named>()
  readonly requests: { owner: number; line: string }[] = []
  readonly overrides = new Map<number, TenantOverride>()
  /** Newest first. */
  readonly audits: AuditRow[] = []

  lines(): string[] {
    const granted = [...this.numbers.values()].filter(({ slot }) => slot !== 3)
    const labelled = new Set(granted.map(({ rest }) => rest))
    return [
      `revision ${this.revision}`,
      `last session ${this.lastSession}`,
      ...[...this.tenants].map(([id, name]) => {
        const override = this.overrides.get(id)
        const changed = override === undefined ? '' : ` ${make.sortedJson(override)}`
        return `tenant ${id} ${name}${changed}`
      }),
      ...[...this.devices].map(([id, name]) => `device ${id} ${name}`),
      ...[...this.sessions.values()].map((record) => `session ${make.sortedJson(record)}`),
      ...[...this.attachments].map(([at, state]) => `attachment ${at} ${state}`),
      ...[...this.numbers].map(([at, { slot, session, rest, label }]) =>
        ['pasid', at, slot, session, rest, labelled.has(rest) ? label : '-'].join(' '),
      ),
      ...[...this.bindings.values()].map((record) => `binding ${make.sortedJson(record)}`),
      ...this.requests.map(({ line }) => line),
    ].sort()
  }

  /** One change; the die says which, and of what. */
  change(die: readonly number[]): Change {
    this.revision += 1
    const [what = 0, a = 0, b = 0, c = 0] = die
    const makers = [
      () => this.tenant(a),
      () => this.device(a),
      () => this.open(a, b),
      () => this.limit(a, b, c),
      () => this.closeOrMark(a, b),
      () => this.own(a, b, c),
      () => this.attach(a, b),
      () => this.grant(a, b, c),
      () => this.grant(a, b, c),
      () => this.free(a, b),
      () => this.free(a, b),
      () => this.bind(a, b, c),
    ]
    const events = makers[what % makers.length]?.() ?? []
    const request = c % 3 === 0 ? this.request(a, b) : []
    const audit = b % 4 === 0 ? this.audit(a, c) : []
    return { revision: this.revision, events: [...events, ...request, ...audit] }
  }

  tenant(a: number): Event[] {
    const id = this.tenants.size
    this.tenants.set(id, `t-${a}-${id}`)
    return [make.tenant(id, `t-${a}-${id}`)]
  }

  device(a: number): Event[] {
    const id = this.devices.size
    this.devices.set(id, `d-${a}-${id}`)
    return [make.device(id, `d-${a}-${id}`)]
  }

  open(a: number, b: number): Event[] {
    this.lastSession += 1 + (a % 3)
    const labels = b % 2 === 0 ? {} : { [`k${a}`]: `v${b}` }
    const owner = a % 4 === 0 ? undefined : { ...make.OWNER, pid: 1 + a, inode: `${b}`, gid: a }
    const delegate = b % 3 === 0 ? b : undefined
    const whose = { tenant: tenantId(b % 7), owner, delegate, lingerMs: a % 5 }
    const record = make.session(this.lastSession, { labels, ...whose })
    this.sessions.set(record.id, record)
    return [make.opened(record)]
  }

  closeOrMark(a: number, b: number): Event[] {
    const before = pick([...this.sessions.values()], a)
    if (before === undefined) return []
    if (b % 2 === 0) {
      const cause = b % 4 === 0 ? undefined : pick(END_CAUSES, a)
      const held = { withheld: a % 2 === 0, unproven: a % 3 === 0 }
      const after: SessionRecord = { ...before, state: 'CLOSING', cause, ...held }
      this.sessions.set(after.id, after)
      return [{ kind: 'session-changed', before, after }]
    }
    this.sessions.delete(before.id)
    const left = this.requests.filter(({ owner }) => owner !== before.id)
    this.requests.splice(0, this.requests.length, ...left)
    return [make.closed(before)]
  }

  /** Left by its owner, or taken over by another. */
  own(a: number, b: number, c: number): Event[] {
    const before = pick([...this.sessions.values()], a)
    if (before === undefined) return []
    const owner = { ...make.OWNER, pid: 1 + c, startTime: `${b}`, uid: a }
    const after: SessionRecord =
      c % 2 === 0
        ? { ...before, state: 'LINGERING', cause: 'EXIT' }
        : { ...before, owner, delegate: undefined, state: 'OPEN', cause: undefined }
    this.sessions.set(after.id, after)
    return [{ kind: 'session-changed', before, after }]
  }

  limit(a: number, b: number, c: number): Event[] {
    const id = pick([...this.tenants.keys()], a)
    if (id === undefined) return []
    const before = this.overrides.get(id)
    const window = c % 2 === 0 ? null : { last: 1 + b + c, first: 1 + b }
    const after =
      before !== undefined && b % 3 === 0
        ? undefined
        : { ...(b % 2 === 0 ? { window } : {}), maxPasids: a % 2 === 0 ? null : b }
    if (after === undefined) this.overrides.delete(id)
    else this.overrides.set(id, after)
    return [make.limits(id, before, after)]
  }

  audit(a: number, c: number): Event[] {
    const action = pick(AUDIT_ACTIONS, a) ?? 'LINGER'
    const actor = c % 3 === 0 ? undefined : { uid: a % 3, gid: c, pid: a }
    const event = make.audited({ action, actor, subject: `s-${c % 4}`, details: `${c}` })
    if (event.kind !== 'audited') throw new Error('an audit record is one')
    this.audits.unshift({ revision: this.revision, ...event.record })
    return [event]
  }

  /** With a filter as the dice say; the bound is that of the newest append. */
  auditQuery(a: number, b: number) {
    const subject = a % 2 === 0 ? undefined : `s-${b % 4}`
    const uid = b % 3 === 0 ? a % 3 : undefined
    const before = a % 5 === 0 ? b : undefined
    const query = { before, limit: 1 + (a % 30), action: undefined, subject, uid }
    const sessions = this.audits.filter(({ action }) => SHARE_OF[action] === 'SESSIONS')
    const oldest = sessions[AUDIT_EVENTS - 1]?.revision ?? 0
    const found = this.audits.filter((row) => {
      return (
        (row.revision >= oldest || SHARE_OF[row.action] === 'OPERATORS') &&
        row.revision < (before ?? Infinity) &&
        row.subject === (subject ?? row.subject) &&
        (uid === undefined || row.actor?.uid === uid)
      )
    })
    return { query: { ...query, outcome: undefined }, found: found.slice(0, query.limit) }
  }

  attach(a: number, b: number): Event[] {
    const session = sessionId(1 + (a % 5))
    const device = deviceId(b % 3)
    const at = `${session} ${device}`
    const before = this.attachments.get(at)
    const after = before === undefined ? 'ATTACHING' : NEXT_ATTACHMENT[before]
    if (after === undefined) this.attachments.delete(at)
    else this.attachments.set(at, after)
    return [{ kind: 'attachment-changed', session, device, before, after }]
  }

  grant(a: number, b: number, c: number): Event[] {
    const namespace = a % 3
    const session = 1 + (b % 5)
    const first = 1 + ((a * 31 + b * 17) % 200)
    const runs: { first: number; count: number }[] = []
    const labels = c % 4 === 0 ? { grant: `${c}` } : undefined
    const label = labels === undefined ? '-' : make.sortedJson(labels)
    const event = make.granted(session, first, 1, { revision: this.revision, labels })
    if (event.kind !== 'granted') throw new Error('a grant is a grant')
    for (let n = first; n < first + 1 + (c % 20); n += 1) {
      const slot = this.numbers.get(`${namespace} ${n}`)?.slot
      if (slot === 1 || slot === 2) continue
      const rest = `0 ${this.revision} ${event.at}`
      this.numbers.set(`${namespace} ${n}`, { slot: 1, session, rest, label })
      const last = runs.at(-1)
      if (last !== undefined && last.first + last.count === n) last.count += 1
      else runs.push({ first: n, count: 1 })
    }
    return runs.length === 0 ? [] : [{ ...event, namespace: namespaceId(namespace), runs }]
  }

  free(a: number, b: number): Event[] {
    const found = pick(
      [...this.numbers].filter(([, { slot }]) => slot !== 3),
      a,
    )
    if (found === undefined) return []
    const [at, entry] = found
    const [space = 0, n = 0] = at.split(' ').map(Number)
    const namespace = namespaceId(space)
    const runs = [{ first: n, count: 1 }]
    const session = sessionId(entry.session)
    const from = entry.slot === 1 ? 'HELD' : 'FREE_PENDING'
    if (from === 'HELD' && b % 2 === 0) {
      this.numbers.set(at, { ...entry, slot: 2 })
      return [{ kind: 'free-begun', namespace, session, runs }]
    }
    this.numbers.set(at, { ...entry, slot: 3 })
    const event = make.released(entry.session, n, 1, from)
    return [{ ...event, namespace } as Event]
  }

  bind(a: number, b: number, c: number): Event[] {
    const target = b % 30
    const before = this.bindings.get(target)
    const after = make.binding(1 + (a % 5), target, {
      state: (['BINDING', 'BOUND', 'UNBINDING', 'LOST'] as const)[c % 4] ?? 'LOST',
      cause: c % 4 === 3 ? `cause ${a}` : '',
      domain: domainId(a % 65_536),
    })
    if (before !== undefined && c % 5 === 0) {
      this.bindings.delete(target)
      return [{ kind: 'binding-changed', before, after: undefined }]
    }
    this.bindings.set(target, after)
    return [{ kind: 'binding-changed', before, after }]
  }

  request(a: number, b: number): Event[] {
    const session = pick([...this.sessions.keys()], a)
    const tenant = tenantId(b % 4)
    const { revision } = this
    const of = session === undefined ? undefined : sessionId(session)
    const method = of === undefined ? 'OpenSession' : 'FreePasids'
    const event = make.kept(revision, { session: of, tenant, method, idHigh: a, answer: b })
    if (event.kind !== 'request-kept') throw new Error('a request is a request')
    const { idLow, fingerprintHigh, fingerprintLow, at } = event.record
    const hashes = `${a} ${idLow} ${fingerprintHigh} ${fingerprintLow}`
    const line = `request ${session ?? 0} ${tenant} ${method} ${hashes} ${at} ${b} ${revision}`
    this.requests.push({ owner: session ?? 0, line })
    return [event]
  }
}

const NEXT_ATTACHMENT: Readonly<Record<State, State | undefined>> = {
  ATTACHING: 'ATTACHED',
  ATTACHED: 'DETACHING',
  DETACHING: undefined,
}

function pick<T>(from: readonly T[], die: number): T | undefined {
  return from.length === 0 ? undefined : from[die % from.length]
}

const dice = fc.array(fc.nat({ max: 10_000 }), { minLength: 4, maxLength: 4 })
const batches = fc.array(
  fc.record({
    changes: fc.array(dice, { minLength: 1, maxLength: 40 }),
    then: fc.constantFrom('go on', 'go on', 'load', 'reopen', 'close'),
  }),
  { minLength: 1, maxLength: 12 },
)

describe(`the ledger against a naive fold (seed ${SEED})`, () => {
  test('after any changes it loads what they add up to', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (plan) => {
        const directory = await mkdtemp(join(tmpdir(), 'pasidd-ledger-'))
        const keeping = { auditEvents: AUDIT_EVENTS, onCorrupt: 'refuse' } as const
        const open = () => openSqliteLedger({ directory, bootId: 'b', ...keeping })
        const naive = new Naive()
        let ledger: Ledger = await open()
        try {
          for (const { changes, then } of plan) {
            await ledger.append(changes.map((die) => naive.change(die)))
            if (then === 'reopen') expect(await ledger.reopen()).toBe(naive.revision)
            if (then === 'close') {
              await ledger.close()
              ledger = await open()
            }
            for (const [, a = 0, b = 0] of changes.slice(0, 3)) {
              const { query, found } = naive.auditQuery(a, b)
              expect(await ledger.readAudit(query)).toEqual(found)
            }
            if (then === 'go on') continue
            expect(make.linesOf(await ledger.load())).toEqual(naive.lines())
          }
          expect(make.linesOf(await ledger.load())).toEqual(naive.lines())
        } finally {
          await ledger.close()
          await rm(directory, { recursive: true, force: true })
        }
      }),
      { seed: SEED, numRuns: 15 },
    )
  })
})
