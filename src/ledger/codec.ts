/**
 * Changes as bytes, so that a batch crosses to the ledger's thread by changing hands instead of
 * being copied object by object. Pairs: every property asserted by `encodeChanges` is checked again
 * by `decodeChanges`. Never stored on disk, so tags and order may change between releases.
 */

import { assert, InvariantViolation } from '../core/assert.js'
import type { Change, Event, Granted, Released, TenantChanged } from '../core/events.js'
import {
  deviceId,
  generation,
  instantMs,
  namespaceId,
  PASID_LAST,
  revision,
  sessionId,
  tenantId,
  wallMs,
} from '../core/ids.js'
import { ByteReader, ByteWriter, CodecFault } from './bytes.js'
import { putAudit, takeAudit } from './codec-audit.js'
import {
  ATTACHMENT_STATES,
  putBinding,
  putLabels,
  putRequest,
  putRuns,
  putSession,
  putState,
  takeBinding,
  takeFlag,
  takeLabels,
  takeRequest,
  takeRuns,
  takeSession,
  takeState,
} from './codec-records.js'
import { overrideOf, overrideText } from './texts.js'

const HEAD = 0x5041_5344
const TAIL = 0x4453_4150

const TAG = {
  'tenant-registered': 1,
  'device-registered': 2,
  'session-changed': 3,
  'attachment-changed': 4,
  granted: 5,
  'free-begun': 6,
  released: 7,
  'binding-changed': 8,
  'request-kept': 9,
  'tenant-changed': 10,
  audited: 11,
} as const satisfies Record<Event['kind'], number>

/** One for all batches: encoding is synchronous, so no two are ever under way. */
const shared = new ByteWriter()

export function encodeChanges(changes: readonly Change[]): ArrayBuffer {
  const out = shared
  out.reset()
  out.putU32(HEAD)
  out.putU32(0)
  out.putU32(changes.length)
  for (const change of changes) {
    assert(change.revision >= 1, 'a change has a revision from 1 on')
    out.putWhole(change.revision)
    out.putU32(change.events.length)
    let audited = 0
    for (const event of change.events) {
      putEvent(out, event, change.revision)
      if (event.kind === 'audited') audited += 1
    }
    assert(audited <= 1, 'a change is audited once: its revision names the record')
  }
  out.putU32(TAIL)
  out.patchU32(4, out.length)
  return out.finish()
}

/** @throws CodecFault for bytes that encodeChanges did not make */
export function decodeChanges(bytes: ArrayBuffer): Change[] {
  try {
    return takeChanges(new ByteReader(bytes))
  } catch (error) {
    if (!(error instanceof InvariantViolation)) throw error
    throw new CodecFault(`a value is out of range: ${error.message}`, { cause: error })
  }
}

function takeChanges(from: ByteReader): Change[] {
  const length = from.left
  if (from.takeU32() !== HEAD) throw new CodecFault('these are not changes')
  if (from.takeU32() !== length) throw new CodecFault('the length is not the one written')
  const count = from.takeU32()
  const changes: Change[] = []
  for (let i = 0; i < count; i += 1) {
    const at = revision(from.takeWhole())
    if (at < 1) throw new CodecFault('a change without a revision')
    const eventCount = from.takeU32()
    const events: Event[] = []
    let audited = 0
    for (let j = 0; j < eventCount; j += 1) {
      const event = takeEvent(from, at)
      events.push(event)
      if (event.kind === 'audited') audited += 1
    }
    if (audited > 1) throw new CodecFault('a change is audited twice')
    changes.push({ revision: at, events })
  }
  if (from.takeU32() !== TAIL || from.left !== 0) throw new CodecFault('the end is not at the end')
  return changes
}

function putEvent(out: ByteWriter, event: Event, at: number): void {
  out.putU8(TAG[event.kind])
  switch (event.kind) {
    case 'tenant-registered':
    case 'device-registered':
      out.putU16(event.id)
      return out.putText(event.name)
    case 'tenant-changed':
      return putTenantChanged(out, event)
    case 'session-changed': {
      const { before, after } = event
      assert(before !== undefined || after !== undefined, 'a session there is')
      assert(before?.id === after?.id || !before || !after, 'a session keeps its number')
      putSession(out, before)
      return putSession(out, after)
    }
    case 'attachment-changed':
      assert(event.before !== undefined || event.after !== undefined, 'an attachment there is')
      out.putU32(event.session)
      out.putU16(event.device)
      putState(out, ATTACHMENT_STATES, event.before)
      return putState(out, ATTACHMENT_STATES, event.after)
    case 'granted':
      return putGranted(out, event)
    case 'free-begun':
      out.putU16(event.namespace)
      out.putU32(event.session)
      return putRuns(out, event.runs)
    case 'released':
      return putReleased(out, event)
    case 'binding-changed': {
      const { before, after } = event
      assert(before !== undefined || after !== undefined, 'a binding there is')
      putBinding(out, before)
      return putBinding(out, after)
    }
    case 'request-kept':
      return putRequest(out, event.record, at)
    case 'audited':
      return putAudit(out, event.record)
  }
}

