/** U: hygiene of the calls and life of the objects; X: the VFIO device. */

import type { Applies, Chapter } from './table.js'
import {
  ALLOC,
  bindData,
  GET_INFO,
  invalidateInfo,
  NESTING_OP,
  nestingOp,
  PASID_REQUEST,
  pasidRequest,
  V1_PASID_REQUEST,
} from './vfio.js'
import { doorSaid, said, words, type Vm, type World } from './world.js'

/** The number that an allocation of one gives is not the case's business. */
function normal(told: string): string {
  return /^returns [1-9]/.test(told) ? 'returns a PASID' : told
}

async function unknownThings(world: World): Promise<readonly string[]> {
  const vm = await world.container(['dev'])
  const nobody = world.client.session('sessions/nobody', vm.session.token)
  return [
    await said(nobody.get()),
    await said(vm.session.freePasids({ pasids: { pasids: [0] } })),
    await vm.ioctl(NESTING_OP, Buffer.alloc(0)),
    await vm.ioctl(0x3b63, words(8, 0)),
  ]
}

/** Structures with their argsz: one less than needed, exact, and a longer one with a tail. */
async function lengths(vm: Vm, request: number, exact: Buffer): Promise<readonly string[]> {
  const withArgsz = (argsz: number, bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes)
    copy.writeUInt32LE(argsz, 0)
    return copy
  }
  const { length } = exact
  const longer = (tail: number) =>
    withArgsz(length + 1, Buffer.concat([exact, Buffer.from([tail])]))
  const out: string[] = []
  for (const bytes of [
    withArgsz(length - 1, exact),
    exact,
    longer(0),
    longer(1),
    withArgsz(length, exact.subarray(0, length - 1)),
  ]) {
    out.push(normal(await vm.ioctl(request, bytes)))
  }
  return out
}

async function structures(world: World): Promise<readonly string[]> {
  const vm = await world.container(['dev'])
  const rows = new Set<string>()
  const structs: readonly (readonly [number, Buffer])[] = [
    [PASID_REQUEST, pasidRequest(ALLOC, 1000, 2000)],
    [V1_PASID_REQUEST, words(20, ALLOC, 1000, 2000, 0)],
    [GET_INFO, words(16, 0, 0, 0)],
    [NESTING_OP, nestingOp('INVALIDATE', invalidateInfo(1000))],
  ]
  for (const [request, exact] of structs) {
    const told = await lengths(vm, request, exact)
    rows.add(told.map((one) => one.replace(/^returns .*/, 'ok')).join(', '))
  }
  return [...rows]
}

async function nestingLengths(world: World): Promise<readonly string[]> {
  const vm = await world.container(['dev'])
  await vm.session.allocatePasids({ exact: { pasids: [100] } })
  const unknown = bindData({ pasid: 101, table: vm.tables.nested0.root })
  const whole = nestingOp('BIND', unknown)
  const longer = (tail: number) => {
    const bytes = Buffer.concat([whole, Buffer.from([tail])])
    bytes.writeUInt32LE(bytes.length, 0)
    return bytes
  }
  const short = Buffer.from(whole)
  short.writeUInt32LE(HEADER_BYTES - 1, 0)
  const out: string[] = []
  for (const bytes of [longer(0), longer(1), short]) out.push(await vm.ioctl(NESTING_OP, bytes))
  return out
}
const HEADER_BYTES = 8

async function detachInUse(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const { backend } = world.daemon
  const out = [await vm.bind(100, 'nested0'), await doorSaid(backend.detachDevice('dev', vm.id))]
  out.push(await vm.unbind(100), await doorSaid(backend.detachDevice('dev', vm.id)))
  await backend.attachDevice('dev', vm.id)
  out.push(await said(vm.session.detachDevice({ device: 'devices/dev' })))
  return out
}

async function unknownFlags(world: World): Promise<readonly string[]> {
  const vm = await world.container(['dev'])
  const out = new Set<string>()
  for (let bit = 2; bit < 32; bit += 1) {
    const flags = ((1 << bit) | ALLOC) >>> 0
    out.add(await vm.ioctl(PASID_REQUEST, pasidRequest(flags, 1000, 2000)))
  }
  out.add(await vm.ioctl(PASID_REQUEST, pasidRequest(0xffff_fffe, 1000, 2000)))
  const { allocations } = await vm.session.listPage()
  return [...out, `${allocations.length} numbers`]
}

