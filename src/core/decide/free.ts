/**
 * FreePasids, and what ends every free. Numbers bound nowhere go to rest at once; bound ones wait
 * (FREE_PENDING) until the backend says that nothing of them is left. Never fails for the owner.
 */

import type { Binding } from '../binding.js'
import { bindingKey } from '../binding.js'
import type { FreePasids, Now } from '../commands.js'
import { accepted, refused, repeated, waitFor, type Decided } from '../decided.js'
import type { BindingChanged, Event } from '../events.js'
import type { DeviceId, InstantMs, NamespaceId, SessionId, Target } from '../ids.js'
import { SLOT, type Namespace } from '../namespace.js'
import { contains, runsOf, type PasidRun } from '../range.js'
import { accept, refuse, type Outcome } from '../refusal.js'
import type { Session } from '../session.js'
import type { State } from '../state.js'
import { keepRequest, namespaceToFree, openSession, replay } from './preconditions.js'

/** What the backend must take down before the numbers in `pending` may rest. */
export interface Freeing {
  /** Numbers that were held and are no longer. */
  readonly freed: number
  readonly teardown: readonly Binding[]
  readonly pending: readonly {
    readonly namespace: NamespaceId
    readonly runs: readonly PasidRun[]
  }[]
}

/** `asOf`: the revision at the call's arrival; a range does not reach what was granted after it. */
export function free(state: State, command: FreePasids, now: Now, asOf: number): Decided<Freeing> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  const seen = replay(
    state,
    state.tenantOf(session.found),
    session.found.requests,
    'FreePasids',
    command.request,
  )
  if (seen.kind === 'stop') return seen.stop
  if (seen.kind === 'again') {
    return repeated(seen.revision, { freed: seen.answer, teardown: [], pending: [] })
  }
  const namespace = namespaceToFree(state, session.found, command.scope)
  if (!namespace.ok) return refused(namespace.refusal)
  const pasids = ownNumbers(state, session.found, namespace.value, command, asOf)
  if (!pasids.ok) return refused(pasids.refusal)
  const newest = newestGrant(namespace.value, pasids.value)
  if (newest > state.durable) return waitFor(newest)
  const events: Event[] = []
  const until = restOf(state, session.found, now.instant)
  const freeing = release(state, session.found, namespace.value, pasids.value, until, events)
  const { id, tenant } = session.found.record
  const answered = { answer: freeing.freed, revision: state.revision + 1, at: now.wall }
  const key = seen.keep ? command.request : undefined
  events.push(...keepRequest({ session: id, tenant }, 'FreePasids', key, answered))
  return accepted(events, freeing)
}

/**
 * The numbers meant that are still held. By number, one that the session has given back already is
 * passed over (free may be repeated), and one that it never had looks like one that does not exist.
 */
function ownNumbers(
  state: State,
  session: Session,
  namespace: Namespace,
  command: FreePasids,
  asOf: number,
): Outcome<number[]> {
  const { what } = command
  if (what.kind === 'RANGE') {
    const held: number[] = []
    for (const pasid of namespace.heldBy(session.record.id)) {
      if (!contains(what.range, pasid) || namespace.slotOf(pasid) !== SLOT.HELD) continue
      if (namespace.holderOf(pasid).generation <= asOf) held.push(pasid)
    }
    return accept(held.sort((a, b) => a - b))
  }
  const held: number[] = []
  for (const pasid of what.pasids) {
    const slot = pasid < namespace.size ? namespace.slotOf(pasid) : SLOT.FREE
    if (slot === SLOT.FREE || namespace.sessionOf(pasid) !== session.record.id) {
      const scope = state.scopeName(namespace.id)
      return refuse({ code: 'PASID_NOT_FOUND', pasid, scope })
    }
    if (slot === SLOT.HELD) held.push(pasid)
  }
  return accept(held)
}

function newestGrant(namespace: Namespace, pasids: readonly number[]): number {
  let newest = 0
  for (const pasid of pasids) newest = Math.max(newest, namespace.holderOf(pasid).generation)
  return newest
}

/** When a number that goes to rest now may be granted again. */
export function restUntil(state: State, now: InstantMs): InstantMs {
  return (now + state.policy.holdMs) as InstantMs
}

