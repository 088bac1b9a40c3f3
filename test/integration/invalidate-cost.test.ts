/**
 * What one call of Invalidate or InvalidateRaw may cost: as much as its bindings are worth, not its
 * entries times its bindings.
 */
import { afterEach, expect, test } from 'vitest'
import type { InvalidateRequest } from '../../src/backend/backend.js'
import { queue, queueBytes, s1Bytes, table, type RawForm } from '../support/raw-invalidation.js'
import { stopAll } from '../support/daemon.js'
import { ServiceRig, type TestSession } from '../support/service-rig.js'

const ENTRIES = 512
const BINDINGS = 200
const PASIDS = Array.from({ length: BINDINGS }, (_, i) => 300 + i)

const rigs: ServiceRig[] = []

afterEach(async () => {
  for (const rig of rigs.splice(0)) rig.close()
  await stopAll()
})

/** A session that has one table bound for all of the numbers. */
async function start(): Promise<{ rig: ServiceRig; session: TestSession }> {
  const rig = await ServiceRig.start()
  rigs.push(rig)
  const session = await rig.openSession(['mdev0'])
  const { name, token } = session
  const numbers = { session: name, exact: { pasids: PASIDS } }
  await rig.vmm.must('PasidBroker/AllocatePasids', numbers, token)
  const firstStage = { address: '4096', addressWidth: 48 }
  const more = { session: name, devices: ['devices/mdev0'], domain: 1, firstStage }
  const binds = PASIDS.map((pasid) =>
    rig.vmm.must('PasidBroker/BindPasid', { pasid, ...more }, token),
  )
  await Promise.all(binds)
  return { rig, session }
}

/** What the backend is asked for by the call, whose entries are all carried out. */
async function asked(form: Omit<RawForm, 'form'>): Promise<readonly InvalidateRequest[]> {
  const { rig, session } = await start()
  const { backend } = rig.daemon
  const requests: InvalidateRequest[] = []
  const invalidate = backend.invalidate.bind(backend)
  backend.invalidate = (request) => {
    requests.push(request)
    return invalidate(request)
  }
  const message = { session: session.name, ...form }
  const answer = await rig.vmm.must('PasidBroker/InvalidateRaw', message, session.token)
  expect(answer['done']).toBe(ENTRIES)
  return requests
}

test('pages of a table that many numbers are bound to become the whole table in the end', async () => {
  const pages = Array.from({ length: ENTRIES }, (_, i) => ({ addr: BigInt(i) << 12n }))
  const requests = await asked(table('mdev0', 300, s1Bytes(...pages)))
  expect(requests.length).toBeLessThan((ENTRIES * BINDINGS) / 10)
  const last = new Map(requests.map((request) => [request.target, request.range]))
  expect(last.size).toBe(BINDINGS)
  expect([...new Set(last.values())]).toEqual([undefined])
})

test('everything again and again is done once of each cache', async () => {
  // Type 7 and type 2, of all domains.
  const words = Array.from({ length: ENTRIES }, (_, i): readonly [bigint, bigint] => {
    return [i % 2 === 0 ? 0x37n : 0x12n, 0n]
  })
  const requests = await asked(queue(queueBytes(...words)))
  expect(requests).toHaveLength(2 * BINDINGS)
})
