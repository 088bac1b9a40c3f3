/**
 * A VMM that works on its own descriptors at the same time, by mistake or by intent, a guest that
 * floods, and numbers at the edge: every call is answered, nothing of ours is wrong afterwards.
 */

import { beforeEach, describe, expect, test } from 'vitest'
import type { BackendListener, RaisedGroup } from '../../src/backend/backend.js'
import { PAGE_REQUESTS_OF_GROUP_MAX } from '../../src/backend/backend.js'
import { PAGE_GROUPS_MAX } from '../../src/backend/vfio/fault-queue.js'
import { ENTRIES_PER_CALL_MAX } from '../../src/backend/vfio/invalidations.js'
import { target } from '../../src/core/ids.js'
import { raiseFault } from '../support/vfio-fake-faults.js'
import { E } from '../support/vfio-fake-books.js'
import { leftIn } from '../support/vfio-leaks.js'
import { VfioRig } from '../support/vfio-rig.js'
import { DEVICES, firstStage, requestFor, settled, TABLES, VM } from '../support/vfio-story.js'

const ATTACH = 'ioctl 0x3b77'
const INVALIDATE = 'ioctl 0x3b8d'
const RID = 0
const [ONE, TWO] = TABLES

let rig = new VfioRig({ devices: DEVICES })
beforeEach(() => {
  rig = new VfioRig({ devices: DEVICES })
})

/** The VMM's own call, right before the backend's next ones of the kind. */
function justBefore(call: string, act: () => void, times = 1): void {
  let left = times
  rig.kernel.interfere = (now) => {
    if (now === call && left > 0) {
      left -= 1
      act()
    }
    return undefined
  }
}

function destroyNested(): void {
  const { context } = rig.vm(VM)
  for (const { id, table } of context.hwpts()) if (table !== undefined) context.destroy(id)
}

describe('a VMM that destroys what the broker made', () => {
  beforeEach(async () => {
    await rig.attach('other', VM)
  })

  test('once, before it is attached: another is made', async () => {
    justBefore(ATTACH, destroyNested)
    const hwpt = await rig.backend.bind(requestFor('other', 5, ONE))
    expect(rig.kernel.device('other').table.get(5)?.id).toBe(hwpt)
    justBefore(ATTACH, destroyNested)
    await rig.backend.replace(requestFor('other', 5, TWO), requestFor('other', 5, ONE))
    expect(rig.bound()).toMatchObject([{ target: 5, table: TWO }])
  })

  test('each time: it is refused, and what stood stands', async () => {
    justBefore(ATTACH, destroyNested, 100)
    const asked = rig.backend.bind(requestFor('other', 5, ONE))
    await expect(asked).rejects.toMatchObject({ kind: 'REFUSE', message: /destroyed/ })
    expect(rig.bound()).toEqual([])
    rig.kernel.interfere = undefined
    await rig.backend.bind(requestFor('other', 5, ONE))
    const replace = () => {
      return rig.backend.replace(requestFor('other', 5, TWO), requestFor('other', 5, ONE))
    }
    justBefore(ATTACH, destroyNested, 2)
    await expect(replace()).rejects.toMatchObject({ kind: 'REFUSE' })
    expect(rig.bound()).toMatchObject([{ target: 5, table: ONE }])
    // The old one too, while it is attached anew: then it is lost, and nothing stands.
    justBefore(ATTACH, destroyNested, 100)
    await expect(replace()).rejects.toMatchObject({ kind: 'STOP' })
    rig.kernel.interfere = undefined
    expect(rig.bound()).toEqual([])
    await rig.backend.unbind(requestFor('other', 5, ONE))
    await rig.backend.bind(requestFor('other', 5, TWO))
    expect(rig.bound()).toMatchObject([{ target: 5, table: TWO }])
  })

  test('with what it is attached to: an invalidation is refused, the rest goes on', async () => {
    await rig.backend.bind(requestFor('other', 5, ONE))
    rig.kernel.device('other').detach(5)
    destroyNested()
    const caches = ['IOTLB'] as const
    const invalidation = { ...requestFor('other', 5, ONE), caches, range: undefined }
    await expect(rig.backend.invalidate(invalidation)).rejects.toMatchObject({ kind: 'REFUSE' })
    await rig.backend.unbind(requestFor('other', 5, ONE))
    await rig.backend.bind(requestFor('other', 5, ONE))
    expect(rig.bound()).toMatchObject([{ target: 5, table: ONE }])
  })

  test('or uses it by itself: it stays for the VMM, and goes with its iommufd', async () => {
    const hwpt = await rig.backend.bind(requestFor('other', 5, ONE))
    rig.kernel.device('other').attach(hwpt, 9)
    await rig.backend.unbind(requestFor('other', 5, ONE))
    expect(rig.kernel.device('other').table.get(9)?.id).toBe(hwpt)
    await rig.backend.detachDevice('other', VM)
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0 })
    rig.vm(VM).die()
    expect(rig.vm(VM).context.objects.size).toBe(0)
  })
})

