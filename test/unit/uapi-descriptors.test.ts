/** Invalidation-queue descriptors: each layout by value, and each reserved bit of each type. */
import { describe, expect, test } from 'vitest'
import {
  decodeDescriptor,
  decodeDescriptors,
  type QueueFacts,
} from '../../src/uapi/vtd-descriptor.js'

const WIDE: QueueFacts = { addressMaskMax: 18, wide: true }
const NARROW: QueueFacts = { addressMaskMax: 18, wide: false }

function decode(low: bigint, high = 0n, facts = WIDE) {
  return decodeDescriptor(low, high, undefined, facts)
}

/** The error's text; fails when there is none. */
function problem(low: bigint, high = 0n, facts = WIDE): string {
  const decoded = decode(low, high, facts)
  return decoded.kind === 'ERROR' ? decoded.problem : `no error but ${decoded.kind}`
}

describe('context-cache (type 1)', () => {
  test.each([
    [0x11n, 'GLOBAL'],
    [0x21n, 'DOMAIN'],
    [0x31n, 'DEVICE'],
  ] as const)('%x is %s', (low, granularity) => {
    const fields = (0x2_0108n << 32n) | (0xabcdn << 16n)
    expect(decode(low | fields)).toEqual({
      kind: 'CONTEXT',
      granularity,
      domain: 0xabcd,
      sourceId: 0x108,
      functionMask: 2,
    })
  })
})

describe('IOTLB (type 2)', () => {
  test('by domain, with both drains, as the recorded guest wrote it', () => {
    const none = { block: undefined, leaf: false }
    expect(decode(0xe2n)).toEqual({ kind: 'IOTLB', granularity: 'DOMAIN', domain: 0, ...none })
    expect(decode(0x12n)).toMatchObject({ granularity: 'GLOBAL', block: undefined })
  })
  test('by pages', () => {
    expect(decode(0x0005_0032n, 0x7f00_0020_0000n | 0x40n | 9n)).toEqual({
      kind: 'IOTLB',
      granularity: 'PAGE',
      domain: 5,
      block: { address: 0x7f00_0020_0000n, order: 9 },
      leaf: true,
    })
  })
})

describe('device-TLB (type 3)', () => {
  const low = (0x0108n << 32n) | 0x1f_0003n
  test('without S: one page', () => {
    expect(decode(low, 0x5000n)).toEqual({
      kind: 'DEVICE_TLB',
      sourceId: 0x108,
      block: { address: 0x5000n, order: 0 },
    })
  })
  test.each([
    [0x0001n, 0x0n, 1],
    [0x8001n, 0x8000n, 1],
    [0x9001n, 0x8000n, 2],
    [0x7001n, 0x0n, 4],
    [0x7fff_f001n, 0x0n, 20],
    [0x1_7fff_f001n, 0x1_0000_0000n, 20],
    [0x3fff_ffff_ffff_f001n, 0x0n, 51],
  ])('with S: the lowest zero bit of %x is its size', (high, address, order) => {
    expect(decode(low, high)).toMatchObject({ block: { address, order } })
  })
  test.each([0x7fff_ffff_ffff_f001n, 0xffff_ffff_ffff_f001n])(
    'with S and ones up to bit 62 (%x): everything',
    (high) => {
      expect(decode(low, high)).toMatchObject({ kind: 'DEVICE_TLB', block: undefined })
    },
  )
})

test('interrupt entry (type 4): nothing of it is ours', () => {
  expect(decode(0x4n)).toEqual({ kind: 'INTERRUPT_ENTRY' })
  expect(decode(0xffff_f800_0014n)).toEqual({ kind: 'INTERRUPT_ENTRY' })
})

describe('wait (type 5)', () => {
  const none = { statusWrite: undefined, interrupt: false, fence: false, drain: false }
  test.each([
    [0x5n, none],
    [0x15n, { ...none, interrupt: true }],
    [0x45n, { ...none, fence: true }],
    [0x85n, { ...none, drain: true }],
  ])('%x', (low, fields) => {
    expect(decode(low)).toEqual({ kind: 'WAIT', ...fields })
  })
  test('with a status write: 32 bits of data to a multiple of 4', () => {
    const statusWrite = { address: 0xffff_ffff_0206_9c04n, data: 0xdead_beef }
    const low = 0xdead_beef_0000_0025n
    expect(decode(low, statusWrite.address)).toEqual({ kind: 'WAIT', ...none, statusWrite })
  })
})

