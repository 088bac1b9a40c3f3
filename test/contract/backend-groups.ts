/**
 * The contract where devices share an IOMMU group: one table for one target, written for all of
 * them, counted by device, gone with the last (Linux drivers/iommu/iommufd/device.c).
 */

import { expect, test } from 'vitest'
import type { BindRequest } from '../../src/backend/backend.js'
import { domainId, RID } from '../../src/core/ids.js'
import {
  attach,
  expectBound,
  fault,
  OTHER_VM,
  VM,
  type Ground,
  type GroupUnderTest,
} from './backend-ground.js'

type GroupTest = (ground: Ground, group: GroupUnderTest) => Promise<void>

export function groupTests(ground: () => Ground): void {
  const inGroup = (name: string, run: GroupTest): void => {
    test(`in a group, ${name}`, async () => {
      const here = ground()
      const { group } = here.it
      if (group === undefined) return
      await attach(here.it, group.first, VM)
      await attach(here.it, group.second, VM)
      await run(here, group)
    })
  }
  ownerTests(inGroup)
  countTests(inGroup)
  replaceTests(inGroup)
  edgeTests(inGroup)
}

type InGroup = (name: string, run: GroupTest) => void

function ownerTests(inGroup: InGroup): void {
  inGroup('one session has all devices, or none of them', async ({ it }, { first, second }) => {
    for (const name of [first, second]) {
      await expect(attach(it, name, OTHER_VM)).rejects.toEqual(fault('REFUSE'))
    }
    await it.backend.detachDevice(first, VM)
    await expect(attach(it, first, OTHER_VM)).rejects.toEqual(fault('REFUSE'))
    await it.backend.detachDevice(second, VM)
    await attach(it, first, OTHER_VM)
    await expect(attach(it, second, VM)).rejects.toEqual(fault('REFUSE'))
    await attach(it, second, OTHER_VM)
  })

  inGroup('a device that is not attached binds nothing', async ({ it, on }, { first, second }) => {
    await it.backend.detachDevice(second, VM)
    await it.backend.bind(on(first, 0, 0))
    await expect(it.backend.bind(on(second, 0, 0))).rejects.toEqual(fault('REFUSE'))
    await attach(it, second, VM)
    await it.backend.bind(on(second, 0, 0))
    await expectBound(it, [on(first, 0, 0), on(second, 0, 0)])
  })
}

function countTests(inGroup: InGroup): void {
  inGroup('what is bound is observed where it was bound', async ({ it, on }, group) => {
    const { first, second } = group
    await it.backend.bind(on(first, 0, 0))
    await expectBound(it, [on(first, 0, 0)])
    await it.backend.bind(on(second, 1, 1))
    await expectBound(it, [on(first, 0, 0), on(second, 1, 1)])
  })

  inGroup('the same table is counted by device, whoever was first', async ({ it, on }, group) => {
    const { first, second } = group
    for (const [one, two] of [
      [first, second],
      [second, first],
    ] as const) {
      await it.backend.bind(on(one, 0, 0))
      await it.backend.bind(on(two, 0, 0))
      await it.backend.bind(on(two, 0, 0))
      await expectBound(it, [on(one, 0, 0), on(two, 0, 0)])
      await it.backend.unbind(on(one, 0, 0))
      await it.backend.unbind(on(one, 0, 0))
      await expectBound(it, [on(two, 0, 0)])
      // It stands: another table finds no room.
      await expect(it.backend.bind(on(one, 0, 1))).rejects.toEqual(fault('REFUSE'))
      await it.backend.unbind(on(two, 0, 0))
      await it.backend.bind(on(one, 0, 1))
      await it.backend.unbind(on(one, 0, 1))
    }
    await expectBound(it, [])
  })

  inGroup('another table or domain is refused', async ({ it, on }, { first, second }) => {
    await it.backend.bind(on(first, 0, 0))
    for (const asked of [on(second, 0, 1), on(second, 0, 0, domainId(9))]) {
      await expect(it.backend.bind(asked)).rejects.toEqual(fault('REFUSE'))
    }
    await expectBound(it, [on(first, 0, 0)])
    await it.backend.unbind(on(second, 0, 0))
    await expectBound(it, [on(first, 0, 0)])
  })

  inGroup('a device is let go when nothing is bound through it', async ({ it, on }, group) => {
    const { first, second } = group
    await it.backend.bind(on(first, 0, 0))
    await it.backend.detachDevice(second, VM)
    await expect(it.backend.detachDevice(first, VM)).rejects.toEqual(fault('REFUSE'))
    await attach(it, second, VM)
    await it.backend.bind(on(second, 0, 0))
    await it.backend.unbind(on(first, 0, 0))
    await it.backend.detachDevice(first, VM)
    await expectBound(it, [on(second, 0, 0)])
    await it.backend.unbind(on(second, 0, 0))
    await it.backend.detachDevice(second, VM)
  })
}

