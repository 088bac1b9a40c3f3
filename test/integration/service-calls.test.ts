/**
 * What calls answer when they are right: retries, pages, filters, restarts, and what is promised.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { startInProcess, stopAll } from '../support/daemon.js'
import { DEVICES_TOML, RawClient, ServiceRig, type Method } from '../support/service-rig.js'

const rigs: ServiceRig[] = []

afterEach(async () => {
  for (const rig of rigs.splice(0)) rig.close()
  await stopAll()
})

async function start(toml = DEVICES_TOML): Promise<ServiceRig> {
  const rig = await ServiceRig.start({ toml })
  rigs.push(rig)
  return rig
}

const ID = '0190b6c2-7a5e-7cc0-98c4-dc0c0c07398f'
type Rows = Readonly<Record<string, unknown>>[]

/** All rows of a list, page by page, and how many pages there were. */
async function pages(
  client: RawClient,
  method: Method,
  rows: string,
  more: object,
  token?: string,
) {
  const all: Rows = []
  let count = 0
  let pageToken = ''
  do {
    const page = await client.must(method, { ...more, pageToken }, token)
    all.push(...(page[rows] as Rows))
    pageToken = page['nextPageToken'] as string
    count += 1
  } while (pageToken !== '')
  return { all, count }
}

describe('request ids', () => {
  test('a session opened twice is one session, with one token, also after a restart', async () => {
    const rig = await start()
    const ask = { requestId: ID, labels: { b: '2', a: '1' } }
    const first = await rig.vmm.must('PasidBroker/OpenSession', ask)
    const again = { requestId: ID.toUpperCase(), labels: { a: '1', b: '2' } }
    expect(await rig.vmm.must('PasidBroker/OpenSession', again)).toEqual(first)
    await rig.daemon.stop()
    const daemon = await startInProcess({ toml: DEVICES_TOML, folder: rig.daemon.folder })
    const client = new RawClient(daemon.vmmSocket)
    expect(await client.must('PasidBroker/OpenSession', again)).toEqual(first)
    client.close()
  })

  test('the same call gives the same numbers, and at the same time too', async () => {
    const rig = await start()
    const { name, token } = await rig.openSession()
    const ask = { session: name, requestId: ID, block: { size: 4 } }
    const calls = Array.from({ length: 8 }, () => {
      return rig.vmm.must('PasidBroker/AllocatePasids', ask, token)
    })
    const answers = await Promise.all(calls)
    const ranges = new Set(answers.map((answer) => JSON.stringify(answer['ranges'])))
    expect(ranges.size).toBe(1)
    const freed = { session: name, requestId: ID, range: { first: 1, last: 1_048_575 } }
    for (let i = 0; i < 2; i += 1) {
      expect((await rig.vmm.must('PasidBroker/FreePasids', freed, token))['freed']).toBe(4)
    }
  })
})

describe('pages', () => {
  test('hold every row once, whatever their size, also over a restart', async () => {
    const rig = await start()
    const { name, token } = await rig.openSession()
    const pasids = Array.from({ length: 500 }, (_, i) => 1000 + 3 * i)
    const ask = { session: name, exact: { pasids } }
    await rig.vmm.must('PasidBroker/AllocatePasids', ask, token)
    const method = 'PasidBroker/ListPasids'
    for (const pageSize of [7, 499, 500, 0, 2_000_000]) {
      const { all } = await pages(
        rig.vmm,
        method,
        'allocations',
        { session: name, pageSize },
        token,
      )
      expect(all.map(({ pasid }) => pasid)).toEqual(pasids)
    }
    const first = { session: name, pageSize: 200 }
    const page = await rig.vmm.must(method, first, token)
    const pageToken = page['nextPageToken'] as string
    const other = await rig.openSession()
    const stolen = await rig.vmm.call(method, { session: other.name, pageToken }, other.token)
    expect(stolen).toMatchObject({ refusal: { reason: 'PAGE_TOKEN_INVALID' } })
    const crossed = await rig.admin.call('Operator/ListAllocations', { pageToken })
    expect(crossed).toMatchObject({ refusal: { reason: 'PAGE_TOKEN_INVALID' } })
    await rig.daemon.stop()
    const daemon = await startInProcess({ toml: DEVICES_TOML, folder: rig.daemon.folder })
    const client = new RawClient(daemon.vmmSocket)
    const rest = await client.must(method, { session: name, pageToken }, token)
    expect((rest['allocations'] as Rows).map(({ pasid }) => pasid)).toEqual(pasids.slice(200))
    client.close()
  })

  test('fit a message even when every row has the most labels', async () => {
    const rig = await start()
    const { name, token } = await rig.openSession()
    const labels = Object.fromEntries(
      Array.from({ length: 3 }, (_, i) => [`${'k'.repeat(61)}${i + 10}`, 'ä'.repeat(130)]),
    )
    for (let i = 0; i < 4; i += 1) {
      const ask = { session: name, block: { size: 512 }, labels }
      await rig.vmm.must('PasidBroker/AllocatePasids', ask, token)
    }
    const own = { session: name, pageSize: 5000 }
    const { all, count } = await pages(rig.vmm, 'PasidBroker/ListPasids', 'allocations', own, token)
    expect(all).toHaveLength(2048)
    expect(count).toBeGreaterThan(2)
    const every = await pages(rig.admin, 'Operator/ListAllocations', 'allocations', {})
    expect(every.all).toEqual(all)
  })

  test('of every list of an operator hold every row once', async () => {
    const rig = await start()
    for (let i = 0; i < 5; i += 1) await rig.openSession()
    const lists = [
      ['Operator/ListSessions', 'sessions', 5],
      ['Operator/ListDevices', 'devices', 5],
      ['Operator/ListTenants', 'tenants', 1],
      ['Operator/ListReservations', 'reservations', 1],
    ] as const
    for (const [method, rows, count] of lists) {
      const two = await pages(rig.admin, method, rows, { pageSize: 2 })
      const whole = await pages(rig.admin, method, rows, {})
      expect(two.all).toEqual(whole.all)
      expect(whole.all).toHaveLength(count)
      expect(two.count).toBe(Math.ceil(count / 2))
    }
  })
})

