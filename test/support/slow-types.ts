/**
 * The questions and answers of the slow VT-d model (slow-iommu.ts). All addresses are unsigned
 * 64-bit numbers.
 */

export interface SlowMemory {
  /** The 64-bit word at a multiple of 8; undefined: no memory there. */
  read(address: bigint): bigint | undefined
}

export interface SlowCaps {
  /** CAP.FL1GP. */
  readonly leaf1G: boolean
  /** CAP.FL5LP. */
  readonly fiveLevels: boolean
  /** CAP.SLLPS bit 0. */
  readonly secondStageLeaf2M: boolean
  /** CAP.SLLPS bit 1. */
  readonly secondStageLeaf1G: boolean
  /** ECAP.SRS. */
  readonly supervisorRequests: boolean
  /** ECAP.EAFS. */
  readonly extendedAccessed: boolean
  /** Bits of a host-physical address, at most 52. */
  readonly hostAddressWidth: number
}

export interface SlowRequest {
  /** Requester id: bus 15:8, device 7:3, function 2:0. */
  readonly sourceId: number
  /** undefined: a request without PASID. */
  readonly pasid: number | undefined
  readonly address: bigint
  readonly write: boolean
  /** Of a request with PASID; one without takes its privilege from RID_PRIV. */
  readonly privileged: boolean
  /** Execute requested; of a request with PASID. */
  readonly execute?: boolean
}

export interface SlowTranslated {
  readonly kind: 'TRANSLATED'
  readonly hpa: bigint
  /** The address that went into the second stage; undefined if there is none. */
  readonly gpa: bigint | undefined
  /** Whether the page's rights would allow the same requester a write too. */
  readonly writable: boolean
  /** Whether every first-stage entry has U/S set; true without a first stage. */
  readonly user: boolean
  /** Level of the leaf, 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB; undefined without that stage. */
  readonly fsLevel: number | undefined
  readonly ssLevel: number | undefined
  /**
   * Table words whose accessed and dirty flags this access sets, each once with its last value, in
   * the order of their first change.
   */
  readonly updates: readonly { readonly address: bigint; readonly value: bigint }[]
}

export interface SlowFault {
  readonly kind: 'FAULT'
  /** A key of SLOW_FAULTS (slow-faults.ts). */
  readonly reason: string
  /** VT-d fault reason. */
  readonly code: number
  /** False if FPD keeps it out of the fault record. */
  readonly recorded: boolean
}

export type SlowAnswer = SlowTranslated | SlowFault
