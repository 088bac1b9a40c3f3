/** Watch: from now and from a revision, what is told, slow readers, limits, ends. */
import { status } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type { WatchCursor, WatchStep } from '../../src/broker/answers.js'
import type { Event } from '../../src/core/events.js'
import { accept, refuse, type Outcome } from '../../src/core/refusal.js'
import { stopAll } from '../support/daemon.js'
import { TestCaller } from '../support/service-callers.js'
import { DEVICES_TOML, ServiceRig } from '../support/service-rig.js'
import { StubService } from '../support/service-stub.js'
import { WatchRig } from '../support/service-watch-rig.js'

const rigs: ServiceRig[] = []
const services: StubService[] = []

afterEach(async () => {
  for (const rig of rigs.splice(0)) rig.close()
  for (const service of services.splice(0)) await service.close()
  await stopAll()
})

async function start(limits = ''): Promise<ServiceRig> {
  const rig = await ServiceRig.start({ toml: `${DEVICES_TOML}\n[limits]\n${limits}` })
  rigs.push(rig)
  return rig
}

async function watch(rig: ServiceRig, from?: number | string): Promise<WatchRig> {
  const watcher = new WatchRig(rig.daemon.adminSocket, from)
  await expect.poll(() => watcher.told.length).toBeGreaterThan(0)
  return watcher
}

const revisionOf = async (rig: ServiceRig) => {
  const page = await rig.admin.must('Operator/ListSessions', {})
  return Number(page['revision'])
}

