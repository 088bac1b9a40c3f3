/**
 * A VMM, the daemon as it is built, and the kernel's Intel driver: a session from its first call to
 * its last. What is bound is read back from the tables that the driver has written.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Table } from '../../../src/core/binding.js'
import type { Daemon } from '../rig/scenario-daemon.js'
import { openersOf } from '../rig/scenario-daemon.js'
import { commonOf, EmulatedTwin, writtenFor, type Bound } from '../rig/scenario-entries.js'
import { outcome, type Vmm } from '../rig/scenario-vmm.js'
import { eventually, SLOW_MS, theWorld } from '../rig/scenario-world.js'
import { firstStage, PASS_THROUGH } from '../rig/tables.js'

vi.setConfig({ testTimeout: SLOW_MS, hookTimeout: SLOW_MS })

const RID = 0
/** The first, the last, and both sides of the pages that the table consists of. */
const PASIDS = [1, 2, 63, 64, 65, 511, 512, 700, 1022, 1023]
const DEVICE = 'devices/alone'

let daemon: Daemon
let vmm: Vmm
let address: string

beforeAll(async () => {
  const world = await theWorld()
  daemon = world.daemon
  vmm = world.vmm
  address = daemon.devices.alone.address
})

let cdev = -1

async function open(): Promise<void> {
  await vmm.openSession()
  cdev = await vmm.open(daemon.devices.alone.cdev)
}

/** Closes it all, and nothing of it is left: not in the daemon, and not in the tables. */
async function close(): Promise<void> {
  await vmm.call('closeSession')
  await vmm.close(cdev)
  expect(openersOf('/dev/iommu')).toEqual([vmm.pid])
  expect(openersOf(daemon.devices.alone.cdev)).toEqual([])
  expect([...writtenFor(address, PASIDS).keys()]).toEqual([])
}

/** While the device is bound; else the RID is the host's. */
const written = () => writtenFor(address, [RID, ...PASIDS])

function tableOf(table: Table) {
  if (table.kind === 'PASS_THROUGH') return { passThrough: {} }
  const { address: at, width, supervisor, writeProtect } = table
  return {
    firstStage: { address: String(at), addressWidth: width, supervisor, writeProtect },
  }
}

const targetOf = ({ pasid }: Bound) => (pasid === RID ? { rid: true } : { pasid })

/** Answers the HWPT. */
async function bind(bound: Bound, replace = false): Promise<number> {
  const { domain, table } = bound
  const request = { ...targetOf(bound), ...tableOf(table), devices: [DEVICE], domain, replace }
  const { devices } = await vmm.call('bindPasid', request)
  expect(devices).toMatchObject([{ device: DEVICE }])
  return devices[0]!.hwptId
}

/** Its id is none of an HWPT that there is. */
const isGone = async (hwptId: number) => {
  const asked = { hwptId, dataType: 0, entryLen: 24, entryNum: 0 }
  return (await outcome(vmm.ioctl(vmm.iommufd, 'HWPT_INVALIDATE', asked))) === 'ENOENT'
}

