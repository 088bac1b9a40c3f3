/**
 * Function-level resets of devices, each for a time. No binding changes; the device-TLB is empty;
 * page requests that waited are gone, unanswered; binds are refused as retryable until it is done,
 * and nothing comes from the device meanwhile (Linux 6.19 pci_dev_reset_iommu_prepare: translation
 * is blocked, attachments are kept). Unbinds, invalidations and detaches go on: they concern the
 * unit. Called by the emulator and the lab.
 */

import { BackendFault } from '../backend.js'
import type { LabOutcome } from '../lab.js'
import type { DeviceState } from './device.js'

/** What the emulator needs of time; given by the daemon, moved by tests. */
export interface EmulatorClock {
  /** Milliseconds since 1970. */
  wall(): number
  /** Calls back once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void
}

/** For an emulator that was given none: nothing can take time. */
export const NO_CLOCK: EmulatorClock = {
  wall: () => 0,
  after: () => {
    throw new BackendFault('this emulator was given no clock, so nothing can take time', 'REFUSE')
  },
}

export interface ResetParts {
  readonly clock: EmulatorClock
  /** How many waited. */
  readonly dropPageRequests: (device: DeviceState) => number
  readonly told: (device: DeviceState, done: boolean) => void
}

export class Resets {
  readonly #parts: ResetParts
  readonly #underWay = new Map<DeviceState, () => void>()

  constructor(parts: ResetParts) {
    this.#parts = parts
  }

  isUnderWay(device: DeviceState): boolean {
    return this.#underWay.has(device)
  }

  /** For `ms` milliseconds from now on, 0 or more. Answers how many page requests were dropped. */
  begin(device: DeviceState, ms: number): number {
    const { clock, dropPageRequests, told } = this.#parts
    const cancel = ms === 0 ? undefined : clock.after(ms, () => this.#done(device))
    this.#underWay.get(device)?.()
    this.#underWay.set(device, cancel ?? (() => undefined))
    device.tlb?.flushAll()
    const dropped = dropPageRequests(device)
    told(device, false)
    if (cancel === undefined) this.#done(device)
    return dropped
  }

  #done(device: DeviceState): void {
    this.#underWay.delete(device)
    this.#parts.told(device, true)
  }

  stop(): void {
    for (const cancel of this.#underWay.values()) cancel()
    this.#underWay.clear()
  }
}

/** What a request comes to that never leaves its device. The unit sees and records nothing. */
export function silenced(name: 'DEVICE_DEAD' | 'DEVICE_RESETTING'): LabOutcome {
  return { kind: 'FAULT', reason: 0, name, recorded: false }
}