function replaceTests(inGroup: InGroup): void {
  inGroup('a replace takes every device along', async ({ it, on }, { first, second }) => {
    const domain = domainId(9)
    for (const name of [first, second]) await it.backend.bind(on(name, 0, 0))
    await it.backend.replace(on(first, 0, 1, domain), on(first, 0, 0))
    await expectBound(it, [on(first, 0, 1), on(second, 0, 1)])
    // The same through the second changes nothing.
    await it.backend.replace(on(second, 0, 1, domain), on(second, 0, 0))
    await expectBound(it, [on(first, 0, 1), on(second, 0, 1)])
    await it.backend.unbind(on(first, 0, 1))
    await it.backend.replace(on(second, 0, 0), on(second, 0, 1, domain))
    await expectBound(it, [on(second, 0, 0)])
  })

  inGroup('a replace through a device that has not bound it is refused', async (here, group) => {
    const { it, on } = here
    const { first, second } = group
    await it.backend.bind(on(first, 0, 0))
    const asked = it.backend.replace(on(second, 0, 1), on(second, 0, 0))
    await expect(asked).rejects.toEqual(fault('REFUSE'))
    await expectBound(it, [on(first, 0, 0)])
  })

  inGroup('a replace that fails on any device leaves the old table on all', async (here, group) => {
    const { it, on } = here
    const { first, second } = group
    if (it.breakReplace === undefined) return
    for (const name of [first, second]) await it.backend.bind(on(name, 0, 0))
    for (const broken of [first, second]) {
      for (const kind of ['RETRY', 'REFUSE'] as const) {
        it.breakReplace(broken, kind)
        const asked = it.backend.replace(on(first, 0, 1), on(first, 0, 0))
        await expect(asked).rejects.toEqual(fault(kind))
        await expectBound(it, [on(first, 0, 0), on(second, 0, 0)])
      }
    }
    await it.backend.replace(on(first, 0, 1), on(first, 0, 0))
    await expectBound(it, [on(first, 0, 1), on(second, 0, 1)])
  })
}

function edgeTests(inGroup: InGroup): void {
  inGroup('the RID is bound as a PASID is', async ({ it, on }, { first, second }) => {
    const rid = (request: BindRequest): BindRequest => ({ ...request, target: RID })
    await it.backend.bind(rid(on(first, 0, 0)))
    await expect(it.backend.bind(rid(on(second, 0, 1)))).rejects.toEqual(fault('REFUSE'))
    await it.backend.bind(rid(on(second, 0, 0)))
    await it.backend.replace(rid(on(second, 0, 1)), on(second, 0, 0))
    await expectBound(it, [rid(on(first, 0, 1)), rid(on(second, 0, 1))])
    await it.backend.unbind(rid(on(first, 0, 1)))
    await expectBound(it, [rid(on(second, 0, 1))])
  })

  inGroup('a device without PASIDs takes the RID only', async ({ it, on }, group) => {
    if (group.withoutPasids === undefined) return
    const name = group.withoutPasids
    await attach(it, name, VM)
    await expect(it.backend.bind(on(name, 0, 0))).rejects.toEqual(fault('REFUSE'))
    await it.backend.bind(on(group.first, 0, 0))
    const rid = { ...on(name, 0, 1), target: RID }
    await it.backend.bind(rid)
    await expectBound(it, [on(group.first, 0, 0), rid])
    await it.backend.unbind(rid)
    await it.backend.detachDevice(name, VM)
    await expectBound(it, [on(group.first, 0, 0)])
  })

  inGroup('an invalidation through any device is accepted', async ({ it, on }, group) => {
    const { first, second } = group
    await it.backend.bind(on(first, 0, 0))
    const range = { address: 0x7000n, pages: 3n, leaf: false }
    for (const name of [first, second]) {
      const caches = ['IOTLB', 'DEVICE_TLB'] as const
      await it.backend.invalidate({ ...on(name, 0, 0), caches, range })
    }
    await expectBound(it, [on(first, 0, 0)])
  })
}
