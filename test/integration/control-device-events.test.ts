/** Page requests, faults and resets over a real socket, on a Control stream. */
import { type ChildProcess, spawn } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import type { SessionEvent } from '../../src/broker/answers.js'
import {
  PasidClient,
  type ControlEvent,
  type ControlSession,
  type PasidSession,
} from '../../src/client/index.js'
import { target } from '../../src/core/ids.js'
import { endOf } from '../support/broker-rig-receiver.js'
import { startInProcess, stopAll, type InProcessDaemon } from '../support/daemon.js'
import { closeDelegates, Delegate, DELEGATE_TOML } from '../support/delegate.js'
import { ControlRig } from '../support/service-control-rig.js'
import { StubService } from '../support/service-stub.js'

const TABLE = { firstStage: { address: 4096, addressWidth: 48 } } as const
const DEVICE = 'devices/dev0'
const AT = 300
const TOML = `
[[backend.device]]
name = "dev0"
shared = true
page_requests = true
`
const SUCCESS = 'PAGE_RESPONSE_CODE_SUCCESS'

const children: ChildProcess[] = []
const clients: PasidClient[] = []
const services: StubService[] = []

afterEach(async () => {
  closeDelegates()
  for (const client of clients.splice(0)) client.close()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const service of services.splice(0)) await service.close()
  await stopAll()
})

interface Stream {
  readonly control: ControlSession
  readonly events: ControlEvent[]
}

type PageRequest = Extract<ControlEvent, { readonly kind: 'pageRequest' }>['event']

function requestsOf({ events }: Stream): readonly PageRequest[] {
  return events.flatMap((one) => (one.kind === 'pageRequest' ? [one.event] : []))
}

async function open(session: PasidSession, receivePageRequests: boolean): Promise<Stream> {
  const events: ControlEvent[] = []
  const onEvent = (event: ControlEvent): void => void events.push(event)
  return { control: await session.control({ receivePageRequests, onEvent }), events }
}

async function bind(session: PasidSession): Promise<void> {
  await session.attachDevice({ device: DEVICE })
  await session.allocatePasids({ exact: { pasids: [AT] } })
  await session.bindPasid({ pasid: AT, devices: [DEVICE], domain: 1, ...TABLE })
}

async function start(toml = TOML): Promise<{ daemon: InProcessDaemon; session: PasidSession }> {
  const daemon = await startInProcess({ toml })
  const client = new PasidClient({ socket: daemon.vmmSocket })
  clients.push(client)
  const { name, token } = await client.openSession({})
  const session = client.session(name, token)
  await bind(session)
  return { daemon, session }
}

function raise({ backend }: InProcessDaemon, group = 3, address = 0x5000n) {
  const rights = { read: true, write: true, execute: false, privileged: false }
  const page = { device: 'dev0', target: target(AT), group, address, last: true }
  return backend.raisePageRequest({ ...page, ...rights })
}

function fault({ backend }: InProcessDaemon, page: number): void {
  const address = BigInt(page) * 4096n
  backend.translate('dev0', { target: target(AT), address, write: false, privileged: false })
}

