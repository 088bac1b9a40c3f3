/**
 * PASID entries as they lie in memory: those that the Intel driver wrote for a device of the
 * machine, and those that the emulator writes for the same bindings.
 */
import { createEmulator } from '../../../src/backend/emulator/emulator.js'
import { DEVICE_DEFAULTS } from '../../../src/backend/emulator/device.js'
import type { Table } from '../../../src/core/binding.js'
import { domainId, RID, sessionId, type Target, target } from '../../../src/core/ids.js'
import { directoryOf } from './intel-tables.js'
import { MemorySnapshot } from './machine-memory.js'

/** Eight words of 64 bits, the lowest first. */
export type Entry = readonly bigint[]
/** By PASID; that of the RID is 0. Those that are not present are not there. */
export type Entries = ReadonlyMap<number, Entry>

const ENTRY_BYTES = 64
const ENTRIES_PER_PAGE = 64
const WORD_BYTES = 8
const PRESENT = 1n
const TABLE_ADDRESS = 0x000f_ffff_ffff_f000n
const ALL = 0xffff_ffff_ffff_ffffn
/**
 * Bits that two IOMMUs with the same bindings have in common: all but the second stage's address
 * (63:12) and the domain id (79:64), which each gives out by itself.
 */
const COMMON: Entry = [0xfffn, ALL & ~0xffffn, ALL, ALL, ALL, ALL, ALL, ALL]

/** What two IOMMUs have in common, as text that shows where they differ. */
export function commonOf(entries: Entries): Record<string, string> {
  const common = [...entries].map(([pasid, words]): [string, string] => {
    const kept = words.map((word, at) => word & (COMMON[at] ?? 0n))
    return [`PASID ${pasid}`, kept.map((word) => word.toString(16).padStart(16, '0')).join(' ')]
  })
  return Object.fromEntries(common)
}

/** Those of the targets' that the driver has made present, byte for byte. */
export function writtenFor(address: string, pasids: readonly number[]): Entries {
  const memory = new MemorySnapshot()
  const directory = directoryOf(address, memory)
  const found = new Map<number, Entry>()
  if (directory === undefined) return found
  for (const pasid of pasids) {
    const page = memory.read(directory + Math.floor(pasid / ENTRIES_PER_PAGE) * WORD_BYTES)
    if ((page & PRESENT) === 0n) continue
    const at = Number(page & TABLE_ADDRESS) + (pasid % ENTRIES_PER_PAGE) * ENTRY_BYTES
    const words = [0, 1, 2, 3, 4, 5, 6, 7].map((word) => memory.read(at + word * WORD_BYTES))
    if (((words[0] ?? 0n) & PRESENT) !== 0n) found.set(pasid, words)
  }
  return found
}

export interface Bound {
  /** 0: the RID. */
  readonly pasid: number
  readonly table: Table
  readonly domain: number
}

/** A device of 10 bits behind an emulated unit with no more than the machine's: 4 levels. */
export class EmulatedTwin {
  readonly #emulator = createEmulator({
    devices: [
      { ...DEVICE_DEFAULTS, name: 'twin', pasidBits: 10, translation: 'NONE', shared: false },
    ],
    unit: { hostAddressWidth: 48, fiveLevels: false },
  })
  readonly #session = sessionId(1)

  async attach(): Promise<void> {
    await this.#emulator.attachDevice('twin', this.#session)
  }

  async bind(bound: Bound): Promise<void> {
    await this.#emulator.bind(this.#request(bound))
  }

  async replace(bound: Bound, old: Bound): Promise<void> {
    const before = { table: old.table, domain: domainId(old.domain) }
    await this.#emulator.replace(this.#request(bound), before)
  }

  async unbind(pasid: number): Promise<void> {
    await this.#emulator.unbind(this.#place(pasid))
  }

  entries(): Entries {
    const window = { first: 0, count: 1024, walk: undefined }
    const { entries } = this.#emulator.lab.dump('twin', window)
    return new Map(entries.map(({ pasid, bytes }) => [pasid, wordsOf(bytes)]))
  }

  #request({ pasid, table, domain }: Bound) {
    return { ...this.#place(pasid), table, domain: domainId(domain) }
  }

  #place(pasid: number) {
    const at: Target = pasid === 0 ? RID : target(pasid)
    return { device: 'twin', session: this.#session, target: at }
  }
}

function wordsOf(bytes: Uint8Array): Entry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return [0, 1, 2, 3, 4, 5, 6, 7].map((word) => view.getBigUint64(word * WORD_BYTES, true))
}
