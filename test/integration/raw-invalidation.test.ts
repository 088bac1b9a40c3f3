/**
 * InvalidateRaw through a real broker and emulator: what each form reaches, in which order, how
 * much of it is done where something is bad, and that what is not bound is no error.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { BackendFault, type InvalidateRequest } from '../../src/backend/backend.js'
import { ERRNO } from '../../src/uapi/errno.js'
import { BrokerRig, removeFolders, SHARED, WHOLE } from '../support/broker-rig.js'
import { ok, tableAt, type RigVm } from '../support/broker-rig-vm.js'
import * as made from '../support/raw-invalidation.js'

const PASS_THROUGH = { kind: 'PASS_THROUGH' } as const
const OTHER = { ...WHOLE, name: 'emu2' }
const SOURCE_IDS = [
  { sourceId: 0x100, device: 'devices/emu0' },
  { sourceId: 0x101, device: 'devices/emu1' },
]

let rig: BrokerRig
let vm: RigVm
/** The broker's PASIDs: `a` is 5 to the guest, `b` is itself; domains 2, 3; RIDs in 2 and 4. */
let a: number
let b: number
/** What the backend is asked, in order: device, target, caches, range. */
let asked: string[]

beforeAll(async () => {
  rig = await BrokerRig.start({ devices: [SHARED, WHOLE, OTHER], scopes: new Map() })
  vm = await rig.vm()
  for (const device of ['emu0', 'emu1', 'emu2']) ok(await vm.attach(device))
  a = await vm.one()
  b = await vm.one()
  ok(await vm.bind(a, { domain: 2, table: tableAt(1), guestPasid: 5 }))
  ok(await vm.bind(b, { domain: 3, table: tableAt(2), devices: ['emu0', 'emu1'] }))
  ok(await vm.bind(0, { domain: 2, table: tableAt(1), devices: ['emu1'] }))
  ok(await vm.bind(0, { domain: 4, table: PASS_THROUGH, devices: ['emu2'] }))
  const real = rig.backend.invalidate.bind(rig.backend)
  vi.spyOn(rig.backend, 'invalidate').mockImplementation((request) => {
    asked.push(textOf(request))
    return real(request)
  })
})
beforeEach(() => {
  asked = []
})
afterEach(async () => {
  expect(await rig.problems()).toEqual([])
})
afterAll(async () => {
  vi.restoreAllMocks()
  await rig.stop()
  removeFolders()
})

function textOf({ device, target, caches, range }: InvalidateRequest): string {
  const name = target === a ? 'a' : target === b ? 'b' : target === 0 ? 'rid' : String(target)
  const pages = range === undefined ? '' : ` ${range.address.toString(16)}+${range.pages}`
  const leaf = range?.leaf === true ? ' leaf' : ''
  return `${device}/${name} ${caches.map((cache) => cache[0]).join('')}${pages}${leaf}`
}

function raw(form: made.RawForm) {
  return made.raw(rig.broker, vm.id, form)
}

