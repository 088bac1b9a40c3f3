/**
 * What can be seen of the state: plain records for people and programs, made on demand. Lists take
 * a position and a limit, so that no page costs more than its rows and what its filter skips.
 */

import type { Binding } from './binding.js'
import type { Device, DeviceFacts, Scope } from './device.js'
import { etagOf } from './etag.js'
import { HOST_NAMESPACE, RID, type DeviceId, type NamespaceId, type SessionId } from './ids.js'
import { SLOT, type Namespace } from './namespace.js'
import { headroomOf, inherited, windowOf, type Tenant } from './quota.js'
import type { Owner } from './owner.js'
import type { PasidRange } from './range.js'
import type { EndCause, Labels, Session, SessionState } from './session.js'
import type { State } from './state.js'

export type AllocationState = 'IDLE' | 'ACTIVE' | 'FREE_PENDING' | 'QUARANTINED'

export interface BindingView {
  readonly device: string
  readonly binding: Binding
}

export interface AllocationView {
  readonly pasid: number
  readonly namespace: NamespaceId
  readonly scope: Scope
  /** The device's name in DEVICE scope, else empty. */
  readonly device: string
  readonly state: AllocationState
  /** Empty when it rests and its session is closed. */
  readonly session: string
  readonly tenant: string
  readonly generation: number
  readonly grantedAt: number
  readonly labels: Labels
  readonly bindings: readonly BindingView[]
}

export interface SessionView {
  readonly id: SessionId
  readonly name: string
  readonly tenant: string
  readonly state: SessionState
  readonly held: number
  readonly maxPasids: number
  readonly devices: readonly string[]
  /** What the backend says of each that it knows. */
  readonly facts: readonly DeviceFacts[]
  readonly bindings: number
  readonly lostBindings: number
  readonly openedAt: number
  readonly owner: Owner | undefined
  readonly delegate: number | undefined
  readonly lingerMs: number
  readonly cause: EndCause | undefined
  readonly withheld: boolean
  readonly unproven: boolean
  readonly labels: Labels
}

export interface DeviceView {
  readonly name: string
  readonly scope: Scope
  readonly facts: DeviceFacts | undefined
  readonly sessions: readonly string[]
}

export interface TenantView {
  readonly name: string
  readonly parent: string | undefined
  readonly used: number
  readonly maxPasids: number | undefined
  readonly guaranteedPasids: number | undefined
  /** Numbers that its guarantee and those below it keep free now. */
  readonly aside: number
  readonly sessions: number
  readonly maxSessions: number | undefined
  /** What one session may hold, inherited values included; and its own value. */
  readonly sessionMaxPasids: number
  readonly ownSessionMaxPasids: number | undefined
  /** HOST-scope numbers it may be given, all windows above included; and its own. */
  readonly window: PasidRange | undefined
  readonly ownWindow: PasidRange | undefined
  readonly configured: boolean
  /** Whether an operator has changed a limit at run time. */
  readonly overridden: boolean
  readonly etag: string
}

export interface HeadroomView {
  readonly session: number
  readonly tenant: number | undefined
  readonly scope: number
}

/** Where a list of allocations goes on: after this number of this namespace. */
export interface AllocationPosition {
  readonly namespace: NamespaceId
  readonly pasid: number
}

export interface AllocationPage {
  readonly rows: readonly AllocationView[]
  /** Undefined: there are no more. */
  readonly next: AllocationPosition | undefined
}

/** What a list of allocations leaves out before a row is made of it. */
export interface AllocationFilter {
  readonly namespace?: NamespaceId | undefined
  readonly session?: SessionId | undefined
  readonly tenant?: string | undefined
  readonly states?: ReadonlySet<AllocationState> | undefined
  readonly range?: PasidRange | undefined
}

/** Numbers looked at for one page of a filtered list; then the page ends early with a position. */
export const LIST_SCAN_MAX = 262_144

export function listAllocations(
  state: State,
  after: AllocationPosition | undefined,
  limit: number,
  filter: AllocationFilter,
): AllocationPage {
  const rows: AllocationView[] = []
  let scanned = 0
  const ids = [...state.namespaces.keys()].sort((a, b) => a - b)
  for (const id of ids) {
    if (after !== undefined && id < after.namespace) continue
    if (filter.namespace !== undefined && id !== filter.namespace) continue
    const namespace = state.namespace(id)
    const last = filter.range?.last ?? namespace.size - 1
    let at = Math.max((filter.range?.first ?? 1) - 1, after?.namespace === id ? after.pasid : 0)
    for (;;) {
      const pasid = namespace.nextKnown(at)
      if (pasid === undefined || pasid > last) break
      if (rows.length === limit || scanned === LIST_SCAN_MAX) {
        return { rows, next: { namespace: id, pasid: at } }
      }
      at = pasid
      scanned += 1
      if (filter.session !== undefined && namespace.sessionOf(pasid) !== filter.session) continue
      const row = allocationView(state, namespace, pasid)
      if (matches(row, filter)) rows.push(row)
    }
  }
  return { rows, next: undefined }
}

function matches(row: AllocationView, filter: AllocationFilter): boolean {
  if (filter.tenant !== undefined && row.tenant !== filter.tenant) return false
  if (filter.states !== undefined && !filter.states.has(row.state)) return false
  // A session sees what it holds; what it gave back is no longer its own.
  return filter.session === undefined || row.state !== 'QUARANTINED'
}

/** Up to so many numbers it is cheaper to sort a session's own than to walk the namespace. */
const OWN_SORT_MAX = 8192

