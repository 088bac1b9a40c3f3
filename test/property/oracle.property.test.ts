/**
 * The staleness oracle, in small random worlds of tables whose software forgets invalidations. It
 * accuses exactly when the slow model, which has no caches, says something else than the unit (or,
 * of a write, would have to set a dirty flag). What it names is complete (once done, the request
 * meets what the tables say) and minimal (any of it left out, the request is stale again). And
 * where everything is invalidated after each change, nothing is ever named.
 * SEED=n replays or varies it; WORLDS=n goes on for longer.
 */

import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { InvalidationQueue } from '../../src/backend/emulator/invalidation-queue.js'
import { OperationLog } from '../../src/backend/emulator/operation-log.js'
import type { NeededInvalidation } from '../../src/backend/emulator/oracle.js'
import type { Access, UnitDevice } from '../../src/backend/emulator/request-path.js'
import { IommuUnit, type Translation } from '../../src/backend/emulator/unit.js'
import { UNIT_DEFAULTS, type UnitOptions } from '../../src/backend/emulator/unit-options.js'
import { slowTranslate, type SlowAnswer } from '../support/slow-iommu.js'
import { lcg, pick, ROOT, World } from '../support/unit-world.js'

const SEED = Number(process.env['SEED'] ?? 20_200_910)
const WORLDS = Number(process.env['WORLDS'] ?? 1500)
const STEPS = 120

const SMALL = { iotlbEntries: 4, deviceTlbEntries: 2, pasidCacheEntries: 2 }
const VARIANTS: readonly Partial<UnitOptions>[] = [
  { eviction: false },
  { eviction: false, cachingMode: true },
  { ...SMALL, pagingStructureEntries: 4 },
  { ...SMALL, pagingStructureEntries: 4, cachingMode: true },
]
function evicts({ eviction = true }: Partial<UnitOptions>): boolean {
  return eviction
}

const CAPS = {
  leaf1G: UNIT_DEFAULTS.leaf1G,
  fiveLevels: UNIT_DEFAULTS.fiveLevels,
  secondStageLeaf2M: true,
  secondStageLeaf1G: true,
  supervisorRequests: UNIT_DEFAULTS.supervisorRequests,
  extendedAccessed: UNIT_DEFAULTS.extendedAccessed,
  hostAddressWidth: UNIT_DEFAULTS.hostAddressWidth,
}
/** The second stage lets no flag be set in a first-stage table. */
const FLAG_DENIED = 0x77
const DIRTY_FIRST = 0x40n
const DIRTY_SECOND = 0x200n
const ADDRESS = 0x000f_ffff_ffff_f000n

interface Asked {
  readonly device: UnitDevice
  readonly access: Access
}

class Run {
  readonly world: World
  readonly unit: IommuUnit
  readonly queue: InvalidationQueue
  readonly #random: ReturnType<typeof lcg>
  /** Leaves invalidations to chance, and tags too. */
  readonly #careless: boolean

