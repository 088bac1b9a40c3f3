/**
 * Many owner processes are killed at once, each with a session full of bound PASIDs: all is taken
 * back, no number is given again before its rest is over, and a session that lives works on as if
 * nothing had happened. A tenth of the size by default, 1000 owners of 1000 PASIDs with SCALE=full.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { OperatorClient, PasidClient } from '../../src/client/index.js'
import { startChild, stopAll, temporaryFolder } from '../support/daemon.js'
import { closeDelegates, Delegate, DELEGATE_TOML, type Vm } from '../support/delegate.js'
import { compared, Living } from '../support/owners-living.js'
import { allocations, FeedWitness, gone, reclaimed, sessionsOf } from '../support/owners-seen.js'
import { NO_COMPILER, Nursery, ownersPossible, stopNurseries } from '../support/owners.js'

const FULL = process.env['SCALE'] === 'full'
const OWNERS = FULL ? 1000 : 100
const EACH = FULL ? 1000 : 100
const HOLD_MS = 300
const FIRST = 256
/** Kept bound by the one that lives, and the room it works in: it comes round to the dead's. */
const KEPT = 64
const SPARE = 1024
const LAST = FIRST + OWNERS * EACH + KEPT + SPARE - 1
/** Of the dead's numbers so many are to be granted again before the test believes it. */
const REUSED = 200
const BEFORE_CALLS = 1000
/** Of what is wrong. */
const SHOWN = 10
const MINUTE = 60_000
const TOML =
  `${DELEGATE_TOML}[namespace]\nhold = "${HOLD_MS}ms"\nreservations = [` +
  `{ first = 1, last = ${FIRST - 1}, reason = "host" }, ` +
  `{ first = ${LAST + 1}, last = 1048575, reason = "not today" }]\n` +
  // The kernel's event alone is to tell of these deaths.
  `[reclaim]\nsweep_interval = "1h"\n`

const clients: { close(): void }[] = []

afterEach(async () => {
  closeDelegates()
  for (const client of clients.splice(0)) client.close()
  stopNurseries()
  await stopAll()
})

/** Numbers of the dead that were granted sooner than a hold after their owner was killed. */
function tooEarly(living: Living, vms: readonly Vm[], killedAt: number): string[] {
  const dead = (pasid: number) => pasid >= FIRST && pasid < FIRST + vms.length * EACH
  return living.grants
    .filter(({ pasid, at }) => dead(pasid) && at < killedAt + HOLD_MS)
    .map(({ pasid, at }) => `${pasid} after ${(at - killedAt).toFixed(1)} ms`)
}

function reusedBy(living: Living): number {
  return living.grants.filter(({ pasid }) => pasid < FIRST + OWNERS * EACH).length
}

/** Half of them stay zombies: an end is an end before anybody waits for it. */
async function killAll(nursery: Nursery, vms: readonly Vm[]): Promise<void> {
  const pids = vms.map(({ pid }) => pid)
  await nursery.end(
    pids.filter((_, at) => at % 2 === 0),
    'ZOMBIES',
  )
  await nursery.end(pids.filter((_, at) => at % 2 === 1))
}

/** Nothing of the dead is held, bound, on its way or resting. */
async function nothingLeft(operator: OperatorClient): Promise<void> {
  expect(await sessionsOf(operator, 'vms')).toEqual([])
  while ((await allocations(operator, 'tenant = vms')).length > 0) await sleep(50)
  const host = await operator.getNamespace()
  expect({ held: host.held, pending: host.freePending }).toEqual({ held: KEPT, pending: 0 })
  expect(await operator.getReclaim()).toMatchObject({
    breakerOpen: false,
    withheldPasids: 0,
    stuckCount: 0,
    watchedOwners: 1,
    unwatchedOwners: 0,
  })
}

test(`kill -9 of ${OWNERS} owners of ${EACH} bound PASIDs each`, {
  timeout: 25 * MINUTE,
}, async (ctx) => {
  const folder = temporaryFolder()
  const nursery = Nursery.start(folder)
  if (nursery === undefined) return ctx.skip(NO_COMPILER)
  const { count, bounds } = ownersPossible(OWNERS)
  ctx.skip(count < OWNERS, `no room for the owners: ${bounds}`)
  const daemon = await startChild({ folder, toml: TOML })
  const operator = new OperatorClient({ socket: daemon.adminSocket, timeoutMs: 5 * MINUTE })
  const delegate = new Delegate(daemon.vmmSocket)
  const own = new PasidClient({ socket: daemon.vmmSocket, timeoutMs: 5 * MINUTE })
  clients.push(operator, own)
  const filled = performance.now()
  const pids = await nursery.fork(OWNERS)
  const vms = await delegate.open(pids, { first: FIRST, each: EACH, bound: EACH })
  const fillMs = performance.now() - filled
  expect(await operator.check(5 * MINUTE)).toMatchObject({
    consistent: true,
    bindings: OWNERS * EACH,
  })

  const living = await Living.open(own, KEPT)
  const feed = new FeedWitness(operator)
  for (const { name, first } of vms) feed.knows(name, first, EACH)
  const began = performance.now()
  living.start()
  await living.until(() => living.grants.length >= BEFORE_CALLS)
  expect(reusedBy(living), 'the living are not given what others hold').toBe(0)

  const killedAt = performance.now()
  await killAll(nursery, vms)
  await gone(operator, 'vms')
  const reclaimedAt = performance.now()
  await living.until(() => reusedBy(living) >= REUSED)
  await living.stop()
  await feed.stop()

  expect(tooEarly(living, vms, killedAt).slice(0, SHOWN)).toEqual([])
  expect({ problems: feed.problems.slice(0, SHOWN), reused: feed.reused > 0 }).toEqual({
    problems: [],
    reused: true,
  })
  expect(await living.problem()).toBe('')
  await nothingLeft(operator)
  const causes = await reclaimed(operator)
  expect([...causes.keys()].sort()).toEqual(vms.map(({ name }) => name).sort())
  expect(new Set(causes.values())).toEqual(new Set(['EXIT']))
  expect(await operator.check(5 * MINUTE)).toMatchObject({ consistent: true, bindings: KEPT })

  const during = (kind: 'allocate' | 'invalidate') =>
    compared(living.between(kind, began, killedAt), living.between(kind, killedAt, reclaimedAt))
  process.stdout.write(
    `  reclaim: ${OWNERS} owners x ${EACH} bound PASIDs, made in ${(fillMs / 1000).toFixed(1)} s, ` +
      `all reclaimed in ${((reclaimedAt - killedAt) / 1000).toFixed(2)} s; ` +
      `${reusedBy(living)} numbers granted again, ${feed.resyncs} resyncs of the feed\n` +
      `  the living meanwhile: allocate ${during('allocate')}; invalidate ${during('invalidate')}\n`,
  )
})
