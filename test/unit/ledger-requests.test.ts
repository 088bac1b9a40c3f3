/**
 * Request ids on the disk: none is forgotten before memory may forget it, and they do not pile up.
 */

import { expect, test } from 'vitest'
import type { Event } from '../../src/core/events.js'
import { sessionId, wallMs } from '../../src/core/ids.js'
import { REQUEST_IDS_KEPT_MIN, REQUEST_ID_AGE_MS_MIN } from '../../src/core/limits.js'
import type { RequestRecord } from '../../src/core/requests.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import { PRUNE_AFTER_ROWS } from '../../src/ledger/sqlite/pruner.js'
import { AT, changesAfter, closed, kept, opened, session } from '../support/ledger-events.js'
import { LedgerDirectory } from '../support/ledger-home.js'

const OLD = AT
const NEW = wallMs(AT + REQUEST_ID_AGE_MS_MIN)

async function keep(
  ledger: Ledger,
  count: number,
  other: Partial<RequestRecord>,
  batch = 200,
): Promise<void> {
  for (let left = count; left > 0; left -= batch) {
    const made = Array.from({ length: Math.min(batch, left) }, () => (revision: number) => [
      kept(revision, other),
    ])
    await ledger.append(changesAfter(ledger, ...made))
  }
}

const nothing = (ledger: Ledger) => ledger.append(changesAfter(ledger, [] as Event[]))

async function revisionsOf(ledger: Ledger): Promise<number[]> {
  return [...(await ledger.load()).requests.revision]
}

test('old ones beyond the newest go, a few at a time, and the newest stay', async () => {
  const directory = new LedgerDirectory()
  const ledger = await directory.openFilled()
  await keep(ledger, 3000, { at: OLD })
  const all = await revisionsOf(ledger)
  expect(all).toHaveLength(3000)
  await keep(ledger, PRUNE_AFTER_ROWS, { at: NEW })
  for (let i = 0; i < 4; i += 1) await nothing(ledger)
  const left = await revisionsOf(ledger)
  expect(left).toHaveLength(REQUEST_IDS_KEPT_MIN)
  const newest = await ledger.load()
  expect(left.at(-1)).toBe(newest.revision - 4)
  expect(left.every((revision, i) => i === 0 || revision === (left[i - 1] ?? 0) + 1)).toBe(true)
  await ledger.close()
})

test('young ones stay however many they are', async () => {
  const ledger = await new LedgerDirectory().openFilled()
  await keep(ledger, 2000, { at: NEW })
  for (let i = 0; i < 4; i += 1) await nothing(ledger)
  expect(await revisionsOf(ledger)).toHaveLength(2000)
  await ledger.close()
})

test('what a former process left too many is found by the load', async () => {
  const directory = new LedgerDirectory()
  const first = await directory.openFilled()
  await keep(first, 1500, { at: OLD }, 1500)
  await keep(first, 1, { at: NEW })
  await first.close()
  const second = await directory.open()
  await second.load()
  await nothing(second)
  expect(await revisionsOf(second)).toHaveLength(REQUEST_IDS_KEPT_MIN)
  await second.close()
})

test('owners are apart, and those of a closed session are gone at once', async () => {
  const directory = new LedgerDirectory()
  const ledger = await directory.openFilled()
  const two = session(2)
  await ledger.append(changesAfter(ledger, [opened(two)]))
  await keep(ledger, 1100, { at: OLD, session: undefined, method: 'OpenSession' })
  await keep(ledger, 2500, { at: NEW, session: sessionId(2) }, 2500)
  await keep(ledger, 5, { at: OLD })
  await ledger.append(changesAfter(ledger, [closed(two)]))
  const { requests } = await ledger.load()
  expect(requests.session.filter((owner) => owner === 2)).toHaveLength(0)
  expect(requests.session.filter((owner) => owner === 1)).toHaveLength(5)
  expect(requests.session.filter((owner) => owner === 0)).toHaveLength(1100)
  expect(requests.revision).toHaveLength(1105)

  // The first slice went with the close; the rest outlives the process and goes in slices too.
  await ledger.close()
  const rows = () => directory.query('SELECT count(*) AS n FROM request WHERE owner = 2')
  expect(rows()).toEqual([{ n: 2500 - 1024 }])
  const again = await directory.open()
  await again.load()
  for (let i = 0; i < 2; i += 1) await nothing(again)
  await again.close()
  expect(rows()).toEqual([{ n: 0 }])
})
