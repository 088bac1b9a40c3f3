/**
 * Root and context entries: from a source id (bus, device, function) to a PASID directory. VT-d
 * "Scalable-Mode Root Entry" (9.2) and "Scalable-Mode Context Entry" (9.4); Linux
 * drivers/iommu/intel/iommu.h struct context_entry, context_set_sm_*; reserved bits as in QEMU
 * VTD_SM_CONTEXT_ENTRY_RSVD_VAL*. The only file that knows their bits. Written when a device is
 * first attached, read by the context fetch of a translation.
 */

import { assert } from '../../core/assert.js'
import type { FaultName } from './faults.js'
import type { HostMemory, PhysicalMemory } from './memory.js'
import type { UnitOptions } from './unit-options.js'

const ROOT_ENTRY_BYTES = 16
const CONTEXT_ENTRY_BYTES = 32
/** A bus has two context tables: functions 0..127 (LCTP) and 128..255 (UCTP). */
const CONTEXTS_PER_TABLE = 128
export const SOURCE_ID_LAST = 0xffff

const PRESENT = 1n
const ADDRESS = 0x000f_ffff_ffff_f000n
const FAULTS_DISABLED = 1n << 1n
const DEVICE_TLB_ENABLE = 1n << 2n
const PASID_ENABLE = 1n << 3n
const PAGE_REQUEST_ENABLE = 1n << 4n
const PDTS_SHIFT = 9n
const PDTS_LAST = 7
const RID_PASID = 0xf_ffffn
const RID_PRIVILEGED = 1n << 20n
/** Of the first word, beside addresses beyond the host's width. */
const RESERVED_LOW = 0x1e0n
const RESERVED_HIGH = ~(RID_PASID | RID_PRIVILEGED)
const RESERVED_ROOT = 0xffen

export interface ContextEntry {
  /** FPD: faults of this device's requests are not recorded. */
  readonly faultsDisabled: boolean
  /** DTE: translation requests and translated requests (ATS) are let through. */
  readonly deviceTlb: boolean
  /** PASIDE: requests with PASID are let through. */
  readonly pasids: boolean
  /** PRE: page requests are. */
  readonly pageRequests: boolean
  /** PDTS: the directory has 2^(X+7) entries, 2^(X+13) PASIDs. 0..7. */
  readonly directorySize: number
  /** PASIDDIRPTR: host-physical, 4 KiB aligned. */
  readonly directory: number
  /** RID_PASID: the entry that requests without PASID use. Linux: IOMMU_NO_PASID, 0. */
  readonly ridPasid: number
  /** RID_PRIV: requests without PASID are a supervisor's. */
  readonly ridPrivileged: boolean
}

export function rootEntryAddress(root: number, sourceId: number): number {
  const devfn = sourceId & 0xff
  const half = devfn < CONTEXTS_PER_TABLE ? 0 : 8
  return root + (sourceId >>> 8) * ROOT_ENTRY_BYTES + half
}

export function contextEntryOffset(sourceId: number): number {
  return (sourceId % CONTEXTS_PER_TABLE) * CONTEXT_ENTRY_BYTES
}

/** Makes the context table of the bus where there is none; P is written last. */
export function writeContext(
  memory: HostMemory,
  place: { readonly root: number; readonly sourceId: number },
  entry: ContextEntry,
): void {
  assert(entry.directory % 4096 === 0, `PASIDDIRPTR: ${entry.directory}`)
  assert(entry.directorySize >= 0 && entry.directorySize <= PDTS_LAST, 'PDTS has three bits')
  const rootEntry = rootEntryAddress(place.root, place.sourceId)
  let table = memory.read(rootEntry) ?? 0n
  if ((table & PRESENT) === 0n) {
    table = BigInt(memory.allocate(1)) | PRESENT
    memory.write(rootEntry, table)
  }
  const at = Number(table & ADDRESS) + contextEntryOffset(place.sourceId)
  assert(((memory.read(at) ?? 0n) & PRESENT) === 0n, 'only an absent context entry is written')
  const high = BigInt(entry.ridPasid) & RID_PASID
  memory.write(at + 8, entry.ridPrivileged ? high | RID_PRIVILEGED : high)
  let low = BigInt(entry.directory) | (BigInt(entry.directorySize) << PDTS_SHIFT)
  if (entry.faultsDisabled) low |= FAULTS_DISABLED
  if (entry.deviceTlb) low |= DEVICE_TLB_ENABLE
  if (entry.pasids) low |= PASID_ENABLE
  if (entry.pageRequests) low |= PAGE_REQUEST_ENABLE
  memory.write(at, low)
  memory.write(at, low | PRESENT)
}

