/**
 * Whichever system call fails, with whichever errno: no leak, no half state, what was bound stands
 * or is told to be lost, and the next attempt succeeds. The n-th call of a whole life of a session,
 * for every n.
 */

import { describe, expect, test } from 'vitest'
import { BackendFault } from '../../src/backend/backend.js'
import { E } from '../support/vfio-fake-books.js'
import type { FakeCall, Interference } from '../support/vfio-fake-kernel.js'
import { expectNothingLeft, leftIn } from '../support/vfio-leaks.js'
import { DEVICES, groupStory, longStory, restStory, VM, type Story } from '../support/vfio-story.js'
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
  EEXIST: E.EEXIST,
  ENXIO: E.ENXIO,
} as const

/** Every system call that the backend has, as the model names them: the stories make them all. */
const EVERY_CALL: readonly FakeCall[] = [
  // DESTROY, HWPT_ALLOC, GET_HW_INFO, HWPT_INVALIDATE, FAULT_QUEUE_ALLOC of an iommufd
  'ioctl 0x3b80',
  'ioctl 0x3b89',
  'ioctl 0x3b8a',
  'ioctl 0x3b8d',
  'ioctl 0x3b8e',
  // BIND, ATTACH, DETACH of a VFIO device
  'ioctl 0x3b76',
  'ioctl 0x3b77',
  'ioctl 0x3b78',
  'read',
  'write',
  'close',
  'thread',
  'watch',
]

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

test('the stories make every system call that the backend has', async () => {
  const made = new Set<FakeCall>()
  for (const [, make] of STORIES) {
    for (const call of (await told(make)).rig.kernel.calls) made.add(call)
  }
  expect([...made].sort()).toEqual([...EVERY_CALL].sort())
})

/** From the n-th call on the device answers nothing else; descriptors can be closed all the same. */
async function vanished(make: (rig: VfioRig) => Story, n: number, code: number): Promise<void> {
  const rig = new VfioRig({ devices: DEVICES })
  rig.kernel.interfere = (call, index) => {
    return index < n || OURS.includes(call) ? undefined : { code: -code }
  }
  const { steps } = make(rig)
  for (const { name, run } of steps) {
    const end = await run().then(
      () => 'DONE',
      (error: unknown) => error,
    )
    if (end !== 'DONE' && !(end instanceof BackendFault)) throw new Error(`${name}: ${String(end)}`)
  }
  const uncertain = await rig.backend.handOvers.drop(VM, [])
  for (const name of uncertain) expect(DEVICES.map((device) => device.name)).toContain(name)
  expect(rig.backend.handOvers.kept()).toEqual([])
  await rig.backend.close()
  expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0, timers: 0 })
}

/** Calls that reach no device. */
const OURS: readonly FakeCall[] = ['close', 'thread', 'watch']

describe.each(STORIES)('the life of a session on %s', (_name, make) => {
  test.each([
    ['ENODEV', E.ENODEV],
    ['ENXIO', E.ENXIO],
    ['EIO', E.EIO],
  ])('whenever its device vanishes, with %s: it ends, and all is closed', async (name, code) => {
    const { calls } = (await told(make)).rig.kernel
    const failures: string[] = []
    for (const [i, call] of calls.entries()) {
      try {
        await vanished(make, i + 1, code)
      } catch (error) {
        failures.push(`from call ${i + 1}, ${call}: ${name}: ${String(error)}`)
      }
    }
    expect(failures).toEqual([])
  })

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
