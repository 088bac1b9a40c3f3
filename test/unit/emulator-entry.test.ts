/** The bits of a PASID entry, against the table of VT-d 9.6, and both ways at every bound. */

import { describe, expect, test } from 'vitest'
import {
  checkEntry,
  clearEntry,
  clearPresent,
  decodeEntry,
  domainOf,
  encodeEntry,
  ENTRY_WORDS,
  isPresent,
  setPresent,
  type PasidEntry,
} from '../../src/backend/emulator/pasid-entry.js'
import { UNIT_DEFAULTS } from '../../src/backend/emulator/unit-options.js'

const TOP = 0xf_ffff_ffff_f000

function entry(more: Partial<PasidEntry> = {}): PasidEntry {
  const firstStage = {
    pointer: 0x1_2345_6000,
    levels: 4 as const,
    supervisor: false,
    writeProtect: false,
    extendedAccessed: false,
  }
  const secondStage = { pointer: 0x7000, width: 48 as const, accessedDirty: false }
  const flags = { faultsDisabled: false, pageWalkSnoop: false, pageSnoop: false }
  return { type: 'NESTED', domain: 2, firstStage, secondStage, ...flags, ...more }
}

function written(value: PasidEntry): Uint32Array {
  const words = new Uint32Array(ENTRY_WORDS)
  encodeEntry(words, 0, value)
  return words
}

/** Bits `first`..`last` of the 512, as the specification numbers them. */
function bits(words: Uint32Array, first: number, last: number): bigint {
  let all = 0n
  for (let i = ENTRY_WORDS - 1; i >= 0; i -= 1) all = (all << 32n) | BigInt(words[i] ?? 0)
  return (all >> BigInt(first)) & ((1n << BigInt(last - first + 1)) - 1n)
}

