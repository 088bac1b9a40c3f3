/** OpenSession, ResumeSession, CloseSession. */

import type { Actor } from '../../core/audit.js'
import type { CloseSession, OpenSession, ResumeSession } from '../../core/commands.js'
import type { Closing } from '../../core/decide/session.js'
import type { SessionId } from '../../core/ids.js'
import { completions, verbs } from '../../core/machine.js'
import { accept, type Outcome } from '../../core/refusal.js'
import type { FreedPasids, OpenedSession } from '../answers.js'
import { audited, type Audit } from '../audit.js'
import { cannotGrant, make, no, unavailable, type Context, type Made } from '../context.js'
import { sessionDetail } from '../reads.js'
import type { Teardown } from '../teardown.js'

export async function openSession(
  context: Context,
  command: OpenSession,
  actor: Actor,
): Promise<Outcome<OpenedSession>> {
  const stop = cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const made = await make(context, (now) => {
    return audited(context, verbs.openSession(context.state, command, now), () => {
      const subject = `sessions/${command.name}`
      return { action: 'OPEN_SESSION', actor, subject, cause: '', details: ownerText(command) }
    })
  })
  if (!made.ok) return made
  if (!(await context.queue.settled(made.value.revision))) return no(context, unavailable())
  const session = context.state.sessions.get(made.value.answer.session)
  if (session !== undefined) return accept({ session: sessionDetail(context, session, undefined) })
  return no(context, { code: 'SESSION_NOT_FOUND', session: command.name })
}

function ownerText({ owner, delegate }: Pick<OpenSession, 'owner' | 'delegate'>): string {
  if (owner === undefined) return 'owner unknown'
  const by = delegate === undefined ? '' : `, opened by a delegate of uid ${delegate}`
  return `owner pid ${owner.pid} uid ${owner.uid}${by}`
}

/** The caller has the token, and the session is of a tenant it may act for. */
export async function resumeSession(
  context: Context,
  command: ResumeSession,
  actor: Actor,
): Promise<Outcome<OpenedSession>> {
  const stop = cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const name = context.state.sessions.get(command.session)?.record.name ?? ''
  const made = await make(context, () => {
    return audited(context, verbs.resumeSession(context.state, command), () => {
      const subject = `sessions/${name}`
      return { action: 'RESUME_SESSION', actor, subject, cause: '', details: ownerText(command) }
    })
  })
  if (!made.ok) return made
  if (!(await context.queue.settled(made.value.revision))) return no(context, unavailable())
  const session = context.state.sessions.get(command.session)
  if (session !== undefined) return accept({ session: sessionDetail(context, session, undefined) })
  return no(context, { code: 'SESSION_NOT_FOUND', session: name })
}

/** Ends at once for everyone who listens; what the backend cannot take down yet is tried again. */
export async function closeSession(
  context: Context,
  teardown: Teardown,
  command: CloseSession,
  audit: Pick<Audit, 'action' | 'actor' | 'cause'>,
): Promise<Outcome<FreedPasids>> {
  const made = await make(context, (now) => {
    return audited(context, verbs.closeSession(context.state, command, now), () => {
      return { ...audit, ...endedText(context, command.session) }
    })
  })
  if (!made.ok) return made
  const ended = await endClosing(context, teardown, command.session, made.value)
  if (ended.ok) {
    const cause = audit.action === 'END_SESSION' ? 'ended by an operator' : 'closed by its owner'
    context.hub.publish(command.session, { kind: 'session-ended', cause })
  }
  return ended
}

/** What a session has as it ends, for the audit. */
export function endedText(context: Context, id: SessionId): Pick<Audit, 'subject' | 'details'> {
  const session = context.state.session(id)
  const { record, held, bindings, attachments } = session
  const counts = `held ${held} PASIDs, ${bindings.size} bindings, ${attachments.size} devices`
  const seconds = Math.max(0, Math.round((context.ports.clock.wall() - record.openedAt) / 1000))
  const details = `${counts}; ${ownerText(record)}; open for ${seconds} s`
  return { subject: `sessions/${record.name}`, details }
}

/**
 * Of a session that has been decided to close: what was handed over is let go, before the ledger is
 * waited for; everything it had is taken down and freed.
 */
export async function endClosing(
  context: Context,
  teardown: Teardown,
  session: SessionId,
  made: Made<Closing>,
): Promise<Outcome<FreedPasids>> {
  teardown.departures.begin(session)
  let { answer } = made
  let durable = await context.queue.settled(made.revision)
  const found = context.state.sessions.get(session)
  if (!answer.complete && found !== undefined) {
    const rest = await make(context, (now) => {
      return completions.resumeClosing(context.state, found, now.instant)
    })
    if (!rest.ok) return rest
    answer = rest.value.answer
    durable = await context.queue.settled(rest.value.revision)
  }
  const { teardown: bindings, pending, devices, freed } = answer
  await teardown.begin({ session, bindings, pending, devices, closing: true })
  return accept({ freed, durable, headroom: undefined })
}
