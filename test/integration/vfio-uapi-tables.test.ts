/**
 * The 2020 ioctls that bind, unbind and invalidate, through the socket of a daemon; and what
 * becomes of each refusal of the broker.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { target } from '../../src/core/ids.js'
import { refuse, type Refusal } from '../../src/core/refusal.js'
import { REFUSAL_ERRNO } from '../../src/service/vfio/errno.js'
import { stopAll } from '../support/daemon.js'
import { DEVICES_TOML, ServiceRig } from '../support/service-rig.js'
import { VfioContainer } from '../support/vfio-container.js'
import {
  ALLOC,
  bindData,
  cacheInfo,
  CACHE_INVLD,
  ERRNO,
  FREE,
  pasidRequest,
  REQUEST,
  UNBIND_PGTBL,
  v1BindData,
  v1CacheInfo,
  withHeader,
  type BindFields,
  type CacheFields,
} from '../support/vfio-layouts.js'

const { EINVAL, ENOENT } = ERRNO
const { PASID_REQUEST, NESTING_OP, V1_BIND, V1_CACHE_INVALIDATE } = REQUEST

/** whole0: its RID can be bound, and it takes all 20 bits. */
const TOML = `${DEVICES_TOML.replace('{ name = "mdev0" },', '$& { name = "whole0" },')}
[[backend.device]]
name = "whole0"
`

const rigs: ServiceRig[] = []

afterEach(async () => {
  vi.restoreAllMocks()
  for (const rig of rigs.splice(0)) rig.close()
  await stopAll()
})

async function start(): Promise<ServiceRig> {
  const rig = await ServiceRig.start({ toml: TOML })
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

describe('binding', () => {
  test('v7 and v1 bind on each device, in the one domain of the container', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const [a, b] = [await container.allocate(), await container.allocate()]
    const table = { gpgd: 0x7000n, width: 57, gpasid: 5n, flags: 1n }
    expect(await container.bind({ hpasid: a, ...table })).toBe(0)
    const v1 = withHeader(1, v1BindData({ hpasid: b, gpgd: 0x8000n }))
    expect(await container.errno(V1_BIND, v1)).toBe(0)
    const { state } = rig.daemon.broker
    const device = state.deviceByName.get('mdev0')?.id
    if (device === undefined) throw new Error('no mdev0')
    expect(state.bindingAt(device, target(a))).toMatchObject({
      table: { kind: 'FIRST_STAGE', address: 0x7000, width: 57 },
      domain: 0,
      guestPasid: 5,
      state: 'BOUND',
    })
    const second = { table: { address: 0x8000, width: 48 }, guestPasid: b }
    expect(state.bindingAt(device, target(b))).toMatchObject(second)
  })

  const WRONG: readonly (readonly [string, BindFields, number])[] = [
    ['PASID 0', { hpasid: 0 }, EINVAL],
    ['a PASID of 21 bits', { hpasid: 2 ** 20 }, EINVAL],
    ['a PASID of 64 bits', { hpasid: 2n ** 63n }, EINVAL],
    ['a PASID that nobody has', { hpasid: 77_777 }, ENOENT],
    ['a width between', { width: 50 }, EINVAL],
    ['no width', { width: 0 }, EINVAL],
    ['a table within a page', { gpgd: 0x1008n }, EINVAL],
    ['a table beyond 52 bits', { gpgd: 1n << 52n }, EINVAL],
    ['an unknown flag', { flags: 2n }, EINVAL],
    ['a guest PASID of 21 bits', { flags: 1n, gpasid: 1n << 20n }, EINVAL],
    ['no format', { format: 0 }, EINVAL],
    ['a format of later', { format: 2 }, EINVAL],
    ['PCD', { vtdFlags: 4n }, EINVAL],
    ['PWT', { vtdFlags: 8n }, EINVAL],
    ['EMTE', { vtdFlags: 16n }, EINVAL],
    ['CD', { vtdFlags: 32n }, EINVAL],
    ['WPE, which came later', { vtdFlags: 64n }, EINVAL],
  ]

  test('what is wrong is refused by v7 and v1 alike, and nothing is bound', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const hpasid = await container.allocate()
    for (const [name, fields, errno] of WRONG) {
      const all = { hpasid, ...fields }
      expect([name, await container.bind(all)]).toEqual([name, errno])
      const v1 = withHeader(1, v1BindData(all))
      expect([name, await container.errno(V1_BIND, v1)]).toEqual([name, errno])
    }
    expect(bindings(rig)).toBe(0)
  })

  test('twice, or another table over it, is EINVAL, and the first one stays', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const hpasid = await container.allocate()
    expect(await container.bind({ hpasid })).toBe(0)
    expect(await container.bind({ hpasid })).toBe(EINVAL)
    expect(await container.bind({ hpasid, gpgd: 0x9000n })).toBe(EINVAL)
    expect(bindings(rig)).toBe(1)
    const unbind = withHeader(UNBIND_PGTBL, bindData({ hpasid }))
    expect(await container.errno(NESTING_OP, unbind)).toBe(0)
    expect(await container.bind({ hpasid, gpgd: 0x9000n })).toBe(0)
  })

  test('another’s PASID looks like one that nobody has', async () => {
    const { vmm } = await start()
    const container = await VfioContainer.nesting(vmm, ['mdev0'])
    const other = await VfioContainer.nesting(vmm, ['mdev0'])
    expect(await container.bind({ hpasid: await other.allocate() })).toBe(ENOENT)
  })

  test('a device with fewer than 20 bits takes no table, and the others none either', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0', 'nic0'])
    expect(await container.bind({ hpasid: await container.allocate() })).toBe(EINVAL)
    expect(bindings(rig)).toBe(0)
  })

  test('freeing what is bound takes it down; a later unbind is harmless in v7', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const hpasid = await container.allocate()
    await container.bind({ hpasid })
    expect(await container.errno(PASID_REQUEST, pasidRequest(FREE, hpasid, hpasid))).toBe(0)
    const unbind = withHeader(UNBIND_PGTBL, bindData({ hpasid }))
    expect(await container.errno(NESTING_OP, unbind)).toBe(0)
    expect(await container.errno(V1_BIND, withHeader(2, v1BindData({ hpasid })))).toBe(ENOENT)
    expect([bindings(rig), held(rig, container)]).toEqual([0, 0])
  })

  test('unbinding what is not bound is 0 in v7; v1 says EINVAL, or ENOENT', async () => {
    const container = await VfioContainer.nesting((await start()).vmm, ['mdev0'])
    const hpasid = await container.allocate()
    const cases = [
      [hpasid, EINVAL],
      [77_777, ENOENT],
      [0, ENOENT],
      [2n ** 40n, ENOENT],
    ] as const
    for (const [pasid, errno] of cases) {
      const v7 = withHeader(UNBIND_PGTBL, bindData({ hpasid: pasid }))
      expect(await container.errno(NESTING_OP, v7)).toBe(0)
      const v1 = withHeader(2, v1BindData({ hpasid: pasid }))
      expect(await container.errno(V1_BIND, v1)).toBe(errno)
    }
    const bad = withHeader(UNBIND_PGTBL, bindData({ hpasid, version: 2 }))
    expect(await container.errno(NESTING_OP, bad)).toBe(EINVAL)
  })
})

