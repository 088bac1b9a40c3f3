/**
 * Who may call EmulatorLab, a daemon without an emulator, calls that wait for page responses, and
 * watchers of faults that are slow: the service floor over a laboratory that the test plays.
 */
import { status, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type { Lab, LabFault, LabRaised } from '../../src/backend/lab.js'
import { accept, refuse } from '../../src/core/refusal.js'
import { PAGE_REQUEST_WAITS_MAX } from '../../src/service/lab/page-request.js'
import { FAULTS_WAITING_MAX } from '../../src/service/lab/watch-faults.js'
import type { WatchFaultsResponse__Output } from '../../src/wire/generated/pasid/v1/WatchFaultsResponse.js'
import { emulatorLabDefinition } from '../../src/wire/load.js'
import type { LabMethod } from '../../src/wire/messages.js'
import { stopAll } from '../support/daemon.js'
import { LabClient, type UnaryLabMethod } from '../support/lab-rig.js'
import { TestCaller } from '../support/service-callers.js'
import { StubService } from '../support/service-stub.js'

const services: StubService[] = []
const clients: LabClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const service of services.splice(0)) await service.close()
  await stopAll()
})

/** A service whose broker has this laboratory, or none. */
async function start(lab: Partial<Lab> | undefined): Promise<StubService> {
  const service = await StubService.start()
  services.push(service)
  const refusal = { code: 'FEATURE_NOT_AVAILABLE', feature: 'emulator-lab', remedy: 'r' } as const
  service.broker.more = {
    lab: (_device: string, use: (lab: Partial<Lab>) => unknown) => {
      return lab === undefined ? refuse(refusal) : accept(use(lab))
    },
    sessionId: () => 1,
    auditLab: () => undefined,
  }
  return service
}

function clientAs(service: StubService, role: 'operator' | 'observer' | undefined): LabClient {
  service.identity = accept(new TestCaller({ role }))
  const client = new LabClient(service.adminSocket)
  clients.push(client)
  return client
}

const device = 'devices/d'
const page = { device, target: { pasid: 7 }, group: 1, address: 0, last: true, wait: true }

/** Good requests: what is refused is refused for who asks. */
const READS: readonly (readonly [UnaryLabMethod, object])[] = [
  ['GetEmulator', {}],
  ['DumpTables', { device }],
  ['ListFaults', {}],
  ['ListOperations', {}],
]
const ACTS: readonly (readonly [UnaryLabMethod, object])[] = [
  ['UpdateEmulator', {}],
  ['CreateDevice', { name: 'd' }],
  ['ResetDevice', { device }],
  ['MapMemory', { session: 'sessions/s', zeros: true, size: 4096 }],
  ['UnmapMemory', { session: 'sessions/s' }],
  ['ReadMemory', { session: 'sessions/s', size: 8 }],
  ['WriteMemory', { session: 'sessions/s', data: Buffer.alloc(8) }],
  ['Translate', { device, target: { pasid: 7 } }],
  ['RaisePageRequest', page],
  ['SubmitDescriptors', { descriptors: Buffer.alloc(16) }],
  ['InjectFault', { device, dead: true }],
  ['ClearFaults', {}],
]

describe('who may call', () => {
  test('every method is a read or an act here', () => {
    const methods = [...READS, ...ACTS].map(([method]) => method as LabMethod)
    const all = Object.keys(emulatorLabDefinition)
    expect([...methods, 'WatchFaults'].sort()).toEqual(all.sort())
  })

  test.each([...READS, ...ACTS])('%s: nobody without a role', async (method, message) => {
    const client = clientAs(await start(undefined), undefined)
    const reply = await client.call(method, message)
    expect(reply).toMatchObject({ ok: false, refusal: { reason: 'ROLE_NOT_ALLOWED' } })
    expect(reply).toMatchObject({
      refusal: { message: expect.stringContaining('call Operator or EmulatorLab') as string },
    })
  })

  test.each(ACTS)('%s: no observer', async (method, message) => {
    const client = clientAs(await start(undefined), 'observer')
    const reply = await client.call(method, message)
    expect(reply).toMatchObject({ ok: false, refusal: { reason: 'ROLE_NOT_ALLOWED' } })
  })

  // Whoever may is told that there is no emulator, not that it may not.
  test.each(READS)('%s: observers', async (method, message) => {
    const client = clientAs(await start(undefined), 'observer')
    const reply = await client.call(method, message)
    expect(reply).toMatchObject({ ok: false, refusal: { reason: 'FEATURE_NOT_AVAILABLE' } })
  })

  test('a walk through a guest’s own tables: operators, as its memory', async () => {
    const service = await start({ dump: () => ({ lines: ['walked'], entries: [], more: false }) })
    const walk = { device, walkAddress: 0 }
    const observed = await clientAs(service, 'observer').call('DumpTables', walk)
    expect(observed).toMatchObject({ ok: false, refusal: { reason: 'ROLE_NOT_ALLOWED' } })
    expect(await clientAs(service, 'observer').call('DumpTables', { device })).toMatchObject({
      ok: true,
    })
    const operated = await clientAs(service, 'operator').call('DumpTables', walk)
    expect(operated).toMatchObject({ ok: true, message: { lines: ['walked'] } })
  })

  test.each([...READS, ...ACTS])('%s: operators, with an emulator', async (method, message) => {
    const client = clientAs(await start(undefined), 'operator')
    const reply = await client.call(method, message)
    expect(reply).toMatchObject({
      ok: false,
      refusal: { reason: 'FEATURE_NOT_AVAILABLE', metadata: { feature: 'emulator-lab' } },
    })
  })
})

