/** Health through real gRPC: who is metered, who is not, and what a watcher is told. */
import net from 'node:net'
import path from 'node:path'
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  status,
  type ServiceError,
} from '@grpc/grpc-js'
import { service as healthDefinition } from 'grpc-health-check'
import { afterEach, expect, test } from 'vitest'
import { present } from '../../src/core/assert.js'
import { accept } from '../../src/core/refusal.js'
import { Health } from '../../src/service/health.js'
import { DEFAULT_SERVICE_LIMITS } from '../../src/service/limits.js'
import { Meters } from '../../src/service/meters.js'
import { peerInterceptor } from '../../src/service/peer.js'
import { Streams } from '../../src/service/streams.js'
import { RigClock } from '../support/broker-rig-clock.js'
import { stopAll, temporaryFolder } from '../support/daemon.js'
import { processOf, TestCaller } from '../support/service-callers.js'

const SERVICE = 'pasid.v1.PasidBroker'
const CHECK = present(healthDefinition['Check'], 'Check')
const WATCH = present(healthDefinition['Watch'], 'Watch')
const { requestSerialize } = CHECK
const statusOf = (bytes: Buffer): string => {
  const answer: { status?: string } = CHECK.responseDeserialize(bytes)
  return answer.status ?? ''
}
const ends: (() => void)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) end()
  await stopAll()
})

async function rigOf(uid: number, limits: Partial<typeof DEFAULT_SERVICE_LIMITS> = {}) {
  const clock = new RigClock()
  const streams = new Streams()
  const meters = new Meters({ ...DEFAULT_SERVICE_LIMITS, ...limits }, clock)
  const health = new Health({ meters, streams }, SERVICE)
  const identity = accept(new TestCaller({ process: { ...processOf(1), uid } }))
  const server = new Server({ interceptors: [peerInterceptor(() => ({ identity }))] })
  health.addTo(server)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const listener = net.createServer((connection) => {
    Object.defineProperty(connection, 'remoteAddress', { value: 'unix:connection=1' })
    injector.injectConnection(connection)
  })
  const socket = path.join(temporaryFolder(), 's')
  await new Promise<void>((resolve) => listener.listen(socket, resolve))
  const client = new Client(`unix:${socket}`, credentials.createInsecure())
  ends.push(() => {
    client.close()
    server.forceShutdown()
    listener.close()
  })
  const check = (service: string) =>
    new Promise<string>((resolve) => {
      client.makeUnaryRequest(
        CHECK.path,
        requestSerialize,
        statusOf,
        { service },
        (error: ServiceError | null, answer?: string) => {
          resolve(error === null ? (answer ?? '') : status[error.code])
        },
      )
    })
  const watch = (service: string) => {
    const told: string[] = []
    const stream = client.makeServerStreamRequest(WATCH.path, requestSerialize, statusOf, {
      service,
    })
    stream.on('data', (one: string) => told.push(one))
    const ended = new Promise<string>((resolve) => {
      stream.on('status', ({ code }: { code: number }) => resolve(status[code] ?? ''))
      stream.on('error', () => undefined)
    })
    return { told, stream, ended }
  }
  return { clock, streams, health, check, watch, meters }
}

/** Waits for what is on its way, without a time of its own. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}

test('what is served is told by its name, by none, and not by another', async () => {
  const { check, health } = await rigOf(1001)
  expect(await check('')).toBe('NOT_SERVING')
  health.setServing(true)
  expect([await check(''), await check(SERVICE)]).toEqual(['SERVING', 'SERVING'])
  expect(await check('another')).toBe('NOT_FOUND')
})

test('a tenant that asks too often waits and is then refused; a probe of root is not', async () => {
  const limits = { callsPerSecond: 1, callsBurst: 2, rateWaitMs: 100 }
  const tenant = await rigOf(1001, limits)
  expect([await tenant.check(''), await tenant.check('')]).toEqual(['NOT_SERVING', 'NOT_SERVING'])
  const third = tenant.check('')
  await until(() => tenant.clock.timers === 1)
  tenant.clock.pass(100)
  expect(await third).toBe('RESOURCE_EXHAUSTED')

  for (const uid of [0, process.geteuid?.() ?? 0]) {
    const probe = await rigOf(uid, limits)
    const answers: string[] = []
    for (let i = 0; i < 10; i += 1) answers.push(await probe.check(''))
    expect(new Set(answers)).toEqual(new Set(['NOT_SERVING']))
  }
})

test('watches count as calls under way, are told each change, and end when the daemon stops', async () => {
  const { watch, health, streams } = await rigOf(1001, { tenantCallsInFlight: 2 })
  const [first, unknown] = [watch(SERVICE), watch('another')]
  await until(() => first.told.length === 1 && unknown.told.length === 1)
  expect(await watch('').ended).toBe('RESOURCE_EXHAUSTED')
  unknown.stream.cancel()
  expect(await unknown.ended).toBe('CANCELLED')
  health.setServing(true)
  await until(() => first.told.length === 2)
  health.setServing(false)
  streams.drain()
  expect(await first.ended).toBe('OK')
  expect(first.told).toEqual(['NOT_SERVING', 'SERVING', 'NOT_SERVING'])
  expect(unknown.told).toEqual(['SERVICE_UNKNOWN'])
  expect(streams.count).toBe(0)
})
