/** N: nested tables and their invalidation (iommufd_ioas.alloc_hwpt_nested). */

import type { Applies, Case, Chapter } from './table.js'
import { pageRequestCase } from './page-requests.js'
import { bindData, NESTING_OP, nestingOp } from './vfio.js'
import { CELLS, doorSaid, page, said, vtdS1, type Vm, type World } from './world.js'

const ALL_PAGES = (1n << 64n) - 1n
const BY_VALUE = 'a bind carries its table by value; there is no object to allocate or to name'
const NO_FLAGS = 'there is no allocation, and so no flags of one'
const NO_POINTERS = 'the entries are in the message; there is no pointer to be wrong'

async function notADevice(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const bind = (device: string) => {
    const request = { pasid: 100, devices: [device], domain: 1, ...vm.tableOf('nested0') }
    return said(vm.session.bindPasid(request))
  }
  return [await bind(vm.session.name), await bind('devices/nobody'), vm.check(100)]
}

/**
 * BIND of the 2020 series, where a table is a structure with a format: with a change, and without.
 */
async function bindStructure(world: World, change: (data: Buffer) => Buffer): Promise<string[]> {
  const vm = await world.container(['dev'])
  await vm.session.allocatePasids({ exact: { pasids: [100] } })
  const whole = () => bindData({ pasid: 100, table: vm.tables.nested0.root })
  const out: string[] = []
  for (const data of [change(whole()), whole()]) {
    out.push(await vm.ioctl(NESTING_OP, nestingOp('BIND', data)), vm.check(100))
  }
  return out
}

const withWord = (at: number, value: number) => (data: Buffer) => {
  data.writeUInt32LE(value, at)
  return data
}

async function twoNested(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100, 101])
  const out = [await vm.bind(100, 'nested0'), await vm.bind(101, 'nested1')]
  const { entries } = world.daemon.backend.dumpTables('dev', { first: 1, count: 8 })
  const parents = new Set(entries.map(({ entry }) => entry.secondStage?.pointer))
  out.push(`parents: ${parents.size}`)
  for (const pasid of [100, 101]) out.push(vm.cleared(pasid))
  return out
}

async function parentInUse(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const { backend } = world.daemon
  const out = [await vm.bind(100, 'nested0'), await doorSaid(backend.detachDevice('dev', vm.id))]
  return [...out, vm.check(100)]
}

/** A VM with nested0 at PASID 100 and nested1 at 101, all of their cells in the caches. */
async function warm(world: World): Promise<Vm> {
  const vm = await world.vm(['dev'], [100, 101, 102])
  const bound = [await vm.bind(100, 'nested0'), await vm.bind(101, 'nested1')]
  bound.push(await vm.bind(102, 's2'))
  if (bound.some((told) => told !== 'ok')) throw new Error(bound.join(', '))
  for (const pasid of [100, 101]) vm.warm(pasid)
  return vm
}

type Invalidation = Parameters<Vm['hwptInvalidate']>

/** Each call, then what it took out of the caches of nested0. */
function invalidations(...calls: readonly Invalidation[]): Applies['run'] {
  return async (world) => {
    const vm = await warm(world)
    const out: string[] = []
    for (const call of calls) out.push(await vm.hwptInvalidate(...call))
    return [...out, vm.cleared(100)]
  }
}

async function oneByOne(world: World): Promise<readonly string[]> {
  const vm = await warm(world)
  const out: string[] = []
  for (const cells of [[1], [2, 3]]) {
    out.push(await vm.hwptInvalidate(100, cells.map(page)), vm.cleared(100))
  }
  return out
}

async function wholeSecond(world: World): Promise<readonly string[]> {
  const vm = await warm(world)
  const out = [await vm.hwptInvalidate(101, [vtdS1(0n, ALL_PAGES)])]
  return [...out, vm.cleared(101), vm.cleared(100)]
}

async function freeWhileBound(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const out = [await vm.bind(100, 'nested0')]
  out.push(await said(vm.session.freePasids({ pasids: { pasids: [100] } })))
  return [...out, vm.check(100), await vm.unbind(100)]
}

async function ridMoves(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'])
  const out = [await vm.bind('rid', 'nested0')]
  for (const table of ['nested1', 's2', 'nested0'] as const) {
    vm.warm('rid')
    out.push(await vm.replace('rid', table), vm.check('rid'), vm.source('rid', 0))
  }
  return out
}

async function goBack(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'])
  const out = [await vm.bind('rid', 'nested0'), await vm.replace('rid', 's2')]
  out.push(await vm.unbind('rid'), vm.check('rid'))
  out.push(await said(vm.session.detachDevice({ device: 'devices/dev' })))
  out.push(await said(vm.session.closeSession()))
  const { context } = world.daemon.backend.dumpTables('dev', { first: 0, count: 1 })
  return [...out, context === undefined ? 'context: none' : 'context: there']
}

