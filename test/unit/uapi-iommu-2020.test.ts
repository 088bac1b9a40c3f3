/** struct iommu_cache_invalidate_info and iommu_gpasid_bind_data of Linux 5.10, by offset. */
import { describe, expect, test } from 'vitest'
import { ERRNO, isUapiError } from '../../src/uapi/errno.js'
import { decodeCacheInvalidate, decodeGpasidBind, vtdBindOf } from '../../src/uapi/iommu-2020.js'

/** Values at offsets; the length as the structure's, unless it is given. */
function structure(length: number, ...fields: [at: number, size: 1 | 2 | 4 | 8, value: bigint][]) {
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  for (const [at, size, value] of fields) {
    if (size === 8) view.setBigUint64(at, value, true)
    else if (size === 4) view.setUint32(at, Number(value), true)
    else if (size === 2) view.setUint16(at, Number(value), true)
    else view.setUint8(at, Number(value))
  }
  return bytes
}

function bytesWith(base: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const bytes = new Uint8Array(base)
  bytes.set(values, at)
  return bytes
}

interface Asked {
  readonly argsz?: number
  readonly version?: number
  readonly cache?: number
  readonly granularity?: number
  readonly flags?: number
  readonly archid?: number
  readonly pasid?: bigint
  readonly addr?: bigint
  readonly size?: bigint
  readonly count?: bigint
  readonly length?: number
}

function info(asked: Asked): Uint8Array {
  return structure(
    asked.length ?? 56,
    [0, 4, BigInt(asked.argsz ?? 56)],
    [4, 4, BigInt(asked.version ?? 1)],
    [8, 1, BigInt(asked.cache ?? 1)],
    [9, 1, BigInt(asked.granularity ?? 0)],
    [16, 4, BigInt(asked.flags ?? 0)],
    [20, 4, BigInt(asked.archid ?? 0)],
    [24, 8, asked.pasid ?? 0n],
    [32, 8, asked.addr ?? 0n],
    [40, 8, asked.size ?? 4096n],
    [48, 8, asked.count ?? 1n],
  )
}

function errnoOf(value: object): number {
  return isUapiError(value) ? value.errno : 0
}

