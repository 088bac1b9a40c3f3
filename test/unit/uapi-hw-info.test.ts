/** What GET_HW_INFO and the nesting info of 2020 say of devices, and of several together. */
import { describe, expect, test } from 'vitest'
import { registersBefore } from '../../src/backend/emulator/platforms.js'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import { UNIT_DEFAULTS } from '../../src/backend/emulator/unit-options.js'
import type { DeviceFacts, IommuRegisters } from '../../src/core/device.js'
import { hwInfoOf, leastHwInfo } from '../../src/uapi/hw-info.js'
import { nestingInfoOf } from '../../src/uapi/nesting-info.js'
import { fieldOf, leastRegisters } from '../../src/uapi/register-fields.js'

function device(more: Partial<DeviceFacts>): DeviceFacts {
  const facts = { ...DEVICE_DEFAULTS, name: 'd', ...more }
  return { registers: registersBefore(facts, UNIT_DEFAULTS), ...facts }
}

const CAP = 0x1912_3456_789a_bcden
const ECAP = 0xfedc_ba98_7654_3210n
const VTD = device({ registers: { platform: 'INTEL_VTD', cap: CAP, ecap: ECAP } })
const ARM = device({ platform: 'ARM_SMMUV3', addressWidths: [] })
const AMD = device({ platform: 'AMD', addressWidths: [], pasidBits: 16 })

function words(bytes: Uint8Array): number[] {
  return [...new Uint32Array(new Uint8Array(bytes).buffer)]
}

describe('hw info', () => {
  test('struct iommu_hw_info_vtd', () => {
    const { dataType, data } = hwInfoOf(VTD)
    expect(dataType).toBe(1)
    const low = (value: bigint) => Number(BigInt.asUintN(32, value))
    const registers = [low(CAP), low(CAP >> 32n), low(ECAP), low(ECAP >> 32n)]
    expect(words(data)).toEqual([0, 0, ...registers])
  })
  test('caching mode, which may be switched at any time, is not in it', () => {
    const facts = { ...DEVICE_DEFAULTS, name: 'd' }
    const switched = registersBefore(facts, { ...UNIT_DEFAULTS, cachingMode: true })
    expect(switched).toEqual(registersBefore(facts, UNIT_DEFAULTS))
  })
  test('struct iommu_hw_info_arm_smmuv3', () => {
    const idr = [1, 2, 3, 4, 5, 0xffff_ffff]
    const registers: IommuRegisters = { platform: 'ARM_SMMUV3', idr, iidr: 7, aidr: 8 }
    const info = hwInfoOf({ ...ARM, registers })
    expect(info.dataType).toBe(2)
    expect(words(info.data)).toEqual([0, 0, ...idr, 7, 8])
  })
  test('struct iommu_hw_info_amd', () => {
    const registers = { platform: 'AMD', efr: 0x1_0000_0002n, efr2: 0x3_0000_0004n } as const
    const info = hwInfoOf({ ...AMD, registers })
    expect(info.dataType).toBe(4)
    expect(words(info.data)).toEqual([2, 1, 4, 3])
  })
  test('nothing known', () => {
    const { registers: _, ...facts } = VTD
    expect(hwInfoOf(facts)).toMatchObject({ dataType: 0, data: new Uint8Array() })
  })

  test.each([
    [device({}), 20],
    [device({ pasidBits: 8 }), 8],
    [device({ pasidBits: 0 }), 0],
    [ARM, 20],
    // (1 << (PASmax + 1)) - 1 PASIDs, of which ilog2() is PASmax.
    [AMD, 15],
    [device({ platform: 'AMD', addressWidths: [], pasidBits: 12 }), 12],
  ])('max_pasid_log2 %#', (facts, bits) => {
    expect(hwInfoOf(facts).maxPasidLog2).toBe(bits)
  })
  test.each([
    [device({ supervisorRequests: true }), 1 + 4],
    [device({ supervisorRequests: false }), 1],
    [device({ supervisorRequests: true, pasidBits: 0 }), 1],
    [device({ supervisorRequests: false, ats: false }), 1 + 8],
    [device({ supervisorRequests: false, executeRequests: true }), 1 + 2],
    [device({ supervisorRequests: false, executeRequests: true, pasidBits: 0 }), 1],
    // The device's own word before its IOMMU's.
    [device({ supervisorRequests: true, privilegedRequests: false }), 1],
    [device({ supervisorRequests: false, privilegedRequests: true }), 1 + 4],
    [device({ platform: 'ARM_SMMUV3', supervisorRequests: false }), 1],
    [device({ platform: 'AMD', supervisorRequests: false }), 1],
  ])('capabilities %#', (facts, bits) => {
    expect(hwInfoOf(facts).capabilities).toBe(bits)
  })
})

