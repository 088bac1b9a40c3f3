/**
 * Very many sessions, half of whose owners die while the daemon is down. With the kernel's proof
 * (pidfs file handles) exactly those are taken back before it serves again, and the rest go on.
 * Without it the deaths are inferences: tables are cleared, the breaker holds the numbers back over
 * another restart too, and an operator lets them go. 1000 sessions by default, 10 000 with
 * SCALE=full, fewer where the machine has no room.
 */
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import {
  OperatorClient,
  PasidClient,
  PasidError,
  type PasidSession,
} from '../../src/client/index.js'
import { type ChildDaemon, spawnDaemon, stopAll, temporaryFolder } from '../support/daemon.js'
import { closeDelegates, Delegate, DELEGATE_TOML, forAll, type Vm } from '../support/delegate.js'
import {
  allocations,
  audited,
  gone,
  reclaimed,
  scrape,
  sessionsOf,
} from '../support/owners-seen.js'
import {
  compile,
  hasProof,
  NO_COMPILER,
  NO_PROOF,
  Nursery,
  ownersPossible,
  stopNurseries,
} from '../support/owners.js'

const FULL = process.env['SCALE'] === 'full'
const { count: OWNERS, bounds: BOUNDS } = ownersPossible(FULL ? 10_000 : 1000)
/** Of each session: bound ones, and one that is idle. */
const BOUND = 2
const EACH = BOUND + 1
const HOLD_MS = 200
const FIRST = 256
const SPARE = 64
const LAST = FIRST + OWNERS * EACH + SPARE - 1
const IN_FLIGHT = 32
const MINUTE = 60_000
const TOML =
  `${DELEGATE_TOML}[namespace]\nhold = "${HOLD_MS}ms"\nreservations = [` +
  `{ first = 1, last = ${FIRST - 1}, reason = "host" }, ` +
  `{ first = ${LAST + 1}, last = 1048575, reason = "not today" }]\n[reclaim]\n`

const clients: { close(): void }[] = []

afterEach(async () => {
  closeDelegates()
  for (const client of clients.splice(0)) client.close()
  stopNurseries()
  await stopAll()
})

/** A daemon with clients of its own. */
class Run {
  startMs = 0
  readonly daemon: ChildDaemon

  constructor(folder: string, toml: string, environment: NodeJS.ProcessEnv = {}) {
    this.daemon = spawnDaemon({ folder, toml: TOML + toml, environment })
  }

  async ready(): Promise<this> {
    const began = performance.now()
    await this.daemon.ready()
    this.startMs = performance.now() - began
    return this
  }

  operator(): OperatorClient {
    const { adminSocket: socket } = this.daemon
    const operator = new OperatorClient({ socket, timeoutMs: 5 * MINUTE })
    clients.push(operator)
    return operator
  }

  client(): PasidClient {
    const { vmmSocket: socket } = this.daemon
    const client = new PasidClient({ socket, timeoutMs: 5 * MINUTE })
    clients.push(client)
    return client
  }
}

interface Halves {
  readonly dead: readonly Vm[]
  readonly alive: readonly Vm[]
}

/** Sessions for as many owners; every other one dies while the daemon is down. */
async function halved(run: Run, nursery: Nursery): Promise<Halves> {
  const delegate = new Delegate(run.daemon.vmmSocket)
  const pids = await nursery.fork(OWNERS)
  const vms = await delegate.open(pids, { first: FIRST, each: EACH, bound: BOUND })
  delegate.close()
  await run.daemon.stop('SIGKILL')
  return {
    dead: vms.filter((_, at) => at % 2 === 1),
    alive: vms.filter((_, at) => at % 2 === 0),
  }
}

function names(vms: readonly { readonly name: string }[]): string[] {
  return vms.map(({ name }) => name).sort()
}

function numbersOf(vms: readonly Vm[]): number[] {
  return vms.flatMap(({ first }) => Array.from({ length: EACH }, (_, at) => first + at))
}

/** Each of the living is whole: as its delegate sees it, with its token, and on the device. */
async function untouched(delegate: Delegate, alive: readonly Vm[]): Promise<void> {
  const caches = ['INVALIDATION_CACHE_IOTLB' as const]
  await forAll(alive, IN_FLIGHT, async (vm) => {
    const session = delegate.session(vm)
    const { state, heldPasids, bindings, lostBindings } = await session.get()
    expect({ state, heldPasids, bindings, lostBindings }).toEqual({
      state: 'SESSION_STATE_OPEN',
      heldPasids: EACH,
      bindings: BOUND,
      lostBindings: 0,
    })
    expect((await session.invalidate([{ pasid: { pasid: vm.first }, caches }])).done).toBe(1)
  })
}

