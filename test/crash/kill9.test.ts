/**
 * The daemon is killed with SIGKILL at random moments, under load and while it starts, again and
 * again on the same ledger. After each start: nothing that was acknowledged is lost, nothing is
 * held twice or by nobody, what was given back stays given back, whoever asks again with the same
 * request id gets the same answer, and Check finds nothing. ROUNDS=n for more of it, SEED=n for
 * another run.
 */

import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { OperatorClient, PasidClient, rowsOf, type Allocation } from '../../src/client/index.js'
import { seededChance } from '../support/broker-rig-load.js'
import { spawnDaemon, stopAll, temporaryFolder, type ChildDaemon } from '../support/daemon.js'
import { LoadClient } from '../support/load-client.js'

const ROUNDS = Number(process.env['ROUNDS'] ?? 50)
const SEED = Number(process.env['SEED'] ?? 20_261_122)
const CLIENTS = 8
/** Few enough that numbers are granted again and again. */
const WINDOW = { first: 1000, last: 2999 }
const TOML = `[namespace]\nhold = "20ms"\nsession_max_pasids = 200\n`
/** The daemon lives so long under load, at most, before it is killed. */
const LIFE_MS_MAX = 250
/** And so long when it is killed while it starts, about as long as a start takes. */
const START_MS_MAX = 600
const ROUND_MS_MAX = 6000

afterEach(stopAll)

/** What the operator sees, every row once. */
async function look(operator: OperatorClient) {
  const rows: Allocation[] = []
  for await (const row of rowsOf(operator.allocations({ pageSize: 5000 }))) rows.push(row)
  const sessions = new Set<string>()
  for await (const { name } of rowsOf(operator.sessions({ pageSize: 5000 }))) sessions.add(name)
  return { rows, sessions }
}

type Seen = Awaited<ReturnType<typeof look>>

function heldBy(seen: Seen, session: string | undefined): Allocation[] {
  return seen.rows.filter((row) => {
    return row.session === session && row.state !== 'ALLOCATION_STATE_QUARANTINED'
  })
}

/** Numbers that two hold, and sessions and grants that belong to nobody. */
function strays(seen: Seen, clients: readonly LoadClient[]): string[] {
  const wrong: string[] = []
  const numbers = new Set(seen.rows.map(({ pasid }) => pasid))
  if (numbers.size !== seen.rows.length) wrong.push('a number is listed twice')
  const owners = new Map<number, number>()
  for (const { index, held } of clients) {
    for (const pasid of held) {
      const other = owners.get(pasid)
      if (other !== undefined) wrong.push(`${pasid} was given to clients ${other} and ${index}`)
      owners.set(pasid, index)
    }
  }
  const known = new Set(clients.map(({ session }) => session))
  const unknown = [...seen.sessions].filter((name) => !known.has(name))
  const opening = clients.filter(({ openInDoubt }) => openInDoubt).length
  if (unknown.length > opening) wrong.push(`sessions of nobody: ${unknown.join()}`)
  for (const { pasid, state, session } of seen.rows) {
    if (state === 'ALLOCATION_STATE_FREE_PENDING') wrong.push(`${pasid} is stuck on its way`)
    if (state === 'ALLOCATION_STATE_QUARANTINED' || known.has(session)) continue
    wrong.push(`${pasid} is held by ${session}, which is nobody's`)
  }
  return wrong
}

async function judge(daemon: ChildDaemon, clients: readonly LoadClient[]): Promise<string[]> {
  const operator = new OperatorClient({ socket: daemon.adminSocket })
  const info = new PasidClient({ socket: daemon.vmmSocket })
  try {
    const recovered = Number((await info.getServerInfo()).recoveredRevision)
    const seen = await look(operator)
    const wrong: string[] = []
    for (const client of clients) {
      const { session } = client
      const isThere = session !== undefined && seen.sessions.has(session)
      wrong.push(...client.judge(heldBy(seen, session), isThere, recovered))
    }
    wrong.push(...strays(seen, clients))
    for (const client of clients) {
      client.connect(daemon.vmmSocket)
      wrong.push(...(await client.settle(heldBy(seen, client.session))))
    }
    const settled = await look(operator)
    wrong.push(...strays(settled, clients))
    for (const client of clients) {
      const held = heldBy(settled, client.session).map(({ pasid }) => pasid)
      const told = [...client.held].sort((a, b) => a - b)
      if (`${held}` !== `${told}`) wrong.push(`client ${client.index}: holds ${held}, told ${told}`)
    }
    const { consistent, problems } = await operator.check(30_000)
    if (!consistent) wrong.push(...problems.map(({ description }) => description))
    return wrong
  } catch (error) {
    throw new Error(`the daemon said:\n${daemon.output.slice(-4000)}`, { cause: error })
  } finally {
    operator.close()
    info.close()
  }
}

/** Starts it; in some rounds it is killed before that is done, and started again. */
async function start(folder: string, chance: (below: number) => number): Promise<ChildDaemon> {
  while (chance(5) === 0) {
    const early = spawnDaemon({ folder, toml: TOML })
    await sleep(chance(START_MS_MAX))
    await early.stop('SIGKILL')
  }
  const daemon = spawnDaemon({ folder, toml: TOML })
  await daemon.ready()
  return daemon
}

test(`${ROUNDS} rounds of kill -9 (SEED=${SEED})`, {
  timeout: ROUNDS * ROUND_MS_MAX + 30_000,
}, async () => {
  const chance = seededChance(SEED)
  const folder = temporaryFolder()
  const clients = Array.from({ length: CLIENTS }, (_, index) => {
    return new LoadClient(index, seededChance(SEED + index), WINDOW)
  })
  for (let round = 1; round <= ROUNDS; round += 1) {
    const daemon = await start(folder, chance)
    expect(await judge(daemon, clients), `round ${round}`).toEqual([])
    const working = Promise.all(clients.map((client) => client.work(() => false)))
    await sleep(1 + chance(LIFE_MS_MAX))
    await daemon.stop('SIGKILL')
    await working
    for (const client of clients) client.disconnect()
  }
  const last = await start(folder, chance)
  expect(await judge(last, clients), 'after the last round').toEqual([])
  for (const client of clients) client.disconnect()
  expect((await last.stop()).code).toBe(0)
  const total = { calls: 0, doubts: 0, happened: 0, grants: 0 }
  for (const { counts } of clients) {
    for (const key of ['calls', 'doubts', 'happened', 'grants'] as const) {
      total[key] += counts[key]
    }
  }
  process.stdout.write(`kill -9: ${ROUNDS} rounds, ${JSON.stringify(total)}\n`)
  expect(total.doubts).toBeGreaterThan(ROUNDS)
})
