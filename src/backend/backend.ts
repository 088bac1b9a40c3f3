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

export interface Backend {
  readonly kind: 'emulator' | 'vfio'

  /** Undefined: the VMM maps its memory itself, natively on its IOAS. */
  readonly guestMemory: GuestMemories | undefined

  /**
   * Who is told; one at a time, the last that was given. Before it nothing is told. Page requests
   * that wait are told first, where the backend can list them.
   */
  listen(listener: BackendListener): void

  devices(): readonly DeviceFacts[]

  /** Puts a device into a session's hands. Repeating it for the same session changes nothing. */
  attachDevice(device: string, session: SessionId): Promise<void>

  /** Nothing of the session may be bound on the device any more. Repeatable. */
  detachDevice(device: string, session: SessionId): Promise<void>

  /**
   * Writes a table entry where none is present. The same table again changes nothing.
   * @throws BackendFault; after RETRY and REFUSE nothing is bound
   */
  bind(request: BindRequest): Promise<void>

  /**
   * Exchanges the table of a present entry: teardown, then set-up, with a gap in which requests
   * fault unless the device says `hitlessReplace`.
   * @throws BackendFault; after RETRY and REFUSE the old table is in force
   */
  replace(request: BindRequest, old: Pick<Binding, 'table' | 'domain'>): Promise<void>

  /**
   * Clears the entry, invalidates PASID cache, IOTLB and device-TLB in that order, drains page
   * requests (kernel: intel_pasid_tear_down_entry). Resolved = nothing of the place is left.
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