/** Answers with how many of their owners are watched. */
async function resumeAll(delegate: Delegate, run: Run, alive: readonly Vm[]): Promise<number> {
  const { incarnation } = await delegate.client.getServerInfo()
  const resumed = await forAll(alive, IN_FLIGHT, (vm) => delegate.resume(vm))
  expect(new Set(resumed.map((one) => one?.incarnation))).toEqual(new Set([incarnation]))
  const { watchedOwners, unwatchedOwners, breakerOpen } = await run.operator().getReclaim()
  expect({ owners: watchedOwners + unwatchedOwners, breakerOpen }).toEqual({
    owners: alive.length,
    breakerOpen: false,
  })
  return watchedOwners
}

test(`restart with ${OWNERS} sessions, half of whose owners died`, {
  timeout: 20 * MINUTE,
}, async (ctx) => {
  const folder = temporaryFolder()
  const nursery = Nursery.start(folder)
  if (nursery === undefined) return ctx.skip(NO_COMPILER)
  ctx.skip(!hasProof(), NO_PROOF)
  ctx.skip(OWNERS < 100, `no room for owners: ${BOUNDS}`)
  const { dead, alive } = await halved(await new Run(folder, '').ready(), nursery)
  const pids = dead.map(({ pid }) => pid)
  // A few that nobody has waited for: they have ended all the same.
  const zombies = pids.slice(0, Math.ceil(pids.length / 10))
  await nursery.end(zombies, 'ZOMBIES')
  await nursery.end(pids.slice(zombies.length))

  const run = await new Run(folder, '').ready()
  const operator = run.operator()
  expect(names(await sessionsOf(operator, 'vms'))).toEqual(names(alive))
  const causes = await reclaimed(operator)
  expect([...causes.keys()].sort()).toEqual(names(dead))
  expect(new Set(causes.values())).toEqual(new Set(['SWEEP']))
  const active = await allocations(operator, 'tenant = vms AND state = ACTIVE')
  expect(active).toHaveLength(alive.length * BOUND)
  expect(await operator.check(5 * MINUTE)).toMatchObject({
    consistent: true,
    sessions: alive.length,
    bindings: alive.length * BOUND,
    allocations: alive.length * EACH,
  })
  const delegate = new Delegate(run.daemon.vmmSocket)
  await untouched(delegate, alive)
  const watched = await resumeAll(delegate, run, alive)
  const metrics = await scrape(run.daemon.adminSocket)
  expect(Object.fromEntries(metrics)).toMatchObject({
    'pasid_reclaimed_sessions_total{cause="sweep"}': dead.length,
    'pasid_reclaimed_total{cause="sweep"}': dead.length * EACH,
    'pasid_allocated{scope="HOST"}': alive.length * EACH,
    pasid_sessions: alive.length,
    pasid_owners_watched: watched,
    pasid_breaker_open: 0,
    pasid_withheld: 0,
    pasid_lost_bindings_total: 0,
  })

  // Watched again: the next death is the kernel's to tell.
  const began = performance.now()
  await nursery.end(alive.map(({ pid }) => pid))
  await gone(operator, 'vms')
  const seconds = ((performance.now() - began) / 1000).toFixed(2)
  process.stdout.write(
    `  restart: ${OWNERS} sessions (${BOUNDS}); serving after ${run.startMs.toFixed(0)} ms with the ` +
      `${dead.length} dead taken back (${zombies.length} zombies) and ${alive.length} resumed, ` +
      `${watched} watched; those reclaimed at once in ${seconds} s\n`,
  )
})

/** Takes one after the other until nothing is free; answers with what it got. */
async function exhaust(session: PasidSession): Promise<number[]> {
  const got: number[] = []
  for (;;) {
    try {
      const { ranges } = await session.allocatePasids({ one: {} })
      got.push(...ranges.map(({ first }) => first))
    } catch (error) {
      if (error instanceof PasidError && error.reason === 'NAMESPACE_EXHAUSTED') return got
      throw error
    }
  }
}

/** The dead by how their end was found, when all have been found. */
async function judged(operator: OperatorClient, dead: readonly Vm[]) {
  for (;;) {
    const causes = await reclaimed(operator)
    const of = (cause: string) => dead.filter(({ name }) => causes.get(name) === cause)
    const [inferred, proven] = [of('INFERRED'), of('SWEEP')]
    expect(causes.size).toBe(inferred.length + proven.length)
    if (causes.size === dead.length) return { inferred, proven }
    await sleep(100)
  }
}

