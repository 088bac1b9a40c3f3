/**
 * Durable changes as they come (Operator.Watch), as an async iterator. Holds: a slow reader slows
 * the stream down instead of filling memory, and leaving the loop, or `cancel`, ends the call.
 */

import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import type { WatchResponse__Output } from '../wire/generated/pasid/v1/WatchResponse.js'
import { operatorDefinition } from '../wire/load.js'
import { metadataFor, type Channel } from './channel.js'
import { errorOfCall } from './error.js'

export type WatchResponse = WatchResponse__Output

export interface WatchOptions {
  /** Changes after this revision, as a list or an earlier change named it. Absent: from now on. */
  readonly fromRevision?: string | undefined
}

/** Can be iterated once. It ends quietly after `cancel`, else with the error it was cut with. */
export class Watch implements AsyncIterable<WatchResponse> {
  readonly #stream: ClientReadableStream<WatchResponse>
  #cancelled = false

  private constructor(stream: ClientReadableStream<WatchResponse>) {
    this.#stream = stream
    // Told again where it is read; nobody may be reading when the call ends.
    stream.on('error', () => undefined)
  }

  static open(channel: Channel, { fromRevision }: WatchOptions): Watch {
    const { path, requestSerialize, responseDeserialize } = operatorDefinition.Watch
    const stream = channel.client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      fromRevision === undefined ? {} : { fromRevision },
      metadataFor(undefined),
    )
    return new Watch(stream)
  }

  cancel(): void {
    this.#cancelled = true
    this.#stream.cancel()
  }

  /** @throws PasidError */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchResponse, void, undefined> {
    try {
      for await (const response of this.#stream) {
        if (this.#cancelled) return
        yield response as WatchResponse
      }
    } catch (error) {
      if (!this.#cancelled) throw errorOfCall(error as ServiceError)
    } finally {
      this.cancel()
    }
  }
}