async function rotate(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const domains = new Set<number>()
  const look = () => {
    const { entries } = world.daemon.backend.dumpTables('dev', { first: 1, count: 8 })
    for (const { entry } of entries) domains.add(entry.domain)
    return entries.length
  }
  const out = [await vm.bind(100, 'nested0')]
  const counts = [look()]
  for (const table of ['nested1', 's2'] as const) {
    out.push(await vm.replace(100, table), vm.check(100))
    counts.push(look())
  }
  out.push(`entries: ${[...new Set(counts)].join(' ')}`, `domain ids: ${domains.size}`)
  return [...out, await vm.unbind(100), vm.check(100)]
}

async function sameReplace(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const out = [await vm.bind(100, 'nested0')]
  const log = world.daemon.backend.operations
  log.on = true
  log.clear()
  out.push(await vm.replace(100, 'nested0'), await vm.replace(100, 'nested0'), vm.check(100))
  log.on = false
  return [...out, `operations: ${log.list().length}`]
}

async function info(world: World): Promise<readonly string[]> {
  const vm = await world.container(['dev'])
  const read = async (argsz: number) => {
    const bytes = Buffer.alloc(Math.max(argsz, 16))
    bytes.writeUInt32LE(argsz, 0)
    const told = await vm.ioctlData(GET_INFO, bytes)
    const [size, capabilities] = [
      told.readUInt32LE(0),
      told.length > 16 ? told.readUInt32LE(16) : 0,
    ]
    return { size, chain: capabilities === 0 ? 'no chain' : 'a chain' }
  }
  const needed = (await read(24)).size
  const out = [await vm.ioctl(GET_INFO, words(0, 0, 0, 0))]
  for (const argsz of [16, needed - 1, needed, needed + 8]) {
    const { size, chain } = await read(argsz)
    const name = argsz < needed ? (argsz === 16 ? 'fixed part' : 'one too short') : 'room'
    const told = size > argsz ? 'told how much' : 'as asked'
    out.push(`${name}: ${chain}, ${argsz === 16 ? 'no matter' : told}`)
  }
  const session = await world.client.openSession()
  out.push(await said(session.attachDevice({ device: 'devices/nobody' })))
  await session.closeSession()
  return out
}

async function closeAll(world: World): Promise<readonly string[]> {
  const { broker, backend } = world.daemon
  const held = broker.state.host.counts.held
  const vm = await world.vm(['dev', 'mdev'], [100, 101])
  const out = [await vm.bind(100, 'nested0'), await vm.bind(101, 's2', ['dev', 'mdev'])]
  vm.warm(100)
  out.push(await said(vm.session.closeSession()))
  const observed = await backend.observe()
  out.push(`bound: ${observed.kind === 'KNOWN' ? observed.places.length : observed.reason}`)
  const contexts = ['dev', 'mdev'].filter((name) => {
    return backend.dumpTables(name, { first: 0, count: 1 }).context !== undefined
  })
  out.push(`contexts: ${contexts.length}`, `numbers held: ${broker.state.host.counts.held - held}`)
  out.push(`cached: ${backend.cacheSizes().reduce((sum, { entries }) => sum + entries, 0)}`)
  return [...out, `memory: ${backend.guestMemory.ranges(vm.id).length}`]
}

async function vfioDevice(world: World): Promise<readonly string[]> {
  const vm = await world.vm([], [100])
  const other = await world.vm([])
  const attach = (one: Vm, device: string) => said(one.session.attachDevice({ device }))
  return [
    await vm.bind(100, 'nested0'),
    await attach(vm, 'devices/nobody'),
    await attach(vm, 'devices/dev'),
    await attach(vm, 'devices/dev'),
    await attach(other, 'devices/dev'),
    await vm.bind(100, 'nested0'),
    await vm.unbind(100),
    await said(vm.session.detachDevice({ device: 'devices/dev' })),
    await said(vm.session.detachDevice({ device: 'devices/dev' })),
  ]
}