describe('descriptors of the guest’s queue', () => {
  const did = (domain: number) => BigInt(domain) << 16n
  const pasid = (value: number) => BigInt(value) << 32n

  test.each<[string, bigint, bigint, string[]]>([
    ['context-cache: nothing of it is the guest’s', 0x11n, 0n, []],
    ['interrupt entry: nothing of it is ours', 0x4n, 0n, []],
    ['IOTLB, global', 0x12n, 0n, ['emu0/a I', 'emu0/b I', 'emu1/b I', 'emu1/rid I', 'emu2/rid I']],
    ['IOTLB of a domain', 0x22n | did(2), 0n, ['emu0/a I', 'emu1/rid I']],
    ['IOTLB of pages: all of the domain', 0x32n | did(4), 0x5000n, ['emu2/rid I']],
    ['IOTLB of a domain that nothing is in', 0x22n | did(9), 0n, []],
    ['PASID-based IOTLB, by the guest’s number', 0x26n | did(2) | pasid(5), 0n, ['emu0/a I']],
    [
      'PASID-based IOTLB, pages',
      0x36n | did(2) | pasid(5),
      0xffff_c042n,
      ['emu0/a I ffffc000+4 leaf'],
    ],
    ['PASID-based IOTLB of PASID 0', 0x26n | did(2), 0n, ['emu1/rid I']],
    ['PASID-based IOTLB of PASID 0 where no RID is in the domain', 0x26n | did(3), 0n, []],
    ['PASID-based IOTLB of another domain', 0x26n | did(3) | pasid(5), 0n, []],
    ['PASID-based IOTLB of a PASID that nobody has', 0x26n | did(2) | pasid(77), 0n, []],
    ['PASID cache of a PASID', 0x17n | did(2) | pasid(5), 0n, ['emu0/a P']],
    ['PASID cache of a domain', 0x7n | did(2), 0n, ['emu0/a P', 'emu1/rid P']],
    [
      'PASID cache, global',
      0x37n,
      0n,
      ['emu0/a P', 'emu0/b P', 'emu1/b P', 'emu1/rid P', 'emu2/rid P'],
    ],
    ['device-TLB without PASID', 0x3n | (0x101n << 32n), 0x7fff_ffff_ffff_f001n, ['emu1/rid D']],
    ['device-TLB, some pages', 0x3n | (0x101n << 32n), 0x8001n, ['emu1/rid D 8000+2']],
    ['device-TLB of a device that the guest does not have', 0x3n | (0x999n << 32n), 0n, []],
    ['PASID-based device-TLB', 0x8n | (0x100n << 16n) | pasid(5), 0x5000n, ['emu0/a D 5000+1']],
    [
      'PASID-based device-TLB, of every PASID',
      0x8n | (0x100n << 16n),
      0x7fff_ffff_ffff_f801n,
      ['emu0/a D', 'emu0/b D'],
    ],
  ])('%s', async (_, low, high, expected) => {
    const answer = ok(await raw(made.queue(made.queueBytes([low, high]), SOURCE_IDS)))
    expect(answer).toEqual({ done: 1 })
    expect(asked.toSorted()).toEqual(expected.toSorted())
  })

  test('the host’s number is not the guest’s', async () => {
    const by = async (value: number) => {
      const low = 0x26n | did(2) | pasid(value)
      ok(await raw(made.queue(made.queueBytes([low, 0n]))))
      return asked.splice(0)
    }
    expect(await by(a)).toEqual([])
    expect(await by(5)).toEqual(['emu0/a I'])
  })

  test('a PASID on every device where it is bound in the domain', async () => {
    ok(await raw(made.queue(made.queueBytes([0x26n | did(3) | pasid(b), 0n]))))
    expect(asked).toEqual(['emu0/b I', 'emu1/b I'])
  })

  test('another session’s bindings are not reached', async () => {
    const other = await rig.vm()
    ok(await other.attach('emu0'))
    const theirs = await other.one()
    ok(await other.bind(theirs, { domain: 2, guestPasid: 5 }))
    ok(await raw(made.queue(made.queueBytes([0x12n, 0n], [0x37n, 0n]))))
    expect(asked).toHaveLength(10)
    expect(asked.filter((text) => text.includes(String(theirs)))).toEqual([])
    ok(await other.close())
  })

  test('in order, and the first bad one stops the queue', async () => {
    const bytes = made.queueBytes(
      [0x17n | did(2) | pasid(5), 0n],
      [0x5n | 0x20n | (0xabcdn << 32n), 0x1000n],
      [0x36n | did(2) | pasid(5), 0x1000n],
      [0x37n | (1n << 63n), 0n],
      [0x26n | did(3) | pasid(b), 0n],
    )
    const answer = ok(await raw(made.queue(bytes)))
    expect(answer).toMatchObject({ done: 3, error: ERRNO.EINVAL })
    expect(answer.problem).toContain('pasid-cache: bits')
    expect(answer.statusWrites).toEqual([{ address: '4096', data: 0xabcd }])
    expect(asked).toEqual(['emu0/a P', 'emu0/a I 1000+1'])
  })

  test('status writes of waits before a bad one only, each once, in order', async () => {
    const wait = (data: bigint): [bigint, bigint] => [0x25n | (data << 32n), 0x2000n + data * 4n]
    const bytes = made.queueBytes(wait(1n), [0x15n, 0n], wait(2n), [0n, 0n], wait(3n))
    const answer = ok(await raw(made.queue(bytes)))
    expect(answer.done).toBe(3)
    expect(answer.statusWrites?.map(({ data }) => data)).toEqual([1, 2])
  })

  test('an address mask beyond the IOMMU’s, and 256-bit descriptors in a narrow queue', async () => {
    const beyond = made.queueBytes([0x36n | did(2) | pasid(5), 19n])
    expect(ok(await raw(made.queue(beyond)))).toMatchObject({ done: 0, error: ERRNO.EINVAL })
    const narrow = Buffer.from(new BigUint64Array([0x11n, 0n, 0x26n, 0n]).buffer)
    const answer = ok(await raw(made.queue(narrow, [], false)))
    expect(answer).toMatchObject({ done: 1, error: ERRNO.EINVAL })
  })

  test('a whole page of a queue is one batch', async () => {
    const words = Array.from({ length: 512 }, (_, i): [bigint, bigint] => {
      return [0x36n | did(2) | pasid(5), BigInt(i) << 12n]
    })
    const batch = vi.spyOn(rig.broker, 'invalidateRaw')
    expect(ok(await raw(made.queue(made.queueBytes(...words))))).toEqual({ done: 512 })
    expect(batch).toHaveBeenCalledTimes(1)
    batch.mockRestore()
    expect(asked).toHaveLength(512)
  })

  test('nothing at all is a probe, of the devices too', async () => {
    expect(ok(await raw(made.queue(Buffer.alloc(0), SOURCE_IDS)))).toEqual({ done: 0 })
    const without = await rig.vm()
    ok(await without.attach('emu0'))
    const form = made.queue(Buffer.alloc(0), SOURCE_IDS)
    expect(await made.raw(rig.broker, without.id, form)).toMatchObject({
      refusal: { code: 'DEVICE_NOT_ATTACHED', device: 'emu1' },
    })
    ok(await without.close())
    expect(await made.raw(rig.broker, without.id, form)).toMatchObject({
      refusal: { code: 'SESSION_NOT_FOUND' },
    })
  })
})

