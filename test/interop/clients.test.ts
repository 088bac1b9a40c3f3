/**
 * Foreign clients, with stubs of their own language's generator, through the real sockets of a real
 * daemon: each sees the same, and the kernel's word on who it is reaches the daemon.
 */
import fs from 'node:fs'
import { afterEach, beforeAll, describe, expect, test, vi, type TestContext } from 'vitest'
import { OperatorClient, PasidClient } from '../../src/client/index.js'
import { startChild, stopAll, temporaryFolder, type ChildDaemon } from '../support/daemon.js'
import { expectTour, grantOf, TABLE_MAX, type Step } from './expected.js'
import { LANGUAGES, type Client, type Language } from './languages.js'
import { asOrdinaryUser, ClientProcess, endProcesses, ORDINARY_ID } from './processes.js'
import { Unavailable } from './toolchains.js'

const NAMES = Object.keys(LANGUAGES) as readonly Language[]
const BUILDS_AT_ONCE = 2
const RECLAIM_MS = 20_000
/** Long, so that what was given back is still there to look at. */
const HOLD = '[namespace]\nhold = "1m"\n'
const FOR_EVERYBODY = '[daemon]\nvmm_mode = "0666"\nvmm_directory_mode = "0755"\n'

const clients = new Map<Language, Promise<Client>>()

/** Starts all builds, so many at a time; each test waits for its own. */
beforeAll(() => {
  const slots = Array.from({ length: BUILDS_AT_ONCE }, () => Promise.resolve<unknown>(undefined))
  for (const [i, name] of NAMES.entries()) {
    const slot = i % BUILDS_AT_ONCE
    const client = (slots[slot] ?? Promise.resolve()).then(LANGUAGES[name])
    slots[slot] = client.catch(() => undefined)
    clients.set(name, client)
  }
})

afterEach(async () => {
  await endProcesses()
  await stopAll()
})

/** What is being waited for; the test is skipped when this machine cannot have it. */
async function orSkip<T>(context: TestContext, wanted: Promise<T> | undefined): Promise<T> {
  if (wanted === undefined) throw new Error('no such client')
  return wanted.catch((error: unknown) => {
    if (error instanceof Unavailable) return context.skip(error.message)
    throw error
  })
}

async function tour(client: Client, args: readonly string[]) {
  const process = new ClientProcess(client, args)
  process.endInput()
  expect(await process.ended).toEqual({ code: 0, problem: '' })
  return process
}

async function infoOf(daemon: ChildDaemon) {
  const client = new PasidClient({ socket: daemon.vmmSocket })
  return client.getServerInfo().finally(() => client.close())
}

async function rowsOf<Row>(pages: AsyncIterable<readonly Row[]>): Promise<readonly Row[]> {
  const rows: Row[] = []
  for await (const page of pages) rows.push(...page)
  return rows
}

/** The session is gone; its numbers rest, under the generation that the client was told. */
async function expectNothingHeld(daemon: ChildDaemon, steps: readonly Step[]): Promise<void> {
  const operator = new OperatorClient({ socket: daemon.adminSocket })
  try {
    expect(await rowsOf(operator.sessions())).toEqual([])
    const rows = await rowsOf(operator.allocations())
    expect(rows).toHaveLength(23)
    expect(rows.filter(({ state }) => state !== 'ALLOCATION_STATE_QUARANTINED')).toEqual([])
    const { first, generation } = grantOf(steps, 'one')
    expect(rows.find(({ pasid }) => pasid === first)?.generation).toBe(generation)
    expect(await operator.getNamespace()).toMatchObject({ held: 0, freePending: 0 })
    expect(await operator.check()).toMatchObject({ consistent: true, problems: [] })
  } finally {
    operator.close()
  }
}

describe.each(NAMES)('a client in %s', (name) => {
  test('does everything once through, and leaves nothing behind', async (context) => {
    const client = await orSkip(context, clients.get(name))
    const daemon = await startChild({ toml: HOLD })
    const { vmmSocket, adminSocket } = daemon
    const args = ['--vmm-socket', vmmSocket, '--admin-socket', adminSocket, '--vm', `vm-${name}`]
    const { steps, pid } = await tour(client, args)
    const caller = [pid, process.getuid?.() ?? 0, process.getgid?.() ?? 0]
    const info = await infoOf(daemon)
    expectTour(steps, { vm: `vm-${name}`, caller, info, asOperator: true })
    await expectNothingHeld(daemon, steps)
  })

  test('is known by its own uid when an ordinary user runs it', async (context) => {
    const built = await orSkip(context, clients.get(name))
    const folder = temporaryFolder()
    fs.chmodSync(folder, 0o755)
    const client = await orSkip(context, asOrdinaryUser(built, folder))
    const daemon = await startChild({ folder, toml: FOR_EVERYBODY + HOLD })
    const { steps, pid } = await tour(client, ['--vmm-socket', daemon.vmmSocket, '--vm', 'mine'])
    const caller = [pid, ORDINARY_ID, ORDINARY_ID]
    const info = await infoOf(daemon)
    expectTour(steps, { vm: 'mine', caller, info, asOperator: false })
    await expectNothingHeld(daemon, steps)
  })
})

describe('clients in all languages at once', () => {
  test('hold numbers of their own, which come back when they end or are killed', async (context) => {
    const built = await Promise.allSettled(clients.values())
    const there = built.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (there.length < 2) context.skip(`only ${there.length} of ${NAMES.length} could be built`)
    const daemon = await startChild()
    const operator = new OperatorClient({ socket: daemon.adminSocket })
    try {
      const holding = there.map(
        (client) =>
          new ClientProcess(client, ['--vmm-socket', daemon.vmmSocket, '--scenario', 'hold']),
      )
      const held = await Promise.all(holding.map((one) => one.saw('hold')))
      const active = async () => {
        const rows = await rowsOf(operator.allocations({ filter: 'state = ACTIVE' }))
        return rows.map(({ session, pasid }) => `${session} ${pasid}`).sort()
      }
      const expected = (steps: readonly Step[]) =>
        steps
          .flatMap(({ session, first }) =>
            Array.from({ length: 16 }, (_, i) => `${String(session)} ${Number(first) + i}`),
          )
          .sort()
      expect(new Set(held.map(({ first }) => first)).size).toBe(there.length)
      expect(await active()).toEqual(expected(held))
      const [row] = await rowsOf(operator.allocations({ pageSize: 1 }))
      expect(row?.bindings[0]?.firstStage?.address).toBe(TABLE_MAX)

      holding[0]?.kill()
      const others = expected(held.slice(1))
      await vi.waitFor(async () => expect(await active()).toEqual(others), RECLAIM_MS)
      for (const one of holding.slice(1)) one.endInput()
      const ends = await Promise.all(holding.slice(1).map(({ ended }) => ended))
      expect(ends.filter(({ code }) => code !== 0)).toEqual([])
      await vi.waitFor(async () => expect(await active()).toEqual([]), RECLAIM_MS)
      expect(await rowsOf(operator.sessions())).toEqual([])
    } finally {
      operator.close()
    }
  })
})