/** The numbers one session has not given back, in order: what it asks for most. */
export function listOwn(
  state: State,
  session: Session,
  after: AllocationPosition | undefined,
  limit: number,
): AllocationPage {
  const { id } = session.record
  if (session.held > OWN_SORT_MAX) return listAllocations(state, after, limit, { session: id })
  const rows: AllocationView[] = []
  for (const namespaceId of [...state.namespaces.keys()].sort((a, b) => a - b)) {
    if (after !== undefined && namespaceId < after.namespace) continue
    const namespace = state.namespace(namespaceId)
    const from = after?.namespace === namespaceId ? after.pasid : 0
    const own = [...namespace.heldBy(id)].filter((pasid) => pasid > from).sort((a, b) => a - b)
    for (const pasid of own) {
      if (rows.length === limit) {
        const last = rows[rows.length - 1]
        if (last !== undefined) return { rows, next: last }
      }
      rows.push(allocationView(state, namespace, pasid))
    }
  }
  return { rows, next: undefined }
}

/** The view of one number in whatever state but free. */
export function allocationView(state: State, namespace: Namespace, pasid: number): AllocationView {
  const { id } = namespace
  const holder = namespace.holderOf(pasid)
  const device = id === HOST_NAMESPACE ? '' : state.device((id - 1) as DeviceId).name
  const bindings = namespace.bindingsOf(pasid) === 0 ? [] : bindingsOfNumber(state, id, pasid)
  return {
    pasid,
    namespace: id,
    scope: id === HOST_NAMESPACE ? 'HOST' : 'DEVICE',
    device,
    state: allocationState(namespace, pasid),
    session: state.sessions.get(holder.session)?.record.name ?? '',
    tenant: state.tenant(holder.tenant).name,
    generation: holder.generation,
    grantedAt: holder.at,
    labels: state.labels.get(holder.generation)?.labels ?? {},
    bindings,
  }
}

function allocationState(namespace: Namespace, pasid: number): AllocationState {
  const slot = namespace.slotOf(pasid)
  if (slot === SLOT.QUARANTINED) return 'QUARANTINED'
  if (slot === SLOT.FREE_PENDING) return 'FREE_PENDING'
  return namespace.bindingsOf(pasid) === 0 ? 'IDLE' : 'ACTIVE'
}

function bindingsOfNumber(state: State, id: NamespaceId, pasid: number): BindingView[] {
  const found: BindingView[] = []
  const session = state.sessions.get(state.namespace(id).sessionOf(pasid))
  for (const deviceId of session?.attachments.keys() ?? []) {
    const device = state.device(deviceId)
    if (device.namespace !== id) continue
    const binding = state.bindings.get(deviceId * 2 ** 20 + pasid)
    if (binding !== undefined) found.push({ device: device.name, binding })
  }
  return found
}

export function ridBindings(state: State, session: Session): BindingView[] {
  const found: BindingView[] = []
  for (const id of session.attachments.keys()) {
    const binding = state.bindingAt(id, RID)
    if (binding?.session === session.record.id) {
      found.push({ device: state.device(id).name, binding })
    }
  }
  return found
}

export function bindingView(state: State, binding: Binding): BindingView {
  return { device: state.device(binding.device).name, binding }
}

export function sessionView(state: State, session: Session): SessionView {
  const { record } = session
  return {
    id: record.id,
    name: record.name,
    tenant: state.tenantOf(session).name,
    state: record.state,
    held: session.held,
    maxPasids: state.sessionLimit(session),
    devices: [...session.attachments.keys()].map((id) => state.device(id).name),
    facts: attachedFacts(state, session),
    bindings: session.bindings.size,
    lostBindings: session.lost,
    openedAt: record.openedAt,
    owner: record.owner,
    delegate: record.delegate,
    lingerMs: record.lingerMs,
    cause: record.cause,
    withheld: record.withheld,
    unproven: record.unproven,
    labels: record.labels,
  }
}

export function attachedFacts(state: State, session: Session): readonly DeviceFacts[] {
  const known: DeviceFacts[] = []
  for (const id of session.attachments.keys()) {
    const { facts } = state.device(id)
    if (facts !== undefined) known.push(facts)
  }
  return known
}

export function deviceView(state: State, device: Device): DeviceView {
  const sessions: string[] = []
  for (const id of device.attachedBy) sessions.push(state.session(id).record.name)
  return { name: device.name, scope: device.scope, facts: device.facts, sessions }
}

export function tenantView(state: State, tenant: Tenant): TenantView {
  const { policy } = tenant
  const most = inherited(tenant, (above) => above.sessionMaxPasids)
  return {
    name: tenant.name,
    parent: tenant.parent?.name,
    used: tenant.used,
    maxPasids: policy === undefined ? 0 : policy.maxPasids,
    guaranteedPasids: policy?.guaranteedPasids,
    aside: tenant.aside,
    sessions: tenant.sessions,
    maxSessions: policy === undefined ? 0 : policy.maxSessions,
    sessionMaxPasids: most ?? state.policy.sessionMaxPasids,
    ownSessionMaxPasids: policy?.sessionMaxPasids,
    window: windowOf(tenant, { first: 1, last: state.host.size - 1 }),
    ownWindow: policy?.window,
    configured: policy !== undefined,
    overridden: tenant.override !== undefined,
    etag: etagOf(tenant),
  }
}

export function headroom(state: State, session: Session, namespace: Namespace): HeadroomView {
  const host = {
    limit: state.policy.hostMaxPasids,
    used: state.hostUsed,
    aside: state.hostAside.aside,
    free: state.host.freeCount,
  }
  const tenant = headroomOf(state.tenantOf(session), namespace.id === HOST_NAMESPACE, host)
  return {
    session: Math.max(0, state.sessionLimit(session) - session.held),
    tenant,
    scope: namespace.freeCount,
  }
}