describe('invalidating', () => {
  /** What the backend is asked for: device, target, caches, range. */
  type Seen = readonly [string, number, string, string]

  /** A container with two tables on two devices, a RID and one in another domain; another's. */
  async function world() {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0', 'whole0'])
    const other = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const [a, b] = [await container.allocate(), await container.allocate()]
    for (const hpasid of [a, b]) expect(await container.bind({ hpasid })).toBe(0)
    expect(await other.bind({ hpasid: await other.allocate() })).toBe(0)
    const device = { session: container.name, devices: ['devices/whole0'] }
    const table = { firstStage: { address: 4096, addressWidth: 48 } }
    const rid = { ...device, rid: true, ...table }
    await rig.vmm.must('PasidBroker/BindPasid', rid, container.token)
    const c = await container.allocate()
    const third = { ...device, pasid: c, domain: 5, ...table }
    await rig.vmm.must('PasidBroker/BindPasid', third, container.token)
    const seen: Seen[] = []
    const { backend } = rig.daemon
    const real = backend.invalidate.bind(backend)
    vi.spyOn(backend, 'invalidate').mockImplementation((request) => {
      const { device: name, target, caches, range } = request
      const pages = range && `${range.address} ${range.pages} ${range.leaf ? 'leaf' : 'all'}`
      seen.push([name, target, caches.toSorted().join(' '), pages ?? ''])
      return real(request)
    })
    const every = [...places(a), ...places(b), ['whole0', 0], ['whole0', c]] as const
    return { container, a, b, c, seen, every }
  }

  const places = (pasid: number) => [['mdev0', pasid] as const, ['whole0', pasid] as const]
  const asked = (
    where: readonly (readonly [string, number])[],
    caches: string,
    range = '',
  ): Seen[] => where.map(([device, one]) => [device, one, caches, range] as const)
  const BOTH = 'DEVICE_TLB IOTLB'

  test('a domain is all and only the bindings of the container, RID included', async () => {
    const { container, seen, every } = await world()
    const info = cacheInfo({ cache: 1, granularity: 0 }, 16).subarray(0, 16)
    expect(await container.errno(NESTING_OP, withHeader(CACHE_INVLD, info))).toBe(0)
    expect(seen.splice(0).toSorted()).toEqual(asked(every, BOTH).toSorted())
    const cache = cacheInfo({ cache: 4, granularity: 0 })
    expect(await container.errno(NESTING_OP, withHeader(CACHE_INVLD, cache))).toBe(0)
    expect(seen.toSorted()).toEqual(asked(every, 'PASID_CACHE').toSorted())
  })

  test('PASIDs and addresses, by v7 and v1, with what a kernel took along', async () => {
    const { container, a, b, seen, every } = await world()
    const at = { addr: 0x7000n, granuleSize: 4096n, granules: 2n }
    const range = '28672 2 all'
    const cases: readonly (readonly [CacheFields, readonly Seen[]])[] = [
      [{ cache: 1, granularity: 1, flags: 1, pasid: a }, asked(places(a), BOTH)],
      [{ cache: 2, granularity: 1, flags: 1, pasid: b }, asked(places(b), 'DEVICE_TLB')],
      [{ cache: 7, granularity: 1, flags: 1, pasid: a }, asked(places(a), `${BOTH} PASID_CACHE`)],
      [
        { cache: 1, granularity: 2, flags: 5, pasid: a, ...at },
        asked(places(a), BOTH, '28672 2 leaf'),
      ],
      [{ cache: 3, granularity: 2, flags: 1, pasid: b, ...at }, asked(places(b), BOTH, range)],
      // Neither PASID nor ARCHID: all address spaces of the domain.
      [{ cache: 1, granularity: 2, flags: 0, ...at }, asked(every, BOTH, range)],
      [{ cache: 1, granularity: 1, flags: 2 }, asked(every, BOTH)],
      [{ cache: 0, granularity: 0 }, []],
    ]
    for (const [fields, expected] of cases) {
      const v7 = withHeader(CACHE_INVLD, cacheInfo(fields))
      expect(await container.errno(NESTING_OP, v7)).toBe(0)
      expect(seen.splice(0).toSorted()).toEqual(expected.toSorted())
      const v1 = withHeader(0, v1CacheInfo(fields))
      expect(await container.errno(V1_CACHE_INVALIDATE, v1)).toBe(0)
      expect(seen.splice(0).toSorted()).toEqual(expected.toSorted())
    }
  })

  test('what is wrong is EINVAL, and nothing is invalidated', async () => {
    const { container, a, seen } = await world()
    const at = { flags: 1, pasid: a, granuleSize: 4096n, granules: 1n }
    const wrong: readonly CacheFields[] = [
      { cache: 2, granularity: 0 },
      { cache: 3, granularity: 0 },
      { cache: 4, granularity: 2, ...at },
      { cache: 8, granularity: 0 },
      { cache: 1, granularity: 3 },
      { cache: 1, granularity: 1, flags: 0 },
      { cache: 1, granularity: 1, flags: 4, pasid: a },
      { cache: 1, granularity: 1, flags: 1, pasid: 0 },
      { cache: 1, granularity: 2, ...at, granules: 0n },
      { cache: 1, granularity: 2, ...at, addr: 2n ** 64n - 1n, granules: 2n },
    ]
    for (const fields of wrong) {
      const v7 = withHeader(CACHE_INVLD, cacheInfo(fields))
      expect([fields, await container.errno(NESTING_OP, v7)]).toEqual([fields, EINVAL])
      const v1 = withHeader(0, v1CacheInfo(fields))
      expect([fields, await container.errno(V1_CACHE_INVALIDATE, v1)]).toEqual([fields, EINVAL])
    }
    expect(seen).toEqual([])
  })

  test('what is not bound is 0 in v7; v1 says EINVAL, or ENOENT', async () => {
    const { container, c } = await world()
    await container.errno(NESTING_OP, withHeader(UNBIND_PGTBL, bindData({ hpasid: c })))
    const idle = await container.allocate()
    for (const [pasid, errno] of [
      [idle, EINVAL],
      [77_777, ENOENT],
      [c, EINVAL],
    ] as const) {
      const fields = { cache: 1, granularity: 1, flags: 1, pasid }
      const v7 = withHeader(CACHE_INVLD, cacheInfo(fields))
      expect(await container.errno(NESTING_OP, v7)).toBe(0)
      const v1 = withHeader(0, v1CacheInfo(fields))
      expect(await container.errno(V1_CACHE_INVALIDATE, v1)).toBe(errno)
    }
  })
})

