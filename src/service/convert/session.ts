/** Sessions: opening and closing them, and what is seen of one. */

import type { OpenSession } from '../../core/commands.js'
import { PASID_LAST } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import type { SessionView } from '../../core/view.js'
import type { Session } from '../../wire/generated/pasid/v1/Session.js'
import type { VmmRequest } from '../../wire/messages.js'
import { Fields } from './fields.js'
import { labelsOf } from './labels.js'
import { requestKey } from './request-key.js'
import { timestamp } from './time.js'

/** What the caller decides of a session; name, token and tenant are the daemon's. */
export type SessionAsked = Pick<OpenSession, 'maxPasids' | 'labels' | 'request'>

export function sessionAsked(message: VmmRequest<'OpenSession'>): Outcome<SessionAsked> {
  const fields = new Fields()
  const { maxPasids } = message
  if (maxPasids !== undefined && maxPasids > PASID_LAST) {
    const bound = `a whole number from 0 to ${PASID_LAST}`
    fields.no('max_pasids', String(maxPasids), bound, 'ask for less, or leave it out')
  }
  const asked = { maxPasids, labels: labelsOf(fields, message.labels) }
  return fields.answer({ ...asked, request: requestKey(fields, message.requestId, asked) })
}

export function sessionProto(view: SessionView): Session {
  return {
    name: `sessions/${view.name}`,
    tenant: `tenants/${view.tenant}`,
    state: view.state === 'OPEN' ? 'SESSION_STATE_OPEN' : 'SESSION_STATE_CLOSING',
    heldPasids: view.held,
    maxPasids: view.maxPasids,
    devices: view.devices.map((name) => `devices/${name}`),
    bindings: view.bindings,
    lostBindings: view.lostBindings,
    openTime: timestamp(view.openedAt),
    labels: view.labels,
  }
}