describe('a VMM that attaches by itself', () => {
  test('the PASID that the broker binds: the newer one stands', async () => {
    await rig.attach('other', VM)
    const own = rig.vm(VM).allocParent()
    rig.kernel.device('other').attach(own, 5)
    await rig.backend.bind(requestFor('other', 5, ONE))
    expect(rig.bound()).toMatchObject([{ target: 5, table: ONE }])
    await rig.backend.unbind(requestFor('other', 5, ONE))
    rig.kernel.device('other').attach(own, 5)
    await rig.backend.unbind(requestFor('other', 5, ONE))
    expect(rig.bound()).toEqual([])
  })

  test('the RID to what no PASID can stand beside: it is named, and what to do', async () => {
    const { parentHwpt = 0 } = (await rig.attach('other', VM)) ?? {}
    const device = rig.kernel.device('other')
    device.attach(rig.vm(VM).ioas, RID)
    for (const table of [ONE, { kind: 'PASS_THROUGH' } as const]) {
      const asked = rig.backend.bind(requestFor('other', 5, table))
      await expect(asked).rejects.toMatchObject({
        kind: 'REFUSE',
        message: expect.stringMatching(/RID_INCOMPATIBLE.*move_rid/),
      })
      expect(device.table.has(5)).toBe(false)
    }
    expect((await rig.backend.attachDevice('other', VM))?.rid).toBe('INCOMPATIBLE')
    device.attach(parentHwpt, RID)
    await rig.backend.bind(requestFor('other', 5, ONE))
    expect((await rig.backend.attachDevice('other', VM))?.rid).toBe('COMPATIBLE')
    // Its own RID is nothing that we would detach.
    await rig.backend.unbind(requestFor('other', RID, ONE))
    expect(device.table.get(RID)?.id).toBe(parentHwpt)
  })
})

describe('numbers at the edge', () => {
  test('a PASID beyond the width, or on a device without any, is not asked of the kernel', async () => {
    rig = new VfioRig({ devices: [...DEVICES, { name: 'plain', maxPasidLog2: 0 }] })
    for (const name of ['other', 'plain']) await rig.attach(name, VM)
    const { calls } = rig.kernel
    const before = calls.length
    for (const [name, at, message] of [
      ['other', 1024, /the last is 1023/],
      ['other', 2 ** 20 - 1, /the last is 1023/],
      ['plain', 1, /no PASIDs/],
    ] as const) {
      const asked = rig.backend.bind(requestFor(name, at, ONE))
      await expect(asked).rejects.toMatchObject({ kind: 'REFUSE', message })
    }
    expect(calls.length).toBe(before)
    await rig.backend.bind(requestFor('other', 1023, ONE))
    await rig.backend.bind(requestFor('plain', RID, ONE))
  })

  test.each([
    [{ address: 0x800n, pages: 1n, leaf: false }, /multiple of 4096/],
    [{ address: -4096n, pages: 1n, leaf: false }, /multiple of 4096/],
    [{ address: 0n, pages: 0n, leaf: false }, /at least 1 page/],
    [{ address: 4096n, pages: 2n ** 52n, leaf: false }, /2\^64/],
    [{ address: 2n ** 64n, pages: 1n, leaf: true }, /2\^64/],
  ])('an invalidation of %o is not asked of the kernel', async (range, message) => {
    await rig.attach('other', VM)
    await rig.backend.bind(requestFor('other', 5, ONE))
    const request = { ...requestFor('other', 5, ONE), caches: ['IOTLB'] as const, range }
    await expect(rig.backend.invalidate(request)).rejects.toMatchObject({ kind: 'REFUSE', message })
    expect(rig.kernel.calls).not.toContain(INVALIDATE)
  })
})

describe('invalidations that come together', () => {
  async function bindTwo(): Promise<void> {
    await rig.attach('other', VM)
    await rig.backend.bind(requestFor('other', 5, ONE))
    await rig.backend.bind(requestFor('other', 6, TWO))
  }
  function invalidation(at: number, page: number) {
    const range = { address: BigInt(page) * 4096n, pages: 1n, leaf: false }
    return rig.backend.invalidate({ ...requestFor('other', at, ONE), caches: ['IOTLB'], range })
  }
  function calls(): number {
    return rig.kernel.calls.filter((call) => call === INVALIDATE).length
  }

  test('go in one call for each table, bounded', async () => {
    await bindTwo()
    const count = ENTRIES_PER_CALL_MAX + 1
    await Promise.all(
      Array.from({ length: count }, (_, page) => invalidation(5 + (page % 2), page)),
    )
    expect(calls()).toBe(3)
    const table = rig.kernel.device('other').table
    const pages = [5, 6]
      .flatMap((at) => table.get(at)?.invalidated ?? [])
      .map((each) => each.address)
    expect(new Set(pages).size).toBe(count)
  })

  test('have an answer each when one fails in their midst', async () => {
    await bindTwo()
    const table = rig.kernel.device('other').table.get(5)
    let failing = 2
    rig.kernel.interfere = (call) => {
      if (call !== INVALIDATE || failing === 0) return undefined
      failing -= 1
      // The whole, and then the first by itself.
      return { code: -E.EINVAL }
    }
    const all = await Promise.allSettled([0, 1, 2].map((page) => invalidation(5, page)))
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    expect(table?.invalidated.map(({ address }) => address)).toEqual([4096n, 8192n])
  })
})