describe('a watcher', () => {
  test('is told that it has begun, then every change with what it means', async () => {
    const rig = await start()
    const from = await revisionOf(rig)
    const watcher = await watch(rig)
    expect(watcher.told[0]).toMatchObject({ response: 'started', started: { revision: `${from}` } })
    const { name, token } = await rig.openSession(['mdev0'])
    const ask = { session: name, exact: { pasids: [300, 301, 400] } }
    await rig.vmm.must('PasidBroker/AllocatePasids', ask, token)
    const bind = { session: name, pasid: 300, devices: ['devices/mdev0'], passThrough: {} }
    await rig.vmm.must('PasidBroker/BindPasid', bind, token)
    await rig.vmm.must('PasidBroker/CloseSession', { name }, token)
    const gone = () =>
      watcher.events.find(({ session }) => {
        return session?.state === 'SESSION_STATE_UNSPECIFIED'
      })
    await expect.poll(gone).toBeDefined()
    const { pid } = process
    expect(gone()?.session).toMatchObject({ name, cause: 'END_CAUSE_CLOSED', owner: { pid } })
    const numbers = watcher.events.flatMap((event) => event.numbers ?? [])
    expect(numbers[0]).toMatchObject({
      state: 'ALLOCATION_STATE_IDLE',
      session: name,
      ranges: [
        { first: 300, last: 301 },
        { first: 400, last: 400 },
      ],
    })
    expect(Number(numbers[0]?.generation)).toBeGreaterThan(from)
    const resting = numbers.filter(({ state }) => state === 'ALLOCATION_STATE_QUARANTINED')
    const rests = resting.flatMap(({ ranges }) => ranges).map(({ first }) => first)
    expect(rests.sort()).toEqual([300, 400].concat(rests.includes(301) ? [301] : []).sort())
    for (const { session } of numbers) expect(session).toBe(name)
    const attached = watcher.events.flatMap(({ attachment }) => attachment?.attached ?? [])
    expect(attached[0]).toBe(true)
    expect(attached.at(-1)).toBe(false)
    const bindings = watcher.events.flatMap((event) => event.binding ?? [])
    expect(bindings.some(({ binding }) => binding?.state === 'BINDING_STATE_BOUND')).toBe(true)
    expect(bindings.at(-1)).toMatchObject({ removed: true, session: name })
    const actions = watcher.events.flatMap(({ audit }) => audit?.action ?? [])
    expect(actions).toEqual(['OPEN_SESSION', 'CLOSE_SESSION'])
    const { revisions } = watcher
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b))
    watcher.cancel()
    expect((await watcher.ended).code).toBe(status.CANCELLED)
  })

  test('from a revision is told all that has happened since, as one who was there', async () => {
    const rig = await start()
    const live = await watch(rig)
    const from = await revisionOf(rig)
    for (let i = 0; i < 5; i += 1) {
      const { name, token } = await rig.openSession()
      await rig.vmm.must('PasidBroker/AllocatePasids', { session: name, one: {} }, token)
      await rig.vmm.must('PasidBroker/CloseSession', { name }, token)
    }
    const now = await revisionOf(rig)
    await expect.poll(() => live.revisions.at(-1)).toBe(now)
    const late = await watch(rig, from)
    await expect.poll(() => late.revisions.at(-1)).toBe(now)
    // The sessions are gone by now, and still are named.
    expect(late.told).toEqual(live.told)
    const begun = await watch(rig, now)
    expect(begun.told).toMatchObject([{ started: { revision: `${now}` } }])
  })

  test('from a revision that is not kept, or of another ledger, is resynced, and goes on', async () => {
    const rig = await start('watch_backlog = 16')
    for (let i = 0; i < 20; i += 1) await rig.openSession()
    const now = await revisionOf(rig)
    for (const from of [0, 1, now + 1, '9007199254740993', '18446744073709551615']) {
      const watcher = await watch(rig, from)
      expect(watcher.told).toMatchObject([{ response: 'resync', resync: { revision: `${now}` } }])
      expect(watcher.told[0]?.resync?.reason).not.toBe('')
      watcher.cancel()
      await watcher.ended
    }
    const watcher = await watch(rig, 1)
    await rig.openSession()
    await expect.poll(() => watcher.events.length).toBeGreaterThan(0)
    expect(watcher.revisions[0]).toBe(now + 1)
  })

  test('beyond the limit is refused, until another has gone', async () => {
    const rig = await start('watchers = 2')
    const [first, second] = [await watch(rig), await watch(rig)]
    const third = new WatchRig(rig.daemon.adminSocket)
    const { code, refusal } = await third.ended
    expect([code, refusal?.reason]).toEqual([status.RESOURCE_EXHAUSTED, 'OVERLOADED'])
    expect(refusal?.metadata).toEqual({ limit: '2', what: 'watchers' })
    first.cancel()
    await first.ended
    await expect
      .poll(async () => {
        const again = new WatchRig(rig.daemon.adminSocket)
        const begun = await Promise.race([
          again.ended.then(() => false),
          expect
            .poll(() => again.told.length)
            .toBe(1)
            .then(() => true),
        ]).catch(() => false)
        return begun
      })
      .toBe(true)
    second.cancel()
  })

  test('hears that the daemon stops', async () => {
    const rig = await start()
    const watcher = await watch(rig)
    await rig.daemon.stop()
    const { code, refusal } = await watcher.ended
    expect([code, refusal?.reason]).toEqual([status.UNAVAILABLE, 'DRAINING'])
  })
})

/** A broker's feed that the test plays. */
class Feed {
  readonly cursors = new Set<WatchCursor>()
  readonly steps: WatchStep[] = []
  wake: () => void = () => undefined
  pulled = 0
  refuse = false

  watch(from: number | undefined, wake: () => void): Outcome<WatchCursor> {
    if (this.refuse) return refuse({ code: 'OVERLOADED', limit: 0, what: 'watchers' })
    this.wake = wake
    const cursor: WatchCursor = {
      revision: from ?? 0,
      next: () => {
        const step = this.steps.shift()
        if (step !== undefined) this.pulled += 1
        return step
      },
      close: () => void this.cursors.delete(cursor),
    }
    this.cursors.add(cursor)
    return accept(cursor)
  }
}

