/** A file that cannot be used is refused as it is, or kept aside: never silently replaced. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { LedgerFault } from '../../src/ledger/ledger.js'
import { LedgerCorrupt, LedgerHeld, LedgerTooNew } from '../../src/ledger/sqlite/sqlite-ledger.js'
import { changesAfter, granted, linesOf } from '../support/ledger-events.js'
import { LedgerDirectory } from '../support/ledger-home.js'

const PAGE = 4096

/** A closed ledger of some pages. */
async function closedLedger(): Promise<LedgerDirectory> {
  const directory = new LedgerDirectory()
  const ledger = await directory.openFilled()
  await ledger.append(
    changesAfter(ledger, (revision) => [granted(1, 1000, 5000, { revision, labels: { a: 'b' } })]),
  )
  await ledger.close()
  return directory
}

/** Database and log as a crash would leave them. Copied by another process, as locks demand. */
async function crashedLedger(): Promise<LedgerDirectory> {
  const directory = new LedgerDirectory()
  const ledger = await directory.openFilled()
  const copy = new LedgerDirectory()
  execFileSync('cp', ['-r', directory.path, copy.path])
  await ledger.close()
  expect(statSync(`${copy.file}-wal`).size).toBeGreaterThan(0)
  return copy
}

function overwritePage(file: string, page: number, fill: (i: number) => number): void {
  const bytes = readFileSync(file)
  for (let i = 0; i < PAGE; i += 1) bytes[page * PAGE + i] = fill(i)
  writeFileSync(file, bytes)
}

function digestsIn(directory: LedgerDirectory): string[] {
  return readdirSync(directory.path)
    .filter((name) => name.includes('ledger.db'))
    .map((name) => {
      const bytes = readFileSync(`${directory.path}/${name}`)
      return createHash('sha256').update(bytes).digest('hex')
    })
    .sort()
}

interface Damage {
  readonly what: string
  readonly make: () => Promise<LedgerDirectory>
  readonly problem: RegExp
}

const damages: readonly Damage[] = [
  {
    what: 'zeros',
    async make() {
      const directory = await closedLedger()
      writeFileSync(directory.file, Buffer.alloc(statSync(directory.file).size))
      return directory
    },
    problem: /not an SQLite database/,
  },
  {
    what: 'nothing in it',
    async make() {
      const directory = await closedLedger()
      truncateSync(directory.file, 0)
      return directory
    },
    problem: /it is empty/,
  },
  {
    what: 'a few bytes',
    async make() {
      const directory = await closedLedger()
      truncateSync(directory.file, 50)
      return directory
    },
    problem: /only 50 bytes/,
  },
  {
    what: 'its second half cut off',
    async make() {
      const directory = await closedLedger()
      truncateSync(directory.file, Math.floor(statSync(directory.file).size / 2))
      return directory
    },
    problem: /./,
  },
  {
    what: 'a text',
    async make() {
      const directory = await closedLedger()
      writeFileSync(directory.file, 'a letter home\n'.repeat(1000))
      return directory
    },
    problem: /not an SQLite database/,
  },
  {
    what: 'a database of another application',
    async make() {
      const directory = await closedLedger()
      rmSync(directory.file)
      const db = new Database(directory.file)
      db.exec('CREATE TABLE mine (x)')
      db.close()
      return directory
    },
    problem: /another application/,
  },
  {
    what: 'the log of another ledger beside it',
    async make() {
      const [directory, other] = [new LedgerDirectory(), await crashedLedger()]
      await (await directory.openFilled()).close()
      copyFileSync(`${other.file}-wal`, `${directory.file}-wal`)
      return directory
    },
    problem: /log is that of another ledger/,
  },
  {
    what: 'no database beside its log',
    async make() {
      const directory = await crashedLedger()
      rmSync(directory.file)
      return directory
    },
    problem: /it is gone, its log is not/,
  },
  ...[2, 3, 9, 20, 40].map((page) => ({
    what: `random bytes in page ${page}`,
    async make() {
      const directory = await closedLedger()
      const noise = createHash('shake256', { outputLength: PAGE }).update(`${page}`).digest()
      overwritePage(directory.file, page - 1, (i) => noise[i] ?? 0)
      return directory
    },
    problem: /./,
  })),
]

