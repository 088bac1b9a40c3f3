/**
 * The work on one IOMMU group, one piece after the other. When a call of it is overdue the group is
 * stuck: whoever waits is answered with STOP, at once; what has not begun never will; what is under
 * way goes on to its end, so that the books are right, and takes back what nobody waits for any
 * more. Holds: while the group is stuck nothing new begins; it is usable again when the last
 * overdue call is back and what was under way has ended.
 */

import { BackendFault } from '../backend.js'
import type { Overdue } from './device-calls.js'

export class Job {
  #fault: BackendFault | undefined

  /** Whether nobody waits for it any more. */
  get isGivenUp(): boolean {
    return this.#fault !== undefined
  }

  giveUp(fault: BackendFault): void {
    this.#fault ??= fault
  }

  /** Before a step that makes something new. @throws BackendFault STOP when it is given up */
  check(): void {
    if (this.#fault !== undefined) throw this.#fault
  }
}

interface Entry {
  readonly job: Job
  readonly reject: (fault: BackendFault) => void
}

export class Work implements Overdue {
  #tail: Promise<unknown> = Promise.resolve()
  readonly #entries = new Set<Entry>()
  readonly #overdue = new Map<object, string>()
  /** Under way, and given up. */
  #lingering: { readonly entry: Entry; readonly reason: string } | undefined
  #underWay: Entry | undefined

  /** Why the group is stuck; undefined: it is not. */
  get stuck(): string | undefined {
    for (const reason of this.#overdue.values()) return reason
    return this.#lingering?.reason
  }

  /** @throws BackendFault STOP while the group is stuck, or when it gets stuck meanwhile */
  run<T>(work: (job: Job) => Promise<T>): Promise<T> {
    const { stuck } = this
    if (stuck !== undefined) return Promise.reject(new BackendFault(stuck, 'STOP'))
    return this.#queue(work)
  }

  /** At once, beside what is under way. @throws BackendFault STOP as run() */
  async beside<T>(work: () => Promise<T>): Promise<T> {
    const { stuck } = this
    if (stuck !== undefined) throw new BackendFault(stuck, 'STOP')
    return new Promise<T>((resolve, reject) => {
      const entry = { job: new Job(), reject }
      this.#entries.add(entry)
      work()
        .then(resolve, (error: unknown) => this.#failed(entry, error, reject))
        .finally(() => this.#entries.delete(entry))
    })
  }

  /** Everything else is given up; this is done when what is under way has ended. */
  runLast<T>(why: string, work: (job: Job) => Promise<T>): Promise<T> {
    this.#giveUpAll(why)
    return this.#queue(work)
  }

  overdue(call: object, what: string): void {
    this.#overdue.set(call, what)
    this.#giveUpAll(what)
  }

  returned(call: object): void {
    this.#overdue.delete(call)
  }

  #giveUpAll(reason: string): void {
    const entry = this.#underWay
    if (entry !== undefined) this.#lingering ??= { entry, reason }
    for (const each of this.#entries) {
      const fault = new BackendFault(reason, 'STOP')
      each.job.giveUp(fault)
      each.reject(fault)
      if (each !== entry) this.#entries.delete(each)
    }
  }

  #queue<T>(work: (job: Job) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const entry = { job: new Job(), reject }
      this.#entries.add(entry)
      this.#tail = this.#tail.then(async () => {
        if (entry.job.isGivenUp) return
        this.#underWay = entry
        try {
          resolve(await work(entry.job))
        } catch (error) {
          this.#failed(entry, error, reject)
        } finally {
          this.#entries.delete(entry)
          this.#underWay = undefined
          if (this.#lingering?.entry === entry) this.#lingering = undefined
        }
      })
    })
  }

  /** Whoever gave the job up has its answer; a bug in the rest of it must not go unseen. */
  #failed({ job }: Entry, error: unknown, reject: (error: unknown) => void): void {
    reject(error)
    if (!job.isGivenUp || error instanceof BackendFault) return
    queueMicrotask(() => {
      throw error
    })
  }
}
