/** Sessions and bindings to and from their rows. Bindings are written in store.ts. */

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
import { END_CAUSES, type SessionRecord } from '../../core/session.js'
import { BINDING_STATES, causeFits, SESSION_STATES } from '../codec-records.js'
import { labelsOf, ownerOf, ownerText, USER_ID_LAST } from '../texts.js'
import { damaged, numberOf, objectOf, oneOf, whole } from './checked.js'

/** All but the id, which comes last. Pairs with SessionRow. */
export const SESSION_COLUMNS = [
  'name',
  'tenant',
  'token_hash',
  'max_pasids',
  'labels',
  'opened_at',
  'owner',
  'delegate',
  'linger_ms',
  'state',
  'cause',
  'withheld',
  'unproven',
  'id',
] as const

export type SessionRow = [
  name: string,
  tenant: number,
  tokenHash: string,
  maxPasids: number,
  labels: string,
  openedAt: number,
  owner: string | null,
  delegate: number | null,
  lingerMs: number,
  state: string,
  cause: string | null,
  withheld: number,
  unproven: number,
  id: number,
]

export function rowOfSession(record: SessionRecord): SessionRow {
  const { name, tenant, tokenHash, maxPasids, openedAt, lingerMs, state } = record
  const labels = JSON.stringify(record.labels)
  const owner = record.owner === undefined ? null : ownerText(record.owner)
  const whose = [owner, record.delegate ?? null, lingerMs] as const
  const ends = [state, record.cause ?? null] as const
  const held = [record.withheld ? 1 : 0, record.unproven ? 1 : 0] as const
  const known = [name, tenant, tokenHash, maxPasids, labels, openedAt] as const
  return [...known, ...whose, ...ends, ...held, record.id]
}

export function sessionOf(row: SessionRow): SessionRecord {
  const [name, tenant, tokenHash, maxPasids, labels, openedAt, ...added] = row
  const [owner, delegate, lingerMs, state, cause, withheld, unproven, id] = added
  const record: SessionRecord = {
    id: sessionId(id),
    name,
    tenant: tenantId(tenant),
    tokenHash,
    maxPasids: whole(maxPasids, Number.MAX_SAFE_INTEGER, 'most numbers of a session'),
    labels: labelsOf(labels),
    openedAt: wallMs(openedAt),
    owner: owner === null ? undefined : ownerOf(owner),
    delegate: delegate === null ? undefined : whole(delegate, USER_ID_LAST, 'delegate'),
    lingerMs: whole(lingerMs, Number.MAX_SAFE_INTEGER, 'linger of a session'),
    state: oneOf(SESSION_STATES, state),
    cause: cause === null ? undefined : oneOf(END_CAUSES, cause),
    withheld: whole(withheld, 1, 'withheld') === 1,
    unproven: whole(unproven, 1, 'unproven') === 1,
  }
  if (!causeFits(record.state, record.cause)) damaged(`session ${id}: ${state} for ${cause}`)
  return record
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
