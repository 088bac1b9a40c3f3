/**
 * P24: every allocation and every look-up of an object that the kernel makes for the native backend
 * fails once, for each n (the kernel's failslab and fail_iommufd). No leak: ids are given out
 * lowest first, so the next one says whether any object is left over. No half state: what stands is
 * what the backend said, by the mock devices' own check, and by the Intel driver's tables.
 */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Table } from '../../../src/core/binding.js'
import { failNth, hasFailed, prepareFailures } from '../rig/fail-nth.js'
import { endIntelWorlds, IntelWorld, SESSION } from '../rig/intel-world.js'
import { endWorlds, MockWorld, said, TABLES } from '../rig/mock-world.js'

const { nested0, nested1 } = TABLES
const PASID = 200
/** More than any sequence has steps; reached = the sweep has no end. */
const N_MAX = 200

/** A device in the backend's hands, and what is to be seen of it. */
interface Ground {
  readonly world: Pick<MockWorld, 'bind' | 'replace' | 'unbind'>
  /** Whether exactly that stands; `hwpt` 0 and no table: nothing. */
  readonly stands: (hwpt: number, table: Table | undefined) => Promise<boolean>
  /** Lets the device go; answers the next id that the kernel gives. */
  readonly nextId: () => Promise<number>
}

async function mockNextId({ backend, device, vm }: MockWorld): Promise<number> {
  await backend.detachDevice('mock', SESSION)
  await device.unplug()
  return vm.user.allocIoas()
}

async function mockGround(): Promise<Ground> {
  const world = await MockWorld.start()
  return {
    world,
    stands: (hwpt) => world.device.isAttached(PASID, hwpt),
    nextId: () => mockNextId(world),
  }
}

async function intelGround(): Promise<Ground> {
  const world = await IntelWorld.start()
  return {
    world,
    stands: (_hwpt, table) => {
      expect(world.entry(PASID)).toEqual(table)
      return Promise.resolve(true)
    },
    nextId: async () => {
      await world.backend.detachDevice('alone', SESSION)
      return world.vm.user.allocIoas()
    },
  }
}

async function endAll(): Promise<void> {
  await endWorlds()
  await endIntelWorlds()
}

beforeAll(prepareFailures)
afterEach(endAll)

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

describe.each([
  ['mock devices', mockGround],
  ['the Intel driver', intelGround],
] as const)('with %s', (_name, start) => {
  test('bind, replace and unbind: old or new stands, or nothing, and no object is left', async () => {
    const { nextId } = await start()
    const clean = await nextId()
    let n = 1
    for (; n < N_MAX; n += 1) {
      const ground = await start()
      const failed = await sequence(n, ground)
      expect(await ground.nextId()).toBe(clean)
      await endAll()
      if (!failed) break
    }
    // The first few were there at all.
    expect(n).toBeGreaterThan(5)
    expect(n).toBeLessThan(N_MAX)
  })
})

test('a hand-over: taken whole, or refused with nothing left of it', async () => {
  const clean = await mockNextId(await MockWorld.start())
  let n = 1
  for (; n < N_MAX; n += 1) {
    const world = await MockWorld.bare()
    // The bind of a mock device is the test's own.
    world.host.onBound = () => failNth(n)
    const outcome = await said(world.handOver())
    // What was refused has no thread any more that could be asked.
    const failed = hasFailed() || outcome !== 'ok'
    expect(world.backend.handOvers.holds('mock', SESSION)).toBe(outcome === 'ok')
    if (outcome === 'ok') await world.bind(PASID, nested0)
    await world.backend.handOvers.drop(SESSION, [])
    expect(await mockNextId(world)).toBe(clean)
    await endAll()
    if (!failed) break
  }
  expect(n).toBeGreaterThan(5)
  expect(n).toBeLessThan(N_MAX)
})
