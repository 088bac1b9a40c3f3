/**
 * The end of an owner, and what comes after: everything of its session is detached and closed
 * within a second, whatever is stuck or fails, others are left alone, and it is said of which
 * devices it is not certain. And whether nobody has a device.
 */

import { beforeEach, describe, expect, test } from 'vitest'
import { NotHandedOver } from '../../src/backend/backend.js'
import { DROP_MS, SWEEP_MS } from '../../src/backend/vfio/group.js'
import { sessionId, target } from '../../src/core/ids.js'
import { E } from '../support/vfio-fake-books.js'
import { expectNothingLeft, leftIn } from '../support/vfio-leaks.js'
import { DEADLINE_MS, THREADS, VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, settled, TABLES, VM } from '../support/vfio-story.js'

const OTHER_VM = sessionId(2)
const DETACH = 'ioctl 0x3b78'
const BIND = 'ioctl 0x3b76'
const [ONE, TWO] = TABLES
const FIFTY = Array.from({ length: 50 }, (_, i) => target(i + 1))
const THOUSAND = Array.from({ length: 1000 }, (_, i) => target(i + 1))

let rig = new VfioRig({ devices: DEVICES })
beforeEach(() => {
  rig = new VfioRig({ devices: DEVICES })
})

describe('a session that is dropped', () => {
  async function boundEverywhere(): Promise<void> {
    await rig.attach('pri', VM, { moveRid: true })
    await rig.attach('first', VM)
    await rig.attach('second', VM)
    await rig.backend.attachDevice('other', VM)
    for (const name of ['pri', 'first', 'second']) {
      await rig.backend.bind(requestFor(name, 5, ONE))
      await rig.backend.bind(requestFor(name, 0, TWO))
    }
  }

  test('has nothing attached, and nothing of ours is left, though a child has its files', async () => {
    await boundEverywhere()
    const device = rig.kernel.device('pri')
    device.attach(device.table.get(5)?.id ?? 0, 7)
    const { parentHwpt = 0 } = (await rig.attach('other', VM)) ?? {}
    rig.kernel.device('other').attach(parentHwpt, 0)
    expect(await rig.backend.handOvers.drop(VM, FIFTY)).toEqual([])
    expect(rig.bound()).toEqual([])
    const { bound, ...left } = leftIn(rig)
    expect(bound).toEqual(['pri', 'first', 'second', 'other'])
    expect(left).toMatchObject({ descriptors: 0, threads: 0, kept: 0, timers: 0 })
    rig.vm(VM).die()
    expectNothingLeft(rig, 'dead')
  })

  test('is dropped once, and its calls have nothing left to do', async () => {
    await boundEverywhere()
    await rig.backend.handOvers.drop(VM, [])
    const before = rig.kernel.calls.length
    expect(await rig.backend.handOvers.drop(VM, FIFTY)).toEqual([])
    await rig.backend.unbind(requestFor('pri', 5, ONE))
    await rig.backend.detachDevice('pri', VM)
    expect(rig.kernel.calls.length).toBe(before)
    for (const name of ['pri', 'other']) {
      const asked = rig.backend.bind(requestFor(name, 5, ONE))
      await expect(asked).rejects.toMatchObject({ kind: 'REFUSE' })
      await expect(asked).rejects.not.toBeInstanceOf(NotHandedOver)
    }
  })

  test('makes room for another at once', async () => {
    await boundEverywhere()
    const dropped = rig.backend.handOvers.drop(VM, [])
    rig.vm(VM).die()
    await dropped
    await rig.attach('pri', OTHER_VM)
    await rig.attach('first', OTHER_VM)
    await rig.backend.bind({ ...requestFor('pri', 5, ONE), session: OTHER_VM })
    expect(rig.bound()).toHaveLength(1)
  })

  test('leaves others alone', async () => {
    await rig.attach('pri', VM)
    await rig.attach('other', OTHER_VM)
    const theirs = { ...requestFor('other', 5, ONE), session: OTHER_VM }
    await rig.backend.bind(theirs)
    expect(await rig.backend.handOvers.drop(VM, FIFTY)).toEqual([])
    expect(rig.bound()).toMatchObject([{ device: 'other', target: 5 }])
    expect(await rig.backend.handOvers.drop(sessionId(3), FIFTY)).toEqual([])
  })

  test('is not certain where a detach fails', async () => {
    await boundEverywhere()
    let failed = false
    rig.kernel.interfere = (call) => {
      if (call !== DETACH || failed) return undefined
      failed = true
      return { code: -E.EIO }
    }
    expect(await rig.backend.handOvers.drop(VM, [])).toEqual(['pri'])
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0 })
  })

  test('is not certain of numbers that there was no time for', async () => {
    await rig.attach('other', VM)
    let detached = 0
    rig.kernel.interfere = (call) => {
      if (call === DETACH) detached += 1
      if (detached === 10) rig.clock.pass(SWEEP_MS)
      return undefined
    }
    expect(await rig.backend.handOvers.drop(VM, THOUSAND)).toEqual(['other'])
    expect(detached).toBeLessThan(100)
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0 })
  })
})

