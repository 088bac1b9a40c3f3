/**
 * Descriptors that an earlier life left and that make no holding: because the configuration gives
 * their names to other devices now, or because some of them are lost. What is remembered to be
 * attached is detached, whoever keeps the device bound; all is closed; others are taken up.
 */

import { describe, expect, test } from 'vitest'
import type { HostDevice } from '../../src/backend/vfio/ports.js'
import { createVfioBackend } from '../../src/backend/vfio/vfio.js'
import { RID, sessionId } from '../../src/core/ids.js'
import { E } from '../support/vfio-fake-books.js'
import { leftIn } from '../support/vfio-leaks.js'
import { DEADLINE_MS, THREADS, VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, settled, TABLES, VM } from '../support/vfio-story.js'

const OTHER_VM = sessionId(2)
const [ONE, TWO] = TABLES
const THEIRS = { ...requestFor('first', 5, ONE), session: OTHER_VM }

/** VM has pri and other, with a place of each and pri's RID; OTHER_VM has first. */
async function bound(): Promise<VfioRig> {
  const rig = new VfioRig({ devices: DEVICES })
  await rig.attach('pri', VM)
  await rig.attach('other', VM, { moveRid: true })
  await rig.attach('first', OTHER_VM)
  await rig.backend.bind(requestFor('pri', 5, ONE))
  await rig.backend.bind(requestFor('pri', 0, TWO))
  await rig.backend.bind(requestFor('other', 6, ONE))
  await rig.backend.bind(THEIRS)
  expect(rig.bound()).toHaveLength(5)
  return rig
}

/** The daemon is killed, and started with other devices. */
async function startedWith(rig: VfioRig, devices: readonly HostDevice[]): Promise<void> {
  const { kernel, keeper, clock } = rig
  const options = { kernel, keeper, clock, deadlineMs: DEADLINE_MS, threadsPerSession: THREADS }
  rig.backend = createVfioBackend({ ...options, devices })
  for (let turn = 0; turn < 10; turn += 1) await settled()
}

function devicesOf(rig: VfioRig, renamed: Readonly<Record<string, string>>): HostDevice[] {
  return DEVICES.map((device) => {
    return { ...rig.host(device), name: renamed[device.name] ?? device.name }
  })
}

/**
 * Of the first session nothing is in our hands, and of our own doing its RID at rest is left. Why,
 * is said of each device: `why`, by name.
 */
async function expectLetGo(rig: VfioRig, why: Readonly<Record<string, RegExp>>): Promise<void> {
  const { handOvers } = rig.backend
  const told = Object.entries(why).map(([device, text]) => {
    return { device, session: VM, why: expect.stringMatching(text) }
  })
  expect(handOvers.turnedAway).toEqual(told)
  const resting = { device: 'other', target: RID, table: { kind: 'PASS_THROUGH' } }
  expect(rig.bound()).toMatchObject([resting, { device: 'first', target: 5 }])
  expect(handOvers.kept()).toEqual([{ device: 'first', session: OTHER_VM }])
  for (const device of ['pri', 'other']) {
    expect(await rig.backend.attachDevice(device, VM).catch(() => undefined)).toBeUndefined()
    expect(handOvers.holds(device, VM)).toBe(false)
  }
  expect([...rig.keeper.files.keys()].filter((name) => !name.startsWith('vfio.2.'))).toEqual([])
  expect(await rig.backend.attachDevice('first', OTHER_VM)).toBeDefined()
  await rig.backend.bind(THEIRS)
  expect(await handOvers.drop(OTHER_VM, [])).toEqual([])
  expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0, timers: 0 })
  await rig.close()
}

const GONE = { pri: /no device pri in the conf/, other: /no device other in the conf/ }

describe('what was kept is let go of, and nothing of it stays attached,', () => {
  test('when addresses were swapped in the configuration', async () => {
    const rig = await bound()
    rig.kernel.kill()
    await startedWith(rig, devicesOf(rig, { pri: 'other', other: 'pri' }))
    await expectLetGo(rig, { pri: /pri is another device now/, other: /other is another/ })
  })

  test('when devices were taken out of the configuration', async () => {
    const rig = await bound()
    rig.kernel.kill()
    await startedWith(rig, devicesOf(rig, { pri: 'pri-old', other: 'other-old' }))
    await expectLetGo(rig, GONE)
  })

  test('when some of the descriptors were lost', async () => {
    const rig = await bound()
    rig.kernel.kill()
    for (const name of ['pri', 'other']) rig.keeper.drop(`vfio.1.${name}.iommufd`)
    await startedWith(rig, devicesOf(rig, {}))
    await expectLetGo(rig, { pri: /vfio.1.pri.iommufd was not kept/, other: /other.iommufd was/ })
  })

  test('when the kernel refuses some of it', async () => {
    const rig = await bound()
    rig.kernel.kill()
    let refused = 0
    rig.kernel.interfere = (call) => {
      if (call !== 'ioctl 0x3b78') return undefined
      refused += 1
      return { code: -E.EIO, after: true }
    }
    await startedWith(rig, devicesOf(rig, { pri: 'pri-old', other: 'other-old' }))
    expect(refused).toBe(3)
    rig.kernel.interfere = undefined
    await expectLetGo(rig, GONE)
  })
})

test('descriptors without the record that they belong to are let go, each device said once', async () => {
  const rig = await bound()
  rig.kernel.kill()
  rig.keeper.drop('vfio.1.pri.memory')
  rig.keeper.drop('vfio.2.first.memory')
  rig.keeper.drop('vfio.2.first.cdev')
  await startedWith(rig, devicesOf(rig, {}))
  const why = expect.stringContaining('no record of what was attached')
  expect(rig.backend.handOvers.turnedAway).toEqual([
    { device: 'pri', session: VM, why },
    { device: 'first', session: OTHER_VM, why },
  ])
  expect(rig.backend.handOvers.kept()).toEqual([{ device: 'other', session: VM }])
  for (const session of [VM, OTHER_VM]) await rig.backend.handOvers.drop(session, [])
  expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0, timers: 0 })
  await rig.close()
})

test('without a thread to detach on it is closed all the same', async () => {
  const rig = await bound()
  rig.kernel.kill()
  let refused = false
  rig.kernel.interfere = (call) => {
    if (call !== 'thread' || refused) return undefined
    refused = true
    return { code: -E.EAGAIN }
  }
  await startedWith(rig, devicesOf(rig, { pri: 'pri-old' }))
  expect(refused).toBe(true)
  await rig.backend.handOvers.drop(VM, [])
  await rig.backend.handOvers.drop(OTHER_VM, [])
  expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0, timers: 0 })
  // What the VMM keeps bound, it closes.
  expect(rig.bound()).toMatchObject([{ device: 'pri' }, { device: 'pri' }])
  rig.vm(VM).die()
  expect(rig.bound()).toEqual([])
  await rig.close()
})
