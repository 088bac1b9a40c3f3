/**
 * What the ledger keeps of acts upon others' things, and of what began and ended a session: who,
 * what, why, and how it went. At most one a change, so a revision names it.
 */

import type { RefusalCode } from './refusal.js'
import type { WallMs } from './ids.js'

export const AUDIT_ACTIONS = [
  'OPEN_SESSION',
  'RESUME_SESSION',
  'CLOSE_SESSION',
  'LINGER',
  'RECLAIM',
  'END_SESSION',
  'RELEASE_ALLOCATION',
  'UPDATE_TENANT',
  'BREAKER_OPENED',
  'RESUME_RECLAIM',
  'EMULATOR_LAB',
] as const
export type AuditAction = (typeof AUDIT_ACTIONS)[number]

/**
 * What a record is kept among: sessions' life, which tenants make as much of as they like, or what
 * operators and the breaker did, which no tenant can push out.
 */
export type AuditShare = 'SESSIONS' | 'OPERATORS'

export const SHARE_OF: Readonly<Record<AuditAction, AuditShare>> = {
  OPEN_SESSION: 'SESSIONS',
  RESUME_SESSION: 'SESSIONS',
  CLOSE_SESSION: 'SESSIONS',
  LINGER: 'SESSIONS',
  RECLAIM: 'SESSIONS',
  END_SESSION: 'OPERATORS',
  RELEASE_ALLOCATION: 'OPERATORS',
  UPDATE_TENANT: 'OPERATORS',
  BREAKER_OPENED: 'OPERATORS',
  RESUME_RECLAIM: 'OPERATORS',
  EMULATOR_LAB: 'OPERATORS',
}

/** However few are kept of sessions' life. */
const OPERATORS_EVENTS_MIN = 1000

/** So many of each share are kept: `sessionsEvents`, and a tenth of it for operators. */
export function auditBounds(sessionsEvents: number): Readonly<Record<AuditShare, number>> {
  const operators = Math.max(Math.floor(sessionsEvents / 10), OPERATORS_EVENTS_MIN)
  return { SESSIONS: sessionsEvents, OPERATORS: operators }
}

/** Who acted, as the kernel said when it connected. */
export interface Actor {
  readonly uid: number
  readonly gid: number
  readonly pid: number
}

export interface AuditRecord {
  readonly at: WallMs
  readonly action: AuditAction
  /** Undefined: the daemon by itself. */
  readonly actor: Actor | undefined
  /** `sessions/…`, `tenants/…`, `devices/…`, `pasids/SCOPE/NUMBER`, or empty. */
  readonly subject: string
  /** Why: of a reclaim, how the owner's end was noticed; of an operator's act, the reason given. */
  readonly cause: string
  readonly outcome: 'DONE' | RefusalCode
  /** For people: what it did, in numbers. */
  readonly details: string
}

/** Of each text of a record, in characters. */
export const AUDIT_TEXT_LENGTH_MAX = 512
