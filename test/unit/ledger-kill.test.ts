/**
 * `kill -9` while batches are being appended: everything acknowledged is there, and nothing half.
 */

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { LedgerDirectory } from '../support/ledger-home.js'

const BATCH = 8
const ROUNDS = 4
const KILL_AFTER_ACKED = [1, 5, 40, 150]

/** Appends batches of one-number grants for ever, and says each newest revision once it is safe. */
const WRITER = `
  const ledger = await open()
  let { revision } = ledger.facts
  if (revision === 0) {
    const owner = { tenant: 0, tokenHash: '', maxPasids: 1e6, labels: {}, openedAt: 0 }
    const after = { id: 1, name: 's', ...owner, lingerMs: 0, state: 'OPEN', withheld: false }
    const opened = { kind: 'session-changed', before: undefined, after }
    await ledger.append([{ revision: 1, events: [opened] }])
    revision = 1
  }
  console.log('acked ' + revision)
  for (;;) {
    const changes = []
    for (let i = 0; i < ${BATCH}; i += 1) {
      revision += 1
      const runs = [{ first: revision, count: 1 }]
      const owner = { namespace: 0, session: 1, tenant: 0, runs, generation: revision, at: 0 }
      const cursors = { cursorBefore: 1, cursorAfter: 1 }
      const granted = { kind: 'granted', ...owner, labels: undefined, ...cursors }
      changes.push({ revision, events: [granted] })
    }
    await ledger.append(changes)
    console.log('acked ' + revision)
  }
`

/** Answers the last acknowledged revision that was read before the process was gone. */
async function writeUntilKilled(directory: LedgerDirectory, batches: number): Promise<number> {
  const script = directory.script('writer.mjs', directory.prelude() + WRITER)
  const writer = spawn(process.execPath, [script.pathname], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let acked = 0
  let count = 0
  for await (const line of createInterface({ input: writer.stdout })) {
    acked = Number(line.replace('acked ', ''))
    count += 1
    if (count === batches) {
      await sleep(Math.random() * 3)
      writer.kill('SIGKILL')
    }
  }
  return acked
}

/** Processes that start and end: on a busy machine more than a unit test is given otherwise. */
const TIMEOUT_MS = 60_000

test('what a kill finds acknowledged is kept, in whole batches', {
  timeout: TIMEOUT_MS,
}, async () => {
  const directory = new LedgerDirectory()
  for (let round = 0; round < ROUNDS; round += 1) {
    const acked = await writeUntilKilled(directory, KILL_AFTER_ACKED[round] ?? 1)
    const ledger = await directory.open()
    const { revision } = ledger.facts
    expect(revision).toBeGreaterThanOrEqual(acked)
    expect((revision - 1) % BATCH).toBe(0)
    const { allocations, sessions } = await ledger.load()
    expect(sessions).toHaveLength(1)
    expect(allocations.count).toBe(revision - 1)
    expect(allocations.pasid.every((number, i) => number === i + 2)).toBe(true)
    expect(allocations.generation.every((grant, i) => grant === i + 2)).toBe(true)
    await ledger.close()
  }
})
