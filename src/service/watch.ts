/**
 * The gRPC method Watch: durable changes as they come, each watcher at its own pace. Changes are
 * pulled while the client takes them, so that a slow one costs a place in a sequence and a few
 * messages; what it is too slow for, it is told by a resync. Ends with DRAINING when the daemon
 * stops.
 */

import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js'
import type { WatchCursor, WatchStep } from '../broker/answers.js'
import { refuse, type Outcome } from '../core/refusal.js'
import type { WatchResponse } from '../wire/generated/pasid/v1/WatchResponse.js'
import type { OperatorRequest } from '../wire/messages.js'
import type { Decoded } from '../wire/strict.js'
import type { ServiceContext } from './context.js'
import { watchMessages } from './convert/watch.js'
import { PAGE_BYTES_SHARE, WATCH_MESSAGE_BYTES } from './limits.js'
import { readerOf } from './operator-role.js'
import { ServerStream } from './server-stream.js'

type Request = Decoded<OperatorRequest<'Watch'>>
type Call = ServerWritableStream<Request, WatchResponse>

const METHOD = 'Operator/Watch'

export function watchHandler(
  context: ServiceContext,
): handleServerStreamingCall<Request, WatchResponse> {
  return (call) => new WatchStream(context, call).start()
}

class WatchStream {
  readonly #context: ServiceContext
  readonly #call: Call
  readonly #stream: ServerStream<Request, WatchResponse>
  readonly #bytesMax: number
  #cursor: WatchCursor | undefined
  /** What is left of the change that is being told. */
  #rest: Iterator<WatchResponse> | undefined

  constructor(context: ServiceContext, call: Call) {
    this.#context = context
    this.#call = call
    this.#stream = new ServerStream(context, call, {
      method: METHOD,
      pump: () => this.#pump(),
      ended: () => this.#cursor?.close(),
    })
    this.#bytesMax = Math.min(WATCH_MESSAGE_BYTES, context.limits.messageBytes * PAGE_BYTES_SHARE)
  }

  start(): void {
    this.#stream.start(
      () => this.#open(),
      (cursor) => {
        this.#cursor = cursor
        this.#begin(cursor)
      },
    )
  }

  #open(): Outcome<WatchCursor> {
    const { request } = this.#call
    const reader = readerOf(this.#call)
    if (!reader.ok) return reader
    if (!request.ok) return refuse(request.refusal)
    const { fromRevision } = request.message
    // Beyond what a revision can be it is of no ledger: the broker says resync, as for any such.
    const from =
      fromRevision === undefined
        ? undefined
        : Math.min(Number(fromRevision), Number.MAX_SAFE_INTEGER)
    return this.#context.broker.watch(from, () => this.#stream.pump())
  }

  /** `started` before all else, unless the first thing to tell is that changes were missed. */
  #begin(cursor: WatchCursor): void {
    const { revision } = cursor
    const first = cursor.next()
    if (first?.kind !== 'resync') this.#stream.write({ started: { revision } })
    if (first !== undefined) this.#rest = this.#messages(first)
    this.#stream.pump()
  }

  *#messages(step: WatchStep): Generator<WatchResponse> {
    const { broker } = this.#context
    if (step.kind === 'change') yield* watchMessages(broker, step.change, this.#bytesMax)
    else yield { resync: { revision: step.revision, reason: step.reason } }
  }

  /** Tells what there is, as long as the client takes it. */
  #pump(): void {
    while (this.#stream.writable && this.#cursor !== undefined) {
      if (this.#rest === undefined) {
        const step = this.#cursor.next()
        if (step === undefined) return
        this.#rest = this.#messages(step)
      }
      const next = this.#rest.next()
      if (next.done === true) this.#rest = undefined
      else this.#stream.write(next.value)
    }
  }
}
