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
import { errorResponse, factsOf, type Reply } from '../wire/reply.js'
import type { Decoded } from '../wire/strict.js'
import type { Reason, ServiceContext } from './context.js'
import { watchMessages } from './convert/watch.js'
import { PAGE_BYTES_SHARE, WATCH_MESSAGE_BYTES } from './limits.js'
import { readerOf } from './operator-role.js'

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
  readonly #bytesMax: number
  readonly #began = performance.now()
  #cursor: WatchCursor | undefined
  /** What is left of the change that is being told. */
  #rest: Iterator<WatchResponse> | undefined
  #leaveStreams: (() => void) | undefined
  #behind = false
  #closed = false

  constructor(context: ServiceContext, call: Call) {
    this.#context = context
    this.#call = call
    this.#bytesMax = Math.min(WATCH_MESSAGE_BYTES, context.limits.messageBytes * PAGE_BYTES_SHARE)
  }

  start(): void {
    const call = this.#call
    call.on('drain', () => {
      this.#behind = false
      this.#pump()
    })
    for (const end of ['error', 'cancelled', 'close']) call.on(end, () => this.#close('OK'))
    const { streams } = this.#context
    const drain = (): void => this.#end(factsOf({ code: 'DRAINING' }))
    this.#leaveStreams = streams.add({ drain })
    if (streams.draining) return drain()
    this.#guarded(() => {
      const opened = this.#open()
      if (!opened.ok) return this.#end(factsOf(opened.refusal))
      this.#cursor = opened.value
      this.#begin(opened.value)
    })
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
    return this.#context.broker.watch(from, () => this.#pump())
  }

  /** `started` before all else, unless the first thing to tell is that changes were missed. */
  #begin(cursor: WatchCursor): void {
    const { revision } = cursor
    const first = cursor.next()
    if (first?.kind !== 'resync') this.#write({ started: { revision } })
    if (first !== undefined) this.#rest = this.#messages(first)
    this.#pump()
  }

  *#messages(step: WatchStep): Generator<WatchResponse> {
    const { broker } = this.#context
    if (step.kind === 'change') yield* watchMessages(broker, step.change, this.#bytesMax)
    else yield { resync: { revision: step.revision, reason: step.reason } }
  }

  /** Tells what there is, as long as the client takes it. */
  #pump(): void {
    this.#guarded(() => {
      while (!this.#behind && !this.#closed && this.#cursor !== undefined) {
        if (this.#rest === undefined) {
          const step = this.#cursor.next()
          if (step === undefined) return
          this.#rest = this.#messages(step)
        }
        const next = this.#rest.next()
        if (next.done === true) this.#rest = undefined
        else this.#write(next.value)
      }
    })
  }

  #write(response: WatchResponse): void {
    if (!this.#call.write(response)) this.#behind = true
  }

  /** A bug here is the watcher's incident, not whoever's commit has woken it. */
  #guarded(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#end(this.#context.incident(METHOD, error))
    }
  }

  #end(end: Reply): void {
    if (this.#closed) return
    this.#close(end.reason as Reason)
    this.#call.emit('error', errorResponse(end))
  }

  #close(reason: Reason): void {
    if (this.#closed) return
    this.#closed = true
    this.#cursor?.close()
    this.#leaveStreams?.()
    const { observer } = this.#context
    observer.called(METHOD, reason, performance.now() - this.#began)
  }
}