describe('PASID entry', () => {
  test('each field lies where the specification says', () => {
    const value = entry({
      faultsDisabled: true,
      domain: 0xbeef,
      pageWalkSnoop: true,
      pageSnoop: true,
      secondStage: { pointer: TOP, width: 57, accessedDirty: true },
      firstStage: {
        pointer: 0x8_7654_3210_f000,
        levels: 5,
        supervisor: true,
        writeProtect: true,
        extendedAccessed: true,
      },
    })
    const words = written(value)
    setPresent(words, 0)
    expect(bits(words, 0, 0)).toBe(1n)
    expect(bits(words, 1, 1)).toBe(1n)
    expect(bits(words, 2, 4)).toBe(3n)
    expect(bits(words, 6, 8)).toBe(3n)
    expect(bits(words, 9, 9)).toBe(1n)
    expect(bits(words, 12, 63) << 12n).toBe(BigInt(TOP))
    expect(bits(words, 64, 79)).toBe(0xbeefn)
    expect(bits(words, 87, 88)).toBe(3n)
    expect(bits(words, 128, 128)).toBe(1n)
    expect(bits(words, 130, 131)).toBe(1n)
    expect(bits(words, 132, 132)).toBe(1n)
    expect(bits(words, 135, 135)).toBe(1n)
    expect(bits(words, 140, 191) << 12n).toBe(0x8_7654_3210_f000n)
    expect(bits(words, 192, 511)).toBe(0n)
    expect(checkEntry(words, 0, UNIT_DEFAULTS)).toBe('VALID')
  })

  const pointers = [0, 0x1000, 0x7fff_f000, 0x8000_0000, 0xffff_f000, 0x1_0000_0000, TOP]
  test.each(pointers)('what is written is read back, with a pointer of %s', (pointer) => {
    for (const domain of [0, 1, 0x8000, 0xffff]) {
      for (const width of [39, 48, 57] as const) {
        const secondStage = { pointer, width, accessedDirty: width === 39 }
        const first = { pointer: TOP - pointer, levels: width === 57 ? (5 as const) : (4 as const) }
        const none = { supervisor: false, writeProtect: false, extendedAccessed: false }
        const nested = entry({ domain, secondStage, firstStage: { ...first, ...none } })
        expect(decodeEntry(written(nested), 0)).toEqual(nested)
        const second = entry({ type: 'SECOND_STAGE', domain, secondStage, firstStage: undefined })
        expect(decodeEntry(written(second), 0)).toEqual(second)
      }
    }
  })

  test('a written entry is not present before its P, nor after P is cleared', () => {
    const words = written(entry())
    expect(isPresent(words, 0)).toBe(false)
    expect(() => clearPresent(words, 0)).toThrow()
    setPresent(words, 0)
    expect(() => encodeEntry(words, 0, entry())).toThrow('not present')
    expect(() => clearEntry(words, 0)).toThrow('P is cleared first')
    clearPresent(words, 0)
    expect(domainOf(words, 0)).toBe(2)
    clearEntry(words, 0)
    expect(words.every((word) => word === 0)).toBe(true)
  })

  test('neighbours in a table page are left alone', () => {
    const words = new Uint32Array(3 * ENTRY_WORDS).fill(0xffff_ffff)
    words.fill(0, ENTRY_WORDS, 2 * ENTRY_WORDS)
    encodeEntry(words, ENTRY_WORDS, entry())
    setPresent(words, ENTRY_WORDS)
    clearPresent(words, ENTRY_WORDS)
    clearEntry(words, ENTRY_WORDS)
    const others = [...words.slice(0, ENTRY_WORDS), ...words.slice(2 * ENTRY_WORDS)]
    expect(others.every((word) => word === 0xffff_ffff)).toBe(true)
  })

  const wrong: readonly (readonly [string, Partial<PasidEntry>])[] = [
    ['a domain of 17 bits', { domain: 0x1_0000 }],
    ['a table that is not page aligned', { secondStage: { ...secondOf(), pointer: 0x7008 } }],
    ['a table beyond 52 bits', { secondStage: { ...secondOf(), pointer: 2 ** 52 } }],
    ['NESTED without a first stage', { firstStage: undefined }],
    ['SECOND_STAGE with a first stage', { type: 'SECOND_STAGE' }],
    ['PASS_THROUGH with a second stage', { type: 'PASS_THROUGH', firstStage: undefined }],
  ]
  test.each(wrong)('%s is a bug', (_what, more) => {
    expect(() => written(entry(more))).toThrow()
  })

  const damage = (more: Partial<PasidEntry>, word: number, mask: number, value: number): string => {
    const words = written(entry(more))
    words[word] = ((words[word] ?? 0) & ~mask) | value
    return checkEntry(words, 0, UNIT_DEFAULTS)
  }

  test('a unit refuses reserved bits, reserved types and widths', () => {
    for (const pgtt of [0, 5, 6, 7]) expect(damage({}, 0, 0x1c0, pgtt << 6)).toBe('INVALID')
    for (const aw of [0, 4, 7]) expect(damage({}, 0, 0x1c, aw << 2)).toBe('INVALID')
    for (const flpm of [2, 3]) expect(damage({}, 4, 0xc, flpm << 2)).toBe('INVALID')
    for (const bit of [5, 10, 11]) expect(damage({}, 0, 0, 1 << bit)).toBe('RESERVED')
    for (let bit = 16; bit <= 22; bit += 1) expect(damage({}, 2, 0, 1 << bit)).toBe('RESERVED')
    for (const bit of [1, 5, 6, 8, 9, 10, 11]) {
      expect(damage({}, 4, 0, 1 << bit)).toBe('RESERVED')
    }
    for (let word = 6; word < ENTRY_WORDS; word += 1) {
      expect(damage({}, word, 0, 1 << 31)).toBe('RESERVED')
    }
  })

  test('what the type has no use for is not looked at', () => {
    const second: Partial<PasidEntry> = { type: 'SECOND_STAGE', firstStage: undefined }
    expect(damage(second, 4, 0, 0xfff)).toBe('VALID')
    const first: Partial<PasidEntry> = { type: 'FIRST_STAGE', secondStage: undefined }
    expect(damage(first, 0, 0x1c, 0)).toBe('VALID')
    expect(damage(first, 1, 0, 0xffff_ffff)).toBe('VALID')
    const none: Partial<PasidEntry> = { ...second, type: 'PASS_THROUGH', secondStage: undefined }
    expect(damage(none, 4, 0, 0xfff)).toBe('VALID')
    // WPE has no meaning without SRE.
    expect(damage({}, 4, 0, 1 << 4)).toBe('VALID')
  })

  test('fields of what the unit has not are reserved', () => {
    const words = written(entry({ firstStage: { ...firstOf(), supervisor: true } }))
    expect(checkEntry(words, 0, { ...UNIT_DEFAULTS, supervisorRequests: false })).toBe('RESERVED')
    const extended = written(entry({ firstStage: { ...firstOf(), extendedAccessed: true } }))
    expect(checkEntry(extended, 0, { ...UNIT_DEFAULTS, extendedAccessed: false })).toBe('RESERVED')
    const five = written(entry({ firstStage: { ...firstOf(), levels: 5 } }))
    expect(checkEntry(five, 0, { ...UNIT_DEFAULTS, fiveLevels: false })).toBe('INVALID')
    const far = written(entry({ secondStage: { ...secondOf(), pointer: 2 ** 46 } }))
    expect(checkEntry(far, 0, { ...UNIT_DEFAULTS, hostAddressWidth: 46 })).toBe('RESERVED')
    expect(checkEntry(far, 0, { ...UNIT_DEFAULTS, hostAddressWidth: 47 })).toBe('VALID')
    const guest = written(entry({ firstStage: { ...firstOf(), pointer: 2 ** 46 } }))
    expect(checkEntry(guest, 0, { ...UNIT_DEFAULTS, hostAddressWidth: 46 })).toBe('VALID')
  })
})

function firstOf(): NonNullable<PasidEntry['firstStage']> {
  const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
  return { pointer: 0x1000, levels: 4, ...flags }
}

function secondOf(): NonNullable<PasidEntry['secondStage']> {
  return { pointer: 0x7000, width: 48, accessedDirty: false }
}
