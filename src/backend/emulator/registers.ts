/**
 * CAP_REG and ECAP_REG of a unit, as IOMMU_GET_HW_INFO shows them (VT-d 11.4.2, 11.4.3; Linux
 * drivers/iommu/intel/iommu.h cap_*, ecap_*): what the options say, and what this unit always has.
 * Fields of what is not modelled (fault recording, interrupt remapping) are 0. Made for the device
 * facts and the lab.
 */

import type { UnitOptions } from './unit-options.js'

export interface Registers {
  readonly cap: bigint
  readonly ecap: bigint
}

/** 2^16 domain ids: ND is 4 + 2 * 6 bits. */
const DOMAIN_BITS = 6n
/** Second stages of 39, 48 and 57 bits: SAGAW bits 1 to 3. */
const SECOND_STAGE_WIDTHS = 0b1110n
/** MGAW is one less than the bits of the widest input of a second stage. */
const GUEST_WIDTH = 56n
/** Leaves of 2 MiB and 1 GiB: SLLPS bits 0 and 1. */
const SECOND_STAGE_LEAVES = 0b11n
/** PSS is one less than the bits of a PASID. */
const PASID_SIZE = 19n

function flag(on: boolean, bit: bigint): bigint {
  return on ? 1n << bit : 0n
}

export function registersOf(options: UnitOptions): Registers {
  const cap =
    DOMAIN_BITS |
    flag(options.cachingMode, 7n) |
    (SECOND_STAGE_WIDTHS << 8n) |
    (GUEST_WIDTH << 16n) |
    (SECOND_STAGE_LEAVES << 34n) |
    // PSI: page-selective invalidation.
    flag(true, 39n) |
    (BigInt(options.addressMask) << 48n) |
    flag(options.leaf1G, 56n) |
    flag(options.fiveLevels, 60n)
  const ecap =
    // C, QI, DT, PT: coherent walks, queued invalidation, device-TLBs, pass-through.
    flag(true, 0n) |
    flag(true, 1n) |
    flag(true, 2n) |
    flag(true, 6n) |
    // NEST, PRS.
    flag(true, 26n) |
    flag(true, 29n) |
    flag(options.supervisorRequests, 31n) |
    flag(options.extendedAccessed, 34n) |
    (PASID_SIZE << 35n) |
    // PASID, SMTS.
    flag(true, 40n) |
    flag(true, 43n) |
    // SLADS, SLTS, FLTS, SMPWC.
    (0b1111n << 45n)
  return { cap, ecap }
}
