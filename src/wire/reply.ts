/**
 * What a caller is told when the answer is no: a refusal by the table of status.ts, or INTERNAL
 * with an incident id for whatever else was thrown, never its text. Sent as a grpc error with
 * trailers, or as the ControlError of a stream.
 */

import { Metadata, status, type ServerErrorResponse } from '@grpc/grpc-js'
import type { Refusal, RefusalCode } from '../core/refusal.js'
import { encodeStatus, STATUS_DETAILS_KEY, type StatusFacts } from './details.js'
import type { ControlError } from './generated/pasid/v1/ControlError.js'
import { STATUS_TABLE } from './status.js'
import type { Row } from './status-row.js'

/** Reason of what no refusal describes: a bug or a fault of the daemon. */
export const INTERNAL_REASON = 'INTERNAL'

/** Trailers of a call must stay well below the 8 KiB that clients take at least. */
const MESSAGE_LENGTH_MAX = 1000
const VARIABLE_LENGTH_MAX = 400

/** grpc-js ends the process on a message that is no well-formed text: encodeURI throws. */
function fit(text: string, length: number): string {
  const cut = text.length > length ? `${text.slice(0, length - 1)}…` : text
  return cut.replace(/[\p{Surrogate}\p{Control}]/gu, '?')
}

function textsOf(variables: Readonly<Record<string, string | number>>): Record<string, string> {
  const pairs = Object.entries(variables).map(([key, value]) => {
    return [key, fit(String(value), VARIABLE_LENGTH_MAX)] as const
  })
  return Object.fromEntries(pairs)
}

/** The variable that a failed precondition is about. */
const SUBJECTS = ['device', 'session', 'pasid'] as const

/** As this server says it: with a code of gRPC's. */
export interface Reply extends StatusFacts {
  readonly code: status
}

export function factsOf(refusal: Refusal): Reply {
  const row = STATUS_TABLE[refusal.code] as Row<RefusalCode>
  const message = fit(row.message(refusal), MESSAGE_LENGTH_MAX)
  const metadata = textsOf(row.metadata(refusal))
  const about = SUBJECTS.find((name) => name in metadata)
  const subject = about === undefined ? '' : (metadata[about] ?? '')
  return {
    code: row.status,
    message,
    reason: refusal.code,
    metadata,
    ...row.details?.(refusal),
    ...(row.status === status.FAILED_PRECONDITION && {
      precondition: { type: refusal.code, subject, description: message },
    }),
    ...('retryMs' in refusal && refusal.retryMs !== undefined && { retryMs: refusal.retryMs }),
  }
}

/** For a bug or a fault: names the log line of the daemon that has the text. */
export function incidentFacts(incident: string): Reply {
  const message = `the daemon failed; its log has the cause as incident ${incident}`
  return { code: status.INTERNAL, message, reason: INTERNAL_REASON, metadata: { incident } }
}

/** What grpc-js takes as the end of a call. */
export function errorResponse(facts: Reply): ServerErrorResponse {
  const metadata = new Metadata()
  metadata.set(STATUS_DETAILS_KEY, encodeStatus(facts))
  const { code, message: details } = facts
  return Object.assign(new Error(details), { code, details, metadata })
}

export function controlError(facts: StatusFacts): ControlError {
  const { code, message, reason } = facts
  return { code, message, reason, status: encodeStatus(facts) }
}
