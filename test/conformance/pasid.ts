/** P: attaching PASIDs (iommufd_device_pasid.pasid_attach, pasid_set_dirty_tracking, fail_nth). */

import type { Applies, Case, Chapter } from './table.js'
import { failEveryNth } from './fail-nth.js'
import { pageRequestCase } from './page-requests.js'
import { doorSaid, said, type World } from './world.js'

const NO_POOR_TABLE =
  'every table that it attaches is one that PASIDs may be on (`IOMMU_HWPT_ALLOC_PASID`)'
const NO_VIOMMU = 'the broker has no vIOMMU objects, and Intel has none'
const NO_DIRTY = 'dirty tracking is asked of the parent table, and it has none to ask'

async function neverAttached(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const { backend } = world.daemon
  const door = await doorSaid(backend.unbind(vm.place(100)))
  return [door, await vm.unbind(100), vm.check(100)]
}

async function beside(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  return [await vm.bind('rid', 's2'), await vm.bind(100, 'nested0'), vm.check(100)]
}

async function detach(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  return [await vm.bind(100, 'nested0'), await vm.unbind(100), vm.check(100)]
}

async function withoutPasids(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['plain'])
  const done = [await vm.bind('rid', 'nested0', ['plain']), vm.check('rid', 'plain')]
  return [...done, await vm.replace('rid', 's2', ['plain']), vm.check('rid', 'plain')]
}

async function pasidWithoutPasids(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['plain'], [100])
  const done = [await vm.bind(100, 's2', ['plain']), await vm.bind(100, 'nested0', ['plain'])]
  return [...done, vm.check(100, 'plain')]
}

async function refusedTable(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const firstStage = { address: 4096, addressWidth: 57 }
  return [await vm.bind(100, 'nested0', ['dev'], { firstStage }), vm.check(100)]
}

async function noTable(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const request = { pasid: 100, devices: ['devices/dev'], domain: 1 }
  return [await said(vm.session.bindPasid(request)), vm.check(100)]
}

async function parent(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  return [await vm.bind(100, 's2'), vm.check(100)]
}

async function again(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  return [await vm.bind(100, 's2'), await vm.bind(100, 'nested0'), vm.check(100)]
}

async function detachAgain(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  return [await vm.bind(100, 's2'), await vm.unbind(100), vm.check(100), await vm.unbind(100)]
}

async function sameAgain(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [100])
  const done = [await vm.bind(100, 'nested0'), vm.check(100), await vm.bind(100, 'nested0')]
  return [...done, vm.check(100)]
}

async function replaceNothing(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [200])
  return [await vm.replace(200, 's2'), vm.check(200)]
}

async function replaceRefused(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [200])
  const firstStage = { address: 4096, addressWidth: 57 }
  const done = [await vm.bind(200, 's2')]
  done.push(await vm.bind(200, 'nested0', ['dev'], { firstStage, replace: true }))
  return [...done, vm.check(200)]
}

async function replaceTwice(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [200])
  const done = [await vm.bind(200, 's2')]
  for (const table of ['nested0', 'nested1'] as const) {
    done.push(await vm.replace(200, table), vm.check(200))
  }
  return done
}

async function replaceFails(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [1024])
  const done = [await vm.bind(1024, 's2')]
  world.daemon.backend.injectFault('dev', { kind: 'RETRY', times: 1, at: 'SET_UP' })
  return [...done, await vm.replace(1024, 'nested0'), vm.check(1024)]
}

async function faultCapableGone(world: World): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], [2048])
  const done = [await vm.bind(2048, 'nested0')]
  const control = await vm.session.control({ receivePageRequests: true })
  done.push(await vm.replace(2048, 's2'), vm.check(2048), await vm.unbind(2048))
  await control.close()
  return [...done, await said(vm.session.closeSession())]
}

async function widths(world: World): Promise<readonly string[]> {
  const session = await world.client.openSession()
  const out: string[] = []
  for (const name of ['plain', 'dev']) {
    const { device } = await session.attachDevice({ device: `devices/${name}` })
    out.push(`${name}: ${device?.pasidBits}, max_pasid_log2 ${device?.hwInfo?.maxPasidLog2}`)
  }
  await session.closeSession()
  return out
}

