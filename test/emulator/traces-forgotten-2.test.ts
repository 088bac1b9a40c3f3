/**
 * Random traces as in traces-complete-*.test.ts, in which software leaves out one invalidation. With
 * eviction off: exactly where the slow model says something else than the unit, the oracle names a set;
 * it contains what was left out, with all of it done the access meets what the tables say, and with any
 * of it left out it does not (tried out on replays). With eviction on: nobody is accused whose access
 * met what the tables say. SEED=n varies all, TRACES=n runs so many (full: as many as
 * `npm run proof`), TRACE=n one alone.
 */
import { expect, test } from 'vitest'
import { checkTraces, SEED, tracesToRun } from '../support/trace-check.js'
import { expectStale } from '../support/trace-suite.js'

const FORGOTTEN = tracesToRun({ usual: 25_000, full: 100_000 })
const EVICTING = tracesToRun({ usual: 20_000, full: 30_000 })

test(`the oracle names what was left out, part 2 of 2 (SEED=${SEED}, ${FORGOTTEN} traces)`, () => {
  const tally = checkTraces('FORGOTTEN', 1_000_000, FORGOTTEN)
  expect(tally.traces).toBe(FORGOTTEN)
  expectStale(tally)
})

test(`no false accusation with eviction, part 2 of 2 (SEED=${SEED}, ${EVICTING} traces)`, () => {
  const tally = checkTraces('EVICTING', 1_500_000, EVICTING)
  expect(tally.traces).toBe(EVICTING)
  expectStale(tally)
})
