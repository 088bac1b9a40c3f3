/** What hostile and slow clients cannot do: every queue, message and stream count is bounded. */
import { status } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type { SessionEvent } from '../../src/broker/answers.js'
import { DEFAULT_SERVICE_LIMITS, type ServiceLimits } from '../../src/service/limits.js'
import { pasidBrokerDefinition } from '../../src/wire/load.js'
import { stopAll } from '../support/daemon.js'
import { ControlRig } from '../support/service-control-rig.js'
import { encode, packet, RawClient } from '../support/service-rig.js'
import { Gate, StubService } from '../support/service-stub.js'

const SESSION = { name: 'sessions/vm', token: 't' }
const GET = 'PasidBroker/GetSession'
const services: StubService[] = []
const clients: RawClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const service of services.splice(0)) await service.close()
  await stopAll()
})

async function start(limits: Partial<ServiceLimits> = {}): Promise<StubService> {
  const service = await StubService.start({ limits })
  services.push(service)
  return service
}

function connect(service: StubService): RawClient {
  const client = new RawClient(service.socket)
  clients.push(client)
  return client
}

const open = (service: StubService) => ControlRig.open(service.socket, SESSION)
const EVENT: SessionEvent = { kind: 'session-ended', cause: '' }
const QUOTA: SessionEvent = {
  kind: 'quota-changed',
  headroom: { session: 1, tenant: undefined, scope: 1 },
}

/** Nothing is left of streams and calls that are over. */
async function expectClean(service: StubService): Promise<void> {
  await expect.poll(() => service.context.streams.count).toBe(0)
  expect(service.context.calls.count).toBe(0)
  expect(service.broker.subscribers.size).toBe(0)
}

