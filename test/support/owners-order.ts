/**
 * Watches every operation of an emulator and says what was done in a wrong order: each teardown is
 * whole and in the order of intel_pasid_tear_down_entry (Linux drivers/iommu/intel/pasid.c),
 * nothing is written over, and an entry is written again only when its number has rested.
 */
import type { Emulator } from '../../src/backend/emulator/emulator.js'
import type { Operation } from '../../src/backend/emulator/operation-log.js'

/** Instants are rounded to milliseconds on the way. */
const ROUNDING_MS = 1
const AFTER_CLEAR_PRESENT = [
  'INVALIDATE_PASID_CACHE',
  'INVALIDATE_IOTLB',
  'INVALIDATE_DEVICE_TLB',
  'CLEAR_ENTRY',
  'DRAIN_PAGE_REQUESTS',
] as const satisfies readonly Operation['kind'][]

function subjectOf(operation: Operation): number | undefined {
  if ('target' in operation) return operation.target
  return 'pasid' in operation ? operation.pasid : undefined
}

export class OrderWitness {
  readonly problems: string[] = []
  teardowns = 0
  /** Entries written again after a teardown. */
  reused = 0
  readonly #holdMs: number
  readonly #present = new Set<number>()
  readonly #drainedAt = new Map<number, number>()
  /** The teardown under way: it is one turn of the event loop, nothing comes between. */
  #target: number | undefined
  #step = 0

  /** From now on. What rests for `holdMs` may not be written sooner. */
  constructor(emulator: Emulator, holdMs: number) {
    this.#holdMs = holdMs
    emulator.operations.record = (operation) => this.#saw(operation)
    emulator.operations.on = true
  }

  /** Entries that are in force, as far as it saw them made. */
  get present(): number {
    return this.#present.size
  }

  #saw(operation: Operation): void {
    if (this.#target !== undefined) this.#next(this.#target, operation)
    else if (operation.kind === 'CLEAR_PRESENT') this.#begin(operation.target)
    else if (operation.kind === 'WRITE_ENTRY') this.#written(operation.target)
    else if (operation.kind === 'CLEAR_ENTRY' || operation.kind === 'DRAIN_PAGE_REQUESTS') {
      this.problems.push(`${operation.kind} of ${operation.target} outside of a teardown`)
    }
  }

  #begin(target: number): void {
    if (!this.#present.delete(target)) this.problems.push(`${target} is cleared and was not there`)
    this.#target = target
    this.#step = 0
  }

  #next(target: number, operation: Operation): void {
    const wanted = AFTER_CLEAR_PRESENT[this.#step]
    const subject = subjectOf(operation)
    // The IOTLB is invalidated by domain, which names no number.
    const isIt = subject === target || operation.kind === 'INVALIDATE_IOTLB'
    if (operation.kind !== wanted || !isIt) {
      this.problems.push(`${target}: ${operation.kind} of ${subject}, and not ${wanted}`)
    }
    this.#step += 1
    if (this.#step < AFTER_CLEAR_PRESENT.length) return
    this.#target = undefined
    this.teardowns += 1
    this.#drainedAt.set(target, performance.now())
  }

  #written(target: number): void {
    if (this.#present.has(target)) this.problems.push(`${target} is written over`)
    this.#present.add(target)
    const drainedAt = this.#drainedAt.get(target)
    if (drainedAt === undefined) return
    this.reused += 1
    const rested = performance.now() - drainedAt
    if (rested + ROUNDING_MS >= this.#holdMs) return
    this.problems.push(`${target} is written ${rested.toFixed(1)} ms after its teardown`)
  }
}
