/** What operators do, on a whole daemon: limits, forced ends, releases, reclaim, the audit. */
import { afterEach, describe, expect, test } from 'vitest'
import { stopAll } from '../support/daemon.js'
import { DEVICES_TOML, ServiceRig, type TestSession } from '../support/service-rig.js'

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

type Row = Readonly<Record<string, unknown>>

async function allocate(rig: ServiceRig, { name, token }: TestSession, more: object): Promise<Row> {
  return rig.vmm.must('PasidBroker/AllocatePasids', { session: name, ...more }, token)
}

async function tenant(rig: ServiceRig): Promise<Row> {
  const page = await rig.admin.must('Operator/ListTenants', {})
  return (page['tenants'] as Row[])[0] ?? {}
}

async function audits(rig: ServiceRig, filter = ''): Promise<Row[]> {
  const page = await rig.admin.must('Operator/ListAuditEvents', { filter })
  return page['auditEvents'] as Row[]
}

const name = 'tenants/default'
const UPDATE = 'Operator/UpdateTenant'

describe('UpdateTenant', () => {
  test('changes limits at once and for good, and takes them back', async () => {
    const rig = await start()
    const session = await rig.openSession()
    const before = await tenant(rig)
    expect(before).toMatchObject({ name, overridden: false })
    const paths = ['max_pasids', 'guaranteed_pasids']
    const ask = {
      tenant: { name, maxPasids: 2, guaranteedPasids: 1, etag: before['etag'] },
      updateMask: { paths },
      reason: 'ticket 17',
    }
    const seen = await rig.admin.must(UPDATE, { ...ask, validateOnly: true })
    expect(seen).toMatchObject({ maxPasids: 2, guaranteedPasids: 1, overridden: true })
    expect(await tenant(rig)).toEqual(before)
    const done = await rig.admin.must(UPDATE, ask)
    expect(done).toMatchObject({ maxPasids: 2, guaranteedPasids: 1, overridden: true })
    expect(done['etag']).toBe(seen['etag'])
    expect(done['etag']).not.toBe(before['etag'])
    const granted = await allocate(rig, session, { block: { size: 2 } })
    expect(granted['headroom']).toMatchObject({ tenant: 0 })
    const more = { session: session.name, one: {} }
    const no = await rig.vmm.call('PasidBroker/AllocatePasids', more, session.token)
    expect(no).toMatchObject({ refusal: { reason: 'QUOTA_EXCEEDED', metadata: { limit: '2' } } })
    const stale = await rig.admin.call(UPDATE, ask)
    const current = done['etag']
    expect(stale).toMatchObject({ refusal: { reason: 'ETAG_STALE', metadata: { current } } })
    const below = { tenant: { name, maxPasids: 1, guaranteedPasids: 0 }, updateMask: { paths } }
    expect(await rig.admin.must(UPDATE, below)).toMatchObject({ maxPasids: 1, usedPasids: 2 })
    const back = await rig.admin.must(UPDATE, { tenant: { name }, revert: true })
    expect({ ...back, usedPasids: 0, sessions: 0 }).toEqual({
      ...before,
      usedPasids: 0,
      sessions: 0,
    })
    const rows = await audits(rig, 'action = UPDATE_TENANT')
    expect(rows.map(({ outcome }) => outcome)).toEqual(['DONE', 'DONE', 'ETAG_STALE', 'DONE'])
    expect(rows.at(-1)).toMatchObject({ subject: name, cause: 'ticket 17' })
    expect(rows.at(-1)?.['actor']).toMatchObject({ pid: process.pid, uid: process.getuid?.() })
  })
})

describe('EndSession', () => {
  test('says what it would break, then breaks it', async () => {
    const rig = await start()
    const session = await rig.openSession(['mdev0'])
    await allocate(rig, session, { exact: { pasids: [300, 301] } })
    const ask = { name: session.name, reason: 'evacuation' }
    const seen = await rig.admin.must('Operator/EndSession', { ...ask, validateOnly: true })
    expect(seen).toMatchObject({ session: { name: session.name, heldPasids: 2 } })
    const own = await rig.vmm.must('PasidBroker/GetSession', ask, session.token)
    expect(own).toMatchObject({ heldPasids: 2, owner: { pid: process.pid }, stuck: null })
    const done = await rig.admin.must('Operator/EndSession', ask)
    expect(done).toMatchObject({ session: { heldPasids: 2 }, durable: true })
    const gone = await rig.vmm.call('PasidBroker/GetSession', { name: session.name }, session.token)
    expect(gone).toMatchObject({ refusal: { reason: 'SESSION_NOT_FOUND' } })
    const [row] = await audits(rig, `subject = ${session.name} AND action = END_SESSION`)
    expect(row).toMatchObject({ cause: 'evacuation', outcome: 'DONE' })
  })
})

