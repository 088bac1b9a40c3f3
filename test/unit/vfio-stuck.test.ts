/**
 * Whichever system call does not come back: past the deadline its device is stuck, is seen to be,
 * and holds up nobody else; when the call is back the device is usable, and what nobody waited for
 * any more is not there. The n-th call of a whole life of a session, for every n.
 */

import { describe, expect, test } from 'vitest'
import { BackendFault, type Backend } from '../../src/backend/backend.js'
import { RID, sessionId } from '../../src/core/ids.js'
import type { FakeCall, FakeKernel } from '../support/vfio-fake-kernel.js'
import { expectNothingLeft, leftIn } from '../support/vfio-leaks.js'
import { DEADLINE_MS, VfioRig } from '../support/vfio-rig.js'
import {
  DEVICES,
  groupStory,
  longStory,
  requestFor,
  settled,
  TABLES,
  VM,
  type Story,
} from '../support/vfio-story.js'

const STORIES: readonly (readonly [string, (rig: VfioRig) => Story])[] = [
  ['one device', longStory],
  ['a group', groupStory],
]
const NOT_CALLS: readonly FakeCall[] = ['thread', 'watch']
const [TABLE] = TABLES

/** Holds up the n-th call; answers with what lets it go on. */
function hold(kernel: FakeKernel, n: number): () => void {
  let release = (): void => undefined
  const until = new Promise<void>((resolve) => {
    release = resolve
  })
  kernel.interfere = (_call, index) => (index === n ? { until } : undefined)
  return release
}

/** What a call comes to when only time can pass; undefined: it waits. */
async function endOf(call: Promise<unknown>): Promise<'DONE' | BackendFault | undefined> {
  let end: 'DONE' | BackendFault | undefined
  call.then(
    () => {
      end = 'DONE'
    },
    (fault: unknown) => {
      if (!(fault instanceof BackendFault)) throw fault
      end = fault
    },
  )
  // Some steps wait a few turns by themselves.
  for (let turn = 0; turn < 4; turn += 1) await settled()
  return end
}

async function expectStuck(backend: Backend, device: string): Promise<void> {
  expect(backend.health()).toMatchObject({
    state: 'DEGRADED',
    reason: expect.stringMatching(/stuck/),
  })
  const place = requestFor(device, 9, TABLE)
  const calls = [backend.bind(place), backend.unbind(place), backend.detachDevice(device, VM)]
  const ends = await Promise.all(calls.map(endOf))
  expect(ends).toMatchObject(ends.map(() => ({ kind: 'STOP' })))
}

describe.each(STORIES)('the life of a session on %s', (_name, make) => {
  test('whichever call is stuck', async () => {
    const undisturbed = new VfioRig({ devices: DEVICES })
    await make(undisturbed).tell()
    const { calls } = undisturbed.kernel
    let stuck = 0
    for (const [i, call] of calls.entries()) {
      if (NOT_CALLS.includes(call)) continue
      const what = `call ${i + 1}, ${call}`
      const rig = new VfioRig({ devices: DEVICES })
      const release = hold(rig.kernel, i + 1)
      const story = make(rig)
      story.attempt = async ({ name, run, place }) => {
        const attempt = run()
        const first = await endOf(attempt)
        if (first === 'DONE') return undefined
        if (first !== undefined) {
          // Nobody but the step waits for what is read.
          release()
          await settled()
          return first
        }
        stuck += 1
        rig.clock.pass(DEADLINE_MS)
        const late = await endOf(attempt)
        expect(late, what).toMatchObject({ kind: 'STOP' })
        const device = rig.vm(VM).cdevs.keys().next().value ?? ''
        await expectStuck(rig.backend, device)
        // Others are served.
        const other = sessionId(2)
        expect(await endOf(rig.attach('other', other)), what).toBe('DONE')
        expect(await endOf(rig.backend.detachDevice('other', other)), what).toBe('DONE')
        rig.vm(other).closeCdev('other')
        release()
        await settled()
        rig.clock.pass(100)
        await settled()
        expect(rig.backend.health(), what).toEqual({ state: 'READY' })
        // What was told to be lost is not there, before anybody takes it down.
        const left = rig.bound().filter((each) => {
          return each.device === place?.device && each.target === place.target
        })
        if (/^(bind|replace)/.test(name) && place?.target !== RID) expect(left, what).toEqual([])
        return late === 'DONE' ? undefined : late
      }
      await story.tell().catch((error: unknown) => {
        throw new Error(`${what}: ${String(error)}`, { cause: error })
      })
      await rig.close()
      expectNothingLeft(rig, what)
    }
    expect(stuck).toBeGreaterThan(20)
  })

  test('whichever call is stuck, its owner ends: all is closed within a second', async () => {
    const undisturbed = new VfioRig({ devices: DEVICES })
    await make(undisturbed).tell()
    for (const [i, call] of undisturbed.kernel.calls.entries()) {
      if (NOT_CALLS.includes(call)) continue
      const what = `call ${i + 1}, ${call}`
      const rig = new VfioRig({ devices: DEVICES })
      const release = hold(rig.kernel, i + 1)
      const story = make(rig)
      let dropped: readonly string[] | undefined
      for (const step of story.steps) {
        const attempt = step.run()
        const end = await endOf(attempt)
        if (end === 'DONE') continue
        rig.vm(VM).die()
        const drop = rig.backend.handOvers.drop(VM, [])
        await settled()
        rig.clock.pass(999)
        await settled()
        expect(end ?? (await endOf(attempt)), what).toMatchObject({ name: 'BackendFault' })
        dropped = await Promise.race([drop, settled().then(() => undefined)])
        break
      }
      expect(dropped, what).toBeDefined()
      // Numbers of descriptors that a call still means stay taken, but stand for nothing.
      const open = [...rig.kernel.openFiles()]
      expect(open, what).toEqual([])
      const uncertain = dropped ?? []
      expect(uncertain.length, what).toBeLessThanOrEqual(1 + Number(make === groupStory))
      release()
      await settled()
      const { descriptors, threads, bound, kept } = leftIn(rig)
      expect({ descriptors, threads, bound, kept }, what).toEqual({
        descriptors: 0,
        threads: 0,
        bound: [],
        kept: 0,
      })
      expect(rig.backend.health(), what).toEqual({ state: 'READY' })
      await rig.close()
    }
  })
})