/** Undefined: what the session gives back waits, until nothing of it can be attached any more. */
export function restOf(state: State, { record }: Session, now: InstantMs): InstantMs | undefined {
  return record.unproven ? undefined : restUntil(state, now)
}

/**
 * Adds the events that free held numbers of a session (ascending); says what is left to do. Without
 * `until` none goes to rest: they wait in FREE_PENDING, bound or not.
 */
export function release(
  state: State,
  session: Session,
  namespace: Namespace,
  pasids: readonly number[],
  until: InstantMs | undefined,
  events: Event[],
): Freeing {
  const { id, tenant } = session.record
  const idle: number[] = []
  const bound: number[] = []
  for (const pasid of pasids) {
    const rests = until !== undefined && namespace.bindingsOf(pasid) === 0
    ;(rests ? idle : bound).push(pasid)
  }
  if (until !== undefined && idle.length > 0) {
    const runs = runsOf(idle)
    const from = 'HELD' as const
    // Field by field: a spread costs more than the rest of the decision.
    events.push({
      kind: 'released',
      namespace: namespace.id,
      session: id,
      tenant,
      runs,
      from,
      until,
    })
  }
  if (bound.length === 0) return { freed: pasids.length, teardown: [], pending: [] }
  const runs = runsOf(bound)
  events.push({ kind: 'free-begun', namespace: namespace.id, session: id, runs })
  const teardown: Binding[] = []
  for (const binding of bindingsOf(state, session, namespace, bound)) {
    teardown.push(binding)
    if (binding.state !== 'UNBINDING') events.push(unbinding(binding))
  }
  return { freed: pasids.length, teardown, pending: [{ namespace: namespace.id, runs }] }
}

export function unbinding(before: Binding): BindingChanged {
  const after: Binding = { ...before, previous: undefined, state: 'UNBINDING' }
  return { kind: 'binding-changed', before, after }
}

/** A session attaches few devices: asking each is cheaper than an index of bindings by number. */
function bindingsOf(
  state: State,
  session: Session,
  namespace: Namespace,
  pasids: readonly number[],
): Binding[] {
  const found: Binding[] = []
  for (const id of session.attachments.keys()) {
    if (state.device(id).namespace !== namespace.id) continue
    for (const pasid of pasids) {
      const binding = state.bindings.get(bindingKey(id, pasid as Target))
      if (binding !== undefined && binding.session === session.record.id) found.push(binding)
    }
  }
  return found
}

/** The backend has taken the bindings down: they go, and the numbers that waited for it rest. */
export function completeUnbind(
  state: State,
  done: readonly { readonly device: DeviceId; readonly target: Target }[],
): Event[] {
  const events: Event[] = []
  for (const { device, target } of done) {
    const before = state.bindingAt(device, target)
    if (before?.state !== 'UNBINDING') continue
    events.push({ kind: 'binding-changed', before, after: undefined })
  }
  return events
}

/**
 * Numbers in FREE_PENDING that nothing binds any more. Called with the state after the unbinding
 * was applied; numbers that another teardown still holds are left to it.
 */
export function completeFree(
  state: State,
  session: SessionId,
  pending: Freeing['pending'],
  now: InstantMs,
  /** Those of an unproven session too: they have waited long enough. */
  holdOver = false,
): Event[] {
  const events: Event[] = []
  const owner = state.sessions.get(session)
  if (owner === undefined) return events
  const { withheld, unproven } = owner.record
  if (withheld || (unproven && !holdOver)) return events
  const until = restUntil(state, now)
  for (const { namespace: id, runs } of pending) {
    const namespace = state.namespace(id)
    const clear: number[] = []
    for (const run of runs) {
      for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
        const waiting = namespace.slotOf(pasid) === SLOT.FREE_PENDING
        const own = namespace.sessionOf(pasid) === session
        if (waiting && own && namespace.bindingsOf(pasid) === 0) clear.push(pasid)
      }
    }
    if (clear.length === 0) continue
    const { tenant } = owner.record
    const rest = { namespace: id, session, tenant, runs: runsOf(clear), until }
    events.push({ kind: 'released', ...rest, from: 'FREE_PENDING' })
  }
  return events
}
