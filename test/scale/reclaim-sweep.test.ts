/**
 * Sweeps beside a full HOST namespace that very many sessions hold, most of whose owners the daemon
 * has no descriptor to watch: each sweep keeps to its bounds, the passes go round all, whoever dies
 * is found by them alone, and the calls of the living are served meanwhile. 1000 sessions by
 * default, 10 000 with SCALE=full.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { OperatorClient, PasidClient, type Reclaim } from '../../src/client/index.js'
import { ownerBudget } from '../../src/daemon/owners.js'
import { type ChildDaemon, spawnDaemon, stopAll, temporaryFolder } from '../support/daemon.js'
import { closeDelegates, Delegate, DELEGATE_TOML } from '../support/delegate.js'
import { compared, Living, quantiles, type Quantiles } from '../support/owners-living.js'
import { allocations, gone, reclaimed, sessionsOf } from '../support/owners-seen.js'
import {
  hasProof,
  NO_COMPILER,
  NO_PROOF,
  Nursery,
  ownersPossible,
  stopNurseries,
} from '../support/owners.js'

const FULL = process.env['SCALE'] === 'full'
const { count: OWNERS, bounds: BOUNDS } = ownersPossible(FULL ? 10_000 : 1000)
const FIRST = 256
const KEPT = 64
const SPARE = 512
const EACH = FULL ? Math.floor((2 ** 20 - FIRST - KEPT - SPARE) / Math.max(1, OWNERS)) : 100
const LAST = FIRST + OWNERS * EACH + KEPT + SPARE - 1
const DYING = Math.floor(OWNERS / 10)
/** Descriptors of the daemon: for a fifth or less of the owners. */
const FILES = 512
/** The least that the configuration takes; a pass needs several sweeps. */
const BUDGET_MS = 10
const SWEEP_SESSIONS = 300
/** Owners looked at before the clock is read again, as in src/broker/sweep-pass.ts. */
const STRETCH = 64
const SWEEPS_SEEN = 20
const CALLS = 500
const MINUTE = 60_000

const clients: { close(): void }[] = []

afterEach(async () => {
  closeDelegates()
  for (const client of clients.splice(0)) client.close()
  stopNurseries()
  await stopAll()
})

async function start(folder: string, interval: string): Promise<ChildDaemon> {
  const toml =
    `${DELEGATE_TOML}[namespace]\nhold = "100ms"\nreservations = [` +
    `{ first = 1, last = ${FIRST - 1}, reason = "host" }, ` +
    `{ first = ${LAST + 1}, last = 1048575, reason = "not today" }]\n[reclaim]\n` +
    `sweep_interval = "${interval}"\nsweep_budget = "${BUDGET_MS}ms"\n` +
    `sweep_sessions = ${SWEEP_SESSIONS}\n`
  const before = ['sh', '-c', `ulimit -n ${FILES} && exec "$@"`, 'sh']
  const daemon = spawnDaemon({ folder, toml, before })
  await daemon.ready()
  return daemon
}

function clientsOf({ adminSocket, vmmSocket }: ChildDaemon) {
  const operator = new OperatorClient({ socket: adminSocket, timeoutMs: MINUTE })
  const own = new PasidClient({ socket: vmmSocket, timeoutMs: MINUTE })
  clients.push(operator, own)
  return { operator, own }
}

/** What the calls of a working session took, until there have been so many and that is so. */
async function measure(living: Living, isSo: () => boolean) {
  const began = performance.now()
  living.start()
  await living.until(() => living.grants.length >= CALLS && isSo())
  await living.stop()
  const of = (kind: 'allocate' | 'invalidate') => living.between(kind, began, performance.now())
  return { allocate: of('allocate'), invalidate: of('invalidate') }
}

interface SeenSweep {
  readonly looked: number
  readonly tookMs: number
  readonly unfinished: number
  /** When a pass was last whole. */
  readonly passAt: string
}

function sweepIn({ sweepLooked, sweepTime, unfinishedSweeps, passTime }: Reclaim): SeenSweep {
  const tookMs = Number(sweepTime?.seconds ?? 0) * 1000 + (sweepTime?.nanos ?? 0) / 1e6
  const passAt = `${passTime?.seconds}.${passTime?.nanos}`
  return { looked: sweepLooked, tookMs, unfinished: unfinishedSweeps, passAt }
}

/** Every sweep that it happens to see, in order. */
class SweepWatch {
  readonly seen: SeenSweep[] = []
  #over = false
  readonly #done: Promise<void>

