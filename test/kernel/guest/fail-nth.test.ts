/**
 * P24: every allocation and every look-up of an object that the kernel makes for the native backend
 * fails once, for each n (the kernel's failslab and fail_iommufd). No leak: ids are given out lowest
 * first, so the next one says whether any object is left over. No half state: what is attached is by
 * the kernel's own check what the backend said.
 */
import { afterEach, beforeAll, expect, test } from 'vitest'
import { failNth, hasFailed, prepareFailures } from '../rig/fail-nth.js'
import { endWorlds, MockWorld, said, TABLES } from '../rig/mock-world.js'

const { nested0, nested1 } = TABLES
const PASID = 200
const NULL = 0
/** More than any sequence has allocations; reached = the sweep has no end. */
const N_MAX = 200

beforeAll(prepareFailures)
afterEach(endWorlds)

/** After the device was let go: the next id that the kernel would give. */
async function nextId(world: MockWorld): Promise<number> {
  await world.backend.detachDevice('mock', world.place(0).session)
  await world.device.unplug()
  return world.vm.user.allocIoas()
}

/** Of a hand-over with nothing bound. */
async function cleanId(): Promise<number> {
  return nextId(await MockWorld.start())
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
async function sequence(n: number, world: MockWorld): Promise<boolean> {
  const { device } = world
  let hwpt = NULL
  const bind = async () => {
    hwpt = await world.bind(PASID, nested0)
  }
  const bound = await failing(n, bind)
  expect(await device.isAttached(PASID, hwpt)).toBe(true)
  if (bound.outcome !== 'ok') await bind()

  let next = hwpt
  const replaced = await failing(n, async () => {
    next = await world.replace(PASID, nested1, nested0)
  })
  if (replaced.outcome === 'STOP') next = NULL
  expect(await device.isAttached(PASID, next)).toBe(true)

  const unbound = await failing(n, () => world.unbind(PASID))
  if (unbound.outcome !== 'ok') await world.unbind(PASID)
  expect(await device.isAttached(PASID, NULL)).toBe(true)
  return bound.failed || replaced.failed || unbound.failed
}

test('bind, replace and unbind: old or new is attached, or nothing, and no object is left', async () => {
  const clean = await cleanId()
  let n = 1
  for (; n < N_MAX; n += 1) {
    const world = await MockWorld.start()
    const failed = await sequence(n, world)
    expect(await nextId(world)).toBe(clean)
    await endWorlds()
    if (!failed) break
  }
  // The first few were there at all.
  expect(n).toBeGreaterThan(5)
  expect(n).toBeLessThan(N_MAX)
})

test('a hand-over: taken whole, or refused with nothing left of it', async () => {
  const clean = await cleanId()
  let n = 1
  for (; n < N_MAX; n += 1) {
    const world = await MockWorld.bare()
    // The bind of a mock device is the test's own.
    world.host.onBound = () => failNth(n)
    const outcome = await said(world.handOver())
    // What was refused has no thread any more that could be asked.
    const failed = hasFailed() || outcome !== 'ok'
    const { session } = world.place(0)
    expect(world.backend.handOvers.holds('mock', session)).toBe(outcome === 'ok')
    if (outcome === 'ok') await world.bind(PASID, nested0)
    await world.backend.handOvers.drop(session, [])
    expect(await nextId(world)).toBe(clean)
    await endWorlds()
    if (!failed) break
  }
  expect(n).toBeGreaterThan(5)
  expect(n).toBeLessThan(N_MAX)
})