describe('PASID-based IOTLB (type 6)', () => {
  const low = (0xabcden << 32n) | 0x0003_0026n
  test('everything of a PASID', () => {
    expect(decode(low)).toEqual({
      kind: 'PIOTLB',
      granularity: 'PASID',
      domain: 3,
      pasid: 0xabcde,
      block: undefined,
      leaf: false,
    })
  })
  test('some of its pages: address bits below the size are not looked at', () => {
    const block = { address: 0xffff_8000n, order: 3 }
    expect(decode(low | 0x10n, 0xffff_c043n)).toMatchObject({
      granularity: 'PAGE',
      block,
      leaf: true,
    })
  })
  test('an address mask beyond CAP.MAMV', () => {
    expect(decode(low | 0x10n, 18n)).toMatchObject({ block: { order: 18 } })
    const text = 'pasid-iotlb: address mask 19 is beyond 18 (CAP_REG.MAMV)'
    expect(problem(low | 0x10n, 19n)).toBe(text)
    expect(problem(0x32n, 63n)).toBe('iotlb: address mask 63 is beyond 18 (CAP_REG.MAMV)')
  })
  test('an address mask of 52 and more is everything there is', () => {
    const all = { addressMaskMax: 63, wide: true }
    for (const mask of [52n, 63n]) {
      const decoded = decode(low | 0x10n, 0xffff_ffff_ffff_f000n | mask, all)
      expect(decoded).toMatchObject({ block: { address: 0n, order: 52 } })
    }
  })
})

test.each([
  [0x20007n, 'DOMAIN'],
  [0x20017n, 'PASID'],
  [0x20037n, 'GLOBAL'],
])('PASID cache (type 7): %x', (low, granularity) => {
  const decoded = decode(low | (0x12345n << 32n))
  expect(decoded).toEqual({ kind: 'PASID_CACHE', granularity, domain: 2, pasid: 0x12345 })
})

describe('PASID-based device-TLB (type 8)', () => {
  const low = (0x12345n << 32n) | (0x0108n << 16n) | 0x1f8n
  test.each([
    [0x5000n, false, { address: 0x5000n, order: 0 }],
    [0x8800n, false, { address: 0x8000n, order: 1 }],
    [0x8801n, true, { address: 0x8000n, order: 1 }],
    [0x7fff_ffff_ffff_f800n, false, undefined],
  ])('%x', (high, global, block) => {
    expect(decode(low, high)).toEqual({
      kind: 'PASID_DEVICE_TLB',
      sourceId: 0x108,
      pasid: 0x12345,
      global,
      block,
    })
  })
})

describe('page-group response (type 9)', () => {
  const low = (0x12345n << 32n) | (0x0108n << 16n) | 9n
  test.each([
    [0x0n, 'SUCCESS'],
    [0x1n, 'INVALID'],
    [0xfn, 'FAILURE'],
  ])('code %x is %s', (value, code) => {
    const answer = { kind: 'PAGE_GROUP_RESPONSE', sourceId: 0x108, group: 0x1ff, code }
    expect(decode(low | (value << 12n) | 0x10n, 0xff8n)).toEqual({ ...answer, pasid: 0x12345 })
    expect(decode(low | (value << 12n), 0xff8n)).toEqual({ ...answer, pasid: undefined })
  })
  test.each([2n, 8n, 14n])('code %d means nothing', (value) => {
    expect(problem(low | (value << 12n))).toContain(`response code ${value}`)
  })
})

describe('refused', () => {
  test.each([0, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf])('type %i', (type) => {
    expect(problem(BigInt(type))).toBe(`descriptor type ${type}; there are types 1 to 9`)
  })
  test('a known type with bits 11:9 is another', () => {
    expect(problem(0x225n)).toContain('descriptor type 21')
    expect(problem(0xe02n)).toContain('descriptor type 114')
  })
  test.each([
    ['context-cache', 0x01n, 0],
    ['iotlb', 0x02n, 0],
    ['pasid-iotlb', 0x06n, 0],
    ['pasid-iotlb', 0x16n, 1],
    ['pasid-cache', 0x27n, 2],
  ])('%s of granularity %x', (name, low, granularity) => {
    expect(problem(low)).toBe(`${name}: granularity ${granularity} is reserved`)
  })
  test.each([6n, 7n, 8n, 9n])('type %d in a queue of 128-bit descriptors', (type) => {
    expect(problem(type | 0x30n, 0n, NARROW)).toContain('IQA_REG.DW is 0')
  })
  test.each([0x11n, 0x12n, 0x3n, 0x14n, 0x15n])('%x is for both', (low) => {
    expect(decode(low, 0n, NARROW).kind).not.toBe('ERROR')
    expect(decode(low, 0n, WIDE).kind).not.toBe('ERROR')
  })
  test('anything in the upper 128 bits', () => {
    for (const upper of [[1n, 0n] as const, [0n, 1n << 63n] as const]) {
      const decoded = decodeDescriptor(0x26n, 0n, upper, WIDE)
      expect(decoded).toMatchObject({ kind: 'ERROR', problem: expect.stringMatching(/upper 128/) })
    }
    expect(decodeDescriptor(0x26n, 0n, [0n, 0n], WIDE).kind).toBe('PIOTLB')
  })
})