  constructor(seed: number, options: Partial<UnitOptions>, careless: boolean) {
    this.#random = lcg(seed)
    this.#careless = careless
    this.world = new World(this.#random, !careless)
    const { memory, devices } = this.world
    const all = { ...UNIT_DEFAULTS, iotlbEntries: 64, pagingStructureEntries: 64, ...options }
    this.unit = new IommuUnit({ memory, root: ROOT }, all, new OperationLog(1))
    const nothing = (): void => undefined
    this.queue = new InvalidationQueue(this.unit, {
      device: (sourceId) => devices.find((device) => device.sourceId === sourceId),
      drainPageRequests: nothing,
      respond: nothing,
      writeStatus: nothing,
      interrupt: nothing,
    })
  }

  /** Answers the access, if it was one. */
  step(): Asked | undefined {
    const verb = this.#random(10)
    if (verb < 2) {
      this.world.change()
      if (!this.#careless) this.queue.carryOut(this.world.everything())
      return undefined
    }
    if (verb < 4) {
      this.queue.carryOut([this.world.invalidation()])
      return undefined
    }
    return this.world.access()
  }

  ask({ device, access }: Asked): Translation {
    return this.unit.translate(device, access)
  }

  /** Makes the access, after the slow model was asked; `supported`: the tables say so, it thinks. */
  askBoth(asked: Asked): { readonly found: Translation; readonly supported: boolean } {
    const { access } = asked
    const slow = this.#askSlow(asked)
    const found = this.ask(asked)
    const supported = this.#supports(slow, access, found)
    const denied = slow.kind === 'FAULT' && slow.code === FLAG_DENIED
    if (supported || !denied || found.staleness !== undefined) return { found, supported }
    // By a stale right an accessed flag was set, after which the tables deny nothing; such flags do
    // not count, so nobody need be accused.
    return { found, supported: this.#supports(this.#askSlow(asked), access, found) }
  }

  #askSlow({ device, access }: Asked): SlowAnswer {
    const read = (address: bigint): bigint | undefined => this.world.memory.read(Number(address))
    const request = { sourceId: device.sourceId, ...access }
    return slowTranslate({ read }, BigInt(ROOT), CAPS, request)
  }

  #supports(slow: SlowAnswer, access: Access, { outcome }: Translation): boolean {
    const read = (address: bigint): bigint | undefined => this.world.memory.read(Number(address))
    if (slow.kind === 'FAULT') {
      if (outcome.kind !== 'FAULT') return false
      return outcome.code === slow.code && outcome.recorded === slow.recorded
    }
    if (outcome.kind === 'FAULT' || outcome.address !== Number(slow.hpa)) return false
    if (!access.write) return true
    // Flags of the page's own leaves. (Those of a first-stage table's do not make it dirty.)
    return !slow.updates.some(({ address, value }) => {
      const clear = value & ~(read(address) ?? 0n)
      const size = (value & 0x80n) === 0n ? 12n : 21n
      const ofPage = (value & ADDRESS) >> size === slow.hpa >> size
      return (clear & DIRTY_FIRST) !== 0n || ((clear & DIRTY_SECOND) !== 0n && ofPage)
    })
  }
}

/** Where what was named is tried out: before the access that it was named of, or after that. */
type When = 'BEFORE' | 'AFTER'

interface Named {
  readonly seed: number
  readonly variant: Partial<UnitOptions>
  readonly step: number
  readonly needed: readonly NeededInvalidation[]
}

/** The same run up to the step, with all but one of what was named; -1: all of it. */
function withoutOne(
  { seed, variant, step, needed }: Named,
  left: number,
  when: When,
): 'STALE' | 'SUPPORTED' | 'WRONG' {
  const run = new Run(seed, variant, true)
  for (let i = 0; i < step; i += 1) {
    const asked = run.step()
    if (asked !== undefined) run.ask(asked)
  }
  const asked = run.step()
  if (asked === undefined) return 'WRONG'
  if (when === 'AFTER') run.ask(asked)
  const chosen = needed.filter((_, i) => i !== left).map(({ descriptor }) => descriptor)
  expect(run.queue.carryOut(chosen)).toEqual({ done: chosen.length, error: undefined })
  const { found, supported } = run.askBoth(asked)
  if (supported !== (found.staleness === undefined)) return 'WRONG'
  return supported ? 'SUPPORTED' : 'STALE'
}

/** Complete and minimal. */
function isLeast(named: Named, when: When): boolean {
  if (withoutOne(named, -1, when) !== 'SUPPORTED') return false
  return named.needed.every((_, left) => withoutOne(named, left, when) === 'STALE')
}

interface Seen {
  stale: number
  fresh: number
  readonly caches: Set<string>
  most: number
}

function count(seen: Seen, needed: readonly NeededInvalidation[]): void {
  seen.stale += 1
  seen.most = Math.max(seen.most, needed.length)
  for (const { cache } of needed) seen.caches.add(cache)
}

describe('staleness oracle', () => {
  test(`accuses rightly, completely and no more than that (SEED=${SEED})`, () => {
    const seen: Seen = { stale: 0, fresh: 0, caches: new Set(), most: 0 }
    for (let world = 0; world < WORLDS; world += 1) {
      const seed = SEED + world
      const variant = pick(lcg(seed + 7), VARIANTS)
      const run = new Run(seed, variant, true)
      for (let i = 0; i < STEPS; i += 1) {
        const asked = run.step()
        if (asked === undefined) continue
        const { found, supported } = run.askBoth(asked)
        const where = `SEED=${seed} step ${i}`
        expect({ where, supported }).toEqual({ where, supported: found.staleness === undefined })
        if (found.staleness === undefined) {
          seen.fresh += 1
          continue
        }
        const { needed } = found.staleness
        expect(needed.length).toBeGreaterThan(0)
        const named = { seed, variant, step: i, needed }
        // Where entries are replaced on the way, it may be the state after it that shows the cause.
        const least = isLeast(named, 'BEFORE') || (evicts(variant) && isLeast(named, 'AFTER'))
        expect({ where, needed, least }).toEqual({ where, needed, least: true })
        count(seen, needed)
        break
      }
    }
    if (process.env['SHOW'] !== undefined)
      process.stdout.write(`${JSON.stringify({ ...seen, caches: [...seen.caches] })}\n`)
    expect(seen.stale).toBeGreaterThan(WORLDS / 4)
    expect(seen.fresh).toBeGreaterThan(WORLDS)
    const all = ['CONTEXT', 'DEVICE_TLB', 'IOTLB', 'PAGING_STRUCTURE', 'PASID']
    expect([...seen.caches].sort()).toEqual(all)
  })

  test(`never accuses where all is invalidated (SEED=${SEED})`, () => {
    for (let world = 0; world < WORLDS / 5; world += 1) {
      const seed = SEED + world
      const run = new Run(seed, pick(lcg(seed + 7), VARIANTS), false)
      for (let i = 0; i < STEPS; i += 1) {
        const asked = run.step()
        if (asked === undefined) continue
        const { found, supported } = run.askBoth(asked)
        const where = `SEED=${seed} step ${i}`
        if (!supported || found.staleness !== undefined) {
          expect({ where, supported, found }).toEqual('supported')
        }
      }
    }
  })
})