describe('a session of many devices', () => {
  const MANY = Array.from({ length: 64 }, (_, i) => ({ name: `d${i}`, maxPasidLog2: 10 }))
  beforeEach(async () => {
    rig = new VfioRig({ devices: MANY })
    for (const { name } of MANY) {
      await rig.attach(name, VM)
      await rig.backend.bind(requestFor(name, 5, ONE))
    }
  })

  test('has no more threads than its share', async () => {
    expect(rig.kernel.threads).toBe(THREADS)
    await rig.backend.handOvers.drop(VM, [])
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0 })
  })

  test('with one that is stuck: those that share its thread go on with another', async () => {
    let release = (): void => undefined
    const until = new Promise<void>((resolve) => {
      release = resolve
    })
    let held = false
    rig.kernel.interfere = (call) => {
      if (call !== DETACH || held) return undefined
      held = true
      return { until }
    }
    const stuck = rig.backend.unbind(requestFor('d0', 5, ONE))
    stuck.catch(() => undefined)
    const others = MANY.slice(1).map(({ name }) => rig.backend.unbind(requestFor(name, 5, ONE)))
    await settled()
    rig.clock.pass(DEADLINE_MS)
    await Promise.all(others)
    await expect(stuck).rejects.toMatchObject({ kind: 'STOP', message: /d0 is stuck/ })
    expect(rig.kernel.threads).toBeLessThanOrEqual(THREADS + 1)
    for (const { name } of MANY.slice(1)) await rig.backend.bind(requestFor(name, 6, TWO))
    release()
    await settled()
    await rig.backend.unbind(requestFor('d0', 5, ONE))
    await rig.backend.handOvers.drop(VM, [])
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, kept: 0, timers: 0 })
  })
})

