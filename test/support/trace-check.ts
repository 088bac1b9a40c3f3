/**
 * The properties of a trace, and a run of many. A trace that fails is told with its number and all
 * of its steps; SEED=n TRACE=n runs it alone.
 */
import process from 'node:process'
import { covers, carryOut, needOf, needText } from './trace-needs.js'
import { judge, metText, misdeedOf, textOf, type Judged } from './trace-judge.js'
import { TraceImage } from './trace-image.js'
import { traceSeed } from './trace-random.js'
import { TraceRun, type Answer, type TraceSpec, type Visit } from './trace-run.js'
import type { Need } from './trace-world.js'

/**
 * COMPLETE: every invalidation is made, so the unit answers what the tables say, and nobody is
 * blamed. FORGOTTEN: one is left out, and what is named is the reason. EVICTING: the same, with
 * caches that forget by themselves: who is blamed is not innocent.
 */
export type Property = 'COMPLETE' | 'FORGOTTEN' | 'EVICTING'

export interface Tally {
  traces: number
  accesses: number
  /** By who answered. */
  readonly sources: Record<string, number>
  /** By fault reason. */
  readonly faults: Map<number, number>
  /** Traces in which an invalidation was left out, and in which that was met; by its kind. */
  readonly left: Record<string, number>
  readonly stale: Record<string, number>
  staleAccesses: number
  named: number
  /** Accesses whose named set was tried out on replays. */
  replayed: number
  /**
   * Stale accesses that met only what earlier ones had put into other caches, which what was left out
   * would no longer cure: it is not named then.
   */
  secondHand: number
  /** With eviction: wrong answers that nobody was blamed for. */
  unblamed: number
}

export function emptyTally(): Tally {
  return {
    traces: 0,
    accesses: 0,
    sources: {},
    faults: new Map(),
    left: {},
    stale: {},
    staleAccesses: 0,
    named: 0,
    replayed: 0,
    secondHand: 0,
    unblamed: 0,
  }
}

/** Of so many stale accesses, one is replayed. */
const REPLAY_EACH = 6

function add(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1
}

/** What became of one trace. */
interface Seen {
  problem: string | undefined
  stale: boolean
  /** Of what was left out. */
  kind: string | undefined
}

export class TraceChecker {
  readonly tally = emptyTally()
  readonly #property: Property
  /** Accesses that a trace's caches must know. */
  readonly #known = new Set<string>()
  readonly #image = new TraceImage()
  readonly #spare = new TraceImage()

  constructor(property: Property) {
    this.#property = property
  }

  /** @throws Error with the trace's steps, when the property does not hold */
  check(seed: number): void {
    const spec = this.#spec(seed)
    const problem = this.#run(spec, undefined)
    this.tally.traces += 1
    if (problem === undefined) return
    const lines: string[] = []
    this.#run(spec, (line) => lines.push(line))
    throw new Error(`${problem}\n${lines.join('\n')}`)
  }

  #spec(seed: number): TraceSpec {
    const evicts = { COMPLETE: undefined, FORGOTTEN: false, EVICTING: true }[this.#property]
    return { seed, forgets: this.#property !== 'COMPLETE', evicts }
  }

  #run(spec: TraceSpec, say: ((line: string) => void) | undefined): string | undefined {
    this.#known.clear()
    const seen: Seen = { problem: undefined, stale: false, kind: undefined }
    const access = (visit: Visit): Answer => {
      const judged = judge(visit)
      this.#count(judged)
      if (visit.forgotten !== undefined) seen.kind = kindOf(visit.forgotten, visit.hinted)
      seen.stale ||= judged.difference !== undefined
      say?.(`  tables ${textOf(judged.slow)}, unit ${metText(judged.met)}`)
      for (const needed of this.#needed(visit, judged)) say?.(`  named: ${needText(needed)}`)
      seen.problem = this.#problemOf(spec, visit, judged) ?? this.#forgetfulness(visit, judged)
      return seen.problem === undefined ? judged.met.outcome.kind : 'END'
    }
    new TraceRun(spec, this.#image, { access, say }).run()
    if (seen.kind !== undefined) {
      add(this.tally.left, seen.kind)
      if (seen.stale) add(this.tally.stale, seen.kind)
    }
    return seen.problem
  }

  /** With eviction off, what was answered once is known from then on, until something changes. */
  #forgetfulness(visit: Visit, judged: Judged): string | undefined {
    const { world, device, access, changes } = visit
    const { slow, met } = judged
    // A true translation may take a false one's place, with fewer rights.
    if (visit.forgotten !== undefined) return undefined
    if (world.options.eviction || slow.kind === 'FAULT' || met.outcome.kind === 'FAULT')
      return undefined
    // Not kept: what only passes through, and a supervisor's writes that ignore R/W.
    if (slow.fsLevel === undefined && slow.ssLevel === undefined) return undefined
    const { pasid, address, write, privileged } = access
    const supervisor = pasid === undefined ? device.ridPrivileged : privileged
    if (write && supervisor) return undefined
    const key = `${changes} ${device.name} ${pasid} ${address >> 12n} ${write} ${privileged}`
    if (this.#known.has(key) && met.source === 'TABLES')
      return 'a cache with room has lost an entry'
    this.#known.add(key)
    return undefined
  }

  #count({ met, difference }: Judged): void {
    const { tally } = this
    tally.accesses += 1
    add(tally.sources, met.source)
    if (met.outcome.kind === 'FAULT') {
      const { code } = met.outcome
      tally.faults.set(code, (tally.faults.get(code) ?? 0) + 1)
    }
    if (difference !== undefined) tally.staleAccesses += 1
    tally.named += met.staleness?.needed.length ?? 0
  }

  #needed({ world }: Visit, { met }: Judged): readonly Need[] {
    return (met.staleness?.needed ?? []).map((each) => needOf(each.descriptor, world.devices))
  }

