/**
 * Page requests that cannot be answered at once, that come again, or that come while their device
 * is on its way in or out: each is answered once in the end, and what is remembered is what waits.
 */

import os from 'node:os'
import { beforeEach, describe, expect, test } from 'vitest'
import type { BackendListener, RaisedGroup } from '../../src/backend/backend.js'
import { target } from '../../src/core/ids.js'
import { E } from '../support/vfio-fake-books.js'
import { raiseFault } from '../support/vfio-fake-faults.js'
import type { FakeCall, Interference } from '../support/vfio-fake-kernel.js'
import { leftIn } from '../support/vfio-leaks.js'
import { VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, settled, TABLES, VM } from '../support/vfio-story.js'

const ATTACH = 'ioctl 0x3b77'
const { ENOBUFS } = os.constants.errno
const [ONE] = TABLES

let rig = new VfioRig({ devices: DEVICES })
let raised: RaisedGroup[] = []
const listener: BackendListener = {
  pageRequest: (group) => raised.push(group),
  pageRequestGone: () => undefined,
  fault: () => undefined,
  reset: () => undefined,
}
beforeEach(() => {
  rig = new VfioRig({ devices: DEVICES })
  raised = []
})

/** The first calls of the kind. */
function firstOf(call: FakeCall, interference: Interference, times = 1): void {
  let left = times
  rig.kernel.interfere = (now) => {
    if (now !== call || left === 0) return undefined
    left -= 1
    return interference
  }
}

async function bound(): Promise<void> {
  await rig.attach('pri', VM)
  await rig.backend.bind(requestFor('pri', 5, ONE))
  rig.backend.listen(listener)
}

function queue() {
  return rig.kernel.device('pri').table.get(5)?.queue
}

async function raise(group: number, pages = 1): Promise<void> {
  expect(raiseFault(rig.kernel.device('pri'), 5, group, pages)).toBe(true)
  await settled()
}

function respond(group: number): Promise<void> {
  const answer = { device: 'pri', target: target(5), group, code: 'SUCCESS' } as const
  return rig.backend.respond(answer)
}

/** What the next life of the daemon tells, as `group: pages`. */
async function toldAfterKill(): Promise<readonly string[]> {
  rig.kill()
  raised = []
  rig.backend.listen(listener)
  await settled()
  return raised.map(({ group, pages }) => `${group}: ${pages.length}`).sort()
}

describe('an answer', () => {
  test('for which there is no room leaves the group waiting: it is answered later', async () => {
    await bound()
    await raise(1)
    firstOf('write', { code: -ENOBUFS })
    await expect(respond(1)).rejects.toMatchObject({ kind: 'RETRY', message: /ENOBUFS/ })
    raised = []
    rig.backend.listen(listener)
    expect(raised.map(({ group }) => group)).toEqual([1])
    await respond(1)
    expect(queue()?.answered).toMatchObject([{ fault: { group: 1 }, code: 0 }])
    expect(await toldAfterKill()).toEqual([])
  })

  test('that the kernel knows no group for is refused, and forgotten', async () => {
    await bound()
    await raise(1)
    firstOf('write', { code: -E.EINVAL })
    await expect(respond(1)).rejects.toMatchObject({ kind: 'REFUSE' })
    await expect(respond(1)).rejects.toMatchObject({ kind: 'REFUSE' })
    expect(await toldAfterKill()).toEqual([])
  })

  test('of our own, for what nobody is told of, is given later when there was no room', async () => {
    await bound()
    const device = rig.kernel.device('pri')
    device.attach(device.table.get(5)?.id ?? 0, 9)
    firstOf('write', { code: -ENOBUFS }, 2)
    raiseFault(device, 9, 1)
    raiseFault(device, 5, 2)
    await settled()
    expect(raised.map(({ group }) => group)).toEqual([2])
    for (let turn = 0; turn < 3; turn += 1) {
      rig.clock.pass(1000)
      await settled()
    }
    expect(queue()?.answered).toMatchObject([{ fault: { pasid: 9 }, code: 1 }])
    await raise(3)
    expect(raised.map(({ group }) => group)).toEqual([2, 3])
  })
})

describe('a group whose index comes again', () => {
  test('with fewer pages: none of the former is remembered', async () => {
    await bound()
    await raise(7, 3)
    await raise(7)
    expect(await toldAfterKill()).toEqual(['7: 1'])
  })

  test.each([
    ['given', undefined, 0],
    ['not given, and given anew', -ENOBUFS, 1],
  ])('while the former’s answer is %s: only the newer waits', async (_what, code, end) => {
    await bound()
    await raise(7, 3)
    let release = (): void => undefined
    const until = new Promise<void>((resolve) => {
      release = resolve
    })
    // Of the thread itself, before the kernel is asked.
    firstOf('write', code === undefined ? { until } : { until, code })
    const first = respond(7).catch((fault: unknown) => fault)
    raiseFault(rig.kernel.device('pri'), 5, 7)
    release()
    const fault = await first
    if (code === undefined) expect(fault).toBeUndefined()
    else expect(fault).toMatchObject({ kind: 'RETRY' })
    await settled()
    // The read of one more finds out what is left to be answered.
    await raise(8)
    expect(queue()?.answered).toMatchObject([{ fault: { group: 7, pages: 3 }, code: end }])
    expect(await toldAfterKill()).toEqual(['7: 1', '8: 1'])
  })
})

describe('a device that raises page requests', () => {
  test('while its hand-over fails: nothing is read, and nothing of it is left', async () => {
    const device = rig.kernel.device('pri')
    const { context, ioas } = rig.vm(VM)
    rig.kernel.interfere = (call) => {
      if (call !== ATTACH) return undefined
      // The VMM makes a table with our fault queue, by itself.
      const [parent, fault] = ['HWPT', 'FAULT'].map((kind) => {
        return [...context.objects.values()].find((each) => each.kind === kind)?.id ?? 0
      })
      const ask = { flags: 12, devId: device.bound?.idev.id ?? 0, ptId: parent ?? ioas }
      const table = { flags: 0n, address: 0x5000n, width: 48 }
      const id = context.hwptAlloc({ ...ask, dataType: 1, table, faultId: fault ?? 0 })
      expect(device.attach(id, 9)).toBe(0)
      expect(raiseFault(device, 9, 1)).toBe(true)
      return { code: -E.EBUSY }
    }
    const asked = rig.attach('pri', VM, { moveRid: true })
    await expect(asked).rejects.toMatchObject({ kind: 'RETRY' })
    for (let turn = 0; turn < 5; turn += 1) await settled()
    expect(rig.kernel.calls).not.toContain('read')
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0, timers: 0 })
  })

  test('while it is let go of: what was read too late is told to nobody', async () => {
    await bound()
    let release = (): void => undefined
    const back = new Promise<void>((resolve) => {
      release = resolve
    })
    firstOf('read', { back })
    await raise(1)
    const closed = rig.backend.close()
    release()
    await closed
    for (let turn = 0; turn < 5; turn += 1) await settled()
    expect(raised).toEqual([])
    expect(rig.kernel.calls).not.toContain('write')
    expect(rig.kernel.threads).toBe(0)
  })
})
