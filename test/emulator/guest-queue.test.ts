/**
 * The recorded invalidation queue of a real guest, all of it, through raw descriptors: no error,
 * and after each batch the same caches as after the equal Invalidate commands. SEED repeats a run.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { INVALIDATE_ENTRIES_MAX } from '../../src/core/limits.js'
import { stopAll } from '../support/daemon.js'
import { ok } from '../support/broker-rig-vm.js'
import { removeFolders } from '../support/broker-rig.js'
import {
  batches,
  bytesOf,
  decoded,
  deviceOf,
  DOMAINS,
  equalEntry,
  pagesOf,
  recordedQueue,
  startQueueGuest,
  type QueueGuest,
  type Words,
} from '../support/guest-queue.js'
import { queue, raw } from '../support/raw-invalidation.js'
import { ControlRig } from '../support/service-control-rig.js'
import { ServiceRig } from '../support/service-rig.js'

const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
/** Accesses of each domain between two batches. */
const WARM_UPS = 40
/** Batches that go through a socket as well. */
const SOCKET_BATCHES = 20

/** mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

let words: readonly Words[]
let pages: ReturnType<typeof pagesOf>
let byRaw: QueueGuest
let byEntries: QueueGuest

beforeAll(async () => {
  words = recordedQueue()
  pages = pagesOf(words)
  byRaw = await startQueueGuest(words)
  byEntries = await startQueueGuest(words)
})
afterAll(async () => {
  await byRaw.rig.stop()
  await byEntries.rig.stop()
  removeFolders()
  await stopAll()
})

/** The statuses that the guest waits for. */
function statusesOf(batch: readonly Words[]): readonly object[] {
  return batch.flatMap((one) => {
    const descriptor = decoded(one)
    if (descriptor.kind !== 'WAIT' || descriptor.statusWrite === undefined) return []
    const { address, data } = descriptor.statusWrite
    return [{ address: String(address), data }]
  })
}

/** The same accesses of both; the answers, which say what is cached, must be the same. */
function warmUp(random: (below: number) => number): string[] {
  const answers: string[] = []
  for (const domain of DOMAINS) {
    const own = pages.get(domain) ?? []
    for (let i = 0; i < WARM_UPS; i += 1) {
      const page = own[random(own.length)] ?? 0
      const write = random(4) === 0
      const answer = byRaw.ask(domain, page, write)
      expect(answer, `domain ${domain}, page ${page}`).toBe(byEntries.ask(domain, page, write))
      answers.push(answer)
    }
  }
  return answers
}

function everyAnswer(guest: QueueGuest): string[] {
  const answers: string[] = []
  for (const [domain, own] of pages) {
    for (const page of own) answers.push(guest.ask(domain, page, false))
  }
  return answers
}

test(`all of it, in process (SEED=${SEED})`, async () => {
  const random = randomOf(SEED)
  const sources = new Set<string | undefined>()
  for (const guest of [byRaw, byEntries]) guest.rig.emulator.lab.set({ operationLog: true })
  let done = 0
  for (const batch of batches(words, INVALIDATE_ENTRIES_MAX)) {
    for (const answer of warmUp(random)) sources.add(answer.split(' ').at(1))
    const answer = ok(await raw(byRaw.rig.broker, byRaw.vm.id, queue(bytesOf(batch))))
    expect(answer).toEqual({ done: batch.length, statusWrites: statusesOf(batch) })
    done += answer.done ?? 0
    const entries = batch.flatMap((one) => equalEntry(decoded(one)) ?? [])
    expect(ok(await byEntries.vm.invalidateAll(entries))).toMatchObject({ lost: [] })
    const [a, b] = [byRaw, byEntries].map(({ rig }) => rig.emulator.lab.state().caches)
    expect(a).toEqual(b)
  }
  expect(done).toBe(123_408)
  // The comparison has seen what was cached, and what was not.
  expect([...sources].toSorted()).toEqual(expect.arrayContaining(['DEVICE_TLB', 'TABLES']))
  const kept = [byRaw, byEntries].map(({ rig }) => rig.emulator.lab.operations(0, 100_000))
  const texts = kept.map(({ rows }) => rows.map(({ text }) => text))
  expect(texts[0]?.length).toBeGreaterThan(10_000)
  expect(texts[0]).toEqual(texts[1])
  expect(everyAnswer(byRaw)).toEqual(everyAnswer(byEntries))
})

test('a part of it through a socket, as the guest cut it into waits', async () => {
  const devices = DOMAINS.map((domain) => `[[backend.device]]\nname = "${deviceOf(domain)}"\n`)
  const rig = await ServiceRig.start({ toml: devices.join('\n') })
  const session = await rig.openSession(DOMAINS.map(deviceOf))
  const named = { session: session.name }
  for (const domain of DOMAINS) {
    const at = { rid: true, devices: [`devices/${deviceOf(domain)}`], domain }
    const bind = { ...named, ...at, firstStage: { address: 4096, addressWidth: 48 } }
    await rig.vmm.must('PasidBroker/BindPasid', bind, session.token)
  }
  let left = SOCKET_BATCHES
  for (const batch of batches(words, INVALIDATE_ENTRIES_MAX)) {
    if (left === 0) break
    left -= 1
    const vtdDescriptors = { descriptors: bytesOf(batch), wide: true }
    const message = { ...named, vtdDescriptors }
    const answer = await rig.vmm.must('PasidBroker/InvalidateRaw', message, session.token)
    expect(answer).toMatchObject({ done: batch.length, error: 0, problem: '' })
    expect(answer['statusWrites']).toEqual(statusesOf(batch))
  }
  const control = await ControlRig.open(rig.daemon.vmmSocket, session)
  const vtdDescriptors = { descriptors: bytesOf(words.slice(-512)), wide: true }
  const { response } = await control.send({ invalidateRaw: { vtdDescriptors } })
  expect(response.invalidateRaw).toMatchObject({ done: 512, error: 0 })
  control.end()
  rig.close()
})
