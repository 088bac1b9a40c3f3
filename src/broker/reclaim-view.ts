/** How the taking back of what dead processes held stands, for operators. */

import { accept, type Outcome } from '../core/refusal.js'
import type { ReclaimView, SessionDetail } from './answers.js'
import type { Context } from './context.js'
import { pendingCount } from './pending.js'
import { sessionDetail } from './reads.js'
import type { Reaper } from './reaper.js'
import type { Teardown } from './teardown.js'

/** Stuck sessions in one answer. */
export const STUCK_LISTED_MAX = 100

export function reclaimView(
  context: Context,
  teardown: Teardown,
  reaper: Reaper,
): Promise<Outcome<ReclaimView>> {
  const { state } = context
  const { breaker, last, watchedOwners } = reaper
  let [withheldSessions, withheldPasids, owners] = [0, 0, 0]
  let [unprovenSessions, unprovenPasids] = [0, 0]
  for (const { record, held } of state.sessions.values()) {
    if (record.state === 'OPEN' && record.owner !== undefined) owners += 1
    if (record.unproven) {
      unprovenSessions += 1
      // Of a session that goes on only what it has given back waits.
      unprovenPasids += record.state === 'CLOSING' ? held : pendingCount(state, record.id)
    }
    if (!record.withheld) continue
    withheldSessions += 1
    withheldPasids += held
  }
  const stuckSessions = teardown.stuck()
  const stuck: SessionDetail[] = []
  for (const id of [...stuckSessions.keys()].slice(0, STUCK_LISTED_MAX)) {
    const session = state.sessions.get(id)
    if (session !== undefined) stuck.push(sessionDetail(context, session, stuckSessions))
  }
  const view: ReclaimView = {
    breakerShare: breaker.limits.breakerShare,
    breakerFloor: breaker.limits.breakerFloor,
    breakerOpen: breaker.open,
    breakerAt: breaker.openedAt,
    withheldSessions,
    withheldPasids,
    unprovenSessions,
    unprovenPasids,
    unknownOwners: last.unknown,
    watchedOwners,
    unwatchedOwners: Math.max(0, owners - watchedOwners),
    sweepLooked: last.looked,
    sweepMs: last.tookMs,
    unfinishedSweeps: last.unfinished,
    passAt: last.passAt,
    stuck,
    stuckCount: stuckSessions.size,
    backend: context.backend.health(),
  }
  return Promise.resolve(accept(view))
}
