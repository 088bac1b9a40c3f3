/** OpenSession and CloseSession. Closing ends everything a session has, in teardown order. */

import type { CloseSession, Now, OpenSession } from '../commands.js'
import { accepted, refused, repeated, type Decided } from '../decided.js'
import type { Binding } from '../binding.js'
import type { Event } from '../events.js'
import { type DeviceId, PASID_LAST, sessionId, type InstantMs, type SessionId } from '../ids.js'
import { SLOT } from '../namespace.js'
import { sameProcess } from '../owner.js'
import type { Tenant } from '../quota.js'
import { runsOf } from '../range.js'
import type { Session, SessionRecord } from '../session.js'
import type { State } from '../state.js'
import { keepRequest, replay, standingSession } from './preconditions.js'
import { release, restUntil, unbinding, type Freeing } from './free.js'

export interface Opened {
  readonly session: SessionId
}

export function openSession(state: State, command: OpenSession, now: Now): Decided<Opened> {
  const tenant = state.tenant(command.tenant)
  const seen = replay(state, tenant, tenant.requests, 'OpenSession', command.request)
  if (seen.kind === 'stop') return seen.stop
  if (seen.kind === 'again') {
    const opened = state.sessions.get(sessionId(seen.answer))
    if (opened === undefined) return refused({ code: 'SESSION_NOT_FOUND', session: command.name })
    if (!mayRepeat(opened.record, command)) {
      const { pid } = command.owner ?? { pid: 0 }
      return refused({ code: 'NOT_OWNER', session: opened.record.name, pid })
    }
    return repeated(seen.revision, { session: opened.record.id })
  }
  if (command.delegate !== undefined && command.owner === undefined) {
    const remedy = 'send the pidfd on the side socket again, and use its token once, within 30 s'
    return refused({ code: 'OWNER_TOKEN_INVALID', remedy })
  }
  const limit = sessionsLeft(state, tenant)
  if (limit !== undefined) return refused({ code: 'SESSIONS_EXHAUSTED', limit })
  const record: SessionRecord = {
    id: sessionId(state.nextSession),
    name: command.name,
    tenant: tenant.id,
    tokenHash: command.tokenHash,
    maxPasids: command.maxPasids ?? PASID_LAST,
    labels: command.labels,
    openedAt: now.wall,
    owner: command.owner,
    delegate: command.delegate,
    lingerMs: Math.min(command.lingerMs, state.policy.lingerMsMax),
    state: 'OPEN',
    cause: undefined,
    withheld: false,
    unproven: false,
  }
  const owner = { session: undefined, tenant: tenant.id }
  const answered = { answer: record.id, revision: state.revision + 1, at: now.wall }
  const kept = keepRequest(owner, 'OpenSession', command.request, answered)
  const opened: Event = { kind: 'session-changed', before: undefined, after: record }
  return accepted([opened, ...kept], { session: record.id })
}

/** The answer holds the token: only whoever opened the session is given it again. */
function mayRepeat(opened: SessionRecord, { owner, delegate }: OpenSession): boolean {
  if (delegate !== undefined) return opened.delegate === delegate
  if (opened.owner === undefined || owner === undefined) return opened.owner === owner
  return opened.delegate === undefined && sameProcess(opened.owner, owner)
}

/** The limit that says no, or undefined when there is room. */
function sessionsLeft(state: State, tenant: Tenant): number | undefined {
  if (state.sessions.size >= state.policy.maxSessions) return state.policy.maxSessions
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    const limit = at.policy === undefined ? 0 : at.policy.maxSessions
    if (limit !== undefined && at.sessions >= limit) return limit
  }
  return undefined
}

export interface Closing extends Freeing {
  readonly devices: readonly DeviceId[]
  /**
   * False: only the door is shut. Something of the session is still on its way to the disk;
   * `resumeClosing` takes up the rest when this change has been settled.
   */
  readonly complete: boolean
}