describe('page requests on the queue', () => {
  const page = { address: 0x5000n, read: true, write: false, execute: false, privileged: false }

  function raise(group: number): Promise<string> {
    const request = { device: 'emu0', target: a, group, last: true, ...page }
    const raised = rig.emulator.lab.raisePageRequest({ ...request, target: a as never })
    if (raised.state !== 'DELIVERED') return Promise.resolve(raised.state)
    return raised.answered
  }
  const response = (group: number, code = 0n): [bigint, bigint] => {
    return [0x19n | (code << 12n) | (0x100n << 16n) | (5n << 32n), BigInt(group) << 3n]
  }

  test('a response reaches the group that it names, after what was invalidated before it', async () => {
    const [first, second] = [raise(3), raise(4)]
    const bytes = made.queueBytes([0x26n | (2n << 16n) | (5n << 32n), 0n], response(4, 1n))
    expect(ok(await raw(made.queue(bytes, SOURCE_IDS)))).toEqual({ done: 2 })
    expect(asked).toEqual(['emu0/a I'])
    expect(await second).toBe('INVALID')
    expect(rig.broker.waitingPageRequests).toBe(1)
    ok(await raw(made.queue(made.queueBytes(response(3)), SOURCE_IDS)))
    expect(await first).toBe('SUCCESS')
  })
  test('one that nobody waits for is complete', async () => {
    const unknown: [bigint, bigint] = [0x19n | (0x999n << 16n), 0n]
    const bytes = made.queueBytes(response(9), unknown, [0x9n | (0x101n << 16n), 0n])
    expect(ok(await raw(made.queue(bytes, SOURCE_IDS)))).toEqual({ done: 3 })
  })
  test('a wait that drains answers INVALID what waits, before its status is told', async () => {
    const waiting = [raise(1), raise(2)]
    const bytes = made.queueBytes([0xa5n | (7n << 32n), 0x1000n])
    const answer = ok(await raw(made.queue(bytes)))
    expect(answer).toEqual({ done: 1, statusWrites: [{ address: '4096', data: 7 }] })
    expect(await Promise.all(waiting)).toEqual(['INVALID', 'INVALID'])
    expect(rig.broker.waitingPageRequests).toBe(0)
  })
  test('a wait without drain leaves them', async () => {
    const waiting = raise(1)
    ok(await raw(made.queue(made.queueBytes([0x45n, 0n]))))
    expect(rig.broker.waitingPageRequests).toBe(1)
    await rig.broker.drainPageRequests(vm.id)
    expect(await waiting).toBe('INVALID')
  })
})