describe('iommu_cache_invalidate_info', () => {
  test('domain: neither PASID nor anything else of the union is looked at', () => {
    const bytes = info({ cache: 5, flags: 0xffff_ffff, pasid: 2n ** 63n })
    expect(decodeCacheInvalidate(bytes)).toEqual({
      caches: ['IOTLB', 'PASID_CACHE'],
      granularity: { kind: 'DOMAIN' },
    })
  })
  test('PASID, by its number, by ARCHID, by both', () => {
    const granularity = (flags: number) => {
      const decoded = decodeCacheInvalidate(
        info({ granularity: 1, cache: 7, flags, archid: 9, pasid: 300n }),
      )
      return isUapiError(decoded) ? decoded : decoded.granularity
    }
    expect(granularity(1)).toEqual({ kind: 'PASID', pasid: 300, archid: undefined })
    expect(granularity(2)).toEqual({ kind: 'PASID', pasid: undefined, archid: 9 })
    expect(granularity(3)).toEqual({ kind: 'PASID', pasid: 300, archid: 9 })
    expect(errnoOf(granularity(0))).toBe(ERRNO.EINVAL)
  })
  test.each([
    [0x1000n, 4096n, 1n, 0x1000n, 1n],
    [0x1000n, 0x20_0000n, 3n, 0x1000n, 1536n],
    // What is no whole page is widened to whole ones.
    [0x1fffn, 1n, 2n, 0x1000n, 2n],
    [0n, 1n << 63n, 2n, 0n, 1n << 52n],
    [0xffff_ffff_ffff_f000n, 4096n, 1n, 0xffff_ffff_ffff_f000n, 1n],
  ])('addresses %x + %x * %d', (addr, size, count, address, pages) => {
    const bytes = info({ granularity: 2, cache: 3, flags: 5, pasid: 300n, addr, size, count })
    expect(decodeCacheInvalidate(bytes)).toEqual({
      caches: ['IOTLB', 'DEVICE_TLB'],
      granularity: { kind: 'ADDRESS', pasid: 300, archid: undefined, address, pages, leaf: true },
    })
  })
  test('addresses of all address spaces of the domain: neither flag', () => {
    const decoded = decodeCacheInvalidate(info({ granularity: 2 }))
    expect(decoded).toMatchObject({ granularity: { pasid: undefined, archid: undefined } })
  })
  test('no cache: valid, and nothing to do', () => {
    expect(decodeCacheInvalidate(info({ cache: 0 }))).toMatchObject({ caches: [] })
  })
  test.each([
    ['version 0', { version: 0 }],
    ['version 2', { version: 2 }],
    ['a fourth cache', { cache: 9 }],
    ['the highest cache bit', { cache: 0x80 }],
    ['granularity 3', { granularity: 3 }],
    ['granularity 255', { granularity: 255 }],
    ['argsz below the fixed part', { argsz: 15 }],
    ['argsz 0', { argsz: 0 }],
    ['argsz below the PASID part', { argsz: 31, granularity: 1, flags: 1, pasid: 1n }],
    ['argsz below the address part', { argsz: 55, granularity: 2 }],
    ['an unknown PASID flag', { granularity: 1, flags: 5, pasid: 1n }],
    ['an unknown address flag', { granularity: 2, flags: 8 }],
    ['the highest address flag', { granularity: 2, flags: 0x8000_0000 }],
    ['PASID 0', { granularity: 1, flags: 1, pasid: 0n }],
    ['a PASID of 21 bits', { granularity: 1, flags: 1, pasid: 1n << 20n }],
    ['a PASID of 64 bits', { granularity: 2, flags: 1, pasid: (1n << 63n) | 1n }],
    ['granules of no size', { granularity: 2, size: 0n }],
    ['no granules', { granularity: 2, count: 0n }],
    ['granules beyond 2^64', { granularity: 2, addr: 4096n, size: 1n << 32n, count: 1n << 32n }],
    ['a product that would wrap', { granularity: 2, size: 1n << 63n, count: 4n }],
  ] as const)('EINVAL: %s', (_, asked) => {
    expect(errnoOf(decodeCacheInvalidate(info(asked)))).toBe(ERRNO.EINVAL)
  })
  test('the version says how large it is before argsz is held against that', () => {
    const decoded = decodeCacheInvalidate(info({ version: 2, argsz: 16, granularity: 2 }))
    expect(decoded).toMatchObject({ problem: expect.stringMatching(/version 2/) })
  })
  test.each([0, 1, 2, 3, 4, 5])('EINVAL: padding[%i]', (i) => {
    const decoded = decodeCacheInvalidate(bytesWith(info({}), 10 + i, 1))
    expect(decoded).toMatchObject({ errno: ERRNO.EINVAL })
    expect(decoded).toMatchObject({ problem: expect.stringContaining(`padding[${i}]`) })
  })

  /** Granularity by cache bits: Y where all caches that are named take it. */
  const VALIDITY = [
    [0, [0, 1, 4, 5]],
    [1, [0, 1, 2, 3, 4, 5, 6, 7]],
    [2, [0, 1, 2, 3]],
  ] as const
  test.each(VALIDITY)('validity table: granularity %i', (granularity, valid) => {
    for (let cache = 0; cache < 8; cache += 1) {
      const bytes = info({ granularity, cache, flags: 1, pasid: 1n })
      const isValid = !isUapiError(decodeCacheInvalidate(bytes))
      expect(isValid, `cache ${cache}`).toBe(valid.some((one) => one === cache))
    }
  })

  test('every length of the bytes: EFAULT where less is there than argsz says', () => {
    for (let length = 0; length < 80; length += 1) {
      const whole = info({ granularity: 2, length: 80 })
      expect(errnoOf(decodeCacheInvalidate(whole.subarray(0, length))), `${length} bytes`).toBe(
        length < 56 ? ERRNO.EFAULT : 0,
      )
    }
  })
  test('every argsz: what is beyond the structure is not read', () => {
    for (let argsz = 0; argsz < 80; argsz += 1) {
      const decoded = decodeCacheInvalidate(info({ granularity: 1, flags: 1, pasid: 1n, argsz }))
      expect(errnoOf(decoded), `argsz ${argsz}`).toBe(argsz < 32 ? ERRNO.EINVAL : 0)
    }
    expect(errnoOf(decodeCacheInvalidate(info({ argsz: 0xffff_ffff })))).toBe(0)
  })
  test('bytes at an offset of a larger buffer', () => {
    const buffer = new Uint8Array(100)
    buffer.set(info({ granularity: 1, flags: 1, pasid: 7n }), 13)
    expect(decodeCacheInvalidate(buffer.subarray(13, 69))).toMatchObject({
      granularity: { pasid: 7 },
    })
  })
})

