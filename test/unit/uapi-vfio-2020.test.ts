/**
 * The ioctl structures of the 2020 series, from bytes to meaning: every argsz, every flag bit,
 * every shorter copy, and the order in which a kernel looked at them.
 */
import { describe, expect, test } from 'vitest'
import { isUapiError, type UapiError } from '../../src/uapi/errno.js'
import { decodeCacheInvalidate, decodeGpasidBind } from '../../src/uapi/iommu-2020.js'
import { decodeInfoRequest, encodeInfo } from '../../src/uapi/vfio-info.js'
import {
  decodeInside,
  decodeNestingOp,
  decodePasidRequest,
  decodeV1Bind,
  decodeV1CacheInvalidate,
  decodeV1PasidRequest,
  type NestingOp,
} from '../../src/uapi/vfio-2020.js'
import {
  bindData,
  cacheInfo,
  ERRNO,
  infoRequest,
  pasidRequest,
  v1BindData,
  v1CacheInfo,
  v1PasidRequest,
  withHeader,
} from '../support/vfio-layouts.js'

const { EFAULT, EINVAL } = ERRNO

type Decode = (bytes: Uint8Array) => object

function errnoOf(decoded: object): number {
  return isUapiError(decoded) ? decoded.errno : 0
}

/** The header, and what its operation says is behind it. */
function whole(header: (bytes: Uint8Array) => NestingOp | UapiError): Decode {
  return (bytes) => {
    const op = header(bytes)
    if (isUapiError(op)) return op
    if (op.operation === 'CACHE_INVALIDATE') return decodeInside(op, decodeCacheInvalidate)
    return decodeInside(op, decodeGpasidBind)
  }
}

interface Structure {
  readonly name: string
  readonly decode: Decode
  /** As it is right. */
  readonly bytes: Buffer
  /** Read whatever argsz says. */
  readonly fixed: number
  /** Of argsz. */
  readonly least: number
  /** Bits of flags, at 4, that change nothing of being right. */
  readonly flags: readonly number[]
}

const nested = whole(decodeNestingOp)
const v1Bind = whole(decodeV1Bind)
const v1Invalidate = whole(decodeV1CacheInvalidate)
const inv = cacheInfo({ cache: 1, granularity: 1, flags: 1, pasid: 7 })
const v1Inv = v1CacheInfo({ cache: 1, granularity: 1, flags: 1, pasid: 7 })

const STRUCTURES: readonly Structure[] = [
  {
    name: 'v7 pasid_request, allocate',
    decode: decodePasidRequest,
    bytes: pasidRequest(1, 5, 9),
    fixed: 16,
    least: 16,
    // Both, and none, are found later: see the service's test.
    flags: [0, 1],
  },
  {
    name: 'v1 pasid_request, allocate',
    decode: decodeV1PasidRequest,
    bytes: v1PasidRequest(1, 5, 9),
    fixed: 8,
    least: 20,
    flags: [],
  },
  {
    name: 'v1 pasid_request, free',
    decode: decodeV1PasidRequest,
    bytes: v1PasidRequest(2, 5).subarray(0, 12),
    fixed: 8,
    least: 12,
    flags: [],
  },
  {
    name: 'v7 nesting_op, bind',
    decode: nested,
    bytes: withHeader(0, bindData()),
    fixed: 8,
    least: 80,
    // UNBIND_PGTBL: the same data.
    flags: [0],
  },
  {
    name: 'v7 nesting_op, invalidate',
    decode: nested,
    bytes: withHeader(2, inv),
    fixed: 8,
    least: 64,
    flags: [],
  },
  {
    name: 'v1 bind of March 2020',
    decode: v1Bind,
    bytes: withHeader(1, v1BindData()),
    fixed: 8,
    least: 80,
    flags: [],
  },
  {
    name: 'v1 bind with the structure of Linux 5.10',
    decode: v1Bind,
    bytes: withHeader(1, bindData()),
    fixed: 8,
    least: 80,
    flags: [],
  },
  {
    name: 'v1 cache_invalidate of March 2020',
    decode: v1Invalidate,
    bytes: withHeader(0, v1Inv),
    fixed: 8,
    least: 56,
    flags: [],
  },
  {
    name: 'v1 cache_invalidate with the structure of Linux 5.10',
    decode: v1Invalidate,
    bytes: withHeader(0, inv),
    fixed: 8,
    least: 64,
    flags: [],
  },
]

