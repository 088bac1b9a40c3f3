/** A: cases that upstream has no test for. */

import { target } from '../../src/core/ids.js'
import type { Applies, Chapter } from './table.js'
import { FREE, PASID_REQUEST, pasidRequest, ALLOC } from './vfio.js'
import { doorSaid, said, vtdS1, type World } from './world.js'

const PAGES_BEYOND = 1n << 52n

async function pasidZero(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'])
  const out = [
    await said(vm.session.allocatePasids({ exact: { pasids: [0] } })),
    await vm.bind(0, 'nested0'),
    vm.check('rid'),
    await vm.bind('rid', 's2'),
    await vm.unbind(0),
  ]
  return [...out, vm.check('rid')]
}

async function atTheWidth(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['narrow'], [1023, 1024])
  const out: string[] = []
  for (const pasid of [1023, 1024]) {
    out.push(await vm.bind(pasid, 'nested0', ['narrow']), vm.check(pasid, 'narrow'))
  }
  const request = { ...vm.place(1024, 'narrow'), domain: 1 as never, table: TABLE }
  return [...out, await doorSaid(world.daemon.backend.bind(request))]
}
const TABLE = { kind: 'PASS_THROUGH' } as const

async function beyondAnInt(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'])
  const container = await world.container(['mdev'])
  return [
    await vm.bind(2 ** 31, 'nested0'),
    await vm.bind(2 ** 20, 'nested0'),
    await said(vm.session.allocatePasids({ exact: { pasids: [2 ** 31] } })),
    await container.ioctl(PASID_REQUEST, pasidRequest(ALLOC, 1, 2 ** 31)),
    await container.ioctl(PASID_REQUEST, pasidRequest(ALLOC, 2 ** 20, 2 ** 31 - 1)),
  ]
}

async function shortDetach(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['mdev'], [100])
  const out = [await vm.bind(100, 'nested0', ['mdev'])]
  const nothing = { target: { devices: ['devices/mdev'] } }
  out.push(await said(vm.session.unbindPasids(nothing)), vm.check(100, 'mdev'))
  const container = await world.container(['dev'])
  const short = pasidRequest(FREE, 100, 100, 8)
  return [...out, await container.ioctl(PASID_REQUEST, short)]
}

async function attachOnAttached(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const out = [await vm.bind(100, 's2'), await vm.bind(100, 'nested0'), vm.check(100)]
  return [...out, await vm.replace(100, 'nested0'), vm.check(100)]
}

async function closeWithMany(world: World): Promise<readonly string[]> {
  const pasids = Array.from({ length: 64 }, (_, i) => 100 + i)
  const vm = await world.vm(['dev'], pasids)
  const told = new Set<string>()
  for (const pasid of pasids) told.add(await vm.bind(pasid, 'nested0'))
  const out = [...told, await said(vm.session.closeSession())]
  const { entries, context } = world.daemon.backend.dumpTables('dev', { first: 0, count: 1 })
  return [...out, `entries: ${entries.length}`, context === undefined ? 'context: none' : 'there']
}

async function badRanges(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const out = [await vm.bind(100, 'nested0')]
  vm.warm(100)
  const last = (1n << 64n) - 4096n
  for (const entry of [vtdS1(0n, 0n), vtdS1(last, 2n), vtdS1(0x1000n, PAGES_BEYOND)]) {
    out.push(await vm.hwptInvalidate(100, [entry]))
  }
  out.push(vm.cleared(100), await vm.hwptInvalidate(100, [vtdS1(last, 1n)]), vm.cleared(100))
  const addresses = { pasid: 100, device: '', address: '0', pages: '0', leaf: false }
  const caches = ['INVALIDATION_CACHE_IOTLB'] as const
  out.push(await said(vm.session.invalidate([{ addresses, caches: [...caches] }])))
  return out
}

async function detachWithFault(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const out = [await vm.bind(100, 'nested0')]
  let token: Uint8Array = Buffer.alloc(0)
  let heard = (): void => undefined
  const event = new Promise<void>((resolve) => (heard = resolve))
  const control = await vm.session.control({
    receivePageRequests: true,
    onEvent: (one) => {
      if (one.kind !== 'pageRequest') return
      token = one.event.token
      heard()
    },
  })
  const rights = { read: true, write: false, execute: false, privileged: false }
  const request = { device: 'dev', target: target(100), group: 7, last: true, address: 0x5000n }
  const raised = world.daemon.backend.raisePageRequest({ ...request, ...rights })
  if (raised.state !== 'DELIVERED') throw new Error(`the page request is ${raised.state}`)
  await event
  out.push(await vm.unbind(100), `the device is told ${await raised.answered}`)
  const late = control.send('respondPageRequest', { token, code: 'PAGE_RESPONSE_CODE_SUCCESS' })
  out.push(await said(late))
  await control.close()
  return out
}

