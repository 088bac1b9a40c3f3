/** Sessions: one VM each, and what the state keeps beside the durable record of one. */

import type { DeviceId, DomainId, SessionId, TenantId, WallMs } from './ids.js'
import type { Owner } from './owner.js'
import type { RequestLog } from './requests.js'

export type Labels = Readonly<Record<string, string>>

/** LINGERING: its owner has ended, and a successor may still take it over. */
export type SessionState = 'OPEN' | 'LINGERING' | 'CLOSING'

/**
 * Why a session lost its owner or ended: its owner closed it; the kernel told of the owner's end; a
 * sweep found the owner ended, for certain or by inference; nobody took it over; an operator did.
 */
export const END_CAUSES = ['CLOSED', 'EXIT', 'SWEEP', 'INFERRED', 'LINGER', 'OPERATOR'] as const
export type EndCause = (typeof END_CAUSES)[number]

/** What the ledger keeps of a session. */
export interface SessionRecord {
  readonly id: SessionId
  /** Public, unique: the part after `sessions/`. */
  readonly name: string
  readonly tenant: TenantId
  /** SHA-256 of the secret token, as 64 hex digits. */
  readonly tokenHash: string
  /** A limit of the caller's own, PASID_LAST without one; the tenant's holds beside it. */
  readonly maxPasids: number
  readonly labels: Labels
  readonly openedAt: WallMs
  /** Undefined: opened by a release that did not know; nobody's until it is resumed. */
  readonly owner: Owner | undefined
  /** The user id of the delegate that opened it for its owner; undefined: the owner did. */
  readonly delegate: number | undefined
  /** Milliseconds that it outlives its owner, waiting for a successor. */
  readonly lingerMs: number
  readonly state: SessionState
  /** Undefined while OPEN. */
  readonly cause: EndCause | undefined
  /** Its numbers stay FREE_PENDING, however clean, until an operator resumes reclaim. */
  readonly withheld: boolean
  /**
   * They stay so until it is shown that nothing of theirs is attached in the hardware, a hold is
   * over, or an operator resumes reclaim. Before it is CLOSING: numbers that it gives back, since a
   * device that is out of the backend's hands may still have them.
   */
  readonly unproven: boolean
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
  /** How many of its bindings are LOST. */
  lost: number
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
