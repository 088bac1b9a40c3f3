/**
 * Faults that the unit recorded, as its fault recording registers and the software that empties
 * them would keep them (VT-d 10.4.14): a ring of the newest, numbered, so that a reader knows what
 * it missed. Written by the unit through the emulator; read by the lab.
 */

import { assert } from '../../core/assert.js'
import { RID } from '../../core/ids.js'
import type { LabFault, LabKept } from '../lab.js'
import type { UnitFault } from './unit.js'

/** Some minutes of a guest that forgets one page in a thousand. */
export const FAULTS_KEPT_DEFAULT = 4096

export class FaultRecords {
  readonly #kept: number
  readonly #ring: LabFault[] = []
  readonly #watchers = new Set<(fault: LabFault) => void>()
  #count = 0

  constructor(kept: number = FAULTS_KEPT_DEFAULT) {
    assert(Number.isSafeInteger(kept) && kept >= 1, `faults kept: ${kept}`)
    this.#kept = kept
  }

  /** Recorded since the start; the sequence of the newest. */
  get count(): number {
    return this.#count
  }

  /** Of those, no longer kept. */
  get lost(): number {
    return Math.max(0, this.#count - this.#kept)
  }

  record(fault: Omit<LabFault, 'sequence'>): void {
    const numbered = { ...fault, sequence: this.#count + 1 }
    this.#ring[this.#count % this.#kept] = numbered
    this.#count += 1
    for (const watcher of [...this.#watchers]) watcher(numbered)
  }

  /**
   * Later ones than the sequence `after`, oldest first, at most `count`; `device` undefined = all.
   * Which devices the lost ones were of is lost with them.
   */
  list(after: number, count: number, device: string | undefined): LabKept<LabFault> {
    const first = Math.max(after, this.lost)
    const rows: LabFault[] = []
    for (let i = first; i < this.#count && rows.length < count; i += 1) {
      const fault = this.#ring[i % this.#kept]
      if (fault !== undefined && (device === undefined || fault.device === device)) rows.push(fault)
    }
    return { rows, lost: first - Math.min(after, first) }
  }

  /** The returned function ends it. */
  watch(watcher: (fault: LabFault) => void): () => void {
    // One of its own, so that the same function may watch twice.
    const own = (fault: LabFault): void => watcher(fault)
    this.#watchers.add(own)
    return () => this.#watchers.delete(own)
  }
}

/** As the record holds it: the page's address, and 0 for requests without PASID. */
export function recordedFault(fault: UnitFault): Omit<LabFault, 'sequence' | 'at'> {
  const { device, pasid, code, name, address, write, privileged } = fault
  const page = address & ~0xfffn
  const rights = { write, execute: false, privileged }
  return { device: device.name, target: pasid ?? RID, reason: code, name, address: page, ...rights }
}