describe.each(STRUCTURES)('$name', ({ decode, bytes, fixed, least, flags }) => {
  test('is taken from its own size on, and with whatever is behind it', () => {
    expect(errnoOf(decode(bytes))).toBe(0)
    for (let argsz = 0; argsz <= bytes.length + 8; argsz += 1) {
      const given = Buffer.concat([bytes, Buffer.alloc(8, 0xff)])
      given.writeUInt32LE(argsz, 0)
      expect([argsz, errnoOf(decode(given))]).toEqual([argsz, argsz < least ? EINVAL : 0])
    }
  })

  test('is EFAULT wherever the memory ends', () => {
    for (let size = 0; size < bytes.length; size += 1) {
      expect([size, errnoOf(decode(bytes.subarray(0, size)))]).toEqual([size, EFAULT])
    }
  })

  test('its fixed part is read before argsz is looked at', () => {
    const short = Buffer.from(bytes)
    short.writeUInt32LE(0, 0)
    expect(errnoOf(decode(short.subarray(0, fixed - 1)))).toBe(EFAULT)
    expect(errnoOf(decode(short.subarray(0, fixed)))).toBe(EINVAL)
  })

  test('takes no other flag', () => {
    for (let bit = 0; bit < 32; bit += 1) {
      const given = Buffer.from(bytes)
      given.writeUInt32LE((given.readUInt32LE(4) ^ (2 ** bit)) >>> 0, 4)
      const errno = flags.includes(bit) ? 0 : EINVAL
      expect([bit, errnoOf(decode(given))]).toEqual([bit, errno])
    }
  })
})

describe('a range of PASIDs', () => {
  const LAST = 2 ** 31 - 1
  test.each([
    [0, 0, 0],
    [1, 1, 0],
    [0, LAST, 0],
    [LAST, LAST, 0],
    [2, 1, EINVAL],
    [1, 2 ** 31, EINVAL],
    [2 ** 31, 2 ** 31, EINVAL],
    [0, 2 ** 32 - 1, EINVAL],
    [2 ** 32 - 1, 0, EINVAL],
  ])('%i..%i is errno %i', (min, max, errno) => {
    expect(errnoOf(decodePasidRequest(pasidRequest(1, min, max)))).toBe(errno)
    expect(errnoOf(decodePasidRequest(pasidRequest(2, min, max)))).toBe(errno)
  })

  test('of v1 is not looked at: that is the allocator’s', () => {
    expect(decodeV1PasidRequest(v1PasidRequest(1, 9, 5))).toEqual({
      operation: 'ALLOC',
      min: 9,
      max: 5,
    })
  })
})

test('both flags, or none, name no operation', () => {
  for (const flags of [0, 3]) {
    expect(decodePasidRequest(pasidRequest(flags, 1, 1))).toMatchObject({ operation: undefined })
    expect(errnoOf(decodeV1PasidRequest(v1PasidRequest(flags, 1)))).toBe(EINVAL)
    expect(errnoOf(decodeV1Bind(withHeader(flags, v1BindData())))).toBe(EINVAL)
  }
})

test('nesting operations beyond the three are EINVAL', () => {
  for (let op = 3; op <= 0xffff; op += 1) {
    if (errnoOf(decodeNestingOp(withHeader(op, bindData()))) !== EINVAL) expect(op).toBe('EINVAL')
  }
})

test('the structures of March 2020 mean what those of Linux 5.10 mean', () => {
  const table = { width: 57, gpgd: 0xabc000n, hpasid: 300, gpasid: 5n, flags: 1n, vtdFlags: 3n }
  expect(v1Bind(withHeader(1, v1BindData(table)))).toEqual(nested(withHeader(0, bindData(table))))
  for (const granularity of [0, 1, 2]) {
    const range = { addr: 0x7000n, granuleSize: 4096n, granules: 3n }
    const fields = { cache: 1, granularity, flags: 1, pasid: 300, ...range }
    const old = v1Invalidate(withHeader(0, v1CacheInfo(fields)))
    expect(old).toEqual(nested(withHeader(2, cacheInfo(fields))))
    expect(errnoOf(old)).toBe(0)
  }
})

