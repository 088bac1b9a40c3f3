/**
 * Watching changes: durable ones only, each once and in order, from a revision that is still kept;
 * who falls behind is told so.
 */

import { afterAll, afterEach, expect, test } from 'vitest'
import type { WatchCursor } from '../../src/broker/answers.js'
import type { Pasid } from '../../src/core/ids.js'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'
import { codeOf, ok } from '../support/broker-rig-vm.js'

let rig: BrokerRig | undefined

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})
afterAll(removeFolders)

const KEPT = 8

async function up(): Promise<BrokerRig> {
  rig = await BrokerRig.start({ watch: { watchersMax: 3, changesKept: KEPT } })
  return rig
}

/** So many changes, each a commit of its own. */
async function change(on: BrokerRig, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await on.vm()
}

function read(cursor: WatchCursor): (number | string)[] {
  const seen: (number | string)[] = []
  for (;;) {
    const step = cursor.next()
    if (step === undefined) return seen
    seen.push(step.kind === 'change' ? step.change.revision : `resync ${step.revision}`)
  }
}

test('every change once and in order, and a wake after each time there was none', async () => {
  const on = await up()
  const { revision } = on.broker.state
  let woken = 0
  const cursor = ok(on.broker.watch(undefined, () => (woken += 1)))
  expect(read(cursor)).toEqual([])
  await change(on, 3)
  expect(woken).toBe(3)
  expect(read(cursor)).toEqual([revision + 1, revision + 2, revision + 3])
  expect(cursor.revision).toBe(revision + 3)
  cursor.close()
  await change(on, 1)
  expect(woken).toBe(3)
})

test('from a revision: what is kept, up to the bound; one past it is a resync', async () => {
  const on = await up()
  await change(on, KEPT + 3)
  const newest = on.broker.state.revision
  const last = Array.from({ length: KEPT }, (_, i) => newest - KEPT + 1 + i)
  const from = (revision: number) => ok(on.broker.watch(revision, () => undefined))
  const bound = from(newest - KEPT)
  expect(read(bound)).toEqual(last)
  bound.close()
  const past = from(newest - KEPT - 1)
  expect(read(past)).toEqual([`resync ${newest}`])
  await change(on, 1)
  expect(read(past)).toEqual([newest + 1])
  const beyond = from(newest + 500)
  expect(read(beyond)).toEqual([`resync ${newest + 1}`])
})

test('who falls behind by more than is kept is told once, and goes on', async () => {
  const on = await up()
  const slow = ok(on.broker.watch(undefined, () => undefined))
  const at = slow.revision
  await change(on, KEPT)
  expect(slow.next()).toMatchObject({ kind: 'change', change: { revision: at + 1 } })
  await change(on, 2)
  const step = slow.next()
  expect(step).toMatchObject({ kind: 'resync', revision: at + KEPT + 2 })
  expect(step?.kind === 'resync' && step.reason).toMatch(/not kept/)
  expect(read(slow)).toEqual([])
})

test('of large changes fewer are kept, but always the newest', async () => {
  const on = await up()
  const vm = await on.vm()
  const apart = Array.from({ length: 1000 }, (_, i) => (1000 + 2 * i) as Pasid)
  const cursor = ok(on.broker.watch(undefined, () => undefined))
  ok(await vm.allocate({ ask: { kind: 'EXACT', pasids: apart } }))
  expect(read(cursor)).toEqual([cursor.revision])
  const from = cursor.revision
  await change(on, 2)
  // A thousand runs are more than may be kept of eight changes: what came after them is.
  expect(read(ok(on.broker.watch(from, () => undefined)))).toEqual([from + 1, from + 2])
  expect(read(ok(on.broker.watch(from - 1, () => undefined)))).toEqual([`resync ${from + 2}`])
})

test('nothing of before a restart is kept', async () => {
  const on = await up()
  await change(on, 2)
  rig = await on.restart()
  const newest = rig.broker.state.revision
  expect(read(ok(rig.broker.watch(newest, () => undefined)))).toEqual([])
  expect(read(ok(rig.broker.watch(newest - 1, () => undefined)))).toEqual([`resync ${newest}`])
})

test('so many watchers and no more, until one goes', async () => {
  const on = await up()
  const cursors = [1, 2, 3].map(() => ok(on.broker.watch(undefined, () => undefined)))
  const refused = on.broker.watch(undefined, () => undefined)
  expect(refused).toEqual({
    ok: false,
    refusal: { code: 'OVERLOADED', limit: 3, what: 'watchers' },
  })
  cursors[1]?.close()
  cursors[1]?.close()
  ok(on.broker.watch(undefined, () => undefined))
  expect(codeOf(on.broker.watch(undefined, () => undefined))).toBe('OVERLOADED')
})

test.each(['NOT_WRITTEN', 'UNKNOWN_NOT_WRITTEN', 'UNKNOWN_WRITTEN'] as const)(
  '%s: what was undone is never told, what is on the disk is, once',
  async (how) => {
    const on = await up()
    const vm = await on.vm()
    const pasid = await vm.one()
    const cursor = ok(on.broker.watch(undefined, () => undefined))
    on.ledger.plan({ nth: 1, how, reopenFailures: 2 })
    const grant = vm.allocate()
    expect(codeOf(await grant)).toBe('LEDGER_UNAVAILABLE')
    ok(await vm.free([pasid]))
    await on.passUntil(() => on.broker.info().writable)
    await on.settled()
    await vm.one()
    const kinds: string[] = []
    let revision = cursor.revision
    for (let step = cursor.next(); step !== undefined; step = cursor.next()) {
      if (step.kind !== 'change') throw new Error('nothing was missed')
      revision += 1
      expect(step.change.revision).toBe(revision)
      kinds.push(...step.change.events.map(({ kind }) => kind))
    }
    const found = how === 'UNKNOWN_WRITTEN' ? ['granted'] : []
    expect(kinds).toEqual([...found, 'released', 'granted'])
    expect(revision).toBe(on.broker.state.revision)
  },
)
