/**
 * Entries of IOMMU_HWPT_INVALIDATE for a VT-d nested page table: fields, checks, how many stand.
 */
import { describe, expect, test } from 'vitest'
import { ERRNO } from '../../src/uapi/errno.js'
import { decodeVtdS1, type VtdS1Request } from '../../src/uapi/vtd-s1.js'

const ALL = 0xffff_ffff_ffff_ffffn

function entry(addr: bigint, npages: bigint, flags = 0, reserved = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(24))
  view.setBigUint64(0, addr, true)
  view.setBigUint64(8, npages, true)
  view.setUint32(16, flags, true)
  view.setUint32(20, reserved, true)
  return new Uint8Array(view.buffer)
}

function request(entries: readonly Uint8Array[], more: Partial<VtdS1Request> = {}): VtdS1Request {
  const bytes = new Uint8Array(Buffer.concat(entries))
  return { dataType: 0, entryLen: 24, entryNum: entries.length, entries: bytes, ...more }
}

/** How many stand, and the errno of the one after them. */
function result(entries: readonly Uint8Array[], more: Partial<VtdS1Request> = {}) {
  const { entries: good, stopped } = decodeVtdS1(request(entries, more))
  return [good.length, stopped?.errno ?? 0]
}

const GOOD = entry(0x1000n, 1n)

test('each field', () => {
  const decoded = decodeVtdS1(request([entry(0x7000n, 3n, 1), entry(0n, 1n), entry(0n, ALL)]))
  expect(decoded).toEqual({
    entries: [
      { range: { address: 0x7000n, pages: 3n, leaf: true } },
      { range: { address: 0n, pages: 1n, leaf: false } },
      { range: undefined },
    ],
    stopped: undefined,
  })
})

describe('a request', () => {
  test.each([
    ['of no entries', [], {}, [0, 0]],
    ['of no entries of no length', [], { entryLen: 0 }, [0, 0]],
    ['of no entries of another type', [], { dataType: 1 }, [0, ERRNO.EINVAL]],
    ['of another type', [GOOD], { dataType: 0xffff_ffff }, [0, ERRNO.EINVAL]],
    ['of no entry length', [GOOD], { entryLen: 0 }, [0, ERRNO.EINVAL]],
    ['of entries too short', [GOOD], { entryLen: 23 }, [0, ERRNO.EINVAL]],
    ['of entries of one byte', [GOOD], { entryLen: 1 }, [0, ERRNO.EINVAL]],
    ['of entries too long', [GOOD, GOOD], { entryLen: 25 }, [0, ERRNO.EINVAL]],
    ['of more bytes than entries', [GOOD, GOOD], { entryNum: 1 }, [1, 0]],
    ['of more entries than bytes', [GOOD], { entryNum: 3 }, [1, ERRNO.EFAULT]],
    ['of entries without bytes', [], { entryNum: 1 }, [0, ERRNO.EFAULT]],
  ] as const)('%s', (_, entries, more, expected) => {
    expect(result(entries, more)).toEqual(expected)
  })
})

describe('the first bad entry ends it, those before it stand', () => {
  test.each([
    ['flag 2', entry(0n, 1n, 2), ERRNO.EOPNOTSUPP],
    ['flag 2^31', entry(0n, 1n, 0x8000_0001), ERRNO.EOPNOTSUPP],
    ['all flags', entry(0n, 1n, 0xffff_ffff), ERRNO.EOPNOTSUPP],
    ['a reserved bit', entry(0n, 1n, 0, 1), ERRNO.EOPNOTSUPP],
    ['flags before alignment', entry(1n, 1n, 2), ERRNO.EOPNOTSUPP],
    ['an unaligned address', entry(0x1001n, 1n), ERRNO.EINVAL],
    ['an address in a page', entry(0x800n, 1n), ERRNO.EINVAL],
    ['all pages from an address', entry(0x1000n, ALL), ERRNO.EINVAL],
    ['no pages', entry(0x1000n, 0n), ERRNO.EINVAL],
    ['one page too many', entry(0x1000n, 1n << 52n), ERRNO.EINVAL],
    ['a size that wraps', entry(0n, ALL - 1n), ERRNO.EINVAL],
  ])('%s', (_, bad, errno) => {
    expect(result([bad])).toEqual([0, errno])
    expect(result([GOOD, GOOD, bad, GOOD])).toEqual([2, errno])
  })
  test('the last page, and all pages by their number', () => {
    expect(result([entry(ALL - 0xfffn, 1n), entry(0n, 1n << 52n)])).toEqual([2, 0])
  })
  test('every length of its bytes but the whole', () => {
    for (let length = 0; length < 24; length += 1) {
      const bytes = new Uint8Array(Buffer.concat([GOOD, GOOD])).subarray(0, 24 + length)
      expect(result([], { entryNum: 2, entries: bytes })).toEqual([1, ERRNO.EFAULT])
    }
  })
})