describe('ReleaseAllocation', () => {
  test('takes back the grant that is meant, and no other', async () => {
    const rig = await start()
    const session = await rig.openSession(['mdev0'])
    const granted = await allocate(rig, session, { exact: { pasids: [300, 301] } })
    const generation = granted['generation'] as string
    const bind = { session: session.name, pasid: 300, devices: ['devices/mdev0'], passThrough: {} }
    await rig.vmm.must('PasidBroker/BindPasid', bind, session.token)
    const ask = { pasid: 300, generation, reason: 'wrong guest' }
    const stale = { ...ask, generation: String(Number(generation) + 1) }
    const no = await rig.admin.call('Operator/ReleaseAllocation', stale)
    const metadata = { current: generation, pasid: '300' }
    expect(no).toMatchObject({ refusal: { reason: 'GENERATION_STALE', metadata } })
    const seen = { ...ask, validateOnly: true }
    for (const one of [seen, ask]) {
      const answer = await rig.admin.must('Operator/ReleaseAllocation', one)
      const allocation = answer['allocation'] as Row
      expect(allocation).toMatchObject({ pasid: 300, state: 'ALLOCATION_STATE_ACTIVE' })
      expect(allocation['bindings']).toMatchObject([{ device: 'devices/mdev0', pasid: 300 }])
    }
    const list = { session: session.name }
    const own = await rig.vmm.must('PasidBroker/ListPasids', list, session.token)
    expect((own['allocations'] as Row[]).map(({ pasid }) => pasid)).toEqual([301])
    const again = await rig.admin.call('Operator/ReleaseAllocation', ask)
    expect(again.ok ? 'OK' : again.refusal.reason).toMatch(/PASID_BEING_FREED|PASID_NOT_FOUND/)
    const outcomes = (await audits(rig, 'action = RELEASE_ALLOCATION')).map((row) => row['outcome'])
    expect(outcomes.slice(1)).toEqual(['DONE', 'GENERATION_STALE'])
  })
})

describe('reclaim', () => {
  test('tells how it stands, and goes on when it is told to', async () => {
    const rig = await start()
    await rig.openSession()
    const view = await rig.admin.must('Operator/GetReclaim', {})
    expect(view).toMatchObject({ breakerOpen: false, breakerTime: null, withheldPasids: 0 })
    expect(Number(view['watchedOwners']) + Number(view['unwatchedOwners'])).toBeGreaterThan(0)
    expect(view).toMatchObject({ stuck: [], stuckCount: 0 })
    const resumed = await rig.admin.must('Operator/ResumeReclaim', { reason: 'looked' })
    expect(resumed).toEqual({ sessions: 0, pasids: 0 })
  })
})

describe('ListAuditEvents', () => {
  test('is newest first, page by page, each once; and filters by who, what and how', async () => {
    const rig = await start()
    const sessions = []
    for (let i = 0; i < 7; i += 1) sessions.push(await rig.openSession())
    for (const { name: one, token } of sessions.slice(0, 3)) {
      await rig.vmm.must('PasidBroker/CloseSession', { name: one }, token)
    }
    const whole = await audits(rig)
    expect(whole).toHaveLength(10)
    const paged: Row[] = []
    let pageToken = ''
    do {
      const ask = { pageSize: 3, pageToken }
      const page = await rig.admin.must('Operator/ListAuditEvents', ask)
      paged.push(...(page['auditEvents'] as Row[]))
      pageToken = page['nextPageToken'] as string
    } while (pageToken !== '')
    expect(paged).toEqual(whole)
    const revisions = whole.map(({ revision }) => Number(revision))
    expect(revisions).toEqual([...revisions].sort((a, b) => b - a))
    expect(await audits(rig, 'action = CLOSE_SESSION')).toHaveLength(3)
    expect(await audits(rig, `subject = ${sessions[0]?.name ?? ''}`)).toHaveLength(2)
    expect(await audits(rig, `uid = ${process.getuid?.() ?? 0} AND outcome = DONE`)).toHaveLength(
      10,
    )
    expect(await audits(rig, 'uid = 4294967295')).toEqual([])
    expect(await audits(rig, 'action = CLOSE_SESSION AND action = RECLAIM')).toEqual([])
    const other = { filter: 'uid = 0', pageToken: '' }
    const page = await rig.admin.must('Operator/ListAuditEvents', { pageSize: 3 })
    const stolen = { ...other, pageToken: page['nextPageToken'] }
    const crossed = await rig.admin.call('Operator/ListAuditEvents', stolen)
    expect(crossed).toMatchObject({ refusal: { reason: 'PAGE_TOKEN_INVALID' } })
  })
})

test('a session shows its linger, cut to what the daemon allows, and its headroom', async () => {
  const rig = await start()
  const ask = { linger: { seconds: 3600 } }
  const { session, token } = await rig.vmm.must('PasidBroker/OpenSession', ask)
  const opened = session as Row
  const info = await rig.vmm.must('PasidBroker/GetServerInfo', {})
  expect(opened['linger']).toEqual((info['limits'] as Row)['linger'])
  expect(opened).toMatchObject({ headroom: { session: 4000 }, owner: { pid: process.pid } })
  expect(info).toMatchObject({ caller: { process: { pid: process.pid }, tenant: name } })
  const resumed = await rig.vmm.must(
    'PasidBroker/ResumeSession',
    { name: opened['name'] },
    token as string,
  )
  expect(resumed).toMatchObject({ session: { name: opened['name'], owner: { pid: process.pid } } })
  expect(resumed['incarnation']).toBe(info['incarnation'])
})
