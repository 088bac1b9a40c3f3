/** Page requests of a device as unit and driver queue them, group by group. */
import { describe, expect, test } from 'vitest'
import { PAGE_REQUESTS_OF_GROUP_MAX } from '../../src/backend/backend.js'
import {
  PageRequests,
  PAGE_REQUESTS_WAITING_MAX,
  type PageRequest,
} from '../../src/backend/emulator/page-requests.js'
import { target, type Target } from '../../src/core/ids.js'

const ONE = target(1)

function request(more: Partial<PageRequest> = {}): PageRequest {
  const rights = { read: true, write: false, execute: false, privileged: false }
  return { target: ONE, group: 3, address: 0x5000n, ...rights, last: true, ...more }
}

/** Raises where something is bound. */
function raise(queue: PageRequests, more: Partial<PageRequest> = {}): string {
  return queue.raise(request(more), true)
}

/** Fills the queue of the place but for `left` descriptors, in complete groups. */
function fill(queue: PageRequests, left: number, at: Target = target(2)): void {
  for (let i = 0; queue.waiting < PAGE_REQUESTS_WAITING_MAX - left; i += 1) {
    expect(raise(queue, { target: at, group: i })).toBe('COMPLETE')
  }
}

describe('a group', () => {
  test('is complete with its last page, and keeps its pages in order', () => {
    const queue = new PageRequests()
    expect(raise(queue, { last: false, address: 0x9000n })).toBe('WAITING')
    expect(queue.find(ONE, 3)).toBeUndefined()
    expect(raise(queue, { address: 0x8000n, write: true })).toBe('COMPLETE')
    expect(queue.find(ONE, 3)).toEqual([
      { address: 0x9000n, read: true, write: false, execute: false, privileged: false },
      { address: 0x8000n, read: true, write: true, execute: false, privileged: false },
    ])
  })

  test('is answered once, and its index can be used again after that', () => {
    const queue = new PageRequests()
    raise(queue)
    expect([queue.answer(ONE, 3), queue.answer(ONE, 3), queue.waiting]).toEqual([true, false, 0])
    expect(raise(queue)).toBe('COMPLETE')
  })

  test('takes no answer before it is complete', () => {
    const queue = new PageRequests()
    raise(queue, { last: false })
    expect(queue.answer(ONE, 3)).toBe(false)
  })

  test('that waits for its answer loses what the device raises on its index meanwhile', () => {
    const queue = new PageRequests()
    raise(queue)
    expect(raise(queue, { last: false })).toBe('DROPPED')
    expect(raise(queue)).toBe('DROPPED')
    expect(raise(queue, { privileged: true })).toBe('DROPPED')
    expect(queue.find(ONE, 3)).toHaveLength(1)
  })

  test.each([
    ['another place', { target: target(2) }],
    ['another index', { group: 4 }],
  ])('is its own beside %s', (_name, other) => {
    const queue = new PageRequests()
    raise(queue, { last: false })
    expect(raise(queue, other)).toBe('COMPLETE')
    expect(queue.find(ONE, 3)).toBeUndefined()
  })

  test('has so many pages and not one more; its last page completes it all the same', () => {
    const queue = new PageRequests()
    for (let i = 0; i < PAGE_REQUESTS_OF_GROUP_MAX; i += 1) {
      expect(raise(queue, { last: false })).toBe('WAITING')
    }
    expect(raise(queue, { last: false })).toBe('DROPPED')
    expect(raise(queue)).toBe('COMPLETE')
    expect(queue.find(ONE, 3)).toHaveLength(PAGE_REQUESTS_OF_GROUP_MAX)
    expect(queue.waiting).toBe(PAGE_REQUESTS_OF_GROUP_MAX)
    expect(queue.answer(ONE, 3)).toBe(true)
    expect(queue.waiting).toBe(0)
  })

  test('may ask for execution without read', () => {
    const queue = new PageRequests()
    expect(raise(queue, { read: false, write: true, execute: true })).toBe('COMPLETE')
    expect(queue.find(ONE, 3)).toMatchObject([{ execute: true }])
  })
})

/** What prq_event_thread calls a bad request. */
const MALFORMED: readonly [string, Partial<PageRequest>][] = [
  ['an address with bit 56 alone', { address: 1n << 56n }],
  ['an address with a hole in its sign', { address: 0xfe80_0000_0000_0000n }],
  ['a supervisor request to read', { privileged: true }],
  ['a supervisor request to write', { privileged: true, read: false, write: true }],
  ['an execute request with read', { execute: true }],
]

