/**
 * A device's remapping tables as they lie in memory, with their meaning beside them: for the lab
 * and for tests. Reads only; a window of entries at a time.
 */

import { assert } from '../../core/assert.js'
import {
  contextEntryOffset,
  readContext,
  rootEntryAddress,
  type ContextEntry,
} from './context-entry.js'
import type { DeviceState } from './device.js'
import { walkLines } from './dump-walk.js'
import type { PhysicalMemory } from './memory.js'
import { decodeEntry, ENTRY_WORDS, type PasidEntry } from './pasid-entry.js'
import { hex, secondStageLine, SUMMARY_TABLES_MAX } from './second-stage-summary.js'

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
  readonly sourceId: number
  /** Undefined while nobody has the device attached. */
  readonly context: ContextEntry | undefined
  readonly entries: readonly EntryDump[]
  /** Whether there are present entries beyond the last of the dump. */
  readonly more: boolean
}

/** The memory with the tables, and RTADDR. */
export interface TablesImage {
  readonly memory: PhysicalMemory
  readonly root: number
}

/** What it means is told whatever the unit would say of it. */
const NO_CHECKS = { hostAddressWidth: 52, supervisorRequests: true } as const

export function dumpDevice(
  { memory, root }: TablesImage,
  device: DeviceState,
  window: DumpWindow,
): DeviceDump {
  const { first, count } = window
  assert(count >= 1 && count <= DUMP_ENTRIES_MAX, `entries of a dump: ${count}`)
  const { sourceId } = device
  const context = readContext(memory, { root, sourceId }, NO_CHECKS)
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
  return {
    sourceId,
    context: context.kind === 'CONTEXT' ? context.entry : undefined,
    entries,
    more,
  }
}

const ENTRIES_PER_PAGE = 64
const ENTRY_BYTES = ENTRY_WORDS * 4
const ADDRESS = 0x000f_ffff_ffff_f000n

/** From the root entry down, a line each; `walk`: of the first entry, for this input address. */
export function dumpLines(
  image: TablesImage,
  dump: DeviceDump,
  walk: bigint | undefined,
): readonly string[] {
  const { memory, root } = image
  const { context, entries } = dump
  const lines = contextLines(image, dump)
  if (context === undefined) return [...lines, 'nobody has the device attached: no PASID table']
  let directoryIndex = -1
  const stages = new Set<number>()
  const budget = { left: SUMMARY_TABLES_MAX }
  for (const { pasid, entry } of entries) {
    const index = Math.floor(pasid / ENTRIES_PER_PAGE)
    const at = context.directory + index * 8
    const pointer = memory.read(at) ?? 0n
    if (index !== directoryIndex) {
      const flags = `P ${pointer & 1n} FPD ${(pointer >> 1n) & 1n}`
      const fields = `${flags} SMPTBLPTR ${hex(pointer & ADDRESS)}`
      lines.push(`PASID directory entry ${index} at ${hex(at)}: ${hex(pointer)} = ${fields}`)
      directoryIndex = index
    }
    const place = Number(pointer & ADDRESS) + (pasid % ENTRIES_PER_PAGE) * ENTRY_BYTES
    lines.push(`PASID entry ${pasid} at ${hex(place)}: ${entryText(entry)}`)
    const { secondStage } = entry
    if (secondStage === undefined || stages.has(secondStage.pointer)) continue
    stages.add(secondStage.pointer)
    lines.push(secondStageLine(memory, secondStage, budget))
  }
  const [shown] = entries
  if (walk === undefined) return lines
  if (shown === undefined) return [...lines, `walk of ${hex(walk)}: there is no entry to walk from`]
  assert(root % 4096 === 0, 'RTADDR is page aligned')
  return [...lines, ...walkLines(memory, shown, walk)]
}

function contextLines({ memory, root }: TablesImage, dump: DeviceDump): string[] {
  const { sourceId, context } = dump
  const rootAt = rootEntryAddress(root, sourceId)
  const rootEntry = memory.read(rootAt) ?? 0n
  const half = (sourceId & 0xff) < 128 ? 'LCTP' : 'UCTP'
  const table = `P ${rootEntry & 1n} ${half} ${hex(rootEntry & ADDRESS)}`
  const bus = `of bus ${hex(sourceId >>> 8)}`
  const lines = [`root entry ${bus} at ${hex(rootAt)}: ${hex(rootEntry)} = ${table}`]
  if ((rootEntry & 1n) === 0n) return lines
  const at = Number(rootEntry & ADDRESS) + contextEntryOffset(sourceId)
  const words = [0, 8].map((offset) => hex(memory.read(at + offset) ?? 0n)).join(' ')
  const fields = context === undefined ? 'P 0' : contextText(context)
  return [...lines, `context entry ${functionText(sourceId)} at ${hex(at)}: ${words} = ${fields}`]
}

/** As lspci writes it: `01:02.3`. */
function functionText(sourceId: number): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0')
  return `${two(sourceId >>> 8)}:${two((sourceId >>> 3) & 0x1f)}.${sourceId & 7}`
}

function bit(value: boolean): number {
  return value ? 1 : 0
}

function contextText(entry: ContextEntry): string {
  const flags =
    `P 1 FPD ${bit(entry.faultsDisabled)} DTE ${bit(entry.deviceTlb)} ` +
    `PASIDE ${bit(entry.pasids)} PRE ${bit(entry.pageRequests)} PDTS ${entry.directorySize}`
  const rid = `RID_PASID ${entry.ridPasid} RID_PRIV ${bit(entry.ridPrivileged)}`
  return `${flags} PASIDDIRPTR ${hex(entry.directory)} ${rid}`
}

const PGTT = { FIRST_STAGE: 1, SECOND_STAGE: 2, NESTED: 3, PASS_THROUGH: 4 } as const
const AW = { 39: 1, 48: 2, 57: 3 } as const

/** Every field by its name in VT-d 9.6. */
function entryText(entry: PasidEntry): string {
  const { type, domain, firstStage, secondStage } = entry
  const name = type.toLowerCase().replace('_', '-')
  const second =
    secondStage === undefined
      ? 'AW - SSADE - SLPTPTR -'
      : `AW ${AW[secondStage.width]} (${secondStage.width} bits) ` +
        `SSADE ${bit(secondStage.accessedDirty)} SLPTPTR ${hex(secondStage.pointer)}`
  const first =
    firstStage === undefined
      ? 'SRE - FLPM - WPE - EAFE - FLPTPTR -'
      : `SRE ${bit(firstStage.supervisor)} FLPM ${firstStage.levels - 4} ` +
        `(${firstStage.levels} levels) WPE ${bit(firstStage.writeProtect)} ` +
        `EAFE ${bit(firstStage.extendedAccessed)} FLPTPTR ${hex(firstStage.pointer)}`
  const snoop = `PWSNP ${bit(entry.pageWalkSnoop)} PGSNP ${bit(entry.pageSnoop)}`
  const head = `P 1 FPD ${bit(entry.faultsDisabled)} PGTT ${PGTT[type]} (${name}) DID ${domain}`
  return `${head} ${second} ${snoop} ${first}`
}

/** The 64 bytes as they lie in memory. */
export function entryBytes({ words }: EntryDump): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, true)
  return bytes
}
