/** What several verbs check first: the session, the scope, the request id. */

import type { ScopeName } from '../commands.js'
import { refused, waitFor, type Decided } from '../decided.js'
import type { Device } from '../device.js'
import type { RequestKept } from '../events.js'
import { HOST_NAMESPACE, namespaceOfDevice, type SessionId, type WallMs } from '../ids.js'
import type { Namespace } from '../namespace.js'
import { inherited, type Tenant } from '../quota.js'
import { accept, refuse, type Outcome } from '../refusal.js'
import type { RequestKey, RequestLog, RequestMethod, RequestRecord } from '../requests.js'
import type { Session } from '../session.js'
import type { State } from '../state.js'

type Stop = Exclude<Decided<never>, { kind: 'accepted' }>
export type Found<T> = { readonly found: T } | { readonly stop: Stop }

/** The session, durable and not closing. */
export function standingSession(state: State, id: SessionId): Found<Session> {
  const session = state.sessions.get(id)
  if (session === undefined) {
    return { stop: refused({ code: 'SESSION_NOT_FOUND', session: `#${id}` }) }
  }
  if (session.openedRevision > state.durable) return { stop: waitFor(session.openedRevision) }
  if (session.record.state === 'CLOSING') {
    return { stop: refused({ code: 'SESSION_CLOSING', session: session.record.name }) }
  }
  return { found: session }
}

/** The session, open and durable: it has an owner, who may command it. */
export function openSession(state: State, id: SessionId): Found<Session> {
  const session = standingSession(state, id)
  if (!('found' in session) || session.found.record.state === 'OPEN') return session
  return { stop: refused({ code: 'SESSION_LINGERING', session: session.found.record.name }) }
}

/** The numbering that a scope names, for a session that may use it. */
export function namespaceOf(state: State, session: Session, scope: ScopeName): Outcome<Namespace> {
  if (scope.kind === 'HOST') return accept(state.namespace(HOST_NAMESPACE))
  const device = state.deviceByName.get(scope.device)
  if (device === undefined || !session.attachments.has(device.id)) {
    return refuse({ code: 'DEVICE_NOT_ATTACHED', device: scope.device })
  }
  if (device.scope !== 'DEVICE') {
    const { name } = device
    return refuse({ code: 'SCOPE_NOT_ALLOWED', device: name, scope: 'DEVICE', allowed: 'HOST' })
  }
  return accept(state.namespace(device.namespace))
}

/** As namespaceOf(), and where the session still has numbers, which may outlive an attachment. */
export function namespaceToFree(
  state: State,
  session: Session,
  scope: ScopeName,
): Outcome<Namespace> {
  const device = scope.kind === 'DEVICE' ? state.deviceByName.get(scope.device) : undefined
  const own = device && state.namespaces.get(namespaceOfDevice(device.id))
  if (own?.holdsAny(session.record.id) === true) return accept(own)
  return namespaceOf(state, session, scope)
}

/** A device that the session has attached. */
export function attachedDevice(state: State, session: Session, name: string): Outcome<Device> {
  const device = state.deviceByName.get(name)
  if (device === undefined || session.attachments.get(device.id)?.state !== 'ATTACHED') {
    return refuse({ code: 'DEVICE_NOT_ATTACHED', device: name })
  }
  return accept(device)
}

/** Whether the session's tenant may attach the device; a device it may not looks like none. */
export function tenantMayUse(state: State, session: Session, name: string): boolean {
  const devices = inherited(state.tenantOf(session), (policy) => policy.devices)
  return devices === undefined || devices.has(name)
}

export type Replay =
  /** `keep` false: there is no room to remember it; the call is carried out all the same. */
  | { readonly kind: 'fresh'; readonly keep: boolean }
  | { readonly kind: 'again'; readonly answer: number; readonly revision: number }
  | { readonly kind: 'stop'; readonly stop: Stop }

const FRESH = { kind: 'fresh', keep: true } as const
const UNKEPT = { kind: 'fresh', keep: false } as const

/** Whether a request id was seen: then the first answer is given again. */
export function replay(
  state: State,
  owner: Tenant,
  log: RequestLog,
  method: RequestMethod,
  key: RequestKey | undefined,
): Replay {
  if (key === undefined) return FRESH
  const slot = log.find(method, key)
  if (slot === undefined) {
    const limit = state.requestIdShare()
    if (owner.requestIds < limit) return FRESH
    // Giving back never fails for want of room; both may be repeated without an id.
    if (method === 'FreePasids' || method === 'DetachDevice') return UNKEPT
    return { kind: 'stop', stop: refused({ code: 'REQUEST_IDS_EXHAUSTED', limit }) }
  }
  if (!log.sameArguments(slot, key)) {
    const refusal = { code: 'REQUEST_ID_REUSED', requestId: key.text, method } as const
    return { kind: 'stop', stop: refused(refusal) }
  }
  return { kind: 'again', ...log.answerOf(slot) }
}

/** The event that makes a request id remembered; none without an id. */
export function keepRequest(
  owner: Pick<RequestKept['record'], 'session' | 'tenant'>,
  method: RequestMethod,
  key: RequestKey | undefined,
  answered: { readonly answer: number; readonly revision: number; readonly at: WallMs },
): RequestKept[] {
  if (key === undefined) return []
  // Field by field: spread together from four objects, this one record would cost several µs.
  const record: RequestRecord = {
    session: owner.session,
    tenant: owner.tenant,
    method,
    idHigh: key.idHigh,
    idLow: key.idLow,
    fingerprintHigh: key.fingerprintHigh,
    fingerprintLow: key.fingerprintLow,
    at: answered.at,
    answer: answered.answer,
    revision: answered.revision,
  }
  return [{ kind: 'request-kept', record }]
}
