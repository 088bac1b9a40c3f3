/**
 * The door of the laboratory: what a software IOMMU can do beside what its VMMs ask of a backend.
 * Numbers and names are the hardware's: source ids, hardware domain ids, host-physical addresses.
 * Implemented by the emulator only; used by `broker/` and through it by the EmulatorLab service.
 * Every call returns at once. A refusal of the world is thrown as a BackendFault REFUSE.
 */

import type { DeviceFacts } from '../core/device.js'
import type { SessionId, Target } from '../core/ids.js'
import type { BackendFault, BackendHealth, RaisedFault, RaisedPage } from './backend.js'

/** Caches of the unit, and of a device: VT-d 6.2. */
export type CacheName = 'CONTEXT' | 'PASID' | 'IOTLB' | 'PAGING_STRUCTURE' | 'DEVICE_TLB'

export interface LabDevice extends DeviceFacts {
  /** Bus, device and function: 16 bits. Absent = the next that is free. */
  readonly sourceId?: number | undefined
}

export interface LabAccess {
  readonly device: string
  /** May be beyond the device's width: then it is a fault, as on hardware. */
  readonly target: number
  /** 64 bits. */
  readonly address: bigint
  readonly write: boolean
  readonly privileged: boolean
}

export type LabOutcome =
  | { readonly kind: 'TRANSLATED'; readonly address: number; readonly pageSize: number }
  | {
      readonly kind: 'FAULT'
      readonly reason: number
      readonly name: string
      readonly recorded: boolean
    }

/** An invalidation by the tags of its descriptor (VT-d 6.5.2). */
export interface LabInvalidation {
  readonly cache: CacheName
  /** Hardware domain id; 0 where the descriptor has none. */
  readonly domain: number
  /** 0 for the RID's, and where the descriptor has none. */
  readonly pasid: number
  /** For DEVICE_TLB and CONTEXT, else empty. */
  readonly device: string
  /** A naturally aligned block; undefined = everything with these tags. */
  readonly block: { readonly address: bigint; readonly bytes: bigint } | undefined
}

export interface LabTranslation {
  readonly outcome: LabOutcome
  /** Who answered: the tables when the request was walked. */
  readonly source: Extract<CacheName, 'DEVICE_TLB' | 'IOTLB'> | 'TABLES'
  /** Undefined: the tables support the answer. */
  readonly staleness:
    | {
        readonly tables: LabOutcome
        /** For people: what differs. */
        readonly difference: string
        /** The least set of invalidations that would have cured it; never empty. */
        readonly needed: readonly LabInvalidation[]
      }
    | undefined
}

export interface LabPageRequest extends RaisedPage {
  readonly device: string
  readonly target: Target
  /** PRGI: 9 bits. */
  readonly group: number
  /** LPIG: the group is complete with this one. */
  readonly last: boolean
}

/** DROPPED: lost, or a stop marker; no response will come. */
export type LabRaised =
  | { readonly state: 'WAITING' | 'DROPPED' | 'SUCCESS' | 'INVALID' | 'FAILURE' }
  /** Complete and delivered; `answered` resolves with the response, or DROPPED by a reset. */
  | {
      readonly state: 'DELIVERED'
      readonly answered: Promise<'SUCCESS' | 'INVALID' | 'FAILURE' | 'DROPPED'>
    }

export type LabEffect =
  | 'attachDevice'
  | 'detachDevice'
  | 'bind'
  | 'replace'
  | 'unbind'
  | 'invalidate'
  | 'respond'

export type LabFailure =
  | {
      readonly kind: 'FAIL'
      readonly as: BackendFault['kind']
      readonly effect: LabEffect | undefined
      readonly skip: number
      /** 1 or more. */
      readonly times: number
      /** In a replace: after the old table's teardown. */
      readonly afterTeardown: boolean
    }
  | {
      readonly kind: 'SLOW'
      readonly ms: number
      readonly effect: LabEffect | undefined
      readonly skip: number
      /** 0: until cleared. */
      readonly times: number
    }
  | { readonly kind: 'DEAD' }

