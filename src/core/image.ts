/**
 * Everything durable, as a ledger hands it over at load: records as objects where they are few,
 * columns where there may be a million. `core/restore.ts` makes the state of it.
 */

import type { Binding } from './binding.js'
import type { DeviceId, SessionId, TenantId } from './ids.js'
import type { TenantOverride } from './quota.js'
import type { AttachmentState, Labels, SessionRecord } from './session.js'

/** Ascending by (namespace, pasid). `slot` is one of SLOT in core/namespace.ts, never FREE. */
export interface AllocationColumns {
  readonly count: number
  readonly namespace: Uint16Array
  readonly pasid: Uint32Array
  readonly slot: Uint8Array
  readonly session: Uint32Array
  readonly tenant: Uint16Array
  readonly generation: Float64Array
  readonly at: Float64Array
}

/** Oldest first within each owner. `session` 0 = the tenant's own (OpenSession). */
export interface RequestColumns {
  readonly count: number
  readonly session: Uint32Array
  readonly tenant: Uint16Array
  /** Index in core/requests.ts REQUEST_METHODS. */
  readonly method: Uint8Array
  readonly idHigh: Uint32Array
  readonly idLow: Uint32Array
  readonly fingerprintHigh: Uint32Array
  readonly fingerprintLow: Uint32Array
  readonly at: Float64Array
  readonly answer: Float64Array
  readonly revision: Float64Array
}

export interface Image {
  readonly revision: number
  /** Highest session id ever given, so that none is given twice. */
  readonly lastSession: number
  readonly tenants: readonly {
    readonly id: TenantId
    readonly name: string
    readonly override: TenantOverride | undefined
  }[]
  readonly devices: readonly { readonly id: DeviceId; readonly name: string }[]
  readonly sessions: readonly SessionRecord[]
  readonly attachments: readonly {
    readonly session: SessionId
    readonly device: DeviceId
    readonly state: AttachmentState
  }[]
  readonly allocations: AllocationColumns
  /** Labels of the grants that had any, by generation. */
  readonly labels: ReadonlyMap<number, Labels>
  readonly bindings: readonly Binding[]
  readonly requests: RequestColumns
}
