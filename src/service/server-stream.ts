/**
 * A server stream of somebody who watches: written while its client takes it, ended once, counted
 * once, with DRAINING when the daemon stops. What is told, and when, is its owner's, who is asked
 * to go on whenever the client has caught up. Used by Watch and WatchFaults.
 */

import type { ServerWritableStream } from '@grpc/grpc-js'
import type { Outcome } from '../core/refusal.js'
import { errorResponse, factsOf, type Reply } from '../wire/reply.js'
import type { Reason, ServiceContext } from './context.js'

export interface StreamOwner {
  /** As metrics count it: `Operator/Watch`. */
  readonly method: string
  /** Writes what there is, while the stream is writable. */
  pump(): void
  /** It has ended, however. Once. */
  ended(): void
}

export class ServerStream<Request, Response> {
  readonly #context: ServiceContext
  readonly #call: ServerWritableStream<Request, Response>
  readonly #owner: StreamOwner
  readonly #began = performance.now()
  #leaveStreams: (() => void) | undefined
  #behind = false
  #closed = false

  constructor(
    context: ServiceContext,
    call: ServerWritableStream<Request, Response>,
    owner: StreamOwner,
  ) {
    this.#context = context
    this.#call = call
    this.#owner = owner
  }

  /** `open` refuses, or begins to watch; what it accepts is handed to `begin`. */
  start<T>(open: () => Outcome<T>, begin: (opened: T) => void): void {
    const call = this.#call
    call.on('drain', () => {
      this.#behind = false
      this.pump()
    })
    for (const end of ['error', 'cancelled', 'close']) call.on(end, () => this.#close('OK'))
    const { streams } = this.#context
    const drain = (): void => this.#end(factsOf({ code: 'DRAINING' }))
    this.#leaveStreams = streams.add({ drain })
    if (streams.draining) return drain()
    this.#guarded(() => {
      const opened = open()
      if (opened.ok) begin(opened.value)
      else this.#end(factsOf(opened.refusal))
    })
  }

  /** Whether the client takes more. */
  get writable(): boolean {
    return !this.#behind && !this.#closed
  }

  write(response: Response): void {
    if (!this.#call.write(response)) this.#behind = true
  }

  pump(): void {
    this.#guarded(() => this.#owner.pump())
  }

  /** A bug here is the watcher's incident, not that of whoever has woken it. */
  #guarded(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#end(this.#context.incident(this.#owner.method, error))
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
    this.#owner.ended()
    this.#leaveStreams?.()
    const { observer } = this.#context
    observer.called(this.#owner.method, reason, performance.now() - this.#began)
  }
}
