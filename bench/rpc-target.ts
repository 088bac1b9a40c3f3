/**
 * One server as a client of the bench sees it: bare grpc-js and the generated messages, without the
 * retries and request ids of src/client, so that both servers are called in exactly the same way.
 */

import { Client, credentials, Metadata, type ClientDuplexStream } from '@grpc/grpc-js'
import { pasidBrokerDefinition } from '../src/wire/load.js'
import type { ControlRequest } from '../src/wire/generated/pasid/v1/ControlRequest.js'
import type { ControlResponse__Output } from '../src/wire/generated/pasid/v1/ControlResponse.js'

export const DEVICE = 'devices/emu0'
export const DOMAIN = 1
/** Guest-physical addresses of made-up tables. */
export const TABLE = 0x1_0000_0000

interface Method<Request, Response> {
  readonly path: string
  readonly requestSerialize: (request: Request) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => Response
}

const METHODS = pasidBrokerDefinition
const ALL_NUMBERS = { first: 1, last: 2 ** 20 - 1 }
const TIMEOUT_MS = 60_000

export class Target {
  /** Of the session: bound nowhere, and bound. */
  idle = 0
  bound = 0

  private constructor(
    private readonly client: Client,
    readonly session: string,
    private readonly metadata: Metadata,
    readonly control: Control,
  ) {}

  static async open(socket: string): Promise<Target> {
    const client = new Client(`unix:${socket}`, credentials.createInsecure())
    const { session, token } = await callOnce(client, METHODS.OpenSession, {}, new Metadata())
    const metadata = new Metadata()
    metadata.set('pasid-session-token', token)
    const name = session?.name ?? ''
    const target = new Target(client, name, metadata, await Control.open(client, name, metadata))
    await target.call(METHODS.AttachDevice, { session: name, device: DEVICE })
    target.idle = await target.#allocateOne()
    target.bound = await target.#allocateOne()
    await target.control.ask({ ...bindRequest(target.bound), command: 'bindPasid' })
    return target
  }

  call<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> {
    return callOnce(this.client, method, request, this.metadata)
  }

  allocate(requestId: string): Promise<unknown> {
    const request = { session: this.session, requestId, one: {}, ask: 'one' } as const
    return this.call(METHODS.AllocatePasids, request)
  }

  /** Gives back everything that is not needed any more; outside of what is timed. */
  async free(): Promise<void> {
    const kept = [this.idle, this.bound].sort((a, b) => a - b)
    let { first } = ALL_NUMBERS
    for (const next of [...kept, ALL_NUMBERS.last + 1]) {
      const range = { first, last: next - 1 }
      const request = { session: this.session, range, what: 'range' } as const
      if (range.first <= range.last) await this.call(METHODS.FreePasids, request)
      first = next + 1
    }
  }

  async #allocateOne(): Promise<number> {
    const request = { session: this.session, one: {}, ask: 'one' } as const
    const { ranges } = await this.call(METHODS.AllocatePasids, request)
    return ranges[0]?.first ?? 0
  }
}

export function bindRequest(pasid: number): ControlRequest {
  const bindPasid = {
    target: 'pasid',
    pasid,
    devices: [DEVICE],
    table: 'firstStage',
    firstStage: { address: TABLE, addressWidth: 48 },
    domain: DOMAIN,
  } as const
  return { bindPasid: { ...bindPasid, devices: [...bindPasid.devices] }, command: 'bindPasid' }
}

function callOnce<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  request: Request,
  metadata: Metadata,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      { deadline: Date.now() + TIMEOUT_MS },
      (error, response) => {
        if (error === null && response !== undefined) resolve(response)
        else reject(error ?? new Error(`${method.path}: no answer`))
      },
    )
  })
}

/** A Control stream with nothing around it but the ids. */
export class Control {
  #next = 1
  readonly #waiting = new Map<string, (response: ControlResponse__Output) => void>()
  #failed: ((error: unknown) => void) | undefined

  private constructor(
    private readonly stream: ClientDuplexStream<ControlRequest, ControlResponse__Output>,
  ) {
    stream.on('data', (response: ControlResponse__Output) => {
      const resolve = this.#waiting.get(response.id)
      this.#waiting.delete(response.id)
      if (response.error) this.#failed?.(new Error(response.error.message))
      else resolve?.(response)
    })
    stream.on('error', (error: unknown) => this.#failed?.(error))
  }

  static async open(client: Client, session: string, metadata: Metadata): Promise<Control> {
    const { path, requestSerialize, responseDeserialize } = METHODS.Control
    const stream = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
    )
    const control = new Control(stream)
    await control.ask({ open: { session }, command: 'open' })
    return control
  }

  /** Calls back instead of a promise: the fewer turns of our own, the better. */
  send(request: ControlRequest, then: (response: ControlResponse__Output) => void): void {
    const id = String(this.#next)
    this.#next += 1
    this.#waiting.set(id, then)
    this.stream.write({ id, ...request })
  }

  ask(request: ControlRequest): Promise<ControlResponse__Output> {
    return new Promise((resolve, reject) => {
      this.onFailure(reject)
      this.send(request, resolve)
    })
  }

  /** An error ends the measurement, whatever was under way. */
  onFailure(failed: (error: unknown) => void): void {
    this.#failed = failed
  }
}
