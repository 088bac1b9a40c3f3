/**
 * The staleness oracle: whether the tables still support what a request met, and if not, the least
 * set of invalidations after which it would have met what they say.
 *
 * How: before the request itself, its way is gone with invalidations imagined, first adding what
 * cached entry it meets until nothing false is left, then by trying the subsets of those, smallest
 * first. What the request then puts into the caches is its consequence, and not among them.
 * So a set that is named is complete (with all of it, the request meets what the tables say),
 * minimal (no smaller choice of them would do), and empty for every answer that the tables support.
 * An answer is supported when it is the same address, or a fault with the same code, recorded or
 * not alike; of a write also the dirty flag must be set in the tables (else dirty tracking lost
 * it). Rights and pages that the access did not touch do not count, nor do accessed flags.
 * Called by the unit.
 */

import type { CacheName } from '../lab.js'
import type { VtdDescriptor } from '../../uapi/vtd-descriptor.js'
import { descriptorOf, inOrder, removalOf, type Hit, type Removal } from './needed.js'
import type {
  Access,
  Followed,
  Outcome,
  RequestPath,
  UnitCaches,
  UnitDevice,
} from './request-path.js'

export interface NeededInvalidation {
  readonly cache: CacheName
  /** That does it. */
  readonly descriptor: VtdDescriptor
}

export interface Staleness {
  /** What the tables say. */
  readonly tables: Outcome
  /** For people: what differs. */
  readonly difference: string
  /** Never empty; in the order in which they are to be made. */
  readonly needed: readonly NeededInvalidation[]
}

/** What the tables say, and the least set after which the request would meet it; none: it will. */
interface Foresight {
  readonly tables: Followed
  readonly needed: readonly Removal[] | undefined
}

/**
 * Cached entries that one request can meet, and choices of them that are tried: more than any way
 * has. Who rewrites the tables meanwhile gets no answer, or one that is not the least; and no time.
 */
const REMOVALS_MAX = 64
const TRIES_MAX = 1024

const TABLES_ONLY = { caches: undefined, live: false, imagined: undefined } as const

export class Oracle {
  readonly #path: RequestPath
  readonly #caches: UnitCaches

  constructor(path: RequestPath, caches: UnitCaches) {
    this.#path = path
    this.#caches = caches
  }

  /** What the tables say, and nothing else. Leaves no traces. */
  probe(device: UnitDevice, access: Access): Followed {
    return this.#path.follow(device, access, TABLES_ONLY)
  }

  /** Of what the request is about to meet, before it fills caches and sets flags. */
  foresee(device: UnitDevice, access: Access): Foresight {
    const hits: Hit[] = []
    const met = this.#imagine(device, access, [], hits)
    // A way without any cached entry is that of the tables.
    if (hits.length === 0) return { tables: met, needed: undefined }
    const tables = this.probe(device, access)
    if (supports(tables, met, access)) return { tables, needed: undefined }
    return { tables, needed: this.#findNeeded(device, access, tables) }
  }

  /**
   * Of what it has met. Where its own fills have replaced entries on its way, that need not be what
   * was foreseen: a false one may be gone, or have come forth, which the caches then still show.
   */
  judge(
    device: UnitDevice,
    access: Access,
    foreseen: Foresight,
    met: Followed,
  ): Staleness | undefined {
    const { tables } = foreseen
    if (supports(tables, met, access)) return undefined
    const needed = foreseen.needed ?? this.#findNeeded(device, access, tables)
    if (needed === undefined) return undefined
    return {
      tables: tables.outcome,
      difference: differenceOf(tables, met),
      needed: inOrder(needed).map((removal) => {
        return { cache: removal.cache, descriptor: descriptorOf(removal) }
      }),
    }
  }

  /** Undefined: somebody changes the tables meanwhile, so that nothing can be said. */
  #findNeeded(
    device: UnitDevice,
    access: Access,
    tables: Followed,
  ): readonly Removal[] | undefined {
    const { addressMask } = this.#path.options
    const all: Removal[] = []
    for (;;) {
      const hits: Hit[] = []
      if (supports(tables, this.#imagine(device, access, all, hits), access)) break
      const hit = hits[0]
      if (hit === undefined || all.length === REMOVALS_MAX) return undefined
      all.push(removalOf(hit, addressMask))
    }
    // What was false has been replaced in its cache already, or in memory.
    if (all.length === 0) return undefined
    let tries = 0
    const cures = (some: readonly Removal[]): boolean => {
      tries += 1
      return supports(tables, this.#imagine(device, access, some, []), access)
    }
    const mayTry = (): boolean => tries < TRIES_MAX
    for (let size = 1; size < all.length && mayTry(); size += 1) {
      const found = findSubset(all, size, 0, [], { cures, mayTry })
      if (found !== undefined) return found
    }
    return all
  }

  #imagine(
    device: UnitDevice,
    access: Access,
    removals: readonly Removal[],
    hits: Hit[],
  ): Followed {
    const view = { caches: this.#caches, live: false, imagined: { removals, hits } }
    return this.#path.follow(device, access, view)
  }
}

interface Judge {
  readonly cures: (some: readonly Removal[]) => boolean
  readonly mayTry: () => boolean
}

/** The first choice of `size` from `from` on that, added to `chosen`, is a cure. */
function findSubset(
  all: readonly Removal[],
  size: number,
  from: number,
  chosen: readonly Removal[],
  judge: Judge,
): readonly Removal[] | undefined {
  if (size === 0) return judge.cures(chosen) ? chosen : undefined
  for (let i = from; i + size <= all.length && judge.mayTry(); i += 1) {
    const one = all[i]
    if (one === undefined) return undefined
    const found = findSubset(all, size - 1, i + 1, [...chosen, one], judge)
    if (found !== undefined) return found
  }
  return undefined
}

function supports(tables: Followed, met: Followed, access: Access): boolean {
  const true_ = tables.outcome
  const said = met.outcome
  if (true_.kind === 'FAULT' || said.kind === 'FAULT') {
    if (true_.kind !== 'FAULT' || said.kind !== 'FAULT') return false
    return true_.code === said.code && true_.recorded === said.recorded
  }
  if (true_.address !== said.address) return false
  if (!access.write || tables.dirty) return true
  // A walk that is only imagined would have set the flags that it came to.
  if (met.source !== 'TABLES') return false
  const first = tables.leaf === -1 || tables.leaf === met.leaf
  return first && (tables.secondLeaf === -1 || tables.secondLeaf === met.secondLeaf)
}

function differenceOf(tables: Followed, met: Followed): string {
  const [now, then] = [textOf(tables.outcome), textOf(met.outcome)]
  const who = met.source === 'TABLES' ? 'a walk by cached entries' : `the ${met.source}`
  if (now !== then) return `the tables say ${now}; ${who} said ${then}`
  return `${who} took a write whose dirty flag is clear in the tables`
}

function textOf(outcome: Outcome): string {
  if (outcome.kind === 'TRANSLATED') return `0x${outcome.address.toString(16)}`
  return outcome.recorded ? outcome.fault : `${outcome.fault}, which is not recorded`
}
