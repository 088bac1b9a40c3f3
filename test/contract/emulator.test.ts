/** The emulator passes the backend's contract, with and without a gap in its replace. */

import { createEmulator } from '../../src/backend/emulator/emulator.js'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import type { FirstStageTable, Table } from '../../src/core/binding.js'
import { target } from '../../src/core/ids.js'
import { RigClock } from '../support/broker-rig-clock.js'
import { backendContract } from './backend.js'

function firstStage(address: number, more: Partial<FirstStageTable> = {}): Table {
  const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
  return { kind: 'FIRST_STAGE', address, width: 48, ...flags, ...more }
}

for (const hitlessReplace of [false, true]) {
  backendContract(hitlessReplace ? 'emulator, hitless replace' : 'emulator', () => {
    const facts = { ...DEVICE_DEFAULTS, hitlessReplace, pasidBits: 16 }
    const grouped = { shared: false, group: 'g' }
    const clock = new RigClock()
    const backend = createEmulator({
      clock,
      devices: [
        { ...facts, name: 'exclusive', shared: false },
        { ...facts, name: 'shared' },
        { ...facts, ...grouped, name: 'first' },
        { ...facts, ...grouped, name: 'second' },
        { ...facts, ...grouped, name: 'plain', pasidBits: 0 },
      ],
    })
    return Promise.resolve({
      backend,
      exclusive: 'exclusive',
      shared: 'shared',
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
      breakReplace: hitlessReplace
        ? undefined
        : (device, kind) => backend.injectFault(device, { kind, times: 1, at: 'SET_UP' }),
      raise: ({ device, target: at }, group) => {
        const rights = { read: true, write: false, execute: false, privileged: false }
        const page = { device, target: at, group, address: 0x1000n, last: true }
        backend.raisePageRequest({ ...page, ...rights })
      },
      reset: (device) => {
        backend.reset(device, 100)
        return () => clock.pass(100)
      },
    })
  })
}
