/**
 * The door of a backend: what binds tables to devices. Effects are idempotent, so recovery may
 * repeat them. The broker serialises the calls of one session for one device, but for respond();
 * those of others may overlap, on other entries of a shared device. Both the emulator and the
 * native backend pass `test/contract/backend.ts`.
 */

import type { Binding, Table } from '../core/binding.js'
import type { InvalidationCache } from '../core/commands.js'
import type { DeviceFacts } from '../core/device.js'
import type { DomainId, SessionId, Target } from '../core/ids.js'

/**
 * The world behind the backend failed. RETRY: nothing changed, the same call may succeed (a reset
 * under way). REFUSE: nothing changed and the same call never will. STOP: the device or backend is
 * gone, and what was bound on it is not known to be in force.
 */
export class BackendFault extends Error {
  override readonly name = 'BackendFault'
  constructor(
    message: string,
    readonly kind: 'RETRY' | 'REFUSE' | 'STOP',
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}

/** REFUSE: the session has the device by number only, its descriptors were not handed over. */
export class NotHandedOver extends BackendFault {
  constructor(message: string) {
    super(message, 'REFUSE')
  }
}

/** REFUSE: what was handed over is not what it must be, or the kernel does not take it. */
export class HandOverRefused extends BackendFault {
  constructor(
    message: string,
    /** What to do about it, for people. */
    readonly remedy: string,
    options?: { cause?: unknown },
  ) {
    super(message, 'REFUSE', options)
  }
}

/** Pages of one page-request group; Linux has no bound, PCIe hardware has a few. */
export const PAGE_REQUESTS_OF_GROUP_MAX = 64

/** Names one entry of one device's PASID table. `session` says in whose address space it walks. */
export interface Place {
  readonly device: string
  readonly target: Target
  readonly session: SessionId
}

export interface BindRequest extends Place {
  readonly table: Table
  /** The VMM's id of the binding; the backend makes a hardware domain id of (session, domain). */
  readonly domain: DomainId
}

export interface InvalidateRequest extends Place {
  readonly caches: readonly InvalidationCache[]
  /** Absent = everything cached for the place. */
  readonly range:
    | {
        /** Byte address, 4 KiB aligned; 64 bits. */
        readonly address: bigint
        /** 4 KiB pages, at least 1; address + pages does not pass 2^64. */
        readonly pages: bigint
        readonly leaf: boolean
      }
    | undefined
}

export type BackendHealth =
  | { readonly state: 'READY' }
  | { readonly state: 'DEGRADED' | 'DEAD'; readonly reason: string }

/** What is bound, as the backend itself knows it; UNKNOWN where nothing lists it (native). */
export type Observed =
  | { readonly kind: 'KNOWN'; readonly places: readonly ObservedPlace[] }
  | { readonly kind: 'UNKNOWN'; readonly reason: string }

export interface ObservedPlace extends Place {
  readonly table: Table
}

export interface PageRequestAnswer {
  readonly device: string
  readonly target: Target
  /** PRI page request group index, 9 bits. */
  readonly group: number
  readonly code: 'SUCCESS' | 'INVALID' | 'FAILURE'
}

/** A complete group of page requests of one device (PCIe PRI), to be answered with respond(). */
export interface RaisedGroup extends Place {
  /** PRI page request group index, 9 bits. */
  readonly group: number
  /** 1 to PAGE_REQUESTS_OF_GROUP_MAX, in the order raised. */
  readonly pages: readonly RaisedPage[]
}

export interface RaisedPage {
  /** Byte address, 4 KiB aligned; 64 bits. */
  readonly address: bigint
  readonly read: boolean
  readonly write: boolean
  readonly execute: boolean
  readonly privileged: boolean
}

/** A fault of a request that went through a session's binding. */
export interface RaisedFault extends Place {
  /** VT-d fault reason, 8 bits, and its name. */
  readonly reason: number
  readonly name: string
  /** Byte address, 4 KiB aligned; 64 bits. */
  readonly address: bigint
  readonly write: boolean
  readonly execute: boolean
  readonly privileged: boolean
}

/** What a backend tells unasked. Each call returns at once and must not throw. */
export interface BackendListener {
  pageRequest(group: RaisedGroup): void
  /** The group needs no answer any more: a drain answered it INVALID, or a reset dropped it. */
  pageRequestGone(group: Omit<RaisedGroup, 'pages'>): void
  fault(fault: RaisedFault): void
  /** A reset begins (`done` false): binds are refused with RETRY until it is done. */
  reset(device: string, done: boolean): void
}

/** Memory that somebody handed over, as the page walks need it. Holds its descriptor or mapping. */
export interface MemoryFile {
  readonly bytes: number
  /** Whether it is mapped (a sealed memfd), not read word by word. */
  readonly mapped: boolean
  /** The 64-bit little-endian word at a multiple of 8; undefined where there is none (any more). */
  read(offset: number): bigint | undefined
  /** Writes `next` where `expected` still stands; false = it does not, or cannot be written. */
  exchange(offset: number, expected: bigint, next: bigint): boolean
  /** Once, when nothing uses it any more. */
  close(): void
}

/** Guest-physical `address`..+`bytes` is at `offset` of the file. All multiples of 4096. */
export interface MemoryRange {
  readonly address: number
  readonly bytes: number
  readonly offset: number
  readonly readOnly: boolean
}

/** Backends that walk the guest's tables themselves. Ranges of one session never overlap. */
export interface GuestMemories {
  /** The file is the backend's from then on: closed when unmapped, or with the session. */
  map(session: SessionId, range: MemoryRange, file: MemoryFile): void
  /** Takes the range away with everything cached of it. The range is mapped, whole. */
  unmap(session: SessionId, range: Pick<MemoryRange, 'address' | 'bytes'>): void
  ranges(session: SessionId): readonly MemoryRange[]
  /** Everything of the session, at once. */
  drop(session: SessionId): void
}

/** A descriptor that a VMM handed over. Closed exactly once, by whoever has it then. */
export interface HandedFd {
  /** For a system call, at once: not to be kept. */
  readonly number: number
  /** Hands the number to another owner, who closes it; to this one it is closed. */
  release(): number
  close(): void
}

/**
 * A device that a VMM hands over, not bound to an iommufd yet: the backend binds it, which is the
 * proof that the two descriptors belong together. Ids are those of the VMM's own iommufd.
 */
export interface HandOver {
  /** /dev/iommu, open. */
  readonly iommufd: HandedFd
  /** /dev/vfio/devices/vfioN, open, before VFIO_DEVICE_BIND_IOMMUFD. */
  readonly cdev: HandedFd
  readonly parent: Parent
  /** Whether the RID is attached to the parent at once; else it stays as the VMM has it. */
  readonly moveRid: boolean
  /**
   * The VMM's own fault queue (IOMMU_FAULT_QUEUE_ALLOC): page requests go there, and the VMM
   * answers them. Undefined: the backend makes one, where the device can raise any.
   */
  readonly faultId: number | undefined
}

/** The second stage that the nested tables of a device sit on. */
export type Parent =
  /** The VMM's, made with IOMMU_HWPT_ALLOC_NEST_PARENT and IOMMU_HWPT_ALLOC_PASID. */
  | { readonly kind: 'HWPT'; readonly id: number }
  /** One is made on the VMM's IOAS; it goes when the device is let go. */
  | { readonly kind: 'IOAS'; readonly id: number; readonly dirtyTracking: boolean }

/** Where requests without PASID go, as far as the backend knows. */
export type RidState =
  /** Nothing is attached: they fault. */
  | 'NOT_ATTACHED'
  /** The parent: guest-physical addresses. */
  | 'ON_PARENT'
  /** Something of the VMM's own that PASIDs may be attached beside. */
  | 'COMPATIBLE'
  /** On an HWPT without IOMMU_HWPT_ALLOC_PASID: no PASID can be attached until it is moved. */
  | 'INCOMPATIBLE'

/** Of a device in the backend's hands; ids of the VMM's own iommufd. */
export interface NativeAttachment {
  /** As VFIO_DEVICE_BIND_IOMMUFD answered. */
  readonly devId: number
  readonly parentHwpt: number
  readonly rid: RidState
}

/** Descriptors of an earlier life that could not be taken up, and were let go of at once. */
export interface TurnedAway extends Pick<Place, 'device' | 'session'> {
  /** For people. */
  readonly why: string
}

/**
 * Backends that work through descriptors which VMMs hand over. A device may also be attached
 * without (numbers only): then nothing can be bound on it, and nothing is known of it.
 */
export interface HandOvers {
  /** Whether the device is in the backend's hands for the session. */
  holds(device: string, session: SessionId): boolean