async function sharedInGroup(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['one', 'two'], [100])
  const checks = () => ['one', 'two'].map((name) => vm.check(100, name))
  const out = [await vm.bind(100, 'nested0', ['one']), ...checks()]
  out.push(await vm.bind(100, 'nested1', ['two']), await vm.replace(100, 'nested1', ['two']))
  out.push(await vm.bind(100, 'nested0', ['two']), await vm.replace(100, 'nested1', ['two']))
  out.push(...checks(), await vm.unbind(100, 'one'), ...checks())
  out.push(await vm.unbind(100, 'two'), ...checks())
  const other = await world.client.openSession()
  out.push(await said(other.attachDevice({ device: 'devices/two' })))
  await other.closeSession()
  return out
}

const ADDED: readonly Omit<Applies, 'expected'>[] = [
  {
    number: 'A1',
    upstream: 'PASID 0',
    here: 'never granted, no target of a bind or unbind; the RID is its own (hazard A)',
    outcome: [
      ...['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'check: null', 'ok', 'INVALID_ARGUMENT'],
      'check: s2',
    ],
    run: pasidZero,
  },
  {
    number: 'A2',
    upstream: 'PASID max_pasids - 1, and max_pasids',
    here: '1023 and 1024 on a device of 10 bits; the second at the backend as well',
    outcome: [
      ...['ok', 'check: nested0', 'PASID_BEYOND_DEVICE_WIDTH', 'check: null'],
      'door: REFUSE',
    ],
    run: atTheWidth,
  },
  {
    number: 'A3',
    upstream: 'PASID 2^31 and above',
    here: 'bind (and of 2^20), allocate, and the 2020 request whose answer is an int',
    outcome: [...Array<string>(3).fill('INVALID_ARGUMENT'), 'EINVAL', 'ENOSPC'],
    run: beyondAnInt,
  },
  {
    number: 'A4',
    upstream: 'DETACH with argsz 8 and the PASID flag',
    here: 'an unbind that names no target; the 2020 request with argsz 8',
    outcome: ['ok', 'INVALID_ARGUMENT', 'check: nested0', 'EINVAL'],
    run: shortDetach,
  },
  {
    number: 'A5',
    upstream: 'attach on attached through VFIO, which is a replace',
    here: 'refused without the flag, done with it',
    outcome: ['ok', 'ALREADY_BOUND', 'check: s2', 'ok', 'check: nested0'],
    run: attachOnAttached,
  },
  {
    number: 'A6',
    upstream: 'close the device with N PASIDs attached',
    here: 'CloseSession with 64',
    outcome: ['ok', 'ok', 'entries: 0', 'context: none'],
    run: closeWithMany,
  },
  {
    number: 'A7',
    upstream: 'invalidate with npages 0, and beyond the end of the addresses',
    here: 'refused, nothing is cleared; the last page there is, is fine. Invalidate itself the same',
    outcome: [
      ...['ok', 'EINVAL, 0 done', 'EINVAL, 0 done', 'EINVAL, 0 done', 'cleared: none'],
      ...['ok, 1 done', 'cleared: none', 'INVALID_ARGUMENT'],
    ],
    run: badRanges,
  },
  {
    number: 'A8',
    upstream: 'detach while a fault waits for its answer',
    here: 'answered INVALID; the late answer finds nothing',
    outcome: ['ok', 'ok', 'the device is told INVALID', 'PAGE_REQUEST_NOT_FOUND'],
    run: detachWithFault,
  },
  {
    number: 'A9',
    upstream: 'two devices of one group share a PASID',
    here:
      'one attachment writes both tables; another table is refused; a replace needs an attachment ' +
      'of its own and takes both along; gone with the last; no device of the group to another VM',
    outcome: [
      ...['ok', 'check: nested0', 'check: nested0', 'GROUP_TABLE_MISMATCH', 'NOT_BOUND'],
      ...['ok', 'ok', 'check: nested1', 'check: nested1'],
      ...['ok', 'check: nested1', 'check: nested1', 'ok', 'check: null', 'check: null'],
      'DEVICE_IN_USE',
    ],
    run: sharedInGroup,
  },
]

export const ADDED_CASES: Chapter = {
  title: 'A: cases upstream has no test for',
  about: 'What `drivers/vfio/` and `drivers/iommu/iommufd/` leave open or get wrong.',
  cases: ADDED.map((one) => ({ ...one, expected: '' })),
}