function takeEvent(from: ByteReader, at: number): Event {
  const tag = from.takeU8()
  switch (tag) {
    case TAG['tenant-registered']: {
      const id = tenantId(from.takeU16())
      return { kind: 'tenant-registered', id, name: from.takeText() }
    }
    case TAG['device-registered']: {
      const id = deviceId(from.takeU16())
      return { kind: 'device-registered', id, name: from.takeText() }
    }
    case TAG['tenant-changed']:
      return takeTenantChanged(from)
    case TAG['session-changed']: {
      const [before, after] = [takeSession(from), takeSession(from)]
      if (before === undefined && after === undefined) throw new CodecFault('no session')
      if (before && after && before.id !== after.id) throw new CodecFault('two sessions')
      return { kind: 'session-changed', before, after }
    }
    case TAG['attachment-changed']: {
      const session = sessionId(from.takeU32())
      const device = deviceId(from.takeU16())
      const before = takeState(from, ATTACHMENT_STATES)
      const after = takeState(from, ATTACHMENT_STATES)
      if (before === undefined && after === undefined) throw new CodecFault('no attachment')
      return { kind: 'attachment-changed', session, device, before, after }
    }
    case TAG.granted:
      return takeGranted(from)
    case TAG['free-begun']: {
      const namespace = namespaceId(from.takeU16())
      const session = sessionId(from.takeU32())
      return { kind: 'free-begun', namespace, session, runs: takeRuns(from) }
    }
    case TAG.released:
      return takeReleased(from)
    case TAG['binding-changed']: {
      const [before, after] = [takeBinding(from), takeBinding(from)]
      if (before === undefined && after === undefined) throw new CodecFault('no binding')
      return { kind: 'binding-changed', before, after }
    }
    case TAG['request-kept']:
      return { kind: 'request-kept', record: takeRequest(from, at) }
    case TAG.audited:
      return { kind: 'audited', record: takeAudit(from) }
    default:
      throw new CodecFault(`unknown tag ${tag}`)
  }
}

function putTenantChanged(out: ByteWriter, { id, before, after }: TenantChanged): void {
  assert(before !== undefined || after !== undefined, 'limits there are, or were')
  out.putU16(id)
  out.putText(before === undefined ? '' : overrideText(before))
  out.putText(after === undefined ? '' : overrideText(after))
}

function takeTenantChanged(from: ByteReader): TenantChanged {
  const id = tenantId(from.takeU16())
  const [before, after] = [from.takeText(), from.takeText()]
  if (before === '' && after === '') throw new CodecFault('no limits, before or after')
  return {
    kind: 'tenant-changed',
    id,
    before: before === '' ? undefined : overrideOf(before),
    after: after === '' ? undefined : overrideOf(after),
  }
}

function putGranted(out: ByteWriter, event: Granted): void {
  assert(event.session >= 1, 'a grant has an owner')
  out.putU16(event.namespace)
  out.putU32(event.session)
  out.putU16(event.tenant)
  putRuns(out, event.runs)
  out.putWhole(event.generation)
  out.putWhole(event.at)
  putLabels(out, event.labels)
  putCursor(out, event.cursorBefore)
  putCursor(out, event.cursorAfter)
}

function takeGranted(from: ByteReader): Granted {
  return {
    kind: 'granted',
    namespace: namespaceId(from.takeU16()),
    session: sessionId(from.takeU32()),
    tenant: tenantId(from.takeU16()),
    runs: takeRuns(from),
    generation: generation(from.takeWhole()),
    at: wallMs(from.takeWhole()),
    labels: takeLabels(from),
    cursorBefore: takeCursor(from),
    cursorAfter: takeCursor(from),
  }
}

/** One past the last number granted, so that it may be one past the last number there is. */
function putCursor(out: ByteWriter, cursor: number): void {
  assert(cursor <= PASID_LAST + 1, 'a cursor within the numbers, or one past them')
  out.putU32(cursor)
}

function takeCursor(from: ByteReader): number {
  const cursor = from.takeU32()
  if (cursor > PASID_LAST + 1) throw new CodecFault(`cursor ${cursor}`)
  return cursor
}

function putReleased(out: ByteWriter, event: Released): void {
  out.putU16(event.namespace)
  out.putU32(event.session)
  out.putU16(event.tenant)
  putRuns(out, event.runs)
  out.putU8(event.from === 'HELD' ? 1 : 0)
  out.putFinite(event.until)
}

function takeReleased(from: ByteReader): Released {
  return {
    kind: 'released',
    namespace: namespaceId(from.takeU16()),
    session: sessionId(from.takeU32()),
    tenant: tenantId(from.takeU16()),
    runs: takeRuns(from),
    from: takeFlag(from) ? 'HELD' : 'FREE_PENDING',
    until: instantMs(from.takeFinite()),
  }
}
