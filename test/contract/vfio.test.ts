/** The native backend passes the backend's contract over the fake kernel. */

import { present } from '../../src/core/assert.js'
import type { FirstStageTable, Table } from '../../src/core/binding.js'
import { target } from '../../src/core/ids.js'
import { E } from '../support/vfio-fake-books.js'
import { raiseFault } from '../support/vfio-fake-faults.js'
import { VfioRig } from '../support/vfio-rig.js'
import { backendContract } from './backend.js'

function firstStage(address: number, more: Partial<FirstStageTable> = {}): Table {
  const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
  return { kind: 'FIRST_STAGE', address, width: 48, ...flags, ...more }
}

backendContract('native', () => {
  const rig = new VfioRig({
    devices: [
      { name: 'exclusive', maxPasidLog2: 16, pri: true },
      { name: 'first', maxPasidLog2: 16, group: 'g' },
      { name: 'second', maxPasidLog2: 16, group: 'g' },
      { name: 'plain', maxPasidLog2: 0, group: 'g' },
    ],
  })
  return Promise.resolve({
    backend: rig.backend,
    exclusive: 'exclusive',
    shared: undefined,
    group: { first: 'first', second: 'second', withoutPasids: 'plain' },
    tables: [
      firstStage(0),
      firstStage(0xf_ffff_ffff_f000, { supervisor: true, writeProtect: true }),
      firstStage(0x8000_0000, { width: 57, extendedAccessed: true }),
      firstStage(0x8000_0000),
      { kind: 'PASS_THROUGH' },
    ],
    targets: [1, 63, 64, 8192, 65_535].map(target),
    refused: firstStage(0x1000, { writeProtect: true }),
    breakReplace: (device, kind) => {
      rig.kernel.device(device).setUpErrors.push(kind === 'RETRY' ? E.EBUSY : E.EOPNOTSUPP)
    },
    raise: ({ device, target: at }, group) => {
      raiseFault(present(rig.kernel.devices.get(device), device), at, group)
    },
    reset: undefined,
    handOver: (device, session) => {
      // A VMM that was told to let go of a device closes it.
      for (const vm of rig.vms.values()) vm.closeCdev(device)
      const isThere = rig.kernel.devices.has(device)
      return rig.vm(session).handOver(isThere ? device : 'exclusive')
    },
    bound: () => rig.bound(),
  })
})
