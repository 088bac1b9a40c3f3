/** What the tables show of each noun: its columns, and how its parts read. */

import type { Allocation, Binding, Device, Reservation, Session, Tenant } from '../client/index.js'
import { durationText, timeText } from './json.js'
import type { Column } from './rows.js'

/** `ALLOCATION_STATE_IDLE` -> `IDLE`: people know which enum they look at. */
export function short(value: string, prefix: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length) : value
}

/** `sessions/abc` -> `abc`. */
export function idOf(name: string): string {
  return name.slice(name.indexOf('/') + 1)
}

/** To the second. */
export function when(time: Parameters<typeof timeText>[0]): string {
  return timeText(time).replace(/\.\d+Z$/, 'Z')
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

export function scopeText({ scope, device }: { scope: string; device: string }): string {
  return scope === 'SCOPE_HOST' ? 'HOST' : `DEVICE/${idOf(device)}`
}

export function targetText(binding: Binding): string {
  return binding.target === 'rid' ? 'RID' : String(binding.pasid)
}

export function bindingText(binding: Binding): string {
  const target = targetText(binding)
  const table =
    binding.firstStage === undefined || binding.firstStage === null
      ? 'pass-through'
      : `table 0x${BigInt(binding.firstStage.address).toString(16)}`
  const state = short(binding.state, 'BINDING_STATE_')
  const cause = binding.cause === '' ? '' : ` (${binding.cause})`
  return `${idOf(binding.device)} ${target} ${table} domain ${binding.domain} ${state}${cause}`
}

/** `-` when it ends with its owner. */
export function lingerText({ linger }: Pick<Session, 'linger'>): string {
  const text = durationText(linger)
  return text === '' || text === '0s' ? '-' : text
}

export function stuckText({ since, attempts, problem }: NonNullable<Session['stuck']>): string {
  return `${attempts} attempts since ${when(since)}: ${problem}`
}

/** What is the matter with a session, in few words. */
function notesText({ cause, withheld, unproven, stuck }: Session): string {
  const notes = cause === 'END_CAUSE_UNSPECIFIED' ? [] : [short(cause, 'END_CAUSE_')]
  if (withheld) notes.push('withheld')
  if (unproven) notes.push('unproven')
  if (stuck !== null) notes.push('stuck')
  return notes.length === 0 ? '-' : notes.join(',')
}

const limit = (value: number | undefined) => (value === undefined ? '-' : String(value))

export const ALLOCATION_COLUMNS: readonly Column<Allocation>[] = [
  { title: 'PASID', text: (row) => String(row.pasid), right: true, width: 7 },
  { title: 'SCOPE', text: scopeText },
  { title: 'STATE', text: (row) => short(row.state, 'ALLOCATION_STATE_'), width: 12 },
  { title: 'SESSION', text: (row) => (row.session === '' ? '-' : idOf(row.session)) },
  { title: 'TENANT', text: (row) => idOf(row.tenant) },
  { title: 'BOUND', text: (row) => String(row.bindings.length), right: true },
  { title: 'GRANTED', text: (row) => when(row.grantTime), width: 20 },
  { title: 'LABELS', text: (row) => labelsText(row.labels) },
]

export const SESSION_COLUMNS: readonly Column<Session>[] = [
  { title: 'SESSION', text: (row) => idOf(row.name) },
  { title: 'TENANT', text: (row) => idOf(row.tenant) },
  { title: 'STATE', text: (row) => short(row.state, 'SESSION_STATE_'), width: 9 },
  { title: 'PID', text: ({ owner }) => String(owner?.pid ?? '-'), right: true, width: 7 },
  { title: 'UID', text: ({ owner }) => String(owner?.uid ?? '-'), right: true },
  { title: 'PASIDS', text: (row) => String(row.heldPasids), right: true, width: 7 },
  { title: 'MAX', text: (row) => String(row.maxPasids), right: true, width: 7 },
  { title: 'BINDINGS', text: (row) => String(row.bindings), right: true },
  { title: 'LOST', text: (row) => String(row.lostBindings), right: true },
  { title: 'LINGER', text: lingerText, right: true },
  { title: 'NOTES', text: notesText },
  { title: 'OPENED', text: (row) => when(row.openTime), width: 20 },
  { title: 'DEVICES', text: (row) => row.devices.map(idOf).join(',') },
  { title: 'LABELS', text: (row) => labelsText(row.labels) },
]

export const TENANT_COLUMNS: readonly Column<Tenant>[] = [
  { title: 'TENANT', text: (row) => idOf(row.name) },
  { title: 'PARENT', text: (row) => (row.parent === '' ? '-' : idOf(row.parent)) },
  { title: 'PASIDS', text: (row) => String(row.usedPasids), right: true },
  { title: 'MAX', text: (row) => limit(row.maxPasids), right: true },
  { title: 'SESSIONS', text: (row) => String(row.sessions), right: true },
  { title: 'MAX', text: (row) => limit(row.maxSessions), right: true },
  { title: 'PER SESSION', text: (row) => String(row.sessionMaxPasids), right: true },
  {
    title: 'WINDOW',
    text: ({ window }) => (window === null ? 'none' : `${window.first}-${window.last}`),
  },
  { title: 'CONFIGURED', text: (row) => (row.configured ? 'yes' : 'no') },
]

export const RESERVATION_COLUMNS: readonly Column<Reservation>[] = [
  { title: 'FIRST', text: ({ range }) => String(range?.first ?? ''), right: true },
  { title: 'LAST', text: ({ range }) => String(range?.last ?? ''), right: true },
  { title: 'REASON', text: (row) => row.reason },
]

export const DEVICE_COLUMNS: readonly Column<Device>[] = [
  { title: 'DEVICE', text: (row) => idOf(row.name) },
  { title: 'SCOPE', text: (row) => short(row.scope, 'SCOPE_') },
  { title: 'BITS', text: (row) => String(row.pasidBits), right: true },
  { title: 'TRANSLATION', text: (row) => short(row.translation, 'PASID_TRANSLATION_') },
  { title: 'PLATFORM', text: (row) => short(row.platform, 'PLATFORM_') },
  { title: 'SHARED', text: (row) => (row.shared ? 'yes' : 'no') },
  {
    title: 'TABLES',
    text: (row) => (row.addressWidths.length === 0 ? '-' : row.addressWidths.join(',')),
  },
  { title: 'PRESENT', text: (row) => (row.present ? 'yes' : 'no') },
  { title: 'SESSIONS', text: (row) => String(row.sessions.length), right: true },
]

/** Of devices that are not the emulator's own, too. */
export const LISTED_DEVICE_COLUMNS: readonly Column<Device>[] = [
  ...DEVICE_COLUMNS,
  { title: 'HANDED OVER', text: (row) => (row.handedOver ? 'yes' : 'no') },
]
