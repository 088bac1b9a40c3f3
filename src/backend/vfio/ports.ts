/**
 * What the native backend needs of the world: a thread for each device to run system calls on, the
 * way a device is attached, the language of the IOMMU's nested tables, and a place where
 * descriptors outlive the daemon. VFIO cdevs and VT-d are the product's; the kernel's own mock
 * devices (CONFIG_IOMMUFD_TEST) have an attach port and a codec in test/kernel/.
 */

import type { FirstStageTable } from '../../core/binding.js'
import type { DeviceFacts } from '../../core/device.js'
import type { HandedFd, InvalidateRequest } from '../backend.js'

/** How a system call ended: a value of at least 0, or minus errno. */
export interface CallEnd {
  readonly code: number
}

export interface IoctlEnd extends CallEnd {
  /** The structure as the kernel left it. */
  readonly bytes: Uint8Array
  /** What the structure's pointer pointed to, likewise; empty where there was none. */
  readonly data: Uint8Array
}

export interface IoctlCall {
  readonly fd: number
  /** Request number, 32 bits. */
  readonly request: number
  /** Copied: the thread has its own. */
  readonly bytes: Uint8Array
  /** A 64-bit pointer at this offset of the structure is made to point to a copy of the data. */
  readonly pointer?: { readonly at: number; readonly data: Uint8Array } | undefined
}

/** System calls on the thread of a device. */
export interface Calls {
  ioctl(call: IoctlCall): Promise<IoctlEnd>
  /** read(2) of at most `bytes`, 65536. */
  read(fd: number, bytes: number): Promise<CallEnd & { readonly data: Uint8Array }>
  write(fd: number, bytes: Uint8Array): Promise<CallEnd>
}

/**
 * A thread outside libuv's pool that carries out one call after the other. A call that does not
 * come back makes the thread stuck, and nobody else.
 */
export interface CallThread extends Calls {
  /** close(2), in its turn: the kernel may take long over it. */
  close(fd: HandedFd): Promise<CallEnd>
  /** No more calls; those that wait are carried out first. Repeatable. */
  end(): void
  /**
   * For a thread that is stuck. Ends it; calls that have not begun end with -ECANCELED, at once.
   * The descriptors are closed by other threads, and their numbers stay taken until the call under
   * way is back, and `meant` has resolved: calls of other threads that mean them too. Settles when
   * they are closed. Repeatable.
   */
  abandon(fds: readonly HandedFd[], meant?: Promise<unknown>): Promise<void>
}

/** Told once when a descriptor has something to read; then it must be asked for anew. */
export interface ReadableOnce {
  /** Repeatable, also when it was told. */
  stop(): void
}

export interface Kernel {
  /** `name`: at most 15 bytes. @throws BackendFault RETRY when no thread can be had */
  startThread(name: string): CallThread
  /**
   * close(2) on a thread that does nothing else, without a descriptor more: it waits for a thread
   * if none can be had. Let go of at once; resolves when it is closed.
   */
  close(fd: HandedFd): Promise<void>
  /** @throws BackendFault RETRY when the kernel has no room */
  whenReadable(fd: number, readable: () => void): ReadableOnce
  /** A descriptor that a system call of ours made. */
  adopt(fd: number, what: string): HandedFd
}

/** Given by the daemon, moved by tests. */
export interface VfioClock {
  /** Calls back once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void
}

/**
 * How a device that was handed over is bound and attached. Each call is one system call on the
 * device's thread; a failed one is thrown as a KernelRefusal with its errno, and never repeated.
 */
export interface AttachPort {
  /** VFIO_DEVICE_BIND_IOMMUFD; answers the device's id in the iommufd's context. */
  bind(iommufd: number): Promise<number>
  /** `pasid` undefined: the RID. What is attached there by this device is replaced. */
  attach(hwpt: number, pasid: number | undefined): Promise<void>
  /** Of what is not attached: success. */
  detach(pasid: number | undefined): Promise<void>
}

/** errno of a call, by its name, and which call. */
export class KernelRefusal extends Error {
  override readonly name = 'KernelRefusal'
  constructor(
    /** As in the kernel's headers: `IOMMU_HWPT_ALLOC`. */
    readonly call: string,
    /** Such as `EINVAL`. */
    readonly errno: string,
  ) {
    super(`${call}: ${errno}`)
  }
}

/** The IOMMU's language: nested tables, invalidation entries, and what it says of itself. */
export interface NestedCodec {
  /** enum iommu_hwpt_data_type. */
  readonly hwptDataType: number
  table(table: FirstStageTable): Uint8Array
  /** enum iommu_hwpt_invalidate_data_type. */
  readonly invalidateDataType: number
  /** Bytes of one entry. */
  readonly entryBytes: number
  /** Undefined range: the whole table. */
  entry(range: InvalidateRequest['range']): Uint8Array
}

/** IOMMU_GET_HW_INFO, read. */
export interface HwInfo {
  /** enum iommu_hw_info_type. */
  readonly dataType: number
  readonly data: Uint8Array
  /** 0: no PASIDs. 0..20. */
  readonly maxPasidLog2: number
  /** enum iommufd_hw_capabilities. */
  readonly capabilities: bigint
}

/** A device of the host's, by configuration and sysfs; facts are better known when it is bound. */
export interface HostDevice {
  readonly name: string
  /** As far as it can be told from outside. */
  facts(): DeviceFacts
  /** Of the device once it is bound, from what the kernel says. */
  factsOf(info: HwInfo): DeviceFacts
  /**
   * Whether the descriptor is this device's cdev, not yet bound and not from a group; else why not.
   */
  problemWith(cdev: HandedFd): { readonly problem: string; readonly remedy: string } | undefined
  attachPort(cdev: HandedFd, calls: Calls): AttachPort
  /** The nested language of the device's IOMMU; undefined: none that we speak. */
  codec(info: HwInfo): NestedCodec | undefined
  /** Opens the cdev anew, to see whether anybody has it bound. Undefined: it cannot be opened. */
  open(): { readonly iommufd: HandedFd; readonly cdev: HandedFd } | undefined
  /**
   * It was in the host when the daemon started, and is there no more, nor is any other of its IOMMU
   * group. Then nobody has it open: a removal waits for the last
   * (drivers/vfio/vfio_main.c vfio_unregister_group_dev).
   */
  readonly isGone: boolean
}

/** Descriptors that outlive the daemon (sd_pid_notify_with_fds(3), FDSTORE=1). */
export interface FdKeeper {
  /** What an earlier life of the daemon left, by name; each is the caller's then. Once. */
  takeKept(): ReadonlyMap<string, HandedFd>
  /** A name of at most 255 bytes without ":"; the descriptor stays the caller's too. */
  keep(name: string, fd: HandedFd): void
  /** Forgets it. */
  drop(name: string): void
  /** Memory in a file that can be kept: read whole, written whole. */
  createMemory(name: string): HandedFd
}
