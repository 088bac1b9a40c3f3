/**
 * The gRPC service grpc.health.v1.Health. Its calls are metered like any other of a VMM socket, but
 * for those of root and of the daemon's own user: their probes must get through a flood. A refused
 * caller may ask as well, so that a probe tells "not serving" from "not you".
 */

import {
  status,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Server,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { service as healthDefinition } from 'grpc-health-check'
import type { Caller } from '../broker/caller.js'
import type { Outcome } from '../core/refusal.js'
import { quoted } from '../wire/quote.js'
import { errorResponse, factsOf } from '../wire/reply.js'
import type { ServiceContext } from './context.js'
import { meterKey } from './meters.js'
import { callerOf } from './peer.js'

interface HealthRequest {
  readonly service: string
}

type ServingStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'

interface HealthAnswer {
  readonly status: ServingStatus
}

type WatchCall = ServerWritableStream<HealthRequest, HealthAnswer>

type HealthContext = Pick<ServiceContext, 'meters' | 'streams'>

export class Health {
  readonly #context: HealthContext
  /** The services asked for by name; '' is the server as a whole. */
  readonly #services: ReadonlySet<string>
  readonly #watching = new Set<WatchCall>()
  #status: ServingStatus = 'NOT_SERVING'

  constructor(context: HealthContext, service: string) {
    this.#context = context
    this.#services = new Set(['', service])
  }

  addTo(server: Server): void {
    server.addService(healthDefinition, { check: this.#check, watch: this.#watch })
  }

  setServing(serving: boolean): void {
    this.#status = serving ? 'SERVING' : 'NOT_SERVING'
    for (const call of this.#watching) call.write({ status: this.#statusOf(call.request) })
  }

  #statusOf({ service }: HealthRequest): ServingStatus {
    return this.#services.has(service) ? this.#status : 'SERVICE_UNKNOWN'
  }

  readonly #check: handleUnaryCall<HealthRequest, HealthAnswer> = (call, callback) => {
    const { meters } = this.#context
    const identity = callerOf(call)
    if (meters === undefined || isProbe(identity)) return this.#answer(call.request, callback)
    meters.admit(meterKey(identity), 'Health/Check', {
      run: (left) => {
        left()
        this.#answer(call.request, callback)
      },
      refuse: (refusal) => callback(errorResponse(factsOf(refusal))),
      gone: () => call.cancelled,
    })
  }

  #answer(request: HealthRequest, callback: sendUnaryData<HealthAnswer>): void {
    const found = this.#statusOf(request)
    if (found !== 'SERVICE_UNKNOWN') return callback(null, { status: found })
    const details = `no service ${quoted(request.service)} here; ask for '' or one that is`
    callback({ code: status.NOT_FOUND, details })
  }

  /** Told at each change, of which there are two: at the end of recovery, and at the stop. */
  readonly #watch: handleServerStreamingCall<HealthRequest, HealthAnswer> = (call) => {
    const { meters } = this.#context
    const identity = callerOf(call)
    const begin = (left: () => void): void => {
      this.#watching.add(call)
      call.write({ status: this.#statusOf(call.request) })
      let ended = false
      const end = (): void => {
        if (ended) return
        ended = true
        this.#watching.delete(call)
        leaveStreams()
        left()
      }
      // NOT_SERVING has been told by then.
      const leaveStreams = this.#context.streams.add({ drain: () => call.end() })
      for (const event of ['cancelled', 'close', 'error']) call.on(event, end)
      if (call.cancelled) end()
    }
    if (meters === undefined || isProbe(identity)) return begin(() => undefined)
    meters.admit(meterKey(identity), 'Health/Watch', {
      run: begin,
      refuse: (refusal) => call.emit('error', errorResponse(factsOf(refusal))),
      gone: () => call.cancelled,
    })
  }
}

function isProbe(identity: Outcome<Caller>): boolean {
  if (!identity.ok) return false
  const { uid } = identity.value.process
  return uid === 0 || uid === process.geteuid?.()
}
