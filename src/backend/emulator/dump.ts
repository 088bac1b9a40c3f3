/**
 * A device's remapping tables as they lie in memory, with their meaning beside them: for the lab
 * and for tests. Reads only; a window of entries at a time.
 */

import { assert } from '../../core/assert.js'
import { readContext, type ContextEntry } from './context-entry.js'
import type { DeviceState } from './device.js'
import { decodeEntry, ENTRY_WORDS, type PasidEntry } from './pasid-entry.js'
import type { IommuUnit } from './unit.js'

/** Entries in one dump: 512 KiB of table. */
export const DUMP_ENTRIES_MAX = 8192

export interface DumpWindow {
  /** The first PASID looked at; 0 is the entry of requests without PASID. */
  readonly first: number
  /** Present entries, at most. */
  readonly count: number
}

export interface EntryDump {
  readonly pasid: number
  /** Bits 31:0 first. */
  readonly words: readonly number[]
  readonly entry: PasidEntry
}

export interface DeviceDump {
  /** RTADDR. */
  readonly root: number
  readonly sourceId: number
  /** Undefined while nobody has the device attached. */
  readonly context: ContextEntry | undefined
  readonly entries: readonly EntryDump[]
  /** Whether there are present entries beyond the last of the dump. */
  readonly more: boolean
}

export function dumpDevice(unit: IommuUnit, device: DeviceState, window: DumpWindow): DeviceDump {
  const { first, count } = window
  assert(count >= 1 && count <= DUMP_ENTRIES_MAX, `entries of a dump: ${count}`)
  const { sourceId } = device
  const context = readContext(unit.memory, unit.root, sourceId)
  const entries: EntryDump[] = []
  let more = false
  device.table?.forEach(first, (pasid, page, at) => {
    if (entries.length === count) {
      more = true
      return false
    }
    const words = Array.from(page.subarray(at, at + ENTRY_WORDS))
    entries.push({ pasid, words, entry: decodeEntry(page, at) })
    return true
  })
  const found = context.kind === 'CONTEXT' ? context.entry : undefined
  return { root: unit.root, sourceId, context: found, entries, more }
}
