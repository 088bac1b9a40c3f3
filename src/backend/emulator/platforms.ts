/**
 * The registers that the IOMMU before an emulated device reports, by its platform: of a VT-d unit
 * what the device's facts leave of the unit's own; of an SMMUv3 and of an AMD IOMMU those of one
 * with PASIDs, which the emulator does not walk. Fields: Linux drivers/iommu/intel/iommu.h, arm/
 * arm-smmu-v3/arm-smmu-v3.h IDR*, amd/amd_iommu_types.h FEATURE_*. Made when a device is added.
 */

import type { DeviceFacts, IommuRegisters } from '../../core/device.js'
import { registersOf } from './registers.js'
import type { UnitOptions } from './unit-options.js'

type Facts = Pick<
  DeviceFacts,
  | 'platform'
  | 'addressWidths'
  | 'supervisorRequests'
  | 'extendedAccessed'
  | 'passThrough'
  | 'pageRequests'
  | 'ats'
>

export function registersBefore(device: Facts, unit: UnitOptions): IommuRegisters {
  if (device.platform === 'ARM_SMMUV3') return smmuRegisters(device)
  if (device.platform === 'AMD') return amdRegisters(device)
  const { cap, ecap } = registersOf({
    ...unit,
    // A switch of the lab's: what it asks of software, the emulator does whenever it is on.
    cachingMode: false,
    fiveLevels: unit.fiveLevels && device.addressWidths.includes(57),
    supervisorRequests: unit.supervisorRequests && device.supervisorRequests,
    extendedAccessed: unit.extendedAccessed && device.extendedAccessed,
  })
  // DT, PT, NEST, PRS: what the device cannot use is not offered for it.
  const cannot =
    bit(2, device.ats === false) |
    bit(6, !device.passThrough) |
    bit(26, device.addressWidths.length === 0) |
    bit(29, !device.pageRequests)
  return { platform: 'INTEL_VTD', cap, ecap: ecap & ~cannot }
}

function bit(at: number, on: boolean): bigint {
  return on ? 1n << BigInt(at) : 0n
}

/** An SMMUv3.2: both stages, AArch64 tables, two-level CD tables, SSIDs of 20 bits. */
function smmuRegisters({ ats, pageRequests }: Facts): IommuRegisters {
  const idr0 =
    0b11 | // S2P, S1P
    (2 << 2) | // TTF: AArch64
    (1 << 4) | // COHACC
    (2 << 6) | // HTTU: accessed and dirty
    (ats === false ? 0 : 1 << 10) | // ATS
    (1 << 12) | // ASID16
    (1 << 13) | // MSI
    (pageRequests ? 1 << 16 : 0) | // PRI
    (1 << 18) | // VMID16
    (1 << 19) | // CD2L
    (2 << 21) | // TTENDIAN: little
    (1 << 24) | // STALL_MODEL: none
    (1 << 27) // ST_LVL: two
  const idr1 =
    16 | // SIDSIZE
    (20 << 6) | // SSIDSIZE
    (7 << 11) | // PRIQS
    (7 << 16) | // EVTQS
    (8 << 21) // CMDQS
  const idr3 = (1 << 8) | (1 << 10) // FWB, RIL
  const idr5 = 5 | (0b111 << 4) // OAS: 48 bits; 4, 16 and 64 KiB
  return { platform: 'ARM_SMMUV3', idr: [idr0, idr1, 0, idr3, 0, idr5], iidr: 0, aidr: 2 }
}

/** PASmax 15: PASIDs of 16 bits, in GCR3 tables of up to three levels. */
function amdRegisters({ pageRequests }: Facts): IommuRegisters {
  const efr =
    bit(1, pageRequests) | // PPR
    bit(3, true) | // NX
    bit(4, true) | // GT
    bit(6, true) | // IA
    (2n << 10n) | // HATS: six levels
    (1n << 12n) | // GATS: five levels
    (2n << 14n) | // GLX: three levels
    (15n << 32n) | // PASMAX
    bit(49, true) | // HASUP
    bit(52, true) // HDSUP
  return { platform: 'AMD', efr, efr2: 0n }
}
