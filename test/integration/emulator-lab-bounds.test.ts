/**
 * Every field of every method of EmulatorLab, at its bound and one past it, over the real socket:
 * at the bound it is taken, past it INVALID_ARGUMENT names the field and nothing has changed.
 */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder, stopAll } from '../support/daemon.js'
import { canonicalLines } from '../support/canonical.js'
import { LabClient, LabRig, type UnaryLabMethod } from '../support/lab-rig.js'

let rig: LabRig
let client: LabClient
/** `sessions/{id}`. */
let session = ''
let pasid = 0
let file = ''

beforeAll(async () => {
  rig = await LabRig.start()
  client = new LabClient(rig.daemon.adminSocket)
  await rig.lab.createDevice({ name: 'lab0', shared: true })
  await rig.lab.createDevice({ name: 'mute0', pageRequests: false })
  const guest = await rig.guest('lab0')
  session = guest.session.name
  pasid = guest.pasid
  file = path.join(temporaryFolder(), 'memory')
  fs.writeFileSync(file, Buffer.alloc(8192))
})

afterAll(async () => {
  client.close()
  rig.close()
  await stopAll()
})

type Make = () => object
const device = 'devices/lab0'
const rid = { rid: true }
const seconds = (value: number, nanos = 0) => ({ seconds: value, nanos })

const TAKEN: readonly (readonly [UnaryLabMethod, string, Make])[] = [
  ['GetEmulator', 'nothing', () => ({})],
  ['UpdateEmulator', 'nothing', () => ({})],
  ['UpdateEmulator', 'switches', () => ({ cachingMode: false, eviction: true, flushCaches: true })],
  ['CreateDevice', 'a name of 63', () => ({ name: 'a'.repeat(63), pasidBits: 0, sourceId: 65535 })],
  ['CreateDevice', '20 bits', () => ({ name: 'b', pasidBits: 20, scope: 'SCOPE_DEVICE' })],
  ['CreateDevice', 'a group of 63', () => ({ name: 'c', group: 'g.:-'.padEnd(63, '0') })],
  ['CreateDevice', 'of ARM', () => ({ name: 'd', platform: 'PLATFORM_ARM_SMMUV3', ats: false })],
  ['ResetDevice', 'no time', () => ({ device: 'devices/mute0', duration: seconds(0) })],
  ['ResetDevice', 'a minute', () => ({ device: 'devices/b', duration: seconds(60) })],
  ['ResetDevice', 'no word of time', () => ({ device: 'devices/c' })],
  ['MapMemory', '1 GiB', () => ({ ...map(), guestAddress: 2 ** 40, size: 2 ** 30 })],
  ['MapMemory', 'the last page', () => ({ ...map(), guestAddress: 2 ** 48 - 4096, size: 4096 })],
  [
    'MapMemory',
    'a file',
    () => ({ session, path: file, guestAddress: 2 ** 41, offset: 4096, size: 4096 }),
  ],
  ['UnmapMemory', 'what was mapped', () => ({ session, guestAddress: 2 ** 41, size: 4096 })],
  ['ReadMemory', '8', () => ({ session, guestAddress: 8, size: 8 })],
  ['ReadMemory', '65536', () => ({ session, guestAddress: 0, size: 65536 })],
  ['WriteMemory', '8', () => ({ session, guestAddress: 0x8_0000, data: Buffer.alloc(8) })],
  ['WriteMemory', '65536', () => ({ session, guestAddress: 0x8_0000, data: Buffer.alloc(65536) })],
  ['Translate', 'the last address', () => ({ device, target: rid, address: 2n ** 64n - 1n })],
  ['Translate', 'the last PASID', () => ({ device, target: { pasid: 2 ** 20 - 1 } })],
  ['RaisePageRequest', 'the last group', () => ({ ...raise(), group: 511, address: 0x1000 })],
  ['SubmitDescriptors', 'one', () => ({ descriptors: wait(1, 16) })],
  ['SubmitDescriptors', '512 wide', () => ({ descriptors: wait(512, 32), wide: true })],
  ['SubmitDescriptors', 'a bad one', () => ({ descriptors: Buffer.alloc(16, 0xff) })],
  ['SubmitDescriptors', 'cleared', () => ({ descriptors: wait(1, 16), clearError: true })],
  ['InjectFault', 'fail', () => ({ device, fail: 'RETRY', skip: 1e6, times: 1e6 })],
  [
    'InjectFault',
    'in a replace',
    () => ({ device, fail: 'STOP', effect: 'replace', afterTeardown: true }),
  ],
  ['InjectFault', 'slow', () => ({ device, slow: seconds(60), effect: 'respond', times: 1 })],
  ['InjectFault', 'slow by 1 ms', () => ({ device: 'devices/d', slow: seconds(0, 1e6) })],
  ['InjectFault', 'dead', () => ({ device: 'devices/d', dead: true })],
  ['InjectFault', 'health', () => ({ health: 'DEGRADED' })],
  ['ClearFaults', 'of a device', () => ({ device })],
  ['ClearFaults', 'of all', () => ({})],
  ['DumpTables', 'the last PASID', () => ({ device, firstPasid: 2 ** 20 - 1, count: 1024 })],
  ['DumpTables', 'a walk', () => ({ device, count: 1, walkAddress: 2n ** 64n - 1n })],
  ['ListFaults', 'beyond all', () => ({ device, after: 2n ** 64n - 1n, count: 1000 })],
  ['ListOperations', 'beyond all', () => ({ after: 2n ** 64n - 1n, count: 1000 })],
]