test('padding of March 2020 must be 0, each byte of it', () => {
  const bind = withHeader(1, v1BindData())
  for (let at = 44; at < 56; at += 1) {
    const odd = Buffer.from(bind)
    odd[8 + at] = 1
    expect([at, errnoOf(v1Bind(odd))]).toEqual([at, EINVAL])
  }
  const info = withHeader(0, v1Inv)
  for (const at of [6, 7]) {
    const odd = Buffer.from(info)
    odd[8 + at] = 1
    expect([at, errnoOf(v1Invalidate(odd))]).toEqual([at, EINVAL])
  }
})

test('the version is looked at before the size', () => {
  const bind = withHeader(1, v1BindData({ version: 2 }), 12)
  // 2 is no version, so it is an argsz of Linux 5.10, and too small for one.
  expect(errnoOf(v1Bind(bind))).toBe(EINVAL)
  expect(errnoOf(v1Bind(bind.subarray(0, 11)))).toBe(EFAULT)
})

describe('VFIO_IOMMU_GET_INFO', () => {
  const nesting = Uint8Array.from({ length: 48 }, (_, i) => i + 1)
  /** info 24, the ranges' capability 48, nesting's 56. */
  const WHOLE = 24 + 48 + 56

  function written(argsz: number, size = argsz): Buffer {
    const request = decodeInfoRequest(infoRequest(argsz, size))
    if (isUapiError(request)) throw new Error(request.problem)
    return Buffer.from(encodeInfo(request, nesting))
  }

  test('is EFAULT without its fixed part, EINVAL below it', () => {
    for (let size = 0; size < 16; size += 1) {
      expect(errnoOf(decodeInfoRequest(infoRequest(64, 64).subarray(0, size)))).toBe(EFAULT)
      expect(errnoOf(decodeInfoRequest(infoRequest(size, 64)))).toBe(EINVAL)
    }
  })

  test('a caller that knows of no chain is told the size, and of no offset', () => {
    for (let argsz = 16; argsz < 20; argsz += 1) {
      const bytes = written(argsz, 64)
      expect(bytes.length).toBe(16)
      expect([bytes.readUInt32LE(0), bytes.readUInt32LE(4)]).toEqual([WHOLE, 3])
      expect(bytes.readBigUInt64LE(8)).toBe(0xffff_ffff_ffff_f000n)
    }
  })

  test('a chain that does not fit is announced, whole or not at all', () => {
    for (let argsz = 20; argsz < WHOLE; argsz += 1) {
      const bytes = written(argsz, 256)
      expect(bytes.length).toBe(20)
      expect([bytes.readUInt32LE(0), bytes.readUInt32LE(16)]).toEqual([WHOLE, 0])
    }
  })

  test('the chain can be walked, and what the kernel did not write stays', () => {
    const bytes = written(WHOLE + 8)
    expect(bytes.length).toBe(WHOLE)
    expect([bytes.readUInt32LE(0), bytes.readUInt32LE(16)]).toEqual([WHOLE + 8, 24])
    expect(bytes.subarray(20, 24)).toEqual(Buffer.alloc(4, 0xaa))
    const header = (at: number) => {
      return [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2), bytes.readUInt32LE(at + 4)]
    }
    expect(header(24)).toEqual([1, 1, 72])
    expect(bytes.readUInt32LE(32)).toBe(2)
    const ends = [40, 48, 56, 64].map((at) => bytes.readBigUInt64LE(at))
    expect(ends).toEqual([0n, 0xfedf_ffffn, 0xfef0_0000n, 0xffff_ffff_ffffn])
    expect(header(72)).toEqual([3, 1, 0])
    expect(bytes.subarray(80)).toEqual(Buffer.from(nesting))
  })
})
