/**
 * Sessions open, grow, linger, are handed over and die in every way, in any order, while sweeps
 * come, the ledger fails and the daemon restarts or is killed. Holds throughout: no number is with
 * two, nothing of a living owner is lost, and memory, file and backend agree; in the end, when
 * everybody has died, nothing is left. SEED=n replays or varies the run.
 */

import process from 'node:process'
import { afterAll, afterEach, expect, test } from 'vitest'
import { SLOT } from '../../src/core/namespace.js'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'
import { seededChance } from '../support/broker-rig-load.js'
import { passNow } from '../support/broker-rig-reclaim.js'
import { ACTOR, ok, RigVm, tableAt } from '../support/broker-rig-vm.js'
import type { AppendFailure } from '../support/failing-ledger.js'

const SEED = Number(process.env['SEED'] ?? 20_261_126)
const RUNS = 4
const STEPS = 60
const VMS_MAX = 12
const LINGER_MS = 1000

let rig: BrokerRig | undefined

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})
afterAll(removeFolders)

interface Life {
  vm: RigVm
  readonly lingerMs: number
  /** Numbers that its owner was told it has, and has not given back. */
  readonly belief: Set<number>
  /** Its owner lives, and the broker has never had reason to think otherwise. */
  alive: boolean
}

class World {
  readonly #chance: (below: number) => number
  readonly #lives: Life[] = []
  readonly counts = { granted: 0, deaths: 0, handed: 0, restarts: 0, failures: 0, withheld: 0 }
  #opened = 0

  constructor(
    public on: BrokerRig,
    seed: number,
  ) {
    this.#chance = seededChance(seed)
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : from[this.#chance(from.length)]
  }

  get #living(): Life[] {
    return this.#lives.filter(({ alive }) => alive)
  }

