/**
 * The 2020 ioctls through the socket of a daemon: what each answers, and writes back, in the order
 * in which a kernel looked at things. Bytes by themselves are in test/unit/uapi-vfio-2020.test.ts.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { stopAll } from '../support/daemon.js'
import { ServiceRig } from '../support/service-rig.js'
import { NESTING, VfioContainer } from '../support/vfio-container.js'
import {
  ALLOC,
  BIND_PGTBL,
  bindData,
  ERRNO,
  FREE,
  infoRequest,
  pasidRequest,
  REQUEST,
  v1BindData,
  v1PasidRequest,
  withHeader,
} from '../support/vfio-layouts.js'

const { EFAULT, EINVAL, ENODEV, ENOENT, ENOSPC, ENOTTY, EOPNOTSUPP } = ERRNO
const { GET_INFO, PASID_REQUEST, NESTING_OP, SET_IOMMU, CHECK_EXTENSION } = REQUEST
const { V1_PASID_REQUEST, V1_BIND } = REQUEST
const ON_IOMMU = [GET_INFO, PASID_REQUEST, NESTING_OP, V1_PASID_REQUEST, V1_BIND]

const rigs: ServiceRig[] = []

afterEach(async () => {
  for (const rig of rigs.splice(0)) rig.close()
  await stopAll()
})

async function start(): Promise<ServiceRig> {
  const rig = await ServiceRig.start()
  rigs.push(rig)
  return rig
}

function held(rig: ServiceRig, { name }: VfioContainer): number {
  const session = rig.daemon.broker.state.sessionByName.get(name.slice('sessions/'.length))
  return session?.held ?? 0
}

function bindings(rig: ServiceRig): number {
  return rig.daemon.broker.state.bindings.size
}

describe('opening', () => {
  test('is a session with the quota of the series and the devices', async () => {
    const rig = await start()
    const opened = await rig.vmm.must('VfioUapi/OpenContainer', { devices: ['devices/mdev0'] })
    expect(opened['session']).toMatchObject({ maxPasids: 1000, devices: ['devices/mdev0'] })
    expect(opened['token']).toMatch(/^[\w-]{43}$/)
  })

  test.each([
    ['a device that is not there', ['mdev0', 'nothing'], 'DEVICE_NOT_FOUND'],
    ['devices of two platforms', ['mdev0', 'arm0'], 'TABLE_UNSUPPORTED'],
    ['a device with a numbering of its own beside another', ['mdev0', 'vf0'], 'SCOPE_NOT_ALLOWED'],
    ['a device twice', ['mdev0', 'mdev0'], 'INVALID_ARGUMENT'],
  ])('all or nothing: %s leaves nothing', async (_name, devices, reason) => {
    const rig = await start()
    const names = devices.map((device) => `devices/${device}`)
    const reply = await rig.vmm.call('VfioUapi/OpenContainer', { devices: names })
    expect(reply).toMatchObject({ ok: false, refusal: { reason } })
    expect(rig.daemon.broker.state.sessions.size).toBe(0)
    await VfioContainer.open(rig.vmm, ['mdev0'])
  })

  test('a device in use is refused, and free again when its container is closed', async () => {
    const rig = await start()
    const first = await VfioContainer.open(rig.vmm, ['nic0'])
    const ask = { devices: ['devices/nic0'] }
    const refused = await rig.vmm.call('VfioUapi/OpenContainer', ask)
    expect(refused).toMatchObject({ ok: false, refusal: { reason: 'DEVICE_IN_USE' } })
    await first.close()
    await VfioContainer.open(rig.vmm, ['nic0'])
  })

  test('a repeated request id is the same container, also at the same time', async () => {
    const rig = await start()
    const requestId = '0190b6c2-7a5e-7cc0-98c4-dc0c0c07398f'
    const ask = { requestId, devices: ['devices/mdev0', 'devices/nic0'] }
    const both = [1, 2, 3].map(() => rig.vmm.must('VfioUapi/OpenContainer', ask))
    const [first, ...others] = await Promise.all(both)
    for (const other of others) expect(other['token']).toBe(first?.['token'])
    expect(rig.daemon.broker.state.sessions.size).toBe(1)
    const other = await rig.vmm.call('VfioUapi/OpenContainer', { requestId, devices: [] })
    expect(other).toMatchObject({ ok: false, refusal: { reason: 'REQUEST_ID_REUSED' } })
  })

  test('a repeat that cannot attach any more takes nothing away', async () => {
    const rig = await start()
    const requestId = '0190b6c2-7a5e-7cc0-98c4-dc0c0c07398f'
    const more = { requestId }
    const container = await VfioContainer.open(rig.vmm, ['nic0'], more)
    await container.call(SET_IOMMU, { argument: NESTING })
    await container.allocate()
    const device = { session: container.name, device: 'devices/nic0' }
    await rig.vmm.must('PasidBroker/DetachDevice', device, container.token)
    await VfioContainer.open(rig.vmm, ['nic0'])
    const ask = { requestId, devices: ['devices/nic0'] }
    const again = await rig.vmm.call('VfioUapi/OpenContainer', ask)
    expect(again).toMatchObject({ ok: false, refusal: { reason: 'DEVICE_IN_USE' } })
    expect(held(rig, container)).toBe(1)
  })
})

describe('a call', () => {
  test('of a session needs its token, and data that fit', async () => {
    const rig = await start()
    const { name, token } = await VfioContainer.open(rig.vmm, ['mdev0'])
    const ask = { session: name, request: REQUEST.GET_API_VERSION }
    const wrong = await rig.vmm.call('VfioUapi/Ioctl', ask, 'x'.repeat(43))
    expect(wrong).toMatchObject({ ok: false, refusal: { reason: 'SESSION_TOKEN_WRONG' } })
    const long = { ...ask, data: Buffer.alloc(4097) }
    const refused = await rig.vmm.call('VfioUapi/Ioctl', long, token)
    expect(refused).toMatchObject({ ok: false, refusal: { reason: 'INVALID_ARGUMENT' } })
    const none = { ...ask, session: 'sessions/aaaaaaaaaaaaaaaa' }
    const gone = await rig.vmm.call('VfioUapi/Ioctl', none, token)
    expect(gone).toMatchObject({ ok: false, refusal: { reason: 'SESSION_NOT_FOUND' } })
  })

  test('before VFIO_SET_IOMMU is EINVAL but for three, and unknown ones are ENOTTY', async () => {
    const rig = await start()
    const container = await VfioContainer.open(rig.vmm, ['mdev0'])
    const data = Buffer.alloc(80, 0xff)
    for (const request of ON_IOMMU) expect(await container.errno(request, data)).toBe(EINVAL)
    expect(await container.call(REQUEST.GET_API_VERSION)).toMatchObject({ result: 0, error: 0 })
    for (const request of [REQUEST.MAP_DMA, 0, 0x3b67, 0x3b78, 0x3b7d, 0xffff_ffff]) {
      expect(await container.errno(request, data)).toBe(ENOTTY)
    }
    await container.call(SET_IOMMU, { argument: NESTING })
    expect(await container.errno(REQUEST.MAP_DMA, data)).toBe(ENOTTY)
  })

  test('VFIO_CHECK_EXTENSION knows types 1, 3 and 6', async () => {
    const container = await VfioContainer.open((await start()).vmm, ['mdev0'])
    for (let argument = 0; argument < 16; argument += 1) {
      const { result } = await container.call(CHECK_EXTENSION, { argument })
      expect([argument, result]).toEqual([argument, [1, 3, 6].includes(argument) ? 1 : 0])
    }
    const most = { argument: '18446744073709551615' }
    expect(await container.call(CHECK_EXTENSION, most)).toMatchObject({ result: 0, error: 0 })
  })

  test('VFIO_SET_IOMMU is ENODEV for other types, EINVAL twice or without devices', async () => {
    const { vmm } = await start()
    const empty = await VfioContainer.open(vmm, [])
    expect(await empty.call(SET_IOMMU, { argument: NESTING })).toMatchObject({ error: EINVAL })
    const container = await VfioContainer.open(vmm, ['mdev0'])
    for (const argument of [0, 2, 4, 5, 7, '4294967302']) {
      expect(await container.call(SET_IOMMU, { argument })).toMatchObject({ error: ENODEV })
    }
    expect(await container.call(SET_IOMMU, { argument: NESTING })).toMatchObject({ result: 0 })
    for (const argument of [1, NESTING, 99]) {
      expect(await container.call(SET_IOMMU, { argument })).toMatchObject({ error: EINVAL })
    }
  })

  test('on a container that does not nest has no PASIDs, as on one that cannot', async () => {
    const { vmm } = await start()
    const plain = await VfioContainer.open(vmm, ['mdev0'])
    await plain.call(SET_IOMMU, { argument: 1 })
    const smmu = await VfioContainer.nesting(vmm, ['arm0'])
    for (const container of [plain, smmu]) {
      const alloc = pasidRequest(ALLOC, 1, 0xfffff)
      expect(await container.errno(PASID_REQUEST, alloc)).toBe(EOPNOTSUPP)
      // Looked at before "both flags, or none", after all the rest.
      expect(await container.errno(PASID_REQUEST, pasidRequest(0, 1, 9))).toBe(EOPNOTSUPP)
      expect(await container.errno(PASID_REQUEST, pasidRequest(FREE, 9, 1))).toBe(EINVAL)
      const bind = withHeader(BIND_PGTBL, bindData())
      expect(await container.errno(NESTING_OP, bind)).toBe(EOPNOTSUPP)
      expect(await container.errno(NESTING_OP, withHeader(3, bindData()))).toBe(EINVAL)
      expect(await container.errno(V1_BIND, withHeader(1, v1BindData()))).toBe(EINVAL)
    }
    expect((await plain.call(GET_INFO, { data: infoRequest(256) })).data.length).toBe(72)
    expect(await smmu.errno(GET_INFO, infoRequest(256))).toBe(ENOENT)
  })

  test('without a device any more is answered as one that nests nothing', async () => {
    const { vmm } = await start()
    const container = await VfioContainer.nesting(vmm, ['mdev0'])
    const device = { session: container.name, device: 'devices/mdev0' }
    await vmm.must('PasidBroker/DetachDevice', device, container.token)
    expect(await container.errno(PASID_REQUEST, pasidRequest(ALLOC, 1, 9))).toBe(EOPNOTSUPP)
    expect(await container.errno(V1_PASID_REQUEST, v1PasidRequest(ALLOC, 1, 9))).toBe(EFAULT)
    expect(await container.errno(V1_PASID_REQUEST, v1PasidRequest(FREE, 1))).toBe(EFAULT)
  })

  test('VFIO_IOMMU_GET_INFO reports nesting with the narrowest device', async () => {
    const { vmm } = await start()
    const container = await VfioContainer.nesting(vmm, ['mdev0', 'nic0'])
    const { data, result } = await container.call(GET_INFO, { data: infoRequest(256) })
    expect([result, data.length]).toEqual([0, 24 + 48 + 8 + 48])
    expect([data.readUInt16LE(72), data.readUInt16LE(74)]).toEqual([3, 1])
    const info = data.subarray(80)
    // argsz, format INTEL_VTD, SYSWIDE_PASID | BIND_PGTBL | CACHE_INVLD; pasid_bits of nic0.
    expect([0, 8, 12].map((at) => info.readUInt32LE(at))).toEqual([48, 1, 7])
    expect([info.readUInt16LE(16), info.readUInt16LE(18)]).toEqual([48, 16])
  })
})

describe('VFIO_IOMMU_PASID_REQUEST of v7', () => {
  test('allocates inside the range, and frees by range what is the container’s own', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const other = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const foreign = await other.allocate(500, 500)
    expect(await container.errno(PASID_REQUEST, pasidRequest(ALLOC, 500, 500))).toBe(ENOSPC)
    for (const pasid of [501, 502, 503]) expect(await container.allocate(pasid, pasid)).toBe(pasid)
    const low = await container.allocate(0, 0x7fff_ffff)
    expect(low).toBeGreaterThan(255)
    const free = pasidRequest(FREE, 499, 502)
    expect(await container.call(PASID_REQUEST, { data: free })).toMatchObject({ result: 0 })
    expect([held(rig, container), held(rig, other)]).toEqual([2, 1])
    expect(await container.call(PASID_REQUEST, { data: free })).toMatchObject({ result: 0 })
    const all = pasidRequest(FREE, 0, 0x7fff_ffff)
    expect(await container.call(PASID_REQUEST, { data: all })).toMatchObject({ result: 0 })
    expect([held(rig, container), held(rig, other)]).toEqual([0, 1])
    expect(foreign).toBe(500)
  })

  test.each([
    ['PASID 0 alone', 0, 0],
    ['reserved numbers', 1, 255],
    ['numbers beyond 20 bits', 0x10_0000, 0x7fff_ffff],
    ['numbers outside the tenant’s window', 200_000, 300_000],
  ])('%s: ENOSPC to allocate, 0 to free', async (_name, min, max) => {
    const container = await VfioContainer.nesting((await start()).vmm, ['mdev0'])
    expect(await container.errno(PASID_REQUEST, pasidRequest(ALLOC, min, max))).toBe(ENOSPC)
    expect(await container.errno(PASID_REQUEST, pasidRequest(FREE, min, max))).toBe(0)
  })

  test('none or both of the flags are EINVAL', async () => {
    const container = await VfioContainer.nesting((await start()).vmm, ['mdev0'])
    for (const flags of [0, 3]) {
      expect(await container.errno(PASID_REQUEST, pasidRequest(flags, 1, 9))).toBe(EINVAL)
    }
  })

  test('the quota is 1000, exactly, and what is freed may be had again', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const alloc = { data: pasidRequest(ALLOC, 1, 0xfffff) }
    const all = await Promise.all(
      Array.from({ length: 1010 }, () => container.call(PASID_REQUEST, alloc)),
    )
    const given = all.filter(({ result }) => result > 0).map(({ result }) => result)
    expect(new Set(given).size).toBe(1000)
    expect(all.filter(({ error }) => error === ENOSPC)).toHaveLength(10)
    const [first = 0] = given
    await container.call(PASID_REQUEST, { data: pasidRequest(FREE, first, first) })
    await container.allocate()
    expect(held(rig, container)).toBe(1000)
    expect(await container.close()).toMatchObject({ freed: 1000, durable: true })
  })

  test('a device with a numbering of its own gives its own numbers', async () => {
    const container = await VfioContainer.nesting((await start()).vmm, ['vf0'])
    expect(await container.allocate(7, 7)).toBe(7)
    expect(await container.errno(PASID_REQUEST, pasidRequest(ALLOC, 256, 999))).toBe(ENOSPC)
  })

  test.each([
    ['v7', (pasid: number) => [PASID_REQUEST, pasidRequest(FREE, pasid, pasid)] as const],
    ['v1', (pasid: number) => [V1_PASID_REQUEST, v1PasidRequest(FREE, pasid)] as const],
  ])('%s frees what is held whatever devices came and went since', async (_name, free) => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['vf0'])
    const own = await container.allocate(7, 7)
    const device = async (method: 'AttachDevice' | 'DetachDevice', name: string) => {
      const message = { session: container.name, device: `devices/${name}` }
      await rig.vmm.must(`PasidBroker/${method}`, message, container.token)
    }
    await device('DetachDevice', 'vf0')
    await device('AttachDevice', 'mdev0')
    const host = await container.allocate()
    await device('AttachDevice', 'vf0')
    for (const pasid of [own, host]) {
      const [request, data] = free(pasid)
      expect(await container.errno(request, data)).toBe(0)
    }
    expect(held(rig, container)).toBe(0)
  })
})

describe('VFIO_IOMMU_PASID_REQUEST of v1', () => {
  test('writes the result at 16 and nothing else', async () => {
    const container = await VfioContainer.nesting((await start()).vmm, ['mdev0'])
    const asked = Buffer.concat([v1PasidRequest(ALLOC, 600, 700), Buffer.alloc(9, 0x55)])
    const { result, data } = await container.call(V1_PASID_REQUEST, { data: asked })
    expect([result, data.length]).toEqual([0, 20])
    expect(data.subarray(0, 16)).toEqual(asked.subarray(0, 16))
    const pasid = data.readUInt32LE(16)
    expect(pasid).toBeGreaterThanOrEqual(600)
    expect(await container.call(V1_PASID_REQUEST, { data: v1PasidRequest(FREE, pasid) })).toEqual({
      result: 0,
      error: 0,
      data: Buffer.alloc(0),
    })
  })

  test('frees once: freed, another’s, 0 and what is no PASID are all ENOENT', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const other = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const [own, foreign] = [await container.allocate(), await other.allocate()]
    expect(await container.errno(V1_PASID_REQUEST, v1PasidRequest(FREE, own))).toBe(0)
    for (const pasid of [own, foreign, 0, 77_777, 0x10_0000, 0xffff_ffff]) {
      expect(await container.errno(V1_PASID_REQUEST, v1PasidRequest(FREE, pasid))).toBe(ENOENT)
    }
    expect(held(rig, other)).toBe(1)
  })

  test('does not look at the range itself, and finds nothing in a wrong one', async () => {
    const container = await VfioContainer.nesting((await start()).vmm, ['mdev0'])
    for (const [min, max] of [
      [700, 600],
      [0x8000_0000, 0xffff_ffff],
      [0, 0],
    ] as const) {
      expect(await container.errno(V1_PASID_REQUEST, v1PasidRequest(ALLOC, min, max))).toBe(ENOSPC)
    }
  })
})

test('closing frees and unbinds everything, and the session is gone', async () => {
  const rig = await start()
  const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
  for (let i = 0; i < 5; i += 1) await container.bind({ hpasid: await container.allocate() })
  expect(await container.close()).toMatchObject({ freed: 5, durable: true })
  expect([rig.daemon.broker.state.sessions.size, bindings(rig)]).toEqual([0, 0])
  const gone = await container.send(REQUEST.GET_API_VERSION)
  expect(gone).toMatchObject({ ok: false, refusal: { reason: 'SESSION_NOT_FOUND' } })
})

test('a session of PasidBroker nests without having been set, and may be set once', async () => {
  const { vmm } = await start()
  const opened = await vmm.must('PasidBroker/OpenSession', {})
  const { name } = opened['session'] as { name: string }
  const token = opened['token'] as string
  await vmm.must('PasidBroker/AttachDevice', { session: name, device: 'devices/mdev0' }, token)
  const ioctl = async (request: number, more: object) => {
    return vmm.must('VfioUapi/Ioctl', { session: name, request, ...more }, token)
  }
  const alloc = { data: pasidRequest(ALLOC, 700, 700) }
  expect(await ioctl(PASID_REQUEST, alloc)).toMatchObject({ result: 700 })
  expect(await ioctl(SET_IOMMU, { argument: NESTING })).toMatchObject({ result: 0 })
  expect(await ioctl(SET_IOMMU, { argument: NESTING })).toMatchObject({ error: EINVAL })
})
