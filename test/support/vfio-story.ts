/**
 * The life of a session on the native backend, told as steps on the door, of which each can be
 * tried again as the broker would after a fault: what a STOP has left is taken down first. After
 * every step, and every fault in it, what the kernel has attached is held against what the answers
 * said.
 */

import { expect } from 'vitest'
import { BackendFault, type BindRequest, type HandOver } from '../../src/backend/backend.js'
import type { FirstStageTable, Table } from '../../src/core/binding.js'
import { domainId, RID, sessionId, target } from '../../src/core/ids.js'
import { raiseFault } from './vfio-fake-faults.js'
import type { VfioRig } from './vfio-rig.js'

export const VM = sessionId(1)
const DOMAIN = domainId(7)

export function firstStage(address: number, more: Partial<FirstStageTable> = {}): FirstStageTable {
  const flags = { supervisor: false, writeProtect: false, extendedAccessed: false }
  return { kind: 'FIRST_STAGE', address, width: 48, ...flags, ...more }
}

export const TABLES = [firstStage(0x1000), firstStage(0x2000), firstStage(0x3000)] as const

export function requestFor(device: string, at: number, table: Table): BindRequest {
  return { device, session: VM, target: at === 0 ? RID : target(at), table, domain: DOMAIN }
}

/** Lets everything happen that can without time going by. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export interface Step {
  readonly name: string
  /** What it does; repeatable. */
  readonly run: () => Promise<unknown>
  /** What must be bound when it is done: by `device/target`. */
  readonly after: ReadonlyMap<string, Table>
  /** The place whose binding a STOP may have cost. */
  readonly place: BindRequest | undefined
}

export class Story {
  readonly rig: VfioRig
  readonly steps: Step[] = []
  /** How a step is run; for tests in which it may have to be waited for. */
  attempt: (step: Step) => Promise<BackendFault | undefined> = ({ run }) => met(run)
  readonly #bound = new Map<string, Table>()
  readonly #groups: number[] = []

  constructor(rig: VfioRig) {
    this.rig = rig
  }