const TABLES: readonly Applies[] = [
  {
    number: 'N1',
    upstream: 'HWPT_ALLOC with an IOAS as dev_id',
    expected: 'ENOENT',
    here: 'a bind on something that is no device, and on a device that is not there',
    outcome: ['INVALID_ARGUMENT', 'DEVICE_NOT_ATTACHED', 'check: null'],
    run: notADevice,
  },
  {
    number: 'N4',
    upstream: 'nested, data type NONE with data',
    expected: 'EINVAL',
    here: 'the 2020 BIND with format 0; then with the right one, as in the next three',
    outcome: ['EINVAL', 'check: null', 'returns 0', 'check: nested0'],
    run: (world) => bindStructure(world, withWord(8, 0)),
  },
  {
    number: 'N5',
    upstream: 'nested, unknown data type',
    expected: 'EOPNOTSUPP',
    here: 'the 2020 BIND with an unknown format, which was EINVAL then',
    outcome: ['EINVAL', 'check: null', 'returns 0', 'check: nested0'],
    run: (world) => bindStructure(world, withWord(8, 99)),
  },
  {
    number: 'N6',
    upstream: 'nested, data_len one too short',
    expected: 'EINVAL',
    here: 'the 2020 BIND with an argsz that ends before the vendor part',
    outcome: ['EINVAL', 'check: null', 'returns 0', 'check: nested0'],
    run: (world) => bindStructure(world, withWord(0, 55)),
  },
  {
    number: 'N8',
    upstream: 'nested, with the flag NEST_PARENT',
    expected: 'EOPNOTSUPP',
    here: 'the 2020 BIND with an unknown flag, which was EINVAL then',
    outcome: ['EINVAL', 'check: null', 'returns 0', 'check: nested0'],
    run: (world) => bindStructure(world, withWord(16, (1 | (1 << 31)) >>> 0)),
  },
  {
    number: 'N10',
    upstream: 'two nested share one parent, nothing cached of either',
    expected: 'ok',
    here: 'two PASIDs with tables of their own; a warm cell would not come from the tables',
    outcome: ['ok', 'ok', 'parents: 1', 'cleared: 0 1 2 3', 'cleared: 0 1 2 3'],
    run: twoNested,
  },
  {
    number: 'N13',
    upstream: 'destroy the parent while a nested one is there',
    expected: 'EBUSY',
    here: 'let the device go at the backend while a table is bound on it',
    outcome: ['ok', 'door: REFUSE', 'check: nested0'],
    run: parentInUse,
  },
]

const INVALIDATE: readonly Applies[] = [
  {
    number: 'N14',
    upstream: 'INVALIDATE on the parent',
    expected: 'EINVAL, 0 done',
    here: 'InvalidateRaw in the form of IOMMU_HWPT_INVALIDATE (VTD_S1), as all of these',
    outcome: ['EINVAL, 0 done', 'cleared: none'],
    run: invalidations([102, [page(0)]]),
  },
  {
    number: 'N15',
    upstream: 'entry_num 0 with the right type',
    expected: 'ok, 0 done',
    here: 'the same',
    outcome: ['ok, 0 done', 'cleared: none'],
    run: invalidations([100, []]),
  },
  {
    number: 'N16',
    upstream: 'wrong data type',
    expected: 'EINVAL, 0 done',
    here: 'the same, with entries and as a probe',
    outcome: ['EINVAL, 0 done', 'EINVAL, 0 done', 'cleared: none'],
    run: invalidations([100, [page(0)], { dataType: 1 }], [100, [], { dataType: 0xdadbeef }]),
  },
  {
    number: 'N17',
    upstream: 'entry_len one too long; entry_len 1',
    expected: 'EINVAL, 0 done (both)',
    here: 'the same, and one too short',
    outcome: ['EINVAL, 0 done', 'EINVAL, 0 done', 'EINVAL, 0 done', 'cleared: none'],
    run: invalidations(
      [100, [Buffer.concat([page(0), Buffer.alloc(1)])], { entryLen: 25, entryNum: 1 }],
      [100, [page(0).subarray(0, 1)], { entryLen: 1 }],
      [100, [page(0).subarray(0, 23)], { entryLen: 23 }],
    ),
  },
  {
    number: 'N18',
    upstream: 'entry with flags 0xffffffff',
    expected: 'EOPNOTSUPP, 0 done',
    here: 'the same; so is a reserved word',
    outcome: ['EOPNOTSUPP, 0 done', 'EOPNOTSUPP, 0 done', 'cleared: none'],
    run: invalidations([100, [vtdS1(0n, 1n, 0xffff_ffff)]], [100, [vtdS1(0n, 1n, 0, 1)]]),
  },
  {
    number: 'N19',
    upstream: 'no pointer, with entries; entry_len 0, with entries',
    expected: 'EINVAL, 0 done (both)',
    here: 'entry_len 0. Entries that are not there are EFAULT, as what a pointer leads to would be',
    outcome: ['EINVAL, 0 done', 'EFAULT, 0 done', 'cleared: none'],
    run: invalidations([100, [], { entryLen: 0, entryNum: 1 }], [100, [], { entryNum: 1 }]),
  },
  {
    number: 'N20',
    upstream: 'a cell out of range',
    expected: 'EINVAL, 0 done',
    here: 'an address that is not page aligned; the whole table from an address other than 0',
    outcome: ['EINVAL, 0 done', 'EINVAL, 0 done', 'cleared: none'],
    run: invalidations([100, [vtdS1(0x800n, 1n)]], [100, [vtdS1(0x1000n, ALL_PAGES)]]),
  },
  {
    number: 'N21',
    upstream: 'a good entry (0), then bad flags (1)',
    expected: 'EOPNOTSUPP, 1 done; cell 0 alone cleared',
    here: 'the same',
    outcome: ['EOPNOTSUPP, 1 done', 'cleared: 0'],
    run: invalidations([100, [page(0), vtdS1(0x1000n, 1n, 0xffff_ffff)]]),
  },
  {
    number: 'N22',
    upstream: 'a good entry (0), then a bad cell',
    expected: 'EINVAL, 1 done; cell 0 alone cleared',
    here: 'the same',
    outcome: ['EINVAL, 1 done', 'cleared: 0'],
    run: invalidations([100, [page(0), vtdS1(0x1800n, 1n), page(2)]]),
  },
  {
    number: 'N23',
    upstream: '[1]; [2, 3]',
    expected: 'ok, 1 done; ok, 2 done; exactly those cleared',
    here: 'the same',
    outcome: ['ok, 1 done', 'cleared: 1', 'ok, 2 done', 'cleared: 2 3'],
    run: oneByOne,
  },
  {
    number: 'N24',
    upstream: 'all of the second table',
    expected: 'ok; all its cells cleared, the other table untouched',
    here: 'addr 0, npages 2^64-1',
    outcome: ['ok, 1 done', 'cleared: 0 1 2 3', 'cleared: none'],
    run: wholeSecond,
  },
]

