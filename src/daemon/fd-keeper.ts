/**
 * Descriptors that live on while the daemon is restarted: kept by the service manager
 * (FDSTORE=1 of sd_notify(3)), which gives them to the next life of the daemon. Without a manager
 * nothing is kept, and that is said once.
 *
 * Holds: what is told arrives in order, and again until it does (a manager's queue can be full);
 * each descriptor is kept in a box of its own, since the manager keeps no open file twice: two
 * devices of one VMM share one iommufd.
 */

import type { Logger } from 'pino'
import { BackendFault } from '../backend/backend.js'
import type { FdKeeper } from '../backend/vfio/ports.js'
import type { Clock } from '../broker/ports.js'
import { assert } from '../core/assert.js'
import { SyscallFailure } from '../linux/errno.js'
import { boxed, unboxed } from '../linux/fd-box.js'
import { takeKeptFds } from '../linux/kept-fds.js'
import { createMemfd } from '../linux/memfd.js'
import { notify } from '../linux/notify.js'
import type { OwnedFd } from '../linux/owned-fd.js'
import { FIELD } from './log-fields.js'

/** FDNAME of sd_notify(3): printable ASCII but ":". */
const NAME = /^[\x20-\x39\x3b-\x7e]{1,255}$/
/** Until the manager is told again: its queue is emptied in a moment, or it is gone. */
const RETRY_MS_MIN = 10
const RETRY_MS_MAX = 500

export interface KeeperOptions {
  readonly clock: Clock
  readonly log: Logger
}

interface Message {
  readonly name: string
  /** Of a descriptor that is to be kept; undefined: it is to be forgotten. */
  readonly box: OwnedFd | undefined
}

export class ManagerFdKeeper implements FdKeeper {
  readonly #options: KeeperOptions
  /** Not told yet, in order. */
  readonly #outbox: Message[] = []
  /** Names that the manager may have. */
  readonly #names = new Set<string>()
  #cancelRetry: (() => void) | undefined
  #retryMs = RETRY_MS_MIN
  #saidFull = false

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** Whether there is a manager: this process is its service. */
  get #isManaged(): boolean {
    return process.env.NOTIFY_SOCKET !== undefined
  }

  takeKept(): ReadonlyMap<string, OwnedFd> {
    const { log } = this.#options
    const kept = new Map<string, OwnedFd>()
    const wrong = new Set<string>()
    for (const { name, fd: box } of takeKeptFds()) {
      this.#names.add(name)
      const fd = unboxed(box)
      box.close()
      const isNew = !kept.has(name)
      if (fd !== undefined && isNew) kept.set(name, fd)
      else {
        fd?.close()
        wrong.add(name)
      }
    }
    for (const name of wrong) {
      // Of two with one name nobody can tell which it is.
      kept.get(name)?.close()
      kept.delete(name)
      this.drop(name)
    }
    if (wrong.size > 0) {
      log.warn({ [FIELD.COUNT]: wrong.size }, 'kept descriptors that are not ours were forgotten')
    }
    if (!this.#isManaged) {
      const problem =
        'no service manager keeps descriptors: bindings on devices of the host are LOST when the ' +
        'daemon is restarted; run it as a service of systemd with FileDescriptorStoreMax='
      log.warn({ [FIELD.PROBLEM]: problem }, 'descriptors are not kept')
    }
    return kept
  }

  /**
   * Closes and forgets all that an earlier life left, for a backend that takes none. Answers their
   * names.
   */
  forgetKept(): ReadonlySet<string> {
    const names = new Set<string>()
    for (const { name, fd } of takeKeptFds()) {
      this.#names.add(name)
      names.add(name)
      fd.close()
      this.drop(name)
    }
    return names
  }

  keep(name: string, fd: { readonly number: number }): void {
    assert(NAME.test(name), 'a kept descriptor has a name of printable ASCII without ":"')
    this.drop(name)
    if (!this.#isManaged) return
    const box = boxed(fd.number)
    if (box instanceof SyscallFailure) {
      this.#options.log.warn({ [FIELD.PROBLEM]: String(box) }, 'a descriptor cannot be kept')
      return
    }
    this.#names.add(name)
    this.#outbox.push({ name, box })
    this.#tellAll()
    this.#checkRoom()
  }

  drop(name: string): void {
    if (!this.#names.delete(name)) return
    const at = this.#outbox.findIndex((message) => message.name === name && message.box)
    if (at !== -1) {
      // Not told yet: whatever has the name in the manager is forgotten by a message before it.
      for (const { box } of this.#outbox.splice(at, 1)) box?.close()
      return
    }
    this.#outbox.push({ name, box: undefined })
    this.#tellAll()
  }

  createMemory(name: string): OwnedFd {
    const memory = createMemfd(name)
    if (!(memory instanceof SyscallFailure)) return memory
    throw new BackendFault(`no memory for a record of descriptors: ${String(memory)}`, 'RETRY')
  }

  /** Tells what is left, once, and then no more; for the end of the daemon. */
  close(): void {
    this.#cancelRetry?.()
    this.#flush()
    for (const { box } of this.#outbox.splice(0)) box?.close()
  }

  #tellAll(): void {
    if (this.#cancelRetry !== undefined) return
    const { length } = this.#outbox
    const isDone = this.#flush()
    if (this.#outbox.length < length) this.#retryMs = RETRY_MS_MIN
    if (isDone) return
    this.#cancelRetry = this.#options.clock.after(this.#retryMs, () => {
      this.#cancelRetry = undefined
      this.#tellAll()
    })
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX)
  }

  /** False: the manager does not take more now. */
  #flush(): boolean {
    for (let next = this.#outbox[0]; next !== undefined; next = this.#outbox[0]) {
      if (!this.#tell(next)) return false
      this.#outbox.shift()
      next.box?.close()
    }
    return true
  }

  /** False: not now. A manager that is not there has nothing to be told. */
  #tell({ name, box }: Message): boolean {
    if (!this.#isManaged) return true
    if (box === undefined) return notify(`FDSTOREREMOVE=1\nFDNAME=${name}`)
    // Without FDPOLL=0 it would be forgotten at once: the other end of its box is closed.
    return notify(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, [box.number])
  }

  /** FDSTORE is FileDescriptorStoreMax (systemd 254 and later). */
  #checkRoom(): void {
    const most = Number(process.env['FDSTORE'] ?? Number.NaN)
    if (this.#saidFull || !(this.#names.size > most)) return
    this.#saidFull = true
    const problem = `the service manager keeps ${most} descriptors; raise FileDescriptorStoreMax`
    this.#options.log.warn({ [FIELD.PROBLEM]: problem }, 'descriptors are not kept')
  }
}
