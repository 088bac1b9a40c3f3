/**
 * The broker: one method a verb. Joins the machine (core/), the ledger and the backend: decide,
 * make durable, carry out, record, answer. Refusals are values; faults are handled here; bugs are
 * thrown and stop the daemon.
 */

import type { PageRequestAnswer } from '../backend/backend.js'
import type { Lab } from '../backend/lab.js'
import type { Actor } from '../core/audit.js'
import type {
  AllocatePasids,
  AttachDevice,
  BindPasid,
  DetachDevice,
  FreePasids,
  Invalidate,
  InvalidateRaw,
  OpenSession,
  ScopeName,
  UnbindPasids,
} from '../core/commands.js'
import type { SessionId, TenantId } from '../core/ids.js'
import { accept, type Outcome, type Refusal, type RefusalCode } from '../core/refusal.js'
import type { RequestKey } from '../core/requests.js'
import type { State } from '../core/state.js'
import type { AllocationPosition, TenantView } from '../core/view.js'
import { LedgerFault } from '../ledger/ledger.js'
import type {
  AuditQuery,
  AuditRow,
  BrokerInfo,
  EndedSession,
  FreedPasids,
  ListRequest,
  NamedPageRequest,
  OpenedSession,
  ReclaimView,
  ReleasedAllocation,
  SessionsRequest,
  Subscriber,
  Subscription,
  WatchCursor,
} from './answers.js'
import { mayCommand, sessionOfToken } from './authority.js'
import type { Caller, TokenBearer } from './caller.js'
import { check } from './check.js'
import { no, unavailable, type Context } from './context.js'
import type { Departures } from './departures.js'
import { auditLab, useLab } from './laboratory.js'
import * as reads from './reads.js'
import type { PageResponse } from './page-requests.js'
import { startParts, type Parts, type StartFacts } from './parts.js'
import type { Reaper } from './reaper.js'
import { reclaimView } from './reclaim-view.js'
import type { StartOptions } from './recovery.js'
import type { Teardown } from './teardown.js'
import type { Unasked } from './unasked.js'
import { bind, unbind } from './verbs/bindings.js'
import { attachDevice, detachDevice, type TakeHandOver } from './verbs/devices.js'
import * as guestMemory from './verbs/guest-memory.js'
import { invalidate } from './verbs/invalidate.js'
import { addDevice, type NewDevice } from './verbs/new-device.js'
import { allocate, free } from './verbs/numbers.js'
import * as operator from './verbs/operator.js'
import { resume, type Resumption } from './verbs/resume.js'
import { closeSession, openSession } from './verbs/sessions.js'

const WANTS_ROOM: readonly RefusalCode[] = [
  'QUOTA_EXCEEDED',
  'NAMESPACE_EXHAUSTED',
  'SESSIONS_EXHAUSTED',
]

export class Broker {
  readonly #context: Context
  readonly #departures: Departures
  readonly #teardown: Teardown
  readonly #reaper: Reaper
  readonly #unasked: Unasked
  readonly #facts: StartFacts
  readonly #addingDevices = new Set<string>()

  private constructor({ context, facts, departures, teardown, reaper, unasked }: Parts) {
    this.#context = context
    this.#departures = departures
    this.#teardown = teardown
    this.#reaper = reaper
    this.#unasked = unasked
    this.#facts = facts
  }

  /** Loads, recovers and answers with a broker that may serve. */
  static async start(options: StartOptions): Promise<Broker> {
    return new Broker(await startParts(options))
  }

  /** For tests and for `Check`-like tools in the same process; nobody else changes it. */
  get state(): State {
    return this.#context.state
  }