/** Page requests that wait until the test answers them. */
class Waiting {
  readonly answers: ((code: 'SUCCESS' | 'DROPPED') => void)[] = []

  readonly raisePageRequest = (): LabRaised => {
    const answered = new Promise<'SUCCESS' | 'DROPPED'>((resolve) => this.answers.push(resolve))
    return { state: 'DELIVERED', answered }
  }
}

/** A call whose client may go away. */
function raise(client: LabClient) {
  const { path, requestSerialize, responseDeserialize } = emulatorLabDefinition.RaisePageRequest
  return client.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, page, () => {
    // It is gone.
  })
}

describe('a call that waits for a page response', () => {
  test('ends with the response, or with what became of the request', async () => {
    const waiting = new Waiting()
    const client = clientAs(await start(waiting), 'operator')
    const calls = [client.call('RaisePageRequest', page), client.call('RaisePageRequest', page)]
    await expect.poll(() => waiting.answers.length).toBe(2)
    waiting.answers[0]?.('SUCCESS')
    waiting.answers[1]?.('DROPPED')
    const replies = await Promise.all(calls)
    const states = replies.map((reply) => (reply.ok ? reply.message['state'] : 'refused'))
    expect(states.sort()).toEqual(['DROPPED', 'SUCCESS'])
  })

  test('at once, when it is not asked to wait, or nothing is to be waited for', async () => {
    const waiting = new Waiting()
    const client = clientAs(await start(waiting), 'operator')
    const now = await client.call('RaisePageRequest', { ...page, wait: false })
    expect(now).toMatchObject({ message: { state: 'DELIVERED' } })
    const full = clientAs(
      await start({ raisePageRequest: () => ({ state: 'SUCCESS' }) }),
      'operator',
    )
    expect(await full.call('RaisePageRequest', page)).toMatchObject({
      message: { state: 'SUCCESS' },
    })
  })

  test('is one of a bounded number, and leaves nothing when its client goes', async () => {
    const waiting = new Waiting()
    const service = await start(waiting)
    const client = clientAs(service, 'operator')
    // Streams of one connection are bounded too.
    const more = [client, clientAs(service, 'operator'), clientAs(service, 'operator')]
    const calls = Array.from({ length: PAGE_REQUEST_WAITS_MAX }, (_, i) => {
      return raise(more[i % more.length] ?? client)
    })
    await expect
      .poll(() => waiting.answers.length, { timeout: 20_000 })
      .toBe(PAGE_REQUEST_WAITS_MAX)
    const over = await client.call('RaisePageRequest', page)
    expect(over).toMatchObject({
      ok: false,
      refusal: { reason: 'OVERLOADED', metadata: { limit: `${PAGE_REQUEST_WAITS_MAX}` } },
    })
    // It was not raised, as nobody would wait for it.
    expect(waiting.answers).toHaveLength(PAGE_REQUEST_WAITS_MAX)
    const { calls: underWay, streams } = service.context
    expect([underWay.count, streams.count]).toEqual([
      PAGE_REQUEST_WAITS_MAX,
      PAGE_REQUEST_WAITS_MAX,
    ])
    for (const call of calls) call.cancel()
    await expect.poll(() => [underWay.count, streams.count]).toEqual([0, 0])
    // An answer that comes after all is nobody's.
    for (const answer of waiting.answers) answer('SUCCESS')
    const next = client.call('RaisePageRequest', page)
    await expect.poll(() => waiting.answers.length).toBe(PAGE_REQUEST_WAITS_MAX + 1)
    waiting.answers.at(-1)?.('SUCCESS')
    expect(await next).toMatchObject({ message: { state: 'SUCCESS' } })
  })

  test('ends with DRAINING when the daemon stops', async () => {
    const waiting = new Waiting()
    const service = await start(waiting)
    const client = clientAs(service, 'operator')
    const call = client.call('RaisePageRequest', page)
    await expect.poll(() => waiting.answers.length).toBe(1)
    service.context.streams.drain()
    expect(await call).toMatchObject({ refusal: { reason: 'DRAINING' } })
    const late = await client.call('RaisePageRequest', page)
    expect(late).toMatchObject({ refusal: { reason: 'DRAINING' } })
  })
})

