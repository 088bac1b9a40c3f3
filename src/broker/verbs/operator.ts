/** What operators do: end, release, change limits, let reclaim go on. Recorded, refusals too. */

import type { Actor } from '../../core/audit.js'
import type { ReleaseAllocation, ScopeName, UpdateTenant } from '../../core/commands.js'
import { accepted, type Decided } from '../../core/decided.js'
import type { Generation, Pasid } from '../../core/ids.js'
import { applyChange, operatorVerbs, revertChange } from '../../core/machine.js'
import type { TenantOverride } from '../../core/quota.js'
import { accept, type Outcome, type Refusal } from '../../core/refusal.js'
import { allocationView, headroom, tenantView, type TenantView } from '../../core/view.js'
import type { EndedSession, ReleasedAllocation, SessionDetail } from '../answers.js'
import { audited, auditRefusal, recordOf, type Audit } from '../audit.js'
import { cannotGrant, make, no, unavailable, type Context } from '../context.js'
import { namespaceFor, sessionDetail } from '../reads.js'
import { tellReclaimed } from '../reclaimed.js'
import type { Reaper } from '../reaper.js'
import type { Teardown } from '../teardown.js'
import { closeSession } from './sessions.js'

interface Act {
  readonly actor: Actor
  /** For the audit. */
  readonly reason: string
}

export interface EndSession extends Act {
  readonly name: string
  readonly validateOnly: boolean
}

export async function endSession(
  context: Context,
  teardown: Teardown,
  { name, actor, reason, validateOnly }: EndSession,
): Promise<Outcome<EndedSession>> {
  const act = { action: 'END_SESSION', actor, cause: reason } as const
  const session = context.state.sessionByName.get(name)
  const refused = (refusal: Refusal) => {
    if (!validateOnly) {
      auditRefusal(context, { ...act, subject: `sessions/${name}`, details: '' }, refusal)
    }
    return no(context, refusal)
  }
  if (session === undefined) return refused({ code: 'SESSION_NOT_FOUND', session: name })
  const before: SessionDetail = sessionDetail(context, session, teardown.stuck())
  const { id, state } = session.record
  if (state === 'CLOSING') return refused({ code: 'SESSION_CLOSING', session: name })
  if (validateOnly) return accept({ session: before, durable: true })
  const command = {
    verb: 'close-session',
    session: id,
    cause: 'OPERATOR',
    withhold: false,
    unproven: teardown.departures.wantProof,
  } as const
  const { record } = session
  const ended = await closeSession(context, teardown, command, act)
  if (ended.ok) {
    const { freed: pasids, durable } = ended.value
    tellReclaimed(context, record, { cause: 'OPERATOR', sessions: 1, pasids })
    return accept({ session: before, durable })
  }
  // Closed meanwhile by another hand.
  auditRefusal(context, { ...act, subject: `sessions/${name}`, details: '' }, ended.refusal)
  return ended
}

export interface Release extends Act {
  readonly scope: ScopeName
  readonly pasid: Pasid
  readonly generation: Generation
  readonly validateOnly: boolean
}

export async function releaseAllocation(
  context: Context,
  teardown: Teardown,
  { scope, pasid, generation, actor, reason, validateOnly }: Release,
): Promise<Outcome<ReleasedAllocation>> {
  const { state } = context
  const found = namespaceFor(context, scope)
  if (!found.ok) return found
  const namespace = found.value
  const audit: Audit = {
    action: 'RELEASE_ALLOCATION',
    actor,
    cause: reason,
    subject: `pasids/${state.scopeName(namespace.id)}/${pasid}`,
    details: `generation ${generation}`,
  }
  const command: ReleaseAllocation = {
    verb: 'release-allocation',
    namespace: namespace.id,
    pasid,
    generation,
  }
  const made = await make(context, (now) => {
    const decided = operatorVerbs.releaseAllocation(state, command, now)
    if (decided.kind !== 'accepted') return decided
    const allocation = allocationView(state, namespace, pasid)
    const { record } = state.session(decided.answer.session)
    const answer = { ...decided.answer, allocation, record }
    if (validateOnly) return accepted([], answer)
    const broken = `${allocation.bindings.length} bindings of sessions/${record.name}`
    const details = `${audit.details}, ${broken}`
    return audited(context, { ...decided, answer }, () => ({ ...audit, details }))
  })
  if (!made.ok) {
    if (!validateOnly) auditRefusal(context, audit, made.refusal)
    return made
  }
  const { allocation, record, session, teardown: bindings, pending } = made.value.answer
  if (validateOnly) return accept({ allocation, durable: true })
  const durable = await context.queue.settled(made.value.revision)
  tellReclaimed(context, record, { cause: 'OPERATOR', sessions: 0, pasids: 1 })
  if (pending.length > 0) {
    await teardown.begin({ session, bindings, pending, devices: [], closing: false })
  }
  return accept({ allocation, durable })
}

