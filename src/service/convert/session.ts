/** Sessions: what is asked of a new one, and what is seen of one. */

import type { SessionDetail, StuckView } from '../../broker/answers.js'
import type { OpenSession } from '../../core/commands.js'
import { PASID_LAST } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import type { EndCause, SessionState } from '../../core/session.js'
import type { SessionView } from '../../core/view.js'
import { quoted } from '../../wire/quote.js'
import type { Session } from '../../wire/generated/pasid/v1/Session.js'
import type { Stuck } from '../../wire/generated/pasid/v1/Stuck.js'
import type { VmmRequest } from '../../wire/messages.js'
import { headroomProto } from './allocation.js'
import { durationOf } from './duration.js'
import { Fields } from './fields.js'
import { capabilitiesProto } from './hw-info.js'
import { labelsOf } from './labels.js'
import { processProto } from './process.js'
import { requestKey } from './request-key.js'
import { shown } from './text.js'
import { duration, timestamp } from './time.js'

const LINGER_MS_LAST = 3_600_000
const OWNER_TOKEN = /^[\x21-\x7e]{1,64}$/

/** What the caller decides of a session; name, token, tenant and owner are the daemon's. */
export type SessionAsked = Pick<OpenSession, 'maxPasids' | 'labels' | 'lingerMs' | 'request'>

export function sessionAsked(
  message: VmmRequest<'OpenSession'>,
  more: object = {},
): Outcome<SessionAsked> {
  const fields = new Fields()
  const { maxPasids } = message
  if (maxPasids !== undefined && maxPasids > PASID_LAST) {
    const bound = `a whole number from 0 to ${PASID_LAST}`
    fields.no('max_pasids', String(maxPasids), bound, 'ask for less, or leave it out')
  }
  const asked = { maxPasids, labels: labelsOf(fields, message.labels) }
  const lingerMs = durationOf(fields, 'linger', message.linger, LINGER_MS_LAST)
  // Without the owner token, which a repeated call has another of, or none that is still good.
  const fingerprint = {
    ...asked,
    lingerMs: lingerMs === 0 ? undefined : lingerMs,
    tenant: message.tenant === '' ? undefined : message.tenant,
    ...more,
  }
  const request = requestKey(fields, message.requestId, fingerprint)
  return fields.answer({ ...asked, lingerMs, request })
}

export function ownerTokenOf(fields: Fields, token: string): string {
  if (token === '') fields.missing('owner_token', '1 to 64 characters')
  else if (!OWNER_TOKEN.test(token)) {
    const remedy = 'send the token as the side socket gave it'
    fields.no('owner_token', quoted(token), '1 to 64 printable characters', remedy)
  }
  return token
}

export const SESSION_STATES = {
  OPEN: 'SESSION_STATE_OPEN',
  LINGERING: 'SESSION_STATE_LINGERING',
  CLOSING: 'SESSION_STATE_CLOSING',
} as const satisfies Record<SessionState, string>

export const END_CAUSES = {
  CLOSED: 'END_CAUSE_CLOSED',
  EXIT: 'END_CAUSE_EXIT',
  SWEEP: 'END_CAUSE_SWEEP',
  INFERRED: 'END_CAUSE_INFERRED',
  LINGER: 'END_CAUSE_LINGER',
  OPERATOR: 'END_CAUSE_OPERATOR',
} as const satisfies Record<EndCause, string>

/** As its owner sees it. */
export function sessionProto(view: SessionView & Partial<SessionDetail>): Session {
  const { owner, delegate, cause, headroom } = view
  const capabilities = capabilitiesProto(view.facts)
  return {
    name: `sessions/${view.name}`,
    tenant: `tenants/${view.tenant}`,
    state: SESSION_STATES[view.state],
    heldPasids: view.held,
    maxPasids: view.maxPasids,
    devices: view.devices.map((name) => `devices/${name}`),
    bindings: view.bindings,
    lostBindings: view.lostBindings,
    openTime: timestamp(view.openedAt),
    labels: view.labels,
    ...(owner !== undefined && { owner: processProto(owner) }),
    ...(delegate !== undefined && { delegateUid: delegate }),
    linger: duration(view.lingerMs),
    ...(cause !== undefined && { cause: END_CAUSES[cause] }),
    withheld: view.withheld,
    unproven: view.unproven,
    ...(headroom !== undefined && { headroom: headroomProto(headroom) }),
    ...(capabilities !== undefined && { capabilities }),
  }
}

export function sessionProtoForOperator(view: SessionView & Partial<SessionDetail>): Session {
  const { stuck } = view
  return { ...sessionProto(view), ...(stuck !== undefined && { stuck: stuckProto(stuck) }) }
}

const PROBLEM_LENGTH_MAX = 500

function stuckProto({ sinceWall, attempts, problem }: StuckView): Stuck {
  const since = timestamp(sinceWall)
  return { since, attempts, problem: shown(problem, PROBLEM_LENGTH_MAX) }
}
