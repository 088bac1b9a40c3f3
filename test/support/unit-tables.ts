/**
 * A unit on the small tables of the slow model (slow-tables.ts): one device, one PASID, changed
 * word by word. Called by the unit tests of unit and queue.
 */

import {
  InvalidationQueue,
  type QueuePorts,
} from '../../src/backend/emulator/invalidation-queue.js'
import { OperationLog } from '../../src/backend/emulator/operation-log.js'
import type { Access, UnitDevice } from '../../src/backend/emulator/request-path.js'
import { IommuUnit, type Translation } from '../../src/backend/emulator/unit.js'
import { UNIT_DEFAULTS, type UnitOptions } from '../../src/backend/emulator/unit-options.js'
import { CAPS, PASID, ROOT, SOURCE, type SlowTables } from './slow-tables.js'

export class UnitRig {
  readonly unit: IommuUnit
  readonly queue: InvalidationQueue
  /** What the queue asked of others, in order. */
  readonly asked: string[] = []
  readonly device: UnitDevice
  readonly tables: SlowTables

  constructor(tables: SlowTables, options: Partial<UnitOptions> = {}, ats = false) {
    this.tables = tables
    this.device = { name: 'dev', sourceId: SOURCE, ats, tlb: undefined }
    const memory = {
      read: (address: number): bigint | undefined => tables.read(BigInt(address)),
      exchange: (address: number, expected: bigint, next: bigint): boolean => {
        if (tables.read(BigInt(address)) !== expected) return false
        tables.put(BigInt(address), next)
        return true
      },
    }
    const { hostAddressWidth } = CAPS
    const all = { ...UNIT_DEFAULTS, hostAddressWidth, ...options }
    this.unit = new IommuUnit({ memory, root: Number(ROOT) }, all, new OperationLog(64))
    const ports: QueuePorts = {
      device: (sourceId) => (sourceId === SOURCE ? this.device : undefined),
      drainPageRequests: () => this.asked.push('drain'),
      respond: ({ group, code }) => this.asked.push(`respond ${group} ${code}`),
      writeStatus: ({ address, data }) => {
        this.asked.push(`store 0x${data.toString(16)} at 0x${address.toString(16)}`)
      },
      interrupt: () => this.asked.push('interrupt'),
    }
    this.queue = new InvalidationQueue(this.unit, ports)
  }

  ask(address: bigint, how: Partial<Access> = {}): Translation {
    const access = { pasid: PASID, address, write: false, privileged: false, ...how }
    return this.unit.translate(this.device, access)
  }

  /** The address and who knew it, else the name of the fault; `!` and caches where it is stale. */
  answer(address: bigint, how: Partial<Access> = {}): string {
    const { outcome, source, staleness } = this.ask(address, how)
    const what = outcome.kind === 'FAULT' ? outcome.fault : `0x${outcome.address.toString(16)}`
    const said = outcome.kind === 'FAULT' ? what : `${what} ${source}`
    if (staleness === undefined) return said
    return `${said} ! ${staleness.needed.map(({ cache }) => cache).join(' ')}`
  }

  /** Does what the oracle names for the access. */
  cure(address: bigint, how: Partial<Access> = {}): void {
    const needed = this.ask(address, how).staleness?.needed ?? []
    this.queue.carryOut(needed.map(({ descriptor }) => descriptor))
  }
}
