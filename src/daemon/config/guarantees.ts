/**
 * What tenants are guaranteed can be kept: it fits the limits above, the windows, and the numbers
 * that are not reserved. A guarantee counts numbers of HOST scope and says nothing of which.
 * Holds: called only for tenants that are a tree, with windows that leave something.
 */

import { PASID_LAST } from '../../core/ids.js'
import { intersect, type PasidRange } from '../../core/range.js'
import { keyText, lineage } from './checks.js'
import type { Document, Entry, Problem } from './document.js'
import { reachableTenants } from './identity.js'
import type { TenantEntry } from './schema.js'
import { hasImplicitDefault, reservationsOf } from './tenants.js'

const WHOLE: PasidRange = { first: 1, last: PASID_LAST }
const REMEDY = 'or lower guaranteed_pasids'

type Tenant = Entry<TenantEntry>

/** The tenants with what they need of each other. */
class Tree {
  readonly byName: ReadonlyMap<string, Tenant>
  readonly #children = new Map<string | undefined, Tenant[]>()
  readonly #demands = new Map<string, number>()

  constructor(tenants: readonly Tenant[]) {
    this.byName = new Map(tenants.map((tenant) => [tenant.value.name, tenant]))
    for (const tenant of tenants) {
      const { parent } = tenant.value
      // A parent that is wrong is no entry here; then its children stand alone.
      const above = parent !== undefined && this.byName.has(parent) ? parent : undefined
      const siblings = this.#children.get(above)
      if (siblings === undefined) this.#children.set(above, [tenant])
      else siblings.push(tenant)
    }
  }

  childrenOf(name: string | undefined): readonly Tenant[] {
    return this.#children.get(name) ?? []
  }

  /** What the tenants directly below need together; undefined: the roots. */
  below(name: string | undefined): number {
    return this.childrenOf(name).reduce((sum, child) => sum + this.demand(child), 0)
  }

  /** What the tenant and all below it are sure of. Beyond its own limit it is told there, once. */
  demand({ value }: Tenant): number {
    const known = this.#demands.get(value.name)
    if (known !== undefined) return known
    const wanted = Math.max(value.guaranteed_pasids ?? 0, this.below(value.name))
    const demand = Math.min(wanted, value.max_pasids ?? Infinity)
    this.#demands.set(value.name, demand)
    return demand
  }

  lineageOf(name: string): Tenant[] {
    return lineage(this.byName, name).flatMap((one) => this.byName.get(one) ?? [])
  }

  /** The HOST numbers it may be given. */
  windowOf(name: string): PasidRange | undefined {
    let window: PasidRange | undefined = WHOLE
    for (const { value } of this.lineageOf(name)) {
      if (value.window !== undefined && window !== undefined)
        window = intersect(window, value.window)
    }
    return window
  }
}

/** Numbers of the range that are not reserved. Reservations do not overlap. */
function usable(document: Document, range: PasidRange): number {
  let count = range.last - range.first + 1
  for (const reservation of reservationsOf(document)) {
    const taken = intersect(range, reservation)
    if (taken !== undefined) count -= taken.last - taken.first + 1
  }
  return count
}

function checkLimits({ value, path }: Tenant, tree: Tree): Problem[] {
  const { max_pasids: limit, guaranteed_pasids: own = 0, name } = value
  if (limit === undefined) return []
  if (own > limit) {
    const text = `is ${own}, must be at most its max_pasids, which is ${limit}`
    return [{ path: [...path, 'guaranteed_pasids'], text }]
  }
  const below = tree.below(name)
  if (below <= limit) return []
  const text = `is ${limit}, but those below it are guaranteed ${below} together; raise it`
  return [{ path: [...path, 'max_pasids'], text: `${text}, ${REMEDY}` }]
}

function checkWindow(tenant: Tenant, tree: Tree, document: Document): Problem[] {
  const { value, path } = tenant
  const window = tree.windowOf(value.name)
  if (value.window === undefined || window === undefined) return []
  const demand = tree.demand(tenant)
  const count = usable(document, window)
  if (demand <= count) return []
  const { first, last } = window
  const has = `leaves ${first} to ${last}, ${count} numbers that are not reserved`
  const text = `${has}, but ${demand} are guaranteed in it; widen it, ${REMEDY}`
  return [{ path: [...path, 'window'], text }]
}

function checkRoots(tree: Tree, document: Document): Problem[] {
  const demand = tree.below(undefined)
  const { max_pasids: limit } = document.namespace
  const count = usable(document, WHOLE)
  if (limit !== undefined && demand > limit) {
    const text = `is ${limit}, but tenants are guaranteed ${demand} together; raise it, ${REMEDY}`
    return [{ path: ['namespace', 'max_pasids'], text }]
  }
  if (demand <= count) return []
  const first = tree.childrenOf(undefined).find((root) => tree.demand(root) > 0)
  const text = `tenants are guaranteed ${demand} together, but only ${count} numbers of HOST`
  const path = [...(first?.path ?? ['tenant']), 'guaranteed_pasids']
  return [{ path, text: `${text} scope are not reserved; reserve less, ${REMEDY}` }]
}

export function checkGuarantees(document: Document): Problem[] {
  const { valid } = document.tenants
  const tree = new Tree(valid)
  const problems = valid.flatMap((tenant) => [
    ...checkLimits(tenant, tree),
    ...checkWindow(tenant, tree, document),
  ])
  return [...problems, ...checkRoots(tree, document)]
}

interface Taker {
  readonly name: string
  readonly window: PasidRange
}

/** Tenants that can be given numbers: somebody is it, and nothing at or above it denies. */
function takersOf(document: Document, tree: Tree): Taker[] {
  const reachable = reachableTenants(document)
  const takers: Taker[] = []
  for (const { value } of document.tenants.valid) {
    const line = tree.lineageOf(value.name).map((tenant) => tenant.value)
    const window = tree.windowOf(value.name)
    const session = line.find((one) => one.session_max_pasids !== undefined)?.session_max_pasids
    const isDenied =
      (session ?? document.namespace.session_max_pasids) === 0 ||
      line.some((one) => one.max_pasids === 0 || one.max_sessions === 0)
    if (!reachable.has(value.name) || isDenied || window === undefined) continue
    takers.push({ name: value.name, window })
  }
  const { vmm_tenant: main } = document.daemon
  if (hasImplicitDefault(document) && reachable.has(main))
    takers.push({ name: main, window: WHOLE })
  return takers
}

/** A guarantee in a window that others use too: they may have taken the places. */
export function guaranteeWarnings(document: Document): string[] {
  const tree = new Tree(document.tenants.valid)
  const takers = takersOf(document, tree)
  return document.tenants.valid.flatMap(({ value, path }) => {
    const { name, guaranteed_pasids: guaranteed = 0 } = value
    const window = tree.windowOf(name)
    const isWindowed = tree.lineageOf(name).some((one) => one.value.window !== undefined)
    if (guaranteed === 0 || !isWindowed || window === undefined) return []
    const isInside = (other: string) => lineage(tree.byName, other).includes(name)
    const other = takers.find(
      (taker) => intersect(window, taker.window) !== undefined && !isInside(taker.name),
    )
    if (other === undefined) return []
    const { first, last } = window
    const text = `"${other.name}" can be given numbers of the window ${first} to ${last} as well`
    const key = keyText([...path, 'guaranteed_pasids'])
    return [`${key}: counts numbers, not places: tenant ${text}; give it a window apart`]
  })
}