const map = () => ({ session, zeros: true, guestAddress: 2 ** 42, size: 4096 })
/** Waits that ask for nothing. */
const wait = (count: number, size: number) => {
  return Buffer.concat(Array.from({ length: count }, () => Buffer.alloc(size).fill(5, 0, 1)))
}
const raise = () => ({ device, target: { pasid }, group: 0, address: 0, read: true })

const REFUSED: readonly (readonly [UnaryLabMethod, string, Make])[] = [
  ['CreateDevice', 'name', () => ({ name: '' })],
  ['CreateDevice', 'name', () => ({ name: 'a'.repeat(64) })],
  ['CreateDevice', 'name', () => ({ name: 'devices/x' })],
  ['CreateDevice', 'name', () => ({ name: '-x' })],
  ['CreateDevice', 'pasid_bits', () => ({ name: 'x', pasidBits: 21 })],
  ['CreateDevice', 'source_id', () => ({ name: 'x', sourceId: 65536 })],
  ['CreateDevice', 'group', () => ({ name: 'x', group: 'g'.repeat(64) })],
  ['CreateDevice', 'group', () => ({ name: 'x', group: 'G' })],
  ['CreateDevice', 'group', () => ({ name: 'x', group: 'g', shared: true })],
  ['CreateDevice', 'shared', () => ({ name: 'x', shared: true, scope: 'SCOPE_DEVICE' })],
  ['ResetDevice', 'device', () => ({ device: 'lab0' })],
  ['ResetDevice', 'duration', () => ({ device, duration: seconds(60, 1e6) })],
  ['ResetDevice', 'duration', () => ({ device, duration: seconds(0, 1) })],
  ['ResetDevice', 'duration', () => ({ device, duration: seconds(-1) })],
  ['MapMemory', 'session', () => ({ ...map(), session: '' })],
  ['MapMemory', 'source', () => ({ session, size: 4096 })],
  ['MapMemory', 'zeros', () => ({ ...map(), zeros: false })],
  ['MapMemory', 'path', () => ({ session, path: 'memory', size: 4096 })],
  ['MapMemory', 'path', () => ({ session, path: `/${'x'.repeat(4096)}`, size: 4096 })],
  ['MapMemory', 'path', () => ({ session, path: '/a\0b', size: 4096 })],
  ['MapMemory', 'guest_address', () => ({ ...map(), guestAddress: 2048 })],
  ['MapMemory', 'guest_address', () => ({ ...map(), guestAddress: 2n ** 64n - 4096n })],
  ['MapMemory', 'size', () => ({ ...map(), size: 0 })],
  ['MapMemory', 'size', () => ({ ...map(), size: 4097 })],
  ['MapMemory', 'size', () => ({ ...map(), size: 2 ** 30 + 4096 })],
  ['MapMemory', 'size', () => ({ ...map(), guestAddress: 2 ** 48 - 4096, size: 8192 })],
  ['MapMemory', 'offset', () => ({ ...map(), offset: 4096 })],
  ['MapMemory', 'offset', () => ({ session, path: file, offset: 1, size: 4096 })],
  [
    'MapMemory',
    'size',
    () => ({ session, path: file, guestAddress: 2 ** 42, offset: 4096, size: 8192 }),
  ],
  ['UnmapMemory', 'size', () => ({ session, guestAddress: 4096, size: 0 })],
  ['UnmapMemory', 'guest_address', () => ({ session, guestAddress: 1, size: 4096 })],
  ['ReadMemory', 'size', () => ({ session, guestAddress: 0, size: 0 })],
  ['ReadMemory', 'size', () => ({ session, guestAddress: 0, size: 12 })],
  ['ReadMemory', 'size', () => ({ session, guestAddress: 0, size: 65544 })],
  ['ReadMemory', 'guest_address', () => ({ session, guestAddress: 4, size: 8 })],
  ['ReadMemory', 'guest_address', () => ({ session, guestAddress: 2 ** 48, size: 8 })],
  ['WriteMemory', 'data', () => ({ session, guestAddress: 0 })],
  ['WriteMemory', 'data', () => ({ session, guestAddress: 0, data: Buffer.alloc(7) })],
  ['WriteMemory', 'data', () => ({ session, guestAddress: 0, data: Buffer.alloc(65544) })],
  ['WriteMemory', 'guest_address', () => ({ session, guestAddress: 1, data: Buffer.alloc(8) })],
  ['Translate', 'device', () => ({ target: rid })],
  ['Translate', 'target.target', () => ({ device })],
  ['Translate', 'target.rid', () => ({ device, target: { rid: false } })],
  ['Translate', 'target.pasid', () => ({ device, target: { pasid: 0 } })],
  ['Translate', 'target.pasid', () => ({ device, target: { pasid: 2 ** 20 } })],
  ['RaisePageRequest', 'group', () => ({ ...raise(), group: 512 })],
  ['RaisePageRequest', 'address', () => ({ ...raise(), address: 0x1001 })],
  ['RaisePageRequest', 'wait', () => ({ ...raise(), wait: true })],
  ['SubmitDescriptors', 'descriptors', () => ({ clearError: true })],
  ['SubmitDescriptors', 'descriptors', () => ({ descriptors: wait(1, 17) })],
  ['SubmitDescriptors', 'descriptors', () => ({ descriptors: wait(1, 16), wide: true })],
  ['SubmitDescriptors', 'descriptors', () => ({ descriptors: wait(513, 16) })],
  ['SubmitDescriptors', 'descriptors', () => ({ descriptors: wait(513, 32), wide: true })],
  ['InjectFault', 'device', () => ({ fail: 'RETRY' })],
  ['InjectFault', 'device', () => ({ device, health: 'DEAD' })],
  ['InjectFault', 'fault', () => ({ device })],
  ['InjectFault', 'fail', () => ({ device, fail: 'retry' })],
  ['InjectFault', 'health', () => ({ health: 'ILL' })],
  ['InjectFault', 'slow', () => ({ device, slow: seconds(0) })],
  ['InjectFault', 'slow', () => ({ device, slow: seconds(60, 1e6) })],
  ['InjectFault', 'dead', () => ({ device, dead: false })],
  ['InjectFault', 'effect', () => ({ device, fail: 'RETRY', effect: 'Bind' })],
  ['InjectFault', 'effect', () => ({ device, dead: true, effect: 'bind' })],
  ['InjectFault', 'skip', () => ({ device, fail: 'RETRY', skip: 1_000_001 })],
  ['InjectFault', 'skip', () => ({ health: 'DEAD', skip: 1 })],
  ['InjectFault', 'times', () => ({ device, fail: 'RETRY', times: 1_000_001 })],
  [
    'InjectFault',
    'after_teardown',
    () => ({ device, fail: 'RETRY', effect: 'bind', afterTeardown: true }),
  ],
  [
    'InjectFault',
    'after_teardown',
    () => ({ device, slow: seconds(1), effect: 'replace', afterTeardown: true }),
  ],
  ['ClearFaults', 'device', () => ({ device: 'lab0' })],
  ['DumpTables', 'device', () => ({ device: 'devices/' })],
  ['DumpTables', 'first_pasid', () => ({ device, firstPasid: 2 ** 20 })],
  ['DumpTables', 'count', () => ({ device, count: 1025 })],
  ['ListFaults', 'device', () => ({ device: 'x' })],
  ['ListFaults', 'count', () => ({ count: 1001 })],
  ['ListOperations', 'count', () => ({ count: 1001 })],
]

