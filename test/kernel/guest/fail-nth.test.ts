/**
 * P24: every allocation and every look-up of an object that the kernel makes for the native backend
 * fails once, for each n (the kernel's failslab and fail_iommufd). No leak: in the end the VMM
 * destroys whatever its iommufd has, and there is as much as without a failure. No half state: what
 * stands is what the backend said, by the mock devices' own check, and by the Intel driver's
 * tables.
 */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RaisedGroup } from '../../../src/backend/backend.js'
import type { Table } from '../../../src/core/binding.js'
import { target } from '../../../src/core/ids.js'
import { endThreads, failNth, hasFailed, lastingKernel, prepareFailures } from '../rig/fail-nth.js'
import { endIntelWorlds, IntelWorld, SESSION } from '../rig/intel-world.js'
import { endWorlds, MockWorld, said, TABLES } from '../rig/mock-world.js'
import { iotlbOf, IOTLB_CELLS } from '../rig/mock.js'
import { ProcessKeeper } from '../rig/process-keeper.js'
import type { TestVm } from '../rig/vm.js'

const { nested0, nested1 } = TABLES
const PASID = 200
const OTHER = 201
/** Granted, and attached to nothing. */
const UNUSED = 202
const GRANTED = [PASID, OTHER, UNUSED].map(target)
/** A page request group. */
const GROUP = 7
const RID = 0
/** Above every id that a world makes. */
const LAST_ID = 40
/** What is in the way of each other: a table, the parent it stands on, and the fault queue. */
const UNDESTROYED = 3
/** More than any sequence has steps; reached = the sweep has no end. */
const N_MAX = 200

/** A device in the backend's hands, and what is to be seen of it. */
interface Ground {
  readonly world: Pick<MockWorld, 'backend' | 'bind' | 'replace' | 'unbind' | 'place' | 'host'>
  readonly device: string
  /** Whether exactly that stands; `hwpt` 0 and no table: nothing. */
  readonly stands: (hwpt: number, table: Table | undefined, pasid?: number) => Promise<boolean>
  /** Lets the device go; answers how many objects are left in the VMM's iommufd. */
  readonly left: () => Promise<number>
}

/** Destroys them: nothing has a hold on any of them. */
async function objectsOf({ user, ioas }: TestVm): Promise<number> {
  const ends: string[] = []
  // Tables before what they stand on.
  for (let id = LAST_ID; id >= ioas; id -= 1) ends.push(await said(user.destroy(id)))
  const found = ends.filter((end) => end !== 'ENOENT')
  expect(found).toEqual(found.map(() => 'ok'))
  return found.length
}

async function leftOfMock({ backend, device, vm }: MockWorld): Promise<number> {
  await backend.detachDevice('mock', SESSION)
  await device.unplug()
  return objectsOf(vm)
}

function ofMock(world: MockWorld): Ground {
  return {
    world,
    device: 'mock',
    stands: (hwpt, _table, pasid = PASID) => world.device.isAttached(pasid, hwpt),
    left: () => leftOfMock(world),
  }
}

async function mockGround(): Promise<Ground> {
  const world = await MockWorld.bare({}, lastingKernel)
  await world.handOver()
  return ofMock(world)
}

function ofIntel(world: IntelWorld): Ground {
  return {
    world,
    device: 'alone',
    stands: (_hwpt, table, pasid = PASID) => {
      expect(world.entry(pasid)).toEqual(table)
      return Promise.resolve(true)
    },
    left: async () => {
      await world.backend.detachDevice('alone', SESSION)
      return objectsOf(world.vm)
    },
  }
}

async function intelGround(): Promise<Ground> {
  const world = await IntelWorld.bare({ kernel: lastingKernel })
  await world.handOver()
  return ofIntel(world)
}

/**
 * As much as `clean`. A look-up that is made to fail says of a table that it is not there: it is
 * then taken for one that the VMM has destroyed, whose id may be another's, and is not destroyed.
 */
async function expectLeft({ left, world }: Ground, clean: number): Promise<void> {
  const count = await left()
  if (world.host.refusals.includes('ENOENT')) expect(count).toBeGreaterThan(clean)
  else expect(count).toBe(clean)
}

async function endAll(): Promise<void> {
  await endWorlds()
  await endIntelWorlds()
  endThreads()
}

beforeAll(prepareFailures)
afterEach(endAll)

/**
 * Of every n until nothing fails any more, in a world of its own. At least so many do fail; 0: the
 * kernel may have no step there that can, and what is shown is that all goes well without one.
 */
async function sweep(least: number, once: (n: number) => Promise<boolean>): Promise<void> {
  let n = 1
  while (n < N_MAX && (await once(n))) {
    await endAll()
    n += 1
  }
  // The first few were there at all.
  if (least > 0) expect(n).toBeGreaterThan(least)
  expect(n).toBeLessThan(N_MAX)
}

/** What the backend says of a call in which the n-th step of the kernel fails. */
async function failing(n: number, call: () => Promise<unknown>) {
  failNth(n)
  const outcome = await said(call())
  const failed = hasFailed()
  // Not every step that fails makes the call fail; a call with none that fails does not.
  if (!failed) expect(outcome).toBe('ok')
  return { outcome, failed }
}

