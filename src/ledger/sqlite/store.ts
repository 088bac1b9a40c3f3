/**
 * Events as rows. Each statement must touch exactly the rows that the event says were there before:
 * what memory decided and what the disk holds are compared at every write, and a difference is a
 * bug that undoes the batch and ends the process before it is acknowledged.
 */

import type Database from 'better-sqlite3'
import { assert, InvariantViolation } from '../../core/assert.js'
import { SHARE_OF } from '../../core/audit.js'
import { bindingKey } from '../../core/binding.js'
import type {
  AttachmentChanged,
  BindingChanged,
  Change,
  Event,
  FreeBegun,
  Granted,
  Released,
  SessionChanged,
  TenantChanged,
} from '../../core/events.js'
import { PASID_LAST } from '../../core/ids.js'
import { SLOT } from '../../core/namespace.js'
import type { PasidRun } from '../../core/range.js'
import { REQUEST_METHODS, type RequestRecord } from '../../core/requests.js'
import { overrideText } from '../texts.js'
import { AuditLog } from './audit.js'
import { type Meta, metaWriter } from './meta.js'
import { ownerOf, RequestPruner } from './pruner.js'
import { rowOfSession, SESSION_COLUMNS, type SessionRow } from './records.js'
import type { Transactions } from './transaction.js'

export class Store {
  readonly pruner: RequestPruner
  readonly audit: AuditLog
  readonly #sql: ReturnType<typeof prepare>
  readonly #setMeta: ReturnType<typeof metaWriter>
  #revision: number
  #lastSession: number
  #bootId: string

  constructor(
    db: Database.Database,
    private readonly transactions: Transactions,
    meta: Meta,
    auditEvents: number,
  ) {
    this.#sql = prepare(db)
    this.#setMeta = metaWriter(db)
    this.pruner = new RequestPruner(db)
    this.audit = new AuditLog(db, auditEvents)
    this.#revision = meta.revision
    this.#lastSession = meta.lastSession
    this.#bootId = meta.bootId
  }

  get revision(): number {
    return this.#revision
  }

  get lastSession(): number {
    return this.#lastSession
  }

  /** After archive(): the boot that later changes belong to. */
  setBoot(bootId: string): void {
    this.#bootId = bootId
  }

  /** One transaction. Answers the newest revision, which is durable then. @throws StoreFault */
  append(changes: readonly Change[], bootId: string): number {
    let revision = this.#revision
    let lastSession = this.#lastSession
    const audited = { SESSIONS: 0, OPERATORS: 0 }
    for (const change of changes) {
      revision += 1
      assert(change.revision === revision, `revision ${change.revision} comes as ${revision}`)
      for (const event of change.events) {
        if (event.kind === 'audited') audited[SHARE_OF[event.record.action]] += 1
        if (event.kind !== 'session-changed' || event.after === undefined) continue
        lastSession = Math.max(lastSession, event.after.id)
      }
    }
    assert(
      this.#bootId === '' || this.#bootId === bootId,
      'what a former boot left is archived before anything is added',
    )
    const auditRows = this.transactions.run(() => {
      for (const change of changes) {
        for (const event of change.events) this.#apply(event, change.revision)
      }
      this.pruner.step()
      this.#setMeta('revision', revision)
      if (lastSession !== this.#lastSession) this.#setMeta('last_session', lastSession)
      if (bootId !== this.#bootId) this.#setMeta('boot_id', bootId)
      return this.audit.prune(audited)
    })
    this.audit.settle(auditRows)
    this.#revision = revision
    this.#lastSession = lastSession
    this.#bootId = bootId
    return revision
  }

  #apply(event: Event, revision: number): void {
    switch (event.kind) {
      case 'tenant-registered':
        return one(this.#sql.tenant.run(event.id, event.name), event)
      case 'tenant-changed':
        return this.#applyLimits(event)
      case 'device-registered':
        return one(this.#sql.device.run(event.id, event.name), event)
      case 'session-changed':
        return this.#applySession(event)
      case 'attachment-changed':
        return this.#applyAttachment(event)
      case 'granted':
        return this.#applyGranted(event)
      case 'free-begun':
        return this.#move(event, event.runs, SLOT.HELD, SLOT.FREE_PENDING)
      case 'released':
        return this.#move(event, event.runs, SLOT[event.from], SLOT.QUARANTINED)
      case 'binding-changed':
        return this.#applyBinding(event)
      case 'request-kept':
        return this.#keepRequest(event.record)
      case 'audited':
        return this.audit.keep(event.record, revision)
    }
  }

  #applyLimits(event: TenantChanged): void {
    const before = event.before === undefined ? null : overrideText(event.before)
    const after = event.after === undefined ? null : overrideText(event.after)
    one(this.#sql.limitTenant.run(after, event.id, before), event)
  }

  #applySession(event: SessionChanged): void {
    const { before, after } = event
    if (after === undefined) {
      const id = before?.id ?? 0
      one(this.#sql.closeSession.run(id), event)
      this.pruner.noteGone(id)
      return
    }
    const statement = before === undefined ? this.#sql.openSession : this.#sql.updateSession
    one(statement.run(...rowOfSession(after)), event)
  }

  #applyAttachment(event: AttachmentChanged): void {
    const { session, device, before, after } = event
    if (after === undefined) return one(this.#sql.detach.run(session, device), event)
    const statement = before === undefined ? this.#sql.attach : this.#sql.updateAttachment
    one(statement.run(after, session, device), event)
  }

  #applyGranted(event: Granted): void {
    const { session, tenant, generation, at } = event
    const labels = event.labels === undefined ? null : JSON.stringify(event.labels)
    const base = event.namespace * (PASID_LAST + 1)
    for (const run of event.runs) {
      for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
        one(this.#sql.grant.run(base + pasid, session, tenant, generation, at, labels), event)
      }
    }
  }

  #move(event: FreeBegun | Released, runs: readonly PasidRun[], from: number, to: number): void {
    const base = event.namespace * (PASID_LAST + 1)
    for (const run of runs) {
      const first = base + run.first
      const last = first + run.count - 1
      const { changes } = this.#sql.move.run(to, to, first, last, from, event.session)
      if (changes !== run.count) differs(event)
    }
  }

  #applyBinding(event: BindingChanged): void {
    const { before, after } = event
    const binding = after ?? before
    assert(binding !== undefined, 'a binding there is')
    const key = bindingKey(binding.device, binding.target)
    if (after === undefined) return one(this.#sql.unbind.run(key), event)
    const statement = before === undefined ? this.#sql.bind : this.#sql.updateBinding
    one(statement.run(after.session, JSON.stringify(after), key), event)
  }

  #keepRequest(record: RequestRecord): void {
    const { revision, tenant, idHigh, idLow, fingerprintHigh, fingerprintLow, at, answer } = record
    const owner = ownerOf(record)
    const method = REQUEST_METHODS.indexOf(record.method)
    const hashes = [idHigh, idLow, fingerprintHigh, fingerprintLow] as const
    this.#sql.keepRequest.run(owner, revision, tenant, method, ...hashes, at, answer)
    this.pruner.noteKept(owner)
  }
}

