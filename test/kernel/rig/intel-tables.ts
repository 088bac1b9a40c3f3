/**
 * What Linux's Intel driver has written for a device: its PASID table in the machine's memory, read
 * as the IOMMU reads it, from the root table on.
 */
import type { Table } from '../../../src/core/binding.js'
import { readContext } from '../../../src/backend/emulator/context-entry.js'
import type { PasidEntry } from '../../../src/backend/emulator/pasid-entry.js'
import { fetchPasidEntry } from '../../../src/backend/emulator/pasid-table.js'
import { UNIT_DEFAULTS } from '../../../src/backend/emulator/unit-options.js'
import { MemorySnapshot, readMachine } from './machine-memory.js'

/** Of QEMU's intel-iommu; RTADDR_REG (VT-d 11.4.5). */
const REGISTERS = 0xfed9_0000
const RTADDR = 0x20
const ROOT_ADDRESS = 0xffff_ffff_ffff_f000n
/** The widest that it emulates. */
const CHECKS = { ...UNIT_DEFAULTS, hostAddressWidth: 48 }

/** Bus, device and function of `0000:00:10.0`, in 16 bits. */
function sourceIdOf(address: string): number {
  const [, bus = '', device = '', fn = ''] = /:(\w\w):(\w\w)\.(\d)$/.exec(address) ?? []
  return (parseInt(bus, 16) << 8) | (parseInt(device, 16) << 3) | Number(fn)
}

/** Where the device's PASID directory is. Undefined: it has none. */
export function directoryOf(address: string, memory: MemorySnapshot): number | undefined {
  const [rtaddr = 0n] = readMachine(REGISTERS + RTADDR, 1)
  const place = { root: Number(rtaddr & ROOT_ADDRESS), sourceId: sourceIdOf(address) }
  const context = readContext(memory, place, CHECKS)
  if (context.kind === 'FAULT') {
    if (context.fault === 'CONTEXT_ENTRY_NOT_PRESENT') return undefined
    throw new Error(`the context entry of ${address}: ${context.fault}`)
  }
  const { directory, ridPasid } = context.entry
  if (ridPasid !== 0) throw new Error(`the RID of ${address} has PASID ${ridPasid}`)
  return directory
}

/** `pasid` 0: the RID's, since Linux names it so. Undefined: it is not present. */
export function pasidEntry(
  address: string,
  pasid: number,
  memory = new MemorySnapshot(),
): PasidEntry | undefined {
  const directory = directoryOf(address, memory)
  if (directory === undefined) return undefined
  const found = fetchPasidEntry(memory, { directory, pasid }, CHECKS)
  if (found.kind === 'ENTRY') return found.entry
  const absent = ['PASID_ENTRY_NOT_PRESENT', 'PASID_DIRECTORY_ENTRY_NOT_PRESENT']
  if (absent.includes(found.fault)) return undefined
  throw new Error(`the entry of PASID ${pasid} of ${address}: ${found.fault}`)
}

/** The table that a bind with this entry asked for: the second stage alone is the parent. */
export function tableOf({ type, firstStage }: PasidEntry): Table {
  if (type === 'SECOND_STAGE') return { kind: 'PASS_THROUGH' }
  if (type !== 'NESTED' || firstStage === undefined) throw new Error(`an entry of type ${type}`)
  const { pointer, levels, supervisor, writeProtect, extendedAccessed } = firstStage
  const flags = { supervisor, writeProtect, extendedAccessed }
  return { kind: 'FIRST_STAGE', address: pointer, width: levels === 5 ? 57 : 48, ...flags }
}