describe.each(MALFORMED)('%s', (_name, malformed) => {
  test('is answered INVALID as a last page, and ends its group', () => {
    const queue = new PageRequests()
    raise(queue, { last: false })
    expect(raise(queue, malformed)).toBe('INVALID')
    expect([queue.answer(ONE, 3), queue.waiting]).toEqual([false, 0])
  })

  test('is lost before the last page, and the rest of its group is not', () => {
    const queue = new PageRequests()
    raise(queue, { last: false })
    expect(raise(queue, { ...malformed, last: false })).toBe('DROPPED')
    expect(raise(queue)).toBe('COMPLETE')
    expect(queue.find(ONE, 3)).toHaveLength(2)
  })
})

test.each([
  0xfffff000n & 0x00ff_ffff_ffff_f000n,
  0x00ff_ffff_ffff_f000n,
  0xff00_0000_0000_0000n,
  0xffff_ffff_ffff_f000n,
])('%i is canonical', (address) => {
  expect(raise(new PageRequests(), { address })).toBe('COMPLETE')
})

describe('a stop marker', () => {
  const marker = { read: false, write: false }

  test('gets no response', () => {
    const queue = new PageRequests()
    expect(raise(queue, marker)).toBe('DROPPED')
    expect(raise(queue, { ...marker, privileged: true })).toBe('DROPPED')
    expect(queue.waiting).toBe(0)
  })

  test('is looked at after its address', () => {
    expect(raise(new PageRequests(), { ...marker, address: 1n << 56n })).toBe('INVALID')
  })

  test('leaves the groups of its place as they are', () => {
    const queue = new PageRequests()
    raise(queue, { last: false })
    raise(queue, marker)
    expect(raise(queue)).toBe('COMPLETE')
    expect(queue.find(ONE, 3)).toHaveLength(2)
  })
})

test('where nothing is bound a last page is answered INVALID, another lost', () => {
  const queue = new PageRequests()
  expect(queue.raise(request({ last: false }), false)).toBe('DROPPED')
  expect(queue.raise(request(), false)).toBe('INVALID')
  expect(queue.raise(request({ read: false }), false)).toBe('DROPPED')
  expect(queue.waiting).toBe(0)
})

describe('an overflow', () => {
  test('comes one past the bound: a last page is answered SUCCESS, another lost', () => {
    const queue = new PageRequests()
    fill(queue, 1)
    expect(raise(queue)).toBe('COMPLETE')
    expect(queue.waiting).toBe(PAGE_REQUESTS_WAITING_MAX)
    expect(raise(queue, { group: 4 })).toBe('SUCCESS')
    expect(raise(queue, { group: 5, last: false })).toBe('DROPPED')
    expect(queue.find(ONE, 4)).toBeUndefined()
    expect(queue.find(ONE, 3)).toHaveLength(1)
  })

  test('gives up on the groups that are not complete, which makes room', () => {
    const queue = new PageRequests()
    fill(queue, 3)
    for (const group of [5, 5, 6]) raise(queue, { group, last: false })
    expect(raise(queue, { group: 6 })).toBe('SUCCESS')
    expect(queue.waiting).toBe(PAGE_REQUESTS_WAITING_MAX - 3)
    // The pages that were given up are not in it.
    expect(raise(queue, { group: 5 })).toBe('COMPLETE')
    expect(queue.find(ONE, 5)).toHaveLength(1)
  })

  test('is over when a group has been answered', () => {
    const queue = new PageRequests()
    fill(queue, 0)
    expect(raise(queue)).toBe('SUCCESS')
    queue.answer(target(2), 0)
    expect(raise(queue)).toBe('COMPLETE')
  })

  test('does not make a stop marker or a malformed request anything else', () => {
    const queue = new PageRequests()
    fill(queue, 0)
    expect(raise(queue, { read: false })).toBe('DROPPED')
    expect(raise(queue, { privileged: true })).toBe('INVALID')
  })
})

test('a drain takes what its place has and tells which groups need a response', () => {
  const queue = new PageRequests()
  raise(queue, { group: 1 })
  raise(queue, { group: 2, last: false })
  raise(queue, { group: 511 })
  raise(queue, { target: target(2) })
  expect(queue.drain(ONE)).toEqual([1, 511])
  expect(queue.drain(ONE)).toEqual([])
  expect([queue.waiting, queue.answer(target(2), 3)]).toEqual([1, true])
})

test('a reset drops everything and says how much', () => {
  const queue = new PageRequests()
  raise(queue, { group: 1 })
  raise(queue, { group: 2, last: false })
  raise(queue, { target: target(2), group: 2 })
  expect([queue.clear(), queue.waiting, queue.clear()]).toEqual([3, 0, 0])
  expect(queue.answer(ONE, 1)).toBe(false)
  expect(raise(queue, { group: 2 })).toBe('COMPLETE')
  expect(queue.find(ONE, 2)).toHaveLength(1)
})

test('an index has nine bits', () => {
  expect(raise(new PageRequests(), { group: 511 })).toBe('COMPLETE')
  expect(() => raise(new PageRequests(), { group: 512 })).toThrow('page group 512')
})
