/** What a call fails with: gRPC's code, and the reason and facts that the broker gave. */

import { status, type Metadata, type ServiceError } from '@grpc/grpc-js'
import { decodeStatus, STATUS_DETAILS_KEY, type StatusFacts } from '../wire/details.js'

export type CodeName = keyof typeof status

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({})

export class PasidError extends Error {
  override readonly name = 'PasidError'
  /** google.rpc.Code as a number. */
  readonly code: number
  readonly codeName: CodeName
  /** ErrorInfo.reason (docs/ERRORS.md); '' when the broker did not answer at all. */
  readonly reason: string
  /** ErrorInfo.metadata: every variable of the message. */
  readonly metadata: Readonly<Record<string, string>>
  /** How long to wait before trying again; undefined when the broker did not say. */
  readonly retryMs: number | undefined

  constructor(facts: Partial<StatusFacts> & { code: number; message: string }, cause?: unknown) {
    super(facts.message, cause === undefined ? undefined : { cause })
    this.code = facts.code
    this.codeName = codeNameOf(facts.code)
    this.reason = facts.reason ?? ''
    this.metadata = facts.metadata ?? NO_METADATA
    this.retryMs = facts.retryMs
  }

  /** The broker was not reached, or went away before it answered: whether it acted is not known. */
  get isConnectionLost(): boolean {
    return this.codeName === 'UNAVAILABLE' && this.reason === ''
  }
}

function codeNameOf(code: number): CodeName {
  const name: unknown = status[code]
  return typeof name === 'string' ? (name as CodeName) : 'UNKNOWN'
}

/** Details that cannot be read are passed over: the code and the message are there in any case. */
function factsIn(bytes: Uint8Array | undefined): Partial<StatusFacts> {
  if (bytes === undefined || bytes.length === 0) return {}
  try {
    return decodeStatus(bytes)
  } catch {
    return {}
  }
}

export function errorOfCall(error: ServiceError): PasidError {
  // Typed as always there, but absent when the call failed on this side.
  const metadata = error.metadata as Metadata | undefined
  const [bytes] = metadata?.get(STATUS_DETAILS_KEY) ?? []
  const facts = typeof bytes === 'string' ? {} : factsIn(bytes)
  return new PasidError({ ...facts, code: error.code, message: error.details }, error)
}

/** From the `error` of a Control answer. */
export function errorOfControl(error: {
  readonly code: number
  readonly message: string
  readonly reason: string
  readonly status: Uint8Array
}): PasidError {
  const { code, message, reason } = error
  return new PasidError({ ...factsIn(error.status), code, message, reason })
}
