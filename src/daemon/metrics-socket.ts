/**
 * `GET /metrics` over HTTP on a Unix socket. Who may connect is the file's mode; who connects may
 * read numbers and nothing else. Holds: however many come and however slow they are, what they take
 * up is bounded.
 */

import http from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { SocketConfig } from './config/config.js'
import { FIELD } from './log-fields.js'
import type { Metrics } from './metrics.js'
import { bindSocket, removeSocket, type BoundSocket } from './socket-file.js'

/** One scraper or two, and somebody who looks. */
const CONNECTIONS_MAX = 16
/** From the first byte to the last of a request. */
const REQUEST_MS = 5000
/** A connection without a request, before the first and between two. */
const IDLE_MS = 10_000
const HEADER_BYTES_MAX = 8192
const PATH = '/metrics'

export interface MetricsSocketOptions {
  readonly socket: SocketConfig
  readonly metrics: Metrics
  readonly log: Logger
}

type Answer = readonly [status: number, type: string, body: string, headers?: object]

async function answerOf(
  request: http.IncomingMessage,
  { contentType }: Metrics,
  scrape: () => Promise<string>,
): Promise<Answer> {
  const [path] = (request.url ?? '').split('?')
  if (path !== PATH) return [404, 'text/plain', `only ${PATH} is here\n`]
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return [405, 'text/plain', 'only GET and HEAD\n', { allow: 'GET, HEAD' }]
  }
  return [200, contentType, await scrape()]
}

export class MetricsSocket {
  readonly #server: http.Server
  readonly #log: Logger
  /** Connections with a request that is not answered. */
  readonly #asking = new Set<Socket>()
  /** Settles when the newest scrape has ended. */
  #scraped: Promise<unknown> = Promise.resolve()
  #bound: BoundSocket | undefined

  private constructor({ metrics, log }: MetricsSocketOptions) {
    this.#log = log
    const options = {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: REQUEST_MS / 2,
    }
    this.#server = http.createServer(options, (request, response) => {
      void this.#serve(request, response, metrics)
    })
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.setTimeout(IDLE_MS)
  }

  /** @throws StartFailure */
  static async open(options: MetricsSocketOptions): Promise<MetricsSocket> {
    const self = new MetricsSocket(options)
    self.#bound = await bindSocket(self.#server, options.socket)
    self.#server.on('error', (error) => {
      const fields = { [FIELD.SOCKET]: options.socket.path, [FIELD.ERROR]: error }
      options.log.error(fields, 'accepting connections failed')
    })
    return self
  }

  async #serve(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    metrics: Metrics,
  ): Promise<void> {
    request.resume()
    const { socket } = request
    // Requests sent ahead of the answers (RFC 9112 §9.3.2) come in thousands in one read.
    if (this.#asking.has(socket)) {
      socket.destroy()
      return
    }
    this.#asking.add(socket)
    response.once('close', () => this.#asking.delete(socket))
    let answer: Answer
    try {
      answer = await answerOf(request, metrics, () => this.#scrape(metrics))
    } catch (error) {
      this.#log.error({ [FIELD.ERROR]: error }, 'a scrape failed')
      answer = [500, 'text/plain', 'the scrape failed; the log says why\n']
    }
    const [status, type, body, headers = {}] = answer
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      ...headers,
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  /** One after the other, and the event loop turns in between: many who ask are only slow. */
  #scrape(metrics: Metrics): Promise<string> {
    const scraping = this.#scraped.then(() => nextTurn()).then(() => metrics.text())
    this.#scraped = scraping.catch(() => undefined)
    return scraping
  }

  /** Cuts what is open; the file goes if it is still ours. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    this.#server.closeAllConnections()
    if (this.#bound !== undefined) removeSocket(this.#bound)
    this.#bound = undefined
    await closed
  }
}
