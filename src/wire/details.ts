/**
 * google.rpc.Status with its details, to bytes and back: what rides in the trailer
 * `grpc-status-details-bin` and in ControlError.status. Servers write them, clients read them.
 */

import {
  BadRequest,
  ErrorInfo,
  PreconditionFailure,
  QuotaFailure,
  RetryInfo,
} from 'nice-grpc-error-details'
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js'

/** ErrorInfo.domain of every reason here. */
export const ERROR_DOMAIN = 'pasid.v1'
/** Where grpc carries the status. */
export const STATUS_DETAILS_KEY = 'grpc-status-details-bin'

/** What a status says beside code and message; `info` always, the others where they apply. */
export interface StatusFacts {
  readonly code: number
  readonly message: string
  readonly reason: string
  readonly metadata: Readonly<Record<string, string>>
  readonly badField?: { readonly field: string; readonly description: string } | undefined
  readonly quota?: { readonly subject: string; readonly description: string } | undefined
  readonly precondition?: PreconditionFact | undefined
  readonly retryMs?: number | undefined
}

interface PreconditionFact {
  readonly type: string
  readonly subject: string
  readonly description: string
}

interface Encodable<T> {
  readonly $type: string
  encode(message: T): { finish(): Uint8Array }
}

const PREFIX = 'type.googleapis.com/'

function any<T>(type: Encodable<T>, message: T) {
  const value = Buffer.from(type.encode(message).finish())
  return { $type: 'google.protobuf.Any', typeUrl: PREFIX + type.$type, value } as const
}

export function encodeStatus(facts: StatusFacts): Buffer {
  const { code, message, reason, metadata } = facts
  const domain = ERROR_DOMAIN
  const details = [any(ErrorInfo, { $type: 'google.rpc.ErrorInfo', reason, domain, metadata })]
  if (facts.badField !== undefined) {
    const violation = BadRequest.fromPartial({ fieldViolations: [facts.badField] })
    details.push(any(BadRequest, violation))
  }
  if (facts.quota !== undefined) {
    details.push(any(QuotaFailure, QuotaFailure.fromPartial({ violations: [facts.quota] })))
  }
  if (facts.precondition !== undefined) {
    const violation = PreconditionFailure.fromPartial({ violations: [facts.precondition] })
    details.push(any(PreconditionFailure, violation))
  }
  if (facts.retryMs !== undefined) {
    const seconds = Math.floor(facts.retryMs / 1000)
    const nanos = Math.round((facts.retryMs % 1000) * 1e6)
    const retry = RetryInfo.fromPartial({ retryDelay: { seconds, nanos } })
    details.push(any(RetryInfo, retry))
  }
  return Buffer.from(Status.encode({ $type: 'google.rpc.Status', code, message, details }).finish())
}

/** Without the decoder's own mark. */
function untyped<T extends { readonly $type: string }>(message: T | undefined) {
  if (message === undefined) return undefined
  const { $type: _, ...fields } = message
  return fields
}

/** Pairs with encodeStatus(). Details of other kinds and domains are passed over. */
export function decodeStatus(bytes: Uint8Array): StatusFacts {
  const { code, message, details } = Status.decode(bytes)
  const facts: { -readonly [Key in keyof StatusFacts]: StatusFacts[Key] } = {
    code,
    message,
    reason: '',
    metadata: {},
  }
  for (const { typeUrl, value } of details) {
    switch (typeUrl.slice(PREFIX.length)) {
      case ErrorInfo.$type: {
        const info = ErrorInfo.decode(value)
        if (info.domain !== ERROR_DOMAIN) break
        facts.reason = info.reason
        facts.metadata = info.metadata
        break
      }
      case BadRequest.$type:
        facts.badField = untyped(BadRequest.decode(value).fieldViolations[0])
        break
      case QuotaFailure.$type:
        facts.quota = untyped(QuotaFailure.decode(value).violations[0])
        break
      case PreconditionFailure.$type:
        facts.precondition = untyped(PreconditionFailure.decode(value).violations[0])
        break
      case RetryInfo.$type: {
        const delay = RetryInfo.decode(value).retryDelay
        if (delay !== undefined) facts.retryMs = delay.seconds * 1000 + delay.nanos / 1e6
        break
      }
      default:
    }
  }
  return facts
}