describe('tables of the guest', () => {
  const shared = firstStage(0x8000_0000)
  const BOUND: readonly Bound[] = [
    { pasid: RID, table: firstStage(0x1000), domain: 1 },
    ...PASIDS.map((pasid, at): Bound => {
      const flags = { supervisor: at % 3 === 1, writeProtect: at % 3 === 1 }
      return { pasid, table: firstStage(0x10_0000 * (at + 1), flags), domain: at + 2 }
    }),
  ]
  const twin = new EmulatedTwin()
  const hwpts = new Map<number, number>()

  beforeAll(async () => {
    await twin.attach()
    await open()
  })
  afterAll(close)

  test('a device is handed over, and the kernel says what it can do', async () => {
    const { device, native } = await vmm.handOver('alone', cdev)
    expect(device).toMatchObject({ pasidBits: 10, addressWidths: [48], pageRequests: false })
    expect(native).toMatchObject({ ridState: 'RID_STATE_NOT_ATTACHED' })
    expect(native?.devId).toBeGreaterThan(0)
    expect(native?.parentHwptId).toBeGreaterThan(0)
  })

  test('are bound on PASIDs to the last, and on the RID, with the entries of the emulator', async () => {
    await vmm.allocate('alone', PASIDS)
    for (const each of BOUND) {
      hwpts.set(each.pasid, await bind(each))
      await twin.bind(each)
    }
    expect(new Set(hwpts.values()).size).toBe(BOUND.length)
    expect(commonOf(written())).toEqual(commonOf(twin.entries()))
    expect(written().size).toBe(BOUND.length)
  })

  test('are invalidated, by the broker or by the VMM itself', async () => {
    const entries = [
      { domain: { domain: 3 }, caches: ['INVALIDATION_CACHE_IOTLB'] },
      { pasid: { pasid: 700 }, caches: ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_PASID'] },
      {
        addresses: { rid: true, address: '4096', pages: '7', leaf: true },
        caches: ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_DEVICE_TLB'],
      },
    ] as const
    const request = entries.map((entry) => ({ ...entry, caches: [...entry.caches] }))
    expect(await vmm.call('invalidate', request)).toMatchObject({ done: 3, lost: [] })
    expect(await isGone(hwpts.get(700)!)).toBe(false)
  })

  test('take the place of others, two the same one, and the parent of one', async () => {
    const changes: readonly Bound[] = [
      { pasid: 1, table: shared, domain: 2 },
      { pasid: 1023, table: shared, domain: 9 },
      { pasid: 64, table: PASS_THROUGH, domain: 64 },
      { pasid: RID, table: firstStage(0x2000), domain: 1 },
    ]
    const made: number[] = []
    for (const each of changes) {
      const old = BOUND.find(({ pasid }) => pasid === each.pasid)!
      made.push(await bind(each, true))
      await twin.replace(each, old)
      expect(await isGone(hwpts.get(each.pasid)!)).toBe(true)
    }
    expect(made[0]).toBe(made[1])
    expect(commonOf(written())).toEqual(commonOf(twin.entries()))
  })

  test('are unbound, one and all, and their numbers given back', async () => {
    const one = { target: { pasid: 63 } }
    expect(await vmm.call('unbindPasids', one)).toMatchObject({ unbound: 1 })
    await twin.unbind(63)
    expect(written().has(63)).toBe(false)
    expect(commonOf(written())).toEqual(commonOf(twin.entries()))
    const all = { device: DEVICE }
    expect(await vmm.call('unbindPasids', all)).toMatchObject({ unbound: BOUND.length - 1 })
    expect([...written().keys()]).toEqual([])
    for (const hwpt of hwpts.values()) expect(await isGone(hwpt)).toBe(true)
    const what = { scope: 'SCOPE_DEVICE', device: DEVICE, pasids: { pasids: PASIDS } } as const
    expect(await vmm.call('freePasids', what)).toMatchObject({ freed: PASIDS.length })
    expect(await vmm.call('detachDevice', { device: DEVICE })).toMatchObject({ durable: true })
    expect(openersOf('/dev/iommu')).toEqual([vmm.pid])
  })
})

describe('DMA', () => {
  beforeAll(open)
  afterAll(close)

  test('goes through the parent where the RID is passed through, and nowhere when it is not', async () => {
    await vmm.handOver('alone', cdev)
    expect(await vmm.dma(cdev)).toBe(false)
    await bind({ pasid: RID, table: PASS_THROUGH, domain: 0 })
    expect(await vmm.dma(cdev)).toBe(true)
    await vmm.call('unbindPasids', { target: { rid: true } })
    expect(await vmm.dma(cdev)).toBe(false)
    await bind({ pasid: RID, table: PASS_THROUGH, domain: 0 })
    expect(await vmm.dma(cdev)).toBe(true)
    await vmm.call('detachDevice', { device: DEVICE })
    expect(await vmm.dma(cdev)).toBe(false)
  })

  test('goes through the parent from the hand-over on, with move_rid', async () => {
    await vmm.close(cdev)
    cdev = await vmm.open(daemon.devices.alone.cdev)
    const { native } = await vmm.handOver('alone', cdev, { moveRid: true })
    expect(native).toMatchObject({ ridState: 'RID_STATE_ON_PARENT' })
    expect(await vmm.dma(cdev)).toBe(true)
    await vmm.call('detachDevice', { device: DEVICE })
    expect(await vmm.dma(cdev)).toBe(false)
    await eventually(() => openersOf(daemon.devices.alone.cdev)).toEqual([vmm.pid])
  })
})
