/**
 * Every RPC against input that is wrong in every way the issue names: each gets its own reason with
 * field, value, bound and remedy, and nothing changes. Session commands are sent twice: as a unary
 * call and on a Control stream.
 */
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stopAll } from '../support/daemon.js'
import { ControlRig } from '../support/service-control-rig.js'
import type { Case, World } from '../support/service-bad-case.js'
import { CASES } from '../support/service-bad-input.js'
import { encode, ServiceRig, type Refused } from '../support/service-rig.js'

let rig: ServiceRig
let world: World

beforeAll(async () => {
  rig = await ServiceRig.start()
  const own = await rig.openSession(['mdev0', 'nic0', 'arm0', 'vf0'])
  const other = await rig.openSession(['mdev0'])
  const allocate = async (session: typeof own, exact: number[], more: object = {}) => {
    const message = { session: session.name, exact: { pasids: exact }, ...more }
    await rig.vmm.must('PasidBroker/AllocatePasids', message, session.token)
  }
  await allocate(own, [300, 301, 302])
  await allocate(own, [100_000], { devices: ['devices/mdev0'] })
  await allocate(own, [7], { scope: 'SCOPE_DEVICE', device: 'devices/vf0' })
  await allocate(other, [400])
  const bind = { session: own.name, pasid: 300, devices: ['devices/mdev0'], domain: 1 }
  await rig.vmm.must('PasidBroker/BindPasid', { ...bind, passThrough: {} }, own.token)
  const requestId = '00000000-0000-4000-8000-000000000001'
  const used = { session: own.name, requestId, exact: { pasids: [310] } }
  await rig.vmm.must('PasidBroker/AllocatePasids', used, own.token)
  const opened = await rig.vmm.must('PasidBroker/OpenSession', { requestId, labels: { a: 'b' } })
  expect(opened['token']).toHaveLength(43)
  world = { own, other, requestId }
})

afterAll(async () => {
  rig.close()
  await stopAll()
})

function check(refusal: Refused, { expected }: Case, prefix = ''): void {
  const { code, reason, metadata = {} } = expected
  expect({ reason: refusal.reason, code: status[refusal.code] }).toEqual({ reason, code })
  expect(refusal.infos).toBe(1)
  expect(refusal.details).toBe(refusal.message)
  for (const [key, value] of Object.entries(metadata)) {
    const path = value === '(message)' && prefix !== '' ? prefix.slice(0, -1) : prefix + value
    const text = key === 'field' ? path : value
    expect(refusal.metadata[key], key).toBe(text)
  }
  for (const value of Object.values(refusal.metadata)) {
    if (refusal.metadata['filter'] === undefined) expect(refusal.message).toContain(value)
  }
  if (reason === 'INVALID_ARGUMENT') {
    for (const name of ['field', 'value', 'bound', 'remedy']) {
      expect(refusal.metadata[name], name).not.toBe('')
      expect(refusal.metadata[name], name).toBeDefined()
    }
    expect(refusal.badField?.field).toBe(refusal.metadata['field'])
  }
  if (code === 'FAILED_PRECONDITION') expect(refusal.precondition?.type).toBe(reason)
}

function bytesOf(one: Case): Buffer {
  const { message, append } = one.make(world)
  return Buffer.concat([encode(one.method, message), append ?? Buffer.alloc(0)])
}

describe('unary', () => {
  test.each(CASES)('$method: $name', async (one) => {
    const but = one.audited === true ? ({ revision: false } as const) : {}
    const before = rig.everything(but)
    const client = one.method.startsWith('Operator/') ? rig.admin : rig.vmm
    const reply = await client.send(one.method, bytesOf(one), one.token?.(world) ?? world.own.token)
    expect(reply.ok).toBe(false)
    if (!reply.ok) check(reply.refusal, one)
    expect(rig.everything(but)).toBe(before)
  })
})

describe('on a Control stream', () => {
  const onStream = CASES.filter(({ method, onControl }) => {
    return onControl !== false && ControlRig.fieldOf(method) !== undefined
  })

  test.each(onStream)('$method: $name', async (one) => {
    const before = rig.everything()
    const control = await ControlRig.open(rig.daemon.vmmSocket, world.own)
    const answer = await control.sendBytes(one.method, bytesOf(one))
    expect(answer.refusal).toBeDefined()
    const command = ControlRig.nameOf(one.method)
    const isWire = one.wire === true
    if (answer.refusal !== undefined) check(answer.refusal, one, isWire ? `${command}.` : '')
    control.end()
    expect((await control.ended).code).toBe(status.OK)
    expect(rig.everything()).toBe(before)
  })
})
