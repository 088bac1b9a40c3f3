/**
 * What a VMM makes of its guest's invalidation queue: from each descriptor to the call that it
 * sends to the broker. Pure; keeps only which domains are bound. The rules:
 *
 * - The recorded guest used RID_PASID (PASID 0) everywhere. Here each of its domains has a PASID of
 *   the broker instead, and a first-stage table that the demo makes up.
 * - With caching mode on, a PASID-cache invalidation is how a VMM hears that the guest wrote a
 *   PASID entry: the first of a domain becomes a bind, every later one a replace with a new table.
 * - A PASID-based IOTLB invalidation of a domain that is not bound yet can reach nothing. It is
 * sent
 *   at domain granularity, where that is legal, so that every descriptor gets its answer.
 * - Context-cache and plain IOTLB invalidations know no PASID: they become domain granularity.
 * Doing
 *   more than asked is legal.
 */

import type { Descriptor, DescriptorKind, PageRange } from './descriptors.js'

export type Command = BindCommand | InvalidateCommand

export interface BindCommand {
  readonly verb: 'bind'
  readonly domain: number
  /** Guest-physical address of the made-up top-level table. */
  readonly table: number
  readonly replace: boolean
}

export type InvalidateCommand =
  | { readonly verb: 'invalidate'; readonly reach: 'domain'; readonly domains: readonly number[] }
  | { readonly verb: 'invalidate'; readonly reach: 'pasid'; readonly domain: number }
  | {
      readonly verb: 'invalidate'
      readonly reach: 'addresses'
      readonly domain: number
      readonly range: PageRange
    }

/** What is done with a descriptor. */
export type Step =
  | { readonly kind: 'command'; readonly command: Command }
  /** Everything before it must have been answered. */
  | { readonly kind: 'wait' }
  /** Interrupt remapping is the VMM's own. */
  | { readonly kind: 'not-ours' }

/** Rows of the report. */
export const CALLS = [
  'bind',
  'replace',
  'invalidate addresses',
  'invalidate PASID',
  'invalidate domain',
] as const
export type Call = (typeof CALLS)[number]

const TABLE_BASE = 0x1_0000_0000
const PAGE_BYTES = 4096
/** Room for so many tables in a row, one page each, before the next domain's. */
const TABLES_PER_DOMAIN = 256

export class Plan {
  /** Domain -> how many tables it has had. */
  readonly #bound = new Map<number, number>()

  next(descriptor: Descriptor): Step {
    switch (descriptor.kind) {
      case 'wait':
        return { kind: 'wait' }
      case 'interrupt-entry':
        return { kind: 'not-ours' }
      case 'pasid-cache':
        return { kind: 'command', command: this.#pasidCache(descriptor) }
      case 'pasid-iotlb':
        return { kind: 'command', command: this.#pasidIotlb(descriptor) }
      case 'context-cache':
      case 'iotlb':
        return { kind: 'command', command: this.#wide(descriptor) }
    }
  }

  #pasidCache(descriptor: Extract<Descriptor, { kind: 'pasid-cache' }>): Command {
    const { granularity, domain } = descriptor
    if (granularity !== 'pasid') return this.#wide(descriptor)
    const tables = this.#bound.get(domain) ?? 0
    this.#bound.set(domain, tables + 1)
    const page = domain * TABLES_PER_DOMAIN + (tables % TABLES_PER_DOMAIN)
    const table = TABLE_BASE + page * PAGE_BYTES
    return { verb: 'bind', domain, table, replace: tables > 0 }
  }

  #pasidIotlb(descriptor: Extract<Descriptor, { kind: 'pasid-iotlb' }>): Command {
    const { domain, range } = descriptor
    if (!this.#bound.has(domain)) return { verb: 'invalidate', reach: 'domain', domains: [domain] }
    if (range === undefined) return { verb: 'invalidate', reach: 'pasid', domain }
    return { verb: 'invalidate', reach: 'addresses', domain, range }
  }

  #wide({ granularity, domain }: { granularity: string; domain: number }): Command {
    const domains = granularity === 'global' ? [...this.#bound.keys()] : [domain]
    return { verb: 'invalidate', reach: 'domain', domains }
  }
}

export function callOf(command: Command): Call {
  if (command.verb === 'bind') return command.replace ? 'replace' : 'bind'
  switch (command.reach) {
    case 'addresses':
      return 'invalidate addresses'
    case 'pasid':
      return 'invalidate PASID'
    case 'domain':
      return 'invalidate domain'
  }
}

/** The domains that need a PASID: those that a PASID-cache descriptor will bind. */
export function domainsOf(descriptors: Iterable<Descriptor>): number[] {
  const domains = new Set<number>()
  for (const descriptor of descriptors) {
    const isBind = descriptor.kind === 'pasid-cache' && descriptor.granularity === 'pasid'
    if (isBind) domains.add(descriptor.domain)
  }
  return [...domains].sort((a, b) => a - b)
}

/** In the order of the specification's types. */
export const KINDS: readonly DescriptorKind[] = [
  'context-cache',
  'iotlb',
  'interrupt-entry',
  'wait',
  'pasid-iotlb',
  'pasid-cache',
]