describe('a refusal of the broker', () => {
  test('is its errno, or, where no kernel says that, a status', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const hpasid = await container.allocate()
    const spy = vi.spyOn(rig.daemon.broker, 'bind')
    for (const [code, errno] of Object.entries(REFUSAL_ERRNO)) {
      if (errno === 'STATUS') continue
      spy.mockResolvedValueOnce(refuse({ code } as Refusal))
      expect([code, await container.bind({ hpasid })]).toEqual([code, errno])
    }
    const statuses: readonly Refusal[] = [
      { code: 'LEDGER_UNAVAILABLE', retryMs: 5 },
      { code: 'OVERLOADED', limit: 1, what: 'calls' },
      { code: 'DRAINING' },
      { code: 'SESSION_CLOSING', session: 'x' },
    ]
    for (const refusal of statuses) {
      expect(REFUSAL_ERRNO[refusal.code]).toBe('STATUS')
      spy.mockResolvedValueOnce(refuse(refusal))
      const bind = withHeader(0, bindData({ hpasid }))
      const reply = await container.send(NESTING_OP, { data: bind })
      expect(reply).toMatchObject({ ok: false, refusal: { reason: refusal.code } })
    }
  })

  test('does not make an unbind of v7 fail: what is stuck is tried again', async () => {
    const rig = await start()
    const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
    const hpasid = await container.allocate()
    const code = 'BACKEND_UNAVAILABLE' as const
    const stuck = { code, device: 'mdev0', problem: 'a call hangs', retryMs: 100 }
    const spy = vi.spyOn(rig.daemon.broker, 'unbind')
    spy.mockResolvedValueOnce(refuse(stuck)).mockResolvedValueOnce(refuse(stuck))
    const v7 = withHeader(UNBIND_PGTBL, bindData({ hpasid }))
    expect(await container.errno(NESTING_OP, v7)).toBe(0)
    const v1 = withHeader(2, v1BindData({ hpasid }))
    expect(await container.errno(V1_BIND, v1)).toBe(ERRNO.EBUSY)
  })
})

