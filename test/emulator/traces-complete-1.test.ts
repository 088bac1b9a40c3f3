/**
 * Random traces of accesses and table changes in which every invalidation that VT-d software must make
 * is made: whatever the caches' sizes, with eviction and without, with caching mode and without, the
 * unit answers what the slow model (test/support/slow-iommu.ts) says, sets the flags that it must and
 * no others, and its oracle names nothing. SEED=n varies all, TRACES=n runs so many (full: as many as
 * `npm run proof`), TRACE=n one alone.
 */
import { expect, test } from 'vitest'
import { checkTraces, SEED, tracesToRun } from '../support/trace-check.js'
import { expectComplete } from '../support/trace-suite.js'

const TRACES = tracesToRun({ usual: 50_000, full: 500_000 })

test(`the unit is the slow model, part 1 of 2 (SEED=${SEED}, ${TRACES} traces)`, () => {
  const tally = checkTraces('COMPLETE', 0, TRACES)
  expect(tally.traces).toBe(TRACES)
  expectComplete(tally)
})
