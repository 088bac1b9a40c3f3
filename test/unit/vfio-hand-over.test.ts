/**
 * What a VMM may hand over, and what it is told when it may not: each refusal names what is wrong
 * and what to do, closes what came, and touches nothing of the VMM's.
 */

import { beforeEach, describe, expect, test } from 'vitest'
import { HandOverRefused, type HandOver, type Parent } from '../../src/backend/backend.js'
import { sessionId } from '../../src/core/ids.js'
import { leftIn } from '../support/vfio-leaks.js'
import { VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, TABLES, VM } from '../support/vfio-story.js'

const OTHER_VM = sessionId(2)
const NEST = 1
const PASID = 8
const [TABLE] = TABLES

let rig = new VfioRig({ devices: DEVICES })
beforeEach(() => {
  rig = new VfioRig({ devices: DEVICES })
})

async function refusal(call: Promise<unknown>): Promise<HandOverRefused> {
  const fault = await call.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (fault instanceof HandOverRefused) return fault
  throw new Error(`refused as no hand-over: ${String(fault)}`)
}

/** Ids of a VM with a device of its own in its iommufd, to make things with. */
async function idsOfVm(): Promise<Record<string, number>> {
  await rig.attach('other', VM)
  const { context, ioas } = rig.vm(VM)
  const device = rig.kernel.device('other').bound?.idev.id ?? 0
  const make = (flags: number, ptId: number, table = false): number => {
    const at = { flags: 0n, address: 0n, width: 48 }
    return context.hwptAlloc({
      flags,
      devId: device,
      ptId,
      dataType: table ? 1 : 0,
      table: table ? at : undefined,
      faultId: 0,
    })
  }
  const parent = make(NEST | PASID, ioas)
  return {
    ioas,
    device,
    parent,
    paging: make(PASID, ioas),
    nested: make(PASID, parent, true),
    queue: context.faultAlloc().id,
    nothing: 0xffff_fffe,
  }
}

describe('the parent', () => {
  test("is the VMM's own, or is made on its IOAS and destroyed with the device", async () => {
    const { parent = 0, ioas = 0 } = await idsOfVm()
    const before = rig.vm(VM).context.objects.size
    const own = await rig.attach('pri', VM, { parent: { kind: 'HWPT', id: parent } })
    expect(own).toMatchObject({ parentHwpt: parent, rid: 'NOT_ATTACHED' })
    await rig.backend.detachDevice('pri', VM)
    rig.vm(VM).closeCdev('pri')
    expect(rig.vm(VM).context.objects.size).toBe(before)
    for (const dirtyTracking of [false, true]) {
      const wanted: Parent = { kind: 'IOAS', id: ioas, dirtyTracking }
      const made = await rig.attach('pri', VM, { parent: wanted, moveRid: true })
      const hwpt = rig.vm(VM).context.objects.get(made?.parentHwpt ?? 0)
      expect(hwpt).toMatchObject({ kind: 'HWPT', flags: NEST | PASID | (dirtyTracking ? 2 : 0) })
      expect(made?.rid).toBe('ON_PARENT')
      await rig.backend.detachDevice('pri', VM)
      rig.vm(VM).closeCdev('pri')
      expect(rig.vm(VM).context.objects.size).toBe(before)
    }
  })

  test.each(['ioas', 'device', 'paging', 'nested', 'queue', 'nothing'])(
    'is refused where its id is that of: %s',
    async (kind) => {
      const { [kind]: id = 0 } = await idsOfVm()
      const before = new Map(rig.vm(VM).context.objects)
      const parent: Parent = { kind: 'HWPT', id }
      const { message, remedy } = await refusal(rig.attach('pri', VM, { parent }))
      expect(message).toContain(`${id}`)
      expect(remedy).toMatch(/IOMMU_HWPT_ALLOC_NEST_PARENT/)
      expect(rig.backend.handOvers.holds('pri', VM)).toBe(false)
      rig.vm(VM).closeCdev('pri')
      expect(rig.vm(VM).context.objects).toEqual(before)
    },
  )

  test.each(['device', 'parent', 'nested', 'queue', 'nothing'])(
    'is refused where the id of its IOAS is that of: %s',
    async (kind) => {
      const { [kind]: id = 0 } = await idsOfVm()
      const parent: Parent = { kind: 'IOAS', id, dirtyTracking: false }
      const { message, remedy } = await refusal(rig.attach('pri', VM, { parent }))
      expect(message).toContain(`IOAS ${id}`)
      expect(remedy).toMatch(/read-only/)
    },
  )

  test('without dirty tracking where the device has none', async () => {
    rig = new VfioRig({ devices: [{ name: 'pri', maxPasidLog2: 10, dirty: false }] })
    const parent: Parent = { kind: 'IOAS', id: rig.vm(VM).ioas, dirtyTracking: true }
    const { remedy } = await refusal(rig.attach('pri', VM, { parent }))
    expect(remedy).toMatch(/without dirty_tracking/)
  })

  test('of an IOMMU that nests nothing takes no tables', async () => {
    rig = new VfioRig({ devices: [{ name: 'pri', maxPasidLog2: 10, nests: false }] })
    await rig.attach('pri', VM)
    const asked = rig.backend.bind(requestFor('pri', 5, TABLE))
    await expect(asked).rejects.toMatchObject({ kind: 'REFUSE' })
    await rig.backend.bind(requestFor('pri', 5, { kind: 'PASS_THROUGH' }))
    await rig.backend.unbind(requestFor('pri', 5, TABLE))
  })
})

