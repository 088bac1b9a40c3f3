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
import { durationOf } from './duration.js'
import { checkHealth, type ServingStatus } from './health.js'
import { pagesOf, type PageOptions } from './pages.js'

const METHODS = pasidBrokerDefinition

type RequestOf<Name extends keyof PasidBrokerDefinition> = Parameters<
  PasidBrokerDefinition[Name]['requestSerialize']
>[0]
/** A request without what the session fills in. */
type Own<Name extends keyof PasidBrokerDefinition> = Omit<RequestOf<Name>, 'session'>

export interface OpenOptions extends Omit<RequestOf<'OpenSession'>, 'linger'> {
  /** How long the session outlives its owner, for a successor; whole milliseconds. */
  readonly lingerMs?: number | undefined
}

export interface ResumeOptions {
  /** Delegates only: what the side socket gave for the new owner's pidfd. */
  readonly ownerToken?: string | undefined
}

/** What a successor must know: bindings answered with a later revision are to be made again. */
export interface Resumed {
  readonly incarnation: string
  readonly recoveredRevision: string
}

export class PasidClient {
  readonly #channel: Channel

  constructor(settings: ChannelSettings) {
    this.#channel = new Channel(settings)
  }

  /** `caller` in it is whom the daemon takes this process for. */
  getServerInfo() {
    return this.#channel.call(METHODS.GetServerInfo, {}, { repeatable: true })
  }

  health(): Promise<ServingStatus> {
    return checkHealth(this.#channel)
  }

  /** Durable when it resolves. Keep name and token to come back to it, also from a successor. */
  async openSession({ lingerMs, ...request }: OpenOptions = {}): Promise<PasidSession> {
    const linger = lingerMs === undefined ? null : durationOf(lingerMs)
    const keyed = { requestId: randomUUID(), ...request, linger }
    const repeatable = { repeatable: true }
    const { session, token } = await this.#channel.call(METHODS.OpenSession, keyed, repeatable)
    return this.session(session?.name ?? '', token)
  }

  /**
   * Takes over a session whose owner has ended; for the owner itself it changes nothing, so that it
   * may be called again after a lost connection, but not with an owner token: that works once.
   */
  async resumeSession(
    name: string,
    token: string,
    { ownerToken }: ResumeOptions = {},
  ): Promise<PasidSession> {
    const request = { name, ownerToken: ownerToken ?? '' }
    const settings = { token, repeatable: ownerToken === undefined }
    const resumed = await this.#channel.call(METHODS.ResumeSession, request, settings)
    return new PasidSession(this.#channel, name, token, resumed)
  }

  /** A session that is open already, and this process's. */
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
    /** Secret: with it, its owner proves itself, and a successor later. */
    readonly token: string,
    /** Only of `resumeSession`. */
    readonly resumed?: Resumed,
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

  /**
   * With `handOver` the device is the broker's to bind on; its token comes from the side socket
   * (docs/OWNERSHIP.md). Made again after a lost connection like any other: what the first attempt
   * has attached is answered, and its spent token not asked for.
   */
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
