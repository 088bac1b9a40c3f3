/**
 * After a restart "nothing else is bound" is made true: of PASIDs every one that was granted or is
 * remembered, of the RID only what the broker put there: a guest's memory goes with the rest.
 */

import { beforeEach, describe, expect, test } from 'vitest'
import { RID, target } from '../../src/core/ids.js'
import { VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, TABLES, VM } from '../support/vfio-story.js'

const [ONE, TWO] = TABLES
const ATTACH = 'ioctl 0x3b77'
const NEVER = new Promise<void>(() => undefined)
const NOTHING = { granted: [], keep: [] }

let rig = new VfioRig({ devices: DEVICES })
beforeEach(() => {
  rig = new VfioRig({ devices: DEVICES })
})

/** The daemon is killed, and takes up what was kept. */
async function restarted() {
  rig.kill()
  expect(await rig.backend.attachDevice('pri', VM)).toBeDefined()
  return rig.backend.handOvers
}

function tableOf(pasid: number) {
  return rig.kernel.device('pri').table.get(pasid)
}

describe('the RID', () => {
  test('stays where the VMM has it, also on what is not for PASIDs, whatever is granted', async () => {
    await rig.attach('pri', VM)
    const device = rig.kernel.device('pri')
    expect(device.attach(rig.vm(VM).ioas, RID)).toBe(0)
    const its = tableOf(RID)
    const handOvers = await restarted()
    await handOvers.settle('pri', VM, { granted: [RID, target(5)], keep: [] })
    expect(its).toBeDefined()
    expect(tableOf(RID)).toBe(its)
  })

  test('stays at rest on the parent', async () => {
    const attached = await rig.attach('pri', VM, { moveRid: true })
    const handOvers = await restarted()
    await handOvers.settle('pri', VM, NOTHING)
    expect(tableOf(RID)?.id).toBe(attached?.parentHwpt)
  })

  test('is put on the parent where that was cut off', async () => {
    const reached = new Promise<void>((resolve) => {
      rig.kernel.interfere = (call) => {
        if (call !== ATTACH) return undefined
        resolve()
        return { until: NEVER }
      }
    })
    void rig.attach('pri', VM, { moveRid: true })
    await reached
    const handOvers = await restarted()
    expect(tableOf(RID)).toBeUndefined()
    await handOvers.settle('pri', VM, NOTHING)
    expect(tableOf(RID)).toBeDefined()
    expect(await rig.backend.attachDevice('pri', VM)).toMatchObject({ rid: 'ON_PARENT' })
  })

  test.each([
    ['is detached from a table that is not kept', []],
    ['stays on a table that is kept', [RID]],
  ])('%s', async (_what, keep) => {
    await rig.attach('pri', VM)
    await rig.backend.bind(requestFor('pri', 0, TWO))
    const handOvers = await restarted()
    await handOvers.settle('pri', VM, { granted: [], keep })
    expect(rig.bound().map(({ target: at }) => at)).toEqual(keep)
  })
})

test('of PASIDs those stay that are kept; the others go, also what the VMM has attached', async () => {
  await rig.attach('pri', VM)
  await rig.backend.bind(requestFor('pri', 5, ONE))
  await rig.backend.bind(requestFor('pri', 6, TWO))
  rig.kernel.device('pri').attach(tableOf(5)?.id ?? 0, 7)
  expect(rig.bound()).toHaveLength(3)
  const handOvers = await restarted()
  // 6 is remembered, 7 is granted and not remembered.
  await handOvers.settle('pri', VM, { granted: [target(5), target(7)], keep: [target(5)] })
  expect(rig.bound()).toMatchObject([{ target: 5, table: ONE }])
})
