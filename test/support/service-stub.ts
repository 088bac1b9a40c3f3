/**
 * The service floor on a real server and socket, over a broker that the test plays: for what a real
 * one does not do on command, such as never answering, failing, or telling a thousand events.
 */
import net from 'node:net'
import path from 'node:path'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { SessionDetail, SessionEvent, Subscriber } from '../../src/broker/answers.js'
import type { Broker } from '../../src/broker/broker.js'
import type { Caller } from '../../src/broker/caller.js'
import type { Clock } from '../../src/broker/ports.js'
import { accept, type Outcome, type Refusal } from '../../src/core/refusal.js'
import { systemClock } from '../../src/daemon/ports.js'
import { serviceContext, type Reason, type ServiceContext } from '../../src/service/context.js'
import type { GuestFiles } from '../../src/service/guest-files.js'
import { DEFAULT_SERVICE_LIMITS, type ServiceLimits } from '../../src/service/limits.js'
import type { HandOverTokens } from '../../src/service/hand-over-tokens.js'
import type { OwnerTokens } from '../../src/service/owner-tokens.js'
import { peerInterceptor, type Peer } from '../../src/service/peer.js'
import {
  registerAdminServices,
  registerVmmServices,
  type Registered,
} from '../../src/service/register.js'
import { serverOptions } from '../../src/service/server-options.js'
import { temporaryFolder } from './daemon.js'
import { TestCaller } from './service-callers.js'

export const VIEW: SessionDetail = {
  id: 1 as SessionDetail['id'],
  name: 'vm',
  tenant: 'default',
  state: 'OPEN',
  held: 0,
  maxPasids: 1,
  devices: [],
  facts: [],
  bindings: 0,
  lostBindings: 0,
  openedAt: 0,
  owner: undefined,
  delegate: undefined,
  lingerMs: 0,
  cause: undefined,
  withheld: false,
  unproven: false,
  headroom: { session: 1, tenant: undefined, scope: 1 },
  stuck: undefined,
  labels: { filler: 'x'.repeat(200) },
}

/** Plays the broker for one session, `sessions/vm`, whatever the token. */
export class StubBroker {
  readonly subscribers = new Set<Subscriber>()
  /** How often a session was asked for. */
  asked = 0
  /** What a command on a stream is refused with. */
  stop: Refusal | undefined
  /** Methods that a test adds or replaces. */
  more: object = {}
  getSession: () => Promise<Outcome<SessionDetail>> = () => Promise.resolve(accept(VIEW))

  asBroker(): Broker {
    const stub = {
      authenticate: () => accept(1),
      recheck: () => this.stop,
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
    // Looked up at each use, so that a test may replace one at any time.
    const get = (target: object, key: string | symbol): unknown => {
      return Reflect.get(Reflect.has(this.more, key) ? this.more : target, key)
    }
    return new Proxy(stub, { get }) as unknown as Broker
  }

  tell(event: SessionEvent): void {
    for (const subscriber of this.subscribers) subscriber.deliver(event)
  }
}

/** Answers that wait until they are let go. */
export class Gate {
  readonly #waiting: (() => void)[] = []

  pass(): Promise<Outcome<SessionDetail>> {
    return new Promise((resolve) => this.#waiting.push(() => resolve(accept(VIEW))))
  }

  get waiting(): number {
    return this.#waiting.length
  }

  open(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

const NO_GUEST_FILES: GuestFiles = {
  take: () => undefined,
  openPath: () => ({ problem: 'there are no files', remedy: 'none' }),
  zeros: () => {
    throw new Error('there are no files')
  },
}

const NO_TOKENS = { take: () => undefined }

export interface StubOptions {
  readonly limits?: Partial<ServiceLimits>
  readonly clock?: Clock
  readonly ownerTokens?: OwnerTokens
  readonly handOverTokens?: HandOverTokens
}

export class StubService {
  readonly incidents: { id: string; error: unknown }[] = []
  readonly called: { method: string; reason: Reason }[] = []
  /** Who the next connections are. */
  identity: Outcome<Caller> = accept(new TestCaller())
  readonly context: ServiceContext
  readonly #closers: (() => Promise<void>)[] = []
  #sockets: readonly string[] = []

  private constructor(
    readonly broker: StubBroker,
    { limits, clock = systemClock, ...tokens }: StubOptions,
  ) {
    this.context = serviceContext({
      broker: broker.asBroker(),
      chance: { bytes: (count) => new Uint8Array(count) },
      clock,
      ownerTokens: tokens.ownerTokens ?? NO_TOKENS,
      guestFiles: NO_GUEST_FILES,
      handOverTokens: tokens.handOverTokens ?? NO_TOKENS,
      limits: { ...DEFAULT_SERVICE_LIMITS, ...limits },
      observer: {
        called: (method, reason) => this.called.push({ method, reason }),
        incident: ({ id, error }) => this.incidents.push({ id, error }),
      },
      version: '0.0.0',
      tokenKey: new Uint8Array(32),
    })
  }

  static async start(options: StubOptions = {}): Promise<StubService> {
    const service = new StubService(new StubBroker(), options)
    const folder = temporaryFolder()
    const served = [registerVmmServices, registerAdminServices].map((register, i) => {
      return service.#listen(path.join(folder, String(i)), register)
    })
    service.#sockets = await Promise.all(served)
    return service
  }

  get socket(): string {
    return this.#sockets[0] ?? ''
  }

  get adminSocket(): string {
    return this.#sockets[1] ?? ''
  }

  async #listen(
    socket: string,
    register: (server: Server, context: ServiceContext) => Registered,
  ): Promise<string> {
    const peers = new Map<string, Peer>()
    const interceptors = [peerInterceptor((connection) => peers.get(connection))]
    const server = new Server({ ...serverOptions(this.context.limits), interceptors })
    register(server, this.context)
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
    const sockets = new Set<net.Socket>()
    const listener = net.createServer((connection) => {
      const key = `unix:connection=${peers.size}`
      peers.set(key, { identity: this.identity })
      Object.defineProperty(connection, 'remoteAddress', { value: key })
      sockets.add(connection)
      connection.on('error', () => undefined)
      injector.injectConnection(connection)
    })
    await new Promise<void>((resolve) => listener.listen(socket, resolve))
    this.#closers.push(async () => {
      server.forceShutdown()
      for (const connection of sockets) connection.destroy()
      await new Promise((resolve) => listener.close(resolve))
    })
    return socket
  }

  async close(): Promise<void> {
    await Promise.all(this.#closers.map((close) => close()))
  }
}