  #problemOf(spec: TraceSpec, visit: Visit, judged: Judged): string | undefined {
    const { difference, met } = judged
    const guilty = visit.forgotten !== undefined
    if (!guilty) {
      if (difference !== undefined) return difference
      const misdeed = misdeedOf(visit.world)
      if (misdeed !== undefined) return misdeed
    }
    if (difference === undefined) {
      return met.staleness === undefined
        ? undefined
        : 'the oracle blames somebody for a true answer'
    }
    const needed = this.#needed(visit, judged)
    if (needed.length === 0) {
      if (this.#property !== 'EVICTING') return `${difference}, and the oracle names nothing`
      this.tally.unblamed += 1
      return undefined
    }
    const { forgotten } = visit
    const named = needed.some((each) => forgotten !== undefined && covers(forgotten, each))
    if (!named && forgotten !== undefined && this.#property === 'FORGOTTEN') {
      // What was left out has by now done its harm in other caches, or it would still be the cure.
      const cured = this.#replay('BEFORE', { spec, index: visit.index, named: [forgotten] }, -1)
      if (cured === undefined)
        return `the oracle names other than what was left out (${difference})`
      this.tally.secondHand += 1
    }
    if (this.tally.staleAccesses % REPLAY_EACH !== 0) return undefined
    return this.#tryOut(spec, visit.index, needed)
  }

  /** Replays the trace up to the access, with all that was named, and with all but one of it. */
  #tryOut(spec: TraceSpec, index: number, named: readonly Need[]): string | undefined {
    this.tally.replayed += 1
    const problem = this.#tryWhen('BEFORE', { spec, index, named })
    if (problem === undefined || this.#property !== 'EVICTING') return problem
    // Where an access replaces entries on its own way, the caches after it may show the cause.
    return this.#tryWhen('AFTER', { spec, index, named }) === undefined ? undefined : problem
  }

  #tryWhen(when: 'BEFORE' | 'AFTER', trial: Trial): string | undefined {
    const { named } = trial
    const whole = this.#replay(when, trial, -1)
    if (whole !== undefined) return `with all that was named invalidated, still: ${whole}`
    for (const [left, need] of named.entries()) {
      if (this.#replay(when, trial, left) === undefined) {
        return `of what was named, this was not needed: ${needText(need)}`
      }
    }
    return undefined
  }

  /** The difference that there is at the access when all that was named was done, but for one. */
  #replay(
    when: 'BEFORE' | 'AFTER',
    { spec, index, named }: Trial,
    left: number,
  ): string | undefined {
    let difference: string | undefined
    const access = (visit: Visit): Answer => {
      const { unit, device } = visit
      if (visit.index < index) return unit.translate(device, visit.access).outcome.kind
      if (when === 'AFTER') unit.translate(device, visit.access)
      for (const [i, need] of named.entries()) {
        if (i !== left) carryOut(unit, sameIn(visit, need))
      }
      difference = judge(visit).difference
      return 'END'
    }
    new TraceRun(spec, this.#spare, { access, say: undefined }).run()
    return difference
  }
}

/** A set that an oracle named, at an access of a trace. */
interface Trial {
  readonly spec: TraceSpec
  readonly index: number
  readonly named: readonly Need[]
}

/** A need that names a device, of another replay's world. */
function sameIn({ world }: Visit, need: Need): Need {
  if (need.cache !== 'DEVICE_TLB') return need
  const device = world.devices.find(({ name }) => name === need.device.name)
  if (device === undefined) throw new Error('a device of another trace')
  return { ...need, device }
}

function kindOf(need: Need, hinted: boolean): string {
  if (hinted) return `${need.cache} (IH wrongly)`
  return 'leaf' in need && need.leaf ? `${need.cache} (IH)` : need.cache
}

export const SEED = Number(process.env['SEED'] ?? 20_200_608)
const ALONE = process.env['TRACE']

/** TRACES of the environment: a number, or "full". */
const TRACES = process.env['TRACES']

/** How many traces a test runs: one that is asked for, what TRACES says, or the usual. */
export function tracesToRun(size: { readonly usual: number; readonly full: number }): number {
  if (ALONE !== undefined) return 1
  return TRACES === 'full' ? size.full : Number(TRACES ?? size.usual)
}

/** Runs so many traces from `first` on; TRACE: that one instead. */
export function checkTraces(property: Property, first: number, count: number): Tally {
  const from = ALONE === undefined ? first : Number(ALONE)
  const checker = new TraceChecker(property)
  for (let trace = from; trace < from + count; trace += 1) {
    try {
      checker.check(traceSeed(SEED, trace))
    } catch (error) {
      throw new Error(`SEED=${SEED} TRACE=${trace} (${property})`, { cause: error })
    }
  }
  return checker.tally
}
