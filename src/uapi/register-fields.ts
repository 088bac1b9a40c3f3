/**
 * What several IOMMUs can do together, from the registers that each reports. Registers are for the
 * most part one bit an ability; the fields below are quantities, of which the least counts, or
 * demands on software, which hold for all as soon as one makes them. Linux: intel/iommu.h cap_*()
 * and ecap_*(), arm-smmu-v3.h IDR*, amd_iommu_types.h FEATURE_*.
 */

import type { IommuRegisters } from '../core/device.js'

/** Bits `first` to `last`, both inside. */
type Field = readonly [first: number, last: number]

interface Meaning {
  readonly least: readonly Field[]
  /** Demands: as bits, all that any makes. */
  readonly demands: readonly Field[]
}

/**
 * ND, MGAW, FRO (where fault records begin: alike or not there), NFR, MAMV; RWBF, PLMR, PHMR, CM.
 */
const CAP: Meaning = {
  least: [
    [0, 2],
    [16, 21],
    [24, 33],
    [40, 47],
    [48, 53],
  ],
  demands: [[4, 7]],
}
/** IRO, MHMV, PSS. */
const ECAP: Meaning = {
  least: [
    [8, 17],
    [20, 23],
    [35, 39],
  ],
  demands: [],
}
/** HTTU, ST_LVL; STALL_MODEL (1: none, 2: always) and TTENDIAN (2: little only). */
const IDR0: Meaning = {
  least: [
    [6, 7],
    [27, 28],
  ],
  demands: [
    [21, 22],
    [24, 25],
  ],
}
/** SIDSIZE, SSIDSIZE and the queues' sizes; presets and overrides. */
const IDR1: Meaning = {
  least: [
    [0, 5],
    [6, 10],
    [11, 15],
    [16, 20],
    [21, 25],
  ],
  demands: [[27, 30]],
}
/** OAS, VAX, STALL_MAX. */
const IDR5: Meaning = {
  least: [
    [0, 2],
    [10, 11],
    [16, 31],
  ],
  demands: [],
}
/** HATS, GATS, GLX, PASMAX. */
const EFR: Meaning = {
  least: [
    [10, 11],
    [12, 13],
    [14, 15],
    [32, 36],
  ],
  demands: [],
}
const ABILITIES: Meaning = { least: [], demands: [] }
const IDR: readonly Meaning[] = [IDR0, IDR1, ABILITIES, ABILITIES, ABILITIES, IDR5]

/** Undefined: they are of different platforms. */
export function leastRegisters(
  one: IommuRegisters,
  other: IommuRegisters,
): IommuRegisters | undefined {
  if (one === other) return one
  if (one.platform === 'INTEL_VTD' && other.platform === 'INTEL_VTD') {
    const cap = least(one.cap, other.cap, CAP)
    return { platform: 'INTEL_VTD', cap, ecap: least(one.ecap, other.ecap, ECAP) }
  }
  if (one.platform === 'ARM_SMMUV3' && other.platform === 'ARM_SMMUV3') {
    const idr = one.idr.map((value, i) => {
      return Number(least(BigInt(value), BigInt(other.idr[i] ?? 0), IDR[i] ?? ABILITIES))
    })
    // Which implementation it is, is not known of two; which architecture, is the older.
    const iidr = one.iidr === other.iidr ? one.iidr : 0
    return { platform: 'ARM_SMMUV3', idr, iidr, aidr: Math.min(one.aidr, other.aidr) }
  }
  if (one.platform === 'AMD' && other.platform === 'AMD') {
    const efr = least(one.efr, other.efr, EFR)
    return { platform: 'AMD', efr, efr2: least(one.efr2, other.efr2, ABILITIES) }
  }
  return undefined
}

function least(one: bigint, other: bigint, { least: quantities, demands }: Meaning): bigint {
  let value = one & other
  for (const field of quantities) {
    const [a, b] = [one & maskOf(field), other & maskOf(field)]
    value = (value & ~maskOf(field)) | (a < b ? a : b)
  }
  for (const field of demands) value |= (one | other) & maskOf(field)
  return value
}

function maskOf([first, last]: Field): bigint {
  return ((1n << BigInt(last - first + 1)) - 1n) << BigInt(first)
}

/** The value of a field. */
export function fieldOf(register: bigint, first: number, last: number): number {
  return Number((register & maskOf([first, last])) >> BigInt(first))
}
