/**
 * Structures of /dev/iommu and of VFIO cdevs, byte for byte as they go to the kernel and come back.
 * That the offsets are the kernel's is test/kernel/layouts/.
 */
import { describe, expect, test } from 'vitest'
import {
  FAULT_QUEUE_ALLOC,
  GET_HW_INFO,
  HWPT_ALLOC,
  HWPT_INVALIDATE,
  IOAS_MAP_FILE,
  IOMMUFD,
} from '../../src/uapi/iommufd.js'
import {
  decodePageFaults,
  encodePageResponse,
  HWPT_PGFAULT,
  HWPT_VTD_S1,
  VTD_S1_INVALIDATE,
} from '../../src/uapi/iommufd-data.js'
import { decode, encode, structure, u32, u64, u8 } from '../../src/uapi/structure.js'
import { encodeAttach, encodeBind, encodeDetach } from '../../src/uapi/vfio-cdev.js'

/** Groups of 4 bytes, as they lie in memory. */
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').replace(/.{8}/g, '$& ').trim()
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

describe('to the kernel', () => {
  test('a nested HWPT with PASIDs and a fault queue', () => {
    const flags = IOMMUFD.IOMMU_HWPT_ALLOC_PASID | IOMMUFD.IOMMU_HWPT_FAULT_ID_VALID
    const fields = { flags, devId: 2, ptId: 3, dataType: 1, dataLen: 24, faultId: 9 }
    expect(hex(encode(HWPT_ALLOC.structure, fields))).toBe(
      '30000000 0c000000 02000000 03000000 00000000 00000000 ' +
        '01000000 18000000 00000000 00000000 09000000 00000000',
    )
  })
  test('a first-stage table', () => {
    const table = { flags: 3n, pgtblAddr: 0x1122_3344_5566_7000n, addrWidth: 57 }
    expect(hex(encode(HWPT_VTD_S1, table))).toBe(
      '03000000 00000000 00706655 44332211 39000000 00000000',
    )
  })
  test('an entry for everything', () => {
    const entry = encode(VTD_S1_INVALIDATE, { addr: 0n, npages: 2n ** 64n - 1n })
    expect(hex(entry)).toBe('00000000 00000000 ffffffff ffffffff 00000000 00000000')
  })
  test('a member with a sign', () => {
    const map = encode(IOAS_MAP_FILE.structure, { flags: 7, ioasId: 1, fd: -1, length: 4096n })
    expect(hex(map.subarray(0, 16))).toBe('28000000 07000000 01000000 ffffffff')
  })
  test('the forms of VFIO without a PASID are those of kernels before 6.15', () => {
    expect(hex(encodeBind(5))).toBe('10000000 00000000 05000000 00000000')
    expect(hex(encodeAttach(4, undefined))).toBe('0c000000 00000000 04000000')
    expect(hex(encodeAttach(4, 0xf_ffff))).toBe('10000000 01000000 04000000 ffff0f00')
    expect(hex(encodeDetach(undefined))).toBe('08000000 00000000')
    expect(hex(encodeDetach(1))).toBe('0c000000 01000000 01000000')
  })
  test('PASID 0, which the kernel takes for the RID, does not get that far', () => {
    expect(() => encodeAttach(4, 0)).toThrow('PASID 0')
    expect(() => encodeDetach(0)).toThrow('PASID 0')
  })
  test('an answer to a page request', () => {
    expect(hex(encodePageResponse(3, true))).toBe('03000000 00000000')
    expect(hex(encodePageResponse(3, false))).toBe('03000000 01000000')
  })
  test.each([
    ['a negative id', { hwptId: -1 }, 'iommu_hwpt_invalidate.hwpt_id -1: u32'],
    ['33 bits', { entryNum: 2 ** 32 }, 'iommu_hwpt_invalidate.entry_num 4294967296: u32'],
    ['half an entry', { entryNum: 0.5 }, 'iommu_hwpt_invalidate.entry_num 0.5: u32'],
    ['no number', { entryNum: Number.NaN }, 'iommu_hwpt_invalidate.entry_num NaN: u32'],
  ])('%s is a bug', (_, fields, problem) => {
    expect(() => encode(HWPT_INVALIDATE.structure, fields)).toThrow(problem)
  })
  test('a field beyond the form is a bug, and so is a value beyond 64 bits', () => {
    const short = structure('short', 8, { fields: { a: u32('a', 0), b: u32('b', 4) } })
    expect(hex(encode(short, { a: 1 }, 4))).toBe('01000000')
    expect(() => encode(short, { b: 1 }, 4)).toThrow('short.b is beyond the 4 bytes of this form')
    expect(() => encode(HWPT_VTD_S1, { flags: 2n ** 64n })).toThrow('iommu_hwpt_vtd_s1.flags')
  })
})

describe('from the kernel', () => {
  test('what GET_HW_INFO answers', () => {
    const bytes = fromHex(
      '28000000 00000000 02000000 18000000 f0debc9a 78563412 01000000 14ffffff 0d000000 01000000',
    )
    expect(decode(GET_HW_INFO.structure, bytes)).toEqual({
      ...{ flags: 0, devId: 2, dataLen: 24 },
      ...{ outDataType: 1, outMaxPasidLog2: 20, outCapabilities: 0x1_0000_000dn },
    })
  })
  test('a fault queue', () => {
    const bytes = fromHex('10000000 00000000 05000000 2a000000')
    const queue = decode(FAULT_QUEUE_ALLOC.structure, bytes)
    expect(queue).toEqual({ flags: 0, outFaultId: 5, outFaultFd: 42 })
  })
  test('records of page requests, in their order', () => {
    const first = { flags: 1, devId: 2, pasid: 700, grpid: 511, perm: 3 }
    const page = { addr: 0xffff_8000_0000_1000n, length: 4096, cookie: 8 }
    const second = { ...first, flags: 3, perm: 12, ...page }
    const one = encode(HWPT_PGFAULT, { ...first, ...page })
    const bytes = new Uint8Array([...one, ...encode(HWPT_PGFAULT, second)])
    expect(decodePageFaults(bytes)).toEqual([{ ...first, ...page }, second])
    expect(decodePageFaults(new Uint8Array())).toEqual([])
  })
  test('half a record is never there: a bug', () => {
    expect(() => decodePageFaults(new Uint8Array(60))).toThrow('20 of 40 bytes')
  })
  test('a part of a larger memory is read where it is', () => {
    const whole = new Uint8Array(20)
    whole.set(fromHex('07000000 01000000'), 12)
    const s = structure('s', 8, { fields: { a: u64('a', 0) } })
    expect(decode(s, whole.subarray(12))).toEqual({ a: 0x1_0000_0007n })
  })
})

describe('a table', () => {
  test('with a gap, an overlap or a wrong size is a bug', () => {
    const gap = { fields: { a: u32('a', 0), b: u32('b', 8) } }
    expect(() => structure('s', 12, gap)).toThrow('s.b is at 8, and the one before ends at 4')
    const overlap = { fields: { a: u64('a', 0), b: u32('b', 4) } }
    expect(() => structure('s', 12, overlap)).toThrow('s.b is at 4, and the one before ends at 8')
    expect(() => structure('s', 8, { fields: { a: u8('a', 0) } })).toThrow('1 of 8 bytes')
  })
})