function one(result: { readonly changes: number }, event: Event): void {
  if (result.changes !== 1) differs(event)
}

function differs(event: Event): never {
  const text = JSON.stringify(event).slice(0, 500)
  throw new InvariantViolation(`the ledger holds something else than was decided on: ${text}`)
}

type Text = string | null

function prepare(db: Database.Database) {
  const session = SESSION_COLUMNS.join(', ')
  const values = SESSION_COLUMNS.map(() => '?').join(', ')
  type RequestRow = [number, number, number, number, number, number, number, number, number, number]
  return {
    tenant: db.prepare<[number, string]>('INSERT INTO tenant (id, name) VALUES (?, ?)'),
    limitTenant: db.prepare<[Text, number, Text]>(
      'UPDATE tenant SET override = ? WHERE id = ? AND override IS ?',
    ),
    device: db.prepare<[number, string]>('INSERT INTO device (id, name) VALUES (?, ?)'),
    openSession: db.prepare<SessionRow>(`INSERT INTO session (${session}) VALUES (${values})`),
    updateSession: db.prepare<SessionRow>(
      `UPDATE session SET ${SESSION_COLUMNS.slice(0, -1).join(' = ?, ')} = ? WHERE id = ?`,
    ),
    closeSession: db.prepare<[number]>('DELETE FROM session WHERE id = ?'),
    attach: db.prepare<[string, number, number]>(
      'INSERT INTO attachment (state, session, device) VALUES (?, ?, ?)',
    ),
    updateAttachment: db.prepare<[string, number, number]>(
      'UPDATE attachment SET state = ? WHERE session = ? AND device = ?',
    ),
    detach: db.prepare<[number, number]>('DELETE FROM attachment WHERE session = ? AND device = ?'),
    // A number that rested before still has its row: only such a row gives way.
    grant: db.prepare<[number, number, number, number, number, Text]>(
      `INSERT INTO allocation (id, slot, session, tenant, generation, at, labels)
       VALUES (?, ${SLOT.HELD}, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET slot = excluded.slot, session = excluded.session,
         tenant = excluded.tenant, generation = excluded.generation, at = excluded.at,
         labels = excluded.labels
       WHERE slot = ${SLOT.QUARANTINED}`,
    ),
    move: db.prepare<[number, number, number, number, number, number]>(
      `UPDATE allocation SET slot = ?, labels = iif(? = ${SLOT.QUARANTINED}, NULL, labels)
       WHERE id BETWEEN ? AND ? AND slot = ? AND session = ?`,
    ),
    bind: db.prepare<[number, string, number]>(
      'INSERT INTO binding (session, record, key) VALUES (?, ?, ?)',
    ),
    updateBinding: db.prepare<[number, string, number]>(
      'UPDATE binding SET session = ?, record = ? WHERE key = ?',
    ),
    unbind: db.prepare<[number]>('DELETE FROM binding WHERE key = ?'),
    keepRequest: db.prepare<RequestRow>(
      `INSERT INTO request (owner, revision, tenant, method, id_high, id_low, fingerprint_high,
         fingerprint_low, at, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
  }
}