  constructor(private readonly operator: OperatorClient) {
    this.#done = this.#follow()
    // Told by stop(); a test that has failed does not get there.
    this.#done.catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#done
  }

  get passes(): number {
    return new Set(this.seen.map(({ passAt }) => passAt)).size - 1
  }

  async #follow(): Promise<void> {
    while (!this.#over) {
      const sweep = sweepIn(await this.operator.getReclaim())
      if (JSON.stringify(sweep) !== JSON.stringify(this.seen.at(-1))) this.seen.push(sweep)
      await sleep(20)
    }
  }
}

/**
 * By the daemon's own clock, which it reads after every stretch: the time is at most the budget and
 * what the last stretch took. Said of the median, since a stretch may be as long as this machine is
 * busy with something else.
 */
function withinBounds(sweeps: readonly SeenSweep[]): Quantiles {
  for (const { looked } of sweeps) expect(looked).toBeLessThanOrEqual(SWEEP_SESSIONS)
  const beyond = sweeps.map(
    ({ looked, tookMs }) => tookMs - (tookMs * STRETCH) / Math.max(looked, 1),
  )
  expect(quantiles(beyond).p50).toBeLessThanOrEqual(BUDGET_MS)
  return quantiles(sweeps.map(({ tookMs }) => tookMs))
}

test(`sweeps over ${OWNERS} owners of ${OWNERS * EACH} numbers`, {
  timeout: 20 * MINUTE,
}, async (ctx) => {
  const folder = temporaryFolder()
  const nursery = Nursery.start(folder)
  if (nursery === undefined) return ctx.skip(NO_COMPILER)
  ctx.skip(!hasProof(), NO_PROOF)
  ctx.skip(OWNERS < 100, `no room for owners: ${BOUNDS}`)
  const first = await start(folder, '1h')
  const delegate = new Delegate(first.vmmSocket)
  const pids = await nursery.fork(OWNERS)
  const vms = await delegate.open(pids, { first: FIRST, each: EACH, bound: 1 })
  const still = clientsOf(first)
  const before = await measure(await Living.open(still.own, KEPT), () => true)
  expect((await still.operator.getNamespace()).held).toBe(OWNERS * EACH + KEPT)
  await first.stop('SIGKILL')

  const daemon = await start(folder, '100ms')
  const { operator, own } = clientsOf(daemon)
  const watch = new SweepWatch(operator)
  // The one from before is this process's too, and keeps what it kept.
  const living = await Living.open(own, 1)
  const during = await measure(living, () => watch.seen.length > SWEEPS_SEEN && watch.passes > 1)
  const took = withinBounds(watch.seen.slice(1))

  // The last of them are beyond the budget of descriptors: sweeps alone look after them.
  const budget = ownerBudget(FILES)
  const { watchedOwners, unwatchedOwners } = await operator.getReclaim()
  // The two sessions of this process take one descriptor.
  expect(watchedOwners).toBeLessThanOrEqual(budget + 1)
  expect(watchedOwners + unwatchedOwners).toBe(OWNERS + 2)
  const dying = vms.slice(-DYING)
  const killedAt = performance.now()
  await nursery.end(dying.map(({ pid }) => pid))
  await gone(operator, 'vms', OWNERS - DYING)
  const found = ((performance.now() - killedAt) / 1000).toFixed(2)
  await watch.stop()
  const causes = await reclaimed(operator)
  expect([...causes.keys()].sort()).toEqual(dying.map(({ name }) => name).sort())
  expect(new Set(causes.values())).toEqual(new Set(['SWEEP']))
  const left = vms.slice(0, -DYING).map(({ name }) => name)
  expect((await sessionsOf(operator, 'vms')).map(({ name }) => name).sort()).toEqual(left.sort())
  const held = await allocations(operator, 'tenant = vms AND state = ACTIVE')
  expect(held).toHaveLength(left.length)
  expect(await operator.check(MINUTE)).toMatchObject({ consistent: true })
  process.stdout.write(
    `  sweeps: ${OWNERS} owners (${BOUNDS}), ${watchedOwners} watched, ${OWNERS * EACH} numbers; ` +
      `${watch.seen.length} sweeps seen of at most ${SWEEP_SESSIONS} owners and ${BUDGET_MS} ms: ` +
      `p50 ${took.p50.toFixed(1)} ms, longest ${took.p99.toFixed(1)} ms; ` +
      `${DYING} that died found and taken back in ${found} s\n` +
      `  the living beside sweeps: allocate ${compared(before.allocate, during.allocate)}; ` +
      `invalidate ${compared(before.invalidate, during.invalidate)}\n`,
  )
})
