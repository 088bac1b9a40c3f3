/**
 * Page requests from end to end: the kernel's mock devices raise them, the daemon brings them over
 * its socket, and its client's answers go back to the kernel. What a mock device cannot do is raise
 * a group of several pages.
 */
import fs from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { PasidError } from '../../../src/client/index.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import { FAULT_QUEUE_ALLOC } from '../../../src/uapi/iommufd.js'
import {
  decodePageFaults,
  encodePageResponse,
  HWPT_PGFAULT,
  IOMMUFD_DATA,
} from '../../../src/uapi/iommufd-data.js'
import { stopAll } from '../../support/daemon.js'
import { PageRequestWorld, type PageVm } from '../rig/page-request-world.js'

const RID = 0
const PASID = 2048
const NOT_FOUND = 'PAGE_REQUEST_NOT_FOUND'
const {
  IOMMU_PGFAULT_FLAGS_LAST_PAGE: LAST_PAGE,
  IOMMU_PGFAULT_FLAGS_PASID_VALID: PASID_VALID,
  IOMMU_PGFAULT_PERM_EXEC: EXEC,
  IOMMU_PGFAULT_PERM_PRIV: PRIV,
  IOMMU_PGFAULT_PERM_READ: READ,
  IOMMU_PGFAULT_PERM_WRITE: WRITE,
  IOMMUFD_PAGE_RESP_SUCCESS: SUCCESS,
  IOMMUFD_PAGE_RESP_INVALID: INVALID,
} = IOMMUFD_DATA

/** What iommufd has for each; of a failure it knows nothing. */
const CODES = { SUCCESS, INVALID, FAILURE: INVALID } as const
type Code = keyof typeof CODES

/** Groups that may wait. */
const PENDING_MAX = 4
const world = new PageRequestWorld()
beforeAll(() => world.start({ deadline: '60s', pending: PENDING_MAX }))
afterEach(() => world.endVms())
afterAll(async () => {
  await world.end()
  await stopAll()
})

/** The reason of a refusal; 'ok' where there is none. */
async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (error instanceof PasidError) return error.reason
    throw error
  }
}

function respond(vm: PageVm, token: Uint8Array, code: Code = 'SUCCESS'): Promise<string> {
  return outcome(vm.session.respondPageRequest({ token, code: `PAGE_RESPONSE_CODE_${code}` }))
}

/** Resolves with the tokens when so many page requests have come to the VM. */
async function tokens(vm: PageVm, count = 1): Promise<readonly Buffer[]> {
  await expect.poll(() => vm.requests.length).toBe(count)
  return vm.requests.map(({ token }) => token)
}

/** A VM with one page request that waits, group 5 of the target. */
async function waiting(where: PageRequestWorld = world, target = PASID) {
  const vm = await where.vm()
  await vm.bind(target)
  await where.device().raise(target, 5)
  const [token = Buffer.alloc(0)] = await tokens(vm)
  const { cookie } = where.kernel.faults[0]!
  return { vm, token, cookie }
}

