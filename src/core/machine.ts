/**
 * The machine: read this first. A caller's command is one of the verbs below; `decide` looks at the
 * state and answers with events or a refusal; `apply` makes the events true and cannot fail;
 * `revert` undoes them exactly when the disk said no. Completions are the backend's word on what a
 * verb began. No I/O, no clock, no waiting: the same state, command and time give the same events.
 *
 *   decide(state, command, now) -> events -> apply -> (ledger) -> answer
 *                                             ^ revert, newest first, if the commit fails
 */

import { advance, forgetRequests } from './advance.js'
import { apply, revert } from './apply.js'
import { allocate } from './decide/allocate.js'
import { bind, completeBind, loseBinding } from './decide/bind.js'
import { attachDevice, completeAttach, completeDetach, detachDevice } from './decide/device.js'
import { completeFree, completeUnbind, free } from './decide/free.js'
import { invalidateRaw } from './decide/invalidate-raw.js'
import { invalidate } from './decide/invalidate.js'
import { releaseAllocation, updateTenant } from './decide/operator.js'
import { endLingering, loseOwner, resumeReclaim, resumeSession } from './decide/owner.js'
import {
  closeSession,
  completeClose,
  doubt,
  openSession,
  proveClosed,
  resumeClosing,
} from './decide/session.js'
import { unbind } from './decide/unbind.js'
import { isOfDoubt, renumbered, type Change, type Event } from './events.js'
import type { State } from './state.js'

/** What callers may ask. Each answers with a `Decided`. */
export const verbs = {
  openSession,
  resumeSession,
  closeSession,
  attachDevice,
  detachDevice,
  allocate,
  free,
  bind,
  unbind,
  invalidate,
  invalidateRaw,
} as const

/** What operators may ask beside. */
export const operatorVerbs = {
  releaseAllocation,
  updateTenant,
  resumeReclaim,
} as const

/** What the broker reports: an effect or an owner has ended; and what recovery takes up again. */
export const completions = {
  loseOwner,
  endLingering,
  completeAttach,
  completeDetach,
  completeBind,
  completeUnbind,
  completeFree,
  completeClose,
  doubt,
  proveClosed,
  loseBinding,
  resumeClosing,
} as const

/** Makes a decision's events true under the next revision. */
export function applyChange(state: State, events: readonly Event[]): Change {
  const revision = state.revision + 1
  state.revision = revision
  for (const event of events) apply(state, event, revision)
  return { revision, events }
}

/** Undoes the newest change; pairs with applyChange(). */
export function revertChange(state: State, change: Change): void {
  for (let i = change.events.length - 1; i >= 0; i -= 1) {
    const event = change.events[i]
    if (event !== undefined) revert(state, event)
  }
  state.revision = change.revision - 1
}

/**
 * Events of a change that was undone, to be told again as the next one: on top of what stands now,
 * since they may have been decided on top of a hand-over that is undone too.
 */
export function retold(state: State, events: readonly Event[]): Event[] {
  return renumbered(events, state.revision + 1).map((event): Event => {
    if (event.kind !== 'session-changed' || event.before === undefined) return event
    const before = state.session(event.before.id).record
    const { after } = event
    if (after?.state !== 'OPEN' || !isOfDoubt(event)) return { ...event, before }
    return { ...event, before, after: { ...before, unproven: after.unproven } }
  })
}

export { advance, forgetRequests }
