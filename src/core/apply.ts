/**
 * `apply` changes the state by an event that was decided, and cannot fail; `revert` undoes exactly
 * that, newest first. They stand side by side, case by case, so that a pair is read together.
 */

import { assert, broken } from './assert.js'
import { BINDING_TRANSITIONS, bindingKey, type Binding } from './binding.js'
import type {
  AttachmentChanged,
  BindingChanged,
  DeviceRegistered,
  Event,
  FreeBegun,
  Granted,
  Released,
  RequestKept,
  SessionChanged,
  TenantRegistered,
} from './events.js'
import { HOST_NAMESPACE, RID, type NamespaceId } from './ids.js'
import { chargeSession, setAside } from './quota.js'
import { countOf } from './range.js'
import { RequestLog } from './requests.js'
import type { Session, SessionRecord } from './session.js'
import type { State } from './state.js'

export function apply(state: State, event: Event, revision: number): void {
  switch (event.kind) {
    case 'tenant-registered':
      return applyTenant(state, event)
    case 'tenant-changed':
      return state.limitTenant(event.id, event.after)
    case 'device-registered':
      return applyDevice(state, event)
    case 'session-changed':
      return applySession(state, event.before, event.after, revision)
    case 'attachment-changed':
      return applyAttachment(state, event, revision)
    case 'granted':
      return applyGranted(state, event)
    case 'free-begun':
      return applyFreeBegun(state, event)
    case 'released':
      return applyReleased(state, event, revision)
    case 'binding-changed':
      return applyBinding(state, event.before, event.after)
    case 'request-kept':
      return applyRequest(state, event)
    case 'audited':
      return undefined
  }
}

/** A binding as the ledger kept it, whatever its state: no transition leads here. */
export function restoreBinding(state: State, binding: Binding): void {
  setBinding(state, undefined, binding)
}

export function revert(state: State, event: Event): void {
  switch (event.kind) {
    case 'tenant-registered':
      return revertTenant(state, event)
    case 'tenant-changed':
      return state.limitTenant(event.id, event.before)
    case 'device-registered':
      return revertDevice(state, event)
    case 'session-changed':
      return revertSession(state, event)
    case 'attachment-changed':
      return revertAttachment(state, event)
    case 'granted':
      return revertGranted(state, event)
    case 'free-begun':
      return revertFreeBegun(state, event)
    case 'released':
      return revertReleased(state, event)
    case 'binding-changed':
      return revertBinding(state, event)
    case 'request-kept':
      return revertRequest(state, event)
    case 'audited':
      return undefined
  }
}

// -- tenants and devices -------------------------------------------------------------------------

function applyTenant(state: State, event: TenantRegistered): void {
  const tenant = state.newTenant(event.id, event.name)
  const above = tenant.policy?.parent
  tenant.parent = above === undefined ? undefined : state.tenantByName.get(above)
  setAside(tenant, state.hostAside)
}

function revertTenant(state: State, event: TenantRegistered): void {
  const tenant = state.tenant(event.id)
  tenant.policy = undefined
  setAside(tenant, state.hostAside)
  state.tenants.delete(event.id)
  state.tenantByName.delete(event.name)
}

function applyDevice(state: State, event: DeviceRegistered): void {
  const { id, name } = event
  const attachedBy = new Set<never>()
  const device = { id, name, facts: undefined, attachedBy } as const
  const registered = { ...device, scope: 'HOST' as const, namespace: HOST_NAMESPACE }
  state.devices.set(id, registered)
  state.deviceByName.set(name, registered)
}

function revertDevice(state: State, event: DeviceRegistered): void {
  state.devices.delete(event.id)
  state.deviceByName.delete(event.name)
}

// -- sessions and attachments --------------------------------------------------------------------