describe('page requests', () => {
  test('come on the stream that asked, and are answered on it or by a call', async () => {
    const { daemon, session } = await start()
    const silent = await open(session, false)
    const receiver = await open(session, true)
    const raised = [raise(daemon, 1, 0xffff_ffff_ffff_f000n), raise(daemon, 2)]
    await expect.poll(() => requestsOf(receiver).length).toBe(2)
    const [one, two] = requestsOf(receiver)
    expect(one).toMatchObject({
      device: DEVICE,
      target: 'pasid',
      pasid: AT,
      pages: [{ address: '18446744073709547520', read: true, write: true, execute: false }],
    })
    expect(Number(one?.deadline?.seconds ?? 0)).toBeGreaterThan(0)
    const [first, second] = [one?.token ?? Buffer.alloc(0), two?.token ?? Buffer.alloc(0)]
    await silent.control.send('respondPageRequest', { token: first, code: SUCCESS })
    await session.respondPageRequest({ token: second, code: 'PAGE_RESPONSE_CODE_FAILURE' })
    const ends = await Promise.all(raised.map(endOf))
    expect(ends).toEqual(['SUCCESS', 'FAILURE'])
    for (const token of [first, second]) {
      const again = session.respondPageRequest({ token, code: SUCCESS })
      await expect(again).rejects.toMatchObject({ reason: 'PAGE_REQUEST_NOT_FOUND' })
    }
    expect(requestsOf(silent)).toEqual([])
    const text = await daemon.metrics.text()
    expect(text).toContain('pasid_page_requests_total{end="answered"} 2')
    expect(text).toContain('pasid_page_requests_waiting 0')
  })

  test('wait while nobody receives, and come to the next that asks', async () => {
    const { daemon, session } = await start()
    const first = await open(session, true)
    raise(daemon, 1)
    await expect.poll(() => requestsOf(first).length).toBe(1)
    first.control.cancel()
    await first.control.closed
    const rest = raise(daemon, 2)
    const second = await open(session, true)
    await expect.poll(() => requestsOf(second).length).toBe(2)
    const newest = requestsOf(second)[1]?.token ?? Buffer.alloc(0)
    await second.control.send('respondPageRequest', { token: newest, code: SUCCESS })
    expect(await endOf(rest)).toBe('SUCCESS')
  })

  test('end with INVALID at the configured deadline, and at the configured bound', async () => {
    const limits = '[limits]\npage_request_deadline = "100ms"\npage_requests_pending = 2\n'
    const { daemon } = await start(`${limits}${TOML}`)
    const [one, two, three] = [raise(daemon, 1), raise(daemon, 2), raise(daemon, 3)]
    expect(await endOf(three)).toBe('INVALID')
    if (one.state !== 'DELIVERED' || two.state !== 'DELIVERED') throw new Error(one.state)
    expect(await Promise.all([one.answered, two.answered])).toEqual(['INVALID', 'INVALID'])
    const text = await daemon.metrics.text()
    expect(text).toContain('pasid_page_requests_total{end="deadline"} 2')
    expect(text).toContain('pasid_page_requests_total{end="overflow"} 1')
  })

  test('of an owner that is killed are answered INVALID', async () => {
    const daemon = await startInProcess({ toml: `${DELEGATE_TOML}${TOML}` })
    const owner = spawn('sleep', ['600'])
    children.push(owner)
    await new Promise((resolve) => owner.once('spawn', resolve))
    const delegate = new Delegate(daemon.vmmSocket)
    const ownerToken = await delegate.ownerToken(owner.pid ?? -1)
    const { name, token } = await delegate.client.openSession({ ownerToken, tenant: 'tenants/vms' })
    await bind(delegate.client.session(name, token))
    const raised = raise(daemon)
    expect(await endOf(raised)).toBeUndefined()
    owner.kill('SIGKILL')
    if (raised.state !== 'DELIVERED') throw new Error(raised.state)
    expect(await raised.answered).toBe('INVALID')
    await expect.poll(() => daemon.broker.state.sessions.size).toBe(0)
    expect(daemon.broker.waitingPageRequests).toBe(0)
  })
})

describe('faults and resets', () => {
  test('come on every stream of the session', async () => {
    const { daemon, session } = await start()
    const stream = await open(session, false)
    fault(daemon, 7)
    await expect.poll(() => stream.events.length).toBe(1)
    expect(stream.events[0]).toMatchObject({
      kind: 'deviceFaults',
      event: {
        lost: 0,
        faults: [{ device: DEVICE, target: 'pasid', pasid: AT, address: '28672', write: false }],
      },
    })
    daemon.backend.reset('dev0', 50)
    const resets = () => stream.events.filter(({ kind }) => kind === 'deviceReset')
    await expect.poll(() => resets().length).toBe(2)
    expect(resets().map(({ event }) => event)).toEqual([
      { device: DEVICE, done: false },
      { device: DEVICE, done: true },
    ])
  })

  test('of a guest that makes a storm of them do not cut its VMM off', async () => {
    const service = await StubService.start({ limits: { controlEvents: 16 } })
    services.push(service)
    const control = await ControlRig.open(service.socket, { name: 'sessions/vm', token: 't' })
    control.stream.pause()
    const rights = { write: false, execute: false, privileged: false }
    const what = { device: 'd', target: target(1), reason: 0x71, name: 'FIRST_STAGE', ...rights }
    const [rounds, each] = [2000, 64]
    for (let round = 0; round < rounds; round += 1) {
      const faults = Array.from({ length: each }, (_, i) => {
        return { ...what, address: BigInt(round * each + i) * 4096n }
      })
      const event: SessionEvent = { kind: 'device-faults', faults, lost: 1 }
      service.broker.tell(event)
      if (round % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(service.broker.subscribers.size).toBe(1)
    control.stream.resume()
    const told = () => {
      let count = 0
      for (const { deviceFaults } of control.events) {
        expect(deviceFaults?.faults.length).toBeLessThanOrEqual(64)
        count += (deviceFaults?.faults.length ?? 0) + (deviceFaults?.lost ?? 0)
      }
      return count
    }
    // None is forgotten: each is told, or counted.
    await expect.poll(told).toBe(rounds * (each + 1))
    // The oldest of what was merged are those in full.
    const [first] = control.events
    expect(first?.deviceFaults?.faults[0]?.address).toBe('0')
    expect(control.events.length).toBeLessThan(rounds)
    control.cancel()
  })
})
