/**
 * What a repeated attachment says of the RID, which the VMM moves by itself: as much as the kernel
 * can be made to tell, with nothing left attached by the asking.
 */

import { beforeEach, describe, expect, test } from 'vitest'
import { target } from '../../src/core/ids.js'
import { E } from '../support/vfio-fake-books.js'
import { expectNothingLeft } from '../support/vfio-leaks.js'
import { VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, settled, TABLES, VM } from '../support/vfio-story.js'

const ATTACH = 'ioctl 0x3b77'
const DETACH = 'ioctl 0x3b78'
const NEST = 1
const UNUSED = target(1)
const ON_RID = 0
const [TABLE] = TABLES

let rig = new VfioRig({ devices: DEVICES })
beforeEach(async () => {
  rig = new VfioRig({ devices: DEVICES })
  await rig.attach('other', VM)
})

async function asked(unused: number = UNUSED): Promise<string | undefined> {
  const answer = await rig.backend.attachDevice('other', VM, undefined, target(unused))
  return answer?.rid
}

async function expectEnd(): Promise<void> {
  expect(await rig.backend.handOvers.drop(VM, [])).toEqual([])
  rig.vm(VM).die()
  expectNothingLeft(rig, 'dropped')
}

/** How often the kernel was asked to attach something. */
function attaches(): number {
  return rig.kernel.calls.filter((call) => call === ATTACH).length
}

describe('a RID that the VMM has moved by itself', () => {
  test('stands in the way from then on, until it is moved to what PASIDs fit beside', async () => {
    const device = rig.kernel.device('other')
    const vm = rig.vm(VM)
    expect(await asked()).toBe('NOT_ATTACHED')
    for (const wrong of [vm.ioas, vm.allocParent(NEST)]) {
      expect(device.attach(wrong, ON_RID)).toBe(0)
      expect(await asked()).toBe('INCOMPATIBLE')
      expect(rig.bound().map((place) => place.target)).not.toContain(UNUSED)
      expect(device.attach(vm.allocParent(), ON_RID)).toBe(0)
      expect(await asked()).toBe('COMPATIBLE')
      device.detach(ON_RID)
    }
    expect(await asked()).toBe('COMPATIBLE')
  })

  test('is as it was known where no number is free to ask with', async () => {
    const device = rig.kernel.device('other')
    expect(device.attach(rig.vm(VM).ioas, ON_RID)).toBe(0)
    const before = attaches()
    const repeated = await rig.backend.attachDevice('other', VM)
    expect(repeated?.rid).toBe('NOT_ATTACHED')
    expect(await asked(2 ** 10)).toBe('NOT_ATTACHED')
    expect(attaches()).toBe(before)
  })

  test('is known to be compatible where PASIDs are bound: the kernel is not asked', async () => {
    const device = rig.kernel.device('other')
    expect(device.attach(rig.vm(VM).ioas, ON_RID)).toBe(0)
    expect(await asked()).toBe('INCOMPATIBLE')
    device.detach(ON_RID)
    await rig.backend.bind(requestFor('other', 5, TABLE))
    const before = attaches()
    expect(await asked()).toBe('COMPATIBLE')
    expect(attaches()).toBe(before)
  })

  test('on a table of ours is not asked for', async () => {
    await rig.backend.bind(requestFor('other', 0, TABLE))
    await rig.attach('pri', VM, { moveRid: true })
    const before = attaches()
    expect(await asked()).toBe('COMPATIBLE')
    const resting = await rig.backend.attachDevice('pri', VM, undefined, UNUSED)
    expect(resting?.rid).toBe('ON_PARENT')
    expect(attaches()).toBe(before)
  })
})

describe('the asking', () => {
  test.each(['EBUSY', 'ENOMEM', 'ENODEV', 'ENOENT', 'EOPNOTSUPP'] as const)(
    'that fails with %s says nothing of the RID',
    async (errno) => {
      rig.kernel.interfere = (call) => (call === ATTACH ? { code: -E[errno] } : undefined)
      expect(await asked()).toBe('NOT_ATTACHED')
      rig.kernel.interfere = undefined
      await expectEnd()
    },
  )

  test('that cannot be taken back is a fault, and is taken back later', async () => {
    rig.kernel.interfere = (call) => (call === DETACH ? { code: -E.EIO } : undefined)
    await expect(asked()).rejects.toMatchObject({ kind: 'STOP' })
    rig.kernel.interfere = undefined
    expect(rig.bound()).toMatchObject([{ target: UNUSED }])
    await expectEnd()
  })

  test('that was killed in the middle leaves nothing in the next life', async () => {
    rig.kernel.interfere = (call) => {
      return call === ATTACH ? { back: new Promise<void>(() => undefined) } : undefined
    }
    void asked()
    await settled()
    expect(rig.bound()).toMatchObject([{ target: UNUSED }])
    rig.kill()
    await rig.backend.attachDevice('other', VM)
    await rig.backend.handOvers.settle('other', VM, { granted: [], keep: [] })
    expect(rig.bound()).toEqual([])
    await expectEnd()
  })
})