class Faults {
  readonly watchers = new Set<(fault: LabFault) => void>()
  sequence = 0

  readonly watchFaults = (listener: (fault: LabFault) => void): (() => void) => {
    this.watchers.add(listener)
    return () => this.watchers.delete(listener)
  }

  tell(count: number, name = 'd'): void {
    for (let i = 0; i < count; i += 1) {
      this.sequence += 1
      const fault = { sequence: this.sequence, at: 0, device: name, target: 7, reason: 0x80 }
      const access = { write: false, execute: false, privileged: false }
      const whole = { ...fault, name: 'N'.repeat(60), address: 4096n, ...access }
      for (const watcher of this.watchers) watcher(whole)
    }
  }
}

function watch(client: LabClient, asked: object) {
  const { path, requestSerialize, responseDeserialize } = emulatorLabDefinition.WatchFaults
  const stream: ClientReadableStream<WatchFaultsResponse__Output> =
    client.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, asked)
  const told: WatchFaultsResponse__Output[] = []
  stream.on('data', (response: WatchFaultsResponse__Output) => told.push(response))
  const ended = new Promise<ServiceError>((resolve) => stream.on('error', resolve))
  return { stream, told, ended }
}

describe('a watcher of faults', () => {
  test('is told those of its device, in order', async () => {
    const faults = new Faults()
    const client = clientAs(await start(faults), 'observer')
    const { told, stream } = watch(client, { device })
    await expect.poll(() => faults.watchers.size).toBe(1)
    faults.tell(1)
    faults.tell(1, 'other')
    faults.tell(1)
    await expect.poll(() => told.length).toBe(2)
    expect(told.map(({ fault }) => fault?.sequence)).toEqual(['1', '3'])
    stream.cancel()
    await expect.poll(() => faults.watchers.size).toBe(0)
  })

  test('that is slow has a bounded number kept, and is told how many it missed', async () => {
    const faults = new Faults()
    const client = clientAs(await start(faults), 'observer')
    const { told, stream } = watch(client, {})
    await expect.poll(() => faults.watchers.size).toBe(1)
    stream.pause()
    // More than windows and buffers of both sides and the bound together hold.
    const total = FAULTS_WAITING_MAX + 20_000
    faults.tell(total)
    stream.resume()
    const lost = () => told.reduce((sum, response) => sum + Number(response.lost ?? 0), 0)
    const seen = () => told.filter(({ event }) => event === 'fault').length
    await expect.poll(() => lost() + seen(), { timeout: 20_000 }).toBe(total)
    expect(lost()).toBeGreaterThan(0)
    expect(seen()).toBeGreaterThanOrEqual(FAULTS_WAITING_MAX)
    const sequences = told.flatMap(({ fault }) => (fault ? [Number(fault.sequence)] : []))
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b))
    // The gap is told where it is: nothing follows it that came before.
    expect(told.at(-1)?.event).toBe('lost')
    faults.tell(1)
    await expect.poll(() => told.at(-1)?.fault?.sequence).toBe(String(total + 1))
    stream.cancel()
  })

  test('is refused without a role, without an emulator, and when there are too many', async () => {
    const nobody = watch(clientAs(await start(new Faults()), undefined), {})
    expect((await nobody.ended).code).toBe(status.PERMISSION_DENIED)
    const none = watch(clientAs(await start(undefined), 'observer'), {})
    expect((await none.ended).code).toBe(status.UNIMPLEMENTED)
    const faults = new Faults()
    const service = await start(faults)
    const { watchers } = service.context.limits
    const client = clientAs(service, 'observer')
    const wrong = watch(client, { device: 'd' })
    expect((await wrong.ended).code).toBe(status.INVALID_ARGUMENT)
    const open = Array.from({ length: watchers }, () => watch(client, {}))
    await expect.poll(() => faults.watchers.size).toBe(watchers)
    expect((await watch(client, {}).ended).code).toBe(status.RESOURCE_EXHAUSTED)
    for (const { stream } of open) stream.cancel()
    await expect.poll(() => faults.watchers.size).toBe(0)
    expect(service.context.streams.count).toBe(0)
  })

  test('ends with DRAINING when the daemon stops, and with an incident on a bug', async () => {
    const faults = new Faults()
    const service = await start(faults)
    const client = clientAs(service, 'observer')
    const broken = watch(client, {})
    await expect.poll(() => faults.watchers.size).toBe(1)
    for (const watcher of faults.watchers) watcher({} as LabFault)
    expect((await broken.ended).code).toBe(status.INTERNAL)
    expect(service.incidents).toHaveLength(1)
    const draining = watch(client, {})
    await expect.poll(() => faults.watchers.size).toBe(1)
    service.context.streams.drain()
    expect((await draining.ended).code).toBe(status.UNAVAILABLE)
    expect(faults.watchers.size).toBe(0)
  })
})
