/**
 * What every backend owes the broker, said against the door alone: the emulator and the native
 * backend run the same suite. What a backend cannot show (a list of what is bound, a failure in the
 * middle of a replace) is skipped where it is not offered, nothing else.
 */

import process from 'node:process'
import { beforeEach, afterEach, describe, expect, test } from 'vitest'
import type { BindRequest, Place } from '../../src/backend/backend.js'
import { domainId, RID } from '../../src/core/ids.js'
import {
  at,
  attach,
  DOMAIN,
  expectBound,
  fault,
  lcg,
  OTHER_VM,
  VM,
  type BackendUnderTest,
  type Ground,
} from './backend-ground.js'
import { groupTests } from './backend-groups.js'
import { pageRequestTests } from './backend-page-requests.js'

export type { BackendUnderTest } from './backend-ground.js'

const SEED = Number(process.env['SEED'] ?? 20_200_608)
const RANDOM_STEPS = 2000

export function backendContract(name: string, create: () => Promise<BackendUnderTest>): void {
  describe(`backend: ${name}`, () => {
    let current: BackendUnderTest | undefined
    const ground = (): Ground => {
      if (current === undefined) throw new Error('no backend was made')
      const it = current
      const on: Ground['on'] = (device, index, table, domain = DOMAIN) => {
        const place = { device, target: at(it.targets, index), session: VM }
        return { ...place, table: at(it.tables, table), domain }
      }
      return { it, on, request: (...asked) => on(it.exclusive, ...asked) }
    }
    beforeEach(async () => {
      current = await create()
      await attach(current, current.exclusive, VM)
    })
    afterEach(async () => {
      await current?.backend.close()
      current = undefined
    })
    attachTests(ground)
    bindTests(ground)
    unbindTests(ground)
    replaceTests(ground)
    sharedTests(ground)
    groupTests(ground)
    pageRequestTests(ground)
    invalidateTests(ground)
    endTests(ground)
    randomTests(ground)
  })
}

function attachTests(ground: () => Ground): void {
  test('attach and detach may be repeated', async () => {
    const { it } = ground()
    await attach(it, it.exclusive, VM)
    await it.backend.detachDevice(it.exclusive, VM)
    await it.backend.detachDevice(it.exclusive, VM)
    await it.backend.detachDevice(it.exclusive, OTHER_VM)
  })

  test('an exclusive device is refused to a second session until the first let go', async () => {
    const { it } = ground()
    await expect(attach(it, it.exclusive, OTHER_VM)).rejects.toEqual(fault('REFUSE'))
    await it.backend.detachDevice(it.exclusive, VM)
    await attach(it, it.exclusive, OTHER_VM)
  })

  test('a bind on a device that the session has not attached is refused', async () => {
    const { it, request } = ground()
    const foreign = { ...request(0, 0), session: OTHER_VM }
    await expect(it.backend.bind(foreign)).rejects.toEqual(fault('REFUSE'))
    await expectBound(it, [])
  })

  test('a detach with something bound is refused and changes nothing', async () => {
    const { it, request } = ground()
    await it.backend.bind(request(0, 0))
    await expect(it.backend.detachDevice(it.exclusive, VM)).rejects.toEqual(fault('REFUSE'))
    await expectBound(it, [request(0, 0)])
    await it.backend.unbind(request(0, 0))
    await it.backend.detachDevice(it.exclusive, VM)
  })

  test('a device that is not there is a STOP', async () => {
    const { it, request } = ground()
    const gone = { ...request(0, 0), device: 'no-such-device' }
    await expect(attach(it, gone.device, VM)).rejects.toEqual(fault('STOP'))
    await expect(it.backend.bind(gone)).rejects.toEqual(fault('STOP'))
    await expect(it.backend.unbind(gone)).rejects.toEqual(fault('STOP'))
  })
}

