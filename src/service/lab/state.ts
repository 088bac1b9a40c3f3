/** What the unit is, its switches, its tables as they lie in memory, and what was done to them. */

import type { LabDump, LabState, LabSwitches } from '../../backend/lab.js'
import { PASID_LAST, type SessionId } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import type { LabRequest, LabResponse } from '../../wire/messages.js'
import { Fields } from '../convert/fields.js'
import { deviceName } from '../convert/scope.js'
import { PAGE_BYTES_SHARE } from '../limits.js'
import { atMost, CACHES, rowsOf, sequenceOf } from './names.js'

const DUMP_DEFAULT = 64
const DUMP_MAX = 1024
const OPERATIONS_DEFAULT = 100
const OPERATIONS_MAX = 1000
/** An entry with its bytes, its line with all fields, and its directory entry's line. */
const DUMPED_BYTES = 1024
const ROW_BYTES = 512

/** So many rows as fit a message, one at least. */
export function fitting(count: number, messageBytes: number, rowBytes = ROW_BYTES): number {
  return Math.max(1, Math.min(count, Math.floor((messageBytes * PAGE_BYTES_SHARE) / rowBytes)))
}

export function stateProto(state: LabState): LabResponse<'GetEmulator'> {
  const { cap, ecap, root, health } = state
  return {
    capReg: cap.toString(),
    ecapReg: ecap.toString(),
    rootTable: String(root),
    caches: state.caches.map(({ name, device, ...fill }) => {
      return { name: CACHES[name], device: deviceName(device), ...fill }
    }),
    switches: state.switches,
    health: health.state,
    healthReason: health.state === 'READY' ? '' : health.reason,
    faults: state.faults,
    faultsLost: state.faultsLost,
    queueProblem: state.queueProblem ?? '',
  }
}

/** Only what is said: what is absent stays as it is. */
export function switchesOf(message: LabRequest<'UpdateEmulator'>): Partial<LabSwitches> {
  const { cachingMode, eviction, operationLog } = message
  return {
    ...(cachingMode !== undefined && { cachingMode }),
    ...(eviction !== undefined && { eviction }),
    ...(operationLog !== undefined && { operationLog }),
  }
}

/** For the audit. */
export function switchesText(message: LabRequest<'UpdateEmulator'>): string {
  const changed = Object.entries(switchesOf(message)).map(([name, on]) => `${name} ${on}`)
  if (message.flushCaches) changed.push('caches flushed')
  return `UpdateEmulator: ${changed.length === 0 ? 'nothing' : changed.join(', ')}`
}

export interface DumpAsked {
  readonly device: string
  readonly first: number
  readonly count: number
  readonly walk: bigint | undefined
}

export function dumpOf(message: LabRequest<'DumpTables'>): Outcome<DumpAsked> {
  const fields = new Fields()
  const { walkAddress } = message
  return fields.answer({
    device: fields.name('device', message.device, 'devices'),
    first: atMost(fields, 'first_pasid', message.firstPasid, PASID_LAST),
    count: rowsOf(fields, message.count, DUMP_DEFAULT, DUMP_MAX),
    walk: walkAddress === undefined ? undefined : BigInt(walkAddress),
  })
}

export function dumpFitting(count: number, messageBytes: number): number {
  return fitting(count, messageBytes, DUMPED_BYTES)
}

/** `nameOf`: a session's, while there is one. */
export function dumpProto(
  { lines, entries, more }: LabDump,
  nameOf: (session: SessionId) => string | undefined,
): LabResponse<'DumpTables'> {
  return {
    lines: [...lines],
    entries: entries.map(({ pasid, bytes, session }) => {
      const name = session === undefined ? undefined : nameOf(session)
      const entry = Buffer.from(bytes)
      return { pasid, entry, session: name === undefined ? '' : `sessions/${name}` }
    }),
    more,
  }
}

export function operationsOf(
  message: LabRequest<'ListOperations'>,
): Outcome<{ readonly after: number; readonly count: number }> {
  const fields = new Fields()
  const count = rowsOf(fields, message.count, OPERATIONS_DEFAULT, OPERATIONS_MAX)
  return fields.answer({ after: sequenceOf(message.after), count })
}