const ATTACH: readonly Applies[] = [
  {
    number: 'P1',
    upstream: 'detach PASID 100, which was never attached',
    expected: 'success, no effect',
    here: 'at the backend, and as UnbindPasids, which says that there was nothing',
    outcome: ['door: ok', 'NOT_BOUND', 'check: null'],
    run: neverAttached,
  },
  {
    number: 'P3',
    upstream: 'RID on s2, PASID 100 to nested0',
    expected: 'ok',
    here: 'the same',
    outcome: ['ok', 'ok', 'check: nested0'],
    run: beside,
  },
  {
    number: 'P5',
    upstream: 'detach 100',
    expected: 'null',
    here: 'the same',
    outcome: ['ok', 'ok', 'check: null'],
    run: detach,
  },
  {
    number: 'P6',
    upstream: 'a device without PASIDs: RID to nested0, and back',
    expected: 'ok, ok',
    here: 'the same, back to pass-through',
    outcome: ['ok', 'check: nested0', 'ok', 'check: s2'],
    run: withoutPasids,
  },
  {
    number: 'P7',
    upstream: 'a device without PASIDs: PASID 100 to the parent, to s2',
    expected: 'EINVAL, EINVAL',
    here: 'to either table',
    outcome: ['PASID_BEYOND_DEVICE_WIDTH', 'PASID_BEYOND_DEVICE_WIDTH', 'check: null'],
    run: pasidWithoutPasids,
  },
  {
    number: 'P8',
    upstream: 'PASID 100 to an HWPT that PASIDs may not be on',
    expected: 'EINVAL; null',
    here: 'to a table that the device does not take (5 levels)',
    outcome: ['TABLE_UNSUPPORTED', 'check: null'],
    run: refusedTable,
  },
  {
    number: 'P9',
    upstream: 'PASID 100 to an IOAS',
    expected: 'EINVAL; null',
    here: 'to no table at all',
    outcome: ['INVALID_ARGUMENT', 'check: null'],
    run: noTable,
  },
  {
    number: 'P10',
    upstream: 'PASID 100 to s2',
    expected: 'ok',
    here: 'the same',
    outcome: ['ok', 'check: s2'],
    run: parent,
  },
  {
    number: 'P11',
    upstream: 'attach 100 again, to nested0',
    expected: 'EBUSY; the old one remains',
    here: 'BindPasid without `replace`',
    outcome: ['ok', 'ALREADY_BOUND', 'check: s2'],
    run: again,
  },
  {
    number: 'P12',
    upstream: 'detach',
    expected: 'null',
    here: 'the same, and once more',
    outcome: ['ok', 'ok', 'check: null', 'NOT_BOUND'],
    run: detachAgain,
  },
  {
    number: 'P13',
    upstream: 'PASID 100 to nested0; attach nested0 again',
    expected: 'ok; EBUSY',
    here: 'the same',
    outcome: ['ok', 'check: nested0', 'ALREADY_BOUND', 'check: nested0'],
    run: sameAgain,
  },
]

const REPLACE: readonly Applies[] = [
  {
    number: 'P14',
    upstream: 'replace PASID 200, which is not attached',
    expected: 'EINVAL',
    here: 'the same',
    outcome: ['NOT_BOUND', 'check: null'],
    run: replaceNothing,
  },
  {
    number: 'P15',
    upstream: 'attach 200 to s2; replace with an IOAS',
    expected: 'EINVAL; still s2',
    here: 'replace with a table that the device does not take',
    outcome: ['ok', 'TABLE_UNSUPPORTED', 'check: s2'],
    run: replaceRefused,
  },
  {
    number: 'P16',
    upstream: 'replace 200 by nested0, then by nested1',
    expected: 'ok, ok',
    here: 'the same',
    outcome: ['ok', 'ok', 'check: nested0', 'ok', 'check: nested1'],
    run: replaceTwice,
  },
  {
    number: 'P17',
    upstream: 'PASID 1024 to s2; replace by nested0 while the driver fails',
    expected: 'ENOMEM; still s2',
    here: 'an injected failure after the teardown',
    outcome: ['ok', 'BACKEND_UNAVAILABLE', 'check: s2'],
    run: replaceFails,
  },
  {
    number: 'P18',
    upstream: 'PASID 2048 to a fault-capable nested HWPT; a fault with that PASID',
    expected: 'the event has the PASID; the response is accepted',
    here: 'a page request over Control',
    outcome: ['ok', 'pasid 2048', 'ok', 'the device is told SUCCESS'],
    run: (world) => pageRequestCase(world, 2048),
  },
  {
    number: 'P19',
    upstream: 'replace 2048 by s2; detach; destroy; close the fault queue',
    expected: 'all ok',
    here: 'the same; the fault queue is the Control stream',
    outcome: ['ok', 'ok', 'check: s2', 'ok', 'ok'],
    run: faultCapableGone,
  },
  {
    number: 'P23',
    upstream: 'GET_HW_INFO: max_pasid_log2 without and with PASIDs',
    expected: '0; 20',
    here: 'Device.pasid_bits and Device.hw_info',
    outcome: ['plain: 0, max_pasid_log2 0', 'dev: 20, max_pasid_log2 20'],
    run: widths,
  },
  {
    number: 'P24',
    upstream: 'attach, replace, detach of PASID 200 with the N-th allocation failing',
    expected: 'for every N an error, no leak, no half state',
    here: 'every N-th effect fails, before it and in the middle of a replace, in each way there is',
    outcome: ['every failure was told', 'record, memory and backend agree', 'nothing is left'],
    run: failEveryNth,
  },
]

const CASES: readonly Case[] = [
  ...ATTACH,
  ...REPLACE,
  {
    number: 'P2',
    upstream: 'RID on an HWPT that PASIDs may not be on; attach PASID 100',
    expected: 'EINVAL',
    why: NO_POOR_TABLE,
    inKernel: true,
  },
  {
    number: 'P4',
    upstream: 'with PASID 100 attached, move the RID to such an HWPT',
    expected: 'EINVAL',
    why: NO_POOR_TABLE,
    inKernel: true,
  },
  {
    number: 'P20',
    upstream: 'nested HWPT made from a vIOMMU with ALLOC_PASID',
    expected: 'ok',
    why: NO_VIOMMU,
    inKernel: false,
  },
  {
    number: 'P21',
    upstream: 'dirty tracking on and off with PASID 100 attached',
    expected: 'all ok',
    why: NO_DIRTY,
    inKernel: true,
  },
  {
    number: 'P22',
    upstream: 'the same HWPT on a device without dirty tracking',
    expected: 'EINVAL',
    why: NO_DIRTY,
    inKernel: true,
  },
]

export const PASIDS: Chapter = {
  title: 'P: PASID attachments',
  about:
    'From `iommufd_device_pasid.pasid_attach`, `pasid_set_dirty_tracking` and `fail_nth.device`.',
  cases: [...CASES].sort((a, b) => Number(a.number.slice(1)) - Number(b.number.slice(1))),
}
