/**
 * The broker: one method a verb. Joins the machine (core/), the ledger and the backend: decide,
 * make durable, carry out, record, answer. Refusals are values; faults are handled here; bugs are
 * thrown and stop the daemon.
 */

import type {
  AllocatePasids,
  AttachDevice,
  BindPasid,
  CloseSession,
  DetachDevice,
  FreePasids,
  Invalidate,
  OpenSession,
  ScopeName,
  UnbindPasids,
} from '../core/commands.js'
import type { SessionId, TenantId } from '../core/ids.js'
import { accept, refuse, type Outcome } from '../core/refusal.js'
import type { State } from '../core/state.js'
import type { AllocationPosition } from '../core/view.js'
import type {
  BrokerInfo,
  ListRequest,
  NamedPageRequest,
  SessionsRequest,
  Subscriber,
  Subscription,
} from './answers.js'
import { check } from './check.js'
import { CommitQueue } from './commit-queue.js'
import { no, type Context } from './context.js'
import { Hub } from './hub.js'
import { Lanes } from './lanes.js'
import * as reads from './reads.js'
import { loadState, recover, type StartOptions } from './recovery.js'
import { Teardown } from './teardown.js'
import { bind, unbind } from './verbs/bindings.js'
import { invalidate } from './verbs/invalidate.js'
import { allocate, free } from './verbs/numbers.js'
import { attachDevice, closeSession, detachDevice, openSession } from './verbs/sessions.js'

type StartFacts = Pick<BrokerInfo, 'incarnation' | 'recoveredRevision' | 'startedAt'>

export class Broker {
  readonly #context: Context
  readonly #teardown: Teardown
  readonly #facts: StartFacts

  private constructor(context: Context, teardown: Teardown, facts: StartFacts) {
    this.#context = context
    this.#teardown = teardown
    this.#facts = facts
  }

  /** Loads, recovers and answers with a broker that may serve. */
  static async start(options: StartOptions): Promise<Broker> {
    const { ledger, backend, ports } = options
    const state = await loadState(options)
    const queue = new CommitQueue(state, ledger, ports)
    const context = { state, queue, backend, lanes: new Lanes(), hub: new Hub(), ports }
    const teardown = new Teardown(context)
    const facts = {
      incarnation: Buffer.from(ports.chance.bytes(16)).toString('hex'),
      recoveredRevision: state.revision,
      startedAt: ports.clock.wall(),
    }
    await recover(context, teardown)
    return new Broker(context, teardown, facts)
  }

  /** For tests and for `Check`-like tools in the same process; nobody else changes it. */
  get state(): State {
    return this.#context.state
  }

  /**
   * Whether a token belongs to a session; compared without telling where it differs. Another
   * tenant's session looks like one that does not exist.
   */
  authenticate(caller: {
    readonly tenant: string
    readonly name: string
    readonly tokenHash: string
  }): Outcome<SessionId> {
    const { tenant, name, tokenHash } = caller
    const session = this.state.sessionByName.get(name)
    if (session === undefined || session.record.tenant !== this.tenantId(tenant)) {
      return no(this.#context, { code: 'SESSION_NOT_FOUND', session: name })
    }
    const { tokenHash: expected, id } = session.record
    let difference = expected.length ^ tokenHash.length
    for (let i = 0; i < expected.length; i += 1) {
      difference |= expected.charCodeAt(i) ^ tokenHash.charCodeAt(i)
    }
    if (difference === 0) return accept(id)
    return no(this.#context, { code: 'SESSION_TOKEN_WRONG', session: name })
  }

  /** The number of a configured tenant. */
  tenantId(name: string): TenantId | undefined {
    return this.state.tenantByName.get(name)?.id
  }

  info(): BrokerInfo {
    const { queue, backend, state } = this.#context
    return {
      ...this.#facts,
      ledgerId: queue.ledger.facts.id,
      durableRevision: queue.durable,
      backend: backend.kind,
      holdMs: state.policy.holdMs,
      writable: queue.writable,
    }
  }

  /** Teardown that a fault has left over and that is tried again. */
  get unfinishedTeardowns(): number {
    return this.#teardown.unfinished
  }

  subscribe(subscriber: Subscriber): Subscription {
    return this.#context.hub.subscribe(subscriber)
  }

  openSession(command: OpenSession) {
    return openSession(this.#context, command)
  }

  closeSession(command: CloseSession) {
    return closeSession(this.#context, this.#teardown, command, 'closed by its owner')
  }

  attachDevice(command: AttachDevice) {
    return attachDevice(this.#context, command)
  }

  detachDevice(command: DetachDevice) {
    return detachDevice(this.#context, this.#teardown, command)
  }

  allocate(command: AllocatePasids) {
    return allocate(this.#context, command)
  }

  free(command: FreePasids) {
    return free(this.#context, this.#teardown, command)
  }

  bind(command: BindPasid) {
    return bind(this.#context, this.#teardown, command)
  }

  unbind(command: UnbindPasids) {
    return unbind(this.#context, this.#teardown, command)
  }

  invalidate(command: Invalidate) {
    return invalidate(this.#context, this.#teardown, command)
  }

  /** No backend brings page requests to their sessions yet. */
  respondPageRequest(_request: {
    readonly session: SessionId
    readonly token: Uint8Array
    readonly code: 'SUCCESS' | 'INVALID' | 'FAILURE'
  }): Promise<Outcome<undefined>> {
    const remedy = 'GetServerInfo says what is; no page request has been brought to any session'
    return Promise.resolve(
      refuse({ code: 'FEATURE_NOT_AVAILABLE', feature: 'page-requests', remedy }),
    )
  }

  getSession(id: SessionId) {
    return reads.getSession(this.#context, id)
  }

  getSessionByName(name: string) {
    return reads.getSessionByName(this.#context, name)
  }

  listOwn(request: {
    readonly session: SessionId
    readonly after: AllocationPosition | undefined
    readonly limit: number
  }) {
    return reads.listOwnPasids(this.#context, request)
  }

  listAllocations(request: ListRequest) {
    return reads.listAll(this.#context, request)
  }

  getAllocation(request: { readonly scope: ScopeName; readonly pasid: number }) {
    return reads.getAllocation(this.#context, request)
  }

  listSessions(request: SessionsRequest) {
    return reads.listSessions(this.#context, request)
  }

  listTenants(request: NamedPageRequest) {
    return reads.listTenants(this.#context, request)
  }

  listDevices(request: NamedPageRequest) {
    return reads.listDevices(this.#context, request)
  }

  reservations() {
    return reads.reservations(this.#context)
  }

  namespace(scope: ScopeName) {
    return reads.namespaceView(this.#context, scope)
  }

  check() {
    return check(this.#context)
  }

  /** Waits until what was decided is on disk (or cannot be), then ends all activity. */
  async stop(): Promise<void> {
    await this.#context.queue.flush()
    this.#teardown.stop()
    this.#context.queue.stop()
  }
}
