/** That numbers were taken back by another hand than their owner's: for log and metrics. */

import type { EndCause, SessionRecord } from '../core/session.js'
import type { Context } from './context.js'

export interface TakenBack {
  readonly cause: EndCause
  /** 1 when the session ends with it. */
  readonly sessions: 0 | 1
  readonly pasids: number
}

export function tellReclaimed(
  { ports }: Context,
  record: SessionRecord,
  { cause, sessions, pasids }: TakenBack,
): void {
  ports.telemetry.reclaimed({
    cause,
    session: record.name,
    sessions,
    pasids,
    ageMs: Math.max(0, ports.clock.wall() - record.openedAt),
    ownerPid: record.owner?.pid,
  })
}
