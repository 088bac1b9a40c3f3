/** Rates and bounds per tenant through real calls and streams, on a clock that the test moves. */
import { status } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import { accept } from '../../src/core/refusal.js'
import type { ServiceLimits } from '../../src/service/limits.js'
import { RigClock } from '../support/broker-rig-clock.js'
import { stopAll } from '../support/daemon.js'
import { processOf, TestCaller } from '../support/service-callers.js'
import { ControlRig } from '../support/service-control-rig.js'
import { encode, metadataOf, RawClient, type Reply } from '../support/service-rig.js'
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

async function start(limits: Partial<ServiceLimits>) {
  const clock = new RigClock()
  const service = await StubService.start({ limits, clock })
  services.push(service)
  return { service, clock }
}

function connect(service: StubService, tenant = 'default'): RawClient {
  service.identity = accept(new TestCaller({ tenant, process: processOf(100) }))
  const client = new RawClient(service.socket)
  clients.push(client)
  return client
}

const get = (client: RawClient): Promise<Reply> => client.call(GET, { name: SESSION.name }, 't')
const meterOf = (service: StubService, key = 'tenants/default') => {
  const meter = service.context.meters?.hold(key)
  if (meter !== undefined) service.context.meters?.release(meter)
  return meter
}

describe('unary calls', () => {
  const limits = { callsPerSecond: 10, callsBurst: 2, rateWaitMs: 300 }

  test('over their rate wait for their turn, then for nothing; other tenants do not', async () => {
    const { service, clock } = await start(limits)
    const client = connect(service)
    const done: Reply[] = []
    const calls = Array.from({ length: 6 }, async () => done.push(await get(client)))
    await expect.poll(() => done.length).toBe(2)
    await expect.poll(() => clock.timers).toBe(4)
    expect((await get(connect(service, 'other'))).ok).toBe(true)
    clock.pass(100)
    await expect.poll(() => done.length).toBe(3)
    clock.pass(200)
    await Promise.all(calls)
    const refused = done.filter(({ ok }) => !ok)
    expect(refused).toMatchObject([
      {
        refusal: {
          code: status.RESOURCE_EXHAUSTED,
          reason: 'RATE_LIMITED',
          metadata: { tenant: 'tenants/default', method: GET, limit: '10', retryMs: '100' },
          retryMs: 100,
          quota: { subject: 'tenants/default' },
        },
      },
    ])
    expect(service.broker.asked).toBe(6)
    expect(meterOf(service)?.calls.count).toBe(0)
  })

  test('that wait count as under way: beyond the bound they are refused at once', async () => {
    const { service, clock } = await start({ ...limits, tenantCallsInFlight: 3 })
    const gate = new Gate()
    service.broker.getSession = () => gate.pass()
    const client = connect(service)
    const calls = [get(client), get(client), get(client)]
    await expect.poll(() => [gate.waiting, clock.timers]).toEqual([2, 1])
    const refused = await get(client)
    expect(refused).toMatchObject({
      refusal: {
        reason: 'OVERLOADED',
        metadata: { limit: '3', what: 'calls of tenants/default under way' },
      },
    })
    clock.pass(100)
    await expect.poll(() => gate.waiting).toBe(3)
    gate.open()
    for (const reply of await Promise.all(calls)) expect(reply.ok).toBe(true)
    expect(meterOf(service)?.calls.count).toBe(0)
  })

  test('whose client has gone while they waited do nothing', async () => {
    const { service, clock } = await start(limits)
    const { client } = connect(service)
    const bytes = encode(GET, { name: SESSION.name })
    const path = `/pasid.v1.${GET}`
    const calls = Array.from({ length: 4 }, () => {
      return client.makeUnaryRequest(path, same, same, bytes, metadataOf('t'), () => undefined)
    })
    await expect.poll(() => clock.timers).toBe(2)
    for (const call of calls.slice(2)) call.cancel()
    // Cancellations are known once a later call on the same connection is.
    await health({ client })
    clock.pass(1000)
    expect(service.broker.asked).toBe(2)
    expect(meterOf(service)?.calls.count).toBe(0)
    expect(service.called).toHaveLength(2)
  })

  test('of operators, and of the daemon’s own probes, are not limited', async () => {
    const { service, clock } = await start({ callsPerSecond: 1, callsBurst: 1 })
    service.identity = accept(new TestCaller({ role: 'operator' }))
    service.broker.more = {
      reservations: () => Promise.resolve(accept({ rows: [], revision: 1 })),
    }
    const admin = new RawClient(service.adminSocket)
    clients.push(admin)
    for (let i = 0; i < 10; i += 1) {
      expect((await admin.call('Operator/ListReservations', {})).ok).toBe(true)
    }
    service.identity = accept(new TestCaller({ process: processOf(1, 0) }))
    const probe = new RawClient(service.socket)
    clients.push(probe)
    for (let i = 0; i < 10; i += 1) await health(probe)
    expect(clock.timers).toBe(0)
  })
})

