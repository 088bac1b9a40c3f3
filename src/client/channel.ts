/** A connection to one socket of the daemon, and unary calls over it with deadline and retries. */

import { setTimeout as sleep } from 'node:timers/promises'
import { Client, credentials, Metadata, type ChannelOptions } from '@grpc/grpc-js'
import { errorOfCall, type PasidError } from './error.js'
import { mayRetry, RETRY_DEFAULT, waitMs, type RetryPolicy } from './retry.js'

const TIMEOUT_MS_DEFAULT = 10_000
const TOKEN_KEY = 'pasid-session-token'

/** What a call needs to know of a method; the generated definitions have it. */
export interface Method<Request, Response> {
  readonly path: string
  readonly requestSerialize: (request: Request) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => Response
}

export interface ChannelSettings {
  /** Path of the Unix socket. */
  readonly socket: string
  /** For one call, its retries included. */
  readonly timeoutMs?: number | undefined
  readonly retry?: Partial<RetryPolicy> | undefined
  /** Of grpc-js, for what is not covered here. */
  readonly channelOptions?: ChannelOptions | undefined
}

export interface CallSettings {
  readonly timeoutMs?: number | undefined
  /** Secret of the session. */
  readonly token?: string | undefined
  /** Whether the call may be made again without knowing if it was carried out. */
  readonly repeatable?: boolean | undefined
}

const CHANNEL_OPTIONS: ChannelOptions = {
  // Retries are made here, where it is known what may be repeated.
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 2000,
}

export function metadataFor(token: string | undefined): Metadata {
  const metadata = new Metadata()
  if (token !== undefined) metadata.set(TOKEN_KEY, token)
  return metadata
}

export class Channel {
  readonly socket: string
  /** For streams. */
  readonly client: Client
  readonly #timeoutMs: number
  readonly #retry: RetryPolicy

  constructor({ socket, timeoutMs, retry, channelOptions }: ChannelSettings) {
    this.socket = socket
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS_DEFAULT
    this.#retry = { ...RETRY_DEFAULT, ...retry }
    const options = { ...CHANNEL_OPTIONS, ...channelOptions }
    this.client = new Client(`unix:${socket}`, credentials.createInsecure(), options)
  }

  /** @throws PasidError */
  async call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    settings: CallSettings = {},
  ): Promise<Response> {
    const deadline = Date.now() + (settings.timeoutMs ?? this.#timeoutMs)
    for (let attempt = 1; ; attempt++) {
      const result = await this.#once(method, request, deadline, settings)
      if (result.ok) return result.response
      const { error } = result
      if (attempt >= this.#retry.attempts) throw error
      if (!mayRetry(error, settings.repeatable === true)) throw error
      const wait = waitMs(this.#retry, attempt, error)
      if (Date.now() + wait >= deadline) throw error
      await sleep(wait)
    }
  }

  #once<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    deadline: number,
    { token }: CallSettings,
  ): Promise<{ ok: true; response: Response } | { ok: false; error: PasidError }> {
    return new Promise((resolve) => {
      this.client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadataFor(token),
        { deadline },
        (error, response) => {
          if (error !== null) resolve({ ok: false, error: errorOfCall(error) })
          else resolve({ ok: true, response: response as Response })
        },
      )
    })
  }

  close(): void {
    this.client.close()
  }
}