describe('a page request', () => {
  test('comes as the kernel raised it, and the kernel is told each answer', async () => {
    const vm = await world.vm()
    await vm.bind(PASID)
    const asked = { perm: READ | EXEC, addr: 0x7f12_3456_7000n }
    const rights = { read: true, write: false, execute: true, privileged: false }
    const pages = [{ address: String(asked.addr), ...rights }]
    const codes = Object.keys(CODES) as Code[]
    for (const [at, code] of codes.entries()) {
      world.kernel.forget()
      await world.device().raise(PASID, 511, asked)
      const token = (await tokens(vm, at + 1))[at]!
      const { device } = vm
      expect(vm.requests[at]).toMatchObject({ device, target: 'pasid', pasid: PASID, pages })
      const flags = PASID_VALID | LAST_PAGE
      expect(world.kernel.faults).toMatchObject([{ ...asked, flags, pasid: PASID, grpid: 511 }])
      expect(world.kernel.answers).toEqual([])
      expect(await respond(vm, token, code)).toBe('ok')
      const { cookie } = world.kernel.faults[0]!
      expect(world.kernel.answers).toEqual([{ cookie, code: CODES[code], wasTaken: true }])
      expect(world.waiting).toBe(0)
    }
  })

  test('of the RID comes as one, and is answered on the stream that brought it', async () => {
    const vm = await world.vm()
    await vm.bind(RID)
    await world.device().raise(RID, 0, { perm: WRITE | PRIV, addr: 0xffff_ffff_ffff_f000n })
    const [token = Buffer.alloc(0)] = await tokens(vm)
    const page = { read: false, write: true, execute: false, privileged: true }
    expect(vm.requests).toMatchObject([
      { target: 'rid', rid: true, pages: [{ ...page, address: '18446744073709547520' }] },
    ])
    await vm.control.send('respondPageRequest', { token, code: 'PAGE_RESPONSE_CODE_SUCCESS' })
    expect(world.kernel.answers).toMatchObject([{ code: SUCCESS, wasTaken: true }])
  })

  test('is one of many, each answered for itself; those beyond the bound are INVALID', async () => {
    const vm = await world.vm()
    await vm.bind(RID, 1, PASID)
    const raised = [
      [PASID, 7],
      [1, 7],
      [PASID, 8],
      [RID, 7],
    ] as const
    for (const [pasid, group] of raised) await world.device().raise(pasid, group)
    const all = await tokens(vm, PENDING_MAX)
    expect(vm.requests.map(({ pasid = RID }) => pasid)).toEqual(raised.map(([pasid]) => pasid))
    await world.device().raise(1, 9)
    const cookieOf = (at: number) => world.kernel.faults[at]!.cookie
    await expect.poll(() => world.kernel.answers.length).toBe(1)
    const told: unknown[] = [{ cookie: cookieOf(4), code: INVALID, wasTaken: true }]
    for (const at of [3, 1, 2, 0]) {
      const code = at === 0 ? 'INVALID' : 'SUCCESS'
      expect(await respond(vm, all[at]!, code)).toBe('ok')
      told.push({ cookie: cookieOf(at), code: CODES[code], wasTaken: true })
    }
    expect(world.kernel.answers).toEqual(told)
    expect(vm.requests.length).toBe(PENDING_MAX)
  })

  test('waits for somebody who takes it; where nothing is bound the kernel answers', async () => {
    const vm = await world.bareVm()
    await vm.handOver()
    await vm.bind(1, PASID)
    await vm.unbind(1)
    for (const pasid of [1, 3, PASID]) await world.device().raise(pasid, 1)
    await expect.poll(() => world.waiting).toBe(1)
    await vm.listen()
    const [token = Buffer.alloc(0)] = await tokens(vm)
    expect(vm.requests).toMatchObject([{ pasid: PASID }])
    expect(await respond(vm, token)).toBe('ok')
    expect(world.kernel.faults).toMatchObject([{ pasid: PASID }])
    expect(world.kernel.answers).toMatchObject([{ code: SUCCESS, wasTaken: true }])
  })
})

describe('an answer', () => {
  test('is given once', async () => {
    const { vm, token } = await waiting()
    expect(await respond(vm, token, 'FAILURE')).toBe('ok')
    expect(await respond(vm, token, 'SUCCESS')).toBe(NOT_FOUND)
    // The same group anew is another: the first one's token is of no use for it.
    await world.device().raise(PASID, 5)
    const [, next = Buffer.alloc(0)] = await tokens(vm, 2)
    expect(await respond(vm, token)).toBe(NOT_FOUND)
    expect(world.kernel.answers.length).toBe(1)
    expect(await respond(vm, next)).toBe('ok')
    expect(world.kernel.answers).toMatchObject([
      { code: INVALID, wasTaken: true },
      { code: SUCCESS, wasTaken: true },
    ])
  })

  test('of another session, or with a token that nobody made, is refused', async () => {
    const { vm, token } = await waiting()
    const other = await world.vm('mock1')
    await other.bind(PASID)
    await world.device('mock1').raise(PASID, 5)
    const [others = Buffer.alloc(0)] = await tokens(other)
    expect(await respond(other, token)).toBe(NOT_FOUND)
    expect(await respond(vm, others)).toBe(NOT_FOUND)
    const forged = Buffer.from(token)
    forged[0]! ^= 1
    expect(await respond(vm, forged)).toBe(NOT_FOUND)
    expect(world.kernel.answers).toEqual([])
    expect(await respond(vm, token)).toBe('ok')
    expect(await respond(other, others, 'INVALID')).toBe('ok')
    expect(world.kernel.answers.map(({ code }) => code)).toEqual([SUCCESS, INVALID])
  })

  test('that does not come in time is INVALID', async () => {
    const hasty = new PageRequestWorld()
    try {
      await hasty.start({ deadline: '100ms', pending: PENDING_MAX })
      const { vm, token, cookie } = await waiting(hasty)
      const late = [{ cookie, code: INVALID, wasTaken: true }]
      await expect.poll(() => hasty.kernel.answers).toEqual(late)
      expect(await respond(vm, token)).toBe(NOT_FOUND)
      expect(hasty.kernel.answers).toEqual(late)
    } finally {
      await hasty.end()
    }
  })
})