  /**
   * Makes "nothing else is bound" true where no list says what is: detaches each of the granted
   * numbers, and whatever the backend itself remembers, but for those to keep. The RID only where a
   * table of ours may be: on anything else it is the VMM's, and keeps its guest going. A RID whose
   * way to the parent was cut off is put there. For recovery, before what is kept is bound again.
   * Nothing in our hands = nothing to do.
   * @throws BackendFault
   */
  settle(
    device: string,
    session: SessionId,
    targets: { readonly granted: readonly Target[]; readonly keep: readonly Target[] },
  ): Promise<void>

  /**
   * Devices of which descriptors are kept from an earlier life that nobody has taken up yet with
   * attachDevice(), and of whom. detachDevice() lets go of one, drop() of all of a session.
   */
  kept(): readonly Pick<Place, 'device' | 'session'>[]

  /** Of whatever was kept from an earlier life, what was no use; the same all life long. */
  readonly turnedAway: readonly TurnedAway[]

  /**
   * The owner is gone: of every device in the backend's hands for the session, or kept from an
   * earlier life, each PASID bound or granted and the RID is detached, and the descriptors are
   * closed. Waits for nothing but the devices; one that is stuck is closed from elsewhere. After it
   * the session's unbind() and detachDevice() have nothing left to do, and nothing is kept of it.
   * Answers the devices of which it is not certain that nothing of the session's is attached any
   * more: those that were stuck, and those where a detach failed. Never throws a BackendFault;
   * repeatable.
   */
  drop(session: SessionId, granted: readonly Target[]): Promise<readonly string[]>

