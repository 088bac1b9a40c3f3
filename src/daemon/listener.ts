/**
 * One Unix socket with the gRPC server behind it. The listening socket is ours and connections are
 * injected into grpc-js, so that who connects is known before its first byte is read, and so that
 * one bad connection reaches neither the server nor the others.
 */

import net from 'node:net'
import { ServerCredentials, type ConnectionInjector, type Server } from '@grpc/grpc-js'
import type { Logger } from 'pino'
import { peerOf } from '../linux/peer.js'
import type { Peer } from '../service/peer.js'
import type { Admission, Visitor } from './admission.js'
import type { LimitsConfig, SocketConfig } from './config/config.js'
import { RESERVED_CONNECTIONS } from './connection-caps.js'
import type { Place } from './identity.js'
import { FIELD } from './log-fields.js'
import { bindSocket, removeSocket, type BoundSocket } from './socket-file.js'
import { ThrottledLog } from './telemetry.js'

/** What a client that means it sends first: the 24 bytes of RFC 9113 §3.4 and an empty SETTINGS. */
const PREFACE_BYTES = 24 + 9

export interface ListenerOptions {
  readonly socket: SocketConfig
  readonly server: Server
  readonly place: Place
  readonly admission: Admission
  /** Filled here: who is on the connection with this address, for the server's interceptor. */
  readonly callers: Map<string, Peer>
  readonly limits: Pick<LimitsConfig, 'connections' | 'firstByteMs'>
  readonly log: Logger
}

/** A Unix connection that was just accepted has a descriptor; Node shows it only here. */
function descriptorOf(connection: net.Socket): number | undefined {
  const handle: unknown = Reflect.get(connection, '_handle')
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined
  return typeof handle.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined
}

/** Resolves true when `done` did in time, false when the time is over. */
async function within(ms: number, done: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([done.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

export class Listener {
  readonly path: string
  readonly #server: Server
  readonly #net: net.Server
  readonly #injector: ConnectionInjector
  readonly #options: ListenerOptions
  readonly #lines: ThrottledLog
  readonly #log: Logger
  readonly #connections = new Set<net.Socket>()
  #bound: BoundSocket | undefined
  #closed: Promise<void> | undefined
  #next = 1

  private constructor(options: ListenerOptions) {
    const { socket, server, limits, log } = options
    this.path = socket.path
    this.#options = options
    this.#server = server
    this.#log = log
    this.#lines = new ThrottledLog(log)
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure())
    this.#net = net.createServer((connection) => this.#accept(connection))
    // Admission counts too, and knows whom the reserve is for; this only spares it a flood.
    this.#net.maxConnections = limits.connections + RESERVED_CONNECTIONS
    this.#net.on('drop', () => {
      const fields = { [FIELD.SOCKET]: this.path, [FIELD.LIMIT]: limits.connections }
      this.#lines.say('warn', fields, 'connection refused: as many as may be are open')
    })
  }

  /** Listens; the server's services are registered before. @throws StartFailure */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    listener.#bound = await bindSocket(listener.#net, options.socket)
    listener.#net.on('error', (error) => {
      const fields = { [FIELD.SOCKET]: listener.path, [FIELD.ERROR]: error }
      listener.#lines.say('error', fields, 'accepting connections failed')
    })
    return listener
  }

  get connections(): number {
    return this.#connections.size
  }

  /**
   * Nothing of the connection has been parsed yet. The address is what the interceptor finds the
   * caller by; it is an own property because a Unix socket has none.
   */
  #accept(connection: net.Socket): void {
    // Without a listener of its own an error of one connection would end the process.
    connection.on('error', () => undefined)
    const visitor = this.#admit(connection)
    if (visitor === undefined) {
      connection.destroy()
      return
    }
    const { callers, limits } = this.#options
    const address = `unix:connection=${this.#next}`
    this.#next += 1
    Object.defineProperty(connection, 'remoteAddress', { value: address })
    callers.set(address, { identity: visitor.caller })
    this.#connections.add(connection)
    const silent = setTimeout(() => this.#endIdle(connection, visitor), limits.firstByteMs)
    silent.unref()
    connection.once('close', () => {
      clearTimeout(silent)
      this.#connections.delete(connection)
      callers.delete(address)
      visitor.leave()
    })
    // A child that was forked, or somebody who was handed the connection, is not the caller.
    visitor.onEnd(() => connection.destroy())
    this.#injector.injectConnection(connection)
  }

  #admit(connection: net.Socket): Visitor | undefined {
    const fd = descriptorOf(connection)
    if (fd === undefined) return undefined
    const { admission, place } = this.#options
    const door = { path: this.path, place, open: this.#connections.size }
    return admission.admit(peerOf(fd), door)
  }

  /** Who has said nothing, or has been told by now that he is refused, keeps no place. */
  #endIdle(connection: net.Socket, { caller }: Visitor): void {
    if (caller.ok && connection.bytesRead >= PREFACE_BYTES) return
    const what = caller.ok ? 'silent connection closed' : 'connection of a refused caller closed'
    this.#lines.say('info', { [FIELD.SOCKET]: this.path }, what)
    connection.destroy()
  }

  /** No new connections; the file goes, if it is still ours. Repeatable. */
  stopAccepting(): void {
    this.#closed ??= new Promise((resolve) => {
      this.#net.close(() => resolve())
    })
    if (this.#bound === undefined) return
    if (!removeSocket(this.#bound)) {
      this.#log.warn({ [FIELD.SOCKET]: this.path }, 'socket left: it is another process’s by now')
    }
    this.#bound = undefined
  }

  /**
   * Lets calls under way end, then cuts what is left. Resolved = nothing of it runs any more.
   * Node 24 and later: `tryShutdown` calls back at once when connections are injected
   * (nodejs/node#57586), so the end of the listening socket is waited for too.
   */
  async close(graceMs: number): Promise<void> {
    this.stopAccepting()
    const calls = new Promise<void>((resolve) => {
      this.#server.tryShutdown(() => resolve())
    })
    const ended = await within(graceMs, Promise.all([calls, this.#closed]))
    if (!ended) {
      const fields = { [FIELD.SOCKET]: this.path, [FIELD.CONNECTIONS]: this.#connections.size }
      this.#log.warn(fields, 'connections cut: the grace time is over')
    }
    // The connections and not the sessions: their clients then read UNAVAILABLE and may try again.
    for (const connection of this.#connections) connection.destroy()
    await this.#closed
    this.#server.forceShutdown()
  }
}
