/**
 * The Control stream of one session: commands with correlation ids, each a promise, and the
 * broker's events. Holds: never more commands under way than the broker allows, nothing is written
 * while the stream is full, and every promise settles, at the latest when the stream ends.
 */

import { status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'
import type { ControlRequest } from '../wire/generated/pasid/v1/ControlRequest.js'
import type { ControlResponse__Output } from '../wire/generated/pasid/v1/ControlResponse.js'
import { pasidBrokerDefinition } from '../wire/load.js'
import { metadataFor, type Channel } from './channel.js'
import { errorOfCall, errorOfControl, PasidError } from './error.js'

type ControlResponse = ControlResponse__Output

/** What can be asked on the stream, by the name it has in ControlRequest. */
type Asks = Omit<ControlRequest, 'id' | 'command' | 'open'>
export type ControlCommand = keyof Asks
export type ControlAsk<C extends ControlCommand> = NonNullable<Asks[C]>
export type ControlAnswer<C extends ControlCommand> = NonNullable<ControlResponse[C]>

/** What the broker tells unasked. */
export type ControlEvent =
  | { readonly kind: 'pageRequest'; readonly event: NonNullable<ControlResponse['pageRequest']> }
  | { readonly kind: 'bindingLost'; readonly event: NonNullable<ControlResponse['bindingLost']> }
  | { readonly kind: 'sessionEnded'; readonly event: NonNullable<ControlResponse['sessionEnded']> }
  | { readonly kind: 'quotaChanged'; readonly event: NonNullable<ControlResponse['quotaChanged']> }
  | { readonly kind: 'deviceFaults'; readonly event: NonNullable<ControlResponse['deviceFaults']> }
  | { readonly kind: 'deviceReset'; readonly event: NonNullable<ControlResponse['deviceReset']> }

const EVENT_KINDS = [
  'pageRequest',
  'bindingLost',
  'sessionEnded',
  'quotaChanged',
  'deviceFaults',
  'deviceReset',
] as const

export interface ControlOptions {
  /** Takes the session's page requests from whoever had them. */
  readonly receivePageRequests?: boolean | undefined
  readonly onEvent?: ((event: ControlEvent) => void) | undefined
  /** Commands under way at once; the broker's own bound holds in any case. */
  readonly inFlight?: number | undefined
}

/** Commands that were sent may stay in the queue's array until they are so many, and half of it. */
const TAKEN_MAX = 1024

interface Waiting {
  readonly command: ControlCommand | 'open'
  readonly message: ControlRequest
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

type Stream = ClientDuplexStream<ControlRequest, ControlResponse>

export class ControlSession {
  /** Resolves when the stream is over; with the error it ended with, if it was one. */
  readonly closed: Promise<PasidError | undefined>
  readonly #stream: Stream
  readonly #onEvent: (event: ControlEvent) => void
  readonly #underWay = new Map<string, Waiting>()
  /** Not written yet, in order, from `#head` on: taking from the front of a long array is slow. */
  readonly #queue: Waiting[] = []
  #head = 0
  #inFlight = 1
  #full = false
  #next = 1
  #over: PasidError | undefined
  #ending = false

  private constructor(stream: Stream, onEvent: (event: ControlEvent) => void) {
    this.#stream = stream
    this.#onEvent = onEvent
    stream.on('data', (response: ControlResponse) => this.#receive(response))
    stream.on('drain', () => {
      this.#full = false
      this.#pump()
    })
    this.closed = new Promise((resolve) => {
      let failure: PasidError | undefined
      stream.on('error', (error: ServiceError) => {
        failure = errorOfCall(error)
        this.#end(failure)
      })
      stream.on('close', () => resolve(failure))
      stream.on('status', ({ code, details }: { code: number; details: string }) => {
        const message = code === 0 ? 'the Control stream is closed' : details
        this.#end(failure ?? new PasidError({ code: status.UNAVAILABLE, message }))
        resolve(failure)
      })
    })
  }

  /** Opens the stream and waits for the broker's word. @throws PasidError */
  static async open(
    channel: Channel,
    session: { readonly name: string; readonly token: string },
    options: ControlOptions,
  ): Promise<ControlSession> {
    const { path, requestSerialize, responseDeserialize } = pasidBrokerDefinition.Control
    const stream = channel.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadataFor(session.token),
    )
    const control = new ControlSession(stream, options.onEvent ?? (() => undefined))
    const receivePageRequests = options.receivePageRequests ?? false
    const open = { session: session.name, receivePageRequests }
    const opened = await control.#ask('open', { open, command: 'open' })
    const { inFlightMax } = opened as NonNullable<ControlResponse['opened']>
    control.#inFlight = Math.max(1, Math.min(options.inFlight ?? inFlightMax, inFlightMax))
    return control
  }

  /** One command. The session is this stream's and need not be named. @throws PasidError */
  async send<C extends ControlCommand>(
    command: C,
    request: ControlAsk<C>,
  ): Promise<ControlAnswer<C>> {
    return (await this.#ask(command, { [command]: request, command })) as ControlAnswer<C>
  }

  /** Commands sent and not answered, or waiting to be sent. */
  get pending(): number {
    return this.#underWay.size + this.#queue.length - this.#head
  }

  /** Says that no more commands come; what is under way is still answered. */
  async close(): Promise<void> {
    this.#ending = true
    if (this.pending === 0) this.#stream.end()
    await this.closed
  }

  /** Drops the stream at once. */
  cancel(): void {
    this.#stream.cancel()
  }

  #ask(command: Waiting['command'], message: ControlRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) return reject(this.#over)
      if (this.#ending) {
        const message = 'the Control stream is being closed'
        return reject(new PasidError({ code: status.CANCELLED, message }))
      }
      this.#queue.push({ command, message, resolve, reject })
      this.#pump()
    })
  }

  #pump(): void {
    while (!this.#full && this.#over === undefined && this.#underWay.size < this.#inFlight) {
      const waiting = this.#queue[this.#head]
      if (waiting === undefined) return
      this.#head += 1
      this.#forgetTaken()
      const id = String(this.#next)
      this.#next += 1
      this.#underWay.set(id, waiting)
      this.#full = !this.#stream.write({ ...waiting.message, id })
    }
  }

  /** Each element is moved at most once more than it is taken, on average. */
  #forgetTaken(): void {
    const { length } = this.#queue
    if (this.#head < length && (this.#head < TAKEN_MAX || this.#head * 2 < length)) return
    this.#queue.splice(0, this.#head)
    this.#head = 0
  }

  #receive(response: ControlResponse): void {
    if (response.id === '0') return this.#deliver(response)
    const waiting = this.#underWay.get(response.id)
    if (waiting === undefined) return
    this.#underWay.delete(response.id)
    const { error } = response
    const answer = response[waiting.command === 'open' ? 'opened' : waiting.command]
    if (error !== undefined && error !== null) waiting.reject(errorOfControl(error))
    else if (answer !== undefined && answer !== null) waiting.resolve(answer)
    else {
      const message = `${waiting.command} was answered with ${response.answer ?? 'nothing'}`
      waiting.reject(new PasidError({ code: status.INTERNAL, message }))
    }
    this.#pump()
    if (this.#ending && this.pending === 0) this.#stream.end()
  }

  #deliver(response: ControlResponse): void {
    for (const kind of EVENT_KINDS) {
      const event = response[kind]
      if (event !== undefined && event !== null) this.#onEvent({ kind, event } as ControlEvent)
    }
  }

  #end(error: PasidError): void {
    if (this.#over !== undefined) return
    this.#over = error
    const all = [...this.#underWay.values(), ...this.#queue.slice(this.#head)]
    this.#underWay.clear()
    this.#queue.length = 0
    this.#head = 0
    for (const { reject } of all) reject(error)
  }
}
