/**
 * How tests speak of a ledger's content: events by short names, an image as sorted lines. What a
 * test does not say is a default that suits numbers 256 and up of session 1, tenant 0, device 0.
 */

import type { AuditRecord } from '../../src/core/audit.js'
import type { Binding } from '../../src/core/binding.js'
import type { Change, Event, Granted, Released } from '../../src/core/events.js'
import {
  deviceId,
  domainId,
  generation,
  instantMs,
  namespaceId,
  pasid,
  sessionId,
  target,
  tenantId,
  wallMs,
} from '../../src/core/ids.js'
import type { Image } from '../../src/core/image.js'
import type { Owner } from '../../src/core/owner.js'
import type { TenantOverride } from '../../src/core/quota.js'
import { REQUEST_METHODS, type RequestRecord } from '../../src/core/requests.js'
import type { SessionRecord } from '../../src/core/session.js'
import type { Ledger } from '../../src/ledger/ledger.js'

// -- events --------------------------------------------------------------------------------------

export const AT = wallMs(1_764_000_000_000)

export function tenant(id: number, name = `tenant-${id}`): Event {
  return { kind: 'tenant-registered', id: tenantId(id), name }
}

export function limits(
  id: number,
  before: TenantOverride | undefined,
  after: TenantOverride | undefined,
): Event {
  return { kind: 'tenant-changed', id: tenantId(id), before, after }
}

export function device(id: number, name = `device-${id}`): Event {
  return { kind: 'device-registered', id: deviceId(id), name }
}

export const OWNER: Owner = {
  pid: 4711,
  inode: '18446744073709551615',
  startTime: '123456',
  pidNamespace: '4026531836',
  uid: 107,
  gid: 0xffff_fffe,
}

export function session(id: number, other: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: sessionId(id),
    name: `session-${id}`,
    tenant: tenantId(0),
    tokenHash: id.toString(16).padStart(64, '0'),
    maxPasids: 1000,
    labels: {},
    openedAt: AT,
    owner: OWNER,
    delegate: undefined,
    lingerMs: 0,
    state: 'OPEN',
    cause: undefined,
    withheld: false,
    unproven: false,
    ...other,
  }
}

export function opened(record: SessionRecord): Event {
  return { kind: 'session-changed', before: undefined, after: record }
}

export function granted(
  of: number,
  first: number,
  count: number,
  other: Partial<Granted> & { revision: number },
): Event {
  const { revision, ...rest } = other
  return {
    kind: 'granted',
    namespace: namespaceId(0),
    session: sessionId(of),
    tenant: tenantId(0),
    runs: [{ first, count }],
    generation: generation(revision),
    at: AT,
    labels: undefined,
    cursorBefore: 1,
    cursorAfter: first + count,
    ...rest,
  }
}

export function freeBegun(of: number, first: number, count: number): Event {
  const runs = [{ first, count }]
  return { kind: 'free-begun', namespace: namespaceId(0), session: sessionId(of), runs }
}

export function released(
  of: number,
  first: number,
  count: number,
  from: Released['from'] = 'FREE_PENDING',
): Event {
  return {
    kind: 'released',
    namespace: namespaceId(0),
    session: sessionId(of),
    tenant: tenantId(0),
    runs: [{ first, count }],
    from,
    until: instantMs(1234.5),
  }
}

export function binding(of: number, number: number, other: Partial<Binding> = {}): Binding {
  return {
    session: sessionId(of),
    device: deviceId(0),
    target: target(number),
    generation: generation(number === 0 ? 0 : 1),
    table: {
      kind: 'FIRST_STAGE',
      address: 0xf_ffff_ffff_f000,
      width: 57,
      supervisor: true,
      writeProtect: false,
      extendedAccessed: true,
    },
    previous: undefined,
    domain: domainId(7),
    guestPasid: number === 0 ? undefined : pasid(number),
    state: 'BINDING',
    cause: '',
    ...other,
  }
}

export function kept(revision: number, other: Partial<RequestRecord> = {}): Event {
  return {
    kind: 'request-kept',
    record: {
      session: sessionId(1),
      tenant: tenantId(0),
      method: 'AllocatePasids',
      idHigh: 0xffff_fffe,
      idLow: revision,
      fingerprintHigh: 0x8000_0001,
      fingerprintLow: 3,
      at: AT,
      answer: 256,
      revision,
      ...other,
    },
  }
}

export function attachment(
  before: 'ATTACHING' | 'ATTACHED' | 'DETACHING' | undefined,
  after: 'ATTACHING' | 'ATTACHED' | 'DETACHING' | undefined,
): Event {
  const at = { session: sessionId(1), device: deviceId(0) }
  return { kind: 'attachment-changed', ...at, before, after }
}

export function closed(record: SessionRecord): Event {
  return { kind: 'session-changed', before: record, after: undefined }
}

export function audited(other: Partial<AuditRecord> = {}): Event {
  return {
    kind: 'audited',
    record: {
      at: AT,
      action: 'END_SESSION',
      actor: { uid: 0, gid: 0, pid: 77 },
      subject: 'sessions/session-1',
      cause: 'asked for',
      outcome: 'DONE',
      details: '4 PASIDs',
      ...other,
    },
  }
}

/** Events as changes from the ledger's next revision on, one change an element. */
export function changesAfter(
  ledger: Ledger,
  ...events: readonly (readonly Event[] | ((revision: number) => readonly Event[]))[]
): Change[] {
  return events.map((made, i) => {
    const revision = ledger.facts.revision + 1 + i
    return { revision, events: typeof made === 'function' ? made(revision) : made }
  })
}

// -- images --------------------------------------------------------------------------------------

/** Everything in an image, one fact a line, in an order of its own. */
export function linesOf(image: Image): string[] {
  const lines = [`revision ${image.revision}`, `last session ${image.lastSession}`]
  for (const { id, name, override } of image.tenants) {
    lines.push(`tenant ${id} ${name}${override === undefined ? '' : ` ${sortedJson(override)}`}`)
  }
  for (const { id, name } of image.devices) lines.push(`device ${id} ${name}`)
  for (const record of image.sessions) lines.push(`session ${sortedJson(record)}`)
  for (const { session, device, state } of image.attachments) {
    lines.push(`attachment ${session} ${device} ${state}`)
  }
  const a = image.allocations
  for (let i = 0; i < a.count; i += 1) {
    const labels = image.labels.get(a.generation[i] ?? -1)
    const who = `${a.session[i]} ${a.tenant[i]} ${a.generation[i]} ${a.at[i]}`
    const label = labels === undefined ? '-' : sortedJson(labels)
    lines.push(`pasid ${a.namespace[i]} ${a.pasid[i]} ${a.slot[i]} ${who} ${label}`)
  }
  for (const record of image.bindings) lines.push(`binding ${sortedJson(record)}`)
  const r = image.requests
  for (let i = 0; i < r.count; i += 1) {
    const owner = `${r.session[i]} ${r.tenant[i]} ${REQUEST_METHODS[r.method[i] ?? -1]}`
    const hashes = `${r.idHigh[i]} ${r.idLow[i]} ${r.fingerprintHigh[i]} ${r.fingerprintLow[i]}`
    lines.push(`request ${owner} ${hashes} ${r.at[i]} ${r.answer[i]} ${r.revision[i]}`)
  }
  return lines.sort()
}

export function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

export function slotsOf(image: Image): Record<number, number> {
  const { allocations } = image
  return Object.fromEntries(
    Array.from(allocations.pasid, (number, i) => [number, allocations.slot[i] ?? 0]),
  )
}
