/**
 * One unary call: by a known caller, bounded, measured, and every end of it turned into a status.
 * On VMM sockets it runs when its tenant's meter lets it.
 */

import type { handleUnaryCall, sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { Caller } from '../broker/caller.js'
import { refuse, type Outcome } from '../core/refusal.js'
import { INTERNAL_REASON, factsOf, errorResponse } from '../wire/reply.js'
import type { Decoded } from '../wire/strict.js'
import type { Call } from './caller.js'
import type { ServiceContext } from './context.js'
import { meterKey } from './meters.js'
import { callerOf } from './peer.js'

export type Handle<Request, Response> = (
  message: Request,
  call: Call,
) => Outcome<Response> | Promise<Outcome<Response>>

export function unary<Request, Response>(
  context: ServiceContext,
  method: string,
  handle: Handle<Request, Response>,
): handleUnaryCall<Decoded<Request>, Response> {
  const { meters } = context
  return (call, callback) => {
    const one = new UnaryCall(context, method, handle, call, callback)
    const identity = one.identity()
    if (identity === undefined) return
    if (meters === undefined) {
      one.run(identity, () => undefined)
      return
    }
    meters.admit(meterKey(identity), method, {
      run: (left) => one.run(identity, left),
      refuse: (refusal) => one.end(refuse(refusal)),
      gone: () => call.cancelled,
    })
  }
}

class UnaryCall<Request, Response> {
  readonly #began = performance.now()

  constructor(
    readonly context: ServiceContext,
    readonly method: string,
    readonly handle: Handle<Request, Response>,
    readonly call: ServerUnaryCall<Decoded<Request>, Response>,
    readonly callback: sendUnaryData<Response>,
  ) {}

  /** Undefined: that nobody knows the connection is a bug, and the call is answered so. */
  identity(): Outcome<Caller> | undefined {
    try {
      return callerOf(this.call)
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  run(identity: Outcome<Caller>, left: () => void): void {
    const { calls } = this.context
    if (!calls.enter()) {
      left()
      this.end(refuse({ code: 'OVERLOADED', limit: calls.limit, what: 'calls under way' }))
      return
    }
    const leave = (): void => {
      calls.leave()
      left()
    }
    const end = (outcome: Outcome<Response>): void => {
      leave()
      this.end(outcome)
    }
    const fail = (error: unknown): void => {
      leave()
      this.#fail(error)
    }
    let outcome: ReturnType<Handle<Request, Response>>
    try {
      outcome = this.#handled(identity)
    } catch (error) {
      fail(error)
      return
    }
    if (outcome instanceof Promise) outcome.then(end, fail)
    else end(outcome)
  }

  #handled(identity: Outcome<Caller>): ReturnType<Handle<Request, Response>> {
    const { request, metadata } = this.call
    if (!identity.ok) return identity
    if (!request.ok) return refuse(request.refusal)
    return this.handle(request.message, { caller: identity.value, metadata })
  }

  end(outcome: Outcome<Response>): void {
    const { observer } = this.context
    const reason = outcome.ok ? 'OK' : outcome.refusal.code
    observer.called(this.method, reason, performance.now() - this.#began)
    if (outcome.ok) this.callback(null, outcome.value)
    else this.callback(errorResponse(factsOf(outcome.refusal)))
  }

  #fail(error: unknown): void {
    const { observer } = this.context
    observer.called(this.method, INTERNAL_REASON, performance.now() - this.#began)
    this.callback(errorResponse(this.context.incident(this.method, error)))
  }
}

/** The broker's answer as the message it becomes. */
export async function mapped<From, To>(
  outcome: Promise<Outcome<From>>,
  convert: (value: From) => To,
): Promise<Outcome<To>> {
  const answered = await outcome
  return answered.ok ? { ok: true, value: convert(answered.value) } : answered
}
