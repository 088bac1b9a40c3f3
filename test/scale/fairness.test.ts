/**
 * One tenant that takes and gives back numbers as fast as it can, with the rest that each number
 * has after its release, cannot make an allocation of another tenant fail: what rests is charged to
 * who gave it back.
 */

import process from 'node:process'
import { afterEach, expect, test } from 'vitest'
import { PasidClient, PasidError, type ControlSession } from '../../src/client/index.js'
import { startChild, stopAll, temporaryFolder } from '../support/daemon.js'

const FULL = process.env['SCALE'] === 'full'
const ALLOCATIONS = FULL ? 20_000 : 4000
/** Each tenant may have half of all numbers there are, held and resting together. */
const SHARE = 1024
const LOUD_IN_FLIGHT = 64
/** The quiet one asks for so many at once. */
const ROUND = 16
const HOLD_MS = 100

const clients: { close(): void }[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await stopAll()
})

async function controlOf(socket: string): Promise<ControlSession> {
  const client = new PasidClient({ socket })
  clients.push(client)
  const session = await client.openSession()
  return session.control()
}

async function allocate(control: ControlSession, size: number): Promise<number[]> {
  const { ranges } = await control.send('allocatePasids', { block: { size } })
  const numbers: number[] = []
  for (const { first, last } of ranges) for (let n = first; n <= last; n += 1) numbers.push(n)
  return numbers
}

/**
 * Takes and gives back until it is told to stop; answers how often, and what it was refused for.
 */
async function churn(control: ControlSession, over: () => boolean) {
  const refusals = new Map<string, number>()
  let taken = 0
  const worker = async (): Promise<void> => {
    while (!over()) {
      try {
        const pasids = await allocate(control, 2 ** (taken % 5))
        taken += pasids.length
        await control.send('freePasids', { pasids: { pasids } })
      } catch (error) {
        if (!(error instanceof PasidError) || error.reason === '') throw error
        refusals.set(error.reason, (refusals.get(error.reason) ?? 0) + 1)
      }
    }
  }
  await Promise.all(Array.from({ length: LOUD_IN_FLIGHT }, worker))
  return { taken, refusals: Object.fromEntries(refusals) }
}

test('a tenant that churns cannot make another’s allocation fail', async () => {
  const folder = temporaryFolder()
  const [loud, quiet] = [`${folder}/loud/s`, `${folder}/quiet/s`]
  const last = 255 + 2 * SHARE
  const toml =
    `[namespace]\nhold = "${HOLD_MS}ms"\nsession_max_pasids = 4096\nreservations = [` +
    `{ first = 1, last = 255, reason = "host" }, ` +
    `{ first = ${last + 1}, last = 1048575, reason = "not today" }]\n` +
    `[[tenant]]\nname = "loud"\nsocket = "${loud}"\nmax_pasids = ${SHARE}\n` +
    `[[tenant]]\nname = "quiet"\nsocket = "${quiet}"\nmax_pasids = ${SHARE}\n`
  await startChild({ folder, toml })
  let done = false
  const noise = churn(await controlOf(loud), () => done)
  const control = await controlOf(quiet)
  // A quarter of what it may have is held all the time, and the rest of its share comes and goes.
  const held = await allocate(control, SHARE / 4)
  for (let i = 0; i < ALLOCATIONS; i += ROUND) {
    const granted = await Promise.all(Array.from({ length: ROUND }, () => allocate(control, 1)))
    held.push(...granted.flat())
    const pasids = held.splice(0, ROUND).sort((a, b) => a - b)
    await control.send('freePasids', { pasids: { pasids } })
    // Its own numbers rest too: it does not ask for more than its share in the time of a hold.
    if ((i / ROUND) % 16 === 15) await new Promise((resolve) => setTimeout(resolve, 2 * HOLD_MS))
  }
  done = true
  const { taken, refusals } = await noise
  const text = `${ALLOCATIONS} beside ${taken} of the other, which was refused`
  process.stdout.write(`  fairness: ${text} ${JSON.stringify(refusals)}\n`)
  expect(refusals['QUOTA_EXCEEDED']).toBeGreaterThan(0)
  expect(taken).toBeGreaterThan(ALLOCATIONS)
})