function bindTests(ground: () => Ground): void {
  test('what is bound is observed, each place with its table', async () => {
    const { it, request } = ground()
    const requests = [request(0, 0), request(1, 1), { ...request(2, 2), target: RID }]
    for (const one of requests) await it.backend.bind(one)
    await expectBound(it, requests)
  })

  test('the same bind again changes nothing', async () => {
    const { it, request } = ground()
    await it.backend.bind(request(0, 0))
    await it.backend.bind(request(0, 0))
    await expectBound(it, [request(0, 0)])
    await it.backend.unbind(request(0, 0))
    await expectBound(it, [])
  })

  test('another table or another domain at a bound place is refused', async () => {
    const { it, request } = ground()
    await it.backend.bind(request(0, 0))
    await expect(it.backend.bind(request(0, 1))).rejects.toEqual(fault('REFUSE'))
    const elsewhere = request(0, 0, domainId(8))
    await expect(it.backend.bind(elsewhere)).rejects.toEqual(fault('REFUSE'))
    await expectBound(it, [request(0, 0)])
  })

  test('a table that the device does not take is refused and nothing is bound', async () => {
    const { it, request } = ground()
    const refused = { ...request(0, 0), table: it.refused }
    await expect(it.backend.bind(refused)).rejects.toEqual(fault('REFUSE'))
    await expectBound(it, [])
    await it.backend.bind(request(0, 0))
  })

  test('one table may stand at several places, under one domain or several', async () => {
    const { it, request } = ground()
    const requests = [request(0, 0), request(1, 0), request(2, 0, domainId(0xffff))]
    for (const one of requests) await it.backend.bind(one)
    await expectBound(it, requests)
  })
}

function unbindTests(ground: () => Ground): void {
  test('an unbind leaves nothing, may be repeated, and lets another table in', async () => {
    const { it, request } = ground()
    await it.backend.bind(request(0, 0))
    await it.backend.unbind(request(0, 0))
    await it.backend.unbind(request(0, 0))
    await expectBound(it, [])
    await it.backend.bind(request(0, 1))
    await expectBound(it, [request(0, 1)])
  })

  test('an unbind of what was never bound succeeds', async () => {
    const { it, request } = ground()
    for (const index of it.targets.keys()) await it.backend.unbind(request(index, 0))
    await it.backend.unbind({ ...request(0, 0), target: RID })
    await it.backend.unbind({ ...request(0, 0), session: OTHER_VM })
    await expectBound(it, [])
  })

  test('an unbind touches its own place only', async () => {
    const { it, request } = ground()
    const withoutPasid = { ...request(0, 0), target: RID }
    for (const one of [withoutPasid, request(0, 0), request(1, 0)]) await it.backend.bind(one)
    await it.backend.unbind(request(0, 0))
    await expectBound(it, [withoutPasid, request(1, 0)])
    await it.backend.unbind(withoutPasid)
    await expectBound(it, [request(1, 0)])
  })
}

function replaceTests(ground: () => Ground): void {
  test('a replace exchanges table and domain, and may be repeated', async () => {
    const { it, request } = ground()
    const [old, next] = [request(0, 0), request(0, 1, domainId(9))]
    await it.backend.bind(old)
    await it.backend.replace(next, old)
    await expectBound(it, [next])
    await it.backend.replace(next, old)
    await expectBound(it, [next])
    await it.backend.replace(old, next)
    await expectBound(it, [old])
  })

  test('after a refused replace the old table is in force', async () => {
    const { it, request } = ground()
    const old = request(0, 0)
    await it.backend.bind(old)
    const refused = { ...old, table: it.refused }
    await expect(it.backend.replace(refused, old)).rejects.toEqual(fault('REFUSE'))
    await expectBound(it, [old])
    await it.backend.bind(old)
  })

  test.each(['RETRY', 'REFUSE'] as const)(
    'after a set-up that fails with %s the old table is in force',
    async (kind) => {
      const { it, request } = ground()
      if (it.breakReplace === undefined) return
      const [old, next] = [request(0, 0), request(0, 1, domainId(9))]
      await it.backend.bind(old)
      it.breakReplace(it.exclusive, kind)
      await expect(it.backend.replace(next, old)).rejects.toEqual(fault(kind))
      await expectBound(it, [old])
      await it.backend.bind(old)
      await it.backend.replace(next, old)
      await expectBound(it, [next])
    },
  )
}

function sharedTests(ground: () => Ground): void {
  test('on a shared device no session reaches the binding of another', async () => {
    const { it, request } = ground()
    if (it.shared === undefined) return
    await attach(it, it.shared, VM)
    await attach(it, it.shared, OTHER_VM)
    const own = { ...request(0, 0), device: it.shared }
    const foreign = { ...request(1, 0), device: it.shared, session: OTHER_VM }
    await it.backend.bind(own)
    await it.backend.bind(foreign)
    const reach: Place = { device: it.shared, target: foreign.target, session: VM }
    await it.backend.unbind(reach)
    await it.backend.invalidate({ ...reach, caches: ['IOTLB'], range: undefined })
    await expect(it.backend.bind({ ...foreign, session: VM })).rejects.toEqual(fault('REFUSE'))
    const taken = { ...foreign, session: VM }
    await expect(it.backend.replace(taken, foreign)).rejects.toEqual(fault('REFUSE'))
    await expectBound(it, [own, foreign])
    await it.backend.unbind(own)
    await it.backend.detachDevice(it.shared, VM)
    await expectBound(it, [foreign])
    await it.backend.unbind(foreign)
    await it.backend.detachDevice(it.shared, OTHER_VM)
  })
}

