/** Rows that may be a million, checked one by one into the columns of core/image.ts. */

import { DEVICES_MAX, PASID_LAST, SESSION_ID_LAST } from '../../core/ids.js'
import type { AllocationColumns, RequestColumns } from '../../core/image.js'
import { REQUEST_IDS_KEPT_MIN } from '../../core/limits.js'
import { SLOT } from '../../core/namespace.js'
import { REQUEST_METHODS } from '../../core/requests.js'
import type { Labels } from '../../core/session.js'
import { labelsOf } from '../texts.js'
import { damaged, whole } from './checked.js'
import { sessionOfOwner } from './pruner.js'

const NUMBERS = PASID_LAST + 1
const TENANT_LAST = 0xffff

// -- numbers -------------------------------------------------------------------------------------

export class AllocationReader {
  readonly labels = new Map<number, Labels>()
  readonly #columns: AllocationColumns
  #newestId = 0

  constructor(
    count: number,
    private readonly revision: number,
  ) {
    this.#columns = {
      count,
      namespace: new Uint16Array(count),
      pasid: new Uint32Array(count),
      slot: new Uint8Array(count),
      session: new Uint32Array(count),
      tenant: new Uint16Array(count),
      generation: new Float64Array(count),
      at: new Float64Array(count),
    }
    this.#taken = 0
  }

  #taken: number

  /** One row: id, slot, session, tenant, generation, at, labels. Answers how many there were. */
  take(taken: number, row: readonly unknown[]): number {
    const columns = this.#columns
    const id = whole(row[0], (DEVICES_MAX + 1) * NUMBERS - 1, 'allocation id')
    if (id <= this.#newestId || taken >= columns.count) damaged(`allocation ${id} is out of order`)
    this.#newestId = id
    const number = id % NUMBERS
    if (number === 0) damaged('number 0 is granted')
    columns.namespace[taken] = (id - number) / NUMBERS
    columns.pasid[taken] = number
    const slot = whole(row[1], SLOT.QUARANTINED, 'slot')
    if (slot === SLOT.FREE) damaged(`allocation ${id} is stored as free`)
    columns.slot[taken] = slot
    const session = whole(row[2], SESSION_ID_LAST, 'session of a number')
    if (session === 0) damaged(`allocation ${id} has no owner`)
    columns.session[taken] = session
    columns.tenant[taken] = whole(row[3], TENANT_LAST, 'tenant of a number')
    const grant = whole(row[4], this.revision, 'generation')
    columns.generation[taken] = grant
    columns.at[taken] = whole(row[5], Number.MAX_SAFE_INTEGER, 'time of a grant')
    const labels = row[6]
    if (typeof labels === 'string' && !this.labels.has(grant)) {
      this.labels.set(grant, labelsOf(labels))
    }
    this.#taken = taken + 1
    return this.#taken
  }

  finish(): AllocationColumns {
    if (this.#taken !== this.#columns.count) damaged('numbers are missing')
    return this.#columns
  }
}

// -- request ids ---------------------------------------------------------------------------------

export class RequestReader {
  /** Closed sessions of which some are left. */
  readonly gone = new Set<number>()
  /** Owners of more than must be kept. */
  readonly many = new Set<number>()
  readonly #columns: Omit<RequestColumns, 'count'>
  readonly #capacity: number
  #count = 0
  #owner = 0
  #ofOwner = 0
  #newest = 0

  constructor(
    capacity: number,
    private readonly sessions: ReadonlySet<number>,
  ) {
    this.#capacity = capacity
    this.#columns = {
      session: new Uint32Array(capacity),
      tenant: new Uint16Array(capacity),
      method: new Uint8Array(capacity),
      idHigh: new Uint32Array(capacity),
      idLow: new Uint32Array(capacity),
      fingerprintHigh: new Uint32Array(capacity),
      fingerprintLow: new Uint32Array(capacity),
      at: new Float64Array(capacity),
      answer: new Float64Array(capacity),
      revision: new Float64Array(capacity),
    }
  }

  /** One row, in the order of the columns in the table. */
  take(taken: number, row: readonly unknown[]): number {
    const owner = row[0]
    if (typeof owner !== 'number' || taken >= this.#capacity) damaged('a request without an owner')
    const revision = whole(row[1], Number.MAX_SAFE_INTEGER, 'revision of a request')
    this.#follow(owner, revision)
    const session = sessionOfOwner(owner)
    if (session !== 0 && !this.sessions.has(session)) {
      this.gone.add(session)
      return taken + 1
    }
    const columns = this.#columns
    const i = this.#count
    this.#count += 1
    columns.session[i] = session
    columns.revision[i] = revision
    columns.tenant[i] = whole(row[2], TENANT_LAST, 'tenant of a request')
    columns.method[i] = whole(row[3], REQUEST_METHODS.length - 1, 'method of a request')
    columns.idHigh[i] = whole(row[4], 0xffff_ffff, 'request id')
    columns.idLow[i] = whole(row[5], 0xffff_ffff, 'request id')
    columns.fingerprintHigh[i] = whole(row[6], 0xffff_ffff, 'fingerprint')
    columns.fingerprintLow[i] = whole(row[7], 0xffff_ffff, 'fingerprint')
    columns.at[i] = whole(row[8], Number.MAX_SAFE_INTEGER, 'time of a request')
    columns.answer[i] = whole(row[9], Number.MAX_SAFE_INTEGER, 'answer')
    return taken + 1
  }

  finish(): RequestColumns {
    const count = this.#count
    const whole = this.#columns
    if (count === this.#capacity) return { count, ...whole }
    return {
      count,
      session: whole.session.slice(0, count),
      tenant: whole.tenant.slice(0, count),
      method: whole.method.slice(0, count),
      idHigh: whole.idHigh.slice(0, count),
      idLow: whole.idLow.slice(0, count),
      fingerprintHigh: whole.fingerprintHigh.slice(0, count),
      fingerprintLow: whole.fingerprintLow.slice(0, count),
      at: whole.at.slice(0, count),
      answer: whole.answer.slice(0, count),
      revision: whole.revision.slice(0, count),
    }
  }

  #follow(owner: number, revision: number): void {
    if (owner !== this.#owner) this.#ofOwner = 0
    else if (revision <= this.#newest) damaged(`requests of ${owner} are out of order`)
    this.#owner = owner
    this.#newest = revision
    this.#ofOwner += 1
    if (this.#ofOwner > REQUEST_IDS_KEPT_MIN) this.many.add(owner)
  }
}
