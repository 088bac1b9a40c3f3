/**
 * Who calls. A session is proven by its token in the metadata; the tenant comes from the socket
 * that the call arrived on (later from the kernel), never from what the caller says.
 */

import type { Metadata } from '@grpc/grpc-js'
import type { Broker } from '../broker/broker.js'
import type { SessionId } from '../core/ids.js'
import type { Outcome, Refusal } from '../core/refusal.js'
import { Fields } from './convert/fields.js'
import { tokenHash } from './tokens.js'

export const TOKEN_METADATA_KEY = 'pasid-session-token'

export interface ProvenSession {
  readonly id: SessionId
  /** Without `sessions/`. */
  readonly name: string
}

/** What a call brings to prove a session: whose socket it came by, and its metadata. */
export interface Caller {
  readonly tenant: string
  readonly metadata: Metadata
}

/** The session that the field `field` names, if the caller has its token. */
export function proveSession(
  broker: Broker,
  { tenant, metadata }: Caller,
  field: string,
  value: string,
): Outcome<ProvenSession> {
  const fields = new Fields()
  const name = fields.name(field, value, 'sessions')
  const named = fields.answer(name)
  if (!named.ok) return named
  const tokens = metadata.get(TOKEN_METADATA_KEY)
  const token = tokens.length === 1 ? String(tokens[0]) : ''
  const session = broker.authenticate({ tenant, name, tokenHash: tokenHash(token) })
  return session.ok ? { ok: true, value: { id: session.value, name } } : session
}

/** The broker knows sessions that are gone by number only; the caller by name. */
export function namedRefusal(refusal: Refusal, session: string | undefined): Refusal {
  if (session === undefined || refusal.code !== 'SESSION_NOT_FOUND') return refusal
  return refusal.session.startsWith('#') ? { ...refusal, session } : refusal
}