async function stub(): Promise<{ service: StubService; feed: Feed }> {
  const service = await StubService.start()
  services.push(service)
  const feed = new Feed()
  service.broker.more = {
    watch: (from: number | undefined, wake: () => void) => feed.watch(from, wake),
    sessionName: () => 'vm',
    state: { tenant: () => ({ name: 't' }) },
  }
  service.identity = accept(new TestCaller({ role: 'observer' }))
  return { service, feed }
}

function released(revision: number, count: number): WatchStep {
  const runs = Array.from({ length: count }, (_, i) => ({ first: 2 * i + 1, count: 1 }))
  const event = { kind: 'released', namespace: 0, session: 1, tenant: 0, runs }
  return { kind: 'change', change: { revision, events: [event as unknown as Event] } }
}

describe('a slow reader', () => {
  test('is pulled for as fast as it takes, and misses nothing', async () => {
    const { service, feed } = await stub()
    const watcher = new WatchRig(service.adminSocket)
    await expect.poll(() => watcher.told.length).toBe(1)
    watcher.stream.pause()
    const total = 400
    for (let i = 1; i <= total; i += 1) feed.steps.push(released(i, 4096))
    feed.wake()
    let before = -1
    while (feed.pulled !== before) {
      before = feed.pulled
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    // Windows and buffers of both sides, and no more: 48 KiB a change.
    expect(feed.pulled).toBeLessThan(total / 4)
    watcher.stream.resume()
    await expect.poll(() => watcher.revisions.length, { timeout: 20_000 }).toBe(total)
    expect(watcher.revisions).toEqual(Array.from({ length: total }, (_, i) => i + 1))
    watcher.cancel()
    await watcher.ended
    await expect.poll(() => feed.cursors.size).toBe(0)
    expect(service.context.streams.count).toBe(0)
  })

  test('is told of one change of any size, in several messages of its revision', async () => {
    const { service, feed } = await stub()
    const watcher = new WatchRig(service.adminSocket)
    await expect.poll(() => watcher.told.length).toBe(1)
    feed.steps.push(released(7, 500_000), released(8, 1))
    feed.wake()
    await expect.poll(() => watcher.revisions.at(-1), { timeout: 20_000 }).toBe(8)
    const ranges = watcher.events.flatMap(({ numbers }) => numbers?.ranges ?? [])
    expect(ranges).toHaveLength(500_001)
    expect(ranges[499_999]).toEqual({ first: 999_999, last: 999_999 })
    expect(watcher.revisions.filter((revision) => revision === 7).length).toBeGreaterThan(50)
  })
})

test('a bug in what is told is an incident of the watcher, and wakes nobody else', async () => {
  const { service, feed } = await stub()
  const watcher = new WatchRig(service.adminSocket)
  await expect.poll(() => watcher.told.length).toBe(1)
  service.broker.more = {
    ...service.broker.more,
    sessionName: () => {
      throw new Error('secret')
    },
  }
  feed.steps.push(released(1, 1))
  expect(() => feed.wake()).not.toThrow()
  const { code, refusal } = await watcher.ended
  expect([code, refusal?.reason]).toEqual([status.INTERNAL, 'INTERNAL'])
  expect(service.incidents).toMatchObject([{ error: { message: 'secret' } }])
  expect(feed.cursors.size).toBe(0)
})

test('a watcher who has no role, or for whom there is no room, is refused', async () => {
  const { service, feed } = await stub()
  service.identity = accept(new TestCaller())
  const nobody = new WatchRig(service.adminSocket)
  expect((await nobody.ended).refusal?.reason).toBe('ROLE_NOT_ALLOWED')
  feed.refuse = true
  service.identity = accept(new TestCaller({ role: 'operator' }))
  expect((await new WatchRig(service.adminSocket).ended).refusal?.reason).toBe('OVERLOADED')
  expect(feed.cursors.size).toBe(0)
  expect(service.context.streams.count).toBe(0)
})
