/**
 * The daemon's gRPC servers, one a socket: one for the VMMs of each tenant that has a socket, one
 * for operators. Holds: all sockets are open, or none is.
 */

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
import { registerAdminServices, registerVmmServices, type Registered } from '../service/register.js'
import { serverOptions } from '../service/server-options.js'
import type { Config, SocketConfig } from './config/config.js'
import { Listener } from './listener.js'
import { FIELD } from './log-fields.js'
import { systemChance } from './ports.js'
import { readVersion } from './release.js'
import { ThrottledLog } from './telemetry.js'

export interface ServersOptions {
  readonly config: Config
  readonly broker: Broker
  readonly tokenKey: Uint8Array
  readonly log: Logger
  readonly onBug: (error: unknown) => void
}

export interface Servers {
  /** What health answers, on every socket. */
  setServing(serving: boolean): void
  /** Nothing new comes in, what is under way may end in time, then it is cut. */
  close(graceMs: number): Promise<void>
}

function observerOf(log: Logger, onBug: (error: unknown) => void): ServiceObserver {
  const lines = new ThrottledLog(log)
  return {
    called(method, reason, tookMs) {
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
  readonly socket: SocketConfig
  readonly register: (server: Server, context: ServiceContext) => Registered
}

function registrations(config: Config): Registration[] {
  const vmms = config.vmmSockets.map((socket): Registration => {
    const register = (server: Server, context: ServiceContext) =>
      registerVmmServices(server, context, socket.tenant)
    return { socket, register }
  })
  return [{ socket: config.adminSocket, register: registerAdminServices }, ...vmms]
}

/** @throws StartFailure; then every socket that was open is closed again */
export async function openServers(options: ServersOptions): Promise<Servers> {
  const { config, broker, tokenKey, log, onBug } = options
  const { limits } = config
  const observer = observerOf(log, onBug)
  const version = readVersion()
  const context = serviceContext({
    broker,
    chance: systemChance,
    limits,
    observer,
    version,
    tokenKey,
  })
  const listeners: Listener[] = []
  const served: Registered[] = []
  const close = async (graceMs: number) => {
    for (const listener of listeners) listener.stopAccepting()
    // Control streams have no end of their own.
    context.streams.drain()
    await Promise.all(listeners.map((listener) => listener.close(graceMs)))
  }
  try {
    for (const { socket, register } of registrations(config)) {
      const server = new Server(serverOptions(limits))
      served.push(register(server, ofSocket(context)))
      listeners.push(await Listener.open({ socket, server, limits, log }))
    }
  } catch (error) {
    await close(0)
    throw error
  }
  const setServing = (serving: boolean) => {
    for (const one of served) one.setServing(serving)
  }
  return { setServing, close }
}