export interface Update extends Act {
  readonly tenant: string
  readonly change: TenantOverride | 'REVERT'
  readonly etag: string | undefined
  readonly validateOnly: boolean
}

export async function updateTenant(
  context: Context,
  { tenant, change, etag, actor, reason, validateOnly }: Update,
): Promise<Outcome<TenantView>> {
  const { state } = context
  const stop = validateOnly ? undefined : cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const command: UpdateTenant = { verb: 'update-tenant', tenant, change, etag }
  const audit: Audit = {
    action: 'UPDATE_TENANT',
    actor,
    subject: `tenants/${tenant}`,
    cause: reason,
    details: change === 'REVERT' ? 'as configured again' : JSON.stringify(change),
  }
  const decided = operatorVerbs.updateTenant(state, command)
  if (decided.kind !== 'accepted') {
    if (decided.kind === 'wait') return no(context, unavailable())
    if (!validateOnly) auditRefusal(context, audit, decided.refusal)
    return no(context, decided.refusal)
  }
  const id = decided.answer
  if (validateOnly)
    return accept(wouldBe(context, decided, () => tenantView(state, state.tenant(id))))
  const whole = audited(context, decided, () => audit)
  const events = whole.kind === 'accepted' ? whole.events : []
  if (events.length > 0) {
    const { revision } = context.queue.submit(events)
    if (!(await context.queue.settled(revision))) return no(context, unavailable())
    tellQuota(context, tenant)
  }
  return accept(tenantView(state, state.tenant(id)))
}

/** What would be seen if the decision were carried out. */
function wouldBe<T>(context: Context, decided: Decided<unknown>, look: () => T): T {
  if (decided.kind !== 'accepted') return look()
  const change = applyChange(context.state, decided.events)
  try {
    return look()
  } finally {
    revertChange(context.state, change)
  }
}

/** The sessions of the tenant and of those below it hear what is left to them now. */
function tellQuota(context: Context, tenant: string): void {
  const { state, hub } = context
  for (const id of hub.listened()) {
    const session = state.sessions.get(id)
    if (session === undefined) continue
    let at = state.tenants.get(session.record.tenant)
    while (at !== undefined && at.name !== tenant) at = at.parent
    if (at === undefined) continue
    hub.publish(id, { kind: 'quota-changed', headroom: headroom(state, session, state.host) })
  }
}

export async function resumeReclaim(
  context: Context,
  teardown: Teardown,
  reaper: Reaper,
  { actor, reason }: Act,
): Promise<Outcome<{ readonly sessions: number; readonly pasids: number }>> {
  const { state } = context
  const told = (sessions: number): Audit => {
    const details = `${sessions} sessions were held back`
    return { action: 'RESUME_RECLAIM', actor, subject: '', cause: reason, details }
  }
  const made = await make(context, () => {
    return audited(context, operatorVerbs.resumeReclaim(state), (ids) => told(ids.length))
  })
  if (!made.ok) return made
  const { answer: ids, change, revision } = made.value
  let pasids = 0
  for (const id of ids) pasids += state.sessions.get(id)?.held ?? 0
  if (change === undefined && reaper.breaker.open) {
    context.queue.submit([{ kind: 'audited', record: recordOf(context, told(0), 'DONE') }])
  }
  // In the same turn: what is inferred from here on is not held back for an operator again.
  reaper.breaker.close({ sessions: ids.length, pasids })
  await context.queue.settled(revision)
  for (const id of ids) await teardown.resume(id)
  return accept({ sessions: ids.length, pasids })
}
