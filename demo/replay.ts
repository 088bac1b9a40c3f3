/**
 * Replays a queue through a link to the broker, descriptor by descriptor, in the guest's order.
 *
 * A wait is done when every descriptor before it has been answered. In the serial run nothing that
 * follows a wait is sent before that: the guest's CPU spins on it. In the pipelined run up to
 * `inFlight` calls are under way at once and what follows a wait does not stay behind: the broker
 * keeps the order per device, and the wait is counted as done at the moment its condition holds.
 */

import type { Descriptor, DescriptorKind } from './descriptors.js'
import { callOf, Plan, type Command } from './plan.js'
import { Tally } from './tally.js'

/** Carries a command out; undefined when it was answered, else why it was refused. */
export interface Link {
  send(command: Command): Promise<string | undefined>
}

export interface ReplayOptions {
  readonly link: Link
  readonly mode: 'serial' | 'pipelined'
  /** Calls under way at once. */
  readonly inFlight: number
  /** Told now and then how many descriptors have come to an end. */
  readonly onProgress?: ((ended: number) => void) | undefined
}

const PROGRESS_EVERY = 256
const REFUSALS_KEPT = 5

/** One descriptor that is under way, in the order of the queue. */
interface Entry {
  readonly kind: DescriptorKind
  readonly beganAt: number
  isDone: boolean
}

class Replay {
  readonly tally = new Tally()
  readonly #plan = new Plan()
  /** From the oldest that has not been answered on; waits among them. */
  #queue: Entry[] = []
  /** Of #queue, how many at its front are gone already. */
  #gone = 0
  #underWay = 0
  #wake: (() => void) | undefined
  #told = 0

  constructor(readonly options: ReplayOptions) {}

  async run(descriptors: Iterable<Descriptor>): Promise<Tally> {
    const began = performance.now()
    for (const descriptor of descriptors) await this.#take(descriptor)
    await this.#until(() => this.#underWay === 0)
    this.tally.elapsedMs = performance.now() - began
    this.options.onProgress?.(this.tally.ended)
    return this.tally
  }

  async #take(descriptor: Descriptor): Promise<void> {
    const { kind } = descriptor
    const step = this.#plan.next(descriptor)
    if (step.kind === 'not-ours') {
      this.tally.count(kind, 'not ours')
      return
    }
    const entry = { kind, beganAt: performance.now(), isDone: step.kind === 'wait' }
    if (step.kind === 'wait') {
      this.#queue.push(entry)
      this.#settle()
      if (this.options.mode === 'serial') await this.#until(() => this.#underWay === 0)
      return
    }
    if (this.#underWay >= this.options.inFlight) {
      await this.#until(() => this.#underWay < this.options.inFlight)
    }
    this.#queue.push(entry)
    this.#send(entry, step.command)
  }

  #send(entry: Entry, command: Command): void {
    const beganAt = performance.now()
    this.#underWay += 1
    const end = (problem: string | undefined): void => {
      this.#underWay -= 1
      entry.isDone = true
      this.tally.time(callOf(command), (performance.now() - beganAt) * 1000)
      this.tally.count(entry.kind, problem === undefined ? 'answered' : 'refused')
      if (problem !== undefined && this.tally.refusals.length < REFUSALS_KEPT) {
        this.tally.refusals.push(`${callOf(command)}: ${problem}`)
      }
      this.#settle()
      this.#wake?.()
    }
    this.options.link.send(command).then(end, (error: unknown) => end(String(error)))
  }

  /** Takes off the front what is done: the waits among it are done by that. */
  #settle(): void {
    const now = performance.now()
    for (;;) {
      const entry = this.#queue[this.#gone]
      if (entry?.isDone !== true) break
      this.#gone += 1
      if (entry.kind !== 'wait') continue
      this.tally.count('wait', 'completed')
      this.tally.time('wait', (now - entry.beganAt) * 1000)
    }
    if (this.#gone >= PROGRESS_EVERY) {
      this.#queue = this.#queue.slice(this.#gone)
      this.#gone = 0
    }
    if (this.tally.ended - this.#told < PROGRESS_EVERY) return
    this.#told = this.tally.ended
    this.options.onProgress?.(this.#told)
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#wake = undefined
  }
}

export function replay(descriptors: Iterable<Descriptor>, options: ReplayOptions): Promise<Tally> {
  return new Replay(options).run(descriptors)
}