function invalidateTests(ground: () => Ground): void {
  const LAST_PAGE = (1n << 64n) - 4096n
  const ranges = [
    undefined,
    { address: 0n, pages: 1n, leaf: true },
    { address: 0x7000n, pages: 513n, leaf: false },
    { address: LAST_PAGE, pages: 1n, leaf: false },
    { address: 4096n, pages: (1n << 52n) - 1n, leaf: false },
    { address: 0n, pages: 1n << 52n, leaf: true },
  ]

  test('every invalidation is accepted on a bound place, to the edge of 64 bits', async () => {
    const { it, request } = ground()
    const requests = [request(0, 0), { ...request(0, 1), target: RID }]
    for (const one of requests) await it.backend.bind(one)
    for (const range of ranges) {
      for (const one of requests) {
        await it.backend.invalidate({ ...one, caches: ['IOTLB', 'DEVICE_TLB'], range })
        await it.backend.invalidate({ ...one, caches: ['DEVICE_TLB'], range })
        await it.backend.invalidate({ ...one, caches: ['PASID_CACHE'], range: undefined })
        await it.backend.invalidate({ ...one, caches: [], range })
      }
    }
    await expectBound(it, requests)
  })

  test('an invalidation of a place where nothing is bound is harmless', async () => {
    const { it, request } = ground()
    for (const range of ranges) {
      await it.backend.invalidate({ ...request(0, 0), caches: ['IOTLB', 'DEVICE_TLB'], range })
    }
    await expectBound(it, [])
  })

  test('an answer to a page request that nobody raised is refused', async () => {
    const { it, request } = ground()
    await it.backend.bind(request(0, 0))
    const answer = { ...request(0, 0), group: 3, code: 'SUCCESS' } as const
    await expect(it.backend.respond(answer)).rejects.toEqual(fault('REFUSE'))
  })
}

function endTests(ground: () => Ground): void {
  test('the devices are listed, and the backend is ready', () => {
    const { it } = ground()
    const names = it.backend.devices().map((facts) => facts.name)
    expect(names).toContain(it.exclusive)
    if (it.shared !== undefined) expect(names).toContain(it.shared)
    expect(it.backend.health()).toEqual({ state: 'READY' })
  })

  test('a closed backend is dead, says so, and closes again', async () => {
    const { it, request } = ground()
    await it.backend.close()
    await it.backend.close()
    expect(it.backend.health().state).toBe('DEAD')
    await expect(it.backend.bind(request(0, 0))).rejects.toEqual(fault('STOP'))
    await expect(it.backend.unbind(request(0, 0))).rejects.toEqual(fault('STOP'))
    expect((await it.backend.observe()).kind).toBe('UNKNOWN')
  })
}

/** One random step, on the backend and on the flat list of what must be bound. */
async function randomStep(
  { it, request }: Ground,
  bound: Map<number, BindRequest>,
  random: (below: number) => number,
): Promise<void> {
  const index = random(it.targets.length)
  const next = request(index, random(it.tables.length), domainId(random(4)))
  const old = bound.get(index)
  const verb = random(4)
  if (verb === 0) {
    await it.backend.unbind(next)
    bound.delete(index)
  } else if (verb === 1 && old !== undefined) {
    await it.backend.replace(next, old)
    bound.set(index, next)
  } else if (verb === 2) {
    await it.backend.invalidate({ ...next, caches: ['IOTLB', 'DEVICE_TLB'], range: undefined })
  } else if (old === undefined) {
    await it.backend.bind(next)
    bound.set(index, next)
  } else await it.backend.bind(old)
}

function randomTests(ground: () => Ground): void {
  test(`after every random step what is observed is what was bound (seed ${SEED})`, async () => {
    const random = lcg(SEED)
    const bound = new Map<number, BindRequest>()
    const here = ground()
    const steps = here.it.randomSteps ?? RANDOM_STEPS
    for (let step = 0; step < steps; step += 1) {
      await randomStep(here, bound, random)
      await expectBound(here.it, Array.from(bound.values()))
    }
  })
}
