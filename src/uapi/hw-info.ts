/**
 * What IOMMU_GET_HW_INFO answers (include/uapi/linux/iommufd.h struct iommu_hw_info and, by type,
 * iommu_hw_info_{vtd,arm_smmuv3,amd}, little endian), for one device and for several together.
 */

import type { DeviceFacts, IommuRegisters } from '../core/device.js'
import { PASID_BITS_MAX } from '../core/ids.js'
import { IOMMUFD } from './iommufd.js'
import { HW_INFO_AMD, HW_INFO_ARM_SMMUV3, HW_INFO_VTD } from './iommufd-data.js'
import { fieldOf, leastRegisters } from './register-fields.js'
import { encode } from './structure.js'

const {
  IOMMU_HW_INFO_TYPE_NONE,
  IOMMU_HW_INFO_TYPE_INTEL_VTD,
  IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
  IOMMU_HW_INFO_TYPE_AMD,
  IOMMU_HW_CAP_DIRTY_TRACKING,
  IOMMU_HW_CAP_PCI_PASID_EXEC,
  IOMMU_HW_CAP_PCI_PASID_PRIV,
  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
} = IOMMUFD
const TYPES = {
  INTEL_VTD: IOMMU_HW_INFO_TYPE_INTEL_VTD,
  ARM_SMMUV3: IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
  AMD: IOMMU_HW_INFO_TYPE_AMD,
} as const
/** VT-d ECAP.SLADS (second-stage accessed and dirty), AMD EFR HDSup. */
const ECAP_SLADS = 45
const EFR_HDSUP = 52
/** SMMU_IDR0.HTTU 2: accessed and dirty. */
const HTTU_DIRTY = 2

export interface HwInfo {
  readonly dataType: number
  /** The structure of that type; empty for 0. */
  readonly data: Uint8Array
  /** PASIDs are below 2^this; 0: none. */
  readonly maxPasidLog2: number
  readonly capabilities: number
}

/** What it takes of a device's facts. */
export type HwFacts = Pick<
  DeviceFacts,
  | 'registers'
  | 'pasidBits'
  | 'supervisorRequests'
  | 'executeRequests'
  | 'privilegedRequests'
  | 'ats'
  | 'platform'
>

export function hwInfoOf(facts: HwFacts): HwInfo {
  const { registers } = facts
  return {
    dataType: registers === undefined ? IOMMU_HW_INFO_TYPE_NONE : TYPES[registers.platform],
    data: registers === undefined ? new Uint8Array() : dataOf(registers),
    maxPasidLog2: Math.min(
      facts.pasidBits,
      registers === undefined ? PASID_BITS_MAX : pasidLog2(registers),
    ),
    capabilities: capabilitiesOf(facts),
  }
}

/** The least of several devices; undefined: none, or their IOMMUs are of different kinds. */
export function leastHwInfo(devices: readonly HwFacts[]): HwInfo | undefined {
  const [first, ...others] = devices
  if (first === undefined) return undefined
  let together = first
  for (const facts of others) {
    if (facts.platform !== first.platform) return undefined
    together = {
      platform: first.platform,
      registers:
        together.registers &&
        facts.registers &&
        leastRegisters(together.registers, facts.registers),
      pasidBits: Math.min(together.pasidBits, facts.pasidBits),
      supervisorRequests: together.supervisorRequests && facts.supervisorRequests,
      executeRequests: together.executeRequests === true && facts.executeRequests === true,
      privilegedRequests: isPrivileged(together) && isPrivileged(facts),
      ats: together.ats !== false && facts.ats !== false,
    }
  }
  return hwInfoOf(together)
}

function dataOf(registers: IommuRegisters): Uint8Array {
  switch (registers.platform) {
    case 'INTEL_VTD':
      return encode(HW_INFO_VTD, { capReg: registers.cap, ecapReg: registers.ecap })
    case 'ARM_SMMUV3': {
      const { idr, iidr, aidr } = registers
      const [idr0 = 0, idr1 = 0, idr2 = 0, idr3 = 0, idr4 = 0, idr5 = 0] = idr
      return encode(HW_INFO_ARM_SMMUV3, { idr0, idr1, idr2, idr3, idr4, idr5, iidr, aidr })
    }
    case 'AMD':
      return encode(HW_INFO_AMD, { efr: registers.efr, efr2: registers.efr2 })
  }
}

/** ilog2 of the PASIDs that Linux takes the IOMMU to have: struct iommu_device max_pasids. */
function pasidLog2(registers: IommuRegisters): number {
  switch (registers.platform) {
    case 'INTEL_VTD': {
      // 2 << ECAP.PSS, with ECAP.PASID.
      const has = fieldOf(registers.ecap, 40, 40) === 1
      return has ? Math.min(PASID_BITS_MAX, fieldOf(registers.ecap, 35, 39) + 1) : 0
    }
    case 'ARM_SMMUV3':
      // 1 << IDR1.SSIDSIZE
      return fieldOf(BigInt(registers.idr[1] ?? 0), 6, 10)
    case 'AMD':
      // (1 << (PASmax + 1)) - 1, with EFR.GTSup: PASIDs have PASmax + 1 bits, the last is not used.
      return fieldOf(registers.efr, 4, 4) === 1 ? fieldOf(registers.efr, 32, 36) : 0
  }
}

function capabilitiesOf(facts: HwFacts): number {
  const { registers, ats, executeRequests, pasidBits } = facts
  const dirty = registers !== undefined && tracksDirty(registers)
  const executes = executeRequests === true && pasidBits > 0
  return (
    (dirty ? IOMMU_HW_CAP_DIRTY_TRACKING : 0) |
    (executes ? IOMMU_HW_CAP_PCI_PASID_EXEC : 0) |
    (isPrivileged(facts) && pasidBits > 0 ? IOMMU_HW_CAP_PCI_PASID_PRIV : 0) |
    (ats === false ? IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED : 0)
  )
}

/** Where nothing is known of the device itself, its IOMMU's word. */
function isPrivileged({ privilegedRequests, supervisorRequests }: HwFacts): boolean {
  return privilegedRequests ?? supervisorRequests
}

function tracksDirty(registers: IommuRegisters): boolean {
  switch (registers.platform) {
    case 'INTEL_VTD':
      return fieldOf(registers.ecap, ECAP_SLADS, ECAP_SLADS) === 1
    case 'ARM_SMMUV3':
      return fieldOf(BigInt(registers.idr[0] ?? 0), 6, 7) >= HTTU_DIRTY
    case 'AMD':
      return fieldOf(registers.efr, EFR_HDSUP, EFR_HDSUP) === 1
  }
}
