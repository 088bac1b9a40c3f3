/**
 * The daemon is killed in whichever system call, before it or after it, and started again with what
 * the keeper has: what was bound stands or is bound again, nothing else does, the session goes on,
 * and in the end nothing is left. As the broker recovers: attach, settle, bind.
 */

import { describe, expect, test } from 'vitest'
import { BackendFault } from '../../src/backend/backend.js'
import { target } from '../../src/core/ids.js'
import type { FakeCall } from '../support/vfio-fake-kernel.js'
import { leftIn } from '../support/vfio-leaks.js'
import { VfioRig } from '../support/vfio-rig.js'
import {
  DEVICES,
  groupStory,
  longStory,
  requestFor,
  settled,
  VM,
  type Step,
  type Story,
} from '../support/vfio-story.js'

const STORIES: readonly (readonly [string, (rig: VfioRig) => Story])[] = [
  ['one device', longStory],
  ['a group', groupStory],
]
const NOT_CALLS: readonly FakeCall[] = ['thread', 'watch']
const GRANTED = [5, 6, 7].map(target)
const NEVER = new Promise<void>(() => undefined)

/** What the broker has on record when it was killed in the step. */
interface Record {
  readonly attached: Set<string>
  readonly bound: Step['after']
  /** As bound() says when the step was carried out to its end. */
  readonly asked: Step['after']
}

async function recover(rig: VfioRig, story: Story, step: Step, record: Record): Promise<void> {
  const { backend } = rig
  const { handOvers } = backend
  for (const device of record.attached) await backend.attachDevice(device, VM)
  expect(handOvers.kept()).toEqual([])
  for (const device of [...record.attached]) {
    if (!handOvers.holds(device, VM)) {
      // The attachment was under way; or its detach was, and it is gone.
      expect(step.name).toMatch(new RegExp(`(attach|detach) ${device}`))
      record.attached.delete(device)
      continue
    }
    // Its binding is being recorded as one that is asked for, or that is to go.
    const keep = [...record.bound].flatMap(([key, table]) => {
      const isSame = record.asked.get(key) === table
      return key.startsWith(`${device}/`) && isSame ? [target(Number(key.split('/')[1]))] : []
    })
    if (!step.name.startsWith('detach'))
      await handOvers.settle(device, VM, { granted: GRANTED, keep })
  }
  if (step.name.startsWith('detach')) return
  for (const [key, table] of record.asked) {
    const [device = '', at = ''] = key.split('/')
    const request = requestFor(device, Number(at), table)
    await backend.bind(request).catch(async (fault: unknown) => {
      if (!(fault instanceof BackendFault) || fault.kind !== 'REFUSE') throw fault
      await backend.unbind(request)
      await backend.bind(request)
    })
  }
  story.expectBound(record.asked, `recovered after ${step.name}`)
}

/** Tells the story; answers the step in which it was killed. */
async function toldUntilKilled(rig: VfioRig, story: Story, isKilled: () => boolean) {
  const attached = new Set<string>()
  let bound: Step['after'] = new Map()
  for (const [i, step] of story.steps.entries()) {
    const [verb, device = ''] = step.name.split(' ')
    if (verb === 'attach') attached.add(device)
    const run = step.run()
    run.catch(() => undefined)
    for (let turn = 0; turn < 4 && !isKilled(); turn += 1) await settled()
    if (isKilled()) {
      // Of an unbind nothing is asked for; whatever else is asked for is on record as such.
      return { rest: story.steps.slice(i), step, record: { attached, bound, asked: step.after } }
    }
    await run
    if (verb === 'detach') attached.delete(device)
    bound = step.after
  }
  return undefined
}

describe.each(STORIES)('the life of a session on %s', (_name, make) => {
  test.each(['before', 'after'])('killed %s whichever call', async (when) => {
    const undisturbed = new VfioRig({ devices: DEVICES })
    await make(undisturbed).tell()
    let kills = 0
    for (const [i, call] of undisturbed.kernel.calls.entries()) {
      if (NOT_CALLS.includes(call)) continue
      const what = `killed ${when} call ${i + 1}, ${call}`
      const rig = new VfioRig({ devices: DEVICES })
      const story = make(rig)
      let isHeld = false
      rig.kernel.interfere = (_call, index) => {
        if (index !== i + 1) return undefined
        isHeld = true
        return when === 'before' ? { until: NEVER } : { back: NEVER }
      }
      const killed = await toldUntilKilled(rig, story, () => isHeld)
      if (killed === undefined) throw new Error(`${what}: it was never made`)
      kills += 1
      rig.kill()
      try {
        await recover(rig, story, killed.step, killed.record)
        const [first, ...others] = killed.rest
        await first?.run().catch((fault: unknown) => {
          // What the kernel had taken for answered waits no more.
          const isAnswer = call === 'write' && fault instanceof BackendFault
          if (!isAnswer || fault.kind !== 'REFUSE') throw fault
        })
        for (const step of others) await step.run()
      } catch (error) {
        throw new Error(`${what}, ${killed.step.name}: ${String(error)}`, { cause: error })
      }
      await rig.close()
      const { objects, ...left } = leftIn(rig)
      expect(left, what).toEqual({ descriptors: 0, threads: 0, kept: 0, bound: [], timers: 0 })
      // What was made and not remembered, and what it needs: it goes with the VMM's iommufd.
      expect(objects.length, what).toBeLessThan(4)
    }
    expect(kills).toBeGreaterThan(15)
  })
})
