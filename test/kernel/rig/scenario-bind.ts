/**
 * A session from its first call to its last: bindings by the daemon are in the driver's tables as
 * the emulator has them in its own, and DMA goes where they say, or faults.
 */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Table } from '../../../src/core/binding.js'
import { KernelLog } from './kernel-log.js'
import { openersOf } from './scenario-daemon.js'
import { commonOf, EmulatedTwin, writtenFor, type Bound } from './scenario-entries.js'
import { DMA_PLACE, IOVA, outcome, VMM_GROUP } from './scenario-vmm.js'
import { eventually, type World } from './scenario-world.js'
import { firstStage, PASS_THROUGH } from './tables.js'

const execute = promisify(execFile)
const EXAMPLE = path.resolve(import.meta.dirname, '../../../examples/hand-over.mjs')
const RID = 0
/** The first, the last, and both sides of the pages that the table consists of. */
const PASIDS = [1, 2, 63, 64, 65, 511, 512, 700, 1022, 1023]
const DEVICE = 'devices/alone'
/** Among them there are others with the flags that only supervisors' requests know. */
const BOUND: readonly Bound[] = [
  { pasid: RID, table: firstStage(0x1000), domain: 1 },
  ...PASIDS.map((pasid, at): Bound => {
    const flags = { supervisor: at % 3 === 1, writeProtect: at % 3 === 1 }
    return { pasid, table: firstStage(0x10_0000 * (at + 1), flags), domain: at + 2 }
  }),
]

function tableOf(table: Table) {
  if (table.kind === 'PASS_THROUGH') return { passThrough: {} }
  const { address, width, supervisor, writeProtect } = table
  const flags = { supervisor, writeProtect }
  return { firstStage: { address: String(address), addressWidth: width, ...flags } }
}

/** The VMM's session, with the one device. */
class Run {
  cdev = -1
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get vmm() {
    return this.#world.vmm
  }

  get device() {
    return this.#world.daemon.devices.alone
  }

  async begin(): Promise<void> {
    await this.vmm.openSession()
    this.cdev = await this.vmm.open(this.device.cdev)
  }

  /** Nothing is left: neither in the daemon nor in the tables. */
  async end(): Promise<void> {
    await this.vmm.close(this.cdev)
    await this.vmm.call('closeSession')
    expect(openersOf('/dev/iommu')).toEqual([this.vmm.pid])
    expect(openersOf(this.device.cdev)).toEqual([])
    expect([...writtenFor(this.device.address, PASIDS).keys()]).toEqual([])
  }

  async reopen(): Promise<void> {
    await this.vmm.close(this.cdev)
    this.cdev = await this.vmm.open(this.device.cdev)
  }

  /** While the device is bound; else the RID is the host's. */
  written() {
    return writtenFor(this.device.address, [RID, ...PASIDS])
  }

  /**
   * DMA does not arrive, and the IOMMU says where it ended, of both its halves. Not of each attempt:
   * the kernel passes over faults when there are many.
   */
  async dmaFaults(): Promise<void> {
    const { source, target } = DMA_PLACE
    const halves = { Read: IOVA + source, Write: IOVA + target }
    const all = Object.entries(halves).map(([half, at]) => `${half} 0x${at.toString(16)}`)
    const log = new KernelLog()
    try {
      await eventually(async () => {
        if (await this.vmm.dma(this.cdev)) throw new Error('the DMA has arrived')
        return log.dmaFaults(this.device.address)
      }).toEqual(all)
    } finally {
      log.close()
    }
  }

  /** Answers the HWPT. */
  async bind({ pasid, domain, table }: Bound, replace = false): Promise<number> {
    const target = pasid === RID ? { rid: true } : { pasid }
    const request = { ...target, ...tableOf(table), devices: [DEVICE], domain, replace }
    const { devices } = await this.vmm.call('bindPasid', request)
    expect(devices).toMatchObject([{ device: DEVICE }])
    return devices[0]!.hwptId
  }

  /** By the VMM's own iommufd: the id is none of an HWPT. */
  async isGone(hwptId: number): Promise<boolean> {
    const asked = { hwptId, dataType: 0, entryLen: 24, entryNum: 0 }
    const found = await outcome(this.vmm.ioctl(this.vmm.iommufd, 'HWPT_INVALIDATE', asked))
    return found === 'ENOENT'
  }
}

