/** A Watch stream by hand: what it told, in order, and how it ended. */
import type { ClientReadableStream, StatusObject } from '@grpc/grpc-js'
import { STATUS_DETAILS_KEY } from '../../src/wire/details.js'
import type { WatchEvent__Output } from '../../src/wire/generated/pasid/v1/WatchEvent.js'
import type { WatchResponse__Output } from '../../src/wire/generated/pasid/v1/WatchResponse.js'
import { operatorDefinition } from '../../src/wire/load.js'
import type { ControlEnd } from './service-control-rig.js'
import { RawClient, refusedBy } from './service-rig.js'

const { Watch } = operatorDefinition

export class WatchRig {
  readonly told: WatchResponse__Output[] = []
  readonly ended: Promise<ControlEnd>
  readonly stream: ClientReadableStream<WatchResponse__Output>
  readonly #client: RawClient

  constructor(socket: string, fromRevision?: number | string) {
    this.#client = new RawClient(socket)
    const request = fromRevision === undefined ? {} : { fromRevision }
    this.stream = this.#client.client.makeServerStreamRequest(
      Watch.path,
      (message: object) => Watch.requestSerialize(message),
      Watch.responseDeserialize,
      request,
    )
    this.stream.on('data', (response: WatchResponse__Output) => this.told.push(response))
    this.stream.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      this.stream.on('status', ({ code, details, metadata }: StatusObject) => {
        const [bytes] = metadata.get(STATUS_DETAILS_KEY)
        const known = bytes !== undefined
        resolve({ code, refusal: known ? refusedBy(code, details, bytes as Buffer) : undefined })
        this.#client.close()
      })
    })
  }

  /** All events so far, whatever the messages that they came in. */
  get events(): WatchEvent__Output[] {
    return this.told.flatMap(({ change }) => change?.events ?? [])
  }

  get revisions(): number[] {
    return this.told.flatMap(({ change }) => (change ? [Number(change.revision)] : []))
  }

  cancel(): void {
    this.stream.cancel()
  }
}