test('filters pick rows, and names that nothing has pick none', async () => {
  const rig = await start()
  const own = await rig.openSession(['vf0'])
  const other = await rig.openSession()
  const allocate = (session: typeof own, more: object) => {
    const ask = { session: session.name, ...more }
    return rig.vmm.must('PasidBroker/AllocatePasids', ask, session.token)
  }
  await allocate(own, { exact: { pasids: [300, 301] } })
  await allocate(own, { exact: { pasids: [7] }, scope: 'SCOPE_DEVICE', device: 'devices/vf0' })
  await allocate(other, { exact: { pasids: [400] } })
  const listed = async (filter: string) => {
    const page = await rig.admin.must('Operator/ListAllocations', { filter })
    return (page['allocations'] as Rows).map(({ pasid }) => pasid)
  }
  expect(await listed('')).toEqual([300, 301, 400, 7])
  expect(await listed('scope = HOST')).toEqual([300, 301, 400])
  expect(await listed('scope = devices/vf0')).toEqual([7])
  expect(await listed('scope = nic0')).toEqual([])
  expect(await listed(`session = ${own.name} AND scope = HOST`)).toEqual([300, 301])
  expect(await listed('session = gone')).toEqual([])
  expect(await listed('pasid >= 301 AND pasid <= 400')).toEqual([301, 400])
  expect(await listed('state = ACTIVE')).toEqual([])
  expect(await listed('state = IDLE AND tenant = default AND pasid = 7')).toEqual([7])
  expect(await listed('tenant = gone')).toEqual([])
  const sessions = await rig.admin.must('Operator/ListSessions', { filter: 'device = vf0' })
  expect((sessions['sessions'] as Rows).map(({ name }) => name)).toEqual([own.name])
})

test('GetServerInfo names each feature once, with a note, and the limits in force', async () => {
  const rig = await start(`${DEVICES_TOML}\n[limits]\ncontrol_in_flight = 17`)
  const info = await rig.vmm.must('PasidBroker/GetServerInfo', {})
  const features = info['features'] as { name: string; note: string; available: boolean }[]
  expect(new Set(features.map(({ name }) => name)).size).toBe(features.length)
  for (const { note } of features) expect(note).not.toBe('')
  const availability = new Map(features.map(({ name, available }) => [name, available]))
  expect(availability.get('page-requests')).toBe(true)
  expect(availability.get('device-faults')).toBe(true)
  expect(availability.get('native-backend')).toBe(false)
  expect(info['limits']).toMatchObject({ controlInFlight: 17, pasidsPerCall: 4096 })
  expect(info).toMatchObject({ backend: 'emulator', writable: true, hold: { seconds: '1' } })
})

test('a session shows what it was opened with, and is gone once closed', async () => {
  const rig = await start()
  const opened = await rig.vmm.must('PasidBroker/OpenSession', { maxPasids: 0, labels: { a: 'ä' } })
  const { name } = opened['session'] as { name: string }
  const token = opened['token'] as string
  const seen = await rig.vmm.must('PasidBroker/GetSession', { name }, token)
  expect(seen).toMatchObject({ name, maxPasids: 0, labels: { a: 'ä' }, tenant: 'tenants/default' })
  const ask = { session: name, one: {} }
  const denied = await rig.vmm.call('PasidBroker/AllocatePasids', ask, token)
  expect(denied).toMatchObject({ refusal: { reason: 'QUOTA_EXCEEDED', metadata: { limit: '0' } } })
  const closed = await rig.vmm.must('PasidBroker/CloseSession', { name }, token)
  expect(closed).toMatchObject({ freed: 0, durable: true })
  const again = await rig.vmm.call('PasidBroker/CloseSession', { name }, token)
  expect(again).toMatchObject({ refusal: { reason: 'SESSION_NOT_FOUND' } })
})
