/**
 * The processes that the daemon looks at, each held by one pidfd however many connections, sessions
 * and tokens it has. Holds: a pidfd is closed once, when its process has ended or its last holder
 * has left; that a process has ended is never taken back.
 */

import { assert } from '../core/assert.js'
import type { ProcessId } from '../core/owner.js'
import { pidNamespace } from '../linux/ourselves.js'
import type { Pidfd } from '../linux/pidfd.js'
import { startTimeOf } from '../linux/process.js'

interface Shared {
  readonly key: string
  readonly id: ProcessId
  /** Undefined once the process has ended: then it is not needed any more. */
  pidfd: Pidfd | undefined
  readonly holds: Set<ProcessHold>
}

/** One holder's view of a process. `release` ends it, exactly once. */
export class ProcessHold {
  #isReleased = false
  readonly #ended: (() => void)[] = []

  constructor(
    private readonly shared: Shared,
    private readonly forget: (shared: Shared) => void,
  ) {
    shared.holds.add(this)
  }

  get id(): ProcessId {
    return this.shared.id
  }

  /** One poll(2); true for good. For a fact read from /proc/PID it is asked after the read. */
  ended(): boolean {
    return this.shared.pidfd?.ended() ?? true
  }

  /** The pidfd itself, for reading facts; undefined once the end of the process was announced. */
  pidfd(): Pidfd | undefined {
    return this.shared.pidfd
  }

  /** Called once, in a later turn, when the process has ended; never after `release`. */
  onEnd(run: () => void): void {
    this.#ended.push(run)
    if (this.shared.pidfd === undefined) setImmediate(() => this.announce())
  }

  /** For Processes. */
  announce(): void {
    for (const run of this.#ended.splice(0)) {
      if (!this.#isReleased) run()
    }
  }

  release(): void {
    assert(!this.#isReleased, 'a process is released once by each holder')
    this.#isReleased = true
    this.shared.holds.delete(this)
    if (this.shared.holds.size === 0) this.forget(this.shared)
  }
}

/** '' when it could not be read, or was perhaps another's. */
function ownStartTime(pidfd: Pidfd, pid: number): string {
  let read: string
  try {
    read = startTimeOf(pid) ?? ''
  } catch {
    return ''
  }
  return pidfd.ended() ? '' : read
}

/** Without pidfs (Linux < 6.9) number and start time name it; without those nothing does. */
function keyOf({ inode, pid, startTime }: ProcessId): string | undefined {
  if (inode !== '') return inode
  return startTime === '' ? undefined : `${pid}:${startTime}`
}

export class Processes {
  readonly #namespace = pidNamespace()
  readonly #shared = new Map<string, Shared>()
  #open = 0
  #unnamed = 0

  /** Pidfds that are open. */
  get open(): number {
    return this.#open
  }

  /** Of the process with this number, whose pidfd is taken over. */
  hold(pidfd: Pidfd, pid: number): ProcessHold {
    const { inode } = pidfd
    let known = inode === '' ? undefined : this.#shared.get(inode)
    if (known === undefined) {
      const id = { pid, inode, startTime: ownStartTime(pidfd, pid), pidNamespace: this.#namespace }
      known = this.#shared.get(keyOf(id) ?? '')
      if (known === undefined) return this.#holdOf(this.#add(id, pidfd))
    }
    pidfd.close()
    return this.#holdOf(known)
  }

  /** The process, if it is held already: costs no descriptor. */
  holdKnown(id: ProcessId): ProcessHold | undefined {
    const known = this.#shared.get(keyOf(id) ?? '')
    return known === undefined ? undefined : this.#holdOf(known)
  }

  #add(id: ProcessId, pidfd: Pidfd): Shared {
    this.#unnamed += 1
    const key = keyOf(id) ?? `unnamed:${this.#unnamed}`
    const shared: Shared = { key, id, pidfd, holds: new Set() }
    this.#shared.set(shared.key, shared)
    this.#open += 1
    pidfd.onEnd(() => this.#end(shared))
    return shared
  }

  #holdOf(shared: Shared): ProcessHold {
    return new ProcessHold(shared, (last) => this.#forget(last))
  }

  #end(shared: Shared): void {
    this.#close(shared)
    for (const hold of [...shared.holds]) hold.announce()
  }

  #forget(shared: Shared): void {
    this.#close(shared)
    this.#shared.delete(shared.key)
  }

  #close(shared: Shared): void {
    if (shared.pidfd === undefined) return
    shared.pidfd.close()
    shared.pidfd = undefined
    this.#open -= 1
  }
}
