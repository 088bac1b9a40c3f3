/** Audit records: which are asked for, and what is seen of one. */

import type { AuditQuery, AuditRow } from '../../broker/answers.js'
import { AUDIT_ACTIONS, type AuditRecord } from '../../core/audit.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'
import type { AuditEvent } from '../../wire/generated/pasid/v1/AuditEvent.js'
import { parseFilter, type FilterFields } from '../filter.js'
import { processProto } from './process.js'
import { timestamp } from './time.js'

const FIELDS = {
  action: 'equal',
  subject: 'equal',
  uid: 'equal',
  outcome: 'equal',
} as const satisfies FilterFields<string>
type Field = keyof typeof FIELDS

const UID_LAST = 2 ** 32 - 1

export type AuditAsked = Pick<AuditQuery, 'action' | 'subject' | 'uid' | 'outcome'> & {
  /** Comparisons that contradict each other: no row can match. */
  readonly nothing: boolean
}

export function auditAsked(filter: string): Outcome<AuditAsked> {
  const parsed = parseFilter<Field>(filter, FIELDS)
  if (!parsed.ok) return parsed
  const no = (problem: string) => refuse({ code: 'FILTER_INVALID', filter, problem } as const)
  const values = new Map<Field, string>()
  let nothing = false
  for (const { field, value } of parsed.value) {
    const before = values.get(field)
    if (before !== undefined && before !== value) nothing = true
    values.set(field, value)
  }
  const named = values.get('action')
  const action = AUDIT_ACTIONS.find((one) => one === named)
  if (named !== undefined && action === undefined) {
    return no(`"${named}" is no action; actions are ${AUDIT_ACTIONS.join(', ')}`)
  }
  const number = values.get('uid')
  const uid = number === undefined ? undefined : uidOf(number)
  if (number !== undefined && uid === undefined) {
    return no(`uid "${number}" is not a number from 0 to ${UID_LAST}`)
  }
  const [subject, outcome] = [values.get('subject'), values.get('outcome')]
  return accept({ action, subject, uid, outcome, nothing })
}

function uidOf(text: string): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN
  return value <= UID_LAST ? value : undefined
}

export function auditProto({ revision, ...record }: AuditRow): AuditEvent {
  return auditRecordProto(revision, record)
}

export function auditRecordProto(revision: number, record: AuditRecord): AuditEvent {
  const { at, action, actor, subject, cause, outcome, details } = record
  return {
    revision,
    time: timestamp(at),
    action,
    ...(actor !== undefined && { actor: processProto(actor) }),
    subject,
    cause,
    outcome,
    details,
  }
}
