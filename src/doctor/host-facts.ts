/**
 * What of a host decides whether devices can be bound on it: facts, without judgement. Read by
 * read-host.ts, judged by diagnose.ts. Undefined is always "cannot be told from here".
 */

/** By the name that its driver gives it in /sys/class/iommu. */
export type IommuKind = 'INTEL' | 'AMD' | 'ARM_SMMUV3' | 'VIRTIO' | 'OTHER'

export interface IommuUnit {
  /** `dmar0`. */
  readonly name: string
  readonly kind: IommuKind
  /** Of INTEL: CAP and ECAP of VT-d (11.4.2, 11.4.3), as the driver has them. */
  readonly cap: bigint | undefined
  readonly ecap: bigint | undefined
}

/** A device node: opened for reading and writing, and closed at once. */
export interface DeviceNode {
  readonly path: string
  /** Undefined: it opens. Else why not: `ENOENT`. */
  readonly problem: string | undefined
  /** Undefined: it is not there. `mode`: the permission bits. */
  readonly owner: { readonly uid: number; readonly gid: number; readonly mode: number } | undefined
}

/** The PASID capability of a function, or of the PF that a VF has it from (PCIe 7.8.8). */
export type PasidCapability =
  /** Numbers below 2^bits, 0 to 20. */
  | { readonly kind: 'PRESENT'; readonly bits: number }
  | { readonly kind: 'ABSENT' }
  | { readonly kind: 'UNREADABLE'; readonly why: string }

export interface GroupMember {
  readonly address: string
  /** Undefined: none is bound. */
  readonly driver: string | undefined
  /** Whether that driver is one of VFIO's. */
  readonly isVfio: boolean
}

export interface IommuGroup {
  readonly number: string
  /** `DMA`, `DMA-FQ`, `identity`, … */
  readonly type: string | undefined
  readonly others: readonly GroupMember[]
  /** Regions that firmware wants mapped one to one: with any, it cannot be given away. */
  readonly directRegions: number
}

export interface PciFunction extends GroupMember {
  /** By configuration. */
  readonly name: string | undefined
  readonly exists: boolean
  /** Name of its IOMMU in /sys/class/iommu. */
  readonly iommu: string | undefined
  readonly group: IommuGroup | undefined
  /** /dev/vfio/devices/vfioN; undefined: VFIO made none. */
  readonly cdev: DeviceNode | undefined
  /** Address of its PF, when it is a VF. */
  readonly physicalFunction: string | undefined
  readonly pasid: PasidCapability
}

export interface ModuleOption {
  readonly module: string
  readonly name: string
  /** As /sys/module has it: `Y`, `N`, a number. */
  readonly value: string
}

export interface Kernel {
  /** `6.17.3-amd64`. */
  readonly release: string
  /** Undefined: the release begins with no version. */
  readonly version: { readonly major: number; readonly minor: number } | undefined
  readonly commandLine: string | undefined
  /** Options that count here: `y`, `m`, or `n`. Undefined: its configuration is not to be read. */
  readonly config: ReadonlyMap<string, string> | undefined
}

export interface HostFacts {
  readonly kernel: Kernel
  /** Effective user of the process that looked. */
  readonly uid: number
  readonly iommus: readonly IommuUnit[]
  /** Type of an IOMMU group -> how many there are. */
  readonly groupTypes: ReadonlyMap<string, number>
  /** ACPI tables that describe an IOMMU: `DMAR`, `IVRS`, `IORT`, `VIOT`. */
  readonly firmwareTables: readonly string[]
  readonly iommufd: DeviceNode
  /** Of the process that looked: bytes, Infinity for no limit. */
  readonly memlock: number | undefined
  /** It has CAP_IPC_LOCK: no limit counts. */
  readonly memlockExempt: boolean
  readonly memoryBytes: number | undefined
  readonly options: readonly ModuleOption[]
  /** Drivers that are there and use the kernel's own PASIDs (iommu_sva_bind_device). */
  readonly svaDrivers: readonly string[]
  readonly functions: readonly PciFunction[]
}
