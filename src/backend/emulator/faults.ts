/**
 * The fault reasons of a DMA request in scalable mode, with the numbers a VT-d unit records: Linux
 * drivers/iommu/intel/dmar.c dma_remap_sm_fault_reasons (the texts from 0x30 on), QEMU
 * hw/i386/intel_iommu_internal.h VTD_FR_* (0x91 is there only: SFS.10). Used by every step of a
 * translation.
 *
 * Of a second stage's faults those that a first-stage table meets have numbers of their own (0x74
 * to 0x77); the others are the same for a table and for the page itself.
 */

export const FAULT = {
  ROOT_ENTRY_UNREADABLE: 0x38,
  ROOT_ENTRY_NOT_PRESENT: 0x39,
  ROOT_ENTRY_RESERVED: 0x3a,
  CONTEXT_ENTRY_UNREADABLE: 0x40,
  CONTEXT_ENTRY_NOT_PRESENT: 0x41,
  CONTEXT_ENTRY_RESERVED: 0x42,
  PASID_NOT_ENABLED: 0x45,
  PASID_BEYOND_TABLE: 0x46,
  RID_PASID_BEYOND_TABLE: 0x48,
  PASID_DIRECTORY_UNREADABLE: 0x50,
  PASID_DIRECTORY_ENTRY_NOT_PRESENT: 0x51,
  PASID_DIRECTORY_ENTRY_RESERVED: 0x52,
  PASID_TABLE_UNREADABLE: 0x58,
  PASID_ENTRY_NOT_PRESENT: 0x59,
  PASID_ENTRY_RESERVED: 0x5a,
  PASID_ENTRY_INVALID: 0x5b,
  SUPERVISOR_NOT_ALLOWED: 0x5d,
  FIRST_STAGE_ENTRY_UNREADABLE: 0x70,
  FIRST_STAGE_ENTRY_NOT_PRESENT: 0x71,
  FIRST_STAGE_ENTRY_RESERVED: 0x72,
  FIRST_STAGE_POINTER_UNREADABLE: 0x73,
  FIRST_STAGE_ENTRY_BEYOND_WIDTH: 0x74,
  FIRST_STAGE_POINTER_READ_NOT_ALLOWED: 0x75,
  FIRST_STAGE_ENTRY_READ_NOT_ALLOWED: 0x76,
  FIRST_STAGE_ENTRY_WRITE_NOT_ALLOWED: 0x77,
  SECOND_STAGE_ENTRY_UNREADABLE: 0x78,
  SECOND_STAGE_ENTRY_NOT_PRESENT: 0x79,
  SECOND_STAGE_ENTRY_RESERVED: 0x7a,
  SECOND_STAGE_POINTER_UNREADABLE: 0x7b,
  NOT_CANONICAL: 0x80,
  USER_NOT_ALLOWED: 0x81,
  ADDRESS_BEYOND_WIDTH: 0x83,
  SECOND_STAGE_BEYOND_WIDTH: 0x84,
  WRITE_NOT_ALLOWED: 0x85,
  READ_NOT_ALLOWED: 0x86,
  INTERRUPT_ADDRESS: 0x87,
  BIT_UPDATE_FAILED: 0x91,
} as const

export type FaultName = keyof typeof FAULT
export type FaultCode = (typeof FAULT)[FaultName]

/** QEMU vtd_qualified_faults: all but these are kept from the record by FPD. */
const UNQUALIFIED: ReadonlySet<FaultName> = new Set<FaultName>([
  'ROOT_ENTRY_UNREADABLE',
  'ROOT_ENTRY_NOT_PRESENT',
  'ROOT_ENTRY_RESERVED',
  'CONTEXT_ENTRY_UNREADABLE',
  'PASID_DIRECTORY_UNREADABLE',
  'PASID_TABLE_UNREADABLE',
])

/** `silenced`: an FPD on the request's way to its translation is set. */
export function isRecorded(fault: FaultName, silenced: boolean): boolean {
  return !silenced || UNQUALIFIED.has(fault)
}
