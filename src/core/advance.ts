/**
 * Time passing: what follows from the clock and from the disk alone. Called before each decision;
 * nothing it does is ever undone, since it touches only what is durable.
 */

import { assert } from './assert.js'
import type { InstantMs } from './ids.js'
import { charge } from './quota.js'
import { countOf } from './range.js'
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
    charge(state.tenant(resting.tenant), -count)
    state.hostUsed -= count
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
