/** Sessions: one VM each, and what the state keeps beside the durable record of one. */

import type { DeviceId, DomainId, SessionId, TenantId, WallMs } from './ids.js'
import type { RequestLog } from './requests.js'

export type Labels = Readonly<Record<string, string>>

export type SessionState = 'OPEN' | 'CLOSING'

/** What the ledger keeps of a session. */
export interface SessionRecord {
  readonly id: SessionId
  /** Public, unique: the part after `sessions/`. */
  readonly name: string
  readonly tenant: TenantId
  /** SHA-256 of the secret token, as 64 hex digits. */
  readonly tokenHash: string
  /** PASIDs that it may hold at once. */
  readonly maxPasids: number
  readonly labels: Labels
  readonly openedAt: WallMs
  readonly state: SessionState
}

export type AttachmentState = 'ATTACHING' | 'ATTACHED' | 'DETACHING'

export interface Session {
  record: SessionRecord
  /** Revision that opened it: commands wait until it is durable. */
  readonly openedRevision: number
  /** PASIDs held or on their way back (FREE_PENDING), over all scopes. */
  held: number
  readonly attachments: Map<DeviceId, Attachment>
  /** Binding keys by guest domain, in the order of their making. */
  readonly domains: Map<DomainId, Set<number>>
  readonly bindings: Set<number>
  /**
   * Guest PASIDs in use, by the key of (device, guest PASID): the binding's key. Each session has
   * its own: a shared device shows itself to each VM as a function of its own.
   */
  readonly guestPasids: Map<number, number>
  readonly requests: RequestLog
}

export interface Attachment {
  readonly state: AttachmentState
  /** Revision that began it. */
  readonly revision: number
}
