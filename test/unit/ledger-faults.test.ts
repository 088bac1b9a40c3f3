/** The world fails under the ledger: what is known of the batch is said, and it can go on. */

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../src/core/assert.js'
import { type Ledger, LedgerFault } from '../../src/ledger/ledger.js'
import {
  changesAfter,
  freeBegun,
  granted,
  linesOf,
  slotsOf,
  tenant,
} from '../support/ledger-events.js'
import { COMPILED, LedgerDirectory } from '../support/ledger-home.js'

async function faultOf(promise: Promise<unknown>): Promise<LedgerFault> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(LedgerFault)
  return error as LedgerFault
}

function grant(ledger: Ledger, first: number, count = 1) {
  return ledger.append(changesAfter(ledger, (revision) => [granted(1, first, count, { revision })]))
}

describe('a full disk', () => {
  test('nothing is written but what needs no space; space brings back the rest', async () => {
    const directory = new LedgerDirectory()
    const ledger = await directory.openFilled({ maxPages: 120 })
    let first = 1000
    let fault: unknown
    while (fault === undefined && first < 100_000) {
      await grant(ledger, first, 1000).then(
        () => (first += 1000),
        (error: unknown) => (fault = error),
      )
    }
    expect(fault).toBeInstanceOf(LedgerFault)
    expect(fault).toMatchObject({ outcome: 'NOT_WRITTEN' })
    expect(String(fault)).toContain('SQLITE_FULL')
    expect(first).toBeGreaterThan(1000)

    const before = await ledger.load()
    expect(slotsOf(before)[first]).toBeUndefined()
    await ledger.append(changesAfter(ledger, [freeBegun(1, 256, 4)]))
    expect((await faultOf(grant(ledger, first, 1000))).outcome).toBe('NOT_WRITTEN')
    expect(await ledger.reopen()).toBe(before.revision + 1)
    await ledger.close()

    const roomy = await directory.open()
    await grant(roomy, first, 1000)
    const slots = slotsOf(await roomy.load())
    expect([slots[256], slots[first], slots[first + 999]]).toEqual([2, 1, 1])
    await roomy.close()
  })
})

describe('statements that fail', () => {
  const plants: readonly (readonly [string, string])[] = [
    [
      'an INSERT',
      `CREATE TRIGGER planted BEFORE INSERT ON allocation WHEN NEW.id = 777
       BEGIN SELECT RAISE(ABORT, 'planted'); END`,
    ],
    [
      'an INSERT that rolls everything back by itself',
      `CREATE TRIGGER planted BEFORE INSERT ON allocation WHEN NEW.id = 777
       BEGIN SELECT RAISE(ROLLBACK, 'planted'); END`,
    ],
    [
      'the COMMIT',
      `CREATE TABLE parent (id INTEGER PRIMARY KEY);
       CREATE TABLE child (id REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
       CREATE TRIGGER planted AFTER INSERT ON allocation WHEN NEW.id = 777
       BEGIN INSERT INTO child VALUES (1); END`,
    ],
  ]
  test.each(plants)('%s: nothing of the batch is written, and the next is', async (_what, sql) => {
    const directory = new LedgerDirectory()
    await (await directory.openFilled()).close()
    directory.tamper(sql)
    const ledger = await directory.open()
    const before = linesOf(await ledger.load())
    const batch = changesAfter(
      ledger,
      (revision) => [granted(1, 300, 50, { revision }), tenant(1)],
      (revision) => [granted(1, 770, 20, { revision })],
    )
    const fault = await faultOf(ledger.append(batch))
    expect(fault.outcome).toBe('NOT_WRITTEN')
    expect(fault.message).toContain(directory.file)
    expect(linesOf(await ledger.load())).toEqual(before)
    expect(ledger.facts.revision).toBe(1)
    await ledger.append(batch.slice(0, 1))
    expect(await ledger.reopen()).toBe(2)
    await ledger.close()
  })
})

