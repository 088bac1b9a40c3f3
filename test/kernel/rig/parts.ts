/** What a native backend for tests is joined with, beside its devices. */
import type { FdKeeper, VfioClock } from '../../../src/backend/vfio/ports.js'
import { linuxKernel } from '../../../src/backend/vfio/linux-kernel.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import { SharedMemory } from './shared-memory.js'

const realClock: VfioClock = {
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/** Without a service manager: nothing outlives the backend. */
function noKeeper(): FdKeeper {
  return {
    takeKept: () => new Map(),
    keep: () => undefined,
    drop: () => undefined,
    createMemory: (name) => new OwnedFd(new SharedMemory(4096).fd, name),
  }
}

/** The kernel's own threads and time; calls may take as long as they do under emulation. */
export function partsForTests() {
  return {
    kernel: linuxKernel,
    keeper: noKeeper(),
    clock: realClock,
    deadlineMs: 20_000,
    threadsPerSession: 2,
  }
}

/** Of the contract's random test: a step takes some milliseconds under emulation. */
export const RANDOM_STEPS = 500
