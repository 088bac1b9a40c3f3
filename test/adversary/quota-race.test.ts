/**
 * 64 clients of one tenant, each with a connection and a session of its own, race at the tenant's
 * limit over the wire, again and again. In every round exactly as many numbers are granted as the
 * limit allows: never one over, never one short. ROUNDS=n for more, SEED=n for another run.
 */
import process from 'node:process'
import { afterEach, expect, test } from 'vitest'
import { OperatorClient } from '../../src/client/index.js'
import { Agents } from '../support/adversary-agents.js'
import { collect } from '../support/adversary-world.js'
import { seededChance } from '../support/broker-rig-load.js'
import { startChild, stopAll, temporaryFolder } from '../support/daemon.js'

const ROUNDS = Number(process.env['ROUNDS'] ?? 500)
const SEED = Number(process.env['SEED'] ?? 20_261_126)
const PROCESSES = 4
const CLIENTS = 64
const EACH = CLIENTS / PROCESSES
const LIMIT = 24
/** So many rounds are between two looks at what the operator sees. */
const LOOK_EVERY = 50
/** In one of so many rounds, some give back while others ask. */
const MIX_EVERY = 16
const ROUND_MS_MAX = 400
const TENANT = 'racing'
const FULL = 'QUOTA_EXCEEDED TENANT'

/** Free numbers rest for no time: what was given back is there for the next round. */
const TOML = `[daemon]
vmm_tenant = "${TENANT}"
[namespace]
hold = "0ms"
[limits]
calls_per_second = 0
[[tenant]]
name = "${TENANT}"
max_pasids = ${LIMIT}
`

interface Asked {
  readonly size: number
  readonly granted: number
  readonly why: string
}

interface Mixed {
  readonly freed: number
  readonly granted: number
}

let agents: Agents | undefined
let operator: OperatorClient | undefined

afterEach(async () => {
  await agents?.stop()
  operator?.close()
  await stopAll()
})

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/**
 * More asks for one number than the limit has, so that it can be reached whatever the others got.
 */
function asksOf(chance: (below: number) => number): number[] {
  const asks = Array.from({ length: CLIENTS }, (_, i) => (i < LIMIT + 8 ? 1 : 2 ** chance(4)))
  for (let i = asks.length - 1; i > 0; i -= 1) {
    const j = chance(i + 1)
    ;[asks[i], asks[j]] = [asks[j] ?? 1, asks[i] ?? 1]
  }
  return asks
}

class Race {
  asks = 0
  refused = 0

  constructor(
    private readonly racers: Awaited<ReturnType<Agents['start']>>[],
    private readonly chance: (below: number) => number,
  ) {}

  /** All processes at once, each with its part of the list. */
  async #all<T>(step: string, list: readonly number[]): Promise<T[]> {
    const parts = this.racers.map((racer, i) => {
      return racer.ask<T[]>('race', { step, asks: list.slice(i * EACH, (i + 1) * EACH) })
    })
    return (await Promise.all(parts)).flat()
  }

  /** From nothing to the limit: what is granted, and what is refused and why. */
  async fill(): Promise<number> {
    const answers = await this.#all<Asked>('allocate', asksOf(this.chance))
    const refusals = answers.filter(({ granted }) => granted === 0)
    this.asks += answers.length
    this.refused += refusals.length
    expect([...new Set(refusals.map(({ why }) => why))]).toEqual([FULL])
    for (const { size, granted } of answers) expect([0, size]).toContain(granted)
    return sum(answers.map(({ granted }) => granted))
  }

  /** Some give back while others ask: then the rest up to the limit is there, and not one more. */
  async mix(): Promise<number> {
    const signs = Array.from({ length: CLIENTS }, () => this.chance(3))
    const mixed = await this.#all<Mixed>('mix', signs)
    this.asks += mixed.length
    const held = LIMIT - sum(mixed.map(({ freed }) => freed)) + sum(mixed.map((m) => m.granted))
    expect(held).toBeLessThanOrEqual(LIMIT)
    const ones = Array.from({ length: CLIENTS }, () => 1)
    const answers = await this.#all<Asked>('allocate', ones)
    this.asks += answers.length
    return held + sum(answers.map(({ granted }) => granted))
  }

  async free(): Promise<number> {
    const parts = this.racers.map((racer) => racer.ask<number>('race', { step: 'free' }))
    return sum(await Promise.all(parts))
  }
}

test(`${CLIENTS} clients at a limit of ${LIMIT}, ${ROUNDS} rounds (SEED=${SEED})`, {
  timeout: ROUNDS * ROUND_MS_MAX + 60_000,
}, async () => {
  const folder = temporaryFolder()
  const daemon = await startChild({ folder, toml: TOML })
  const admin = new OperatorClient({ socket: daemon.adminSocket })
  operator = admin
  const started = await Agents.start(folder)
  agents = started
  const racers = await Promise.all(
    Array.from({ length: PROCESSES }, async (_, index) => {
      const racer = await started.start(`racer-${index}`)
      await racer.ask('raceOpen', { socket: daemon.vmmSocket, count: EACH, index })
      return racer
    }),
  )
  const race = new Race(racers, seededChance(SEED))
  const used = async () => {
    const tenants = await collect(admin.tenants())
    return tenants.find(({ name }) => name === `tenants/${TENANT}`)?.usedPasids
  }
  for (let round = 1; round <= ROUNDS; round += 1) {
    expect(await race.fill(), `round ${round}`).toBe(LIMIT)
    if (round % MIX_EVERY === 0) expect(await race.mix(), `round ${round}, mixed`).toBe(LIMIT)
    if (round % LOOK_EVERY === 0) expect(await used()).toBe(LIMIT)
    expect(await race.free(), `round ${round}`).toBe(LIMIT)
  }
  process.stdout.write(
    `quota race: ${ROUNDS} rounds, ${race.asks} asks, ${race.refused} refused, 0 over, 0 short\n`,
  )
  expect(await admin.check(30_000)).toMatchObject({ consistent: true, problems: [] })
})