function tableScenarios(run: Run): void {
  const twin = new EmulatedTwin()
  const hwpts = new Map<number, number>()

  test('its device is handed over, and the kernel says what it can do', async () => {
    await twin.attach()
    const { device, native } = await run.vmm.handOver('alone', run.cdev)
    expect(device).toMatchObject({ pasidBits: 10, addressWidths: [48], pageRequests: false })
    expect(native).toMatchObject({ ridState: 'RID_STATE_NOT_ATTACHED' })
    expect(native!.devId).toBeGreaterThan(0)
    expect(native!.parentHwptId).toBeGreaterThan(0)
  })

  test('tables are bound on PASIDs to the last, and on the RID: the emulator’s entries', async () => {
    await run.vmm.allocate('alone', PASIDS)
    for (const each of BOUND) {
      hwpts.set(each.pasid, await run.bind(each))
      await twin.bind(each)
    }
    expect(new Set(hwpts.values()).size).toBe(BOUND.length)
    expect(run.written().size).toBe(BOUND.length)
    expect(commonOf(run.written())).toEqual(commonOf(twin.entries()))
  })

  test('they are invalidated, by the broker or by the VMM itself', async () => {
    const invalidated = await run.vmm.call('invalidate', [
      { domain: { domain: 3 }, caches: ['INVALIDATION_CACHE_IOTLB'] },
      { pasid: { pasid: 700 }, caches: ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_PASID'] },
      {
        addresses: { rid: true, address: '4096', pages: '7', leaf: true },
        caches: ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_DEVICE_TLB'],
      },
    ])
    expect(invalidated).toMatchObject({ done: 3, lost: [] })
    expect(await run.isGone(hwpts.get(700)!)).toBe(false)
  })

  test('others take their places: one for two, and the parent', async () => {
    const shared = firstStage(0x8000_0000)
    const changes: readonly Bound[] = [
      { pasid: 1, table: shared, domain: 2 },
      { pasid: 1023, table: shared, domain: 9 },
      { pasid: 64, table: PASS_THROUGH, domain: 64 },
      { pasid: RID, table: firstStage(0x2000), domain: 1 },
    ]
    const made: number[] = []
    for (const each of changes) {
      made.push(await run.bind(each, true))
      await twin.replace(each, BOUND.find(({ pasid }) => pasid === each.pasid)!)
      expect(await run.isGone(hwpts.get(each.pasid)!)).toBe(true)
    }
    expect(made[0]).toBe(made[1])
    expect(commonOf(run.written())).toEqual(commonOf(twin.entries()))
  })

  test('they are unbound, one and all, and the numbers given back', async () => {
    const one = await run.vmm.call('unbindPasids', { target: { pasid: 63 } })
    expect(one).toMatchObject({ unbound: 1 })
    await twin.unbind(63)
    expect(run.written().has(63)).toBe(false)
    expect(commonOf(run.written())).toEqual(commonOf(twin.entries()))
    const rest = await run.vmm.call('unbindPasids', { device: DEVICE })
    expect(rest).toMatchObject({ unbound: BOUND.length - 1 })
    expect([...run.written().keys()]).toEqual([])
    for (const hwpt of hwpts.values()) expect(await run.isGone(hwpt)).toBe(true)
    const pasids = { pasids: PASIDS }
    const what = { scope: 'SCOPE_DEVICE', device: DEVICE, pasids } as const
    expect(await run.vmm.call('freePasids', what)).toMatchObject({ freed: PASIDS.length })
    const detached = await run.vmm.call('detachDevice', { device: DEVICE })
    expect(detached).toMatchObject({ unbound: 0, durable: true })
    await eventually(() => openersOf(run.device.cdev)).toEqual([run.vmm.pid])
  })
}

function dmaScenarios(run: Run): void {
  const through: Bound = { pasid: RID, table: PASS_THROUGH, domain: 0 }

  test('it goes through the parent while the RID is passed through, else it faults', async () => {
    await run.vmm.handOver('alone', run.cdev)
    await run.bind(through)
    expect(await run.vmm.dma(run.cdev)).toBe(true)
    await run.vmm.call('unbindPasids', { target: { rid: true } })
    await run.dmaFaults()
    await run.bind(through)
    expect(await run.vmm.dma(run.cdev)).toBe(true)
    await run.vmm.call('detachDevice', { device: DEVICE })
    // Its faults need not be told: the kernel tells of few in five seconds.
    expect(await run.vmm.dma(run.cdev)).toBe(false)
  })

  test('it goes through the parent from the hand-over on, with move_rid', async () => {
    await run.reopen()
    const { native } = await run.vmm.handOver('alone', run.cdev, { moveRid: true })
    expect(native).toMatchObject({ ridState: 'RID_STATE_ON_PARENT' })
    expect(await run.vmm.dma(run.cdev)).toBe(true)
    await run.vmm.call('detachDevice', { device: DEVICE })
    await run.dmaFaults()
  })
}

/** Needs nothing of the world but its daemon. */
export function exampleScenario({ daemon }: World): void {
  test('examples/hand-over.mjs goes through to its end', async () => {
    const { cdev } = daemon.devices.alone
    const args = [EXAMPLE, DEVICE, cdev, daemon.vmmSocket, daemon.fdSocket]
    const { stdout } = await execute(process.execPath, args, { gid: VMM_GROUP })
    expect(stdout).toMatch(/^PASID 5 bound: HWPT \d+ /m)
    expect(stdout).toMatch(/^1 invalidation done\ndetached, and closed\n$/m)
    expect(openersOf(cdev)).toEqual([])
    await eventually(() => daemon.pasids('alone')).toEqual([])
  })
}

export function bindScenarios(world: World): void {
  describe('and its tables', () => {
    const run = new Run(world)
    beforeAll(() => run.begin())
    afterAll(() => run.end())
    tableScenarios(run)
  })
  describe('and its DMA', () => {
    const run = new Run(world)
    beforeAll(() => run.begin())
    afterAll(() => run.end())
    dmaScenarios(run)
  })
}
