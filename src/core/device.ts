/**
 * Devices: what the backend says each can do, and the scope its numbers live in. Facts come from
 * the backend at every start and are never stored; the ledger keeps only id and name.
 */

import { PASID_BITS_MAX, type DeviceId, type NamespaceId, type SessionId } from './ids.js'

/** HOST: one numbering for the host. DEVICE: a numbering of the device's own. */
export type Scope = 'HOST' | 'DEVICE'

/**
 * Who turns a guest's PASID into the one on the wire. `NONE`: nobody (PF or VF behind vfio-pci):
 * the guest's number is the number. `MEDIATED`: the parent driver or the emulator.
 */
export type PasidTranslation = 'NONE' | 'MEDIATED'

export type Platform = 'INTEL_VTD' | 'ARM_SMMUV3' | 'AMD'

/** Bits of a canonical address that a first-stage table translates: 4 or 5 levels. */
export type AddressWidth = 48 | 57

/**
 * What IOMMU_GET_HW_INFO tells of the IOMMU before the device (include/uapi/linux/iommufd.h), in
 * the registers of its platform. 64 bits each.
 */
export type IommuRegisters =
  | { readonly platform: 'INTEL_VTD'; readonly cap: bigint; readonly ecap: bigint }
  /** IDR0..IDR5, IIDR, AIDR; 32 bits each. */
  | {
      readonly platform: 'ARM_SMMUV3'
      readonly idr: readonly number[]
      readonly iidr: number
      readonly aidr: number
    }
  | { readonly platform: 'AMD'; readonly efr: bigint; readonly efr2: bigint }

/** What the IOMMUs of a platform can do where nobody says otherwise (AMD: EFR.PASmax is 15). */
export const PLATFORM_DEFAULTS: Readonly<
  Record<Platform, Pick<DeviceFacts, 'pasidBits' | 'addressWidths' | 'passThrough'>>
> = {
  INTEL_VTD: { pasidBits: PASID_BITS_MAX, addressWidths: [48, 57], passThrough: true },
  // Elsewhere the guest owns the whole PASID table: nothing is nested per PASID.
  ARM_SMMUV3: { pasidBits: PASID_BITS_MAX, addressWidths: [], passThrough: true },
  AMD: { pasidBits: 16, addressWidths: [], passThrough: false },
}

export interface DeviceFacts {
  /** Unique on the host; one DNS label. */
  readonly name: string
  /** PCIe "Max PASID Width": numbers below 2^bits; 0 = no PASID capability. 0..20. */
  readonly pasidBits: number
  readonly translation: PasidTranslation
  /** Whether several sessions may attach it at once (mediated and scalable-IOV devices). */
  readonly shared: boolean
  readonly platform: Platform
  /** First-stage table widths that a bind may name; empty = no per-PASID nested bind at all. */
  readonly addressWidths: readonly AddressWidth[]
  /** Supervisor requests: VT-d ECAP.SRS. */
  readonly supervisorRequests: boolean
  /** Extended accessed flag: VT-d ECAP.EAFS. */
  readonly extendedAccessed: boolean
  /** Whether a binding may be pass-through (VT-d PGTT 4). */
  readonly passThrough: boolean
  /** Whether a replace has no gap in which requests fault. Not so on Intel. */
  readonly hitlessReplace: boolean
  /** Whether page requests can come from it (PRI and ECAP.PRS). */
  readonly pageRequests: boolean
  /**
   * The IOMMU group. A binding on one device is in force for every device of the group that has
   * PASIDs (Linux iommu_attach_device_pasid), so all of them are in one session's hands. Absent = a
   * group of its own.
   */
  readonly group?: string | undefined
  /** Absent = nothing is known. */
  readonly registers?: IommuRegisters | undefined
  /** Whether it has a device-TLB (PCIe ATS). Absent = it has. */
  readonly ats?: boolean | undefined
  /** Whether its requests with PASID may ask to execute (PCIe PASID capability). Absent = no. */
  readonly executeRequests?: boolean | undefined
  /** Whether they may ask for privileged access. Absent = where `supervisorRequests` are taken. */
  readonly privilegedRequests?: boolean | undefined
}

export interface Device {
  readonly id: DeviceId
  readonly name: string
  /** Undefined while the backend does not know the device: nothing can be bound there. */
  facts: DeviceFacts | undefined
  scope: Scope
  namespace: NamespaceId
  /** Sessions that hold an attachment in whatever state. */
  readonly attachedBy: Set<SessionId>
}