describe('whether nobody has a device', () => {
  test('is seen by binding it for a moment', async () => {
    expect(await rig.backend.handOvers.seenClosed('pri')).toBe(true)
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, bound: [] })
    await rig.attach('pri', VM)
    await rig.backend.detachDevice('pri', VM)
    expect(await rig.backend.handOvers.seenClosed('pri')).toBe(false)
    rig.vm(VM).closeCdev('pri')
    expect(await rig.backend.handOvers.seenClosed('pri')).toBe(true)
  })

  test('is seen by its removal, once that is over and not while it waits', async () => {
    const device = rig.kernel.device('pri')
    device.hidden = true
    expect(await rig.backend.handOvers.seenClosed('pri')).toBeUndefined()
    device.removed = true
    expect(await rig.backend.handOvers.seenClosed('pri')).toBe(true)
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, bound: [] })
  })

  test('is known without where we have it, or one of its group', async () => {
    await rig.attach('first', VM)
    const before = rig.kernel.calls.length
    for (const name of ['first', 'second']) {
      expect(await rig.backend.handOvers.seenClosed(name)).toBe(false)
    }
    expect(rig.kernel.calls.length).toBe(before)
  })

  test.each([
    ['no such device', 'no-such-device', {}],
    ['it may not be bound', 'pri', { code: -E.EPERM }],
    ['it is gone', 'pri', { code: -E.ENODEV }],
  ])('cannot be told: %s', async (_what, name, interference) => {
    rig.kernel.interfere = (call) => (call === BIND ? interference : undefined)
    expect(await rig.backend.handOvers.seenClosed(name)).toBeUndefined()
    expect(leftIn(rig)).toMatchObject({ descriptors: 0, threads: 0, bound: [] })
  })

  test('cannot be told while the look is stuck, nor after the end', async () => {
    rig.kernel.interfere = (call) => (call === BIND ? { until: new Promise(() => undefined) } : {})
    const look = rig.backend.handOvers.seenClosed('pri')
    await settled()
    rig.clock.pass(DEADLINE_MS)
    expect(await look).toBeUndefined()
    await rig.backend.close()
    expect(await rig.backend.handOvers.seenClosed('other')).toBeUndefined()
  })

  test('is asked while it is handed over: one waits for the other', async () => {
    const [seen, attached] = await Promise.all([
      rig.backend.handOvers.seenClosed('pri'),
      rig.attach('pri', VM),
    ])
    expect(seen).toBe(true)
    expect(attached).toMatchObject({ rid: 'NOT_ATTACHED' })
  })
})