const HYGIENE: readonly Applies[] = [
  {
    number: 'U1',
    upstream: 'DESTROY of id 0; no pointer; an unknown call',
    expected: 'ENOENT; EFAULT; ENOTTY',
    here: 'a session that is not there; PASID 0; a 2020 call without its bytes; an unknown one',
    outcome: ['SESSION_NOT_FOUND', 'INVALID_ARGUMENT', 'EFAULT', 'ENOTTY'],
    run: unknownThings,
  },
  {
    number: 'U2',
    upstream: 'each structure one too short; one longer with a tail that is not 0; one that is',
    expected: 'EINVAL; E2BIG; as exact',
    here:
      'the 2020 structures: argsz one too small, exact, one longer with a zero, with a one (VFIO ' +
      'never reads beyond what it knows), and argsz right with a byte missing',
    outcome: ['EINVAL, ok, ok, ok, EFAULT'],
    run: structures,
  },
  {
    number: 'U3',
    upstream: 'a call that fails by itself: longer zero tail; not zero; short',
    expected: "the call's own error; E2BIG; EINVAL",
    here: 'a 2020 BIND of a PASID that is not held, the tail never read',
    outcome: ['ENOENT', 'ENOENT', 'EINVAL'],
    run: nestingLengths,
  },
  {
    number: 'U5',
    upstream: 'destroy the IOAS while a device is attached; without it',
    expected: 'EBUSY; ok',
    here: 'let the device go at the backend while something is bound, with memory mapped; without it',
    outcome: ['ok', 'door: REFUSE', 'ok', 'door: ok', 'ok'],
    run: detachInUse,
  },
  {
    number: 'U6',
    upstream: 'HWPT_ALLOC with every flag but NEST_PARENT',
    expected: 'EOPNOTSUPP',
    here: 'the 2020 PASID request with each unknown flag, which was EINVAL then',
    outcome: ['EINVAL', '0 numbers'],
    run: unknownFlags,
  },
  {
    number: 'U7',
    upstream: 'replace A by B by the IOAS; destroy what is attached',
    expected: 'EBUSY while attached, ok afterwards',
    here: 'one entry at a time, each under a domain id of its own, nothing left at the end',
    outcome: [
      ...['ok', 'ok', 'check: nested1', 'ok', 'check: s2', 'entries: 1', 'domain ids: 3'],
      ...['ok', 'check: null'],
    ],
    run: rotate,
  },
  {
    number: 'U8',
    upstream: 'replace by the same again',
    expected: 'ok',
    here: 'twice, and nothing is done to the tables',
    outcome: ['ok', 'ok', 'ok', 'check: nested0', 'operations: 0'],
    run: sameReplace,
  },
  {
    number: 'U9',
    upstream: 'GET_HW_INFO with no room, exact, larger, smaller; no device',
    expected: 'ok four times; ENOENT',
    here: 'the 2020 VFIO_IOMMU_GET_INFO with its capability chain; an unknown device',
    outcome: [
      'EINVAL',
      'fixed part: no chain, no matter',
      'one too short: no chain, told how much',
      'room: a chain, as asked',
      'room: a chain, as asked',
      'DEVICE_NOT_FOUND',
    ],
    run: info,
  },
  {
    number: 'U13',
    upstream: 'closing the descriptor',
    expected: 'everything is freed',
    here: 'CloseSession with two devices, a shared one among them, and warm caches',
    outcome: [
      ...['ok', 'ok', 'ok', 'bound: 0', 'contexts: 0', 'numbers held: 0', 'cached: 0'],
      'memory: 0',
    ],
    run: closeAll,
  },
]

export const LIFECYCLE: Chapter = {
  title: 'U: hygiene and lifecycle',
  about: 'From the `cmd_*` and `simple_close` tests of iommufd, and what it says of its objects.',
  cases: HYGIENE,
}

export const DEVICE: Chapter = {
  title: 'X: the VFIO device',
  about:
    'From `vfio_iommufd_setup_test.c`: what a device node says before, while and after it is bound.',
  cases: [
    {
      number: 'X1',
      upstream:
        'use before bind; bind with a bad descriptor; bind; bind again; attach, detach; unknown pt',
      expected: 'fails; fails; ok; fails; ok, ok; fails',
      here:
        'bind before attach; attach what is not there; attach; again; by another VM; bind, unbind; ' +
        'detach; again',
      outcome: [
        ...['DEVICE_NOT_ATTACHED', 'DEVICE_NOT_FOUND', 'ok', 'DEVICE_ALREADY_ATTACHED'],
        ...['DEVICE_IN_USE', 'ok', 'ok', 'ok', 'DEVICE_NOT_ATTACHED'],
      ],
      run: vfioDevice,
    },
  ],
}