/** Answers whether anything failed. */
async function sequence(n: number, { world, stands }: Ground): Promise<boolean> {
  let hwpt = 0
  const bind = async () => {
    hwpt = await world.bind(PASID, nested0)
  }
  const bound = await failing(n, bind)
  expect(await stands(hwpt, hwpt === 0 ? undefined : nested0)).toBe(true)
  if (bound.outcome !== 'ok') await bind()

  let now = { hwpt, table: nested0 as Table | undefined }
  const replaced = await failing(n, async () => {
    now = { hwpt: await world.replace(PASID, nested1, nested0), table: nested1 }
  })
  if (replaced.outcome === 'STOP') now = { hwpt: 0, table: undefined }
  expect(await stands(now.hwpt, now.table)).toBe(true)

  const unbound = await failing(n, () => world.unbind(PASID))
  if (unbound.outcome !== 'ok') await world.unbind(PASID)
  expect(await stands(0, undefined)).toBe(true)
  return bound.failed || replaced.failed || unbound.failed
}

/** One request, and several at once, of which each has its own answer. */
async function invalidations(n: number, { world, stands }: Ground): Promise<boolean> {
  const hwpt = await world.bind(PASID, nested0)
  const caches = ['IOTLB', 'DEVICE_TLB'] as const
  const invalidate = (page: number) => {
    const range = { address: BigInt(page) << 12n, pages: 1n, leaf: false }
    return world.backend.invalidate({ ...world.place(PASID), caches, range })
  }
  const one = await failing(n, () => invalidate(0))
  expect(['ok', 'RETRY', 'REFUSE']).toContain(one.outcome)
  // Together they fail, and then each by itself does not.
  const some = await failing(n, () => Promise.all([1, 2].map(invalidate)))
  expect(some.outcome).toBe('ok')
  expect(await stands(hwpt, nested0)).toBe(true)
  if (world instanceof MockWorld) {
    const whole = [one.outcome === 'ok', true, true, false]
    expect(await clearedCells(world, hwpt)).toEqual(whole)
  }
  await invalidate(0)
  return one.failed || some.failed
}

/** Whether each cell of the table's mock IOTLB was invalidated; else it is as it was. */
async function clearedCells({ device }: MockWorld, hwpt: number): Promise<readonly boolean[]> {
  const cells: boolean[] = []
  for (let cell = 0; cell < IOTLB_CELLS; cell += 1) {
    const isAsItWas = await device.isCached(hwpt, cell, iotlbOf(nested0))
    expect(await device.isCached(hwpt, cell, isAsItWas ? iotlbOf(nested0) : 0)).toBe(true)
    cells.push(!isAsItWas)
  }
  return cells
}

/** What ends is detached, and known not to be where a detach failed. */
async function drop(n: number, ground: Ground, clean: number): Promise<boolean> {
  const { world, stands, device } = ground
  await world.bind(PASID, nested0)
  await world.bind(OTHER, nested1)
  await world.bind(RID, nested1)
  let uncertain: readonly string[] = []
  const dropped = await failing(n, async () => {
    uncertain = await world.backend.handOvers.drop(SESSION, GRANTED)
  })
  expect(dropped.outcome).toBe('ok')
  expect(world.backend.handOvers.holds(device, SESSION)).toBe(false)
  if (!dropped.failed) expect(uncertain).toEqual([])
  if (uncertain.length > 0) {
    expect(uncertain).toEqual([device])
    // What may be attached still, and what it stands on, the VMM ends: nothing of ours holds it.
    // Every number is detached once more, attached or not: where only that fails, nothing is left.
    const more = (await ground.left()) - clean
    expect(n === 1 ? [UNDESTROYED] : [0, UNDESTROYED]).toContain(more)
    return dropped.failed
  }
  for (const pasid of [PASID, OTHER]) expect(await stands(0, undefined, pasid)).toBe(true)
  await expectLeft(ground, clean)
  return dropped.failed
}

/** What is to be kept stands throughout, and the rest is gone when it says so. */
async function settling(n: number, { world, stands, device }: Ground): Promise<boolean> {
  const { handOvers } = world.backend
  const settle = () => handOvers.settle(device, SESSION, { granted: GRANTED, keep })
  const keep = [target(PASID)]
  const hwpt = await world.bind(PASID, nested0)
  await world.bind(OTHER, nested1)
  return settled(n, { world, stands }, { settle, hwpt })
}

async function settled(
  n: number,
  { world, stands }: Pick<Ground, 'world' | 'stands'>,
  { settle, hwpt }: { readonly settle: () => Promise<void>; readonly hwpt: number },
): Promise<boolean> {
  const first = await failing(n, settle)
  expect(await stands(hwpt, nested0)).toBe(true)
  if (first.outcome !== 'ok') await settle()
  expect(await stands(0, undefined, OTHER)).toBe(true)
  let again = 0
  const bind = async () => {
    again = await world.bind(PASID, nested0)
  }
  const bound = await failing(n, bind)
  expect(await stands(again, again === 0 ? undefined : nested0)).toBe(true)
  if (bound.outcome !== 'ok') await bind()
  expect(await stands(again, nested0)).toBe(true)
  await world.unbind(PASID)
  return first.failed || bound.failed
}