/** What is not there, and what the world refuses. */
const OTHERS: readonly (readonly [UnaryLabMethod, string, Make])[] = [
  ['ResetDevice', 'DEVICE_NOT_FOUND', () => ({ device: 'devices/none' })],
  ['Translate', 'DEVICE_NOT_FOUND', () => ({ device: 'devices/none', target: rid })],
  ['RaisePageRequest', 'DEVICE_NOT_FOUND', () => ({ ...raise(), device: 'devices/none' })],
  [
    'RaisePageRequest',
    'BACKEND_REFUSED',
    () => ({ ...raise(), device: 'devices/mute0', target: rid }),
  ],
  ['InjectFault', 'DEVICE_NOT_FOUND', () => ({ device: 'devices/none', dead: true })],
  ['ClearFaults', 'DEVICE_NOT_FOUND', () => ({ device: 'devices/none' })],
  ['DumpTables', 'DEVICE_NOT_FOUND', () => ({ device: 'devices/none' })],
  ['ListFaults', 'DEVICE_NOT_FOUND', () => ({ device: 'devices/none' })],
  ['MapMemory', 'SESSION_NOT_FOUND', () => ({ ...map(), session: 'sessions/none' })],
  ['MapMemory', 'MEMORY_OVERLAPS', () => ({ ...map(), guestAddress: 0x1000 })],
  [
    'MapMemory',
    'MEMORY_REFUSED',
    () => ({ session, path: '/nowhere/at/all', guestAddress: 2 ** 43, size: 4096 }),
  ],
  [
    'MapMemory',
    'MEMORY_REFUSED',
    () => ({ session, path: '/dev/zero', guestAddress: 2 ** 43, size: 4096 }),
  ],
  ['UnmapMemory', 'SESSION_NOT_FOUND', () => ({ session: 'sessions/none' })],
  ['UnmapMemory', 'MEMORY_NOT_FOUND', () => ({ session, guestAddress: 0, size: 4096 })],
  ['ReadMemory', 'SESSION_NOT_FOUND', () => ({ session: 'sessions/none', size: 8 })],
  ['ReadMemory', 'MEMORY_NOT_FOUND', () => ({ session, guestAddress: 0x10_0000 - 8, size: 16 })],
  ['WriteMemory', 'SESSION_NOT_FOUND', () => ({ session: 'sessions/none', data: Buffer.alloc(8) })],
  [
    'WriteMemory',
    'MEMORY_NOT_FOUND',
    () => ({ session, guestAddress: 0x10_0000 - 8, data: Buffer.alloc(16, 1) }),
  ],
]

