/** Descriptors of the recorded invalidation queue: each layout, and what hardware would stop at. */
import { describe, expect, test } from 'vitest'
import { DescriptorFault, parseDescriptor } from '../../demo/descriptors.js'
import { parseLines } from '../../demo/recording.js'

const hex = (low: bigint, high = 0n) => `${low.toString(16)} ${high.toString(16)}`

describe('each type', () => {
  test('context-cache, device-selective, as the guest wrote it', () => {
    expect(parseDescriptor('10000000031 0')).toEqual({
      kind: 'context-cache',
      granularity: 'device',
      domain: 0,
      source: 0x100,
    })
  })
  test('IOTLB, domain-selective with both drains', () => {
    const domain = { granularity: 'domain', domain: 0, range: undefined }
    expect(parseDescriptor('e2 0')).toEqual({ kind: 'iotlb', ...domain })
  })
  test('IOTLB, page-selective', () => {
    const range = { address: 0x7f00_0000_0000n, order: 9, leaf: true }
    const line = hex(0x0005_0032n, 0x7f00_0000_0000n | 0x40n | 9n)
    expect(parseDescriptor(line)).toEqual({ kind: 'iotlb', granularity: 'page', domain: 5, range })
  })
  test('interrupt entry, global and by index', () => {
    expect(parseDescriptor('4 0')).toEqual({ kind: 'interrupt-entry', granularity: 'global' })
    const byIndex = { kind: 'interrupt-entry', granularity: 'index' }
    expect(parseDescriptor('100000014 0')).toEqual(byIndex)
  })
  test('wait, with status write, fence and drain', () => {
    const none = { kind: 'wait', statusWrite: false, fence: false, drainPageRequests: false }
    expect(parseDescriptor('200000025 2069c04')).toEqual({ ...none, statusWrite: true })
    expect(parseDescriptor('45 0')).toEqual({ ...none, fence: true })
    expect(parseDescriptor('85 0')).toEqual({ ...none, drainPageRequests: true })
  })
  test('PASID-based IOTLB: all of a PASID, and some of its pages', () => {
    const pasid = { kind: 'pasid-iotlb', domain: 3, pasid: 0xabcde }
    const low = (0xabcden << 32n) | 0x0003_0026n
    expect(parseDescriptor(hex(low))).toEqual({ ...pasid, range: undefined })
    const range = { address: 0xffff_c000n, order: 0, leaf: true }
    expect(parseDescriptor(hex(low | 0x10n, 0xffff_c040n))).toEqual({ ...pasid, range })
  })
  test('PASID cache: of a domain, of a PASID, global', () => {
    const granularity = (line: string) => {
      const descriptor = parseDescriptor(line)
      return descriptor.kind === 'pasid-cache' ? descriptor.granularity : undefined
    }
    expect(['20007 0', '20017 0', '37 0'].map(granularity)).toEqual(['domain', 'pasid', 'global'])
  })
})

test('the type is bits 3:0 with bits 11:9 above them', () => {
  expect(() => parseDescriptor('225 0')).toThrow('unknown type 21')
})

test('a range is aligned to its size, and may be everything', () => {
  const range = (high: bigint) => {
    const descriptor = parseDescriptor(hex(0x36n, high))
    return descriptor.kind === 'pasid-iotlb' ? descriptor.range : undefined
  }
  expect(range(0x1234_5000n | 3n)).toEqual({ address: 0x1234_0000n, order: 3, leaf: false })
  expect(range(0xffff_ffff_ffff_f000n | 52n)).toEqual({ address: 0n, order: 52, leaf: false })
  expect(range(0xffff_ffff_ffff_f000n)?.address).toBe(0xffff_ffff_ffff_f000n)
})

describe('refused', () => {
  test.each([0, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf])('unknown type %i', (type) => {
    expect(() => parseDescriptor(`${type.toString(16)} 0`)).toThrow(`unknown type ${type}`)
  })
  test.each([3, 8, 9])('type %i, which is known and not replayed', (type) => {
    expect(() => parseDescriptor(`${type} 0`)).toThrow('not part of the replay')
  })
  test.each([
    ['context-cache', 0x01n],
    ['iotlb', 0x02n],
    ['pasid-iotlb', 0x06n],
    ['pasid-iotlb', 0x16n],
    ['pasid-cache', 0x27n],
  ])('%s: granularity of %x', (name, low) => {
    expect(() => parseDescriptor(hex(low))).toThrow(`${name}: granularity`)
  })
  test('an address mask beyond 2^52 pages', () => {
    expect(() => parseDescriptor(hex(0x36n, 53n))).toThrow('address mask 53')
  })
  test.each(['', '4', '4 0 0', '0x4 0', 'G 0', '4  0', '11111111111111111 0', ' 4 0', 'ABC 0'])(
    'the line %j',
    (line) => {
      expect(() => parseDescriptor(line)).toThrow(DescriptorFault)
    },
  )
  test('in a list, with the number of the line', () => {
    expect(() => parseLines(['4 0', '4 1'])).toThrow('line 2: interrupt-entry: reserved bits')
  })
})

/** A legal descriptor of each type, and the bits in it that mean something. */
const MEANING = [
  ['context-cache', 0x11n, 0x0003_ffff_ffff_003fn, 0n],
  ['iotlb', 0x32n, 0xffff_00ffn, 0xffff_ffff_ffff_f07fn],
  ['interrupt-entry', 0x14n, 0x0000_ffff_f800_001fn, 0n],
  ['wait', 0x25n, 0xffff_ffff_0000_00ffn, 0xffff_ffff_ffff_fffcn],
  ['pasid-iotlb', 0x36n, 0x000f_ffff_ffff_003fn, 0xffff_ffff_ffff_f07fn],
  ['pasid-cache', 0x17n, 0x000f_ffff_ffff_003fn, 0n],
] as const
/** Bits 11:9 belong to the type, whatever it is. */
const TYPE_BITS = 0xe0fn

test.each(MEANING)('%s: every bit but its own is reserved', (name, legal, low, high) => {
  for (let bit = 0n; bit < 64n; bit += 1n) {
    const one = 1n << bit
    if ((TYPE_BITS & one) !== 0n) continue
    // Granularity and address mask have values of their own that are refused.
    if (name !== 'wait' && name !== 'interrupt-entry' && (0x30n & one) !== 0n) continue
    const isReserved = (low & one) === 0n
    const inLow = () => parseDescriptor(hex(legal | one))
    if (isReserved) expect(inLow, `low bit ${bit}`).toThrow(`${name}: reserved bits`)
    else expect(inLow().kind, `low bit ${bit}`).toBe(name)
  }
  for (let bit = 0n; bit < 64n; bit += 1n) {
    const one = 1n << bit
    const inHigh = () => parseDescriptor(hex(legal, one))
    if ((high & one) === 0n) expect(inHigh, `high bit ${bit}`).toThrow(`${name}: reserved bits`)
    else expect(inHigh().kind, `high bit ${bit}`).toBe(name)
  }
})
