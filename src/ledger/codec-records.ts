/**
 * The records inside events as bytes, each writer beside its reader: what one asserts, the other
 * checks. Bindings are two events of every bind, so they are fixed fields; the rest may be JSON.
 */

import { assert } from '../core/assert.js'
import type { Binding, BindingState, Table } from '../core/binding.js'
import {
  deviceId,
  domainId,
  generation,
  pasid,
  PASID_LAST,
  sessionId,
  target,
  tenantId,
  wallMs,
} from '../core/ids.js'
import type { PasidRun } from '../core/range.js'
import { REQUEST_METHODS, type RequestRecord } from '../core/requests.js'
import {
  type AttachmentState,
  END_CAUSES,
  type EndCause,
  type Labels,
  type SessionRecord,
  type SessionState,
} from '../core/session.js'
import { type ByteReader, type ByteWriter, CodecFault } from './bytes.js'
import { labelsOf, ownerOf, ownerText } from './texts.js'

export const BINDING_STATES: readonly BindingState[] = ['BINDING', 'BOUND', 'UNBINDING', 'LOST']
export const ATTACHMENT_STATES: readonly AttachmentState[] = ['ATTACHING', 'ATTACHED', 'DETACHING']
export const SESSION_STATES: readonly SessionState[] = ['OPEN', 'LINGERING', 'CLOSING']

/** A bound of the codec only, so that a damaged count cannot ask for all of memory. */
const RUNS_MAX = 2 ** 20

/** 0 is absent; otherwise 1 + index. */
export function putState<S>(out: ByteWriter, states: readonly S[], state: S | undefined): void {
  const index = state === undefined ? 0 : states.indexOf(state) + 1
  assert(state === undefined || index > 0, 'a state that the codec knows')
  out.putU8(index)
}

export function takeState<S>(from: ByteReader, states: readonly S[]): S | undefined {
  const index = from.takeU8()
  if (index > states.length) throw new CodecFault(`unknown state ${index}`)
  return index === 0 ? undefined : states[index - 1]
}

export function takeFlag(from: ByteReader): boolean {
  const flag = from.takeU8()
  if (flag > 1) throw new CodecFault(`not a flag: ${flag}`)
  return flag === 1
}

// -- runs ----------------------------------------------------------------------------------------

export function putRuns(out: ByteWriter, runs: readonly PasidRun[]): void {
  assert(runs.length > 0 && runs.length <= RUNS_MAX, 'an event speaks of some numbers')
  out.putU32(runs.length)
  for (const run of runs) {
    assert(run.first >= 1 && run.count >= 1, 'a run holds numbers from 1 on')
    assert(run.first + run.count - 1 <= PASID_LAST, 'a run ends within the numbers')
    out.putU32(run.first)
    out.putU32(run.count)
  }
}

export function takeRuns(from: ByteReader): PasidRun[] {
  const count = from.takeU32()
  if (count === 0 || count > RUNS_MAX) throw new CodecFault(`${count} runs`)
  const runs: PasidRun[] = []
  for (let i = 0; i < count; i += 1) {
    const run = { first: from.takeU32(), count: from.takeU32() }
    if (run.first < 1 || run.count < 1 || run.first + run.count - 1 > PASID_LAST) {
      throw new CodecFault(`run ${run.first}+${run.count}`)
    }
    runs.push(run)
  }
  return runs
}

// -- labels and sessions -------------------------------------------------------------------------

export function putLabels(out: ByteWriter, labels: Labels | undefined): void {
  out.putText(labels === undefined ? '' : JSON.stringify(labels))
}

export function takeLabels(from: ByteReader): Labels | undefined {
  const text = from.takeText()
  return text === '' ? undefined : labelsOf(text)
}

const DELEGATE = 1
const WITHHELD = 2
const UNPROVEN = 4

/** Why one closes that release 0.1.0 left closing is not known. */
export function causeFits(state: SessionState, cause: EndCause | undefined): boolean {
  return state === 'CLOSING' || (state === 'LINGERING') === (cause !== undefined)
}

export function putSession(out: ByteWriter, record: SessionRecord | undefined): void {
  putState(out, SESSION_STATES, record?.state)
  if (record === undefined) return
  const { owner, delegate, state, cause } = record
  assert(record.id >= 1, 'a session has a number from 1 on')
  assert(causeFits(state, cause), 'why a session ends is known when it does, and not before')
  out.putU32(record.id)
  out.putText(record.name)
  out.putU16(record.tenant)
  out.putText(record.tokenHash)
  out.putWhole(record.maxPasids)
  putLabels(out, record.labels)
  out.putWhole(record.openedAt)
  out.putText(owner === undefined ? '' : ownerText(owner))
  out.putWhole(record.lingerMs)
  putState(out, END_CAUSES, cause)
  const whose = delegate === undefined ? 0 : DELEGATE
  out.putU8(whose | (record.withheld ? WITHHELD : 0) | (record.unproven ? UNPROVEN : 0))
  if (delegate !== undefined) out.putU32(delegate)
}

