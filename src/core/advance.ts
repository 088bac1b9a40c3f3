/**
 * Time passing: what follows from the clock and from the disk alone. Called before each decision;
 * nothing it does is ever undone, since it touches only what is durable.
 */

import { assert } from './assert.js'
import type { InstantMs, WallMs } from './ids.js'
import type { Tenant } from './quota.js'
import { countOf } from './range.js'
import type { RequestLog } from './requests.js'
import type { State } from './state.js'

export function advance(state: State, now: InstantMs, durable: number): void {
  assert(durable >= state.durable, 'what is durable stays durable')
  state.durable = durable
  while (state.closed.length > 0 && (state.closed[0]?.revision ?? 0) <= durable) {
    state.closed.shift()
  }
  for (;;) {
    const resting = state.quarantine.takeLapsed(now, durable)
    if (resting === undefined) return
    const namespace = state.namespace(resting.namespace)
    const count = countOf(resting.runs)
    for (const run of resting.runs) {
      if (state.labels.size > 0) forgetLabels(state, resting.namespace, run.first, run.count)
      namespace.lapse(run)
    }
    state.charge(resting.tenant, -count, resting.namespace)
  }
}

/** A full log is gone through so often: every owner is looked at. */
export const FORGET_PAUSE_MS = 1000

/**
 * Makes room in a full request log from whatever owner's ids are old enough; else owners that ask
 * no more would keep it full for everyone. Called before each decision, like advance().
 */
export function forgetRequests(state: State, now: WallMs): void {
  const share = state.requestIdShare()
  // No tenant can be at its share before all together have that many.
  if (state.requestIds < share) return
  if (Math.abs(now - state.requestsForgottenAt) < FORGET_PAUSE_MS) return
  state.requestsForgottenAt = now
  const forget = (tenant: Tenant, requests: RequestLog): void => {
    const gone = requests.forgetOld(now, state.durable)
    tenant.requestIds -= gone
    state.requestIds -= gone
  }
  for (const tenant of state.tenants.values()) forget(tenant, tenant.requests)
  for (const session of state.sessions.values()) {
    const tenant = state.tenantOf(session)
    if (tenant.requestIds >= share) forget(tenant, session.requests)
  }
}

function forgetLabels(
  state: State,
  id: Parameters<State['namespace']>[0],
  first: number,
  count: number,
): void {
  const namespace = state.namespace(id)
  for (let pasid = first; pasid < first + count; pasid += 1) {
    const { generation } = namespace.holderOf(pasid)
    const grant = state.labels.get(generation)
    if (grant === undefined) continue
    grant.numbers -= 1
    if (grant.numbers === 0) state.labels.delete(generation)
  }
}