test('random bytes change nothing when they are refused', async () => {
  const rig = await start()
  const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
  const requests = [PASID_REQUEST, NESTING_OP, REQUEST.V1_PASID_REQUEST, V1_BIND]
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9)
  console.log(`SEED=${seed}`)
  let state = seed >>> 0
  const random = (below: number): number => {
    // Numerical Recipes' generator: enough for bytes.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let i = 0; i < 500; i += 1) {
    const data = Buffer.from(Array.from({ length: random(100) }, () => random(256)))
    // Often a size that is right, so that what is behind it is looked at.
    if (data.length >= 4 && random(2) === 0) data.writeUInt32LE(data.length, 0)
    if (data.length >= 8 && random(2) === 0) data.writeUInt32LE(random(4), 4)
    const before = rig.everything()
    const request = requests[random(requests.length)] ?? NESTING_OP
    const { result, error } = await container.call(request, { data })
    if (result === -1) {
      expect(error).toBeGreaterThan(0)
      expect(rig.everything()).toBe(before)
    } else {
      expect(error).toBe(0)
    }
  }
})

test('allocating until nothing is left leaves what others hold', async () => {
  const rig = await start()
  const container = await VfioContainer.nesting(rig.vmm, ['mdev0'])
  const other = await VfioContainer.nesting(rig.vmm, ['mdev0'])
  const mine = await other.allocate(900, 903)
  const alloc = { data: pasidRequest(ALLOC, 900, 903) }
  const all = await Promise.all([1, 2, 3, 4, 5].map(() => container.call(PASID_REQUEST, alloc)))
  const given = all.filter(({ result }) => result > 0).map(({ result }) => result)
  expect([...given, mine].sort((x, y) => x - y)).toEqual([900, 901, 902, 903])
  expect(await container.errno(PASID_REQUEST, pasidRequest(FREE, 900, 903))).toBe(0)
  expect([held(rig, container), held(rig, other)]).toEqual([0, 1])
})
