/**
 * Which tables a device's IOMMU takes: by what the backend says of the device and, where they are
 * known, by the registers that the kernel would ask (Linux intel_pasid_setup_nested: EINVAL). Asked
 * by the decision on a bind and again by the emulator: on Intel a table that is refused at the
 * device leaves nothing where the old one was.
 */

import type { Table } from './binding.js'
import type { DeviceFacts, IommuRegisters, Platform } from './device.js'

export interface Unsupported {
  /** As the request names it. */
  readonly field: string
  readonly value: string
  /** What would be taken, and why not this. */
  readonly supported: string
}

const FIRST_STAGE = 'table.first_stage'
/** Bits of CAP and ECAP (VT-d 11.4.2, 11.4.3). */
const CAP_FL5LP = 60n
const ECAP_NEST = 26n
const ECAP_SRS = 31n
const ECAP_EAFS = 34n

/** Why a device that names no width takes no guest's table per PASID, and what to do instead. */
const NOTHING_NESTS: Readonly<Record<Platform, string>> = {
  INTEL_VTD: 'none: the IOMMU nests no tables',
  ARM_SMMUV3:
    'none: an SMMUv3 nests no table per PASID (SSID); give the guest its whole CD table, by the ' +
    "device's own stream table entry (IOMMU_HWPT_DATA_ARM_SMMUV3), and bind no PASIDs",
  AMD:
    'none: an AMD IOMMU nests no table per PASID; give the guest its whole GCR3 table, by the ' +
    "device's own device table entry (IOMMU_HWPT_DATA_AMD_GUEST), and bind no PASIDs",
}

/** Undefined: the device takes the table. */
export function unsupportedTable(facts: DeviceFacts, table: Table): Unsupported | undefined {
  if (table.kind === 'PASS_THROUGH') {
    if (facts.passThrough) return undefined
    const nests = facts.addressWidths.length > 0
    const supported = nests ? 'first_stage only' : NOTHING_NESTS[facts.platform]
    return { field: 'table', value: 'pass_through', supported }
  }
  const { registers } = facts
  const { width } = table
  const no = (field: string, value: string, supported: string): Unsupported => {
    return { field: `${FIRST_STAGE}.${field}`, value, supported }
  }
  if (!facts.addressWidths.includes(width)) {
    const widths = facts.addressWidths.join(' or ')
    return no('address_width', `${width}`, widths === '' ? NOTHING_NESTS[facts.platform] : widths)
  }
  if (lacks(registers, 'ecap', ECAP_NEST)) {
    return no('address_width', `${width}`, 'none: the IOMMU lacks ECAP.NEST')
  }
  if (width === 57 && lacks(registers, 'cap', CAP_FL5LP)) {
    return no('address_width', '57', '48: the IOMMU lacks CAP.FL5LP')
  }
  if (table.supervisor && (!facts.supervisorRequests || lacks(registers, 'ecap', ECAP_SRS))) {
    return no('supervisor', 'true', 'false: the IOMMU lacks ECAP.SRS')
  }
  if (table.writeProtect && !table.supervisor) {
    return no('write_protect', 'true', 'false: only supervisor requests are told apart by it')
  }
  const accessed = facts.extendedAccessed && !lacks(registers, 'ecap', ECAP_EAFS)
  if (table.extendedAccessed && !accessed) {
    return no('extended_accessed', 'true', 'false: the IOMMU lacks ECAP.EAFS')
  }
  return undefined
}

function lacks(registers: IommuRegisters | undefined, name: 'cap' | 'ecap', bit: bigint): boolean {
  return registers?.platform === 'INTEL_VTD' && ((registers[name] >> bit) & 1n) === 0n
}
