/** Audit records as bytes, and what holds of one in a batch and in a row. */

import { assert } from '../core/assert.js'
import {
  type Actor,
  AUDIT_ACTIONS,
  AUDIT_TEXT_LENGTH_MAX,
  type AuditRecord,
} from '../core/audit.js'
import { wallMs } from '../core/ids.js'
import { type ByteReader, type ByteWriter, CodecFault } from './bytes.js'
import { putState, takeFlag, takeState } from './codec-records.js'
import { PID_LAST } from './texts.js'

/** The form only: a code that a former release knew is still to be read. */
const OUTCOME = /^[A-Z][A-Z_]{0,63}$/

export function isAudit({ actor, subject, cause, outcome, details }: AuditRecord): boolean {
  return (
    (actor === undefined || actor.pid <= PID_LAST) &&
    [subject, cause, details].every((text) => text.length <= AUDIT_TEXT_LENGTH_MAX) &&
    OUTCOME.test(outcome)
  )
}

export function putAudit(out: ByteWriter, record: AuditRecord): void {
  assert(isAudit(record), 'an audit record within its bounds')
  const { actor } = record
  putState(out, AUDIT_ACTIONS, record.action)
  out.putWhole(record.at)
  out.putU8(actor === undefined ? 0 : 1)
  if (actor !== undefined) {
    out.putU32(actor.uid)
    out.putU32(actor.gid)
    out.putU32(actor.pid)
  }
  out.putText(record.subject)
  out.putText(record.cause)
  out.putText(record.outcome)
  out.putText(record.details)
}

export function takeAudit(from: ByteReader): AuditRecord {
  const action = takeState(from, AUDIT_ACTIONS)
  if (action === undefined) throw new CodecFault('an audit record without an action')
  const record: AuditRecord = {
    action,
    at: wallMs(from.takeWhole()),
    actor: takeFlag(from) ? takeActor(from) : undefined,
    subject: from.takeText(),
    cause: from.takeText(),
    outcome: from.takeText() as AuditRecord['outcome'],
    details: from.takeText(),
  }
  if (!isAudit(record)) throw new CodecFault('an audit record beyond its bounds')
  return record
}

function takeActor(from: ByteReader): Actor {
  return { uid: from.takeU32(), gid: from.takeU32(), pid: from.takeU32() }
}
