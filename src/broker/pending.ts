/** The numbers that a session has given back and that do not rest yet (FREE_PENDING). */

import type { Freeing } from '../core/decide/free.js'
import type { SessionId } from '../core/ids.js'
import { SLOT } from '../core/namespace.js'
import { countOf, runsOf } from '../core/range.js'
import type { State } from '../core/state.js'

export function pendingOf(state: State, session: SessionId): Freeing['pending'] {
  const pending: Freeing['pending'][number][] = []
  for (const namespace of state.namespaces.values()) {
    const waiting: number[] = []
    for (const pasid of namespace.heldBy(session)) {
      if (namespace.slotOf(pasid) === SLOT.FREE_PENDING) waiting.push(pasid)
    }
    if (waiting.length === 0) continue
    pending.push({ namespace: namespace.id, runs: runsOf(waiting.sort((a, b) => a - b)) })
  }
  return pending
}

export function pendingCount(state: State, session: SessionId): number {
  return pendingOf(state, session).reduce((count, { runs }) => count + countOf(runs), 0)
}
