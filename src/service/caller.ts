/**
 * What a caller may do. A session is proven by its token in the metadata and by the process that
 * calls; the tenant comes from the configuration's rules, never from what the caller says.
 */

import type { Metadata } from '@grpc/grpc-js'
import type { Broker } from '../broker/broker.js'
import type { Caller } from '../broker/caller.js'
import type { SessionId } from '../core/ids.js'
import { refuse, type Outcome, type Refusal } from '../core/refusal.js'
import { Fields } from './convert/fields.js'
import { tokenHash } from './tokens.js'

export const TOKEN_METADATA_KEY = 'pasid-session-token'

export interface ProvenSession {
  readonly id: SessionId
  /** Without `sessions/`. */
  readonly name: string
}

/** Who calls, and what the call brings to prove a session. */
export interface Call {
  readonly caller: Caller
  readonly metadata: Metadata
}

/** The hash of the token in the metadata; of nothing when there is none, or more than one. */
export function shownTokenHash(metadata: Metadata): string {
  const tokens = metadata.get(TOKEN_METADATA_KEY)
  return tokenHash(tokens.length === 1 ? String(tokens[0]) : '')
}

/** The session that the field `field` names, if it is the caller's and the token is right. */
export function proveSession(
  broker: Broker,
  { caller, metadata }: Call,
  field: string,
  value: string,
): Outcome<ProvenSession> {
  const fields = new Fields()
  const name = fields.name(field, value, 'sessions')
  const named = fields.answer(name)
  if (!named.ok) return named
  const bearer = { caller, session: name, tokenHash: shownTokenHash(metadata) }
  const session = broker.authenticate(bearer)
  return session.ok ? { ok: true, value: { id: session.value, name } } : session
}

/** For what changes something without a session that proves it. */
export function endedRefusal(caller: Caller): Refusal | undefined {
  return caller.ended() ? { code: 'CALLER_ENDED', pid: caller.process.pid } : undefined
}

/** The broker knows sessions that are gone by number only; the caller by name. */
export function namedRefusal(refusal: Refusal, session: string | undefined): Refusal {
  if (session === undefined || refusal.code !== 'SESSION_NOT_FOUND') return refusal
  return refusal.session.startsWith('#') ? { ...refusal, session } : refusal
}

export function notAllowed(caller: Caller, action: string, remedy: string) {
  const { uid } = caller.process
  return refuse({ code: 'ROLE_NOT_ALLOWED', role: roleOf(caller), uid, action, remedy })
}

function roleOf(caller: Caller): string {
  if (caller.role !== undefined) return caller.role
  if (caller.delegateFor.size > 0) return 'delegate'
  return caller.tenant === undefined ? 'none' : 'vmm'
}
