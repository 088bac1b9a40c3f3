/**
 * Whichever system call fails, with whichever errno: no leak, no half state, what was bound stands
 * or is told to be lost, and the next attempt succeeds. The n-th call of a whole life of a session,
 * for every n.
 */

import { describe, expect, test } from 'vitest'
import { E } from '../support/vfio-fake-books.js'
import type { FakeCall, Interference } from '../support/vfio-fake-kernel.js'
import { expectNothingLeft, leftIn } from '../support/vfio-leaks.js'
import { DEVICES, groupStory, longStory, restStory, type Story } from '../support/vfio-story.js'
import { VfioRig } from '../support/vfio-rig.js'

const STORIES: readonly (readonly [string, (rig: VfioRig) => Story])[] = [
  ['one device', longStory],
  ['a group', groupStory],
  ['a device whose RID rests', restStory],
]

/** Those of reference kernel-facts 3.4, and what a machine in trouble answers. */
const ERRNOS = {
  EINVAL: E.EINVAL,
  ENOENT: E.ENOENT,
  EBUSY: E.EBUSY,
  EOPNOTSUPP: E.EOPNOTSUPP,
  ENOMEM: E.ENOMEM,
  EFAULT: E.EFAULT,
  ENODEV: E.ENODEV,
  ENOSPC: E.ENOSPC,
  EPERM: E.EPERM,
  E2BIG: E.E2BIG,
  ENOTTY: E.ENOTTY,
  EINTR: E.EINTR,
  EIO: E.EIO,
  EBADF: E.EBADF,
  EBADFD: E.EBADFD,
  ESPIPE: E.ESPIPE,
  EOVERFLOW: E.EOVERFLOW,
  EACCES: E.EACCES,
  EAGAIN: E.EAGAIN,
  EMFILE: E.EMFILE,
} as const

/**
 * The kernel undoes what it has made when it cannot tell of it, and says so of an answer that it
 * took (iommufd_fault_fops_write): those have failed before.
 */
const MAKES: readonly FakeCall[] = [
  'ioctl 0x3b89',
  'ioctl 0x3b8e',
  'read',
  'write',
  'thread',
  'watch',
]
const DESTROY = 'ioctl 0x3b80'
const ATTACH = 'ioctl 0x3b77'

function failing(n: number, code: number, after: boolean) {
  return (call: FakeCall, index: number): Interference | undefined => {
    if (index !== n) return undefined
    // close(2) closes, whatever it says.
    const isDone = call === 'close' || (after && !MAKES.includes(call))
    return { code: -code, after: isDone }
  }
}

/**
 * What goes with the VMM's iommufd: an object that could not be destroyed, one that the kernel said
 * it does not know, and what these need.
 */
function excused(rig: VfioRig, call: FakeCall, name: string, after: boolean): readonly string[] {
  const isUnknown = call === ATTACH && name === 'ENOENT'
  const { objects } = leftIn(rig)
  const isExcused = (call === DESTROY && !after) || isUnknown
  return isExcused && objects.length < 4 ? objects : []
}

async function told(make: (rig: VfioRig) => Story, interfere?: VfioRig['kernel']['interfere']) {
  const rig = new VfioRig({ devices: DEVICES })
  rig.kernel.interfere = interfere
  const faults = await make(rig).tell()
  await rig.close()
  return { rig, faults }
}

describe.each(STORIES)('the life of a session on %s', (_name, make) => {
  test('leaves nothing behind', async () => {
    const { rig, faults } = await told(make)
    expect(faults).toEqual([])
    expectNothingLeft(rig, 'undisturbed')
    expect(rig.kernel.calls.length).toBeGreaterThan(5)
  })

  for (const after of [false, true]) {
    const when = after ? 'is carried out and fails' : 'fails'
    test.each(Object.entries(ERRNOS))(`whichever call ${when} with %s`, async (name, code) => {
      const { calls } = (await told(make)).rig.kernel
      const failures: string[] = []
      for (const [i, call] of calls.entries()) {
        const what = `call ${i + 1}, ${call}: ${name}`
        try {
          const { rig } = await told(make, failing(i + 1, code, after))
          expectNothingLeft(rig, what, excused(rig, call, name, after))
        } catch (error) {
          failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`)
        }
      }
      expect(failures).toEqual([])
    })
  }
})