  /**
   * Whether nobody at all has the device bound: shown by binding it for a moment. Undefined: cannot
   * be told (no permission, no such device). Never throws a BackendFault.
   */
  seenClosed(device: string): Promise<boolean | undefined>
}

export interface Backend {
  readonly kind: 'emulator' | 'vfio'

  /** Undefined: the VMM maps its memory itself, natively on its IOAS. */
  readonly guestMemory: GuestMemories | undefined

  /** Undefined: the devices are the backend's own, and nobody hands any over. */
  readonly handOvers: HandOvers | undefined

  /**
   * Who is told; one at a time, the last that was given. Before it nothing is told. Page requests
   * that wait are told first, where the backend can list them.
   */
  listen(listener: BackendListener): void

  devices(): readonly DeviceFacts[]

  /**
   * Puts a device into a session's hands. Repeating it for the same session changes nothing. What
   * is handed over is the backend's from then on, whatever comes of it; without, a backend that
   * knows of descriptors kept from an earlier life takes those up. devices() may know more
   * afterwards.
   * Answers undefined where nothing was handed over.
   * `unused`: a number that the session holds nowhere, and cannot have attached anything to by
   * itself. With it the backend may find out anew what the VMM has the RID on.
   * @throws BackendFault; HandOverRefused
   */
  attachDevice(
    device: string,
    session: SessionId,
    handOver?: HandOver,
    unused?: Target,
  ): Promise<NativeAttachment | undefined>

  /** Nothing of the session may be bound on the device any more. Repeatable. */
  detachDevice(device: string, session: SessionId): Promise<void>

  /**
   * Writes a table entry where none is present. The same table again changes nothing. Answers the
   * HWPT that the place is attached to, of the VMM's iommufd; undefined where there is none.
   * @throws BackendFault; NotHandedOver; after RETRY and REFUSE nothing is bound
   */
  bind(request: BindRequest): Promise<number | undefined>

  /**
   * Exchanges the table of a present entry: teardown, then set-up, with a gap in which requests
   * fault unless the device says `hitlessReplace`. Answers as bind().
   * @throws BackendFault; after RETRY and REFUSE the old table is in force
   */
  replace(request: BindRequest, old: Pick<Binding, 'table' | 'domain'>): Promise<number | undefined>

  /**
   * Clears the entry, invalidates PASID cache, IOTLB and device-TLB in that order, drains page
   * requests (kernel: intel_pasid_tear_down_entry). Resolved = nothing of the place is left,
   * where the device is in the backend's hands (HandOvers.holds); of another it knows nothing.
   * Nothing bound there = success.
   * @throws BackendFault
   */
  unbind(place: Place): Promise<void>

  /** @throws BackendFault; nothing is rolled back */
  invalidate(request: InvalidateRequest): Promise<void>

  /** At any time. @throws BackendFault REFUSE when no such group waits */
  respond(answer: PageRequestAnswer): Promise<void>

  observe(): Promise<Observed>

  health(): BackendHealth

  close(): Promise<void>
}
