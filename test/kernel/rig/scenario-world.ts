/**
 * One daemon, as the service of a manager, and one VMM that speaks for itself, for all scenarios:
 * each takes seconds to start here. A scenario leaves the devices as it found them, and the VMM
 * without a session.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { Daemon, type Devices } from './scenario-daemon.js'
import { ServiceManager } from './scenario-manager.js'
import { Vmm } from './scenario-vmm.js'

export class World {
  readonly daemon = new Daemon({ hold: '2s', unprovenHold: '12s' })
  /** Undefined: there is no Python in the machine for it. */
  manager: ServiceManager | undefined
  #vmm: Vmm | undefined

  async start(): Promise<void> {
    const { daemon } = this
    this.manager = await ServiceManager.start()
    await daemon.start(this.manager)
    this.#vmm = await Vmm.start(daemon)
  }

  async end(): Promise<void> {
    await this.#vmm?.kill()
    await this.daemon.end()
    this.manager?.end()
  }

  get vmm(): Vmm {
    if (this.#vmm === undefined) throw new Error('the world has not begun')
    return this.#vmm
  }

  /** Sessions that have ended, whose numbers nobody can vouch for, and those numbers. */
  async unproven(): Promise<readonly [sessions: number, pasids: number]> {
    const { unprovenSessions, unprovenPasids } = await this.daemon.operator.getReclaim()
    return [unprovenSessions, unprovenPasids]
  }

  /** Numbers of the device that are not free, each with its state. */
  async states(device: keyof Devices): Promise<readonly (readonly [number, string])[]> {
    const rows = await this.daemon.pasids(device)
    return rows.map(({ pasid, state }) => [pasid, state.replace('ALLOCATION_STATE_', '')])
  }
}

const POLL_MS = 50

/** As eventually(), for hooks, whose time limit ends it. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(POLL_MS)
}

/** What holds soon, if it does: under emulation, on a busy host, a moment may be long. */
export function eventually<T>(look: () => T | Promise<T>) {
  return expect.poll(look, { timeout: 30_000, interval: POLL_MS })
}
