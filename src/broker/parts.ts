/**
 * What the broker is made of, put together and brought up in order: the state is loaded, what was
 * handed over is taken up again, dead owners are found, and what was half done is recovered. Only
 * then may anybody be served.
 */

import type { SessionId } from '../core/ids.js'
import type { BrokerInfo } from './answers.js'
import { ChangeFeed } from './change-feed.js'
import { CommitQueue } from './commit-queue.js'
import type { Context } from './context.js'
import { Departures } from './departures.js'
import { Hub } from './hub.js'
import { Lanes } from './lanes.js'
import { Reaper } from './reaper.js'
import { loadState, recover, type StartOptions } from './recovery.js'
import { takeUp } from './recovery-hand-overs.js'
import { Teardown } from './teardown.js'
import { Unasked } from './unasked.js'

export type StartFacts = Pick<BrokerInfo, 'incarnation' | 'recoveredRevision' | 'startedAt'>

export interface Parts {
  readonly context: Context
  readonly facts: StartFacts
  readonly departures: Departures
  readonly teardown: Teardown
  readonly reaper: Reaper
  readonly unasked: Unasked
}

export async function startParts(options: StartOptions): Promise<Parts> {
  const { ledger, backend, lab, ports, reclaim, watch } = options
  const state = await loadState(options)
  const feed = new ChangeFeed(watch, state.revision)
  const queue = new CommitQueue(state, ledger, ports, (changes) => {
    feed.publish(changes)
    reaper.heard(changes)
  })
  const doors = { backend, lab }
  const context = { state, queue, ...doors, lanes: new Lanes(), hub: new Hub(), feed, ports }
  const resume = (session: SessionId): Promise<void> => teardown.resume(session)
  const departures = new Departures(context, reclaim, resume)
  const teardown: Teardown = new Teardown(context, reclaim.stuckAfterMs, departures)
  const reaper = new Reaper(context, teardown, reclaim, options.paths)
  const facts = {
    incarnation: Buffer.from(ports.chance.bytes(16)).toString('hex'),
    recoveredRevision: state.revision,
    startedAt: ports.clock.wall(),
  }
  const unasked = new Unasked(context, options.pageRequests)
  departures.remember()
  if (backend.handOvers !== undefined) await takeUp(context, backend.handOvers)
  await reaper.sweepAtStart()
  await recover(context, teardown)
  reaper.start()
  return { context, facts, departures, teardown, reaper, unasked }
}