describe('the fault queue', () => {
  test("is the VMM's own where it is named, and ours is none of its business", async () => {
    const { queue = 0 } = await idsOfVm()
    await rig.attach('pri', VM, { faultId: queue })
    await rig.backend.bind(requestFor('pri', 5, TABLE))
    expect(rig.kernel.device('pri').table.get(5)?.queue?.id).toBe(queue)
    const answer = { ...requestFor('pri', 5, TABLE), group: 1, code: 'SUCCESS' } as const
    await expect(rig.backend.respond(answer)).rejects.toMatchObject({ kind: 'REFUSE' })
  })

  test.each(['ioas', 'parent', 'nothing'])(
    'is refused where its id is that of: %s',
    async (kind) => {
      const { [kind]: faultId = 0 } = await idsOfVm()
      const { message, remedy } = await refusal(rig.attach('pri', VM, { faultId }))
      expect(message).toContain(`fault queue ${faultId}`)
      expect(remedy).toMatch(/IOMMU_FAULT_QUEUE_ALLOC/)
    },
  )

  test('that a device cannot feed is named when a table is bound', async () => {
    const { queue = 0 } = await idsOfVm()
    await rig.backend.detachDevice('other', VM)
    rig.vm(VM).closeCdev('other')
    await rig.attach('other', VM, { faultId: queue })
    const asked = rig.backend.bind(requestFor('other', 5, TABLE))
    await expect(asked).rejects.toMatchObject({
      kind: 'REFUSE',
      message: expect.stringMatching(/without fault_id/),
    })
    expect(rig.kernel.device('other').table.size).toBe(0)
  })

  test('of ours is given up where the device cannot feed it after all', async () => {
    const host = { ...rig.host({ name: 'other', maxPasidLog2: 10, pri: true }) }
    expect(host.facts().pageRequests).toBe(true)
    rig = new VfioRig({ devices: [{ name: 'other', maxPasidLog2: 10, pri: true }] })
    Object.assign(rig.kernel.device('other'), { pri: false })
    await rig.attach('other', VM)
    await rig.backend.bind(requestFor('other', 5, TABLE))
    expect(rig.kernel.device('other').table.get(5)?.queue).toBeUndefined()
    await rig.backend.unbind(requestFor('other', 5, TABLE))
    await rig.backend.detachDevice('other', VM)
    rig.vm(VM).closeCdev('other')
    expect(leftIn(rig).objects).toEqual([])
  })
})