  /** The session that the caller may command, if it has the token. */
  authenticate(bearer: TokenBearer): Outcome<SessionId> {
    const found = sessionOfToken(this.#context, bearer)
    if (!found.ok) return no(this.#context, found.refusal)
    const stop = mayCommand(this.#context, this.#reaper, bearer.caller, found.value)
    return stop === undefined ? accept(found.value.record.id) : no(this.#context, stop)
  }

  /** As authenticate() for a caller that has shown the token before: on a stream, each command. */
  recheck(caller: Caller, id: SessionId): Refusal | undefined {
    const session = this.state.sessions.get(id)
    if (session === undefined) return { code: 'SESSION_NOT_FOUND', session: `#${id}` }
    return mayCommand(this.#context, this.#reaper, caller, session)
  }

  /** The number of a configured tenant. */
  tenantId(name: string): TenantId | undefined {
    return this.state.tenantByName.get(name)?.id
  }

  /** Also of a session that is gone, while a change that speaks of it is kept for watchers. */
  sessionName(id: SessionId): string | undefined {
    return this.state.sessions.get(id)?.record.name ?? this.#context.feed.nameOfGone(id)
  }

  sessionId(name: string): SessionId | undefined {
    return this.state.sessionByName.get(name)?.record.id
  }

  /** Whether an OpenSession of the tenant with this request id was answered before. */
  seenOpenSession(tenant: TenantId, request: RequestKey): boolean {
    return this.state.tenant(tenant).requests.find('OpenSession', request) !== undefined
  }

  info(): BrokerInfo {
    const { queue, backend, state } = this.#context
    return {
      ...this.#facts,
      ledgerId: queue.ledger.facts.id,
      durableRevision: queue.durable,
      backend: backend.kind,
      holdMs: state.policy.holdMs,
      lingerMsMax: state.policy.lingerMsMax,
      writable: queue.writable,
    }
  }

  /** Teardown that a fault has left over and that is tried again. */
  get unfinishedTeardowns(): number {
    return this.#teardown.unfinished
  }

  subscribe(subscriber: Subscriber): Subscription {
    return this.#unasked.subscribe(subscriber)
  }

  openSession(command: OpenSession, actor: Actor): Promise<Outcome<OpenedSession>> {
    return this.#withRoom(() => openSession(this.#context, command, actor))
  }

  /** The bearer becomes the owner, or the process that a delegate names. */
  resumeSession(request: Resumption): Promise<Outcome<OpenedSession>> {
    return resume(this.#context, this.#reaper, request)
  }

  /** What is refused for want of room is decided again when dead owners have made some. */
  async #withRoom<T>(
    attempt: () => Promise<Outcome<T>>,
    isStillAsked = () => true,
  ): Promise<Outcome<T>> {
    const first = await attempt()
    if (first.ok || !WANTS_ROOM.includes(first.refusal.code)) return first
    const { refusal } = first
    if (refusal.code === 'QUOTA_EXCEEDED' && refusal.level === 'SESSION') return first
    const isTenants = refusal.code === 'QUOTA_EXCEEDED' && refusal.level === 'TENANT'
    const room = await this.#reaper.makeRoom(isTenants ? refusal.subject : undefined)
    // Whoever asked may have ended meanwhile, and a successor must not be given what it asked for.
    return room && isStillAsked() ? attempt() : first
  }

  async closeSession(session: SessionId, actor: Actor): Promise<Outcome<FreedPasids>> {
    const verb = 'close-session' as const
    const unproven = this.#departures.wantProof
    const command = { verb, session, cause: 'CLOSED', withhold: false, unproven } as const
    const audit = { action: 'CLOSE_SESSION', actor, cause: '' } as const
    const closed = await closeSession(this.#context, this.#teardown, command, audit)
    if (closed.ok) this.#reaper.release(session)
    return closed
  }

  async endSession(request: operator.EndSession): Promise<Outcome<EndedSession>> {
    const ended = await operator.endSession(this.#context, this.#teardown, request)
    if (ended.ok && !request.validateOnly) this.#reaper.release(ended.value.session.id)
    return ended
  }

  releaseAllocation(request: operator.Release): Promise<Outcome<ReleasedAllocation>> {
    return operator.releaseAllocation(this.#context, this.#teardown, request)
  }

  updateTenant(request: operator.Update): Promise<Outcome<TenantView>> {
    return operator.updateTenant(this.#context, request)
  }

  resumeReclaim(request: { readonly reason: string; readonly actor: Actor }) {
    return operator.resumeReclaim(this.#context, this.#teardown, this.#reaper, request)
  }

  reclaim(): Promise<Outcome<ReclaimView>> {
    return reclaimView(this.#context, this.#teardown, this.#reaper)
  }

  async listAudit(query: AuditQuery): Promise<Outcome<readonly AuditRow[]>> {
    try {
      return accept(await this.#context.queue.ledger.readAudit(query))
    } catch (fault) {
      if (!(fault instanceof LedgerFault)) throw fault
      return no(this.#context, unavailable())
    }
  }

  watch(from: number | undefined, wake: () => void): Outcome<WatchCursor> {
    const cursor = this.#context.feed.watch(from, wake)
    return cursor.ok ? cursor : no(this.#context, cursor.refusal)
  }

  /** For the laboratory of the backend, where it has one. `device` empty: none in particular. */
  lab<T>(device: string, use: (lab: Lab) => T): Outcome<T> {
    return useLab(this.#context, device, use)
  }

  auditLab(audit: Parameters<typeof auditLab>[1]): void {
    auditLab(this.#context, audit)
  }

  /** Durable when it is answered; the device is there until the daemon ends. */
  addDevice(device: NewDevice) {
    return addDevice(this.#context, this.#addingDevices, device)
  }

  /** `handOver`: what the VMM hands over; called at most once, when nothing else speaks against. */
  attachDevice(command: AttachDevice, handOver?: TakeHandOver) {
    return attachDevice(this.#context, this.#departures, command, handOver)
  }

  detachDevice(command: DetachDevice) {
    return detachDevice(this.#context, this.#teardown, command)
  }

  allocate(command: AllocatePasids) {
    const owner = this.state.sessions.get(command.session)?.record.owner
    return this.#withRoom(
      () => allocate(this.#context, command),
      () => this.state.sessions.get(command.session)?.record.owner === owner,
    )
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

  invalidateRaw(command: InvalidateRaw) {
    return invalidate(this.#context, this.#teardown, command)
  }

  mapGuestMemory(command: guestMemory.MapGuestMemory) {
    return guestMemory.mapGuestMemory(this.#context, command)
  }

  unmapGuestMemory(command: guestMemory.UnmapGuestMemory) {
    return guestMemory.unmapGuestMemory(this.#context, command)
  }

  respondPageRequest(response: PageResponse): Promise<Outcome<undefined>> {
    return this.#unasked.pageRequests.respond(response)
  }

  /** As respondPageRequest() for who knows the group's index (a page-group-response descriptor). */
  respondToGroup(session: SessionId, answer: PageRequestAnswer): Promise<Outcome<undefined>> {
    return this.#unasked.pageRequests.respondToGroup(session, answer)
  }

  /** Answers INVALID what of the session waits (a wait descriptor's page-request drain). */
  drainPageRequests(session: SessionId): Promise<void> {
    return this.#unasked.pageRequests.drain(session)
  }

  get waitingPageRequests(): number {
    return this.#unasked.pageRequests.waiting
  }

  rawView(id: SessionId) {
    return reads.rawView(this.#context, id)
  }

  getSession(id: SessionId) {
    return reads.getSession(this.#context, id)
  }

  getSessionByName(name: string) {
    return reads.getSessionByName(this.#context, this.#teardown.stuck(), name)
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
    return reads.listSessions(this.#context, this.#teardown.stuck(), request)
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
    this.#reaper.stop()
    this.#departures.stop()
    this.#teardown.stop()
    this.#unasked.stop()
    this.#context.queue.stop()
  }
}
