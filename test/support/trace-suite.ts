/**
 * What a file of traces expects of a run beyond each trace's property: that the run has met what it is
 * for. A trace whose caches never answered, or never wrongly, would show nothing.
 */
import process from 'node:process'
import { expect } from 'vitest'
import { SLOW_FAULTS } from './slow-faults.js'
import type { Tally } from './trace-check.js'

/** What may be left out. */
const KINDS = [
  'CONTEXT',
  'DEVICE_TLB',
  'IOTLB',
  'IOTLB (IH wrongly)',
  'IOTLB (IH)',
  'PASID',
  'PIOTLB',
  'PIOTLB (IH wrongly)',
  'PIOTLB (IH)',
]

/** Below this a run is too short for the shares to be more than chance. */
const COUNTED = 20_000

/** No trace makes these: requests to execute, and a root table that is not memory. */
const NEVER: readonly number[] = [
  SLOW_FAULTS.EXECUTE_NOT_ENABLED.code,
  SLOW_FAULTS.ROOT_ENTRY_UNREADABLE.code,
]

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

function tell(tally: Tally): void {
  const { traces, accesses, sources, left, stale, staleAccesses, named, replayed, secondHand } =
    tally
  const shown = {
    traces,
    accesses,
    sources,
    left,
    stale,
    staleAccesses,
    named,
    replayed,
    secondHand,
  }
  process.stdout.write(`${JSON.stringify(shown)}\n`)
}

/** Every cache has answered, and every fault was met. */
export function expectComplete(tally: Tally): void {
  tell(tally)
  expect(tally.staleAccesses).toBe(0)
  expect(tally.named).toBe(0)
  if (tally.traces < COUNTED) return
  for (const source of ['DEVICE_TLB', 'IOTLB', 'TABLES']) {
    expect(tally.sources[source] ?? 0, source).toBeGreaterThan(tally.accesses / 30)
  }
  const codes = new Set(Object.values(SLOW_FAULTS).map(({ code }) => code as number))
  const missing = [...codes].filter((code) => !NEVER.includes(code) && !tally.faults.has(code))
  expect(missing.map((code) => code.toString(16))).toEqual([])
}

/** Enough of the traces really met what was left out, of every kind. */
export function expectStale(tally: Tally): void {
  tell(tally)
  if (tally.traces < COUNTED) return
  expect(sum(tally.stale)).toBeGreaterThan(tally.traces / 5)
  for (const [kind, left] of Object.entries(tally.left)) {
    expect(tally.stale[kind] ?? 0, kind).toBeGreaterThan(left / 20)
  }
  expect(Object.keys(tally.left).sort()).toEqual(KINDS)
  expect(tally.named).toBeGreaterThan(tally.staleAccesses - tally.unblamed)
  expect(tally.replayed).toBeGreaterThan(tally.traces / 50)
  expect(tally.secondHand).toBeLessThan(tally.staleAccesses / 100)
  expect(tally.unblamed).toBeLessThan(tally.staleAccesses / 100)
}