/** The fields of struct iommu_gpasid_bind_data, by offset. */
const BIND = structure(
  72,
  [0, 4, 72n],
  [4, 4, 1n],
  [8, 4, 1n],
  [12, 4, 57n],
  [16, 8, 1n],
  [24, 8, 0xf_ffff_ffff_f000n],
  [32, 8, 300n],
  [40, 8, 5n],
  [56, 8, 3n],
  [64, 4, 0x1111n],
  [68, 4, 0x2222n],
)

function bindWith(at: number, size: 1 | 4 | 8, value: bigint): Uint8Array {
  return bytesWith(BIND, at, ...structure(size, [0, size, value]))
}

function boundBy(bytes: Uint8Array) {
  const decoded = decodeGpasidBind(bytes)
  return isUapiError(decoded) ? decoded : vtdBindOf(decoded)
}

describe('iommu_gpasid_bind_data', () => {
  test('each field', () => {
    expect(decodeGpasidBind(BIND)).toEqual({
      format: 1,
      addrWidth: 57,
      gpgd: 0xf_ffff_ffff_f000n,
      hpasid: 300n,
      gpasid: 5n,
      vtd: { flags: 3n, pat: 0x1111, emt: 0x2222 },
    })
    expect(boundBy(BIND)).toEqual({
      address: 0xf_ffff_ffff_f000,
      width: 57,
      pasid: 300,
      guestPasid: 5,
      supervisor: true,
      extendedAccessed: true,
    })
  })
  test('without GPASID_VAL the guest PASID is not looked at', () => {
    expect(decodeGpasidBind(bindWith(16, 8, 0n))).toMatchObject({ gpasid: undefined })
  })
  test.each([
    ['version 0', bindWith(4, 4, 0n)],
    ['version 2', bindWith(4, 4, 2n)],
    ['format 2', bindWith(8, 4, 2n)],
    ['format 2^32-1', bindWith(8, 4, 0xffff_ffffn)],
    ['flag 2', bindWith(16, 8, 2n)],
    ['flag 2^63', bindWith(16, 8, 1n << 63n)],
    ['padding[0]', bindWith(48, 1, 1n)],
    ['padding[7]', bindWith(55, 1, 1n)],
    ['argsz 55', bindWith(0, 4, 55n)],
  ])('EINVAL of both directions: %s', (_, bytes) => {
    expect(errnoOf(decodeGpasidBind(bytes))).toBe(ERRNO.EINVAL)
  })
  test.each([
    ['format 0', bindWith(8, 4, 0n)],
    ['host PASID 0', bindWith(32, 8, 0n)],
    ['a host PASID of 21 bits', bindWith(32, 8, 1n << 20n)],
    ['guest PASID 0', bindWith(40, 8, 0n)],
    ['a guest PASID of 21 bits', bindWith(40, 8, 1n << 20n)],
    ['width 39', bindWith(12, 4, 39n)],
    ['an unaligned table', bindWith(24, 8, 0x1008n)],
    ['a table at 2^52', bindWith(24, 8, 1n << 52n)],
    ['PCD', bindWith(56, 8, 4n)],
    ['PWT', bindWith(56, 8, 8n)],
    ['EMTE', bindWith(56, 8, 16n)],
    ['CD', bindWith(56, 8, 32n)],
    ['vendor flag 64', bindWith(56, 8, 64n)],
    ['vendor flag 2^63', bindWith(56, 8, 1n << 63n)],
  ])('EINVAL of a VT-d bind only: %s', (_, bytes) => {
    expect(errnoOf(decodeGpasidBind(bytes))).toBe(0)
    expect(errnoOf(boundBy(bytes))).toBe(ERRNO.EINVAL)
  })
  test('argsz that ends in the vendor part: what is beyond it counts as 0', () => {
    for (let argsz = 56; argsz < 72; argsz += 1) {
      const decoded = decodeGpasidBind(bindWith(0, 4, BigInt(argsz)).subarray(0, argsz))
      const vtd = { flags: argsz > 56 ? 3n : 0n, pat: argsz > 65 ? 0x1111 : argsz > 64 ? 0x11 : 0 }
      expect(decoded, `argsz ${argsz}`).toMatchObject({ vtd })
    }
  })
  test('every length of the bytes', () => {
    for (let length = 0; length < 72; length += 1) {
      expect(errnoOf(decodeGpasidBind(BIND.subarray(0, length)))).toBe(ERRNO.EFAULT)
    }
    expect(errnoOf(decodeGpasidBind(bytesWith(new Uint8Array(100), 0, ...BIND)))).toBe(0)
  })
})
