/**
 * One daemon and one VMM for all scenarios, since each takes seconds to start here; whoever comes
 * first starts them, and they end with the machine. A scenario leaves the devices as it found them, and
 * the VMM without a session.
 */
import { expect } from 'vitest'
import { Daemon } from './scenario-daemon.js'
import { Vmm } from './scenario-vmm.js'

/** Under emulation, on a busy host: for what takes a moment elsewhere. */
export const SLOW_MS = 300_000

interface World {
  readonly daemon: Daemon
  readonly vmm: Vmm
}

let world: Promise<World> | undefined

async function begin(): Promise<World> {
  const daemon = new Daemon({ hold: '2s', unprovenHold: '15s' })
  const [vmm] = await Promise.all([Vmm.start(daemon), daemon.start()])
  return { daemon, vmm }
}

export async function theWorld(): Promise<World> {
  const known = await (world ??= begin())
  if (!known.vmm.isAlive) {
    world = Vmm.start(known.daemon).then((vmm) => ({ daemon: known.daemon, vmm }))
  }
  return world
}

/** What holds soon, if it does. */
export function eventually<T>(look: () => T | Promise<T>) {
  return expect.poll(look, { timeout: 120_000, interval: 50 })
}