/** What is audited moves the revision; refusals change nothing. */
function everything(): string {
  const { state } = rig.daemon.broker
  return [`revision ${state.revision}`, ...canonicalLines(state)].join('\n')
}

describe('taken', () => {
  test.each(TAKEN)('%s: %s', async (method, _name, make) => {
    const reply = await client.call(method, make())
    expect(reply).toMatchObject({ ok: true })
  })
})

describe('refused with the name of the field', () => {
  test.each(REFUSED)('%s: %s (%#)', async (method, field, make) => {
    const before = everything()
    const reply = await client.call(method, make())
    expect(reply).toMatchObject({
      ok: false,
      refusal: { reason: 'INVALID_ARGUMENT', metadata: { field }, infos: 1 },
    })
    expect(everything()).toBe(before)
  })
})

test('a device that is not there: said so that it fits whoever asks', async () => {
  const reply = await client.call('DumpTables', { device: 'devices/none' })
  const message = 'there is no devices/none that you may use; check its name'
  expect(reply).toMatchObject({ ok: false, refusal: { message } })
})

describe('refused with the reason', () => {
  test.each(OTHERS)('%s: %s (%#)', async (method, reason, make) => {
    const before = everything()
    const reply = await client.call(method, make())
    expect(reply).toMatchObject({ ok: false, refusal: { reason, infos: 1 } })
    expect(everything()).toBe(before)
  })
})

