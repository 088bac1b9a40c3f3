/**
 * One trace: a world, a unit on it, and a way through both: accesses, and changes of the tables
 * with the invalidations that they need; of one change an invalidation may be left out. The same
 * specification gives the same trace, whoever looks on: so one can be replayed up to any access.
 */
import { OperationLog } from '../../src/backend/emulator/operation-log.js'
import type { Access } from '../../src/backend/emulator/request-path.js'
import { IommuUnit } from '../../src/backend/emulator/unit.js'
import type { UnitOptions } from '../../src/backend/emulator/unit-options.js'
import type { TraceImage } from './trace-image.js'
import { carryOut, needText } from './trace-needs.js'
import { Random } from './trace-random.js'
import { TraceSteps } from './trace-steps.js'
import { entryAt, makeWorld, type Device, type Need, type World } from './trace-world.js'

export interface TraceSpec {
  readonly seed: number
  /** Leaves one invalidation out. */
  readonly forgets: boolean
  /** Undefined: as it comes. */
  readonly evicts: boolean | undefined
}

export interface Visit {
  readonly world: World
  readonly unit: IommuUnit
  readonly device: Device
  readonly access: Access
  /** Counts the trace's accesses from 0. */
  readonly index: number
  /** What was left out so far; `hinted`: it was made, but with IH set. */
  readonly forgotten: Need | undefined
  readonly hinted: boolean
  /** Changes of the tables so far. */
  readonly changes: number
}

/** What came of an access; END: the trace is over. */
export type Answer = 'TRANSLATED' | 'FAULT' | 'END'

export interface Onlooker {
  /** Makes it. */
  access(visit: Visit): Answer
  /** For people; undefined: nobody reads along. */
  readonly say: ((line: string) => void) | undefined
}

const LOG = new OperationLog(1)

function chooseOptions(random: Random, evicts: boolean): UnitOptions {
  const tiny = random.percent(50)
  const entries = (): number => (tiny ? random.pick([2, 2, 4, 8]) : random.pick([16, 32]))
  return {
    iotlbEntries: entries(),
    deviceTlbEntries: entries(),
    pagingStructureEntries: entries(),
    pasidCacheEntries: tiny ? random.pick([1, 2, 3]) : 64,
    addressMask: random.pick([9, 12, 18, 18, 40]),
    leaf1G: random.percent(75),
    fiveLevels: random.percent(60),
    supervisorRequests: random.percent(75),
    extendedAccessed: random.percent(60),
    hostAddressWidth: random.pick([39, 42, 46, 46, 48, 52]),
    cachingMode: random.percent(30),
    eviction: evicts,
  }
}

export class TraceRun {
  readonly #random: Random
  readonly #world: World
  readonly #unit: IommuUnit
  readonly #steps: TraceSteps
  readonly #onlooker: Onlooker
  readonly #forgets: boolean
  #accesses = 0
  #changes = 0
  #forgotten: Need | undefined
  #hinted = false

  constructor(spec: TraceSpec, image: TraceImage, onlooker: Onlooker) {
    const random = new Random(spec.seed)
    const evicts = spec.evicts ?? random.percent(50)
    this.#random = random
    this.#world = makeWorld(random, image, chooseOptions(random, evicts))
    const { root, options } = this.#world
    this.#unit = new IommuUnit({ memory: image, root }, options, LOG)
    this.#steps = new TraceSteps(this.#world)
    this.#onlooker = onlooker
    this.#forgets = spec.forgets
    onlooker.say?.(worldText(this.#world))
  }

  run(): void {
    const random = this.#random
    const rounds = random.pick([1, 1, 2, 2, 3])
    const forgetful = this.#forgets ? random.below(rounds) : -1
    if (!this.#ask(2 + random.below(2))) return
    for (let round = 0; round < rounds; round += 1) {
      this.#change(forgetful >= 0 && round >= forgetful)
      if (!this.#ask(1 + random.below(3))) return
    }
  }

  #ask(count: number): boolean {
    for (let i = 0; i < count; i += 1) {
      const { device, access } = this.#steps.nextAccess()
      const index = this.#accesses
      this.#accesses += 1
      this.#onlooker.say?.(accessText(index, device, access))
      const outcome = this.#onlooker.access({
        world: this.#world,
        unit: this.#unit,
        device,
        access,
        index,
        forgotten: this.#forgotten,
        hinted: this.#hinted,
        changes: this.#changes,
      })
      if (outcome === 'END') return false
      if (outcome === 'TRANSLATED') this.#steps.remember()
    }
    return true
  }

  #change(mayForget: boolean): void {
    const change = this.#steps.nextChange()
    if (change === undefined) return
    this.#changes += 1
    const { text, needs } = change
    this.#onlooker.say?.(`change ${text}`)
    const forgets = mayForget && this.#forgotten === undefined && needs.length > 0
    const left = forgets ? this.#chooseLeft(needs) : -1
    for (const [i, need] of needs.entries()) {
      if (i !== left) this.#carryOut(need)
      else {
        this.#forgotten = need
        this.#forget(need)
      }
    }
  }

  #carryOut(need: Need): void {
    this.#onlooker.say?.(`  invalidate ${needText(need)}`)
    carryOut(this.#unit, need)
  }

  /** Leaves it out, or of one that is for tables too, pretends that only leaves were changed. */
  #forget(need: Need): void {
    this.#onlooker.say?.(`  LEFT OUT: invalidate ${needText(need)}`)
    if (need.cache !== 'PIOTLB' && need.cache !== 'IOTLB') return
    this.#hinted = need.block !== undefined && !need.leaf && this.#random.percent(50)
    if (this.#hinted) this.#carryOut({ ...need, leaf: true })
  }

  /** More often one that matters to the access that software had in mind. */
  #chooseLeft(needs: readonly Need[]): number {
    const { focus } = this.#steps
    const chosen = this.#random.below(needs.length)
    if (focus === undefined || this.#random.percent(30)) return chosen
    const { device, pasid } = focus
    const entry = entryAt(this.#world, device.directory, pasid ?? device.rid)
    const near = (need: Need): boolean => {
      if (need.cache === 'DEVICE_TLB') return need.device === device && need.pasid === pasid
      if (need.cache === 'CONTEXT' || need.domain === undefined) return true
      return need.domain === entry?.domain
    }
    const all = needs.flatMap((need, i) => (near(need) ? [i] : []))
    return all.length === 0 ? chosen : this.#random.pick(all)
  }
}

function accessText(index: number, device: Device, access: Access): string {
  const { pasid, address, write, privileged } = access
  const what = `${privileged ? 'supervisor ' : ''}${write ? 'write' : 'read'}`
  return `access ${index}: ${device.name} PASID ${pasid ?? 'none'} ${what} 0x${address.toString(16)}`
}

function worldText({ options, devices, entries }: World): string {
  const lines = [JSON.stringify(options)]
  for (const { name, sourceId, ats, rid, directory, pasids } of devices) {
    const where = `0x${directory.address.toString(16)}`
    lines.push(
      `${name}: ${sourceId.toString(16)} ATS ${ats} PASIDE ${pasids} RID_PASID ${rid} ${where}`,
    )
  }
  for (const { pasid, type, domain, state, directories, first, second } of entries) {
    const where = directories.map(({ address }) => `0x${address.toString(16)}`).join(' ')
    const stages = `first ${first?.root.name.toString(16)} second ${second?.root.name.toString(16)}`
    lines.push(`PASID ${pasid} ${type} DID ${domain} ${state} in ${where}: ${stages}`)
  }
  return lines.join('\n')
}
