/**
 * What every backend owes the broker for page requests and resets; part of backend.ts. A backend
 * whose devices cannot be made to raise one, or be reset, by a test skips it.
 */

import { expect, test } from 'vitest'
import type { Backend, RaisedFault, RaisedGroup } from '../../src/backend/backend.js'
import { attach, expectBound, fault, OTHER_VM, VM, type Ground } from './backend-ground.js'

interface Heard {
  readonly groups: RaisedGroup[]
  readonly gone: Omit<RaisedGroup, 'pages'>[]
  readonly faults: RaisedFault[]
  readonly resets: [string, boolean][]
}

function listen(backend: Backend): Heard {
  const heard: Heard = { groups: [], gone: [], faults: [], resets: [] }
  backend.listen({
    pageRequest: (group) => heard.groups.push(group),
    pageRequestGone: (group) => heard.gone.push(group),
    fault: (raised) => heard.faults.push(raised),
    reset: (device, done) => heard.resets.push([device, done]),
  })
  return heard
}

/** As many as were raised: a backend that reads them from a descriptor tells them a moment later. */
async function told({ groups }: Heard, count: number): Promise<void> {
  await expect.poll(() => groups.length).toBe(count)
}

const GROUP = 3

export function pageRequestTests(ground: () => Ground): void {
  test('a page request is told with the session of its binding, and answered once', async () => {
    const { it, request } = ground()
    if (it.raise === undefined) return
    const heard = listen(it.backend)
    const { device, target } = request(0, 0)
    await it.backend.bind(request(0, 0))
    await it.raise(request(0, 0), GROUP)
    await told(heard, 1)
    expect(heard.groups).toMatchObject([{ device, target, session: VM, group: GROUP }])
    expect(heard.groups[0]?.pages).toHaveLength(1)
    const answer = { device, target, group: GROUP, code: 'SUCCESS' } as const
    await expect(it.backend.respond({ ...answer, group: 4 })).rejects.toEqual(fault('REFUSE'))
    await it.backend.respond(answer)
    await expect(it.backend.respond(answer)).rejects.toEqual(fault('REFUSE'))
    // Whoever answers need not be told that it is answered.
    expect(heard.gone).toEqual([])
  })

  test('an unbind and a replace drain: what waits is gone, and of no other place', async () => {
    const { it, request } = ground()
    const { raise } = it
    if (raise === undefined) return
    const heard = listen(it.backend)
    const [one, two] = [request(0, 0), request(1, 1)]
    for (const place of [one, two]) {
      await it.backend.bind(place)
      await raise(place, GROUP)
    }
    await told(heard, 2)
    await it.backend.unbind(one)
    const { device, target } = one
    expect(heard.gone).toEqual([{ device, target, session: VM, group: GROUP }])
    const late = { device, target, group: GROUP, code: 'SUCCESS' } as const
    await expect(it.backend.respond(late)).rejects.toEqual(fault('REFUSE'))
    await it.backend.respond({ ...late, target: two.target })
  })

  test('on a shared device each session has its own', async () => {
    const { it, request } = ground()
    if (it.raise === undefined || it.shared === undefined) return
    const heard = listen(it.backend)
    const own = { ...request(0, 0), device: it.shared }
    const foreign = { ...request(1, 0), device: it.shared, session: OTHER_VM }
    for (const place of [own, foreign]) {
      await attach(it, it.shared, place.session)
      await it.backend.bind(place)
      await it.raise(place, GROUP)
    }
    await told(heard, 2)
    expect(heard.groups.map(({ session }) => session)).toEqual([VM, OTHER_VM])
    await it.backend.unbind(own)
    expect(heard.gone.map(({ session }) => session)).toEqual([VM])
  })

  test('what waits is told to a new listener, or can be answered all the same', async () => {
    const { it, request } = ground()
    if (it.raise === undefined) return
    const heard = listen(it.backend)
    await it.backend.bind(request(0, 0))
    await it.raise(request(0, 0), GROUP)
    await told(heard, 1)
    expect(listen(it.backend).groups).toEqual(heard.groups)
    const { device, target } = request(0, 0)
    await it.backend.respond({ device, target, group: GROUP, code: 'INVALID' })
  })

  test('a reset keeps bindings, drops page requests, and refuses binds until it is done', async () => {
    const { it, request } = ground()
    if (it.raise === undefined || it.reset === undefined) return
    const heard = listen(it.backend)
    const [old, next] = [request(0, 0), request(0, 1)]
    await it.backend.bind(old)
    await it.raise(old, GROUP)
    const done = it.reset(it.exclusive)
    expect(heard.resets).toEqual([[it.exclusive, false]])
    expect(heard.gone).toMatchObject([{ target: old.target, group: GROUP }])
    const answer = {
      device: old.device,
      target: old.target,
      group: GROUP,
      code: 'SUCCESS',
    } as const
    await expect(it.backend.respond(answer)).rejects.toEqual(fault('REFUSE'))
    await expect(it.backend.bind(request(1, 0))).rejects.toEqual(fault('RETRY'))
    await expect(it.backend.replace(next, old)).rejects.toEqual(fault('RETRY'))
    await expectBound(it, [old])
    await it.backend.invalidate({ ...old, caches: ['IOTLB', 'DEVICE_TLB'], range: undefined })
    if (it.shared !== undefined) {
      await attach(it, it.shared, VM)
      await it.backend.bind({ ...request(0, 0), device: it.shared })
      await it.backend.unbind({ ...request(0, 0), device: it.shared })
    }
    done()
    expect(heard.resets).toEqual([
      [it.exclusive, false],
      [it.exclusive, true],
    ])
    await it.backend.replace(next, old)
    await it.backend.unbind(next)
  })
}