describe('while a page request waits', () => {
  test('the kernel has it; one that it has no more is over for the broker too', async () => {
    const { vm, token, cookie } = await waiting()
    expect(await world.kernel.stillWaits(cookie)).toBe(true)
    // That has answered it, and the broker has not seen it.
    expect(await respond(vm, token)).toBe(NOT_FOUND)
    expect(world.kernel.answers).toMatchObject([{ cookie, wasTaken: false }])
    expect(world.waiting).toBe(0)
  })

  test('its PASID is unbound: the kernel has it no more, and another’s still', async () => {
    const { vm, token, cookie } = await waiting()
    await vm.bind(1)
    await world.device().raise(1, 5)
    const [, other = Buffer.alloc(0)] = await tokens(vm, 2)
    await vm.unbind(PASID)
    expect(await world.kernel.stillWaits(cookie)).toBe(false)
    expect(await respond(vm, token)).toBe(NOT_FOUND)
    expect(world.waiting).toBe(1)
    expect(world.kernel.answers).toEqual([])
    expect(await respond(vm, other)).toBe('ok')
    expect(world.kernel.answers).toMatchObject([{ code: SUCCESS, wasTaken: true }])
  })

  test('its table is replaced: the same, and the next comes through the new one', async () => {
    const { vm, token, cookie } = await waiting()
    await vm.bindTable(PASID, 9, true)
    expect(await world.kernel.stillWaits(cookie)).toBe(false)
    expect(await respond(vm, token)).toBe(NOT_FOUND)
    await world.device().raise(PASID, 5)
    const [, next = Buffer.alloc(0)] = await tokens(vm, 2)
    expect(await respond(vm, next)).toBe('ok')
    expect(world.kernel.answers).toMatchObject([{ code: SUCCESS, wasTaken: true }])
  })

  test.each(['CloseSession', 'DetachDevice', 'the end of its process'])(
    'comes %s: nothing waits any more, and the next VM has the device',
    async (end) => {
      const { vm, token } = await waiting()
      if (end === 'CloseSession') await vm.session.closeSession()
      else if (end === 'DetachDevice') await vm.session.detachDevice({ device: vm.device })
      else await vm.kill()
      await expect.poll(() => world.waiting).toBe(0)
      await expect.poll(() => world.device().isAttached(PASID, 0)).toBe(true)
      if (end === 'DetachDevice') {
        expect(await respond(vm, token)).toBe(NOT_FOUND)
        await vm.session.closeSession()
      }
      const next = await world.bareVm()
      await expect.poll(() => outcome(next.handOver())).toBe('ok')
      await next.listen()
      await next.bind(PASID)
      await world.device().raise(PASID, 5)
      const [fresh = Buffer.alloc(0)] = await tokens(next)
      expect(await respond(next, fresh)).toBe('ok')
      expect(world.kernel.answers).toMatchObject([{ code: SUCCESS, wasTaken: true }])
    },
  )
})

/** With its RID bound only: the kernel warns of a device that goes with PASIDs attached. */
test('a device that is gone is refused in every call on it; what it had bound is lost', async () => {
  const { vm, token } = await waiting(world, RID)
  const { device, session } = vm
  await world.device().vanish()
  expect(await respond(vm, token)).toBe(NOT_FOUND)
  expect(world.kernel.answers).toMatchObject([{ wasTaken: false }])
  expect(await outcome(vm.bind(PASID))).toBe('BACKEND_REFUSED')
  expect(await outcome(vm.bindTable(RID, 9, true))).toBe('BACKEND_REFUSED')
  // Nothing is made for this one: the attach itself fails, and neither table can be had.
  const through = { rid: true, devices: [device], passThrough: {}, replace: true }
  expect(await outcome(session.bindPasid(through))).toBe('BACKEND_UNAVAILABLE')
  await expect.poll(() => vm.lost).toMatchObject([{ binding: { device, target: 'rid' } }])
  const { ridBindings } = await session.listPage()
  expect(ridBindings).toMatchObject([{ device, state: 'BINDING_STATE_LOST' }])
  expect(await session.detachDevice({ device })).toMatchObject({ unbound: 1 })
})

test('with a fault queue of its own the VM reads and answers by itself', async () => {
  const vm = await world.bareVm()
  const { outFaultId: faultId, outFaultFd } = await vm.machine.user.ask(FAULT_QUEUE_ALLOC, {})
  const queue = new OwnedFd(outFaultFd, 'a fault queue')
  await vm.handOver({ faultId })
  await vm.listen()
  await vm.bind(1, PASID)
  for (const pasid of [1, PASID]) await world.device().raise(pasid, 3)
  const bytes = Buffer.alloc(4 * HWPT_PGFAULT.bytes)
  const length = fs.readSync(queue.number, bytes, 0, bytes.length, null)
  const faults = decodePageFaults(bytes.subarray(0, length))
  expect(faults).toMatchObject([{ pasid: 1 }, { pasid: PASID }])
  const answer = ({ cookie }: { cookie: number }) => {
    return fs.writeSync(queue.number, encodePageResponse(cookie, true))
  }
  await vm.unbind(1)
  expect(() => answer(faults[0]!)).toThrow('EINVAL')
  expect(answer(faults[1]!)).toBe(8)
  expect(vm.requests).toEqual([])
  await vm.session.closeSession()
  queue.close()
  await vm.machine.user.destroy(faultId)
})