function applySession(
  state: State,
  before: SessionRecord | undefined,
  after: SessionRecord | undefined,
  revision: number,
): void {
  if (after === undefined) {
    assert(before !== undefined, 'a session to close')
    const session = state.session(before.id)
    assert(session.held === 0 && session.bindings.size === 0, 'a closed session holds nothing')
    assert(session.attachments.size === 0, 'a closed session has no device')
    state.closed.push({ session, revision })
    forgetSession(state, session)
    return
  }
  if (before !== undefined) {
    state.session(before.id).record = after
    return
  }
  state.nextSession = Math.max(state.nextSession, after.id + 1)
  rememberSession(state, {
    record: after,
    openedRevision: revision,
    held: 0,
    attachments: new Map(),
    domains: new Map(),
    bindings: new Set(),
    lost: 0,
    guestPasids: new Map(),
    requests: new RequestLog(),
  })
}

function rememberSession(state: State, session: Session): void {
  state.sessions.set(session.record.id, session)
  state.sessionByName.set(session.record.name, session)
  countRequests(state, session.record.tenant, session.requests.count)
  chargeSession(state.tenantOf(session), 1)
}

function forgetSession(state: State, session: Session): void {
  state.sessions.delete(session.record.id)
  state.sessionByName.delete(session.record.name)
  countRequests(state, session.record.tenant, -session.requests.count)
  chargeSession(state.tenantOf(session), -1)
}

function revertSession(state: State, event: SessionChanged): void {
  const { before, after } = event
  if (before !== undefined && after !== undefined) {
    state.session(before.id).record = before
    return
  }
  if (after !== undefined) {
    const session = state.session(after.id)
    assert(session.held === 0, 'an unopened session holds nothing')
    return forgetSession(state, session)
  }
  const newest = state.closed.pop()
  assert(newest?.session.record.id === before?.id, 'sessions come back newest first')
  if (newest !== undefined) rememberSession(state, newest.session)
}

function applyAttachment(state: State, event: AttachmentChanged, revision: number): void {
  const { attachments } = state.session(event.session)
  const device = state.device(event.device)
  if (event.after === undefined) {
    attachments.delete(event.device)
    device.attachedBy.delete(event.session)
  } else {
    const began = attachments.get(event.device)?.revision ?? revision
    attachments.set(event.device, { state: event.after, revision: began })
    device.attachedBy.add(event.session)
  }
}

function revertAttachment(state: State, event: AttachmentChanged): void {
  const { session, device } = event
  const undone = { kind: event.kind, session, device, before: event.after, after: event.before }
  applyAttachment(state, undone, 0)
}

// -- numbers -------------------------------------------------------------------------------------

function applyGranted(state: State, event: Granted): void {
  const namespace = state.namespace(event.namespace)
  const count = countOf(event.runs)
  for (const run of event.runs) namespace.grant(run, event)
  namespace.cursor = event.cursorAfter
  state.session(event.session).held += count
  state.charge(event.tenant, count, event.namespace)
  if (event.labels !== undefined) {
    state.labels.set(event.generation, { labels: event.labels, numbers: count })
  }
}

function revertGranted(state: State, event: Granted): void {
  const namespace = state.namespace(event.namespace)
  const count = countOf(event.runs)
  for (const run of event.runs) namespace.ungrant(run)
  namespace.cursor = event.cursorBefore
  state.session(event.session).held -= count
  state.charge(event.tenant, -count, event.namespace)
  if (event.labels !== undefined) state.labels.delete(event.generation)
}

function applyFreeBegun(state: State, event: FreeBegun): void {
  const namespace = state.namespace(event.namespace)
  for (const run of event.runs) namespace.beginFree(run)
}

function revertFreeBegun(state: State, event: FreeBegun): void {
  const namespace = state.namespace(event.namespace)
  for (const run of event.runs) namespace.unbeginFree(run)
}

function applyReleased(state: State, event: Released, revision: number): void {
  const namespace = state.namespace(event.namespace)
  for (const run of event.runs) namespace.release(run, event.from)
  state.session(event.session).held -= countOf(event.runs)
  const { tenant, runs, until } = event
  state.quarantine.push({ namespace: event.namespace, tenant, runs, until, revision })
}

