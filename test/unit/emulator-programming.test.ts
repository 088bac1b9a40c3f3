/**
 * What no bind through the door makes: the teardown of an entry whose first stage stands alone, as
 * a host driver makes them for itself (the order is that of every entry, with the IOTLB by PASID),
 * and of numbers that a device has no entry for.
 */

import { expect, test } from 'vitest'
import { AddressSpaces } from '../../src/backend/emulator/address-space.js'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import { createEmulator } from '../../src/backend/emulator/emulator.js'
import { Devices } from '../../src/backend/emulator/devices.js'
import { DomainIds } from '../../src/backend/emulator/domain-ids.js'
import { HostMemory } from '../../src/backend/emulator/memory.js'
import { OperationLog } from '../../src/backend/emulator/operation-log.js'
import { encodeEntry, setPresent, type PasidEntry } from '../../src/backend/emulator/pasid-entry.js'
import { entryOffset } from '../../src/backend/emulator/pasid-table.js'
import { Programming } from '../../src/backend/emulator/programming.js'
import { UNIT_DEFAULTS } from '../../src/backend/emulator/unit-options.js'
import { IommuUnit } from '../../src/backend/emulator/unit.js'
import { domainId, RID, sessionId, target } from '../../src/core/ids.js'
import { teardownOf } from '../support/teardown-order.js'

const FIRST_STAGE: PasidEntry = {
  type: 'FIRST_STAGE',
  domain: 5,
  faultsDisabled: false,
  pageWalkSnoop: true,
  pageSnoop: false,
  secondStage: undefined,
  firstStage: {
    pointer: 0x5000,
    levels: 4,
    supervisor: false,
    writeProtect: false,
    extendedAccessed: false,
  },
}

test.each([RID, target(9)])('a first stage alone at %i is invalidated by PASID', (at) => {
  const memory = new HostMemory()
  const log = new OperationLog(64)
  const unit = new IommuUnit({ memory, root: memory.allocate(1) }, UNIT_DEFAULTS, log)
  const devices = new Devices(unit, memory, new AddressSpaces(memory))
  const programming = new Programming(unit, new DomainIds(), () => undefined)
  const device = devices.add({ ...DEVICE_DEFAULTS, name: 'dev' })
  devices.attach(device, sessionId(1))
  const page = device.table?.ensurePage(at)
  if (page === undefined) throw new Error('an attached device has a table')
  encodeEntry(page, entryOffset(at), FIRST_STAGE)
  setPresent(page, entryOffset(at))
  log.on = true
  programming.tearDown(device, at)
  const entry = { device: 'dev', target: at, domain: 5, firstStageOnly: true }
  expect(log.list()).toEqual(teardownOf(entry))
  expect(programming.isPresent(device, at)).toBe(false)
})

test('a number beyond the table of its device names nothing, whatever lies in memory there', async () => {
  const emulator = createEmulator({ devices: [{ ...DEVICE_DEFAULTS, name: 'dev', pasidBits: 8 }] })
  const session = sessionId(1)
  const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
  const table = { kind: 'FIRST_STAGE', address: 0x1000, width: 48, ...flags } as const
  await emulator.attachDevice('dev', session)
  await emulator.bind({ device: 'dev', target: target(5), session, table, domain: domainId(1) })
  const before = await emulator.observe()
  // Bound when the device was wider: the daemon takes it down whatever the device is now.
  for (let beyond = 8192; beyond < 2 ** 20; beyond += 64) {
    await emulator.unbind({ device: 'dev', target: target(beyond), session })
  }
  expect(await emulator.observe()).toEqual(before)
})
