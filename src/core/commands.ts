/**
 * What callers and operators may ask, after `service/convert` has checked every field's type and
 * bound; and LoseOwner, which the broker reports.
 */

import type { Table } from './binding.js'
import type {
  DomainId,
  Generation,
  InstantMs,
  NamespaceId,
  Pasid,
  RID,
  SessionId,
  Target,
  TenantId,
  WallMs,
} from './ids.js'
import type { Owner, ProcessId } from './owner.js'
import type { TenantOverride } from './quota.js'
import type { PasidRange } from './range.js'
import type { RequestKey } from './requests.js'
import type { EndCause, Labels } from './session.js'

/** Which numbering a command speaks of: HOST, or the device's own. */
export type ScopeName =
  | { readonly kind: 'HOST' }
  | { readonly kind: 'DEVICE'; readonly device: string }

/** The clocks at the moment of deciding. */
export interface Now {
  readonly instant: InstantMs
  readonly wall: WallMs
}

export interface OpenSession {
  readonly verb: 'open-session'
  readonly tenant: TenantId
  readonly name: string
  readonly tokenHash: string
  /** A limit of the caller's own, below the tenant's. */
  readonly maxPasids: number | undefined
  readonly labels: Labels
  /** Undefined only where nobody can tell: then whoever has the token may resume it. */
  readonly owner: Owner | undefined
  /** The delegate's user id, when one opens it for the owner. */
  readonly delegate: number | undefined
  /** Asked; what is beyond the host's bound is cut to it. */
  readonly lingerMs: number
  readonly request: RequestKey | undefined
}

export interface CloseSession {
  readonly verb: 'close-session'
  readonly session: SessionId
  readonly cause: EndCause
  /** Take everything down, but let no number rest before an operator resumes reclaim. */
  readonly withhold: boolean
  /** Let none rest before it is proven that nothing of it is attached anywhere. */
  readonly unproven: boolean
}

/** The owner has ended. */
export interface LoseOwner {
  readonly verb: 'lose-owner'
  readonly session: SessionId
  /** Who has; a successor may have come since. */
  readonly owner: ProcessId
  readonly cause: Extract<EndCause, 'EXIT' | 'SWEEP' | 'INFERRED'>
  /** As of CloseSession, if it ends with its owner. */
  readonly withhold: boolean
  readonly unproven: boolean
}

/** A process that has the token becomes the owner, or is it already. */
export interface ResumeSession {
  readonly verb: 'resume-session'
  readonly session: SessionId
  readonly owner: Owner
  readonly delegate: number | undefined
}

/** An operator takes one number back, whoever holds it. */
export interface ReleaseAllocation {
  readonly verb: 'release-allocation'
  readonly namespace: NamespaceId
  readonly pasid: number
  /** Of the grant that is meant. */
  readonly generation: Generation
}

export interface UpdateTenant {
  readonly verb: 'update-tenant'
  /** By name. */
  readonly tenant: string
  /** The limits to change, null = inherited; or to take back all that was changed. */
  readonly change: TenantOverride | 'REVERT'
  /** Of the limits that the change was decided on; undefined = whatever they are. */
  readonly etag: string | undefined
}

export interface AllocatePasids {
  readonly verb: 'allocate'
  readonly session: SessionId
  readonly scope: ScopeName
  readonly ask:
    | { readonly kind: 'ONE' }
    /** 2^order numbers, naturally aligned. */
    | { readonly kind: 'BLOCK'; readonly order: number }
    /** Ascending, without repeats; all or none. */
    | { readonly kind: 'EXACT'; readonly pasids: readonly Pasid[] }
  readonly range: PasidRange
  /** Attached devices the numbers must fit; empty = all of the session's in that scope. */
  readonly devices: readonly string[]
  readonly labels: Labels
  readonly request: RequestKey | undefined
}

