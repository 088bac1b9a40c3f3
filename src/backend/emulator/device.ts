/**
 * An emulated device: its facts, and what the unit and the device itself keep of it (PASID table,
 * device-TLB, waiting page requests). Made by the emulator; its fields are changed by the emulator,
 * the unit and the programming of bindings, nobody else.
 */

import { assert } from '../../core/assert.js'
import type { DeviceFacts } from '../../core/device.js'
import { PASID_BITS_MAX, RID, type SessionId } from '../../core/ids.js'
import { SOURCE_ID_LAST } from './context-entry.js'
import { FaultPlan } from './fault-plan.js'
import type { DeviceGroup } from './group.js'
import { PageRequests } from './page-requests.js'
import type { PasidTable } from './pasid-table.js'
import type { TranslationCache } from './translation-cache.js'

/** What the configuration or the lab says of a device. */
export interface EmulatedDevice extends DeviceFacts {
  /** Bus, device and function: 16 bits. Absent = the next that is free. */
  readonly sourceId?: number | undefined
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
  /** How many entries each session that has it attached has attached through it. */
  readonly entriesBy = new Map<SessionId, number>()
  /** Exists while somebody has a device of the group attached. */
  table: PasidTable | undefined
  /** Exists from the first translation on. */
  tlb: TranslationCache | undefined
  readonly pageRequests = new PageRequests()
  readonly faults = new FaultPlan()
  readonly group: DeviceGroup<DeviceState>

  constructor(device: EmulatedDevice, sourceId: number, group: DeviceGroup<DeviceState>) {
    const { pasidBits } = device
    const bits = Number.isSafeInteger(pasidBits) && pasidBits >= 0 && pasidBits <= PASID_BITS_MAX
    assert(bits, `PASID bits of ${device.name}: ${pasidBits}`)
    assert(sourceId >= 0 && sourceId <= SOURCE_ID_LAST, `source id of ${device.name}: ${sourceId}`)
    const { sourceId: _sourceId, ...facts } = device
    this.facts = facts
    this.sourceId = sourceId
    this.ats = facts.ats ?? true
    this.group = group
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

/** The PASID on the wire; undefined = a request without one. */
export function pasidOf(target: number): number | undefined {
  return target === RID ? undefined : target
}