describe('the structure of 2020', () => {
  test.each<[string, made.Info, string[]]>([
    [
      'domain: everything of the session, RIDs included, and the device-TLBs with it',
      { cache: 1 },
      ['emu0/a ID', 'emu0/b ID', 'emu1/b ID', 'emu1/rid ID', 'emu2/rid ID'],
    ],
    [
      'domain: the PASID cache only',
      { cache: 4 },
      ['emu0/a P', 'emu0/b P', 'emu1/b P', 'emu1/rid P', 'emu2/rid P'],
    ],
    ['no cache', { cache: 0 }, []],
    ['a PASID that nobody has', { granularity: 1, flags: 1, pasid: 77 }, []],
    ['the guest’s number is none of the host’s', { granularity: 1, flags: 1, pasid: 5 }, []],
    [
      'addresses of all address spaces',
      { granularity: 2, cache: 2, addr: 0x7000n, granules: 2n },
      [
        'emu0/a D 7000+2',
        'emu0/b D 7000+2',
        'emu1/b D 7000+2',
        'emu1/rid D 7000+2',
        'emu2/rid D 7000+2',
      ],
    ],
  ])('%s', async (_, asks, expected) => {
    const answer = ok(await raw(made.structure(made.info(asks))))
    expect(answer).toEqual({ done: 1 })
    expect(asked.toSorted()).toEqual(expected)
  })
  test('a PASID is the host’s, wherever it is bound', async () => {
    const whole = { granularity: 1, cache: 7, flags: 1, pasid: b }
    ok(await raw(made.structure(made.info(whole))))
    expect(asked.splice(0)).toEqual(['emu0/b IDP', 'emu1/b IDP'])
    const some = { granularity: 2, cache: 1, flags: 5, pasid: b, addr: 0x3000n }
    ok(await raw(made.structure(made.info(some))))
    expect(asked).toEqual(['emu0/b ID 3000+1 leaf', 'emu1/b ID 3000+1 leaf'])
  })
  test('what the kernel would refuse changes nothing', async () => {
    const answer = ok(await raw(made.structure(made.info({ granularity: 2, cache: 4 }))))
    expect(answer).toMatchObject({ done: 0, error: ERRNO.EINVAL })
    const short = ok(await raw(made.structure(made.info({ granularity: 1 }).subarray(0, 40))))
    expect(short).toMatchObject({ done: 0, error: ERRNO.EFAULT })
    expect(asked).toEqual([])
  })
})

describe('entries for a nested table', () => {
  test('reach every binding with the same table, on any device, and no other', async () => {
    const entries = made.s1Bytes({ addr: 0x5000n, npages: 3n, flags: 1 })
    for (const [device, target] of [
      ['emu0', a],
      ['emu1', 0],
    ] as const) {
      expect(ok(await raw(made.table(device, target, entries)))).toEqual({ done: 1 })
      expect(asked.splice(0)).toEqual(['emu0/a ID 5000+3 leaf', 'emu1/rid ID 5000+3 leaf'])
    }
  })
  test('the whole table; then nothing more of the batch is needed', async () => {
    const all = { npages: 0xffff_ffff_ffff_ffffn }
    const entries = made.s1Bytes(all, { addr: 0x1000n }, all)
    expect(ok(await raw(made.table('emu0', b, entries)))).toEqual({ done: 3 })
    expect(asked).toEqual(['emu0/b ID', 'emu1/b ID'])
  })
  test('none is a probe of the type, of a table that is there', async () => {
    expect(ok(await raw(made.table('emu0', a, Buffer.alloc(0))))).toEqual({ done: 0 })
    const other = ok(await raw(made.table('emu0', a, Buffer.alloc(0), { dataType: 1 })))
    expect(other).toMatchObject({ done: 0, error: ERRNO.EINVAL })
    expect(asked).toEqual([])
  })
  test('stop at the first bad one', async () => {
    const entries = made.s1Bytes({ addr: 0x1000n }, { flags: 2 }, { addr: 0x2000n })
    const answer = ok(await raw(made.table('emu0', b, entries)))
    expect(answer).toMatchObject({ done: 1, error: ERRNO.EOPNOTSUPP })
    expect(asked).toEqual(['emu0/b ID 1000+1', 'emu1/b ID 1000+1'])
  })
  test('a binding that is of no guest’s table is EINVAL, one that is not there is refused', async () => {
    const entries = made.s1Bytes({ addr: 0x1000n })
    expect(ok(await raw(made.table('emu2', 0, entries)))).toMatchObject({
      done: 0,
      error: ERRNO.EINVAL,
    })
    expect(await raw(made.table('emu1', a, entries))).toMatchObject({
      refusal: { code: 'NOT_BOUND', device: 'emu1', target: a },
    })
    expect(asked).toEqual([])
  })
})

test('what comes behind a bind is carried out behind it', async () => {
  const c = await vm.one()
  const bound = vm.bind(c, { domain: 6, guestPasid: 6 })
  const low = 0x26n | (6n << 16n) | (6n << 32n)
  const answered = raw(made.queue(made.queueBytes([low, 0n])))
  ok(await bound)
  ok(await answered)
  expect(asked).toEqual([`emu0/${c} I`])
})

test('a table that cannot be invalidated is lost, and the answer says so', async () => {
  vi.spyOn(rig.backend, 'invalidate').mockRejectedValue(new BackendFault('no', 'RETRY'))
  const low = 0x26n | (2n << 16n) | (5n << 32n)
  const answer = ok(await raw(made.queue(made.queueBytes([low, 0n], [0x4n, 0n]))))
  expect(answer.done).toBe(2)
  expect(answer.lost).toMatchObject([{ device: 'devices/emu0', pasid: a }])
  expect(vm.bindingState(a)).toBe('LOST')
})
