/**
 * What each errno of the kernel comes to, call by call: the one table of src/backend/vfio/errors.ts
 * as the broker and a VMM see it, and the sentences of a hand-over. Which errno belongs to which
 * call is the kernel's (drivers/vfio/device_cdev.c, drivers/iommu/iommufd, drivers/iommu/intel, as
 * of Linux 7.1); the rest come from a machine in trouble.
 */

import { beforeEach, describe, expect, test } from 'vitest'
import { BackendFault, HandOverRefused } from '../../src/backend/backend.js'
import { faultOf } from '../../src/backend/vfio/errors.js'
import { KernelRefusal } from '../../src/backend/vfio/ports.js'
import { E } from '../support/vfio-fake-books.js'
import { expectNothingLeft } from '../support/vfio-leaks.js'
import { VfioRig } from '../support/vfio-rig.js'
import { DEVICES, VM } from '../support/vfio-story.js'

type Kind = BackendFault['kind']

/** Where no call has a line of its own. */
const OF_ALL: Readonly<Record<string, Kind>> = {
  EINTR: 'RETRY',
  EAGAIN: 'RETRY',
  ENOMEM: 'RETRY',
  ENOBUFS: 'RETRY',
  EBUSY: 'RETRY',
  EINVAL: 'REFUSE',
  EOPNOTSUPP: 'REFUSE',
  ENOTTY: 'REFUSE',
  E2BIG: 'REFUSE',
  ENOENT: 'REFUSE',
  EPERM: 'REFUSE',
  EACCES: 'REFUSE',
  EOVERFLOW: 'REFUSE',
  ENOSPC: 'REFUSE',
  EFAULT: 'STOP',
  ENODEV: 'STOP',
  ENXIO: 'STOP',
  EIO: 'STOP',
  EBADF: 'STOP',
  // Nothing of ours is known to meet these: what stands then is not known either.
  EBADFD: 'STOP',
  EEXIST: 'STOP',
  ESPIPE: 'STOP',
  EMFILE: 'STOP',
}

/** What is another kind than for all, and why is in the table itself. */
const CALLS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  VFIO_DEVICE_BIND_IOMMUFD: {},
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: {},
  VFIO_DEVICE_DETACH_IOMMUFD_PT: {
    EINVAL: 'STOP',
    EOPNOTSUPP: 'STOP',
    ENOTTY: 'STOP',
    ENOENT: 'STOP',
  },
  IOMMU_GET_HW_INFO: { ENOENT: 'STOP' },
  IOMMU_HWPT_ALLOC: {},
  IOMMU_HWPT_INVALIDATE: {},
  IOMMU_FAULT_QUEUE_ALLOC: { EMFILE: 'RETRY' },
  IOMMU_DESTROY: {},
}

describe.each(Object.keys(CALLS))('%s', (call) => {
  test('has one meaning for each errno, in words', () => {
    const kinds = { ...OF_ALL, ...CALLS[call] }
    const met = Object.keys(kinds).map((errno): [string, Kind] => {
      const { kind, message } = faultOf('gpu0', new KernelRefusal(call, errno))
      expect(message).toMatch(new RegExp(`^gpu0: ${call} failed with ${errno}: \\w`))
      return [errno, kind]
    })
    expect(Object.fromEntries(met)).toEqual(kinds)
  })
})

test('what is no refusal of the kernel is no fault of the world', () => {
  const bug = new TypeError('a bug')
  expect(() => faultOf('gpu0', bug)).toThrow(bug)
  const known = new BackendFault('gpu0 was let go', 'STOP')
  expect(faultOf('gpu0', known)).toBe(known)
})

const BIND = 'ioctl 0x3b76'
const HWPT_ALLOC = 'ioctl 0x3b89'

describe('a hand-over that the kernel does not take', () => {
  let rig = new VfioRig({ devices: DEVICES })
  beforeEach(() => {
    rig = new VfioRig({ devices: DEVICES })
  })

  /** Of the first call of the kind. */
  async function faultWith(call: string, code: number, dirtyTracking = false) {
    const { ioas } = rig.vm(VM)
    rig.kernel.interfere = (now) => (now === call ? { code: -code } : undefined)
    const asked = rig.attach('pri', VM, { parent: { kind: 'IOAS', id: ioas, dirtyTracking } })
    const fault = await asked.then(
      () => undefined,
      (error: unknown) => error,
    )
    rig.kernel.interfere = undefined
    rig.vm(VM).closeCdev('pri')
    expectNothingLeft(rig, `${call} fails`)
    // With the device opened anew it is taken.
    await rig.attach('pri', VM)
    return fault
  }

  test.each([
    ['EINVAL', E.EINVAL, /bound already/, /hand that over without VFIO_DEVICE_BIND_IOMMUFD/],
    ['EPERM', E.EPERM, /another iommufd, or its interrupts/, /allow_unsafe_interrupts/],
    ['ENODEV', E.ENODEV, /no IOMMU group, or it is gone/, /doctor/],
    ['EBADF', E.EBADF, /first descriptor is not open/, /\/dev\/iommu first/],
    ['EBADFD', E.EBADFD, /first descriptor is no iommufd/, /\/dev\/iommu first/],
    ['ENOTTY', E.ENOTTY, /no VFIO device/, /then \/dev\/vfio\/devices\/vfioN/],
    ['EBUSY', E.EBUSY, /in use by the host or by another process/, /vfio-pci/],
  ])('is refused with what to do when the bind fails with %s', async (name, code, says, todo) => {
    const fault = await faultWith(BIND, code)
    if (!(fault instanceof HandOverRefused)) throw new Error(String(fault))
    expect(fault.message).toMatch(`VFIO_DEVICE_BIND_IOMMUFD failed with ${name}: `)
    expect(fault.message).toMatch(says)
    expect(fault.remedy).toMatch(todo)
  })

  test.each([
    ['E2BIG', E.E2BIG, 'REFUSE'],
    ['EOPNOTSUPP', E.EOPNOTSUPP, 'REFUSE'],
    ['ENOMEM', E.ENOMEM, 'RETRY'],
    ['EINTR', E.EINTR, 'RETRY'],
    ['EFAULT', E.EFAULT, 'STOP'],
    ['EIO', E.EIO, 'STOP'],
  ])('is a fault of the backend when the bind fails with %s', async (name, code, kind) => {
    const fault = await faultWith(BIND, code)
    expect(fault).toBeInstanceOf(BackendFault)
    expect(fault).not.toBeInstanceOf(HandOverRefused)
    expect(fault).toMatchObject({ kind, message: expect.stringContaining(name) as string })
  })

  test.each([
    ['EINVAL', E.EINVAL, false, /read-only mapping/],
    ['EOPNOTSUPP', E.EOPNOTSUPP, false, /ECAP\.NEST/],
    ['EOPNOTSUPP', E.EOPNOTSUPP, true, /without dirty_tracking/],
    ['ENOENT', E.ENOENT, false, /open the device anew/],
  ])(
    'is refused with what to do when its parent fails with %s',
    async (name, code, dirty, todo) => {
      const fault = await faultWith(HWPT_ALLOC, code, dirty)
      if (!(fault instanceof HandOverRefused)) throw new Error(String(fault))
      expect(fault.message).toMatch(`IOMMU_HWPT_ALLOC failed with ${name}: `)
      expect(fault.remedy).toMatch(todo)
      expect(fault.remedy).toMatch(/close it, open the device anew/)
    },
  )
})
