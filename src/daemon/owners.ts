/**
 * The broker's `Owners` port: the processes that sessions belong to, watched by pidfd as long as
 * there are descriptors for it. Holds: "gone" is said only on the kernel's word; what is merely
 * likely is left to the sweep, which has a breaker.
 */

import type { Owners, WatchedOwner } from '../broker/ports.js'
import type { Liveness, ProcessId } from '../core/owner.js'
import { SyscallFailure } from '../linux/errno.js'
import { probe } from '../linux/liveness.js'
import { Pidfd } from '../linux/pidfd.js'
import type { ProcessHold, Processes } from './processes.js'

/** Descriptors that are not for clients: ledger, log, event loop, libraries. */
const RESERVED_FDS = 256

/** How many owners may be watched: the other half is for connections and their processes. */
export function ownerBudget(openFilesMax: number): number {
  return Math.max(0, Math.floor((openFilesMax - RESERVED_FDS) / 2))
}

class Watched implements WatchedOwner {
  #hold: ProcessHold | undefined

  constructor(hold: ProcessHold, ended: () => void) {
    this.#hold = hold
    hold.onEnd(ended)
  }

  ended(): boolean {
    return this.#hold?.ended() ?? false
  }

  stop(): void {
    this.#hold?.release()
    this.#hold = undefined
  }
}

/** A pidfd of exactly this process. */
function openOwner(owner: ProcessId): Pidfd | 'GONE' | 'UNWATCHED' {
  const pidfd = Pidfd.open(owner.pid)
  if (pidfd instanceof SyscallFailure) {
    return probe(owner) === 'DEAD_PROVEN' ? 'GONE' : 'UNWATCHED'
  }
  if (owner.inode !== '' && pidfd.inode === owner.inode) return pidfd
  // Another has its number, or nothing but its start time tells: that is asked while we hold this.
  const liveness = probe(owner)
  if (liveness === 'ALIVE') return pidfd
  pidfd.close()
  return liveness === 'DEAD_PROVEN' ? 'GONE' : 'UNWATCHED'
}

export class KernelOwners implements Owners {
  constructor(
    private readonly processes: Processes,
    /** Pidfds of owners and of callers together, beyond which no more owners are watched. */
    readonly budget: number,
  ) {}

  watch(owner: ProcessId, ended: () => void): WatchedOwner | 'GONE' | 'UNWATCHED' {
    const hold = this.#hold(owner)
    if (typeof hold === 'string') return hold
    if (!hold.ended()) return new Watched(hold, ended)
    hold.release()
    return 'GONE'
  }

  probe(owner: ProcessId): Liveness {
    return probe(owner)
  }

  #hold(owner: ProcessId): ProcessHold | 'GONE' | 'UNWATCHED' {
    const known = this.processes.holdKnown(owner)
    if (known !== undefined) return known
    if (this.processes.open >= this.budget) return 'UNWATCHED'
    const pidfd = openOwner(owner)
    return typeof pidfd === 'string' ? pidfd : this.processes.hold(pidfd, owner.pid)
  }
}
