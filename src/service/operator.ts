/**
 * The gRPC service Operator, on the admin socket: what can be seen of everything. What operators do
 * is in operator-acts.ts, Watch in watch.ts.
 */

import type { ListRequest, Page, SessionDetail } from '../broker/answers.js'
import { HOST_NAMESPACE, type NamespaceId } from '../core/ids.js'
import { accept, type Outcome } from '../core/refusal.js'
import type { AllocationPosition, AllocationView } from '../core/view.js'
import type { StrictOperator } from '../wire/services.js'
import type { OperatorRequest, OperatorResponse } from '../wire/messages.js'
import type { ServiceContext } from './context.js'
import { auditAsked, auditProto } from './convert/audit.js'
import { allocationProto } from './convert/allocation.js'
import { deviceProtoForOperator } from './convert/device.js'
import { Fields } from './convert/fields.js'
import { allocationsAsked, sessionsAsked, type AllocationsAsked } from './convert/list-filter.js'
import { checkProto, namespaceProto, reservationProto } from './convert/overview.js'
import {
  allocationPosition,
  allocationPositionText,
  pageOf,
  rowsThatFit,
  type PageAsked,
} from './convert/paging.js'
import { reclaimProto } from './convert/reclaim.js'
import {
  allocationSize,
  auditSize,
  deviceSize,
  sessionSize,
  tenantSize,
} from './convert/row-size.js'
import { scopeOf } from './convert/scope.js'
import { sessionProtoForOperator } from './convert/session.js'
import { tenantProto } from './convert/tenant.js'
import { PAGE_BYTES_SHARE } from './limits.js'
import { operatorActs } from './operator-acts.js'
import { mayRead } from './operator-role.js'
import { mapped, unary } from './unary.js'
import { watchHandler } from './watch.js'

type Answer<T> = Outcome<T> | Promise<Outcome<T>>

export function operatorHandlers(context: ServiceContext): StrictOperator {
  const operator = new Operator(context)
  const call = <Request, Response>(
    method: string,
    handle: (message: Request) => Answer<Response>,
  ) =>
    unary<Request, Response>(context, `Operator/${method}`, (message, { caller }) => {
      const reader = mayRead(caller)
      return reader.ok ? handle(message) : reader
    })
  return {
    ListAllocations: call('ListAllocations', (message) => operator.listAllocations(message)),
    GetAllocation: call('GetAllocation', (message) => operator.getAllocation(message)),
    ListSessions: call('ListSessions', (message) => operator.listSessions(message)),
    GetSession: call('GetSession', (message) => operator.getSession(message.name)),
    ListTenants: call('ListTenants', (message) => operator.listTenants(message)),
    ListReservations: call('ListReservations', (message) => operator.listReservations(message)),
    ListDevices: call('ListDevices', (message) => operator.listDevices(message)),
    GetNamespace: call('GetNamespace', (message) => operator.getNamespace(message)),
    GetReclaim: call('GetReclaim', () => operator.getReclaim()),
    ListAuditEvents: call('ListAuditEvents', (message) => operator.listAuditEvents(message)),
    Watch: watchHandler(context),
    ...operatorActs(context),
    Check: call('Check', () => {
      const checkedAt = Date.now()
      return mapped(context.broker.check(), (report) => checkProto(report, checkedAt))
    }),
  }
}

class Operator {
  readonly #context: ServiceContext
  readonly #pageBytes: number

  constructor(context: ServiceContext) {
    this.#context = context
    this.#pageBytes = context.limits.messageBytes * PAGE_BYTES_SHARE
  }

  async listAllocations(
    message: OperatorRequest<'ListAllocations'>,
  ): Promise<Outcome<OperatorResponse<'ListAllocations'>>> {
    const { broker, pageTokens } = this.#context
    const asked = allocationsAsked(message.filter)
    if (!asked.ok) return asked
    const list = { method: 'ListAllocations', fields: [message.filter] }
    const page = pageOf(message, list, pageTokens)
    if (!page.ok) return page
    const filter = await this.#filterOf(asked.value)
    const after = allocationPosition(page.value.after)
    const listed =
      filter === undefined
        ? accept(this.#empty<AllocationView, AllocationPosition>())
        : await broker.listAllocations({ after, limit: page.value.limit, filter })
    if (!listed.ok) return listed
    const { rows, next, revision } = listed.value
    const fit = rowsThatFit(rows, this.#pageBytes, allocationSize)
    const position = allocationPositionText(fit.length < rows.length ? fit.at(-1) : next)
    const nextPageToken = pageTokens.make(list, position)
    return accept({ allocations: fit.map(allocationProto), nextPageToken, revision })
  }

  /** Undefined when no row can match: a name that nothing has. */
  async #filterOf(asked: AllocationsAsked): Promise<ListRequest['filter'] | undefined> {
    if (asked.nothing) return undefined
    const { scope, session, tenant, state, range } = asked
    const namespace = scope === undefined ? undefined : this.#namespaceId(scope)
    if (scope !== undefined && namespace === undefined) return undefined
    const states = state === undefined ? undefined : new Set([state])
    const filter = { namespace, tenant, states, range }
    if (session === undefined) return filter
    const found = await this.#context.broker.getSessionByName(session)
    return found.ok ? { ...filter, session: found.value.id } : undefined
  }

  #namespaceId(scope: 'HOST' | { readonly device: string }): NamespaceId | undefined {
    if (scope === 'HOST') return HOST_NAMESPACE
    const device = this.#context.broker.state.deviceByName.get(scope.device)
    return device?.scope === 'DEVICE' ? device.namespace : undefined
  }

