/**
 * An emulated device: its facts, and what the unit and the device itself keep of it (PASID table,
 * device-TLB, waiting page requests). Made by the emulator; its fields are changed by the emulator,
 * the unit and the programming of bindings, nobody else.
 */

import { assert } from '../../core/assert.js'
import type { Table } from '../../core/binding.js'
import type { DeviceFacts } from '../../core/device.js'
import { PASID_BITS_MAX, type SessionId, type Target } from '../../core/ids.js'
import { SOURCE_ID_LAST } from './context-entry.js'
import { FaultPlan } from './fault-plan.js'
import { PageRequests } from './page-requests.js'
import type { PasidTable } from './pasid-table.js'
import type { TranslationCache } from './translation-cache.js'

/** What the configuration or the lab says of a device. */
export interface EmulatedDevice extends DeviceFacts {
  /** Bus, device and function: 16 bits. Absent = the next that is free. */
  readonly sourceId?: number
  /** Whether it has a device-TLB of its own (PCIe ATS). Absent = it has. */
  readonly ats?: boolean
}

/** All that a VT-d unit and a mediated device can do; tests and the lab say what is different. */
export const DEVICE_DEFAULTS: Omit<EmulatedDevice, 'name'> = {
  pasidBits: PASID_BITS_MAX,
  translation: 'MEDIATED',
  shared: true,
  platform: 'INTEL_VTD',
  addressWidths: [48, 57],
  supervisorRequests: true,
  extendedAccessed: true,
  passThrough: true,
  hitlessReplace: false,
  pageRequests: true,
}

export class DeviceState {
  readonly facts: DeviceFacts
  readonly sourceId: number
  readonly ats: boolean
  /** How many entries each session that has it attached has present. */
  readonly entriesBy = new Map<SessionId, number>()
  /** Exists while somebody has the device attached. */
  table: PasidTable | undefined
  /** Exists from the first translation on. */
  tlb: TranslationCache | undefined
  readonly pageRequests = new PageRequests()
  readonly faults = new FaultPlan()
  /** Entries in the gap of a replace. The broker serialises one session's effects on a device. */
  readonly replacing = new Set<Target>()

  constructor(device: EmulatedDevice, sourceId: number) {
    const { pasidBits } = device
    const bits = Number.isSafeInteger(pasidBits) && pasidBits >= 0 && pasidBits <= PASID_BITS_MAX
    assert(bits, `PASID bits of ${device.name}: ${pasidBits}`)
    assert(sourceId >= 0 && sourceId <= SOURCE_ID_LAST, `source id of ${device.name}: ${sourceId}`)
    const { sourceId: _sourceId, ats, ...facts } = device
    this.facts = facts
    this.sourceId = sourceId
    this.ats = ats ?? true
  }

  get name(): string {
    return this.facts.name
  }

  countEntries(session: SessionId, change: 1 | -1): void {
    const count = (this.entriesBy.get(session) ?? 0) + change
    assert(count >= 0, 'entries of a session are counted')
    this.entriesBy.set(session, count)
  }
}

/** Why the device cannot have such a table; undefined = it can. */
export function unsupported(facts: DeviceFacts, table: Table): string | undefined {
  if (table.kind === 'PASS_THROUGH') return facts.passThrough ? undefined : 'no pass-through'
  if (!facts.addressWidths.includes(table.width)) return `no tables of ${table.width} bits`
  if (table.supervisor && !facts.supervisorRequests) return 'no supervisor requests'
  if (table.extendedAccessed && !facts.extendedAccessed) return 'no extended accessed flag'
  if (table.writeProtect && !table.supervisor) return 'write protection without supervisor requests'
  return undefined
}