describe('the descriptors', () => {
  function otherCdev(): HandOver['cdev'] {
    const { iommufd, cdev } = rig.vm(VM).handOver('other')
    iommufd.close()
    return cdev
  }

  /** Each with what is wrong, and a word of what to do. */
  const wrong: readonly (readonly [string, (given: HandOver) => Partial<HandOver>, RegExp])[] = [
    ['another device', () => ({ cdev: otherCdev() }), /send this one/],
    ['a device for the iommufd', () => ({ iommufd: otherCdev() }), /send \/dev\/iommu first/],
    ['both in the wrong order', ({ cdev, iommufd }) => ({ cdev: iommufd, iommufd: cdev }), /./],
  ]
  test.each(wrong)('are refused: %s', async (_what, change, remedy) => {
    const given = rig.vm(VM).handOver('pri')
    const changed = { ...given, ...change(given) }
    expect((await refusal(rig.backend.attachDevice('pri', VM, changed))).remedy).toMatch(remedy)
    for (const fd of [given.iommufd, given.cdev]) {
      if (fd !== changed.iommufd && fd !== changed.cdev) fd.close()
    }
    rig.vm(VM).closeCdev('pri')
    rig.vm(VM).closeCdev('other')
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, bound: [], kept: 0 })
  })

  test('of a device that is bound already are refused', async () => {
    const given = rig.vm(VM).handOver('pri')
    rig.kernel.device('pri').bind(rig.vm(VM).context)
    const { message, remedy } = await refusal(rig.backend.attachDevice('pri', VM, given))
    expect(message).toMatch(/bound already/)
    expect(remedy).toMatch(/without VFIO_DEVICE_BIND_IOMMUFD/)
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0 })
  })

  test('are closed when nobody wants them: a repetition, a device of another, none such', async () => {
    const first = await rig.attach('pri', VM)
    const open = rig.kernel.openFds
    expect(await rig.attach('pri', VM)).toEqual(first)
    await expect(rig.attach('pri', OTHER_VM)).rejects.toMatchObject({ kind: 'REFUSE' })
    const given = rig.vm(VM).handOver('other')
    const asked = rig.backend.attachDevice('no-such-device', VM, given)
    await expect(asked).rejects.toMatchObject({ kind: 'STOP' })
    expect(rig.kernel.openFds).toBe(open)
  })

  test('may come later, for a device that is attached by number', async () => {
    expect(await rig.backend.attachDevice('pri', VM)).toBeUndefined()
    expect(rig.backend.handOvers.holds('pri', VM)).toBe(false)
    const asked = rig.backend.bind(requestFor('pri', 5, TABLE))
    await expect(asked).rejects.toMatchObject({ kind: 'REFUSE', message: /number only/ })
    await rig.backend.unbind(requestFor('pri', 5, TABLE))
    await rig.backend.invalidate({
      ...requestFor('pri', 5, TABLE),
      caches: ['IOTLB'],
      range: undefined,
    })
    await rig.attach('pri', VM)
    expect(rig.backend.handOvers.holds('pri', VM)).toBe(true)
    await rig.backend.bind(requestFor('pri', 5, TABLE))
  })
})

describe('an IOMMU group', () => {
  test('has one parent, one fault queue and one iommufd', async () => {
    const { parent = 0, queue = 0, ioas = 0 } = await idsOfVm()
    await rig.attach('first', VM, { parent: { kind: 'HWPT', id: parent } })
    const others: readonly (readonly [Partial<HandOver>, RegExp])[] = [
      [{}, /IOAS \d+.*not that of its IOMMU group/],
      [{ parent: { kind: 'HWPT', id: ioas } }, /HWPT \d+.*not that of its IOMMU group/],
      [{ parent: { kind: 'HWPT', id: parent }, faultId: queue }, /fault_id/],
      [
        { iommufd: rig.kernel.open({ kind: 'iommufd', context: rig.kernel.newContext() }) },
        /another iommufd/,
      ],
    ]
    for (const [more, message] of others) {
      expect((await refusal(rig.attach('second', VM, more))).message).toMatch(message)
      rig.vm(VM).closeCdev('second')
    }
    expect(await rig.attach('second', VM, { parent: { kind: 'HWPT', id: parent } })).toMatchObject({
      parentHwpt: parent,
    })
  })

  test('shares what was made for its first device, until its last is let go', async () => {
    await rig.attach('first', VM)
    await rig.attach('second', VM)
    await rig.backend.bind(requestFor('second', 5, TABLE))
    await rig.backend.detachDevice('first', VM)
    await rig.backend.bind(requestFor('second', 6, TABLE))
    expect(rig.bound()).toHaveLength(2)
    await rig.attach('first', VM)
    for (const at of [5, 6]) await rig.backend.unbind(requestFor('second', at, TABLE))
    for (const name of ['second', 'first']) {
      await rig.backend.detachDevice(name, VM)
      rig.vm(VM).closeCdev(name)
    }
    expect(leftIn(rig)).toMatchObject({ objects: [], descriptors: 0, threads: 0, kept: 0 })
  })
})