describe('the registers of an emulated platform', () => {
  const ecapOf = (facts: DeviceFacts, bit: number) => {
    const { registers } = facts
    return registers?.platform === 'INTEL_VTD' ? fieldOf(registers.ecap, bit, bit) : undefined
  }
  test.each([
    ['DT', 2, { ats: false }],
    ['PT', 6, { passThrough: false }],
    ['NEST', 26, { addressWidths: [] }],
    ['PRS', 29, { pageRequests: false }],
    ['SRS', 31, { supervisorRequests: false }],
    ['EAFS', 34, { extendedAccessed: false }],
  ] as const)('ECAP.%s is what the device can', (_, bit, without) => {
    expect(ecapOf(device({ passThrough: true }), bit)).toBe(1)
    expect(ecapOf(device(without), bit)).toBe(0)
  })
  test('CAP.FL5LP too', () => {
    const fl5lp = (facts: DeviceFacts) => {
      const { registers } = facts
      return registers?.platform === 'INTEL_VTD' ? fieldOf(registers.cap, 60, 60) : undefined
    }
    expect(fl5lp(device({}))).toBe(1)
    expect(fl5lp(device({ addressWidths: [48] }))).toBe(0)
  })
  test('an SMMUv3 of SSIDSIZE 20 with both stages; PRI and ATS by the device', () => {
    const { registers } = device({ platform: 'ARM_SMMUV3', pageRequests: false, ats: false })
    if (registers?.platform !== 'ARM_SMMUV3') throw new Error('an SMMU')
    const field = (i: number, first: number, last: number) => {
      return fieldOf(BigInt(registers.idr[i] ?? 0), first, last)
    }
    expect(registers.idr).toHaveLength(6)
    expect([field(0, 0, 1), field(0, 2, 3), field(0, 19, 19)]).toEqual([3, 2, 1])
    expect([field(0, 10, 10), field(0, 16, 16)]).toEqual([0, 0])
    expect([field(1, 6, 10), field(1, 0, 5), field(5, 0, 2)]).toEqual([20, 16, 5])
    const able = device({ platform: 'ARM_SMMUV3', pageRequests: true }).registers
    if (able?.platform !== 'ARM_SMMUV3') throw new Error('an SMMU')
    expect(fieldOf(BigInt(able.idr[0] ?? 0), 16, 16)).toBe(1)
  })
  test('an AMD IOMMU of PASmax 15 with guest translation', () => {
    const { registers } = AMD
    if (registers?.platform !== 'AMD') throw new Error('an AMD IOMMU')
    expect(fieldOf(registers.efr, 32, 36)).toBe(15)
    expect(fieldOf(registers.efr, 4, 4)).toBe(1)
  })
})

describe('several together', () => {
  test('abilities are what each has, quantities the least, demands what any makes', () => {
    const one = { platform: 'INTEL_VTD', cap: 0n, ecap: 0n } as const
    const at = (value: bigint, bit: number) => value << BigInt(bit)
    // MAMV 18 and 9: the bits of 9 are not within those of 18. CM of one; FL5LP of one.
    const a = { ...one, cap: at(18n, 48) | at(1n, 60) | at(1n, 39), ecap: at(19n, 35) | at(3n, 40) }
    const b = { ...one, cap: at(9n, 48) | at(1n, 7) | at(1n, 39), ecap: at(7n, 35) | at(1n, 40) }
    const together = leastRegisters(a, b)
    if (together?.platform !== 'INTEL_VTD') throw new Error('VT-d')
    expect(together.cap).toBe(at(9n, 48) | at(1n, 7) | at(1n, 39))
    expect(together.ecap).toBe(at(7n, 35) | at(1n, 40))
    expect(leastRegisters(b, a)).toEqual(together)
    expect(leastRegisters(a, { ...a })).toEqual(a)
  })
  test('SMMUs and AMD IOMMUs', () => {
    const arm = { platform: 'ARM_SMMUV3', iidr: 5, aidr: 2 } as const
    const a = { ...arm, idr: [(2 << 6) | 3, 20 << 6, 0, 0, 0, 5 | 0x70] }
    const b = { ...arm, idr: [(1 << 6) | 1, 11 << 6, 0, 0, 0, 2 | 0x30], iidr: 6, aidr: 1 }
    const idr = [(1 << 6) | 1, 11 << 6, 0, 0, 0, 2 | 0x30]
    expect(leastRegisters(a, b)).toEqual({ ...arm, idr, iidr: 0, aidr: 1 })
    const amd = { platform: 'AMD', efr2: 0n } as const
    expect(leastRegisters({ ...amd, efr: 15n << 32n }, { ...amd, efr: 16n << 32n })).toEqual({
      ...amd,
      efr: 15n << 32n,
    })
  })
  test('the least PASID width; a device without ATS; different platforms', () => {
    const narrow = device({ pasidBits: 9, ats: false })
    expect(leastHwInfo([device({}), narrow])).toMatchObject({ maxPasidLog2: 9 })
    expect(Number(leastHwInfo([device({}), narrow])?.capabilities) & 8).toBe(8)
    const executes = device({ executeRequests: true, supervisorRequests: true })
    const meek = device({ executeRequests: true, privilegedRequests: false })
    const requests = (...devices: readonly DeviceFacts[]) => {
      return Number(leastHwInfo(devices)?.capabilities) & 6
    }
    expect(requests(executes, executes)).toBe(2 + 4)
    expect(requests(executes, meek)).toBe(2)
    expect(requests(executes, device({ supervisorRequests: true }))).toBe(4)
    expect(leastHwInfo([VTD, ARM])).toBeUndefined()
    expect(leastHwInfo([])).toBeUndefined()
  })
})

describe('struct iommu_nesting_info (v7)', () => {
  test('each field', () => {
    const bytes = new Uint8Array(nestingInfoOf([device({ pasidBits: 12 }), device({})]) ?? [])
    expect(bytes).toHaveLength(48)
    const least = leastHwInfo([device({ pasidBits: 12 }), device({})])
    const view = new DataView(bytes.buffer)
    const u32 = [0, 4, 8, 12, 20, 24, 28].map((at) => view.getUint32(at, true))
    expect(u32).toEqual([48, 0, 1, 7, 0, 0, 0])
    expect([view.getUint16(16, true), view.getUint16(18, true)]).toEqual([48, 12])
    expect(bytes.subarray(32)).toEqual(least?.data.subarray(8))
  })
  test.each([[[ARM]], [[AMD]], [[VTD, ARM]], [[]], [[device({ addressWidths: [] })]]])(
    'none where nothing nests: %#',
    (devices) => {
      expect(nestingInfoOf(devices)).toBeUndefined()
    },
  )
})