export function takeSession(from: ByteReader): SessionRecord | undefined {
  const state = takeState(from, SESSION_STATES)
  if (state === undefined) return undefined
  const known = {
    id: sessionId(from.takeU32()),
    name: from.takeText(),
    tenant: tenantId(from.takeU16()),
    tokenHash: from.takeText(),
    maxPasids: from.takeWhole(),
    labels: takeLabels(from) ?? {},
    openedAt: wallMs(from.takeWhole()),
  }
  const owner = from.takeText()
  const lingerMs = from.takeWhole()
  const cause = takeState(from, END_CAUSES)
  if (!causeFits(state, cause)) throw new CodecFault(`cause ${cause} of a session ${state}`)
  const flags = from.takeU8()
  if (flags > 7) throw new CodecFault(`session flags ${flags}`)
  return {
    ...known,
    owner: owner === '' ? undefined : ownerOf(owner),
    delegate: (flags & DELEGATE) === 0 ? undefined : from.takeU32(),
    lingerMs,
    state,
    cause,
    withheld: (flags & WITHHELD) !== 0,
    unproven: (flags & UNPROVEN) !== 0,
  }
}

// -- bindings ------------------------------------------------------------------------------------

const FIRST_STAGE = 1
const PASS_THROUGH = 2
const SUPERVISOR = 1
const WRITE_PROTECT = 2
const EXTENDED_ACCESSED = 4
const PREVIOUS = 1
const GUEST_PASID = 2

function putTable(out: ByteWriter, table: Table): void {
  if (table.kind === 'PASS_THROUGH') {
    out.putU8(PASS_THROUGH)
    return
  }
  out.putU8(FIRST_STAGE)
  out.putWhole(table.address)
  out.putU8(table.width)
  const supervisor = table.supervisor ? SUPERVISOR : 0
  const writeProtect = table.writeProtect ? WRITE_PROTECT : 0
  out.putU8(supervisor | writeProtect | (table.extendedAccessed ? EXTENDED_ACCESSED : 0))
}

function takeTable(from: ByteReader): Table {
  const kind = from.takeU8()
  if (kind === PASS_THROUGH) return { kind: 'PASS_THROUGH' }
  if (kind !== FIRST_STAGE) throw new CodecFault(`unknown table ${kind}`)
  const address = from.takeWhole()
  const width = from.takeU8()
  if (width !== 48 && width !== 57) throw new CodecFault(`address width ${width}`)
  const flags = from.takeU8()
  if (flags > 7) throw new CodecFault(`table flags ${flags}`)
  return {
    kind: 'FIRST_STAGE',
    address,
    width,
    supervisor: (flags & SUPERVISOR) !== 0,
    writeProtect: (flags & WRITE_PROTECT) !== 0,
    extendedAccessed: (flags & EXTENDED_ACCESSED) !== 0,
  }
}

export function putBinding(out: ByteWriter, binding: Binding | undefined): void {
  putState(out, BINDING_STATES, binding?.state)
  if (binding === undefined) return
  const { previous, guestPasid } = binding
  assert(binding.session >= 1 && binding.target <= PASID_LAST, 'a binding has owner and target')
  const hasPrevious = previous === undefined ? 0 : PREVIOUS
  out.putU8(hasPrevious | (guestPasid === undefined ? 0 : GUEST_PASID))
  out.putU32(binding.session)
  out.putU16(binding.device)
  out.putU32(binding.target)
  out.putWhole(binding.generation)
  putTable(out, binding.table)
  out.putU16(binding.domain)
  if (previous !== undefined) {
    putTable(out, previous.table)
    out.putU16(previous.domain)
  }
  if (guestPasid !== undefined) out.putU32(guestPasid)
  out.putText(binding.cause)
}

export function takeBinding(from: ByteReader): Binding | undefined {
  const state = takeState(from, BINDING_STATES)
  if (state === undefined) return undefined
  const flags = from.takeU8()
  if (flags > 3) throw new CodecFault(`binding flags ${flags}`)
  const session = sessionId(from.takeU32())
  const device = deviceId(from.takeU16())
  const at = target(from.takeU32())
  const grant = generation(from.takeWhole())
  const table = takeTable(from)
  const domain = domainId(from.takeU16())
  const previous =
    (flags & PREVIOUS) === 0
      ? undefined
      : { table: takeTable(from), domain: domainId(from.takeU16()) }
  const guestPasid = (flags & GUEST_PASID) === 0 ? undefined : pasid(from.takeU32())
  const cause = from.takeText()
  const key = { session, device, target: at, generation: grant }
  return { ...key, table, previous, domain, guestPasid, state, cause }
}

// -- request ids ---------------------------------------------------------------------------------

/** Pairs with takeRequest(). `revision` is that of the change, so it is not written. */
export function putRequest(out: ByteWriter, record: RequestRecord, revision: number): void {
  assert(record.revision === revision, 'a request belongs to the change that it is kept in')
  const method = REQUEST_METHODS.indexOf(record.method)
  out.putU8(method)
  assert(record.session === undefined || record.session >= 1, 'a session that owns a request')
  out.putU32(record.session ?? 0)
  out.putU16(record.tenant)
  out.putU32(record.idHigh)
  out.putU32(record.idLow)
  out.putU32(record.fingerprintHigh)
  out.putU32(record.fingerprintLow)
  out.putWhole(record.at)
  out.putWhole(record.answer)
}

export function takeRequest(from: ByteReader, revision: number): RequestRecord {
  const method = REQUEST_METHODS[from.takeU8()]
  if (method === undefined) throw new CodecFault('unknown request method')
  const session = from.takeU32()
  return {
    session: session === 0 ? undefined : sessionId(session),
    tenant: tenantId(from.takeU16()),
    method,
    idHigh: from.takeU32(),
    idLow: from.takeU32(),
    fingerprintHigh: from.takeU32(),
    fingerprintLow: from.takeU32(),
    at: wallMs(from.takeWhole()),
    answer: from.takeWhole(),
    revision,
  }
}
