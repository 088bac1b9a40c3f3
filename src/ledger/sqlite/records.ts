/** Sessions and bindings from their rows. Pairs with the writing of them in store.ts. */

import { type Binding, bindingKey, type BindingState, type Table } from '../../core/binding.js'
import type { AddressWidth } from '../../core/device.js'
import {
  deviceId,
  domainId,
  generation,
  pasid,
  sessionId,
  target,
  tenantId,
  wallMs,
} from '../../core/ids.js'
import type { SessionRecord } from '../../core/session.js'
import { BINDING_STATES, labelsOf, SESSION_STATES } from '../codec-records.js'
import { damaged, numberOf, objectOf, oneOf, whole } from './checked.js'

export type SessionRow = [number, string, number, string, number, string, number, string]

export function sessionOf(row: SessionRow): SessionRecord {
  const [id, name, tenant, tokenHash, maxPasids, labels, openedAt, state] = row
  return {
    id: sessionId(id),
    name,
    tenant: tenantId(tenant),
    tokenHash,
    maxPasids: whole(maxPasids, Number.MAX_SAFE_INTEGER, 'most numbers of a session'),
    labels: labelsOf(labels),
    openedAt: wallMs(openedAt),
    state: oneOf(SESSION_STATES, state),
  }
}

type Loose = Readonly<Record<string, unknown>>

export function bindingOf(key: number, text: string): Binding {
  const record = objectOf(JSON.parse(text))
  const device = deviceId(numberOf(record['device']))
  const at = target(numberOf(record['target']))
  if (bindingKey(device, at) !== key) damaged(`binding ${key} is of another device or target`)
  const { previous, guestPasid, cause } = record
  if (typeof cause !== 'string') damaged(`binding ${key} has no cause`)
  return {
    session: sessionId(numberOf(record['session'])),
    device,
    target: at,
    generation: generation(numberOf(record['generation'])),
    table: tableOf(record['table']),
    previous: previous === undefined ? undefined : previousOf(objectOf(previous)),
    domain: domainId(numberOf(record['domain'])),
    guestPasid: guestPasid === undefined ? undefined : pasid(numberOf(guestPasid)),
    state: oneOf<BindingState>(BINDING_STATES, record['state']),
    cause,
  }
}

function previousOf(record: Loose): NonNullable<Binding['previous']> {
  return { table: tableOf(record['table']), domain: domainId(numberOf(record['domain'])) }
}

function tableOf(value: unknown): Table {
  const table = objectOf(value)
  if (table['kind'] === 'PASS_THROUGH') return { kind: 'PASS_THROUGH' }
  if (table['kind'] !== 'FIRST_STAGE') damaged('a table of an unknown kind')
  return {
    kind: 'FIRST_STAGE',
    address: whole(table['address'], Number.MAX_SAFE_INTEGER, 'address of a table'),
    width: oneOf<AddressWidth>([48, 57], table['width']),
    supervisor: table['supervisor'] === true,
    writeProtect: table['writeProtect'] === true,
    extendedAccessed: table['extendedAccessed'] === true,
  }
}