export interface LabFault extends Omit<RaisedFault, 'session' | 'target'> {
  /** Counts recorded faults from 1. */
  readonly sequence: number
  /** Wall clock, milliseconds. */
  readonly at: number
  /** May be beyond the device's width. */
  readonly target: number
}

export interface LabSwitches {
  /** CAP.CM. */
  readonly cachingMode: boolean
  readonly eviction: boolean
  readonly operationLog: boolean
}

export interface LabState {
  readonly cap: bigint
  readonly ecap: bigint
  /** RTADDR. */
  readonly root: number
  readonly caches: readonly {
    readonly name: CacheName
    readonly device: string
    readonly entries: number
    readonly capacity: number
    /** Entries that others replaced since eviction was last switched. */
    readonly evicted: number
  }[]
  readonly switches: LabSwitches
  readonly health: BackendHealth
  readonly faults: number
  readonly faultsLost: number
  /** Why the unit's own queue stands (IQE); undefined: it does not. */
  readonly queueProblem: string | undefined
}

/** What became of descriptors in the unit's own queue (VT-d 6.5.2). */
export interface LabSubmitted {
  /** Descriptors carried out. */
  readonly done: number
  /** Why the queue stands at the next one; undefined: all were carried out. */
  readonly problem: string | undefined
  /** What the waits among them store (SW), in order: handed back, not stored. */
  readonly statusWrites: readonly { readonly address: bigint; readonly data: number }[]
  /** Waits among them that ask for an interrupt (IF). */
  readonly interrupts: number
}

export interface LabDump {
  readonly lines: readonly string[]
  readonly entries: readonly {
    readonly pasid: number
    /** 64 bytes, as they lie in memory. */
    readonly bytes: Uint8Array
    /** Whose binding it is; undefined: a lone entry of its group. */
    readonly session: SessionId | undefined
  }[]
  /** Whether there are present entries beyond the last. */
  readonly more: boolean
}

/** A window on something that is kept in a ring. */
export interface LabKept<Row> {
  readonly rows: readonly Row[]
  /** Rows asked for that are no longer kept. */
  readonly lost: number
}

export interface LabOperation {
  /** Counts from 1. */
  readonly sequence: number
  readonly kind: string
  /** With all of its fields, readable. */
  readonly text: string
}

export interface Lab {
  state(): LabState
  /** What is absent stays as it is. */
  set(switches: Partial<LabSwitches>): LabSwitches
  /** Empties every cache. */
  flush(): void

  /**
   * Carries out raw descriptors of 16 bytes, or 32 in a wide queue (IQA.DW), up to the first that
   * is bad: there the queue stands, over calls, until clearQueueError(). Never throws.
   */
  submitDescriptors(descriptors: Uint8Array, wide: boolean): LabSubmitted
  /** FSTS.IQE: the next descriptors are carried out again. */
  clearQueueError(): void

  /** @throws BackendFault REFUSE: the name or source id is taken, or there is no room */
  createDevice(device: LabDevice): DeviceFacts
  /** Pairs with createDevice(): nobody has had it attached. */
  removeDevice(device: string): void
  /** Answers with the page requests that were dropped. Resetting again begins anew. */
  reset(device: string, ms: number): number

  /** A word of the session's guest memory; undefined where none is mapped. Multiples of 8. */
  readMemory(session: SessionId, address: number): bigint | undefined
  /** False where none is mapped, or only to be read. */
  writeMemory(session: SessionId, address: number, value: bigint): boolean

  translate(access: LabAccess): LabTranslation
  raisePageRequest(request: LabPageRequest): LabRaised
  inject(device: string, failure: LabFailure): void
  /** Undefined: of every device, and the backend is READY. */
  clearFailures(device: string | undefined): void
  setHealth(health: BackendHealth): void

  /** `walk`: also the levels of the first entry's first-stage table for this address. */
  dump(
    device: string,
    window: { readonly first: number; readonly count: number; readonly walk: bigint | undefined },
  ): LabDump
  /** Oldest first, at most `count`; `device` undefined = all. */
  faults(after: number, count: number, device: string | undefined): LabKept<LabFault>
  /** Called with every fault recorded; the returned function ends it. */
  watchFaults(listener: (fault: LabFault) => void): () => void
  operations(after: number, count: number): LabKept<LabOperation>
}