describe('a damaged ledger', () => {
  test.each(damages)('$what: is refused and left as it is', async ({ make, problem }) => {
    const directory = await make()
    const before = digestsIn(directory)
    const error: unknown = await directory.open().then(
      (ledger) => ledger.close(),
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(LedgerCorrupt)
    expect((error as LedgerCorrupt).problem).toMatch(problem)
    expect((error as LedgerCorrupt).message).toContain(directory.file)
    expect(digestsIn(directory)).toEqual(before)
  })

  test.each(damages)('$what: is kept aside when that is allowed', async ({ make, problem }) => {
    const directory = await make()
    const before = digestsIn(directory)
    const nowMs = () => 1_764_000_000_123
    const ledger = await directory.open({ onCorrupt: 'move-aside', nowMs })
    const { movedAside } = ledger.facts
    expect(movedAside?.reason).toMatch(problem)
    expect(movedAside?.path).toBe(`${directory.file}.corrupt-2025-11-24T16-00-00.123Z`)
    expect(ledger.facts.revision).toBe(0)
    await ledger.close()
    for (const digest of before) expect(digestsIn(directory)).toContain(digest)
    const next = await directory.open()
    expect(next.facts.movedAside).toBeUndefined()
    await next.close()
  })

  test('two in the same millisecond are both kept', async () => {
    const directory = await closedLedger()
    const options = { onCorrupt: 'move-aside', nowMs: () => 1_764_000_000_123 } as const
    const paths: string[] = []
    for (const text of ['one', 'two']) {
      writeFileSync(directory.file, text)
      const ledger = await directory.open(options)
      paths.push(ledger.facts.movedAside?.path ?? '')
      await ledger.close()
    }
    expect(paths.map((path) => readFileSync(path, 'utf8'))).toEqual(['one', 'two'])
  })

  test('what a crash left is no damage', async () => {
    const directory = await crashedLedger()
    const ledger = await directory.open()
    expect(ledger.facts).toMatchObject({ revision: 1, movedAside: undefined })
    expect((await ledger.load()).allocations.count).toBe(4)
    await ledger.close()
  })

  test('a ledger that was being made is made anew', async () => {
    const directory = await closedLedger()
    copyFileSync(directory.file, `${directory.file}.new`)
    rmSync(directory.file)
    const ledger = await directory.open()
    expect(ledger.facts.revision).toBe(0)
    await ledger.close()
    expect(existsSync(`${directory.file}.new`)).toBe(false)
  })

  test.each([
    ['labels that are none', `UPDATE session SET labels = '[]'`],
    ['a slot there is not', 'UPDATE allocation SET slot = 9 WHERE id = 1005'],
    ['a grant of the future', 'UPDATE allocation SET generation = 3 WHERE id = 1005'],
    ['a session beyond the last', 'UPDATE session SET id = 2'],
    ['an owner without a process', `UPDATE session SET owner = json_replace(owner, '$.pid', 0)`],
    ['an owner with more', `UPDATE session SET owner = json_insert(owner, '$.root', 1)`],
    [
      'an owner whose inode is a number',
      `UPDATE session SET owner = json_set(owner, '$.inode', 7)`,
    ],
    ['an owner that is none', `UPDATE session SET owner = '[]'`],
    ['no limits changed', `UPDATE tenant SET override = '{}'`],
    ['a limit below nothing', `UPDATE tenant SET override = '{"maxPasids":-1}'`],
    ['a limit there is not', `UPDATE tenant SET override = '{"maxHosts":1}'`],
    ['a window backwards', `UPDATE tenant SET override = '{"window":{"first":2,"last":1}}'`],
    ['a number 0', 'UPDATE allocation SET id = 1048576 WHERE id = 1005'],
  ])('found only when it is loaded, it is a fault of the load: %s', async (_what, sql) => {
    const directory = await closedLedger()
    directory.tamper(`PRAGMA ignore_check_constraints = ON; ${sql}`)
    const ledger = await directory.open()
    const error: unknown = await ledger.load().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(LedgerFault)
    expect((error as LedgerFault).cause).toBeInstanceOf(LedgerCorrupt)
    await ledger.close()
  })
})

describe('a ledger that is none of ours to touch', () => {
  test('a later schema is refused with both versions, even where damage is moved', async () => {
    const directory = await closedLedger()
    directory.tamper(`UPDATE meta SET value = 99 WHERE key = 'schema'`)
    const before = digestsIn(directory)
    const error: unknown = await directory
      .open({ onCorrupt: 'move-aside' })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(LedgerTooNew)
    expect(error).toMatchObject({ found: 99, known: 3, path: directory.file })
    expect((error as Error).message).toMatch(/version 99, .* up to 3/)
    expect(digestsIn(directory)).toEqual(before)
  })

  test('another program that has it open holds it, without a number', async () => {
    const directory = await closedLedger()
    const script = directory.script(
      'holder.mjs',
      `import Database from ${JSON.stringify(import.meta.resolve('better-sqlite3'))}
       const db = new Database(${JSON.stringify(directory.file)})
       db.pragma('locking_mode = EXCLUSIVE')
       db.exec('BEGIN EXCLUSIVE')
       console.log('held')
       setInterval(() => {}, 1000)`,
    )
    const { spawn } = await import('node:child_process')
    const holder = spawn(process.execPath, [script.pathname], { stdio: ['ignore', 'pipe', 'pipe'] })
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve))
      const error: unknown = await directory.open().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(LedgerHeld)
      expect((error as LedgerHeld).holderPid).toBeUndefined()
    } finally {
      holder.kill('SIGKILL')
    }
  })

  test('a holder that ends in time is waited for', async () => {
    const directory = await closedLedger()
    const first = await directory.open()
    const waiting = directory.open({ busyTimeoutMs: 5000 })
    const before = linesOf(await first.load())
    await first.close()
    const second = await waiting
    expect(linesOf(await second.load())).toEqual(before)
    await second.close()
  })
})
