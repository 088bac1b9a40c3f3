/**
 * Where two states differ in what is durable: `Check` holds memory against the ledger with it. Left
 * out is what a restart forgets by design (cursors, ends of holds) and numbers at rest, which time
 * alone moves.
 */

import { REQUEST_IDS_KEPT_MIN } from './limits.js'
import { SLOT, type Namespace } from './namespace.js'
import type { RequestLog } from './requests.js'
import type { State } from './state.js'

/** One sentence a difference; `left` and `right` name the two states in it. */
export function differencesOf(
  left: State,
  right: State,
  names: { readonly left: string; readonly right: string },
): string[] {
  const say = (what: string, a: string | undefined, b: string | undefined): string => {
    return `${what}: ${names.left} has ${text(a)}, ${names.right} has ${text(b)}`
  }
  const found: string[] = []
  const ids = new Set([...left.namespaces.keys(), ...right.namespaces.keys()])
  for (const id of ids) {
    const [a, b] = [left.namespaces.get(id), right.namespaces.get(id)]
    for (const pasid of differingNumbers(a, b)) {
      const where = `${id === 0 ? 'HOST' : `DEVICE #${id - 1}`} pasid ${pasid}`
      found.push(say(where, numberFacts(a, pasid), numberFacts(b, pasid)))
    }
  }
  const compare = (what: string, a: Facts, b: Facts): void => {
    for (const key of new Set([...a.keys(), ...b.keys()])) {
      if (a.get(key) !== b.get(key)) found.push(say(`${what} ${key}`, a.get(key), b.get(key)))
    }
  }
  compare('limits of tenant', tenantFacts(left), tenantFacts(right))
  compare('session', sessionFacts(left), sessionFacts(right))
  compare('binding', bindingFacts(left), bindingFacts(right))
  compare('labels of grant', labelFacts(left), labelFacts(right))
  compare('requests of', requestFacts(left), requestFacts(right))
  return found
}

type Facts = ReadonlyMap<string, string>

function text(value: string | undefined): string {
  return value ?? 'nothing'
}

/** Walks both numberings in step; no allocation for numbers that agree. */
function* differingNumbers(a: Namespace | undefined, b: Namespace | undefined): Generator<number> {
  let x = nextHeld(a, 0)
  let y = nextHeld(b, 0)
  while (x !== undefined || y !== undefined) {
    if (x !== undefined && x === y) {
      if (a !== undefined && b !== undefined && !sameNumber(a, b, x)) yield x
      x = nextHeld(a, x)
      y = nextHeld(b, y)
    } else if (y === undefined || (x !== undefined && x < y)) {
      if (x !== undefined) yield x
      x = nextHeld(a, x ?? 0)
    } else {
      yield y
      y = nextHeld(b, y)
    }
  }
}

function nextHeld(namespace: Namespace | undefined, after: number): number | undefined {
  let at = namespace?.nextKnown(after)
  while (at !== undefined && namespace?.slotOf(at) === SLOT.QUARANTINED)
    at = namespace.nextKnown(at)
  return at
}

function sameNumber(a: Namespace, b: Namespace, pasid: number): boolean {
  const [x, y] = [a.holderOf(pasid), b.holderOf(pasid)]
  return (
    a.slotOf(pasid) === b.slotOf(pasid) &&
    a.bindingsOf(pasid) === b.bindingsOf(pasid) &&
    x.session === y.session &&
    x.tenant === y.tenant &&
    x.generation === y.generation &&
    x.at === y.at
  )
}

function numberFacts(namespace: Namespace | undefined, pasid: number): string | undefined {
  if (namespace === undefined || namespace.slotOf(pasid) === SLOT.FREE) return undefined
  const { session, tenant, generation, at } = namespace.holderOf(pasid)
  const slot = Object.entries(SLOT).find(([, value]) => value === namespace.slotOf(pasid))?.[0]
  return `${slot} session #${session} tenant #${tenant} generation ${generation} at ${at}`
}

function sessionFacts(state: State): Facts {
  const facts = new Map<string, string>()
  for (const { record, attachments } of state.sessions.values()) {
    const devices = [...attachments].map(([id, attachment]) => `${id}=${attachment.state}`)
    facts.set(record.name, `${sortedJson({ ...record })} on ${devices.sort().join(',')}`)
  }
  return facts
}

function tenantFacts(state: State): Facts {
  const facts = new Map<string, string>()
  for (const { name, override } of state.tenants.values()) {
    if (override !== undefined) facts.set(name, sortedJson({ ...override }))
  }
  return facts
}

function bindingFacts(state: State): Facts {
  const facts = new Map<string, string>()
  for (const [key, binding] of state.bindings) facts.set(`${key}`, sortedJson({ ...binding }))
  return facts
}

function labelFacts(state: State): Facts {
  const facts = new Map<string, string>()
  for (const [generation, { labels }] of state.labels) {
    facts.set(`${generation}`, sortedJson({ ...labels }))
  }
  // Labels of grants that rest entirely are not compared: see above.
  const held = new Set<string>()
  for (const namespace of state.namespaces.values()) {
    if (facts.size === 0) break
    for (let at = nextHeld(namespace, 0); at !== undefined; at = nextHeld(namespace, at)) {
      held.add(`${namespace.holderOf(at).generation}`)
    }
  }
  for (const key of facts.keys()) if (!held.has(key)) facts.delete(key)
  return facts
}

function requestFacts(state: State): Facts {
  const facts = new Map<string, string>()
  const add = (owner: string, log: RequestLog): void => {
    // Only those that must be kept: an older one may be forgotten here and not yet there.
    if (log.count > 0) facts.set(owner, [...log.entries()].slice(-REQUEST_IDS_KEPT_MIN).join(' '))
  }
  for (const { record, requests } of state.sessions.values()) add(record.name, requests)
  for (const { name, requests } of state.tenants.values()) add(`tenant ${name}`, requests)
  return facts
}

/** The same text for records that hold the same, whatever the order of their fields. */
function sortedJson(record: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(record, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    const fields: readonly (readonly [string, unknown])[] = Object.entries(value)
    return Object.fromEntries([...fields].sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