/** A legal descriptor of each type, and the bits of its two words that mean something. */
const MEANING = [
  ['context-cache', 0x31n, 0x0003_ffff_ffff_003fn, 0n],
  ['iotlb', 0x32n, 0xffff_00ffn, 0xffff_ffff_ffff_f07fn],
  ['device-tlb', 0x3n, 0x0000_ffff_001f_000fn, 0xffff_ffff_ffff_f001n],
  ['interrupt-entry', 0x14n, 0x0000_ffff_f800_001fn, 0n],
  ['wait', 0x25n, 0xffff_ffff_0000_00ffn, 0xffff_ffff_ffff_fffcn],
  ['pasid-iotlb', 0x36n, 0x000f_ffff_ffff_003fn, 0xffff_ffff_ffff_f07fn],
  ['pasid-cache', 0x37n, 0x000f_ffff_ffff_003fn, 0n],
  ['pasid-device-tlb', 0x8n, 0x000f_ffff_ffff_01ffn, 0xffff_ffff_ffff_f801n],
  ['page-group-response', 0x9n, 0x000f_ffff_ffff_f01fn, 0xffcn],
] as const
/** Bits 11:9 belong to the type, whatever it is. */
const TYPE_BITS = 0xe0fn

describe.each(MEANING)('%s', (name, legal, low, high) => {
  const isReserved = (text: string): boolean => / are reserved$/.test(text)
  test('each bit is reserved, or has a meaning', () => {
    expect(decode(legal).kind).not.toBe('ERROR')
    for (let bit = 0n; bit < 64n; bit += 1n) {
      const one = 1n << bit
      if ((TYPE_BITS & one) === 0n) {
        const text = problem(legal | one)
        expect(isReserved(text), `${text}, low bit ${bit}`).toBe((low & one) === 0n)
        if (isReserved(text)) expect(text.startsWith(`${name}: `)).toBe(true)
      }
      const text = problem(legal, one)
      expect(isReserved(text), `${text}, high bit ${bit}`).toBe((high & one) === 0n)
    }
  })
})

test.each([0x3n, 0x8n])('PFSID of type %x is a field where ECAP.DIT is set', (legal) => {
  const pfsid = 0xfff0_0000_0000_f000n
  expect(problem(legal | pfsid)).toContain('are reserved')
  expect(decode(legal | pfsid, 0n, { ...WIDE, throttling: true }).kind).not.toBe('ERROR')
  const all = { ...WIDE, throttling: true }
  if (legal === 3n) expect(problem(legal | (0xfn << 48n), 0n, all)).toContain('are reserved')
})

describe('a part of a queue', () => {
  function bytesOf(...words: bigint[]): Uint8Array {
    return new Uint8Array(new BigUint64Array(words).buffer)
  }
  const kinds = (bytes: Uint8Array, facts: QueueFacts): string[] =>
    decodeDescriptors(bytes, facts).map(({ kind }) => kind)

  test('descriptors of 16 and of 32 bytes, little endian, from any offset of a buffer', () => {
    const narrow = bytesOf(0x11n, 0n, 0xdead_beef_0000_0025n, 0x1000n)
    expect(decodeDescriptors(narrow, NARROW)[1]).toMatchObject({
      statusWrite: { address: 0x1000n, data: 0xdead_beef },
    })
    const wide = bytesOf(0n, 0x26n, 0n, 0n, 0n, 0x5n, 0n, 0n, 0n)
    expect(kinds(wide.subarray(8), WIDE)).toEqual(['PIOTLB', 'WAIT'])
    expect(kinds(new Uint8Array(), WIDE)).toEqual([])
  })
  test('ends with the first bad one', () => {
    expect(kinds(bytesOf(4n, 0n, 0n, 0n, 4n, 0n), NARROW)).toEqual(['INTERRUPT_ENTRY', 'ERROR'])
    expect(kinds(bytesOf(4n, 0n, 0n, 1n, 4n, 0n, 0n, 0n), WIDE)).toEqual(['ERROR'])
  })
  test.each([1, 8, 15])('%i bytes left over are no descriptor', (bytes) => {
    expect(kinds(bytesOf(4n, 0n, 4n, 0n).subarray(0, 16 + bytes), NARROW)).toEqual([
      'INTERRUPT_ENTRY',
      'ERROR',
    ])
  })
})
