/**
 * What must hold between the values of the configuration: the tenant tree, windows and
 * reservations. Each answers with problems and changes nothing.
 */

import { PASID_LAST } from '../../core/ids.js'
import { TENANT_DEPTH_MAX, TENANTS_MAX } from '../../core/limits.js'
import { intersect, type PasidRange } from '../../core/range.js'
import type { Entries, Entry, Problem } from './document.js'
import { didYouMean } from './nearest.js'
import type { ReservationEntry, TenantEntry } from './schema.js'

type Tenants = Entries<TenantEntry>

function backwards({ first, last }: PasidRange): string | undefined {
  if (first <= last) return undefined
  return `first is ${first} and last is ${last}, but first must not be greater than last`
}

/** Every name once. */
export function checkNames<T extends { readonly name: string }>(
  entries: Entries<T> | undefined,
): Problem[] {
  const firsts = new Map<string, Entry<T>>()
  const problems: Problem[] = []
  for (const entry of entries?.valid ?? []) {
    const { name } = entry.value
    const first = firsts.get(name)
    if (first === undefined) firsts.set(name, entry)
    else {
      const text = `is "${name}", which ${keyText(first.path)} has already; choose another`
      problems.push({ path: [...entry.path, 'name'], text })
    }
  }
  return problems
}

export function keyText(path: readonly (string | number)[]): string {
  return path
    .map((key, at) => (typeof key === 'number' ? `[${key}]` : at === 0 ? key : `.${key}`))
    .join('')
}

/** From the tenant upwards, itself first; ends at the root, or where a name comes again. */
export function lineage(byName: ReadonlyMap<string, Entry<TenantEntry>>, name: string): string[] {
  const names: string[] = []
  for (let at: string | undefined = name; at !== undefined; at = byName.get(at)?.value.parent) {
    names.push(at)
    if (names.indexOf(at) !== names.length - 1) break
  }
  return names
}

/** Parents exist, no cycle, not too deep, not too many. */
export function checkTree(tenants: Tenants): Problem[] {
  const byName = new Map(tenants.valid.map((entry) => [entry.value.name, entry]))
  const problems: Problem[] = []
  for (const { value, path } of tenants.valid) {
    const at = [...path, 'parent']
    if (value.parent !== undefined && !tenants.names.has(value.parent)) {
      const known = [...tenants.names].filter((name) => name !== value.name)
      const advice = known.length === 0 ? 'there is no other' : didYouMean(value.parent, known)
      problems.push({ path: at, text: `is "${value.parent}", which is no tenant; ${advice}` })
    }
    const names = lineage(byName, value.name)
    if (names.indexOf(value.name) !== names.lastIndexOf(value.name)) {
      const way = names.join(' -> ')
      problems.push({ path: at, text: `makes a circle: ${way}; one of them must have no parent` })
    } else if (names.length > TENANT_DEPTH_MAX) {
      const text = `is at depth ${names.length}, the tree has at most ${TENANT_DEPTH_MAX}`
      problems.push({ path: at, text })
    }
  }
  if (tenants.valid.length > TENANTS_MAX) {
    const text = `has ${tenants.valid.length} entries, must have at most ${TENANTS_MAX}`
    problems.push({ path: ['tenant'], text })
  }
  return problems
}

/** Windows are the right way round and leave something of those above. */
export function checkWindows(tenants: Tenants): Problem[] {
  const byName = new Map(tenants.valid.map((entry) => [entry.value.name, entry]))
  const problems: Problem[] = []
  for (const { value, path } of tenants.valid) {
    if (value.window === undefined) continue
    const at = [...path, 'window']
    const wrong = backwards(value.window)
    if (wrong !== undefined) {
      problems.push({ path: at, text: wrong })
      continue
    }
    let left: PasidRange | undefined = value.window
    for (const name of lineage(byName, value.name).slice(1)) {
      const above = byName.get(name)?.value.window
      if (above === undefined || left === undefined || backwards(above) !== undefined) continue
      left = intersect(left, above)
      if (left !== undefined) continue
      const { first, last } = value.window
      const outer = `${above.first} to ${above.last}`
      const text = `is ${first} to ${last}, nothing of it is in the window ${outer} of "${name}"`
      problems.push({ path: at, text: `${text}, which holds for it too` })
    }
  }
  return problems
}

/** Reservations are the right way round, apart from each other, and leave something. */
export function checkReservations(entries: Entries<ReservationEntry> | undefined): Problem[] {
  const problems: Problem[] = []
  const seen: Entry<ReservationEntry>[] = []
  let reserved = 0
  for (const entry of entries?.valid ?? []) {
    const { value, path } = entry
    const wrong = backwards(value)
    if (wrong !== undefined) {
      problems.push({ path, text: wrong })
      continue
    }
    const other = seen.find((before) => intersect(before.value, value) !== undefined)
    if (other !== undefined) {
      const both = `${value.first} to ${value.last} and ${other.value.first} to ${other.value.last}`
      problems.push({ path, text: `overlaps ${keyText(other.path)}: ${both}; join or part them` })
    }
    seen.push(entry)
    reserved += value.last - value.first + 1
  }
  if (problems.length === 0 && reserved === PASID_LAST) {
    const text = `reserve all ${PASID_LAST} numbers; leave some to be given out`
    problems.push({ path: ['namespace', 'reservations'], text })
  }
  return problems
}
