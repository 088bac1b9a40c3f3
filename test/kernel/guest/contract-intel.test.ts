/**
 * The native backend passes the backend's contract on VFIO devices behind the kernel's Intel
 * driver. What is bound is looked up where the IOMMU looks it up: in the tables that the driver has
 * written.
 */
import { afterEach } from 'vitest'
import type { ObservedPlace } from '../../../src/backend/backend.js'
import { createHostDevice } from '../../../src/backend/vfio/host-device.js'
import { createVfioBackend } from '../../../src/backend/vfio/vfio.js'
import { RID, target } from '../../../src/core/ids.js'
import { OTHER_VM, VM } from '../../contract/backend-ground.js'
import { backendContract } from '../../contract/backend.js'
import { pasidEntry, tableOf } from '../rig/intel-tables.js'
import { MemorySnapshot } from '../rig/machine-memory.js'
import { partsForTests, RANDOM_STEPS } from '../rig/parts.js'
import { eduDevices, type PciDevice } from '../rig/pci.js'
import { firstStage, PASS_THROUGH } from '../rig/tables.js'
import { TestVm } from '../rig/vm.js'
import { WatchedHost, type FailurePlan } from '../rig/watched-host.js'

/** Numbers of 10 bits: the first and last of pages of the table, and the last of all. */
const TARGETS = [1, 63, 64, 511, 1023].map(target)
/** In a long test every so many looks are enough. */
const LOOKS_WHOLE = 20
const LOOK_EVERY = 10

const cleanups: (() => void)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

backendContract('native, Intel driver', async () => {
  const pci: Readonly<Record<string, PciDevice>> = { ...eduDevices() }
  const ofOne: FailurePlan = {}
  const ofTwo: FailurePlan = {}
  const hosts = Object.entries(pci).map(([name, { address }]) => {
    return new WatchedHost(createHostDevice({ name, address }), name === 'alone' ? ofOne : ofTwo)
  })
  const backend = createVfioBackend({ ...partsForTests(), devices: hosts })
  const vms = new Map([
    [VM, await TestVm.start()],
    [OTHER_VM, await TestVm.start()],
  ])
  cleanups.push(() => {
    for (const vm of vms.values()) vm.close()
  })

  /** An entry is written for all devices of a group, so whose it is only the calls tell. */
  function* places(): Generator<ObservedPlace> {
    const memory = new MemorySnapshot()
    for (const { name: device, plan, attached } of hosts) {
      const session = [...vms.keys()].find((one) => backend.handOvers.holds(device, one))
      if (session === undefined) continue
      const address = pci[device]!.address
      const group = hosts.filter((other) => other.plan === plan)
      for (const at of [RID, ...TARGETS]) {
        const entry = pasidEntry(address, at, memory)
        const isMeant = group.some((other) => other.attached.has(at))
        if ((entry === undefined) === isMeant) throw new Error(`${device} ${at}: ${isMeant}`)
        if (entry === undefined || !attached.has(at)) continue
        yield { device, target: at, session, table: tableOf(entry) }
      }
    }
  }
  let looks = 0
  return {
    backend,
    exclusive: 'alone',
    shared: undefined,
    group: { first: 'first', second: 'second', withoutPasids: undefined },
    tables: [
      firstStage(0),
      firstStage(0xf_ffff_ffff_f000, { supervisor: true, writeProtect: true }),
      firstStage(0x8000_0000, { supervisor: true }),
      firstStage(0x8000_0000),
      PASS_THROUGH,
    ],
    targets: TARGETS,
    refused: firstStage(0x1000, { width: 57 }),
    breakReplace: (device, kind) => {
      const plan = device === 'alone' ? ofOne : ofTwo
      plan.errno = kind === 'RETRY' ? 'ENOMEM' : 'EINVAL'
    },
    raise: undefined,
    reset: undefined,
    randomSteps: RANDOM_STEPS,
    handOver: (device, session) => {
      return vms.get(session)!.handOver((pci[device] ?? pci['alone']!).cdev)
    },
    bound: () => {
      looks += 1
      return looks > LOOKS_WHOLE && looks % LOOK_EVERY !== 0 ? undefined : [...places()]
    },
  }
})