export interface FreePasids {
  readonly verb: 'free'
  readonly session: SessionId
  readonly scope: ScopeName
  readonly what: /** Ascending, without repeats. */
    | { readonly kind: 'NUMBERS'; readonly pasids: readonly Pasid[] }
    /** Whatever the session holds in the range; nothing there is not an error. */
    | { readonly kind: 'RANGE'; readonly range: PasidRange }
  readonly request: RequestKey | undefined
}

export interface AttachDevice {
  readonly verb: 'attach-device'
  readonly session: SessionId
  readonly device: string
  readonly request: RequestKey | undefined
}

export interface DetachDevice {
  readonly verb: 'detach-device'
  readonly session: SessionId
  readonly device: string
  readonly request: RequestKey | undefined
}

export interface BindPasid {
  readonly verb: 'bind'
  readonly session: SessionId
  readonly target: Target
  readonly devices: readonly string[]
  readonly table: Table
  readonly domain: DomainId
  /** Absent = the PASID itself. */
  readonly guestPasid: Pasid | undefined
  /** Whether a table is bound there already and this one takes its place. */
  readonly replace: boolean
}

export interface UnbindPasids {
  readonly verb: 'unbind'
  readonly session: SessionId
  readonly what:
    | { readonly kind: 'TARGET'; readonly target: Target; readonly devices: readonly string[] }
    | { readonly kind: 'DEVICE'; readonly device: string }
    | { readonly kind: 'ALL' }
}

export type InvalidationCache = 'IOTLB' | 'DEVICE_TLB' | 'PASID_CACHE'

export interface InvalidationEntry {
  readonly granularity:
    | { readonly kind: 'DOMAIN'; readonly domain: DomainId }
    | { readonly kind: 'PASID'; readonly target: Target; readonly device: string | undefined }
    | {
        readonly kind: 'ADDRESS'
        readonly target: Target
        readonly device: string | undefined
        /** First byte, 4 KiB aligned. */
        readonly address: bigint
        /** Pages of 4 KiB, at least 1. */
        readonly pages: bigint
        /** Only leaf entries changed: paging-structure caches may stay. */
        readonly leaf: boolean
      }
  readonly caches: readonly InvalidationCache[]
}

export interface Invalidate {
  readonly verb: 'invalidate'
  readonly session: SessionId
  readonly entries: readonly InvalidationEntry[]
}

/** Pages of 4 KiB. */
export interface AddressRange {
  /** First byte, 4 KiB aligned. */
  readonly address: bigint
  /** At least 1; address + pages * 4096 is at most 2^64. */
  readonly pages: bigint
  /** Only leaf entries changed: paging-structure caches may stay. */
  readonly leaf: boolean
}

/**
 * What a structure of the kernel's or the hardware's names: in it, what is not bound is no error.
 */
export type RawReach =
  | { readonly by: 'ALL' }
  | { readonly by: 'DOMAIN'; readonly domain: DomainId }
  /** Everything on one device. */
  | { readonly by: 'DEVICE'; readonly device: string }
  /** The host's number, wherever it is bound. */
  | { readonly by: 'TARGET'; readonly target: Target }
  /** The guest's number, RID for none; undefined domain or device: whichever. */
  | {
      readonly by: 'GUEST_PASID'
      readonly pasid: Pasid | typeof RID
      readonly domain: DomainId | undefined
      readonly device: string | undefined
    }
  /**
   * Every binding with the first-stage table of this one, which must be there: the kernel's nested
   * HWPT.
   */
  | { readonly by: 'TABLE'; readonly target: Target; readonly device: string }

export interface RawInvalidationEntry {
  readonly granularity: {
    readonly kind: 'RAW'
    readonly reach: RawReach
    /** Undefined: everything; else only caches that have addresses are named. */
    readonly range: AddressRange | undefined
  }
  /** None: nothing is done but to look whether it could be. */
  readonly caches: readonly InvalidationCache[]
}

/** As Invalidate, of entries that came as bytes. */
export interface InvalidateRaw {
  readonly verb: 'invalidate-raw'
  readonly session: SessionId
  readonly entries: readonly RawInvalidationEntry[]
  /** Names that must be those of attached devices. */
  readonly devices: readonly string[]
}
