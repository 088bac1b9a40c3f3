/**
 * The processes of a test, as the broker's `Owners` port shows them: started, ended, gone without
 * proof, or such that nobody can tell, as a test orders. They outlive the broker: the next
 * incarnation sees the same ones. Events come when the test lets them.
 */

import type { Caller } from '../../src/broker/caller.js'
import type { Owners, WatchedOwner } from '../../src/broker/ports.js'
import type { Liveness, Owner, ProcessId } from '../../src/core/owner.js'

export type RigProcess = Owner

/** No such process was ever started: whoever acts as it is a stranger. */
export const NOBODY: RigProcess = process(0, 0)

function process(pid: number, uid: number): RigProcess {
  const times = { inode: `${pid + 10_000}`, startTime: `${pid * 7}`, pidNamespace: '4026531836' }
  return { pid, ...times, uid, gid: uid }
}

class Watch implements WatchedOwner {
  #stopped = false

  constructor(
    readonly owners: RigOwners,
    readonly owner: ProcessId,
    readonly run: () => void,
  ) {}

  ended(): boolean {
    return this.owners.probe(this.owner) === 'DEAD_PROVEN'
  }

  stop(): void {
    this.#stopped = true
    this.owners.watches.delete(this)
  }

  /** The event, if anybody still waits for it. */
  tell(): void {
    this.owners.watches.delete(this)
    if (!this.#stopped) this.run()
  }
}

interface Fate {
  liveness: Liveness
  watchable: boolean
}

export class RigOwners implements Owners {
  /** Watched now. */
  readonly watches = new Set<Watch>()
  /** Asked of processes, in all. */
  probes = 0
  /** Told of each probe, before it is answered. */
  onProbe: (() => void) | undefined
  readonly #fates: Map<string, Fate>
  #pids = 100

  constructor(fates: Map<string, Fate> = new Map(), pids = 100) {
    this.#fates = fates
    this.#pids = pids
  }

  /** The same processes, for the next incarnation of the broker: nothing is watched yet. */
  reborn(): RigOwners {
    return new RigOwners(this.#fates, this.#pids)
  }

  start(uid = 1000, watchable = true): RigProcess {
    this.#pids += 1
    const started = process(this.#pids, uid)
    this.#fates.set(started.inode, { liveness: 'ALIVE', watchable })
    return started
  }

  /** From now on the port says so; nobody is told. */
  become(of: ProcessId, liveness: Liveness): void {
    const fate = this.#fates.get(of.inode)
    if (fate !== undefined) fate.liveness = liveness
  }

  /** It has ended, and whoever watches it is told. */
  kill(of: ProcessId): void {
    this.become(of, 'DEAD_PROVEN')
    this.deliver(of)
  }

  /** All events of those that have ended, to whoever still watches them. */
  deliverLate(): void {
    for (const { owner } of [...this.watches]) {
      if (this.#fates.get(owner.inode)?.liveness === 'DEAD_PROVEN') this.deliver(owner)
    }
  }

  /** The event, to whoever watches it. */
  deliver(of: ProcessId): void {
    for (const watch of [...this.watches]) if (watch.owner.inode === of.inode) watch.tell()
  }

  watch(owner: ProcessId, ended: () => void): WatchedOwner | 'GONE' | 'UNWATCHED' {
    const fate = this.#fates.get(owner.inode)
    if (fate === undefined || fate.liveness.startsWith('DEAD')) return 'GONE'
    if (!fate.watchable) return 'UNWATCHED'
    const watch = new Watch(this, owner, ended)
    this.watches.add(watch)
    return watch
  }

  probe(owner: ProcessId): Liveness {
    this.probes += 1
    this.onProbe?.()
    return this.#fates.get(owner.inode)?.liveness ?? 'UNKNOWN'
  }
}

/** One of tenant `default`, unless the test says otherwise. */
export function rigCaller(
  owners: RigOwners,
  process: RigProcess,
  more: Partial<Caller> = {},
): Caller {
  return {
    process,
    tenant: 'default',
    delegateFor: new Set(),
    role: undefined,
    ended: () => owners.probe(process) === 'DEAD_PROVEN',
    ...more,
  }
}
