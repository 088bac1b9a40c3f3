/**
 * Limits and guarantees as the naive model says them: from the tenants in force and from what each
 * has taken by itself, counted anew for every question. Nothing is kept from one to the next.
 */

import type { TenantOverride, TenantPolicy } from '../../src/core/quota.js'
import type { PasidRange } from '../../src/core/range.js'
import type { RefusalOf } from '../../src/core/refusal.js'

const NUMBER_LAST = 1_048_575

export interface QuotaTenant {
  readonly name: string
  readonly policy: TenantPolicy | undefined
  /** Numbers charged to it, those of its descendants left out. */
  readonly own: { readonly all: number; readonly inHost: number }
}

interface Limit {
  readonly level: 'HOST' | 'TENANT'
  readonly subject: string
  readonly limit: number
  readonly used: number
  /** Under which tenant it holds; undefined: under the host. */
  readonly at: QuotaTenant | undefined
}

/** So many more, for one tenant. */
interface More {
  readonly tenant: QuotaTenant
  readonly count: number
}

/** The configuration's limits with those changed at run time in their place; null = inherited. */
export function changed(policy: TenantPolicy, override: TenantOverride): TenantPolicy {
  const set = Object.entries(override).map(([limit, value]) => [limit, value ?? undefined] as const)
  return { ...policy, ...Object.fromEntries(set) }
}

export class QuotaTree {
  readonly #byName: ReadonlyMap<string, QuotaTenant>
  readonly #below = new Map<QuotaTenant | undefined, QuotaTenant[]>()
  #guaranteed = 0

  constructor(
    readonly tenants: readonly QuotaTenant[],
    readonly hostLimit: number | undefined,
    /** Of HOST scope. */
    readonly reservations: readonly PasidRange[],
  ) {
    this.#byName = new Map(tenants.map((tenant) => [tenant.name, tenant]))
    for (const tenant of tenants) {
      this.#guaranteed += tenant.policy?.guaranteedPasids ?? 0
      const above = this.named(tenant.policy?.parent)
      this.#below.set(above, [...this.below(above), tenant])
    }
  }

  named(name: string | undefined): QuotaTenant | undefined {
    return name === undefined ? undefined : this.#byName.get(name)
  }

  line(tenant: QuotaTenant | undefined): QuotaTenant[] {
    if (tenant === undefined) return []
    return [tenant, ...this.line(this.named(tenant.policy?.parent))]
  }

  below(tenant: QuotaTenant | undefined): readonly QuotaTenant[] {
    return this.#below.get(tenant) ?? []
  }

  used(tenant: QuotaTenant | undefined, which: 'all' | 'inHost'): number {
    let used = tenant?.own[which] ?? 0
    for (const at of this.below(tenant)) used += this.used(at, which)
    return used
  }

  /** What guarantees keep under the tenant, or the host, for those below it. */
  promised(tenant: QuotaTenant | undefined, more: More | undefined): number {
    const takers = this.line(more?.tenant)
    let promised = 0
    for (const at of this.below(tenant)) {
      const used = this.used(at, 'inHost') + (takers.includes(at) ? (more?.count ?? 0) : 0)
      const unused = Math.max(0, (at.policy?.guaranteedPasids ?? 0) - used)
      promised += Math.max(unused, this.promised(at, more))
    }
    return promised
  }

  /** Every limit that a number of the tenant counts against, nearest first. */
  limits(tenant: QuotaTenant): Limit[] {
    const limits = this.line(tenant).flatMap((at): Limit[] => {
      const limit = at.policy === undefined ? 0 : at.policy.maxPasids
      if (limit === undefined) return []
      return [{ level: 'TENANT', subject: at.name, limit, used: this.used(at, 'all'), at }]
    })
    if (this.hostLimit === undefined) return limits
    const host = { level: 'HOST', subject: 'host', at: undefined } as const
    return [...limits, { ...host, limit: this.hostLimit, used: this.used(undefined, 'all') }]
  }

  /** The numbering of HOST scope as a limit: what is taken or reserved beside what is free. */
  numbering(free: number): Limit {
    const named = { level: 'HOST', subject: 'HOST scope', at: undefined } as const
    return { ...named, limit: NUMBER_LAST, used: NUMBER_LAST - free }
  }

  refusal(tenant: QuotaTenant, asked: number, free: number, inHost: boolean) {
    for (const limit of this.limits(tenant)) {
      const refused = this.#exceeds(limit, { tenant, count: asked }, inHost)
      if (refused !== undefined) return refused
    }
    // More than are free is for another refusal to say.
    if (!inHost || asked > free) return undefined
    return this.#exceeds(this.numbering(free), { tenant, count: asked }, true)
  }

  #exceeds(limit: Limit, more: More, inHost: boolean): RefusalOf<'QUOTA_EXCEEDED'> | undefined {
    const { at, level, subject, limit: most, used } = limit
    const asked = more.count
    // No more than everything can be promised: then there is nothing to work out.
    if (used + asked + this.#guaranteed <= most) return undefined
    const before = this.promised(at, undefined)
    const aside = this.promised(at, inHost ? more : undefined)
    const isKept = before - aside === asked
    if (used + asked <= most && (isKept || used + asked + aside <= most)) return undefined
    return { code: 'QUOTA_EXCEEDED', level, subject, limit: most, used, aside, asked }
  }

  /** The most that one ask may be for; undefined: nothing sets a bound. */
  headroom(tenant: QuotaTenant, free: number, inHost: boolean): number | undefined {
    const limits = this.limits(tenant)
    const others = this.promised(undefined, { tenant, count: NUMBER_LAST })
    if (inHost && others > 0) limits.push(this.numbering(free))
    if (limits.length === 0) return undefined
    const mayTake = (count: number): boolean => {
      return limits.every((limit) => !this.#exceeds(limit, { tenant, count }, inHost))
    }
    // What is refused stays refused for more: halving finds the last that is not.
    let [most, tooMany] = [0, NUMBER_LAST + 1]
    while (tooMany - most > 1) {
      const middle = Math.floor((most + tooMany) / 2)
      if (mayTake(middle)) most = middle
      else tooMany = middle
    }
    return most
  }

  /** Whether the tenant's guarantee fits every limit that it stands under, with all the others. */
  keeps(tenant: QuotaTenant): boolean {
    const guaranteed = tenant.policy?.guaranteedPasids ?? 0
    if (guaranteed === 0) return true
    const line = this.line(tenant)
    const needs = (at: QuotaTenant | undefined): number => {
      if (at === tenant) return guaranteed
      const below = this.below(at).reduce((sum, child) => sum + needs(child), 0)
      const onWay = at === undefined || line.includes(at)
      return onWay ? below : Math.max(at.policy?.guaranteedPasids ?? 0, below)
    }
    const fits = line.every((at) => {
      const limit = at.policy?.maxPasids ?? Infinity
      return needs(at) <= Math.min(limit, this.#usable(this.line(at)))
    })
    return fits && needs(undefined) <= Math.min(this.hostLimit ?? Infinity, this.#usable([]))
  }

  /** Numbers in all of the windows and in no reservation. */
  #usable(line: readonly QuotaTenant[]): number {
    const windows = line.flatMap(({ policy }) => policy?.window ?? [])
    const first = Math.max(1, ...windows.map((window) => window.first))
    const last = Math.min(NUMBER_LAST, ...windows.map((window) => window.last))
    let count = Math.max(0, last - first + 1)
    for (const reserved of this.reservations) {
      const from = Math.max(first, reserved.first)
      count -= Math.max(0, Math.min(last, reserved.last) - from + 1)
    }
    return count
  }
}
