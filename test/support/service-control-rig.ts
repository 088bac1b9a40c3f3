/** A Control stream by hand: raw commands, answers by id, events, and how it ended. */
import type { ClientDuplexStream, StatusObject } from '@grpc/grpc-js'
import { STATUS_DETAILS_KEY } from '../../src/wire/details.js'
import { pasidBrokerDefinition } from '../../src/wire/load.js'
import type { ControlResponse__Output } from '../../src/wire/generated/pasid/v1/ControlResponse.js'
import {
  metadataOf,
  packet,
  RawClient,
  refusedBy,
  type Method,
  type Refused,
  type TestSession,
} from './service-rig.js'

const { Control } = pasidBrokerDefinition

/** Field numbers of ControlRequest's commands. */
const FIELDS: Readonly<Record<string, number>> = {
  AllocatePasids: 3,
  FreePasids: 4,
  ListPasids: 5,
  AttachDevice: 6,
  DetachDevice: 7,
  BindPasid: 8,
  UnbindPasids: 9,
  Invalidate: 10,
  RespondPageRequest: 11,
  InvalidateRaw: 13,
}

export interface ControlAnswer {
  readonly response: ControlResponse__Output
  readonly refusal: Refused | undefined
}

export interface ControlEnd {
  readonly code: number
  readonly refusal: Refused | undefined
}

export class ControlRig {
  readonly events: ControlResponse__Output[] = []
  readonly ended: Promise<ControlEnd>
  readonly stream: ClientDuplexStream<Buffer, ControlResponse__Output>
  readonly #client: RawClient
  readonly #waiting = new Map<string, (answer: ControlAnswer) => void>()
  #next = 1

  constructor(socket: string, token: string | undefined) {
    this.#client = new RawClient(socket)
    this.stream = this.#client.client.makeBidiStreamRequest(
      Control.path,
      (bytes: Buffer) => bytes,
      Control.responseDeserialize,
      metadataOf(token),
    )
    this.stream.on('data', (response: ControlResponse__Output) => this.#receive(response))
    this.stream.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      this.stream.on('status', ({ code, details, metadata }: StatusObject) => {
        const [bytes] = metadata.get(STATUS_DETAILS_KEY)
        const known = bytes !== undefined
        const refusal = known ? refusedBy(code, details, bytes as Buffer) : undefined
        resolve({ code, refusal })
        this.#client.close()
      })
    })
  }

  static fieldOf(method: Method): number | undefined {
    const [service, name = ''] = method.split('/')
    return service === 'PasidBroker' ? FIELDS[name] : undefined
  }

  /** As in ControlRequest: `allocate_pasids`. */
  static nameOf(method: Method): string {
    const [, name = ''] = method.split('/')
    return name.replace(/(?!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase()
  }

  static async open(socket: string, session: TestSession): Promise<ControlRig> {
    const rig = new ControlRig(socket, session.token)
    const { response } = await rig.send({ open: { session: session.name } })
    if (response.answer !== 'opened') throw new Error(JSON.stringify(response))
    return rig
  }

  #receive(response: ControlResponse__Output): void {
    const resolve = this.#waiting.get(response.id)
    if (resolve === undefined) {
      this.events.push(response)
      return
    }
    this.#waiting.delete(response.id)
    const { error } = response
    const refusal = error ? refusedBy(error.code, error.message, error.status) : undefined
    resolve({ response, refusal })
  }

  nextId(): string {
    return String(this.#next++)
  }

  answerTo(id: string): Promise<ControlAnswer> {
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }

  send(command: object, id = this.nextId()): Promise<ControlAnswer> {
    const answer = this.answerTo(id)
    this.stream.write(Control.requestSerialize({ id, ...command }))
    return answer
  }

  sendBytes(method: Method, bytes: Buffer): Promise<ControlAnswer> {
    const id = this.nextId()
    const answer = this.answerTo(id)
    const field = ControlRig.fieldOf(method) ?? 0
    this.stream.write(Buffer.concat([packet.varint(1, BigInt(id)), packet.bytes(field, bytes)]))
    return answer
  }

  end(): void {
    this.stream.end()
  }

  cancel(): void {
    this.stream.cancel()
  }
}