/** Pairs with writeContext(). The context table of the bus stays, as in Linux. */
export function clearContext(memory: HostMemory, root: number, sourceId: number): void {
  const table = memory.read(rootEntryAddress(root, sourceId)) ?? 0n
  assert((table & PRESENT) !== 0n, 'the bus of a cleared context entry has a context table')
  const at = Number(table & ADDRESS) + contextEntryOffset(sourceId)
  for (let i = 0; i < CONTEXT_ENTRY_BYTES; i += 8) memory.write(at + i, 0n)
}

export type FoundContext =
  | { readonly kind: 'CONTEXT'; readonly entry: ContextEntry }
  | {
      readonly kind: 'FAULT'
      readonly fault: FaultName
      /** FPD of the entry, which counts even where the entry is not present (VT-d 9.4). */
      readonly silenced: boolean
    }

type Checks = Pick<UnitOptions, 'hostAddressWidth' | 'supervisorRequests'>

function failed(fault: FaultName, silenced = false): FoundContext {
  return { kind: 'FAULT', fault, silenced }
}

/**
 * Pairs with writeContext(); of an image of memory that anybody wrote, so everything is checked.
 */
export function readContext(
  memory: PhysicalMemory,
  place: { readonly root: number; readonly sourceId: number },
  checks: Checks,
): FoundContext {
  const { root, sourceId } = place
  const beyond = BigInt(checks.hostAddressWidth)
  const table = memory.read(rootEntryAddress(root, sourceId))
  if (table === undefined) return failed('ROOT_ENTRY_UNREADABLE')
  if ((table & PRESENT) === 0n) return failed('ROOT_ENTRY_NOT_PRESENT')
  const odd = (table & RESERVED_ROOT) !== 0n || table >> beyond !== 0n
  if (odd) return failed('ROOT_ENTRY_RESERVED')
  const at = Number(table & ADDRESS) + contextEntryOffset(sourceId)
  const words = [0, 8, 16, 24].map((offset) => memory.read(at + offset))
  const [low, high, third, fourth] = words
  if (low === undefined || high === undefined || third === undefined || fourth === undefined) {
    return failed('CONTEXT_ENTRY_UNREADABLE')
  }
  const silenced = (low & FAULTS_DISABLED) !== 0n
  if ((low & PRESENT) === 0n) return failed('CONTEXT_ENTRY_NOT_PRESENT', silenced)
  const privileged = (high & RID_PRIVILEGED) !== 0n
  const reserved =
    (low & RESERVED_LOW) !== 0n ||
    low >> beyond !== 0n ||
    (high & RESERVED_HIGH) !== 0n ||
    (third | fourth) !== 0n ||
    (privileged && !checks.supervisorRequests)
  if (reserved) return failed('CONTEXT_ENTRY_RESERVED', silenced)
  return { kind: 'CONTEXT', entry: decode(low, high) }
}

function decode(low: bigint, high: bigint): ContextEntry {
  return {
    faultsDisabled: (low & FAULTS_DISABLED) !== 0n,
    deviceTlb: (low & DEVICE_TLB_ENABLE) !== 0n,
    pasids: (low & PASID_ENABLE) !== 0n,
    pageRequests: (low & PAGE_REQUEST_ENABLE) !== 0n,
    directorySize: Number((low >> PDTS_SHIFT) & 7n),
    directory: Number(low & ADDRESS),
    ridPasid: Number(high & RID_PASID),
    ridPrivileged: (high & RID_PRIVILEGED) !== 0n,
  }
}