const LIFE: readonly Applies[] = [
  {
    number: 'N25',
    upstream: 'destroy nested0 while it is attached',
    expected: 'EBUSY',
    here: 'free the number while it is bound: torn down, then freed, as in 2020; never busy',
    outcome: ['ok', 'ok', 'check: null', 'NOT_BOUND'],
    run: freeWhileBound,
  },
  {
    number: 'N26',
    upstream: 'move the RID from nested0 to nested1 to another; destroy each after leaving',
    expected: 'replace ok; destroy ok once left',
    here: 'the same, and nothing cached of the one that was left answers',
    outcome: ['nested1', 's2', 'nested0'].reduce<readonly string[]>(
      (out, table) => [...out, 'ok', `check: ${table}`, 'TABLES'],
      ['ok'],
    ),
    run: ridMoves,
  },
  {
    number: 'N27',
    upstream: 'trigger a fault, read the event, respond',
    expected: 'ok',
    here: 'a page request without PASID over Control',
    outcome: ['ok', 'rid', 'ok', 'the device is told SUCCESS'],
    run: (world) => pageRequestCase(world, 'rid'),
  },
  {
    number: 'N28',
    upstream: 'back to the parent, then the IOAS; destroy bottom-up',
    expected: 'ok',
    here: 'pass-through, unbind, detach, close',
    outcome: ['ok', 'ok', 'ok', 'check: null', 'ok', 'ok', 'context: none'],
    run: goBack,
  },
]

const NOT_HERE: readonly Case[] = [
  {
    number: 'N2',
    upstream: 'pt_id is a device',
    expected: 'EINVAL',
    why: BY_VALUE,
    inKernel: true,
  },
  {
    number: 'N3',
    upstream: 'NEST_PARENT with FAULT_ID_VALID',
    expected: 'EOPNOTSUPP',
    why: NO_FLAGS,
    inKernel: true,
  },
  {
    number: 'N7',
    upstream: 'nested, no pointer',
    expected: 'EFAULT',
    why: NO_POINTERS,
    inKernel: true,
  },
  {
    number: 'N9',
    upstream: 'nested on a parent that is no nesting parent',
    expected: 'EINVAL',
    why: "the parent is the session's own second stage, which is one",
    inKernel: true,
  },
  {
    number: 'N11',
    upstream: 'FAULT_ID_VALID with fault_id 0xffffffff; a valid one',
    expected: 'ENOENT; ok',
    why: 'page requests go to the Control stream that asked for them; none is named',
    inKernel: true,
  },
  {
    number: 'N12',
    upstream: 'nested on nested',
    expected: 'EINVAL',
    why: BY_VALUE,
    inKernel: true,
  },
]

export const NESTING: Chapter = {
  title: 'N: nested tables and invalidation',
  about:
    `From \`iommufd_ioas.alloc_hwpt_nested\`. Cells are pages 0 to ${CELLS - 1} of each table; a cell is ` +
    'cleared when the next access is answered from the tables again.',
  cases: [...TABLES, ...INVALIDATE, ...LIFE, ...NOT_HERE].sort((a, b) => {
    return Number(a.number.slice(1)) - Number(b.number.slice(1))
  }),
}
