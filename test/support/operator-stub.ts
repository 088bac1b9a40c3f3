/**
 * An admin socket that the test plays: the Operator service on a real server, each method as the
 * test says. What is not said answers UNIMPLEMENTED.
 */
import path from 'node:path'
import {
  Metadata,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { encodeStatus, STATUS_DETAILS_KEY } from '../../src/wire/details.js'
import type { OperatorDefinition } from '../../src/wire/generated/pasid/v1/Operator.js'
import type { WatchRequest__Output } from '../../src/wire/generated/pasid/v1/WatchRequest.js'
import type { WatchResponse } from '../../src/wire/generated/pasid/v1/WatchResponse.js'
import { operatorDefinition } from '../../src/wire/load.js'
import { temporaryFolder } from './daemon.js'

type Unary = Exclude<keyof OperatorDefinition, 'Watch'>
type Asked<Name extends Unary> = ReturnType<OperatorDefinition[Name]['requestDeserialize']>
type Answer<Name extends Unary> = Parameters<OperatorDefinition[Name]['responseSerialize']>[0]
export type WatchCall = ServerWritableStream<WatchRequest__Output, WatchResponse>

/** Answers, or throws a `refusal`. */
export type Played = {
  readonly [Name in Unary]?: (request: Asked<Name>) => Answer<Name>
} & { readonly Watch?: (call: WatchCall) => void }

/** What the daemon would refuse with. */
export function refusal(
  code: status,
  reason: string,
  metadata: Readonly<Record<string, string>> = {},
) {
  const facts = { code, message: `no: ${reason}`, reason, metadata }
  const trailers = new Metadata()
  trailers.set(STATUS_DETAILS_KEY, encodeStatus(facts))
  return Object.assign(new Error(reason), { code, details: facts.message, metadata: trailers })
}

export class OperatorStub {
  /** Every unary call, in order. */
  readonly calls: { readonly method: string; readonly request: unknown }[] = []
  readonly #server = new Server()
  readonly socket = path.join(temporaryFolder(), 'admin.sock')

  static async start(played: Played): Promise<OperatorStub> {
    const stub = new OperatorStub()
    const methods: UntypedServiceImplementation = {}
    const { Watch, ...unary } = played
    if (Watch !== undefined) methods['Watch'] = Watch
    for (const [method, play] of Object.entries(unary)) {
      methods[method] = stub.#unary(method, play as (request: unknown) => object)
    }
    stub.#server.addService(operatorDefinition, methods)
    await new Promise<void>((resolve, reject) => {
      const credentials = ServerCredentials.createInsecure()
      stub.#server.bindAsync(`unix:${stub.socket}`, credentials, (error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
    return stub
  }

  #unary(method: string, play: (request: unknown) => object) {
    return (call: ServerUnaryCall<unknown, object>, answer: sendUnaryData<object>) => {
      this.calls.push({ method, request: call.request })
      try {
        answer(null, play(call.request))
      } catch (error) {
        answer(error as Parameters<typeof answer>[0])
      }
    }
  }

  /** Requests of one method so far. */
  asked<Name extends Unary>(method: Name): Asked<Name>[] {
    const own = this.calls.filter((call) => call.method === method)
    return own.map(({ request }) => request as Asked<Name>)
  }

  stop(): void {
    this.#server.forceShutdown()
  }
}