  get #backend() {
    return this.rig.backend
  }

  attach(device: string, more: Partial<HandOver> = {}): this {
    return this.#step(`attach ${device}`, undefined, async () => {
      await this.rig.attach(device, VM, more)
    })
  }

  bind(device: string, at: number, table: Table): this {
    const request = requestFor(device, at, table)
    this.#bound.set(`${device}/${at}`, table)
    return this.#step(`bind ${device}/${at}`, request, () => this.#backend.bind(request))
  }

  /** Of the device, and of those of its group that have the place. */
  replace(
    device: string,
    at: number,
    from: Table,
    to: Table,
    others: readonly string[] = [],
  ): this {
    const request = requestFor(device, at, to)
    const old = requestFor(device, at, from)
    for (const name of [device, ...others]) this.#bound.set(`${name}/${at}`, to)
    return this.#step(`replace ${device}/${at}`, request, () => this.#backend.replace(request, old))
  }

  unbind(device: string, at: number): this {
    const request = requestFor(device, at, TABLES[0])
    this.#bound.delete(`${device}/${at}`)
    return this.#step(`unbind ${device}/${at}`, request, () => this.#backend.unbind(request))
  }

  invalidate(device: string, at: number): this {
    const place = requestFor(device, at, TABLES[0])
    const range = { address: 0x7000n, pages: 3n, leaf: true }
    return this.#step(`invalidate ${device}/${at}`, undefined, () => {
      return this.#backend.invalidate({ ...place, caches: ['IOTLB', 'DEVICE_TLB'], range })
    })
  }

  /** A page request that is told, and answered. */
  pageRequest(device: string, at: number): this {
    const { target: of } = requestFor(device, at, TABLES[0])
    const group = this.#groups.push(0)
    return this.#step(`page request of ${device}/${at}`, undefined, async () => {
      const told = new Set<number>()
      this.#backend.listen({
        pageRequest: (raised) => {
          told.add(raised.group)
        },
        pageRequestGone: () => undefined,
        fault: () => undefined,
        reset: () => undefined,
      })
      // A device that was told to raise none after all.
      if (!told.has(group) && !raiseFault(this.rig.kernel.device(device), at, group)) return
      await settled()
      // It is read again some time after a failure.
      if (!told.has(group)) this.rig.clock.pass(100)
      await settled()
      if (!told.has(group)) throw new BackendFault('the page request was not told yet', 'RETRY')
      await this.#backend.respond({ device, target: of, group, code: 'SUCCESS' })
    })
  }

  detach(device: string): this {
    return this.#step(`detach ${device}`, undefined, async () => {
      await this.#backend.detachDevice(device, VM)
      this.rig.vm(VM).closeCdev(device)
    })
  }

  #step(name: string, place: BindRequest | undefined, run: () => Promise<unknown>): this {
    this.steps.push({ name, run, place, after: new Map(this.#bound) })
    return this
  }

  /**
   * Tells it, with whatever interferes; a step that met a fault is tried once more. Answers the
   * faults that were met.
   */
  async tell(): Promise<readonly BackendFault[]> {
    const faults: BackendFault[] = []
    let before: ReadonlyMap<string, Table> = new Map()
    for (const step of this.steps) {
      const fault = await this.attempt(step)
      if (fault !== undefined) {
        faults.push(fault)
        await this.#afterFault(step, before, fault)
        await step.run()
      }
      this.expectBound(step.after, step.name)
      before = step.after
    }
    return faults
  }

  /** What the answers said is what the kernel has. */
  expectBound(expected: ReadonlyMap<string, Table>, when: string): void {
    const places = new Map<string, Table>()
    for (const { device, target: at, table } of this.rig.bound()) {
      const key = `${device}/${at}`
      // The RID at rest on the parent is no binding.
      const rests = at === RID && table.kind === 'PASS_THROUGH' && !expected.has(key)
      if (!rests) places.set(key, table)
    }
    expect(Object.fromEntries(places), when).toEqual(Object.fromEntries(expected))
  }

  /**
   * RETRY and REFUSE have changed nothing; of a STOP the place is taken down, as the broker does.
   */
  async #afterFault(
    { name, place }: Step,
    before: ReadonlyMap<string, Table>,
    fault: BackendFault,
  ): Promise<void> {
    if (fault.kind !== 'STOP' || place === undefined) {
      // Of an unbind nobody says that nothing has changed: it is tried until it succeeds.
      const isUnbind = name.startsWith('unbind')
      const isWhole = fault.kind !== 'STOP' && !isUnbind
      if (isWhole) this.expectBound(before, `${name}, after ${fault.message}`)
      return
    }
    const { device, target: at, table, session } = place
    const left = new Map(before)
    const group = this.rig.kernel.device(device).group.devices.map((each) => each.name)
    const isReplace = name.startsWith('replace')
    for (const each of isReplace ? group : [device]) {
      await this.#backend.unbind({ device: each, target: at, session })
      left.delete(`${each}/${at}`)
    }
    this.expectBound(left, `${name}, after ${fault.message}`)
    // What was replaced is bound anew, for the step to be tried again.
    if (!isReplace) return
    for (const each of group) {
      const old = before.get(`${each}/${at}`)
      if (old !== undefined) await this.#backend.bind({ ...place, device: each, table: old })
    }
    expect(table).toBeDefined()
  }
}

async function met(run: () => Promise<unknown>): Promise<BackendFault | undefined> {
  try {
    await run()
    return undefined
  } catch (fault) {
    if (fault instanceof BackendFault) return fault
    throw fault
  }
}

/** One device with everything that there is. */
export function longStory(rig: VfioRig): Story {
  const [one, two, three] = TABLES
  return new Story(rig)
    .attach('pri', { moveRid: true })
    .bind('pri', 5, one)
    .bind('pri', 6, one)
    .bind('pri', 0, two)
    .pageRequest('pri', 5)
    .replace('pri', 5, one, three)
    .invalidate('pri', 5)
    .replace('pri', 0, two, { kind: 'PASS_THROUGH' })
    .unbind('pri', 6)
    .bind('pri', 7, { kind: 'PASS_THROUGH' })
    .unbind('pri', 7)
    .unbind('pri', 0)
    .unbind('pri', 5)
    .detach('pri')
}

/** Nothing is ever bound. */
export function restStory(rig: VfioRig): Story {
  return new Story(rig).attach('pri', { moveRid: true }).detach('pri')
}

/** Two devices of one IOMMU group. */
export function groupStory(rig: VfioRig): Story {
  const [one, two] = TABLES
  return new Story(rig)
    .attach('first', { moveRid: true })
    .attach('second')
    .bind('first', 5, one)
    .bind('second', 5, one)
    .replace('second', 5, one, two, ['first'])
    .bind('second', 0, one)
    .unbind('first', 5)
    .unbind('second', 0)
    .detach('first')
    .unbind('second', 5)
    .detach('second')
}

export const DEVICES = [
  { name: 'pri', maxPasidLog2: 10, pri: true },
  { name: 'first', maxPasidLog2: 10, group: 'g' },
  { name: 'second', maxPasidLog2: 10, group: 'g' },
  { name: 'other', maxPasidLog2: 10 },
] as const