const same = (bytes: Buffer): Buffer => bytes

function health({ client }: Pick<RawClient, 'client'>): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const path = '/grpc.health.v1.Health/Check'
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), (error, answer) => {
      if (error === null) resolve(answer)
      else reject(error)
    })
  })
}

describe('commands of Control streams', () => {
  const limits = { commandsPerSecond: 10, commandsBurst: 4 }

  test('over their rate are not read until there is a token, and never refused', async () => {
    const { service, clock } = await start(limits)
    service.identity = accept(new TestCaller())
    const control = await ControlRig.open(service.socket, SESSION)
    const refusals: unknown[] = []
    const answers = Array.from({ length: 30 }, async () => {
      const { refusal } = await control.send({ getSession: {} })
      if (refusal !== undefined) refusals.push(refusal)
    })
    // The burst, and one that has taken a token of the future.
    await expect.poll(() => service.broker.asked).toBe(5)
    for (let more = 1; more <= 25; more += 1) {
      await expect.poll(() => clock.timers).toBe(1)
      expect(service.broker.asked).toBe(4 + more)
      clock.pass(100)
      if (more < 25) await expect.poll(() => service.broker.asked).toBe(5 + more)
    }
    await Promise.all(answers)
    expect(refusals).toEqual([])
    // The last has borrowed a token as well: the end is read once that is there.
    clock.pass(100)
    control.end()
    expect((await control.ended).code).toBe(status.OK)
  })

  test('share the rate of their tenant over all its streams', async () => {
    const { service, clock } = await start(limits)
    service.identity = accept(new TestCaller())
    const streams = await Promise.all(
      Array.from({ length: 3 }, () => ControlRig.open(service.socket, SESSION)),
    )
    const answers = streams.flatMap((control) => {
      return Array.from({ length: 10 }, () => control.send({ getSession: {} }))
    })
    // Each stream stops after the first command that came too early.
    await expect.poll(() => clock.timers).toBe(3)
    expect(service.broker.asked).toBe(7)
    for (let round = 0; round < 60; round += 1) {
      clock.pass(100)
      await new Promise((resolve) => setTimeout(resolve, 5))
      // Thirty take no less time than the rate says.
      expect(service.broker.asked).toBeLessThanOrEqual(7 + round + 1)
    }
    for (const { refusal } of await Promise.all(answers)) expect(refusal).toBeUndefined()
    for (const control of streams) control.end()
    for (const control of streams) await control.ended
    expect(meterOf(service)?.holders).toBe(0)
  })

  test('beyond the calls of their tenant under way are refused, those of others are not', async () => {
    const { service } = await start({ tenantCallsInFlight: 3 })
    const gate = new Gate()
    service.broker.getSession = () => gate.pass()
    service.identity = accept(new TestCaller())
    const control = await ControlRig.open(service.socket, SESSION)
    const answers = [1, 2, 3].map(() => control.send({ getSession: {} }))
    await expect.poll(() => gate.waiting).toBe(3)
    const { refusal } = await control.send({ getSession: {} })
    expect(refusal).toMatchObject({ reason: 'OVERLOADED', metadata: { limit: '3' } })
    service.identity = accept(new TestCaller({ tenant: 'other' }))
    const other = await ControlRig.open(service.socket, SESSION)
    const fine = other.send({ getSession: {} })
    await expect.poll(() => gate.waiting).toBe(4)
    gate.open()
    for (const one of await Promise.all([...answers, fine])) expect(one.refusal).toBeUndefined()
    control.end()
    other.end()
    await Promise.all([control.ended, other.ended])
  })
})

describe('opening of streams', () => {
  test('is limited like calls: held back, then refused; a stream that has gone is forgotten', async () => {
    const { service, clock } = await start({ callsPerSecond: 10, callsBurst: 1, rateWaitMs: 100 })
    service.identity = accept(new TestCaller())
    const first = await ControlRig.open(service.socket, SESSION)
    const second = ControlRig.open(service.socket, SESSION)
    await expect.poll(() => clock.timers).toBe(1)
    const third = new ControlRig(service.socket, SESSION.token)
    await expect.poll(() => clock.timers).toBe(2)
    const gone = new ControlRig(service.socket, SESSION.token)
    await expect.poll(() => clock.timers).toBe(3)
    gone.cancel()
    await gone.ended
    await expect.poll(() => service.context.streams.count).toBe(3)
    clock.pass(100)
    expect((await third.ended).refusal?.reason).toBe('RATE_LIMITED')
    const opened = await second
    expect(service.broker.subscribers.size).toBe(2)
    for (const control of [first, opened]) control.end()
    await Promise.all([first.ended, opened.ended])
    await expect.poll(() => service.context.streams.count).toBe(0)
    expect(meterOf(service)).toMatchObject({ holders: 0 })
    expect(meterOf(service)?.calls.count).toBe(0)
  })
})