  /** A few things at once. */
  async step(): Promise<void> {
    if (this.#chance(8) === 0) this.#plan()
    const count = 1 + this.#chance(6)
    await Promise.all(Array.from({ length: count }, () => this.#one()))
    const roll = this.#chance(20)
    if (roll < 4) this.on.clock.pass(this.#chance(LINGER_MS))
    else if (roll < 6) await passNow(this.on)
    else if (roll === 7) await this.#restart()
    else if (roll === 8) ok(await this.on.broker.resumeReclaim({ actor: ACTOR, reason: '' }))
  }

  #plan(): void {
    const ways = ['NOT_WRITTEN', 'UNKNOWN_WRITTEN', 'UNKNOWN_NOT_WRITTEN'] as const
    const how: AppendFailure = ways[this.#chance(3)] ?? 'NOT_WRITTEN'
    const reopenFailures = this.#chance(3)
    this.on.ledger.plan({ nth: 1 + this.#chance(4), how, reopenFailures })
  }

  async #one(): Promise<void> {
    const roll = this.#chance(100)
    const life = this.#pick(this.#living)
    if (life === undefined || (roll < 15 && this.#living.length < VMS_MAX)) return this.#open()
    if (roll < 45) return this.#allocate(life)
    if (roll < 60) return this.#bind(life)
    if (roll < 65) await life.vm.unbindAll()
    else if (roll < 75) return this.#free(life)
    else if (roll < 78) return this.#close(life)
    else if (roll < 88) return this.#die(life)
    else if (roll < 96) return this.#handOver()
    else this.on.owners.deliverLate()
  }

  async #open(): Promise<void> {
    const lingerMs = this.#chance(2) * LINGER_MS
    const owner = this.on.owners.start(1000, this.#chance(4) > 0)
    this.#opened += 1
    const opened = await this.on.tryVm({ name: `life-${this.#opened}`, owner, lingerMs })
    if (!opened.ok) return
    const vm = new RigVm(this.on.broker, opened.value.session, owner)
    this.#lives.push({ vm, lingerMs, belief: new Set(), alive: true })
    await vm.attach()
  }

  async #allocate(life: Life): Promise<void> {
    const granted = await life.vm.allocate({ ask: { kind: 'BLOCK', order: this.#chance(3) } })
    if (!granted.ok) return
    for (const { first, count } of granted.value.runs) {
      for (let at = first; at < first + count; at += 1) {
        this.counts.granted += 1
        const other = this.#living.find(({ belief }) => belief.has(at))
        if (other !== undefined) throw new Error(`${at} is ${other.vm.name}'s and was granted`)
        if (life.alive) life.belief.add(at)
      }
    }
  }

  async #bind({ vm, belief }: Life): Promise<void> {
    const number = this.#pick([...belief])
    if (number !== undefined) await vm.bind(number, { table: tableAt(1 + this.#chance(99)) })
  }

  async #free({ vm, belief }: Life): Promise<void> {
    const number = this.#pick([...belief])
    if (number === undefined) return
    belief.delete(number)
    await vm.free([number])
  }

  async #close(life: Life): Promise<void> {
    this.#forget(life)
    await life.vm.close()
    // If it comes back after a kill, its owner has ended by then.
    this.on.owners.become(life.vm.owner, 'DEAD_PROVEN')
  }

  #forget(life: Life): void {
    life.alive = false
    life.belief.clear()
  }

  /** With an event, or found by a sweep, or inferred; or nobody can tell for a while. */
  #die(life: Life): void {
    const { owner } = life.vm
    const roll = this.#chance(10)
    if (roll < 2) return this.on.owners.become(owner, 'UNKNOWN')
    this.counts.deaths += 1
    if (life.lingerMs === 0) this.#forget(life)
    else life.alive = false
    if (roll < 5) this.on.owners.kill(owner)
    else this.on.owners.become(owner, roll < 8 ? 'DEAD_PROVEN' : 'DEAD_INFERRED')
  }

  async #handOver(): Promise<void> {
    const waits = ({ alive, lingerMs, vm }: Life): boolean => {
      const { sessions } = this.on.broker.state
      return !alive && lingerMs > 0 && sessions.has(vm.id)
    }
    const life = this.#pick(this.#lives.filter(waits))
    if (life === undefined) return
    const heir = this.on.owners.start()
    const resumed = await this.on.resume(life.vm, heir)
    // Refused, it may have been written all the same: then it ends with its heir.
    if (!resumed.ok) return this.on.owners.kill(heir)
    this.counts.handed += 1
    life.vm = new RigVm(this.on.broker, life.vm.session, heir)
    life.alive = true
    for (const number of life.belief) {
      const holder = this.on.broker.state.host.sessionOf(number)
      if (holder !== life.vm.id) throw new Error(`${number} was lost while ${life.vm.name} waited`)
    }
  }

  async #restart(): Promise<void> {
    this.counts.restarts += 1
    this.counts.failures += this.on.ledger.failures
    const kill = this.#chance(2) === 0
    rig = this.on = kill ? await this.on.kill() : await this.on.restart()
    for (const life of this.#lives) life.vm = life.vm.on(this.on.broker)
  }

  /** The ledger is back, and everything begun is done. */
  async settle(): Promise<void> {
    const { broker } = this.on
    await this.on.passUntil(() => {
      const { writable, durableRevision } = broker.info()
      return writable && durableRevision === broker.state.revision
    }, 5)
  }

  async wrong(): Promise<string[]> {
    const { state } = this.on.broker
    const found = [...(await this.on.problems()), ...(await this.on.differencesFromFile())]
    for (const { vm, belief } of this.#living) {
      const record = state.sessions.get(vm.id)?.record
      if (record?.state !== 'OPEN') found.push(`${vm.name} of a living owner is ${record?.state}`)
      for (const number of belief) {
        const { host } = state
        if (host.slotOf(number) === SLOT.HELD && host.sessionOf(number) === vm.id) continue
        found.push(`${vm.name} of a living owner has lost ${number}`)
      }
    }
    this.counts.withheld = ok(await this.on.broker.reclaim()).withheldSessions
    return found
  }

  /** Everybody dies, orphans of refused opens included; events are never told. */
  async end(): Promise<void> {
    const { broker, owners } = this.on
    this.on.ledger.plan({ nth: Infinity, how: 'NOT_WRITTEN' })
    for (const { record } of broker.state.sessions.values()) {
      if (record.owner !== undefined) owners.become(record.owner, 'DEAD_PROVEN')
    }
    for (const life of this.#lives) this.#forget(life)
    await this.settle()
    await passNow(this.on)
    ok(await broker.resumeReclaim({ actor: ACTOR, reason: '' }))
    await this.on.passUntil(() => broker.state.sessions.size === 0)
    await this.settle()
  }
}

test.each(Array.from({ length: RUNS }, (_, i) => SEED + i))(
  'SEED=%d: nothing of the living is lost, nothing of the dead is left',
  async (seed) => {
    const reclaim = { breakerFloor: 1, breakerShare: 20, sweepSessions: 5 }
    rig = await BrokerRig.start({ reclaim, policy: { maxSessions: 1000 } })
    const world = new World(rig, seed)
    for (let i = 0; i < STEPS; i += 1) {
      await world.step()
      await world.settle()
      expect(await world.wrong()).toEqual([])
    }
    await world.end()
    const { broker } = world.on
    expect(broker.state.host.counts).toMatchObject({ held: 0, pending: 0 })
    const observed = await world.on.emulator.observe()
    expect(observed).toEqual({ kind: 'KNOWN', places: [] })
    expect(await world.wrong()).toEqual([])
    const { granted, deaths, handed, restarts } = world.counts
    expect([granted, deaths, handed, restarts]).not.toContain(0)
  },
)
