/**
 * The daemon's gRPC servers, one a socket: one for VMMs of whatever tenant the rules say, one for
 * each tenant that has a socket of its own, one for operators; and beside them the socket on which
 * delegates hand over processes. Holds: all sockets are open, or none is.
 */

import path from 'node:path'
import { Server } from '@grpc/grpc-js'
import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.js'
import { InvariantViolation } from '../core/assert.js'
import {
  ofSocket,
  serviceContext,
  type ServiceContext,
  type ServiceObserver,
} from '../service/context.js'
import { peerInterceptor, type Peer } from '../service/peer.js'
import { registerAdminServices, registerVmmServices, type Registered } from '../service/register.js'
import { serverOptions } from '../service/server-options.js'
import type { Admission } from './admission.js'
import type { Config, SocketConfig } from './config/config.js'
import { DaemonGuestFiles } from './guest-files.js'
import type { HandOverTokens } from './hand-over-tokens.js'
import type { Place } from './identity.js'
import { Listener } from './listener.js'
import { FIELD } from './log-fields.js'
import type { MemoryTokens } from './memory-tokens.js'
import type { Metrics } from './metrics.js'
import { OwnerSocket } from './owner-socket.js'
import type { OwnerTokens } from './owner-tokens.js'
import { systemChance, systemClock } from './ports.js'
import type { Processes } from './processes.js'
import { readVersion } from './release.js'
import { ThrottledLog } from './telemetry.js'

export interface ServersOptions {
  readonly config: Config
  readonly broker: Broker
  readonly tokenKey: Uint8Array
  readonly processes: Processes
  readonly admission: Admission
  readonly ownerTokens: OwnerTokens
  readonly memoryTokens: MemoryTokens
  readonly handOverTokens: HandOverTokens
  /** Where `/` is for whoever looks at the host. */
  readonly hostRoot: string
  readonly metrics: Metrics
  readonly log: Logger
  readonly onBug: (error: unknown) => void
}

export interface Servers {
  /** What health answers, on every socket. */
  setServing(serving: boolean): void
  /** Open ones: `vmm` is the main socket, others of VMMs go by their tenant. */
  connections(): ReadonlyMap<string, number>
  /** Nothing new comes in, what is under way may end in time, then it is cut. */
  close(graceMs: number): Promise<void>
}

function observerOf({ log, metrics, onBug }: ServersOptions): ServiceObserver {
  const lines = new ThrottledLog(log)
  return {
    called(method, reason, tookMs) {
      metrics.called(method, reason, tookMs)
      if (!log.isLevelEnabled('trace')) return
      const fields = { [FIELD.METHOD]: method, [FIELD.REASON]: reason, [FIELD.TOOK_MS]: tookMs }
      lines.say('trace', fields, 'called')
    },
    incident({ id, method, error }) {
      const fields = { [FIELD.INCIDENT]: id, [FIELD.METHOD]: method, [FIELD.ERROR]: error }
      lines.say('error', fields, 'incident: a call was answered INTERNAL')
      if (error instanceof InvariantViolation) onBug(error)
    },
  }
}

interface Registration {
  /** In metrics. */
  readonly name: string
  readonly socket: SocketConfig
  readonly place: Place
  readonly register: (server: Server, context: ServiceContext) => Registered
}

/** The first VMM socket is the main one. */
function registrations({ adminSocket, vmmSockets }: Config): Registration[] {
  const vmms = vmmSockets.map((socket, at): Registration => {
    const { tenant } = socket
    const kind = at === 0 ? 'main' : 'tenant'
    const name = at === 0 ? 'vmm' : `tenant:${tenant}`
    return { name, socket, place: { kind, tenant }, register: registerVmmServices }
  })
  const place: Place = { kind: 'admin' }
  return [{ name: 'admin', socket: adminSocket, place, register: registerAdminServices }, ...vmms]
}

async function openListener(
  { socket, place, register }: Registration,
  context: ServiceContext,
  { config: { limits }, admission, log }: ServersOptions,
): Promise<{ readonly listener: Listener; readonly registered: Registered }> {
  const callers = new Map<string, Peer>()
  const interceptors = [peerInterceptor((connection) => callers.get(connection))]
  const server = new Server({ ...serverOptions(limits), interceptors })
  const registered = register(server, ofSocket(context))
  const listening = { socket, server, place, admission, callers, limits, log }
  return { listener: await Listener.open(listening), registered }
}

function openSideSocket(options: ServersOptions): Promise<OwnerSocket> {
  const { config, admission, processes, ownerTokens, memoryTokens, handOverTokens, log } = options
  const sysfs = path.join(options.hostRoot, 'sys')
  const isNative = config.backend.kind === 'native'
  return OwnerSocket.open({
    socket: config.fdSocket,
    admission,
    processes,
    tokens: ownerTokens,
    memory: memoryTokens,
    devices: isNative ? { tokens: handOverTokens, sysfs } : undefined,
    limits: config.limits,
    log,
  })
}

/** @throws StartFailure; then every socket that was open is closed again */
export async function openServers(options: ServersOptions): Promise<Servers> {
  const { config, broker, tokenKey, ownerTokens } = options
  const { limits } = config
  const context = serviceContext({
    broker,
    chance: systemChance,
    clock: systemClock,
    ownerTokens,
    guestFiles: new DaemonGuestFiles(options.memoryTokens),
    handOverTokens: options.handOverTokens,
    limits,
    observer: observerOf(options),
    version: readVersion(),
    tokenKey,
  })
  const listeners = new Map<string, Listener>()
  const served: Registered[] = []
  let side: OwnerSocket | undefined
  const close = async (graceMs: number) => {
    side?.close()
    for (const listener of listeners.values()) listener.stopAccepting()
    // Control streams have no end of their own.
    context.streams.drain()
    await Promise.all([...listeners.values()].map((listener) => listener.close(graceMs)))
  }
  try {
    for (const registration of registrations(config)) {
      const { listener, registered } = await openListener(registration, context, options)
      listeners.set(registration.name, listener)
      served.push(registered)
    }
    side = await openSideSocket(options)
  } catch (error) {
    await close(0)
    throw error
  }
  const setServing = (serving: boolean) => {
    for (const one of served) one.setServing(serving)
  }
  const connections = () => {
    const counts = [...listeners].map(([name, { connections: count }]) => [name, count] as const)
    return new Map([...counts, ['fds', side.connections] as const])
  }
  return { setServing, connections, close }
}
