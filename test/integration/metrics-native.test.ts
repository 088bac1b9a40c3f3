/**
 * The gauge of the backend on devices of the host: 1 while every device answers, 0 while any is
 * stuck, whatever it is stuck in and whoever's it is, and 1 again when the kernel is back.
 */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { DROP_MS } from '../../src/backend/vfio/group.js'
import { sessionId } from '../../src/core/ids.js'
import { Metrics } from '../../src/daemon/metrics.js'
import { BrokerRig, removeFolders } from '../support/broker-rig.js'
import { DEADLINE_MS, VfioRig } from '../support/vfio-rig.js'
import { DEVICES, requestFor, settled, TABLES, VM } from '../support/vfio-story.js'

const [TABLE] = TABLES
const OTHER_VM = sessionId(2)
const undo: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each()
})
afterAll(removeFolders)

interface Scene {
  readonly vfio: VfioRig
  /** As a scrape has it. */
  readonly ready: () => Promise<string | undefined>
  /** Its first call waits in the kernel; answers with what ends that. */
  readonly hangIn: (call: () => Promise<unknown>) => Promise<() => Promise<void>>
}

async function scene(): Promise<Scene> {
  const vfio = new VfioRig({ devices: DEVICES })
  const rig = await BrokerRig.start({ other: vfio.backend })
  undo.push(
    () => vfio.close(),
    () => rig.stop(),
  )
  const metrics = new Metrics('0')
  metrics.observe({ broker: rig.broker, connections: () => new Map() })
  const ready = async () => /^pasid_backend_ready (.*)$/m.exec(await metrics.text())?.[1]
  const hangIn = async (call: () => Promise<unknown>) => {
    let release = (): void => undefined
    const until = new Promise<void>((resolve) => {
      release = resolve
    })
    vfio.kernel.interfere = () => ({ until })
    const ended = call().catch(() => undefined)
    await settled()
    vfio.kernel.interfere = undefined
    return async () => {
      release()
      await ended
      await settled()
    }
  }
  return { vfio, ready, hangIn }
}

describe('pasid_backend_ready', () => {
  test('is 1 before, while and after a device is in our hands', async () => {
    const { vfio, ready } = await scene()
    expect(await ready()).toBe('1')
    await vfio.attach('pri', VM)
    await vfio.backend.bind(requestFor('pri', 5, TABLE))
    expect(await ready()).toBe('1')
    await vfio.backend.handOvers.drop(VM, [])
    expect(await ready()).toBe('1')
  })

  test('is 0 from the deadline of a call on, until it comes back', async () => {
    const { vfio, ready, hangIn } = await scene()
    await vfio.attach('pri', VM)
    const goOn = await hangIn(() => vfio.backend.bind(requestFor('pri', 5, TABLE)))
    vfio.clock.pass(DEADLINE_MS - 1)
    expect(await ready()).toBe('1')
    vfio.clock.pass(1)
    expect(await ready()).toBe('0')
    await goOn()
    expect(await ready()).toBe('1')
  })

  test('is 0 until the last of two devices answers', async () => {
    const { vfio, ready, hangIn } = await scene()
    await vfio.attach('pri', VM)
    await vfio.attach('other', OTHER_VM)
    const theirs = { ...requestFor('other', 5, TABLE), session: OTHER_VM }
    const first = await hangIn(() => vfio.backend.bind(requestFor('pri', 5, TABLE)))
    const second = await hangIn(() => vfio.backend.bind(theirs))
    vfio.clock.pass(DEADLINE_MS)
    expect(await ready()).toBe('0')
    await first()
    expect(await ready()).toBe('0')
    await second()
    expect(await ready()).toBe('1')
  })

  test('is 0 while the kernel keeps what was closed for a session that has ended', async () => {
    const { vfio, ready, hangIn } = await scene()
    await vfio.attach('pri', VM)
    await vfio.backend.bind(requestFor('pri', 5, TABLE))
    const goOn = await hangIn(() => vfio.backend.unbind(requestFor('pri', 5, TABLE)))
    vfio.clock.pass(DEADLINE_MS)
    const dropped = vfio.backend.handOvers.drop(VM, [])
    await settled()
    vfio.clock.pass(DROP_MS)
    await settled()
    expect(await ready()).toBe('0')
    await goOn()
    expect(await dropped).toEqual(['pri'])
    expect(await ready()).toBe('1')
  })

  test('is 0 when the backend has ended', async () => {
    const { vfio, ready } = await scene()
    await vfio.backend.close()
    expect(await ready()).toBe('0')
  })
})
