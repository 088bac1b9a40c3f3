/**
 * Commits that fail in the file itself and in the thread that writes it: an INSERT that is refused,
 * a COMMIT that is refused, a thread that dies before and after the commit, a file that may not
 * grow. A mixed load goes on around it; SEED=n replays or varies that. Syncs that fail are in
 * test/integration/commit-sync.test.ts, since they need a process of their own.
 */

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'
import { RigLoad, seededChance } from '../support/broker-rig-load.js'
import { blockAsk, codeOf, ok, type RigVm } from '../support/broker-rig-vm.js'

const SEED = Number(process.env['SEED'] ?? 20_261_122)
const ROUNDS = 8
const THREAD = new URL('../../dist/ledger/sqlite/thread.js', import.meta.url)

let rig: BrokerRig | undefined

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})
afterAll(removeFolders)

/** Grants with a label of their own meet a trigger: in the statement, or only at COMMIT. */
function setTraps(folder: string): void {
  const db = new Database(path.join(folder, 'ledger.db'), { fileMustExist: true })
  db.exec(`
    CREATE TRIGGER IF NOT EXISTS insert_fails BEFORE INSERT ON allocation
      WHEN NEW.labels LIKE '%"INSERT"%' BEGIN SELECT RAISE(ABORT, 'ordered'); END;
    CREATE TABLE IF NOT EXISTS void_of (id INTEGER PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS dangling
      (id INTEGER REFERENCES void_of (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER IF NOT EXISTS commit_fails AFTER INSERT ON allocation
      WHEN NEW.labels LIKE '%"COMMIT"%' BEGIN INSERT INTO dangling VALUES (1); END;
  `)
  db.close()
}

/** The ledger's own thread, which dies once when the file of that name is there. */
function mortalThread(folder: string): URL {
  const script = path.join(path.dirname(folder), 'thread.mjs')
  writeFileSync(
    script,
    `
    import { existsSync, rmSync } from 'node:fs'
    import { parentPort } from 'node:worker_threads'
    const dieOf = (name) => {
      const flag = ${JSON.stringify(path.dirname(folder))} + '/' + name
      if (!existsSync(flag)) return
      rmSync(flag)
      process.exit(3)
    }
    let appending = false
    const on = parentPort.on.bind(parentPort)
    parentPort.on = (event, listener) => on(event, event !== 'message' ? listener : (request) => {
      appending = request.kind === 'append'
      if (appending) dieOf('BEFORE')
      listener(request)
    })
    const post = parentPort.postMessage.bind(parentPort)
    parentPort.postMessage = (message, transfer) => {
      if (appending) dieOf('AFTER')
      post(message, transfer)
    }
    await import(${JSON.stringify(THREAD.href)})
    `,
  )
  return pathToFileURL(script)
}

async function recover(on: BrokerRig): Promise<void> {
  const { broker } = on
  await on.passUntil(() => {
    const done = broker.info().writable && broker.unfinishedTeardowns === 0
    return done && broker.info().durableRevision === broker.state.revision
  })
}

async function nothingWrong(on: BrokerRig, load: RigLoad): Promise<void> {
  expect(load.wrong()).toEqual([])
  expect(await on.problems()).toEqual([])
  expect(await on.differencesFromFile()).toEqual([])
}

describe(`under load (SEED=${SEED})`, () => {
  test.each(['INSERT', 'COMMIT'])('%s is refused, with whatever shares its batch', async (how) => {
    rig = await (await BrokerRig.start()).restart({ tamper: setTraps })
    const [on, chance] = [rig, seededChance(SEED)]
    const victim = await on.vm()
    const load = new RigLoad(on, SEED, 4, [victim])
    for (let round = 0; round < ROUNDS; round += 1) {
      const at = on.ledger.appends + 1 + chance(8)
      const running = load.run(10)
      await on.until(() => on.ledger.appends >= at)
      expect(codeOf(await victim.allocate({ labels: { fails: how } }))).toBe('LEDGER_UNAVAILABLE')
      await running
      await recover(on)
      await nothingWrong(on, load)
      await load.askAgain()
      await recover(on)
      await nothingWrong(on, load)
    }
    expect(on.telemetry.failures).toHaveLength(ROUNDS)
    expect(await victim.held()).toEqual([])
    rig = await on.restart()
    load.moveTo(rig)
    await nothingWrong(rig, load)
  })

  test.each(['BEFORE', 'AFTER'])('the thread dies %s the commit', async (when) => {
    rig = await BrokerRig.start({ threadUrl: mortalThread })
    const [on, chance] = [rig, seededChance(SEED)]
    const load = new RigLoad(on, SEED)
    for (let round = 0; round < ROUNDS; round += 1) {
      const at = on.ledger.appends + 1 + chance(8)
      on.ledger.onAppend = (nth) => {
        if (nth === at) writeFileSync(path.join(on.directory, when), '')
      }
      const { reopens } = on.ledger
      await load.run(10)
      await recover(on)
      expect(on.ledger.reopens).toBe(reopens + 1)
      await nothingWrong(on, load)
      await load.askAgain()
      await nothingWrong(on, load)
    }
    // Written and found out at once: nobody was refused anything.
    expect(on.telemetry.failures).toHaveLength(when === 'AFTER' ? 0 : ROUNDS)
    if (when === 'AFTER') expect(load.counts.refused).toBe(load.counts.fine)
  })
})

describe('a file that may not grow', () => {
  /** Until a grant is refused for want of space. */
  async function fill(vm: RigVm): Promise<Set<number>> {
    const held = new Set<number>()
    for (;;) {
      const outcome = await vm.allocate({ ask: blockAsk(4), labels: { fill: 'x'.repeat(200) } })
      if (!outcome.ok) {
        expect(outcome.refusal.code).toBe('LEDGER_UNAVAILABLE')
        return held
      }
      const [run] = outcome.value.runs
      for (let i = 0; i < 16; i += 1) held.add((run?.first ?? 0) + i)
    }
  }

  test('grants are refused, frees and unbinds served; with room again all is as told', async () => {
    rig = await BrokerRig.start({ maxPages: 60, policy: { sessionMaxPasids: 100_000 } })
    let on = rig
    const vm = await on.vm()
    ok(await vm.attach())
    const bound = await vm.one()
    ok(await vm.bind(bound))
    const held = await fill(vm)
    expect(held.size).toBeGreaterThan(100)
    expect(on.telemetry.failures[0]?.message).toContain('SQLITE_FULL')
    const freed: number[] = []
    for (const pasid of [...held].slice(0, 40)) {
      expect(ok(await vm.free([pasid])).freed).toBe(1)
      held.delete(pasid)
      freed.push(pasid)
    }
    expect(ok(await vm.invalidate(bound)).done).toBe(1)
    expect(ok(await vm.unbind(bound))).toMatchObject({ unbound: 1 })
    await recover(on)
    // What only changes rows needs no room: it is durable now, and said to be.
    expect(ok(await vm.free([...held].slice(0, 1)))).toMatchObject({ freed: 1, durable: true })
    held.delete([...held][0] ?? 0)
    expect(codeOf(await vm.allocate({ ask: blockAsk(8) }))).toBe('LEDGER_UNAVAILABLE')
    await recover(on)
    expect(await on.problems()).toEqual([])
    rig = await on.restart({ maxPages: 10_000 })
    on = rig
    const again = vm.on(on.broker)
    held.add(bound)
    expect(await again.held()).toEqual([...held].sort((a, b) => a - b))
    ok(await again.allocate({ ask: blockAsk(8) }))
    expect(await on.problems()).toEqual([])
  })
})