function revertReleased(state: State, event: Released): void {
  const namespace = state.namespace(event.namespace)
  state.quarantine.pop()
  for (const run of event.runs) namespace.unrelease(run, event.from)
  state.session(event.session).held += countOf(event.runs)
}

// -- bindings ------------------------------------------------------------------------------------

function applyBinding(state: State, before: Binding | undefined, after: Binding | undefined): void {
  const from = before?.state ?? 'GONE'
  const to = after?.state ?? 'GONE'
  if (!BINDING_TRANSITIONS[from].includes(to)) broken(`binding ${from} -> ${to}`)
  setBinding(state, before, after)
}

function revertBinding(state: State, event: BindingChanged): void {
  setBinding(state, event.after, event.before)
}

function setBinding(state: State, from: Binding | undefined, to: Binding | undefined): void {
  if (from?.state === 'LOST') state.session(from.session).lost -= 1
  if (to?.state === 'LOST') state.session(to.session).lost += 1
  if (from !== undefined && to !== undefined && sameIndexes(from, to)) {
    const key = bindingKey(to.device, to.target)
    if (!state.bindings.has(key)) broken(`a binding at ${key}`)
    state.bindings.set(key, to)
    return
  }
  if (from !== undefined) removeBinding(state, from)
  if (to !== undefined) addBinding(state, to)
}

/** Most changes of a binding are of its state alone: what leads to it stays as it is. */
function sameIndexes(a: Binding, b: Binding): boolean {
  if (a.device !== b.device || a.target !== b.target) return false
  return a.session === b.session && a.domain === b.domain && a.guestPasid === b.guestPasid
}

function addBinding(state: State, binding: Binding): void {
  const key = bindingKey(binding.device, binding.target)
  const session = state.session(binding.session)
  if (state.bindings.has(key)) broken(`nothing else is bound at ${key}`)
  state.bindings.set(key, binding)
  session.bindings.add(key)
  let members = session.domains.get(binding.domain)
  if (members === undefined) {
    members = new Set()
    session.domains.set(binding.domain, members)
  }
  members.add(key)
  if (binding.guestPasid !== undefined) {
    session.guestPasids.set(bindingKey(binding.device, binding.guestPasid), key)
  }
  if (binding.target !== RID) namespaceAt(state, binding).bind(binding.target)
}

function removeBinding(state: State, binding: Binding): void {
  const key = bindingKey(binding.device, binding.target)
  const session = state.session(binding.session)
  if (!state.bindings.delete(key)) broken(`a binding at ${key}`)
  session.bindings.delete(key)
  const members = session.domains.get(binding.domain)
  members?.delete(key)
  if (members?.size === 0) session.domains.delete(binding.domain)
  if (binding.guestPasid !== undefined) {
    session.guestPasids.delete(bindingKey(binding.device, binding.guestPasid))
  }
  if (binding.target !== RID) namespaceAt(state, binding).unbind(binding.target)
}

function namespaceAt(state: State, binding: Binding) {
  const id: NamespaceId = state.device(binding.device).namespace
  return state.namespace(id)
}

// -- request ids ---------------------------------------------------------------------------------

function requestsOf(state: State, event: RequestKept): RequestLog {
  const { session, tenant } = event.record
  return session === undefined ? state.tenant(tenant).requests : state.session(session).requests
}

function applyRequest(state: State, event: RequestKept): void {
  const log = requestsOf(state, event)
  log.push(event.record)
  // Forgetting is time passing, not part of the event: it is not undone.
  const forgotten = log.forgetOld(event.record.at, state.durable)
  countRequests(state, event.record.tenant, 1 - forgotten)
}

function revertRequest(state: State, event: RequestKept): void {
  requestsOf(state, event).pop(event.record)
  countRequests(state, event.record.tenant, -1)
}

function countRequests(state: State, tenant: RequestKept['record']['tenant'], count: number): void {
  state.requestIds += count
  state.tenant(tenant).requestIds += count
}
