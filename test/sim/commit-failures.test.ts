/**
 * Every commit of a mixed load fails once, in every way a commit can fail at the ledger's door;
 * after each the broker has come back by itself, and memory, file and backend are what the VMs were
 * told: nothing acknowledged is lost, nothing refused is held (but where nobody could know and it
 * turned out to be written: then a retry of the same request is told so), what was given back stays
 * given back. SEED=n replays or varies the load.
 */

import process from 'node:process'
import { afterAll, afterEach, expect, test } from 'vitest'
import type { Change } from '../../src/core/events.js'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'
import { RigLoad } from '../support/broker-rig-load.js'
import type { AppendFailure } from '../support/failing-ledger.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)
/** Commits of one stretch of load that fail, one after the other. */
const NTH_LAST = 8
/** Calls of each VM in one stretch: enough for more commits than that. */
const CALLS = 10

let rig: BrokerRig | undefined

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})
afterAll(removeFolders)

const WAYS: readonly (readonly [AppendFailure, number, number])[] = [
  ['NOT_WRITTEN', 0, 1],
  ['NOT_WRITTEN', 3, 1],
  ['NOT_WRITTEN', 1, 3],
  ['UNKNOWN_WRITTEN', 0, 1],
  ['UNKNOWN_WRITTEN', 3, 1],
  ['UNKNOWN_WRITTEN', 2, 2],
  ['UNKNOWN_NOT_WRITTEN', 0, 1],
  ['UNKNOWN_NOT_WRITTEN', 3, 1],
  ['UNKNOWN_NOT_WRITTEN', 1, 2],
]

async function recover(on: BrokerRig): Promise<void> {
  const { broker } = on
  await on.passUntil(() => {
    const done = broker.info().writable && broker.unfinishedTeardowns === 0
    return done && broker.info().durableRevision === broker.state.revision
  })
}

/**
 * The load, with Check after Check beside it: whatever is under way, it never sees a difference.
 */
async function runWatched(on: BrokerRig, load: RigLoad): Promise<void> {
  const over = { done: false }
  const watching = (async () => {
    const found: string[] = []
    while (!over.done) {
      found.push(...(await on.problems()))
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    return found.filter((text) => !text.includes('LEDGER_UNAVAILABLE'))
  })()
  await load.run(CALLS)
  await recover(on)
  over.done = true
  expect(await watching).toEqual([])
}

async function everythingWrong(on: BrokerRig, load: RigLoad): Promise<string[]> {
  return [...load.wrong(), ...(await on.problems()), ...(await on.differencesFromFile())]
}

test.each(['NOT_WRITTEN', 'UNKNOWN_WRITTEN', 'UNKNOWN_NOT_WRITTEN'] as const)(
  `%s, and killed while it is down (SEED=${SEED})`,
  async (how) => {
    for (let nth = 1; nth <= NTH_LAST; nth += 1) {
      const on = await BrokerRig.start()
      const load = new RigLoad(on, SEED + nth)
      await load.run(8)
      const doubtful: Change[] = []
      on.ledger.onFailure = (batch) => {
        if (how === 'UNKNOWN_WRITTEN') doubtful.push(...batch)
      }
      on.ledger.plan({ nth, how, reopenFailures: 1000 })
      do await load.run(CALLS)
      while (on.ledger.failures === 0)
      expect(on.ledger.failures).toBe(1)
      expect(on.broker.info().writable).toBe(false)
      rig = await on.kill()
      expect(load.wrongAfterKill(rig, doubtful)).toEqual([])
      expect(await rig.problems()).toEqual([])
      await rig.stop()
      rig = undefined
    }
  },
)

test.each(WAYS)(`%s, reopened at attempt %d + 1, %d in a row (SEED=${SEED})`, async (...way) => {
  const [how, reopenFailures, times] = way
  rig = await BrokerRig.start()
  const load = new RigLoad(rig, SEED)
  await load.run(10)
  for (let nth = 1; nth <= NTH_LAST; nth += 1) {
    const on = rig
    const failures = on.ledger.failures
    // How batches that are found written later are told from those that are found so at once.
    const undone = on.telemetry.failures.length
    const found: (readonly Change[])[] = []
    on.ledger.onFailure = (batch) => {
      if (how === 'UNKNOWN_WRITTEN' && reopenFailures > 0) found.push(batch)
    }
    on.ledger.plan({ nth, how, times, reopenFailures })
    // How much meets in one batch is the event loop's affair.
    do await runWatched(on, load)
    while (on.ledger.failures === failures)
    if (how !== 'UNKNOWN_WRITTEN' || reopenFailures > 0) {
      expect(on.telemetry.failures.length).toBeGreaterThan(undone)
    }
    on.ledger.plan({ nth: Infinity, how })
    for (const batch of found) load.foundWritten(batch)
    const orphans = found.length > 0 ? /belongs to nobody/ : /^$/
    const wrong = await everythingWrong(on, load)
    expect(wrong.filter((text) => !orphans.test(text))).toEqual([])
    await load.askAgain()
    await recover(on)
    expect(await everythingWrong(on, load)).toEqual([])
  }
  rig = await rig.restart()
  load.moveTo(rig)
  expect(load.wrong()).toEqual([])
  expect(await rig.problems()).toEqual([])
  // How many there are is the event loop’s affair; that there were some is not.
  expect(load.counts.granted).toBeGreaterThan(30)
})
