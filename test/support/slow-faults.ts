/**
 * Why the slow VT-d model refuses an access: one name per cause, with the fault reason that VT-d
 * puts into a fault record and whether the fault is "qualified", which is to say silenced by FPD.
 *
 * The codes are those of Linux's dma_remap_sm_fault_reasons (0x30 and up) and of QEMU's VTD_FR_*.
 * The qualified ones are QEMU's vtd_qualified_faults, where it knows the code: a fault met before
 * any FPD bit could be read is always recorded, and so is a failed read of a remapping table.
 */
interface Cause {
  /** VT-d fault reason, 8 bits. */
  readonly code: number
  /** Whether FPD keeps it out of the fault record. */
  readonly qualified: boolean
}

export const SLOW_FAULTS = {
  ROOT_ENTRY_UNREADABLE: { code: 0x38, qualified: false },
  ROOT_ENTRY_NOT_PRESENT: { code: 0x39, qualified: false },
  ROOT_ENTRY_RESERVED: { code: 0x3a, qualified: false },
  CONTEXT_ENTRY_UNREADABLE: { code: 0x40, qualified: false },
  CONTEXT_ENTRY_NOT_PRESENT: { code: 0x41, qualified: true },
  // Not in QEMU's list (so unqualified there); here as its legacy twin LCT.3 is in the VT-d table.
  CONTEXT_ENTRY_RESERVED: { code: 0x42, qualified: true },
  PASID_NOT_ENABLED: { code: 0x45, qualified: true },
  PASID_TOO_LARGE: { code: 0x46, qualified: true },
  RID_PASID_TOO_LARGE: { code: 0x48, qualified: true },
  PASID_DIRECTORY_UNREADABLE: { code: 0x50, qualified: false },
  PASID_DIRECTORY_NOT_PRESENT: { code: 0x51, qualified: true },
  PASID_DIRECTORY_RESERVED: { code: 0x52, qualified: true },
  PASID_ENTRY_UNREADABLE: { code: 0x58, qualified: false },
  PASID_ENTRY_NOT_PRESENT: { code: 0x59, qualified: true },
  PASID_ENTRY_RESERVED: { code: 0x5a, qualified: true },
  PASID_ENTRY_TYPE: { code: 0x5b, qualified: true },
  PASID_ENTRY_ADDRESS_WIDTH: { code: 0x5b, qualified: true },
  PASID_ENTRY_PAGING_MODE: { code: 0x5b, qualified: true },
  EXECUTE_NOT_ENABLED: { code: 0x5c, qualified: true },
  SUPERVISOR_NOT_ENABLED: { code: 0x5d, qualified: true },
  FS_ENTRY_UNREADABLE: { code: 0x70, qualified: true },
  FS_NOT_PRESENT: { code: 0x71, qualified: true },
  FS_RESERVED: { code: 0x72, qualified: true },
  FS_ROOT_UNREADABLE: { code: 0x73, qualified: true },
  NESTED_TABLE_TOO_WIDE: { code: 0x74, qualified: true },
  NESTED_ROOT_READ_DENIED: { code: 0x75, qualified: true },
  NESTED_TABLE_READ_DENIED: { code: 0x76, qualified: true },
  NESTED_TABLE_WRITE_DENIED: { code: 0x77, qualified: true },
  SS_ENTRY_UNREADABLE: { code: 0x78, qualified: true },
  SS_NOT_PRESENT: { code: 0x79, qualified: true },
  SS_RESERVED: { code: 0x7a, qualified: true },
  SS_ROOT_UNREADABLE: { code: 0x7b, qualified: true },
  FS_NOT_CANONICAL: { code: 0x80, qualified: true },
  FS_SUPERVISOR_PAGE: { code: 0x81, qualified: true },
  PASS_THROUGH_TOO_WIDE: { code: 0x83, qualified: true },
  SS_TOO_WIDE: { code: 0x84, qualified: true },
  FS_WRITE_DENIED: { code: 0x85, qualified: true },
  SS_WRITE_DENIED: { code: 0x85, qualified: true },
  SS_READ_DENIED: { code: 0x86, qualified: true },
  INTERRUPT_RANGE: { code: 0x87, qualified: true },
} as const satisfies Record<string, Cause>

export type SlowReason = keyof typeof SLOW_FAULTS

/** Whether a step of the model ended in a fault instead of a result. */
export function faulted(step: SlowReason | object): step is SlowReason {
  return typeof step === 'string'
}
