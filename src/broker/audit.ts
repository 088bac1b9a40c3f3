/** Audit records beside what they tell of: in the same change, so that both are durable or none. */

import { AUDIT_TEXT_LENGTH_MAX, type AuditRecord } from '../core/audit.js'
import type { Decided } from '../core/decided.js'
import type { Refusal } from '../core/refusal.js'
import type { Context } from './context.js'

export type Audit = Omit<AuditRecord, 'at' | 'outcome'>

/** The decision with the record in its change; one that changes nothing leaves no record. */
export function audited<Answer>(
  context: Context,
  decided: Decided<Answer>,
  audit: (answer: Answer) => Audit,
): Decided<Answer> {
  if (decided.kind !== 'accepted' || decided.events.length === 0) return decided
  const record = recordOf(context, audit(decided.answer), 'DONE')
  return { ...decided, events: [...decided.events, { kind: 'audited', record }] }
}

/** That an operator was refused. Not waited for. */
export function auditRefusal(context: Context, audit: Audit, refusal: Refusal): void {
  const record = recordOf(context, audit, refusal.code)
  if (context.queue.writable) context.queue.submit([{ kind: 'audited', record }])
}

export function recordOf(
  context: Context,
  audit: Audit,
  outcome: AuditRecord['outcome'],
): AuditRecord {
  return {
    ...audit,
    at: context.ports.clock.wall(),
    cause: audit.cause.slice(0, AUDIT_TEXT_LENGTH_MAX),
    details: audit.details.slice(0, AUDIT_TEXT_LENGTH_MAX),
    outcome,
  }
}
