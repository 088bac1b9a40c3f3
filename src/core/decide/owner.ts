/** What a session's owner does to it by ending, and how a successor takes it over. */

import type { LoseOwner, Now, ResumeSession } from '../commands.js'
import { accepted, refused, type Decided } from '../decided.js'
import type { SessionId } from '../ids.js'
import { sameProcess } from '../owner.js'
import type { SessionRecord } from '../session.js'
import type { State } from '../state.js'
import { standingSession } from './preconditions.js'
import { closeSession, type Closing } from './session.js'

/** `closing` undefined: the session lingers, or goes on with another owner. */
export interface LostOwner {
  readonly closing: Closing | undefined
}

const GOES_ON: LostOwner = { closing: undefined }

/** Lingers if it may, else ends as if it were closed. */
export function loseOwner(state: State, command: LoseOwner, now: Now): Decided<LostOwner> {
  const { session: id, owner, cause, withhold, unproven } = command
  const session = standingSession(state, id)
  if ('stop' in session) return session.stop
  const before = session.found.record
  const isLost = before.owner !== undefined && sameProcess(before.owner, owner)
  if (!isLost || before.state === 'LINGERING') return accepted([], GOES_ON)
  if (before.lingerMs > 0) {
    const after: SessionRecord = { ...before, state: 'LINGERING', cause, withheld: withhold }
    return accepted([{ kind: 'session-changed', before, after }], GOES_ON)
  }
  const ends = { cause, withhold, unproven }
  return closing(closeSession(state, { verb: 'close-session', session: id, ...ends }, now))
}

/** Nobody has taken the session over in time. */
export function endLingering(
  state: State,
  { session: id, withhold, unproven }: Pick<LoseOwner, 'session' | 'withhold' | 'unproven'>,
  now: Now,
): Decided<LostOwner> {
  const session = standingSession(state, id)
  if ('stop' in session) return session.stop
  const { state: at, withheld } = session.found.record
  if (at !== 'LINGERING') return accepted([], GOES_ON)
  const held = { withhold: withhold || withheld, unproven, cause: 'LINGER' } as const
  const command = { verb: 'close-session', session: id, ...held } as const
  return closing(closeSession(state, command, now))
}

function closing(closed: Decided<Closing>): Decided<LostOwner> {
  return closed.kind === 'accepted' ? { ...closed, answer: { closing: closed.answer } } : closed
}

/**
 * The owner asks again, a successor comes while the session lingers, or the session has no owner
 * yet. While the owner lives nobody else may have it.
 */
export function resumeSession(state: State, command: ResumeSession): Decided<SessionId> {
  const session = standingSession(state, command.session)
  if ('stop' in session) return session.stop
  const before = session.found.record
  const { owner, delegate } = command
  if (before.state === 'OPEN' && before.owner !== undefined) {
    if (sameProcess(before.owner, owner)) return accepted([], before.id)
    return refused({ code: 'NOT_OWNER', session: before.name, pid: owner.pid })
  }
  const heir = { owner, delegate, state: 'OPEN', cause: undefined, withheld: false } as const
  const after: SessionRecord = { ...before, ...heir }
  return accepted([{ kind: 'session-changed', before, after }], before.id)
}

/** Reclaim goes on: the numbers of sessions that were held back may rest. */
export function resumeReclaim(state: State): Decided<readonly SessionId[]> {
  const resumed: SessionId[] = []
  const events = [...state.sessions.values()].flatMap(({ record: before }) => {
    if (!before.withheld && !before.unproven) return []
    resumed.push(before.id)
    const after: SessionRecord = { ...before, withheld: false, unproven: false }
    return [{ kind: 'session-changed', before, after } as const]
  })
  return accepted(events, resumed)
}
