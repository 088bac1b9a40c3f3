/**
 * The gRPC method WatchFaults: recorded faults as they happen. Whoever does not take them has a
 * bounded number kept; of what is beyond, it is told how many it has missed, in their place. Ends
 * with DRAINING when the daemon stops.
 */

import { Metadata, type handleServerStreamingCall, type ServerWritableStream } from '@grpc/grpc-js'
import type { LabFault } from '../../backend/lab.js'
import { refuse, type Outcome } from '../../core/refusal.js'
import type { WatchFaultsResponse } from '../../wire/generated/pasid/v1/WatchFaultsResponse.js'
import type { LabRequest } from '../../wire/messages.js'
import type { Decoded } from '../../wire/strict.js'
import type { ServiceContext } from '../context.js'
import { Fields } from '../convert/fields.js'
import { readerOf } from '../operator-role.js'
import { ServerStream } from '../server-stream.js'
import { faultProto } from './faults.js'
import { deviceOrNone } from './names.js'

type Request = Decoded<LabRequest<'WatchFaults'>>
type Call = ServerWritableStream<Request, WatchFaultsResponse>

const METHOD = 'EmulatorLab/WatchFaults'
/** Faults that wait for a client that does not take them: 100 KB or so. */
export const FAULTS_WAITING_MAX = 1024

export function watchFaultsHandler(
  context: ServiceContext,
): handleServerStreamingCall<Request, WatchFaultsResponse> {
  const open = new Set<FaultStream>()
  return (call) => new FaultStream(context, call, open).start()
}

class FaultStream {
  readonly #context: ServiceContext
  readonly #call: Call
  readonly #stream: ServerStream<Request, WatchFaultsResponse>
  /** Those of all clients. */
  readonly #open: Set<FaultStream>
  readonly #waiting: LabFault[] = []
  /** Missed after the last that waits. */
  #lost = 0
  #unwatch: (() => void) | undefined

  constructor(context: ServiceContext, call: Call, open: Set<FaultStream>) {
    this.#context = context
    this.#call = call
    this.#stream = new ServerStream(context, call, {
      method: METHOD,
      pump: () => this.#pump(),
      ended: () => {
        this.#unwatch?.()
        this.#open.delete(this)
      },
    })
    this.#open = open
  }

  start(): void {
    this.#stream.start(
      () => this.#watch(),
      (unwatch) => {
        this.#unwatch = unwatch
        this.#open.add(this)
        // At once: what happens from here on is told.
        this.#call.sendMetadata(new Metadata())
      },
    )
  }

  #watch(): Outcome<() => void> {
    const { request } = this.#call
    const { broker, limits } = this.#context
    const reader = readerOf(this.#call)
    if (!reader.ok) return reader
    if (!request.ok) return refuse(request.refusal)
    const fields = new Fields()
    const asked = fields.answer(deviceOrNone(fields, 'device', request.message.device))
    if (!asked.ok) return asked
    if (this.#open.size >= limits.watchers) {
      return refuse({ code: 'OVERLOADED', limit: limits.watchers, what: 'watchers of faults' })
    }
    const device = asked.value
    return broker.lab(device, (lab) => {
      return lab.watchFaults((fault) => {
        if (device === '' || fault.device === device) this.#tell(fault)
      })
    })
  }

  #tell(fault: LabFault): void {
    // Those that follow a gap wait behind it: what is told stays in order.
    if (this.#lost > 0 || this.#waiting.length >= FAULTS_WAITING_MAX) this.#lost += 1
    else this.#waiting.push(fault)
    this.#stream.pump()
  }

  #pump(): void {
    while (this.#stream.writable) {
      const fault = this.#waiting.shift()
      if (fault !== undefined) this.#stream.write({ fault: faultProto(fault) })
      else if (this.#lost > 0) {
        this.#stream.write({ lost: this.#lost })
        this.#lost = 0
      } else return
    }
  }
}
