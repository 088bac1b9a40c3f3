/** OpenSession, ResumeSession, CloseSession, AttachDevice, DetachDevice. */

import { BackendFault } from '../../backend/backend.js'
import type { Actor } from '../../core/audit.js'
import type {
  AttachDevice,
  CloseSession,
  DetachDevice,
  OpenSession,
  ResumeSession,
} from '../../core/commands.js'
import type { Closing } from '../../core/decide/session.js'
import type { SessionId } from '../../core/ids.js'
import { completions, verbs } from '../../core/machine.js'
import { accept, type Outcome } from '../../core/refusal.js'
import { deviceView, type DeviceView } from '../../core/view.js'
import type { DetachedDevice, FreedPasids, OpenedSession } from '../answers.js'
import { audited, type Audit } from '../audit.js'
import {
  cannotGrant,
  laneOfDevice,
  lanesOf,
  make,
  no,
  refusalOf,
  unavailable,
  type Context,
  type Made,
} from '../context.js'
import { sessionDetail } from '../reads.js'
import { report, type Teardown } from '../teardown.js'

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

/** Of a session that has been decided to close: everything it had is taken down and freed. */
export async function endClosing(
  context: Context,
  teardown: Teardown,
  session: SessionId,
  made: Made<Closing>,
): Promise<Outcome<FreedPasids>> {
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

/** The intent is durable before the backend acts, so that a crash between leaves a trace. */
export async function attachDevice(
  context: Context,
  command: AttachDevice,
): Promise<Outcome<DeviceView>> {
  const stop = cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const made = await make(context, (now) => verbs.attachDevice(context.state, command, now))
  if (!made.ok) return made
  const { answer, revision } = made.value
  if (!(await context.queue.settled(revision))) return no(context, unavailable())
  const { session } = command
  const { device: id, begin } = answer
  // Behind all that the session has queued: what reaches "all devices" holds the lanes of those
  // that there were when it came, and must not meet this one without its lane.
  const lanes = lanesOf(context, context.state.sessions.get(session))
  await context.lanes.run(lanes, () => Promise.resolve())
  const device = context.state.device(id)
  return context.lanes.run([laneOfDevice(context, session, device)], async () => {
    const stands = (): string | undefined => {
      return context.state.sessions.get(session)?.attachments.get(id)?.state
    }
    if (begin && stands() === 'ATTACHING') {
      try {
        await context.backend.attachDevice(device.name, session)
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
        report(context, device.name, 'attach', fault)
        submit(context, completions.completeAttach(context.state, { session, device: id }, false))
        return no(context, refusalOf(device.name, fault))
      }
      submit(context, completions.completeAttach(context.state, { session, device: id }, true))
    }
    if (stands() === 'ATTACHED') return accept(deviceView(context.state, device))
    return no(context, { code: 'DEVICE_NOT_ATTACHED', device: device.name })
  })
}

export async function detachDevice(
  context: Context,
  teardown: Teardown,
  command: DetachDevice,
): Promise<Outcome<DetachedDevice>> {
  const made = await make(context, (now) => verbs.detachDevice(context.state, command, now))
  if (!made.ok) return made
  const { answer, revision } = made.value
  const durable = await context.queue.settled(revision)
  const { session } = command
  if (answer.device === undefined || teardown.detaches(session, answer.device)) {
    return accept({ unbound: 0, durable })
  }
  const bindings = answer.teardown
  const job = { session, bindings, pending: [], devices: [answer.device], closing: false }
  await teardown.begin(job)
  return accept({ unbound: bindings.length, durable })
}

function submit(context: Context, events: ReturnType<typeof completions.completeAttach>): void {
  if (events.length > 0) context.queue.submit(events)
}
