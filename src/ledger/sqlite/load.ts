/**
 * Everything in the file, as an Image. What was asserted before it was written is checked again
 * here; a row that fails is corruption. A million rows come through an aggregate function, which is
 * called back per row with plain arguments: four times as fast as an iterator that makes an array
 * of each.
 */

import type Database from 'better-sqlite3'
import { deviceId, sessionId, tenantId } from '../../core/ids.js'
import type { Image } from '../../core/image.js'
import { ATTACHMENT_STATES } from '../codec-records.js'
import { overrideOf } from '../texts.js'
import { damaged, oneOf } from './checked.js'
import { AllocationReader, RequestReader } from './columns.js'
import type { RequestPruner } from './pruner.js'
import { bindingOf, SESSION_COLUMNS, sessionOf, type SessionRow } from './records.js'

export class Loader {
  readonly #sql: ReturnType<typeof prepare>
  #allocations = new AllocationReader(0, 0)
  #requests = new RequestReader(0, new Set())

  constructor(db: Database.Database) {
    // The names are the connection's own; they read nothing but what load() sets before it asks.
    db.aggregate('take_allocation', {
      varargs: true,
      start: 0,
      step: (taken: number, ...row: unknown[]) => this.#allocations.take(taken, row),
    })
    db.aggregate('take_request', {
      varargs: true,
      start: 0,
      step: (taken: number, ...row: unknown[]) => this.#requests.take(taken, row),
    })
    this.#sql = prepare(db)
  }

  /** @throws CodecFault or InvariantViolation for rows that we cannot have written */
  load(revision: number, lastSession: number, pruner: RequestPruner): Image {
    const sql = this.#sql
    const sessions = sql.sessions.all().map(sessionOf)
    for (const { id } of sessions) if (id > lastSession) damaged(`session ${id} is beyond the last`)
    const open = new Set<number>(sessions.map(({ id }) => id))

    const allocations = new AllocationReader(countIn(sql.countAllocations), revision)
    this.#allocations = allocations
    sql.takeAllocations.get()
    const requests = new RequestReader(countIn(sql.countRequests), open)
    this.#requests = requests
    sql.takeRequests.get()
    this.#allocations = new AllocationReader(0, 0)
    this.#requests = new RequestReader(0, new Set())

    for (const owner of requests.gone) pruner.noteGone(owner)
    for (const owner of requests.many) pruner.noteMany(owner)
    return {
      revision,
      lastSession,
      tenants: sql.tenants.all().map(([id, name, override]) => ({
        id: tenantId(id),
        name,
        override: override === null ? undefined : overrideOf(override),
      })),
      devices: sql.devices.all().map(([id, name]) => ({ id: deviceId(id), name })),
      sessions,
      attachments: sql.attachments.all().map(([session, device, state]) => ({
        session: sessionId(session),
        device: deviceId(device),
        state: oneOf(ATTACHMENT_STATES, state),
      })),
      allocations: allocations.finish(),
      labels: allocations.labels,
      bindings: sql.bindings.all().map(([key, record]) => bindingOf(key, record)),
      requests: requests.finish(),
    }
  }
}

/** The buffers in an image that may be handed over instead of copied. */
export function buffersOf(image: Image): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = []
  for (const columns of [image.allocations, image.requests]) {
    for (const column of Object.values(columns)) {
      if (ArrayBuffer.isView(column) && column.buffer instanceof ArrayBuffer) {
        buffers.push(column.buffer)
      }
    }
  }
  return buffers
}

function prepare(db: Database.Database) {
  const session = SESSION_COLUMNS.join(', ')
  const allocation = 'id, slot, session, tenant, generation, at, labels'
  const hashes = 'id_high, id_low, fingerprint_high, fingerprint_low'
  const request = `owner, revision, tenant, method, ${hashes}, at, answer`
  return {
    tenants: db
      .prepare<[], [number, string, string | null]>(
        'SELECT id, name, override FROM tenant ORDER BY id',
      )
      .raw(),
    devices: db.prepare<[], [number, string]>('SELECT id, name FROM device ORDER BY id').raw(),
    sessions: db.prepare<[], SessionRow>(`SELECT ${session} FROM session ORDER BY id`).raw(),
    attachments: db
      .prepare<[], [number, number, string]>(
        'SELECT session, device, state FROM attachment ORDER BY session, device',
      )
      .raw(),
    bindings: db
      .prepare<[], [number, string]>('SELECT key, record FROM binding ORDER BY key')
      .raw(),
    countAllocations: db.prepare<[], [number]>('SELECT count(*) FROM allocation').raw(),
    countRequests: db.prepare<[], [number]>('SELECT count(*) FROM request').raw(),
    takeAllocations: db.prepare(
      `SELECT take_allocation(${allocation}) FROM (SELECT * FROM allocation ORDER BY id)`,
    ),
    takeRequests: db.prepare(
      `SELECT take_request(${request}) FROM (SELECT * FROM request ORDER BY owner, revision)`,
    ),
  }
}

function countIn(statement: Database.Statement<[], [number]>): number {
  return statement.get()?.[0] ?? 0
}