describe('a thread that ends', () => {
  /** The real thread, in a wrapper that ends it once, while a file is there. */
  function mortal(directory: LedgerDirectory, when: 'before' | 'after') {
    const flag = join(directory.base, 'die')
    const thread = new URL('thread.js', COMPILED).href
    const script = `
      import { existsSync, rmSync } from 'node:fs'
      import { parentPort } from 'node:worker_threads'
      const dies = () => existsSync(${JSON.stringify(flag)})
      const die = () => { rmSync(${JSON.stringify(flag)}); process.exit(7) }
      if (${JSON.stringify(when)} === 'before') {
        parentPort.on('message', ({ kind }) => { if (kind === 'append' && dies()) die() })
      } else {
        const post = parentPort.postMessage.bind(parentPort)
        parentPort.postMessage = (...args) => { if (dies()) die(); else post(...args) }
      }
      await import(${JSON.stringify(thread)})
    `
    return { flag, threadUrl: directory.script('mortal.mjs', script) }
  }

  test.each([
    ['before the work', 'before', 1],
    ['after the work, before the answer', 'after', 2],
  ] as const)('%s: the outcome is unknown, reopen tells it', async (_what, when, revision) => {
    const directory = new LedgerDirectory()
    const { flag, threadUrl } = mortal(directory, when)
    const ledger = await directory.openFilled({ threadUrl })
    const batch = changesAfter(ledger, [tenant(1)])
    writeFileSync(flag, '')
    const fault = await faultOf(ledger.append(batch))
    expect(fault.outcome).toBe('UNKNOWN')
    expect(fault.message).toContain('exit code 7')
    expect(existsSync(flag)).toBe(false)

    expect((await faultOf(ledger.append(batch))).outcome).toBe('NOT_WRITTEN')
    expect((await faultOf(ledger.load())).outcome).toBe('NOT_WRITTEN')
    expect(await ledger.reopen()).toBe(revision)
    expect((await ledger.load()).tenants).toHaveLength(revision)
    await ledger.append(changesAfter(ledger, [tenant(2)]))
    await ledger.close()
  })

  test('that cannot start again is a fault for as long as it cannot', async () => {
    const directory = new LedgerDirectory()
    const { flag, threadUrl } = mortal(directory, 'before')
    const ledger = await directory.openFilled({ threadUrl })
    writeFileSync(flag, '')
    await faultOf(ledger.append(changesAfter(ledger, [tenant(1)])))
    const wrapper = readFileSync(threadUrl, 'utf8')
    writeFileSync(threadUrl, 'throw new Error("no thread today")')
    expect((await faultOf(ledger.reopen())).message).toContain('no thread today')
    expect((await faultOf(ledger.reopen())).message).toContain('no thread today')
    writeFileSync(threadUrl, wrapper)
    expect(await ledger.reopen()).toBe(1)
    await ledger.append(changesAfter(ledger, [tenant(1)]))
    await ledger.close()
  })

  test('and takes the file with it is a fault, not a new ledger', async () => {
    const directory = new LedgerDirectory()
    const ledger = await directory.openFilled()
    rmSync(directory.file)
    expect((await faultOf(ledger.reopen())).message).toContain('is gone')
    expect(existsSync(directory.file)).toBe(false)
    await ledger.close()
  })
})

describe('a misused ledger', () => {
  test('one batch at a time, none once it is closed', async () => {
    const ledger = await new LedgerDirectory().openFilled()
    const [one, two] = changesAfter(ledger, [tenant(1)], [tenant(2)])
    const first = ledger.append([one!])
    await expect(ledger.append([two!])).rejects.toThrow(InvariantViolation)
    await first
    await ledger.close()
    await expect(ledger.append([two!])).rejects.toThrow(InvariantViolation)
    await expect(ledger.load()).rejects.toThrow(InvariantViolation)
    await expect(ledger.close()).rejects.toThrow(InvariantViolation)
  })
})

describe('the files', () => {
  test('are for their owner only, and no memory is shared', async () => {
    const directory = new LedgerDirectory()
    const ledger = await directory.openFilled()
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
    expect(mode(directory.path)).toBe('700')
    for (const name of ['ledger.db', 'ledger.db-wal', 'ledger.lock', 'ledger.pid']) {
      expect([name, mode(join(directory.path, name))]).toEqual([name, '600'])
    }
    expect(existsSync(`${directory.file}-shm`)).toBe(false)
    expect(readFileSync(join(directory.path, 'ledger.pid'), 'utf8')).toBe(`${process.pid}\n`)
    await ledger.close()
    const left = execFileSync('ls', [directory.path], { encoding: 'utf8' })
    expect(left).toBe('ledger.db\nledger.lock\n')
  })
})