/** Resolves with the value once it has stayed the same for a while. */
async function settled(read: () => number): Promise<number> {
  let before = -1
  while (read() !== before) {
    before = read()
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  return before
}

describe('a client that never reads', () => {
  test('is not read from for ever, and loses nothing when it reads again', async () => {
    const service = await start()
    const control = await open(service)
    control.stream.pause()
    const total = 20_000
    const command = { getSession: {} }
    const { Control } = pasidBrokerDefinition
    for (let id = 10; id < total + 10; id += 1) {
      control.stream.write(Control.requestSerialize({ id: String(id), ...command }))
    }
    const carriedOut = await settled(() => service.broker.asked)
    // What both sides' windows and buffers take, and no more: 65535 bytes in flight are 250
    // answers.
    expect(carriedOut).toBeLessThan(total / 4)
    expect(service.context.calls.count).toBe(0)
    control.stream.resume()
    await expect.poll(() => control.events.length, { timeout: 20_000 }).toBe(total)
    control.end()
    await control.ended
    await expectClean(service)
  })

  test('is cut with the reason when it does not take its events', async () => {
    const service = await start()
    const control = await open(service)
    control.stream.pause()
    const { controlEvents } = DEFAULT_SERVICE_LIMITS
    const before = process.memoryUsage().rss
    let told = 0
    // Turn by turn, so that the transport takes what it can.
    while (service.broker.subscribers.size > 0 && told < 100 * controlEvents) {
      for (let i = 0; i < 100; i += 1, told += 1) service.broker.tell(QUOTA)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(service.broker.subscribers.size).toBe(0)
    expect(service.context.streams.count).toBe(0)
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
    control.stream.resume()
    const { code, refusal } = await control.ended
    expect(code).toBe(status.RESOURCE_EXHAUSTED)
    expect(refusal?.metadata).toEqual({
      limit: String(controlEvents),
      what: 'events that the client has not taken',
    })
    await expectClean(service)
  })
})

describe('the in-flight bound of a stream', () => {
  test('stops reading at it, and goes on when answers leave', async () => {
    const service = await start({ controlInFlight: 32 })
    const gate = new Gate()
    service.broker.getSession = () => gate.pass()
    const control = await open(service)
    const answers = Array.from({ length: 100 }, () => control.send({ getSession: {} }))
    expect(await settled(() => gate.waiting)).toBe(32)
    expect(service.context.calls.count).toBe(32)
    for (let round = 0; round < 4; round += 1) {
      await expect.poll(() => gate.waiting).toBeGreaterThan(0)
      await settled(() => gate.waiting)
      expect(gate.waiting).toBeLessThanOrEqual(32)
      gate.open()
    }
    await Promise.all(answers)
    control.end()
    await control.ended
    await expectClean(service)
  })

  test('commands under way when the client goes are still counted until they end', async () => {
    const service = await start()
    const gate = new Gate()
    service.broker.getSession = () => gate.pass()
    const control = await open(service)
    for (let i = 0; i < 10; i += 1) void control.send({ getSession: {} })
    await expect.poll(() => gate.waiting).toBe(10)
    control.cancel()
    expect((await control.ended).code).toBe(status.CANCELLED)
    await expect.poll(() => service.broker.subscribers.size).toBe(0)
    expect(service.context.calls.count).toBe(10)
    gate.open()
    await expectClean(service)
  })
})

describe('the in-flight bound of the daemon', () => {
  test('refuses calls and commands above it, with the limit', async () => {
    const service = await start({ callsInFlight: 3 })
    const gate = new Gate()
    service.broker.getSession = () => gate.pass()
    const client = connect(service)
    const control = await open(service)
    const calls = [1, 2, 3].map(() => client.call(GET, { name: SESSION.name }, SESSION.token))
    await expect.poll(() => gate.waiting).toBe(3)
    const refused = await client.call(GET, { name: SESSION.name }, SESSION.token)
    expect(refused).toMatchObject({ ok: false, refusal: { reason: 'OVERLOADED' } })
    const { refusal } = await control.send({ getSession: {} })
    expect(refusal).toMatchObject({ reason: 'OVERLOADED', metadata: { limit: '3' } })
    gate.open()
    for (const reply of await Promise.all(calls)) expect(reply.ok).toBe(true)
    control.end()
    await control.ended
    await expectClean(service)
  })
})

describe('a daemon that stops', () => {
  test('answers what is under way, then ends streams with DRAINING', async () => {
    const service = await start()
    const gate = new Gate()
    service.broker.getSession = () => gate.pass()
    const control = await open(service)
    const answer = control.send({ getSession: {} })
    await expect.poll(() => gate.waiting).toBe(1)
    service.context.streams.drain()
    gate.open()
    expect((await answer).refusal).toBeUndefined()
    const { code, refusal } = await control.ended
    expect([code, refusal?.reason]).toEqual([status.UNAVAILABLE, 'DRAINING'])
    await expectClean(service)
  })

  test('ends streams that come later at once', async () => {
    const service = await start()
    service.context.streams.drain()
    const control = new ControlRig(service.socket, SESSION.token)
    expect((await control.ended).refusal?.reason).toBe('DRAINING')
    await expectClean(service)
  })
})

test('the end of the session is told, then the stream ends well', async () => {
  const service = await start()
  const control = await open(service)
  service.broker.tell(EVENT)
  expect((await control.ended).code).toBe(status.OK)
  expect(control.events.map(({ answer }) => answer)).toEqual(['sessionEnded'])
  await expectClean(service)
})

describe('a bug', () => {
  test('is told as an incident, never by its text', async () => {
    const service = await start()
    const secret = new Error('secret')
    const control = await open(service)
    for (const fail of [
      () => Promise.reject(secret),
      () => {
        throw secret
      },
    ]) {
      service.broker.getSession = fail
      const reply = await connect(service).call(GET, { name: SESSION.name }, SESSION.token)
      const { refusal } = await control.send({ getSession: {} })
      for (const one of [reply.ok ? undefined : reply.refusal, refusal]) {
        expect(one?.reason).toBe('INTERNAL')
        expect(one?.message).not.toContain('secret')
        const { id, error } = service.incidents.shift() ?? {}
        expect([one?.metadata['incident'], error]).toEqual([id, secret])
      }
    }
    control.end()
    await control.ended
    await expectClean(service)
  })
})

describe('sizes', () => {
  test('a message above the limit is refused, and the next call is served', async () => {
    const service = await start()
    const client = connect(service)
    const { messageBytes } = DEFAULT_SERVICE_LIMITS
    const flood = Buffer.concat([encode(GET, SESSION), packet.bytes(1, Buffer.alloc(messageBytes))])
    await expect(client.send(GET, flood, SESSION.token)).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    })
    expect((await client.call(GET, { name: SESSION.name }, SESSION.token)).ok).toBe(true)
    const control = await open(service)
    control.stream.write(flood)
    expect((await control.ended).code).toBe(status.RESOURCE_EXHAUSTED)
    await expectClean(service)
  })

  test('metadata above 64 KiB never reaches a handler, and the daemon serves on', async () => {
    const service = await start()
    const client = connect(service)
    const flood = 'x'.repeat(80_000)
    await expect(client.call(GET, { name: SESSION.name }, flood)).rejects.toHaveProperty('code')
    expect(service.called).toEqual([])
    expect((await connect(service).call(GET, { name: SESSION.name }, SESSION.token)).ok).toBe(true)
  })
})

test('streams beyond the limit of a connection wait, and those that are open are served', async () => {
  const limit = 8
  const service = await start({ streamsPerConnection: limit })
  const client = connect(service)
  const gate = new Gate()
  service.broker.getSession = () => gate.pass()
  const total = 5 * limit
  const calls = Array.from({ length: total }, () => {
    return client.call(GET, { name: SESSION.name }, SESSION.token)
  })
  for (let done = 0; done < total; done += limit) {
    await expect.poll(() => gate.waiting).toBe(limit)
    expect(await settled(() => gate.waiting)).toBe(limit)
    gate.open()
  }
  for (const reply of await Promise.all(calls)) expect(reply.ok).toBe(true)
  await expectClean(service)
})