describe('page requests', () => {
  let raised: RaisedGroup[] = []
  const listener: BackendListener = {
    pageRequest: (group) => raised.push(group),
    pageRequestGone: () => undefined,
    fault: () => undefined,
    reset: () => undefined,
  }
  beforeEach(async () => {
    raised = []
    await rig.attach('pri', VM)
    await rig.backend.bind(requestFor('pri', 5, ONE))
    rig.backend.listen(listener)
  })

  test('through what the VMM has attached by itself are answered INVALID, and told to nobody', async () => {
    const device = rig.kernel.device('pri')
    const hwpt = device.table.get(5)
    device.attach(hwpt?.id ?? 0, 9)
    raiseFault(device, 9, 1)
    await settled()
    expect(raised).toEqual([])
    expect(hwpt?.queue?.answered).toMatchObject([{ fault: { pasid: 9 }, code: 1 }])
  })

  test('of more pages than a group may have are answered INVALID', async () => {
    const device = rig.kernel.device('pri')
    raiseFault(device, 5, 1, PAGE_REQUESTS_OF_GROUP_MAX)
    raiseFault(device, 5, 2, PAGE_REQUESTS_OF_GROUP_MAX + 1)
    await settled()
    expect(raised.map(({ group }) => group)).toEqual([1])
    expect(raised[0]?.pages).toHaveLength(PAGE_REQUESTS_OF_GROUP_MAX)
    expect(device.table.get(5)?.queue?.answered).toMatchObject([{ fault: { group: 2 }, code: 1 }])
  })

  test('beyond what may wait are answered INVALID', async () => {
    const device = rig.kernel.device('pri')
    for (let group = 0; group <= PAGE_GROUPS_MAX; group += 1) raiseFault(device, 5, group)
    for (let turn = 0; turn < 20; turn += 1) await settled()
    expect(raised).toHaveLength(PAGE_GROUPS_MAX)
    expect(device.table.get(5)?.queue?.answered).toHaveLength(1)
  })

  test('too long to be read at all keep nothing busy', async () => {
    const device = rig.kernel.device('pri')
    raiseFault(device, 5, 1, 2000)
    await settled()
    const before = rig.kernel.calls.length
    for (let turn = 0; turn < 20; turn += 1) await settled()
    expect(rig.kernel.calls.length).toBe(before)
    rig.clock.pass(60_000)
    await settled()
    expect(rig.kernel.calls.length).toBeLessThan(before + 4)
    await rig.backend.unbind(requestFor('pri', 5, ONE))
    await rig.backend.bind(requestFor('pri', 6, TWO))
    raiseFault(device, 6, 2)
    rig.clock.pass(60_000)
    await settled()
    expect(raised.map(({ group }) => group)).toEqual([2])
  })

  test('whose index comes again before the answer: the former is answered INVALID', async () => {
    const device = rig.kernel.device('pri')
    for (let times = 0; times < 2; times += 1) {
      raiseFault(device, 5, 7)
      await settled()
    }
    expect(raised).toHaveLength(2)
    const queue = device.table.get(5)?.queue
    expect(queue?.answered).toMatchObject([{ code: 1 }])
    await rig.backend.respond({ device: 'pri', target: target(5), group: 7, code: 'SUCCESS' })
    expect(queue?.response.size).toBe(0)
  })

  test('are answered once, however many answer at the same time', async () => {
    raiseFault(rig.kernel.device('pri'), 5, 1)
    await settled()
    const answer = { device: 'pri', target: target(5), group: 1, code: 'FAILURE' } as const
    const all = await Promise.allSettled([1, 2, 3].map(() => rig.backend.respond(answer)))
    expect(all.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(rig.kernel.device('pri').table.get(5)?.queue?.answered).toMatchObject([{ code: 1 }])
  })
})

test('as many tables as there are PASIDs leave nothing when they are gone', async () => {
  rig = new VfioRig({ devices: [{ name: 'wide', maxPasidLog2: 20 }] })
  await rig.attach('wide', VM)
  const numbers = Array.from({ length: 300 }, (_, i) => 2 ** 20 - 1 - i)
  for (const at of numbers) await rig.backend.bind(requestFor('wide', at, firstStage(at * 4096)))
  expect(rig.bound()).toHaveLength(numbers.length)
  for (const at of numbers) await rig.backend.unbind(requestFor('wide', at, ONE))
  await rig.backend.detachDevice('wide', VM)
  rig.vm(VM).closeCdev('wide')
  expect(leftIn(rig)).toMatchObject({ objects: [], descriptors: 0, threads: 0, kept: 0 })
})