/** What is withheld is all there, bound nowhere, and nobody's. */
async function withheld(run: Run, inferred: readonly Vm[]): Promise<void> {
  const operator = run.operator()
  expect(await operator.getReclaim()).toMatchObject({
    breakerOpen: true,
    withheldSessions: inferred.length,
    withheldPasids: inferred.length * EACH,
    stuckCount: 0,
  })
  const closing = (await sessionsOf(operator, 'vms')).filter((row) => row.withheld)
  expect(names(closing)).toEqual(names(inferred))
  for (const { state, cause, bindings, devices } of closing) {
    expect({ state, cause, bindings, devices }).toEqual({
      state: 'SESSION_STATE_CLOSING',
      cause: 'END_CAUSE_INFERRED',
      bindings: 0,
      devices: [],
    })
  }
  const pending = await allocations(operator, 'state = FREE_PENDING')
  expect(pending.map(({ pasid }) => pasid)).toEqual(numbersOf(inferred).sort((a, b) => a - b))
  expect(Object.fromEntries(await scrape(run.daemon.adminSocket))).toMatchObject({
    pasid_breaker_open: 1,
    pasid_withheld: inferred.length * EACH,
  })
}

/** None of those numbers is given, however much is asked for and however long. */
async function notGiven(session: PasidSession, numbers: readonly number[]): Promise<void> {
  const taken = new Set(numbers)
  const got = await exhaust(session)
  await sleep(2 * HOLD_MS)
  got.push(...(await exhaust(session)))
  expect(got.length).toBeGreaterThanOrEqual(SPARE)
  expect(got.filter((pasid) => taken.has(pasid))).toEqual([])
  await session.freePasids({ range: { first: FIRST, last: LAST } })
}

test(`the same without the kernel’s proof: ${OWNERS} sessions, and the breaker`, {
  timeout: 20 * MINUTE,
}, async (ctx) => {
  const folder = temporaryFolder()
  const nursery = Nursery.start(folder)
  if (nursery === undefined) return ctx.skip(NO_COMPILER)
  const shim = compile(folder, 'blind', '-shared', '-fPIC')
  if (shim === undefined) return ctx.skip(NO_COMPILER)
  ctx.skip(OWNERS < 100, `no room for owners: ${BOUNDS}`)
  const { dead, alive } = await halved(await new Run(folder, '').ready(), nursery)
  await nursery.end(dead.map(({ pid }) => pid))

  const sweeps = 'sweep_interval = "500ms"\n'
  const blind = await new Run(folder, sweeps, { LD_PRELOAD: path.resolve(shim) }).ready()
  // By another who has the pid of one of the dead meanwhile, the death of that one is proven.
  const { inferred, proven } = await judged(blind.operator(), dead)
  expect(inferred.length).toBeGreaterThan(OWNERS / 4)
  await gone(blind.operator(), 'vms', alive.length + inferred.length)
  expect(await audited(blind.operator(), 'BREAKER_OPENED')).toHaveLength(1)
  await withheld(blind, inferred)
  const delegate = new Delegate(blind.daemon.vmmSocket)
  await untouched(delegate, alive)
  const session = await blind.client().openSession()
  await notGiven(session, numbersOf(inferred))
  expect(await blind.operator().check(5 * MINUTE)).toMatchObject({ consistent: true })
  await blind.daemon.stop('SIGKILL')

  // What is withheld stays so, also for a daemon that could prove it now.
  const run = await new Run(folder, sweeps).ready()
  const operator = run.operator()
  await withheld(run, inferred)
  expect(await operator.resumeReclaim({ reason: 'looked at each of them' })).toMatchObject({
    sessions: inferred.length,
    pasids: inferred.length * EACH,
  })
  await gone(operator, 'vms', alive.length)
  expect(names(await sessionsOf(operator, 'vms'))).toEqual(names(alive))
  expect(await operator.getReclaim()).toMatchObject({ breakerOpen: false, withheldSessions: 0 })
  expect((await audited(operator, 'RESUME_RECLAIM')).map(({ cause }) => cause)).toEqual([
    'looked at each of them',
  ])
  while ((await operator.getNamespace()).quarantined > 0) await sleep(50)
  expect((await operator.getNamespace()).free).toBe(dead.length * EACH + SPARE)
  await untouched(new Delegate(run.daemon.vmmSocket), alive)
  expect(await operator.check(5 * MINUTE)).toMatchObject({ consistent: true })
  process.stdout.write(
    `  restart without proof: ${OWNERS} sessions (${BOUNDS}); serving after ` +
      `${blind.startMs.toFixed(0)} ms; of ${dead.length} dead ${inferred.length} inferred and held ` +
      `back over another restart, ${proven.length} proven by pids given again; ` +
      `${inferred.length * EACH} numbers went to rest when told to\n`,
  )
})
