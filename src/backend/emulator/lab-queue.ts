/**
 * The unit's own invalidation queue as operators write to it: raw descriptors with the unit's
 * domain ids and source ids, past the broker and its checks. An invalidation too many harms nobody,
 * and page requests are answered where they wait, so nothing that the broker relies on is touched.
 *
 * What always holds: nothing is stored. The unit's memory holds the tables that the broker wrote
 * and reads back, and what its guests have mapped; a wait's status write with a wrong address would
 * break either. It is handed back, as with the queues of guests (InvalidateRaw).
 */

import { RID, type Target } from '../../core/ids.js'
import type { LabSubmitted } from '../lab.js'
import type { Devices } from './devices.js'
import { InvalidationQueue, type StatusWrite } from './invalidation-queue.js'
import type { PageRequestRouter } from './page-request-router.js'
import type { Programming } from './programming.js'
import type { IommuUnit } from './unit.js'

export interface LabQueueParts {
  readonly unit: IommuUnit
  readonly devices: Devices
  readonly programming: Programming
  readonly pageRequests: PageRequestRouter
}

export class LabQueue {
  readonly #queue: InvalidationQueue
  /** Of the descriptors that are being carried out. */
  #statusWrites: StatusWrite[] = []
  #interrupts = 0

  constructor({ unit, devices, programming, pageRequests }: LabQueueParts) {
    this.#queue = new InvalidationQueue(unit, {
      device: (sourceId) => devices.bySourceId(sourceId),
      drainPageRequests: () => {
        for (const device of devices.all()) {
          for (const place of device.pageRequests.places()) programming.drain(device, place)
        }
      },
      respond: ({ sourceId, pasid, group, code }) => {
        const device = devices.bySourceId(sourceId)
        if (device === undefined) return
        const target = (pasid ?? RID) as Target
        pageRequests.answered(device, { device: device.name, target, group, code })
      },
      writeStatus: (write) => this.#statusWrites.push(write),
      interrupt: () => (this.#interrupts += 1),
    })
  }

  /** IQE: why it stands; undefined: it does not. */
  get problem(): string | undefined {
    return this.#queue.error?.problem
  }

  clearError(): void {
    this.#queue.clearError()
  }

  /** Does nothing while the queue stands. */
  submit(bytes: Uint8Array, wide: boolean): LabSubmitted {
    this.#statusWrites = []
    this.#interrupts = 0
    this.#queue.setWide(wide)
    const { done, error } = this.#queue.run(bytes)
    const statusWrites = this.#statusWrites
    return { done, problem: error?.problem, statusWrites, interrupts: this.#interrupts }
  }
}
