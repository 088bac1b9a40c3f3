/**
 * The door of a backend: what binds tables to devices. Effects are idempotent, so recovery may
 * repeat them. The broker serialises the calls of one session for one device; those of others may
 * overlap, on other entries of a shared device. Both the emulator and the native backend pass
 * `test/contract/backend.ts`.
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

export interface Backend {
  readonly kind: 'emulator' | 'vfio'

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

  /** @throws BackendFault REFUSE when no such group waits */
  respond(answer: PageRequestAnswer): Promise<void>

  observe(): Promise<Observed>

  health(): BackendHealth

  close(): Promise<void>
}