describe('what is kept for a later life', () => {
  test('is taken up by its session only, and is dropped for one that is no more', async () => {
    await rig.attach('pri', VM)
    await rig.attach('other', OTHER_VM)
    await rig.backend.bind(requestFor('pri', 5, ONE))
    await rig.backend.bind({ ...requestFor('other', 5, ONE), session: OTHER_VM })
    await rig.restart()
    const { handOvers } = rig.backend
    const others = { device: 'other', session: OTHER_VM }
    expect(handOvers.kept()).toEqual([{ device: 'pri', session: VM }, others])
    expect(await rig.backend.attachDevice('pri', VM)).toMatchObject({ rid: 'NOT_ATTACHED' })
    expect(handOvers.kept()).toEqual([others])
    expect(rig.bound()).toHaveLength(2)
    const given = rig.vm(VM).handOver('other')
    await expect(rig.backend.attachDevice('other', VM, given)).rejects.toMatchObject({
      kind: 'REFUSE',
    })
    expect(await handOvers.drop(OTHER_VM, [])).toEqual([])
    expect(handOvers.kept()).toEqual([])
    expect(rig.bound()).toMatchObject([{ device: 'pri', target: 5 }])
  })

  test('is let go of where nobody takes it up, one device at a time', async () => {
    await rig.attach('first', VM)
    await rig.attach('second', VM)
    await rig.backend.bind(requestFor('first', 5, ONE))
    await rig.backend.bind(requestFor('second', 5, ONE))
    await rig.restart()
    await rig.backend.detachDevice('second', VM)
    expect(rig.backend.handOvers.kept()).toEqual([{ device: 'first', session: VM }])
    expect(rig.bound()).toMatchObject([{ device: 'first', target: 5 }])
    await rig.backend.attachDevice('first', VM)
    expect(rig.backend.handOvers.kept()).toEqual([])
    expect(await rig.backend.handOvers.drop(VM, [])).toEqual([])
    rig.vm(VM).die()
    expectNothingLeft(rig, 'dropped')
  })

  test.each(['detach', 'drop', 'drop that was stuck'])(
    'is not believed after a %s, where the keeper has it still',
    async (how) => {
      await rig.attach('pri', VM)
      await rig.backend.bind(requestFor('pri', 5, ONE))
      const { keeper } = rig
      const drop = keeper.drop.bind(keeper)
      keeper.drop = () => undefined
      if (how !== 'detach') {
        const until = new Promise<void>(() => undefined)
        const isStuck = how !== 'drop'
        rig.kernel.interfere = (call) => (isStuck && call === DETACH ? { until } : undefined)
        const dropped = rig.backend.handOvers.drop(VM, [])
        await settled()
        rig.clock.pass(DROP_MS)
        expect(await dropped).toEqual(isStuck ? ['pri'] : [])
      } else {
        await rig.backend.unbind(requestFor('pri', 5, ONE))
        await rig.backend.detachDevice('pri', VM)
      }
      expect(keeper.files.size).toBe(4)
      keeper.drop = drop
      rig.kill()
      await settled()
      expect(rig.backend.handOvers.kept()).toEqual([])
      expect(rig.backend.handOvers.holds('pri', VM)).toBe(false)
      rig.vm(VM).die()
      expectNothingLeft(rig, 'another life')
    },
  )

  test('of a group twice: the second is detached and closed, the first stands', async () => {
    const { files } = rig.keeper
    await rig.attach('first', VM)
    await rig.backend.bind(requestFor('first', 5, ONE))
    const aside = [...files]
    files.clear()
    rig.kill()
    await rig.attach('second', VM)
    await rig.backend.bind(requestFor('second', 6, TWO))
    for (const [name, file] of aside) files.set(name, file)
    rig.kill()
    await settled()
    const { handOvers } = rig.backend
    expect(handOvers.kept()).toEqual([{ device: 'second', session: VM }])
    const why = expect.stringContaining('a group has one owner')
    expect(handOvers.turnedAway).toEqual([{ device: 'first', session: VM, why }])
    expect(handOvers.holds('first', VM)).toBe(false)
    expect(rig.bound()).toMatchObject([{ device: 'second', target: 6 }])
    expect([...files.keys()].filter((name) => name.includes('first'))).toEqual([])
    await rig.backend.attachDevice('second', VM)
    expect(await handOvers.drop(VM, [])).toEqual([])
    rig.vm(VM).die()
    const { objects, ...left } = leftIn(rig)
    expect(left).toEqual({ descriptors: 0, threads: 0, kept: 0, bound: [], timers: 0 })
    expect(objects).toEqual([])
  })

  test('says better what the device can do, at once', async () => {
    expect(rig.backend.devices()[0]?.pasidBits).toBe(20)
    await rig.attach('pri', VM)
    expect(rig.backend.devices()[0]?.pasidBits).toBe(10)
    await rig.restart()
    expect(rig.backend.devices()[0]?.pasidBits).toBe(10)
  })

  test('is closed as a whole where anything of it is missing', async () => {
    await rig.attach('pri', VM)
    const names = [...rig.keeper.files.keys()]
    expect(names).toHaveLength(4)
    await rig.backend.handOvers.drop(VM, [])
    for (const missing of names) {
      rig = new VfioRig({ devices: DEVICES })
      await rig.attach('pri', VM)
      await rig.backend.bind(requestFor('pri', 5, ONE))
      rig.keeper.drop(missing)
      await rig.restart()
      await settled()
      expect(rig.backend.handOvers.holds('pri', VM)).toBe(false)
      expect(rig.backend.handOvers.kept()).toEqual([])
      expect(leftIn(rig), missing).toMatchObject({ descriptors: 0, threads: 0, kept: 0 })
    }
  })

  test('is closed where the device is configured no more', async () => {
    await rig.attach('pri', VM)
    const later = new VfioRig({ devices: [{ name: 'new', maxPasidLog2: 10 }] })
    for (const [name, file] of rig.keeper.files) later.keeper.files.set(name, file)
    expect(later.keeper.files.size).toBe(4)
    await later.restart()
    await settled()
    expect(later.keeper.files.size).toBe(0)
    expect(later.kernel.openFds).toBe(0)
  })

  test('is given up where no more can be remembered: all goes on, until the daemon ends', async () => {
    await rig.attach('pri', VM)
    await rig.backend.bind(requestFor('pri', 5, ONE))
    rig.keeper.breakMemories()
    await rig.backend.bind(requestFor('pri', 6, TWO))
    expect(rig.keeper.files.size).toBe(0)
    expect(rig.bound()).toHaveLength(2)
    await rig.backend.unbind(requestFor('pri', 5, ONE))
    await rig.restart()
    expect(rig.backend.handOvers.holds('pri', VM)).toBe(false)
  })
})
