/**
 * One emulator, one device and one guest whose memory the emulator reads: the ground of the
 * emulator's unit tests. Asks as a device would, and says what a test means to invalidate.
 */

import type { InvalidateRequest } from '../../src/backend/backend.js'
import { DEVICE_DEFAULTS, type EmulatedDevice } from '../../src/backend/emulator/device.js'
import {
  createEmulator,
  type Emulator,
  type EmulatorOptions,
} from '../../src/backend/emulator/emulator.js'
import type { Translation } from '../../src/backend/emulator/unit.js'
import type { Table } from '../../src/core/binding.js'
import { domainId, sessionId, target, type Target } from '../../src/core/ids.js'
import { Guest } from './emulator-guest.js'

export const VM = sessionId(1)
export const DOMAIN = domainId(7)
export const ONE = target(1)

export interface Ask {
  readonly write?: boolean
  readonly privileged?: boolean
  readonly at?: Target
}

export class Rig {
  readonly emulator: Emulator
  readonly guest = new Guest()

  constructor(device: Partial<EmulatedDevice> = {}, options: Partial<EmulatorOptions> = {}) {
    const devices = [{ ...DEVICE_DEFAULTS, name: 'dev', ...device }]
    this.emulator = createEmulator({ devices, ...options })
  }

  async attach(device = 'dev'): Promise<void> {
    await this.emulator.attachDevice(device, VM)
    this.emulator.setGuestMemory(VM, this.guest.memory)
  }

  async bind(table: Table, at: Target = ONE, domain = DOMAIN): Promise<void> {
    await this.emulator.bind({ device: 'dev', session: VM, target: at, table, domain })
  }

  async replace(table: Table, old: Table, at: Target = ONE, domain = DOMAIN): Promise<void> {
    const place = { device: 'dev', session: VM, target: at }
    await this.emulator.replace({ ...place, table, domain }, { table: old, domain })
  }

  async invalidate(
    what: Pick<InvalidateRequest, 'caches' | 'range'>,
    at: Target = ONE,
  ): Promise<void> {
    await this.emulator.invalidate({ device: 'dev', session: VM, target: at, ...what })
  }

  /** Pages of 4 KiB, in both caches that hold translations. */
  async invalidatePages(page: number, pages: number, at: Target = ONE): Promise<void> {
    const range = { address: BigInt(page) << 12n, pages: BigInt(pages), leaf: true }
    await this.invalidate({ caches: ['IOTLB', 'DEVICE_TLB'], range }, at)
  }

  ask(page: number | bigint, how: Ask = {}): Translation {
    const { write = false, privileged = false, at = ONE } = how
    const address = BigInt(page) << 12n
    return this.emulator.translate('dev', { target: at, address, write, privileged })
  }

  /** Guest's frame and source of a request that is translated, else the name of the fault. */
  answer(page: number | bigint, how: Ask = {}): string {
    const { outcome, source } = this.ask(page, how)
    if (outcome.kind === 'FAULT') return outcome.fault
    const guest = outcome.address - (this.emulator.hostAddress(VM, 0) ?? 0)
    return `${guest / 4096} ${source}`
  }

  /** How many entries each cache holds, by its name; one device only. */
  fills(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.emulator.cacheSizes().map(({ name, entries }) => [name, entries]),
    )
  }
}
