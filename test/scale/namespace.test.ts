/**
 * The whole HOST namespace through the socket: granted in blocks and one by one until nothing is
 * free, listed by pages (every row once), killed and started again on, given back, free again after
 * the hold. A part of it by default, all of it with SCALE=full; the figures are printed.
 */

import { readFileSync } from 'node:fs'
import process from 'node:process'
import { afterEach, expect, test } from 'vitest'
import {
  OperatorClient,
  PasidClient,
  PasidError,
  rowsOf,
  type ControlSession,
  type PasidSession,
} from '../../src/client/index.js'
import { spawnDaemon, startChild, stopAll, temporaryFolder } from '../support/daemon.js'

const FULL = process.env['SCALE'] === 'full'
const FIRST = 256
const LAST = FULL ? 2 ** 20 - 1 : FIRST + 131_072 - 1
const NUMBERS = LAST - FIRST + 1
const BLOCK = 4096
/** Above it in blocks, below one by one. */
const BLOCKS_FIRST = FULL ? 262_144 : 65_536
const SESSIONS = 4
const SINGLES_IN_FLIGHT = 256
const MINUTE = 60_000
/** The rest of the namespace is reserved, so that this part is all there is. */
const BEYOND =
  LAST < 2 ** 20 - 1 ? `, { first = ${LAST + 1}, last = 1048575, reason = "not today" }` : ''
const TOML =
  `[namespace]\nhold = "1s"\nsession_max_pasids = 1048575\n` +
  `reservations = [{ first = 1, last = ${FIRST - 1}, reason = "host" }${BEYOND}]\n`

const clients: { close(): void }[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await stopAll()
})

const figures: string[] = []

async function measured<T>(what: string, rows: number, work: () => Promise<T>): Promise<T> {
  const began = performance.now()
  const result = await work()
  const ms = performance.now() - began
  figures.push(
    `${what}: ${rows} in ${ms.toFixed(0)} ms, ${((rows / ms) * 1000).toFixed(0)} a second`,
  )
  return result
}

function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}

function connect(sockets: { readonly vmmSocket: string; readonly adminSocket: string }) {
  const settings = { timeoutMs: 5 * MINUTE }
  const vmm = new PasidClient({ socket: sockets.vmmSocket, ...settings })
  const operator = new OperatorClient({ socket: sockets.adminSocket, ...settings })
  clients.push(vmm, operator)
  return { vmm, operator }
}

/** Grants until the range is exhausted; answers how many numbers that made. */
async function exhaust(
  control: ControlSession,
  ask: { one: object } | { block: { size: number } },
  range: { min: number; max: number },
): Promise<number> {
  const size = 'block' in ask ? ask.block.size : 1
  let granted = 0
  const worker = async (): Promise<void> => {
    for (;;) {
      try {
        await control.send('allocatePasids', { ...ask, ...range })
        granted += size
      } catch (error) {
        if (error instanceof PasidError && error.reason === 'NAMESPACE_EXHAUSTED') return
        throw error
      }
    }
  }
  const inFlight = size === 1 ? SINGLES_IN_FLIGHT : 4
  await Promise.all(Array.from({ length: inFlight }, worker))
  return granted
}

/** Every row, by pages; they come in order, so none comes twice. */
async function listAll(operator: OperatorClient): Promise<number> {
  let [last, count] = [0, 0]
  for await (const { pasid, state } of rowsOf(operator.allocations({ pageSize: 5000 }))) {
    if (pasid <= last) throw new Error(`${pasid} comes after ${last}`)
    if (state !== 'ALLOCATION_STATE_IDLE') throw new Error(`${pasid} is ${state}`)
    last = pasid
    count += 1
  }
  return count
}

/** Each of several sessions takes its part until nothing is free at all. */
async function takeAll(sessions: readonly PasidSession[]): Promise<void> {
  const controls = await Promise.all(sessions.map((session) => session.control()))
  const each = async (work: (control: ControlSession) => Promise<number>): Promise<number> => {
    const counts = await Promise.all(controls.map(work))
    return counts.reduce((a, b) => a + b, 0)
  }
  const blocks = { min: BLOCKS_FIRST, max: LAST }
  const inBlocks = Math.floor((LAST + 1 - BLOCKS_FIRST) / BLOCK) * BLOCK
  await measured('granted in blocks', inBlocks, async () => {
    const granted = await each((control) => exhaust(control, { block: { size: BLOCK } }, blocks))
    expect(granted).toBe(inBlocks)
  })
  await measured('granted one by one', NUMBERS - inBlocks, async () => {
    const all = { min: 1, max: 2 ** 20 - 1 }
    expect(await each((control) => exhaust(control, { one: {} }, all))).toBe(NUMBERS - inBlocks)
  })
  for (const control of controls) control.cancel()
}

test(`all ${NUMBERS} numbers of a namespace`, { timeout: 25 * MINUTE }, async () => {
  const folder = temporaryFolder()
  const daemon = await startChild({ folder, toml: TOML })
  const first = connect(daemon)
  const sessions: PasidSession[] = []
  for (let i = 0; i < SESSIONS; i += 1) sessions.push(await first.vmm.openSession())
  await takeAll(sessions)
  expect(await first.operator.getNamespace()).toMatchObject({ free: 0, held: NUMBERS })
  await measured('listed', NUMBERS, async () => {
    expect(await listAll(first.operator)).toBe(NUMBERS)
  })
  figures.push(`resident while full: ${residentMb(daemon.pid).toFixed(0)} MB`)
  await daemon.stop('SIGKILL')

  const next = spawnDaemon({ folder, toml: TOML })
  await measured('started again', NUMBERS, () => next.ready())
  figures.push(`resident after the start: ${residentMb(next.pid).toFixed(0)} MB`)
  const { vmm, operator } = connect(next)
  await measured('listed again', NUMBERS, async () => {
    expect(await listAll(operator)).toBe(NUMBERS)
  })
  await measured('checked', NUMBERS, async () => {
    expect(await operator.check(5 * MINUTE)).toMatchObject({
      consistent: true,
      allocations: NUMBERS,
    })
  })
  await measured('given back', NUMBERS, async () => {
    const range = { first: 1, last: 2 ** 20 - 1 }
    let freed = 0
    for (const { name, token } of sessions) {
      freed += (await vmm.session(name, token).freePasids({ range })).freed
    }
    expect(freed).toBe(NUMBERS)
  })
  while ((await operator.getNamespace()).free < NUMBERS) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(await operator.getNamespace()).toMatchObject({ free: NUMBERS, quarantined: 0 })
  const [session] = sessions
  if (session === undefined) throw new Error('there is a session')
  const again = vmm.session(session.name, session.token)
  expect((await again.allocatePasids({ block: { size: BLOCK } })).ranges).toHaveLength(1)
  expect((await operator.check(5 * MINUTE)).consistent).toBe(true)
  process.stdout.write(figures.map((line) => `  ${line}\n`).join(''))
})
