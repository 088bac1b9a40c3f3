/** One unary call: bounded, measured, and every end of it turned into a status. */

import type { handleUnaryCall, Metadata, sendUnaryData } from '@grpc/grpc-js'
import { refuse, type Outcome } from '../core/refusal.js'
import { INTERNAL_REASON, factsOf, errorResponse } from '../wire/reply.js'
import type { Decoded } from '../wire/strict.js'
import type { ServiceContext } from './context.js'

export type Handle<Request, Response> = (
  message: Request,
  metadata: Metadata,
) => Outcome<Response> | Promise<Outcome<Response>>

export function unary<Request, Response>(
  context: ServiceContext,
  method: string,
  handle: Handle<Request, Response>,
): handleUnaryCall<Decoded<Request>, Response> {
  const { calls, observer } = context
  return (call, callback) => {
    const began = performance.now()
    if (!calls.enter()) {
      const refusal = { code: 'OVERLOADED', limit: calls.limit, what: 'calls under way' } as const
      observer.called(method, 'OVERLOADED', 0)
      callback(errorResponse(factsOf(refusal)))
      return
    }
    const end = (outcome: Outcome<Response>): void => {
      calls.leave()
      observer.called(method, outcome.ok ? 'OK' : outcome.refusal.code, performance.now() - began)
      answer(outcome, callback)
    }
    const fail = (error: unknown): void => {
      calls.leave()
      observer.called(method, INTERNAL_REASON, performance.now() - began)
      callback(errorResponse(context.incident(method, error)))
    }
    const { request } = call
    if (!request.ok) {
      end(refuse(request.refusal))
      return
    }
    try {
      const outcome = handle(request.message, call.metadata)
      if (outcome instanceof Promise) outcome.then(end, fail)
      else end(outcome)
    } catch (error) {
      fail(error)
    }
  }
}

function answer<Response>(outcome: Outcome<Response>, callback: sendUnaryData<Response>): void {
  if (outcome.ok) callback(null, outcome.value)
  else callback(errorResponse(factsOf(outcome.refusal)))
}

/** The broker's answer as the message it becomes. */
export async function mapped<From, To>(
  outcome: Promise<Outcome<From>>,
  convert: (value: From) => To,
): Promise<Outcome<To>> {
  const answered = await outcome
  return answered.ok ? { ok: true, value: convert(answered.value) } : answered
}
