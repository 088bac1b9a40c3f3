/**
 * Closing that does not come back, and an end that is asked for twice: nobody waits for either
 * longer than is said, and what is under way is not cut short.
 */

import { beforeEach, expect, test } from 'vitest'
import { CLOSE_MS, DROP_MS, END_MS } from '../../src/backend/vfio/group.js'
import { sessionId } from '../../src/core/ids.js'
import { expectNothingLeft, leftIn } from '../support/vfio-leaks.js'
import { VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, settled, TABLES, VM } from '../support/vfio-story.js'

const OTHER_VM = sessionId(2)
const DETACH = 'ioctl 0x3b78'
const [TABLE] = TABLES

let rig = new VfioRig({ devices: DEVICES })
let release = (): void => undefined

beforeEach(() => {
  rig = new VfioRig({ devices: DEVICES })
})

/** Each call of the kind waits until it is released. */
function hold(kind: string): void {
  const until = new Promise<void>((resolve) => {
    release = resolve
  })
  rig.kernel.interfere = (call) => (call === kind ? { until } : undefined)
}

/** Whether it has come to its end, with all that happens without time going by. */
async function isOver(call: Promise<unknown>): Promise<boolean> {
  const waits = {}
  for (let turn = 0; turn < 4; turn += 1) await settled()
  return (await Promise.race([call, settled().then(() => waits)])) !== waits
}

test('the daemon ends though no close comes back', async () => {
  await rig.attach('pri', VM)
  await rig.attach('first', VM)
  await rig.attach('second', VM)
  hold('close')
  const closed = rig.backend.close()
  expect(await isOver(closed)).toBe(false)
  rig.clock.pass(END_MS - 1)
  expect(await isOver(closed)).toBe(false)
  rig.clock.pass(1)
  expect(await isOver(closed)).toBe(true)
  release()
  await settled()
  expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0 })
})

test('an owner ends though no close comes back; nothing is attached, so it is certain', async () => {
  await rig.attach('pri', VM)
  await rig.attach('first', VM)
  await rig.attach('second', VM)
  await rig.backend.bind(requestFor('second', 5, TABLE))
  hold('close')
  const dropped = rig.backend.handOvers.drop(VM, [])
  expect(await isOver(dropped)).toBe(false)
  rig.clock.pass(DROP_MS)
  await isOver(dropped)
  rig.clock.pass(CLOSE_MS)
  expect(await isOver(dropped)).toBe(true)
  expect(await dropped).toEqual([])
  expect(rig.bound()).toEqual([])
  release()
  await settled()
  rig.vm(VM).die()
  expectNothingLeft(rig, 'released')
})

test('what is refused is answered though no close comes back', async () => {
  await rig.attach('pri', VM)
  hold('close')
  const given = () => rig.vm(OTHER_VM).handOver('other')
  const refused = rig.backend.attachDevice('pri', OTHER_VM, given())
  const unknown = rig.backend.attachDevice('none', OTHER_VM, given())
  const ends = Promise.allSettled([refused, unknown])
  expect(await isOver(ends)).toBe(false)
  rig.clock.pass(CLOSE_MS)
  expect(await isOver(ends)).toBe(true)
  await expect(refused).rejects.toMatchObject({ kind: 'REFUSE' })
  await expect(unknown).rejects.toMatchObject({ kind: 'STOP' })
  release()
})

test('an end that is asked for again while it is under way is one', async () => {
  await rig.attach('pri', VM)
  await rig.attach('first', VM)
  await rig.backend.bind(requestFor('pri', 5, TABLE))
  await rig.backend.bind(requestFor('first', 5, TABLE))
  hold(DETACH)
  const first = rig.backend.handOvers.drop(VM, [])
  await settled()
  const second = rig.backend.handOvers.drop(VM, [])
  expect(await isOver(Promise.race([first, second]))).toBe(false)
  release()
  expect(await Promise.all([first, second])).toEqual([[], []])
  expect(rig.bound()).toEqual([])
  expect(await rig.backend.handOvers.drop(VM, [])).toEqual([])
  rig.vm(VM).die()
  expectNothingLeft(rig, 'dropped')
})
