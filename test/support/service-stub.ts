/**
 * The service floor on a real server and socket, over a broker that the test plays: for what a real
 * one does not do on command, such as never answering, failing, or telling a thousand events.
 */
import net from 'node:net'
import path from 'node:path'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { SessionEvent, Subscriber } from '../../src/broker/answers.js'
import type { Broker } from '../../src/broker/broker.js'
import { accept, type Outcome } from '../../src/core/refusal.js'
import type { SessionView } from '../../src/core/view.js'
import { serviceContext, type Reason, type ServiceContext } from '../../src/service/context.js'
import { DEFAULT_SERVICE_LIMITS, type ServiceLimits } from '../../src/service/limits.js'
import { registerVmmServices } from '../../src/service/register.js'
import { serverOptions } from '../../src/service/server-options.js'
import { temporaryFolder } from './daemon.js'

const VIEW: SessionView = {
  id: 1 as SessionView['id'],
  name: 'vm',
  tenant: 'default',
  state: 'OPEN',
  held: 0,
  maxPasids: 1,
  devices: [],
  bindings: 0,
  lostBindings: 0,
  openedAt: 0,
  labels: { filler: 'x'.repeat(200) },
}

/** Plays the broker for one session, `sessions/vm`, whatever the token. */
export class StubBroker {
  readonly subscribers = new Set<Subscriber>()
  /** How often a session was asked for. */
  asked = 0
  getSession: () => Promise<Outcome<SessionView>> = () => Promise.resolve(accept(VIEW))

  asBroker(): Broker {
    const stub = {
      authenticate: () => accept(1),
      info: () => ({ incarnation: 'i', recoveredRevision: 0 }),
      tenantId: () => 0,
      getSession: () => {
        this.asked += 1
        return this.getSession()
      },
      subscribe: (subscriber: Subscriber) => {
        this.subscribers.add(subscriber)
        return { close: () => this.subscribers.delete(subscriber) }
      },
    }
    return stub as unknown as Broker
  }

  tell(event: SessionEvent): void {
    for (const subscriber of this.subscribers) subscriber.deliver(event)
  }
}

/** Answers that wait until they are let go. */
export class Gate {
  readonly #waiting: (() => void)[] = []

  pass(): Promise<Outcome<SessionView>> {
    return new Promise((resolve) => this.#waiting.push(() => resolve(accept(VIEW))))
  }

  get waiting(): number {
    return this.#waiting.length
  }

  open(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

export class StubService {
  readonly incidents: { id: string; error: unknown }[] = []
  readonly called: { method: string; reason: Reason }[] = []

  private constructor(
    readonly broker: StubBroker,
    readonly context: ServiceContext,
    readonly socket: string,
    readonly close: () => Promise<void>,
  ) {}

  static async start(limits: Partial<ServiceLimits> = {}): Promise<StubService> {
    const broker = new StubBroker()
    const incidents: StubService['incidents'] = []
    const called: StubService['called'] = []
    const all = { ...DEFAULT_SERVICE_LIMITS, ...limits }
    const context = serviceContext({
      broker: broker.asBroker(),
      chance: { bytes: (count) => new Uint8Array(count) },
      limits: all,
      observer: {
        called: (method, reason) => called.push({ method, reason }),
        incident: ({ id, error }) => incidents.push({ id, error }),
      },
      version: '0.0.0',
      tokenKey: new Uint8Array(32),
    })
    const server = new Server(serverOptions(all))
    registerVmmServices(server, context, 'default')
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
    const socket = path.join(temporaryFolder(), 's')
    const sockets = new Set<net.Socket>()
    const listener = net.createServer((connection) => {
      sockets.add(connection)
      connection.on('error', () => undefined)
      injector.injectConnection(connection)
    })
    await new Promise<void>((resolve) => listener.listen(socket, resolve))
    const close = async (): Promise<void> => {
      server.forceShutdown()
      for (const connection of sockets) connection.destroy()
      await new Promise((resolve) => listener.close(resolve))
    }
    return Object.assign(new StubService(broker, context, socket, close), { incidents, called })
  }
}