/** From here on the session takes no commands, whatever it has under way. */
export function closeSession(state: State, command: CloseSession, now: Now): Decided<Closing> {
  const session = standingSession(state, command.session)
  if ('stop' in session) return session.stop
  const before = session.found.record
  const { cause, withhold: withheld } = command
  // Of one that holds nothing there is nothing to prove.
  const unproven = command.unproven && session.found.held > 0
  const closing: SessionRecord = { ...before, state: 'CLOSING', cause, withheld, unproven }
  const events: Event[] = [{ kind: 'session-changed', before, after: closing }]
  if (!settled(state, session.found)) {
    return accepted(events, { freed: 0, teardown: [], pending: [], devices: [], complete: false })
  }
  return accepted(events, endEverything(state, session.found, closing, now.instant, events))
}

/** Whether all that the session holds is durable, so that taking it back can outlive a failure. */
function settled(state: State, session: Session): boolean {
  for (const namespace of state.namespaces.values()) {
    for (const pasid of namespace.heldBy(session.record.id)) {
      if (namespace.holderOf(pasid).generation > state.durable) return false
    }
  }
  for (const attachment of session.attachments.values()) {
    if (attachment.revision > state.durable) return false
  }
  return true
}

/** For a session found closing: begins what is not begun, says all that is still to be done. */
export function resumeClosing(state: State, session: Session, now: InstantMs): Decided<Closing> {
  const events: Event[] = []
  return accepted(events, endEverything(state, session, session.record, now, events))
}

function endEverything(
  state: State,
  session: Session,
  /** As it is from this change on. */
  { id, withheld, unproven }: SessionRecord,
  now: InstantMs,
  events: Event[],
): Closing {
  const teardown: Binding[] = []
  const pending: Freeing['pending'][number][] = []
  let freed = 0
  for (const namespace of state.namespaces.values()) {
    const held: number[] = []
    const waiting: number[] = []
    for (const pasid of namespace.heldBy(id)) {
      ;(namespace.slotOf(pasid) === SLOT.HELD ? held : waiting).push(pasid)
    }
    // Freed before, by a teardown that may be in a pause: the session's end does not wait for it.
    const runs = runsOf(waiting.sort((a, b) => a - b))
    if (runs.length > 0) pending.push({ namespace: namespace.id, runs })
    if (held.length === 0) continue
    held.sort((a, b) => a - b)
    const until = withheld || unproven ? undefined : restUntil(state, now)
    const freeing = release(state, session, namespace, held, until, events)
    freed += freeing.freed
    pending.push(...freeing.pending)
  }
  const begun = new Set(
    events.flatMap((event) => (event.kind === 'binding-changed' ? [event.before] : [])),
  )
  for (const key of session.bindings) {
    const binding = state.bindings.get(key)
    if (binding === undefined) continue
    teardown.push(binding)
    if (binding.state !== 'UNBINDING' && !begun.has(binding)) events.push(unbinding(binding))
  }
  for (const [device, attachment] of session.attachments) {
    const change = { session: id, device, before: attachment.state, after: 'DETACHING' } as const
    if (attachment.state !== 'DETACHING') events.push({ kind: 'attachment-changed', ...change })
  }
  const devices = [...session.attachments.keys()]
  return { freed, teardown, pending, devices, complete: true }
}

/** Nothing of the session is attached any more, or is taken to be: its numbers may rest. */
export function proveClosed(state: State, id: SessionId): Event[] {
  const before = state.sessions.get(id)?.record
  if (before?.unproven !== true) return []
  return [{ kind: 'session-changed', before, after: { ...before, unproven: false } }]
}

/** A session that goes on may have numbers attached where the backend cannot take them down. */
export function doubt(state: State, id: SessionId): Event[] {
  const before = state.sessions.get(id)?.record
  if (before === undefined || before.state === 'CLOSING' || before.unproven) return []
  return [{ kind: 'session-changed', before, after: { ...before, unproven: true } }]
}

/** Ends a closing session of which nothing is left; otherwise says nothing. */
export function completeClose(state: State, id: SessionId): Event[] {
  const session = state.sessions.get(id)
  if (session?.record.state !== 'CLOSING') return []
  const { held, bindings, attachments } = session
  if (held > 0 || bindings.size > 0 || attachments.size > 0) return []
  return [{ kind: 'session-changed', before: session.record, after: undefined }]
}