  #empty<Row, Position>(): Page<Row, Position> {
    return { rows: [], next: undefined, revision: this.#context.broker.info().durableRevision }
  }

  getAllocation(message: OperatorRequest<'GetAllocation'>) {
    const fields = new Fields()
    const scope = scopeOf(fields, message.scope, message.device)
    const asked = fields.answer({ scope, pasid: fields.pasid('pasid', message.pasid) })
    if (!asked.ok) return asked
    return mapped(this.#context.broker.getAllocation(asked.value), allocationProto)
  }

  async listSessions(
    message: OperatorRequest<'ListSessions'>,
  ): Promise<Outcome<OperatorResponse<'ListSessions'>>> {
    const { broker, pageTokens } = this.#context
    const asked = sessionsAsked(message.filter)
    if (!asked.ok) return asked
    const list = { method: 'ListSessions', fields: [message.filter] }
    const page = pageOf(message, list, pageTokens)
    if (!page.ok) return page
    const after = page.value.after === undefined ? undefined : Number(page.value.after)
    const { nothing, ...filter } = asked.value
    const listed = nothing
      ? accept(this.#empty<SessionDetail, number>())
      : await broker.listSessions({ after, limit: page.value.limit, ...filter })
    if (!listed.ok) return listed
    const { rows, next, revision } = listed.value
    const fit = rowsThatFit(rows, this.#pageBytes, sessionSize)
    const position = fit.length < rows.length ? fit.at(-1)?.id : next
    const nextPageToken = pageTokens.make(list, position?.toString())
    return accept({ sessions: fit.map(sessionProtoForOperator), nextPageToken, revision })
  }

  getSession(value: string) {
    const fields = new Fields()
    const name = fields.answer(fields.name('name', value, 'sessions'))
    if (!name.ok) return name
    return mapped(this.#context.broker.getSessionByName(name.value), sessionProtoForOperator)
  }

  async listTenants(message: PageAsked): Promise<Outcome<OperatorResponse<'ListTenants'>>> {
    const { broker, pageTokens } = this.#context
    const list = { method: 'ListTenants', fields: [] }
    const page = pageOf(message, list, pageTokens)
    if (!page.ok) return page
    const listed = await broker.listTenants(page.value)
    if (!listed.ok) return listed
    const { rows, next, revision } = listed.value
    const fit = rowsThatFit(rows, this.#pageBytes, tenantSize)
    const nextPageToken = pageTokens.make(list, fit.length < rows.length ? fit.at(-1)?.name : next)
    return accept({ tenants: fit.map(tenantProto), nextPageToken, revision })
  }

  async listReservations(
    message: PageAsked,
  ): Promise<Outcome<OperatorResponse<'ListReservations'>>> {
    const { broker, pageTokens } = this.#context
    const list = { method: 'ListReservations', fields: [] }
    const page = pageOf(message, list, pageTokens)
    if (!page.ok) return page
    const listed = await broker.reservations()
    if (!listed.ok) return listed
    const after = Number(page.value.after ?? 0)
    const rest = listed.value.rows.filter(({ first }) => first > after)
    const rows = rest.slice(0, page.value.limit)
    const next = rest.length > rows.length ? rows.at(-1)?.first.toString() : undefined
    const nextPageToken = pageTokens.make(list, next)
    const { revision } = listed.value
    return accept({ reservations: rows.map(reservationProto), nextPageToken, revision })
  }

  async listDevices(message: PageAsked): Promise<Outcome<OperatorResponse<'ListDevices'>>> {
    const { broker, pageTokens } = this.#context
    const list = { method: 'ListDevices', fields: [] }
    const page = pageOf(message, list, pageTokens)
    if (!page.ok) return page
    const listed = await broker.listDevices(page.value)
    if (!listed.ok) return listed
    const { rows, next, revision } = listed.value
    const fit = rowsThatFit(rows, this.#pageBytes, deviceSize)
    const nextPageToken = pageTokens.make(list, fit.length < rows.length ? fit.at(-1)?.name : next)
    return accept({ devices: fit.map(deviceProtoForOperator), nextPageToken, revision })
  }

  getNamespace(message: OperatorRequest<'GetNamespace'>) {
    const fields = new Fields()
    const scope = fields.answer(scopeOf(fields, message.scope, message.device))
    if (!scope.ok) return scope
    return mapped(this.#context.broker.namespace(scope.value), namespaceProto)
  }

  getReclaim() {
    return mapped(this.#context.broker.reclaim(), (view) => reclaimProto(view, this.#pageBytes))
  }

  async listAuditEvents(
    message: OperatorRequest<'ListAuditEvents'>,
  ): Promise<Outcome<OperatorResponse<'ListAuditEvents'>>> {
    const { broker, pageTokens } = this.#context
    const asked = auditAsked(message.filter)
    if (!asked.ok) return asked
    const list = { method: 'ListAuditEvents', fields: [message.filter] }
    const page = pageOf(message, list, pageTokens)
    if (!page.ok) return page
    const { nothing, ...query } = asked.value
    const { after, limit } = page.value
    // Newest first, so what comes after a position is older.
    const before = after === undefined ? undefined : Number(after)
    const listed = nothing ? accept([]) : await broker.listAudit({ ...query, before, limit })
    if (!listed.ok) return listed
    const rows = listed.value
    const fit = rowsThatFit(rows, this.#pageBytes, auditSize)
    const more = fit.length < rows.length || rows.length === limit
    const position = more ? fit.at(-1)?.revision.toString() : undefined
    return accept({
      auditEvents: fit.map(auditProto),
      nextPageToken: pageTokens.make(list, position),
    })
  }
}
