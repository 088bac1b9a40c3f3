/**
 * The native backend passes the backend's contract on the kernel's own mock devices, which raise
 * page requests.
 */
import { afterEach } from 'vitest'
import { createVfioBackend } from '../../../src/backend/vfio/vfio.js'
import { target } from '../../../src/core/ids.js'
import { OTHER_VM, VM } from '../../contract/backend-ground.js'
import { backendContract } from '../../contract/backend.js'
import { MockDevice } from '../rig/mock.js'
import { partsForTests, RANDOM_STEPS } from '../rig/parts.js'
import { firstStage, PASS_THROUGH } from '../rig/tables.js'
import { TestVm } from '../rig/vm.js'
import { WatchedHost } from '../rig/watched-host.js'

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

backendContract('native, mock devices', async () => {
  const vms = new Map([
    [VM, await TestVm.start()],
    [OTHER_VM, await TestVm.start()],
  ])
  const device = new MockDevice('mock')
  const host = new WatchedHost(device)
  const backend = createVfioBackend({ ...partsForTests(), devices: [host] })
  cleanups.push(async () => {
    await device.unplug()
    for (const vm of vms.values()) vm.close()
  })
  return {
    backend,
    exclusive: 'mock',
    shared: undefined,
    group: undefined,
    tables: [
      firstStage(0),
      firstStage(0xf_ffff_ffff_f000, { supervisor: true, writeProtect: true }),
      firstStage(0x8000_0000, { width: 57, extendedAccessed: true }),
      firstStage(0x8000_0000),
      PASS_THROUGH,
    ],
    targets: [1, 63, 64, 8192, 65_535].map(target),
    refused: firstStage(0x1000, { writeProtect: true }),
    breakReplace: (_device, kind) => {
      host.plan.errno = kind === 'RETRY' ? 'ENOMEM' : 'EINVAL'
    },
    raise: (place, group) => device.raise(place.target, group),
    reset: undefined,
    randomSteps: RANDOM_STEPS,
    handOver: (_device, session) => vms.get(session)!.handOverMock(device),
  }
})