describe('guest memory', () => {
  test('a write that does not fit is not done in part, also where it meets what is read-only', async () => {
    const other = await rig.vmm.openSession()
    const place = { session: other.name, readOnly: false }
    await rig.lab.mapMemory({ ...place, address: 0n, size: 4096n })
    await rig.lab.mapMemory({ ...place, address: 4096n, size: 4096n, readOnly: true })
    const write = (address: bigint) => {
      return rig.lab.writeMemory(other.name, address, Buffer.alloc(16, 0xff))
    }
    await expect(write(4088n)).rejects.toMatchObject({ reason: 'MEMORY_NOT_FOUND' })
    await expect(write(8184n)).rejects.toMatchObject({ reason: 'MEMORY_NOT_FOUND' })
    expect(await rig.lab.readMemory(other.name, 0n, 8192)).toEqual(Buffer.alloc(8192))
    await write(4080n)
    expect(await rig.lab.readMemory(other.name, 4072n, 24)).toEqual(
      Buffer.concat([Buffer.alloc(8), Buffer.alloc(16, 0xff)]),
    )
    expect(await rig.lab.unmapMemory(other.name)).toEqual({ unmapped: 2 })
  })

  test('zeros are bounded over all sessions, and given back with them', async () => {
    const GIB = 2n ** 30n
    const other = await rig.vmm.openSession()
    const mapped = async (i: bigint) => {
      await rig.lab.mapMemory({ session: other.name, address: i * GIB, size: GIB })
    }
    let i = 0n
    const failure = await (async () => {
      for (; i < 5n; i += 1n) await mapped(i)
      return undefined
    })().catch((error: unknown) => error)
    expect(failure).toMatchObject({ reason: 'MEMORY_REFUSED' })
    expect(i).toBeGreaterThan(1n)
    await rig.lab.unmapMemory(other.name, { address: 0n, size: GIB })
    await mapped(i)
    await other.closeSession()
    const next = await rig.vmm.openSession()
    for (let at = 0n; at < i; at += 1n) {
      await rig.lab.mapMemory({ session: next.name, address: at * GIB, size: GIB })
    }
    await next.closeSession()
  })

  test('a file of the operator is what it says', async () => {
    const words = Buffer.alloc(8192)
    words.writeBigUInt64LE(0x1234n, 4096)
    fs.writeFileSync(file, words)
    const other = await rig.vmm.openSession()
    const place = { session: other.name, path: file, offset: 4096n }
    await rig.lab.mapMemory({ ...place, address: 0n, size: 4096n })
    expect((await rig.lab.readMemory(other.name, 0n, 8)).readBigUInt64LE(0)).toBe(0x1234n)
    await other.closeSession()
  })
})

test('acts are recorded with who did them; accesses and words of memory are not', async () => {
  const events = []
  for await (const rows of rig.operator.auditEvents({ filter: 'action = EMULATOR_LAB' })) {
    events.push(...rows)
  }
  const details = events.map(({ details: text }) => text.split(':')[0])
  expect([...new Set(details)].sort()).toEqual([
    'ClearFaults',
    'CreateDevice',
    'InjectFault',
    'MapMemory',
    'ResetDevice',
    'SubmitDescriptors',
    'UnmapMemory',
    'UpdateEmulator',
  ])
  expect(events[0]).toMatchObject({ outcome: 'DONE', actor: { pid: process.pid } })
  const made = events.find(({ subject }) => subject === 'devices/d')
  expect(made).toBeDefined()
})
