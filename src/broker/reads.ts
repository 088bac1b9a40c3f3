/**
 * What can be asked without changing anything. A read is decided on the working state at some
 * revision, and answered when that revision is durable; if its commit failed, it is decided again.
 */

import { HOST_NAMESPACE, type SessionId } from '../core/ids.js'
import type { ScopeName } from '../core/commands.js'
import { guestKey } from '../core/decide/invalidate-raw.js'
import { SLOT, type Namespace } from '../core/namespace.js'
import { contains } from '../core/range.js'
import { accept, type Outcome, type Refusal, refuse } from '../core/refusal.js'
import type { Session } from '../core/session.js'
import type { Reservation } from '../core/state.js'
import {
  allocationView,
  attachedFacts,
  deviceView,
  headroom,
  listAllocations,
  listOwn,
  ridBindings,
  sessionView,
  tenantView,
  type AllocationPosition,
  type AllocationView,
  type TenantView,
} from '../core/view.js'
import type {
  ListedDevice,
  ListRequest,
  NamedPageRequest,
  NamespaceView,
  OwnPage,
  Page,
  RawView,
  SessionDetail,
  SessionsRequest,
  StuckView,
} from './answers.js'
import { no, tick, type Context } from './context.js'

/** Decides `look` and waits until what it saw is on disk; at once while the ledger is down. */
async function durably<T>(
  context: Context,
  look: (revision: number) => Outcome<T>,
): Promise<Outcome<T>> {
  for (;;) {
    tick(context)
    const { revision } = context.state
    const seen = look(revision)
    if (!seen.ok) context.ports.telemetry.refused(seen.refusal.code)
    if (await context.queue.settled(revision)) return seen
    if (!context.queue.writable) return seen
  }
}

export type StuckSessions = ReadonlyMap<SessionId, StuckView>

/** `stuck`: for operators. */
export function sessionDetail(
  context: Context,
  session: Session,
  stuck: StuckSessions | undefined,
): SessionDetail {
  const { state } = context
  const view = sessionView(state, session)
  return {
    ...view,
    headroom: headroom(state, session, state.host),
    stuck: stuck?.get(session.record.id),
  }
}

export function getSession(context: Context, id: SessionId): Promise<Outcome<SessionDetail>> {
  return durably(context, () => {
    const session = context.state.sessions.get(id)
    if (session !== undefined) return accept(sessionDetail(context, session, undefined))
    return refuse({ code: 'SESSION_NOT_FOUND', session: `#${id}` })
  })
}

export function getSessionByName(
  context: Context,
  stuck: StuckSessions,
  name: string,
): Promise<Outcome<SessionDetail>> {
  return durably(context, () => {
    const session = context.state.sessionByName.get(name)
    if (session !== undefined) return accept(sessionDetail(context, session, stuck))
    return refuse({ code: 'SESSION_NOT_FOUND', session: name })
  })
}

export function listOwnPasids(
  context: Context,
  request: {
    readonly session: SessionId
    readonly after: AllocationPosition | undefined
    readonly limit: number
  },
): Promise<Outcome<OwnPage>> {
  return durably(context, (revision) => {
    const session = context.state.sessions.get(request.session)
    if (session === undefined) {
      return refuse({ code: 'SESSION_NOT_FOUND', session: `#${request.session}` })
    }
    const page = listOwn(context.state, session, request.after, request.limit)
    const rids = page.next === undefined ? ridBindings(context.state, session) : []
    const left = headroom(context.state, session, context.state.host)
    return accept({ ...page, ridBindings: rids, headroom: left, revision })
  })
}

export function listAll(
  context: Context,
  request: ListRequest,
): Promise<Outcome<Page<AllocationView, AllocationPosition>>> {
  return durably(context, (revision) => {
    const { after, limit, filter } = request
    return accept({ ...listAllocations(context.state, after, limit, filter), revision })
  })
}

export function getAllocation(
  context: Context,
  request: { readonly scope: ScopeName; readonly pasid: number },
): Promise<Outcome<AllocationView>> {
  return durably(context, () => {
    const namespace = namespaceFor(context, request.scope)
    if (!namespace.ok) return namespace
    const { pasid } = request
    const known = pasid < namespace.value.size && namespace.value.slotOf(pasid) !== SLOT.FREE
    if (known) return accept(allocationView(context.state, namespace.value, pasid))
    return refuse(numberNotFound(context, namespace.value, pasid))
  })
}

function numberNotFound(context: Context, namespace: Namespace, pasid: number): Refusal {
  const scope = context.state.scopeName(namespace.id)
  return { code: 'PASID_NOT_FOUND', pasid, scope }
}