/**
 * A detach by VFIO has no step that can fail: it allocates nothing and looks no object up by its id
 * (drivers/iommu/iommufd/device.c iommufd_device_detach), and a destroy takes its object away without
 * the look-up that can be made to fail. So on the Intel driver drop and settle have none; a mock
 * device is detached by the test's ioctl, which looks it up.
 */
const GROUNDS = [
  ['mock devices', { start: mockGround, ofDrop: 5, ofSettle: 2 }],
  ['the Intel driver', { start: intelGround, ofDrop: 0, ofSettle: 0 }],
] as const

describe.each(GROUNDS)('with %s', (_name, { start, ofDrop, ofSettle }) => {
  async function cleanCount(): Promise<number> {
    const { left } = await start()
    const count = await left()
    await endAll()
    return count
  }

  test('bind, replace and unbind: old or new stands, or nothing, and no object is left', async () => {
    const clean = await cleanCount()
    await sweep(5, async (n) => {
      const ground = await start()
      const failed = await sequence(n, ground)
      await expectLeft(ground, clean)
      return failed
    })
  })

  test('invalidate: done where it is said, the table stands, and no object is left', async () => {
    const clean = await cleanCount()
    await sweep(1, async (n) => {
      const ground = await start()
      const failed = await invalidations(n, ground)
      await ground.world.unbind(PASID)
      await expectLeft(ground, clean)
      return failed
    })
  })

  test('drop: nothing stands, or it is said, and no object is left that is held', async () => {
    const clean = await cleanCount()
    await sweep(ofDrop, async (n) => drop(n, await start(), clean))
  })

  test('settle: what is kept stands, the rest goes, and no object is left', async () => {
    const clean = await cleanCount()
    await sweep(ofSettle, async (n) => {
      const ground = await start()
      const failed = await settling(n, ground)
      await expectLeft(ground, clean)
      return failed
    })
  })
})

test('recovery from what was kept: as settle, and the id of the table is still known', async () => {
  const clean = await (await intelGround()).left()
  await endAll()
  await sweep(1, async (n) => {
    const keeper = new ProcessKeeper()
    const world = await IntelWorld.bare({ kernel: lastingKernel, keeper })
    await world.handOver()
    const hwpt = await world.bind(PASID, nested0)
    await world.bind(OTHER, nested1)
    await world.restart()
    const { backend } = world
    await backend.attachDevice('alone', SESSION)
    expect(backend.handOvers.holds('alone', SESSION)).toBe(true)
    // Its thread is there from the first call on.
    await world.unbind(UNUSED)
    const targets = { granted: GRANTED, keep: [target(PASID)] }
    const settle = () => backend.handOvers.settle('alone', SESSION, targets)
    const ground = ofIntel(world)
    const failed = await settled(n, ground, { settle, hwpt })
    await expectLeft(ground, clean)
    expect(keeper.size).toBe(0)
    return failed
  })
})

test('a page request: told and answered once, whichever step of either fails', async () => {
  const clean = await (await mockGround()).left()
  await endAll()
  await sweep(1, async (n) => {
    const world = await MockWorld.bare({}, lastingKernel)
    await world.handOver()
    const told: RaisedGroup[] = []
    const ignored = () => undefined
    world.backend.listen({
      pageRequest: (group) => told.push(group),
      pageRequestGone: ignored,
      fault: ignored,
      reset: ignored,
    })
    await world.bind(PASID, nested0)
    failNth(n)
    await world.device.raise(PASID, GROUP)
    await expect.poll(() => told).toMatchObject([{ target: PASID, group: GROUP }])
    const readFailed = hasFailed()
    const answer = { ...world.place(PASID), group: GROUP, code: 'SUCCESS' } as const
    const respond = () => world.backend.respond(answer)
    const answered = await failing(n, respond)
    if (answered.outcome !== 'ok') await respond()
    expect(await said(respond())).toBe('REFUSE')
    expect(told).toHaveLength(1)
    await world.unbind(PASID)
    await expectLeft(ofMock(world), clean)
    return readFailed || answered.failed
  })
})

test('a hand-over: taken whole, or refused with nothing left of it', async () => {
  const clean = await leftOfMock(await MockWorld.start())
  await endAll()
  await sweep(5, async (n) => {
    const world = await MockWorld.bare({}, lastingKernel)
    // The bind of a mock device is the test's own.
    world.host.onBound = () => failNth(n)
    const outcome = await said(world.handOver())
    const failed = hasFailed()
    if (!failed) expect(outcome).toBe('ok')
    expect(world.backend.handOvers.holds('mock', SESSION)).toBe(outcome === 'ok')
    if (outcome === 'ok') await world.bind(PASID, nested0)
    await world.backend.handOvers.drop(SESSION, [])
    expect(await leftOfMock(world)).toBe(clean)
    return failed
  })
})
