/**
 * The VMM's client: opens sessions and calls for them. What changes something durable gets a
 * request id of its own, so that it can be made again after a lost connection and still happens
 * once.
 */

import { randomUUID } from 'node:crypto'
import type { Allocation__Output as Allocation } from '../wire/generated/pasid/v1/Allocation.js'
import type { InvalidationEntry } from '../wire/generated/pasid/v1/InvalidationEntry.js'
import type { PasidBrokerDefinition } from '../wire/generated/pasid/v1/PasidBroker.js'
import { pasidBrokerDefinition } from '../wire/load.js'
import { Channel, type CallSettings, type ChannelSettings, type Method } from './channel.js'
import { ControlSession, type ControlOptions } from './control.js'
import { checkHealth, type ServingStatus } from './health.js'
import { pagesOf, type PageOptions } from './pages.js'

const METHODS = pasidBrokerDefinition

type RequestOf<Name extends keyof PasidBrokerDefinition> = Parameters<
  PasidBrokerDefinition[Name]['requestSerialize']
>[0]
/** A request without what the session fills in. */
type Own<Name extends keyof PasidBrokerDefinition> = Omit<RequestOf<Name>, 'session'>

export class PasidClient {
  readonly #channel: Channel

  constructor(settings: ChannelSettings) {
    this.#channel = new Channel(settings)
  }

  getServerInfo() {
    return this.#channel.call(METHODS.GetServerInfo, {}, { repeatable: true })
  }

  health(): Promise<ServingStatus> {
    return checkHealth(this.#channel)
  }

  /** Durable when it resolves. Keep name and token to come back to it from another process. */
  async openSession(request: RequestOf<'OpenSession'> = {}): Promise<PasidSession> {
    const keyed = { requestId: randomUUID(), ...request }
    const repeatable = { repeatable: true }
    const { session, token } = await this.#channel.call(METHODS.OpenSession, keyed, repeatable)
    return this.session(session?.name ?? '', token)
  }

  /** A session that is open already. */
  session(name: string, token: string): PasidSession {
    return new PasidSession(this.#channel, name, token)
  }

  close(): void {
    this.#channel.close()
  }
}

export class PasidSession {
  constructor(
    private readonly channel: Channel,
    /** `sessions/{id}`. */
    readonly name: string,
    /** Secret: whoever has it is the session. */
    readonly token: string,
  ) {}

  get() {
    return this.#read(METHODS.GetSession, { name: this.name })
  }

  allocatePasids(request: Own<'AllocatePasids'>) {
    return this.#keyed(METHODS.AllocatePasids, request)
  }

  freePasids(request: Own<'FreePasids'>) {
    return this.#keyed(METHODS.FreePasids, request)
  }

  /** Page after page of what the session holds. */
  listPasids({ pageSize = 0 }: PageOptions = {}): AsyncGenerator<readonly Allocation[], void> {
    return pagesOf(async (pageToken) => {
      const request = { session: this.name, pageSize, pageToken }
      const response = await this.#read(METHODS.ListPasids, request)
      return { ...response, rows: response.allocations }
    })
  }

  /** One page, with the bindings of RIDs on the last. */
  listPage(pageToken = '', pageSize = 0) {
    return this.#read(METHODS.ListPasids, { session: this.name, pageSize, pageToken })
  }

  attachDevice(request: Own<'AttachDevice'>) {
    return this.#keyed(METHODS.AttachDevice, request)
  }

  detachDevice(request: Own<'DetachDevice'>) {
    return this.#keyed(METHODS.DetachDevice, request)
  }

  /** Not made again after a lost connection: a second bind would find the first in its place. */
  bindPasid(request: Own<'BindPasid'>) {
    return this.#call(METHODS.BindPasid, { ...request, session: this.name }, false)
  }

  /** Not made again after a lost connection: the second would find nothing bound. */
  unbindPasids(request: Own<'UnbindPasids'>) {
    return this.#call(METHODS.UnbindPasids, { ...request, session: this.name }, false)
  }

  /** Invalidating twice is as good as once. */
  invalidate(entries: InvalidationEntry[]) {
    return this.#call(METHODS.Invalidate, { session: this.name, entries }, true)
  }

  respondPageRequest(request: Own<'RespondPageRequest'>) {
    return this.#call(METHODS.RespondPageRequest, { ...request, session: this.name }, false)
  }

  /** Ends the session; everything it holds is given back. */
  closeSession() {
    return this.#call(METHODS.CloseSession, { name: this.name }, false)
  }

  /** The fast path: all of these on one stream, and events. */
  control(options: ControlOptions = {}): Promise<ControlSession> {
    return ControlSession.open(this.channel, this, options)
  }

  #read<Request, Response>(method: Method<Request, Response>, request: Request) {
    return this.#call(method, request, true)
  }

  #keyed<Request, Response>(
    method: Method<Request & { session?: string; requestId?: string }, Response>,
    request: Request,
  ): Promise<Response> {
    const keyed = { requestId: randomUUID(), ...request, session: this.name }
    return this.#call(method, keyed, true)
  }

  #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    repeatable: boolean,
  ): Promise<Response> {
    const settings: CallSettings = { token: this.token, repeatable }
    return this.channel.call(method, request, settings)
  }
}