export function listSessions(
  context: Context,
  stuck: StuckSessions,
  request: SessionsRequest,
): Promise<Outcome<Page<SessionDetail, number>>> {
  return durably(context, (revision) => {
    const rows: SessionDetail[] = []
    // Ids are given in the order of opening, and the map keeps that order.
    for (const session of context.state.sessions.values()) {
      const { id, state } = session.record
      if (request.after !== undefined && id <= request.after) continue
      if (request.state !== undefined && state !== request.state) continue
      if (request.tenant !== undefined) {
        if (context.state.tenantOf(session).name !== request.tenant) continue
      }
      if (request.device !== undefined) {
        const device = context.state.deviceByName.get(request.device)
        if (device === undefined || !session.attachments.has(device.id)) continue
      }
      if (rows.length === request.limit) {
        return accept({ rows, next: rows[rows.length - 1]?.id, revision })
      }
      rows.push(sessionDetail(context, session, stuck))
    }
    return accept({ rows, next: undefined, revision })
  })
}

export function listTenants(
  context: Context,
  request: NamedPageRequest,
): Promise<Outcome<Page<TenantView, string>>> {
  return durably(context, (revision) => {
    const views = namedPage([...context.state.tenantByName.values()], request)
    const rows = views.rows.map((tenant) => tenantView(context.state, tenant))
    return accept({ rows, next: views.next, revision })
  })
}

export function listDevices(
  context: Context,
  request: NamedPageRequest,
): Promise<Outcome<Page<ListedDevice, string>>> {
  const { state, backend } = context
  return durably(context, (revision) => {
    const views = namedPage([...state.deviceByName.values()], request)
    const rows = views.rows.map((device) => {
      const owners = [...device.attachedBy]
      const handedOver = owners.some((id) => backend.handOvers?.holds(device.name, id) === true)
      return { ...deviceView(state, device), handedOver }
    })
    return accept({ rows, next: views.next, revision })
  })
}

function namedPage<Row extends { readonly name: string }>(
  all: Row[],
  request: NamedPageRequest,
): { readonly rows: Row[]; readonly next: string | undefined } {
  const { after, limit } = request
  const rest = all.filter(({ name }) => after === undefined || name > after)
  rest.sort((a, b) => (a.name < b.name ? -1 : 1))
  const rows = rest.slice(0, limit)
  return { rows, next: rest.length > limit ? rows[rows.length - 1]?.name : undefined }
}

export function reservations(
  context: Context,
): Promise<Outcome<{ readonly rows: readonly Reservation[]; readonly revision: number }>> {
  return durably(context, (revision) => {
    const rows = [...context.state.policy.reservations].sort((a, b) => a.first - b.first)
    return accept({ rows, revision })
  })
}

export const OCCUPANCY_PARTS = 256

export function namespaceView(context: Context, scope: ScopeName): Promise<Outcome<NamespaceView>> {
  return durably(context, (revision) => {
    const found = namespaceFor(context, scope)
    if (!found.ok) return found
    const namespace = found.value
    const { held, pending, quarantined } = namespace.counts
    const order = namespace.largestFreeOrder()
    const part = Math.max(1, namespace.size / OCCUPANCY_PARTS)
    const occupancy: number[] = []
    for (let first = 0; first < namespace.size; first += part) {
      const free = namespace.countFree({ first, last: first + part - 1 })
      // 0 is no number of ours: the first part is one smaller.
      occupancy.push(part - free - (contains({ first, last: first + part - 1 }, 0) ? 1 : 0))
    }
    return accept({
      scope: scope.kind,
      device: scope.kind === 'DEVICE' ? scope.device : '',
      capacity: namespace.size - 1,
      reserved: namespace.reservedCount,
      free: namespace.freeCount,
      held,
      freePending: pending,
      quarantined,
      largestFreeBlock: order === undefined ? 0 : 2 ** order,
      cursor: namespace.cursor,
      occupancy,
      hostUsed: context.state.hostUsed,
      hostMax: context.state.policy.hostMaxPasids,
      revision,
    })
  })
}

/** What the bytes of an InvalidateRaw are read by. As of now: it waits for no disk. */
export function rawView({ state }: Context, id: SessionId): RawView {
  const session = state.sessions.get(id)
  return {
    facts: session === undefined ? [] : attachedFacts(state, session),
    targetOf(name, guestPasid) {
      const device = state.deviceByName.get(name)
      if (session === undefined || device === undefined) return undefined
      const key = guestKey(session, device.id, guestPasid)
      const binding = key === undefined ? undefined : state.bindings.get(key)
      return binding?.session === id ? binding.target : undefined
    },
  }
}

/** The numbering that an operator names. */
export function namespaceFor(context: Context, scope: ScopeName): Outcome<Namespace> {
  if (scope.kind === 'HOST') return accept(context.state.namespace(HOST_NAMESPACE))
  const device = context.state.deviceByName.get(scope.device)
  if (device === undefined) return no(context, { code: 'DEVICE_NOT_FOUND', device: scope.device })
  if (device.scope === 'DEVICE') return accept(context.state.namespace(device.namespace))
  const { name } = device
  return refuse({ code: 'SCOPE_NOT_ALLOWED', device: name, scope: 'DEVICE', allowed: 'HOST' })
}
