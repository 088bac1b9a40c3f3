/**
 * What always holds between the parts of a state. For tests, start-up and `Check`; O(everything),
 * never on a hot path.
 */

import { bindingKey } from './binding.js'
import { RID } from './ids.js'
import { SLOT } from './namespace.js'
import type { Tenant } from './quota.js'
import { countOf } from './range.js'
import type { State } from './state.js'

/** Everything that is wrong with the state; empty when nothing is. */
export function problemsOf(state: State): string[] {
  return [
    ...numberProblems(state),
    ...bindingProblems(state),
    ...guestProblems(state),
    ...sessionProblems(state),
    ...tenantProblems(state),
    ...restProblems(state),
  ]
}

function numberProblems(state: State): string[] {
  const problems: string[] = []
  const held = new Map<number, number>()
  const used = new Map<number, number>()
  let bound = 0
  for (const namespace of state.namespaces.values()) {
    const counted = { [SLOT.HELD]: 0, [SLOT.FREE_PENDING]: 0, [SLOT.QUARANTINED]: 0 }
    const name = state.scopeName(namespace.id)
    for (let at = namespace.nextKnown(0); at !== undefined; at = namespace.nextKnown(at)) {
      const slot = namespace.slotOf(at)
      if (slot !== SLOT.FREE) counted[slot] += 1
      const { session, tenant } = namespace.holderOf(at)
      used.set(tenant, (used.get(tenant) ?? 0) + 1)
      if (namespace.isFree(at)) problems.push(`${name} ${at} is taken and in the free map`)
      if (namespace.bindingsOf(at) > 0) bound += namespace.bindingsOf(at)
      if (slot === SLOT.QUARANTINED) continue
      held.set(session, (held.get(session) ?? 0) + 1)
      if (!state.sessions.has(session)) problems.push(`${name} ${at} is held by no session`)
    }
    const { held: h, pending, quarantined } = namespace.counts
    const sums = [counted[SLOT.HELD], counted[SLOT.FREE_PENDING], counted[SLOT.QUARANTINED]]
    if (`${sums}` !== `${[h, pending, quarantined]}`) {
      problems.push(`${name} counts ${[h, pending, quarantined]}, has ${sums}`)
    }
    const all = h + pending + quarantined + namespace.reservedCount + namespace.freeCount
    if (all !== namespace.size - 1) problems.push(`${name} sums to ${all} of ${namespace.size - 1}`)
  }
  for (const { record, held: counts } of state.sessions.values()) {
    const has = held.get(record.id) ?? 0
    if (has !== counts) problems.push(`session ${record.name} counts ${counts} held, has ${has}`)
    let listed = 0
    for (const namespace of state.namespaces.values()) {
      for (const pasid of namespace.heldBy(record.id)) {
        if (namespace.sessionOf(pasid) === record.id) listed += 1
      }
    }
    if (listed !== has) problems.push(`session ${record.name} lists ${listed} numbers, has ${has}`)
  }
  let bindings = 0
  for (const { target } of state.bindings.values()) if (target !== RID) bindings += 1
  if (bound !== bindings) problems.push(`numbers count ${bound} bindings, there are ${bindings}`)
  return [...problems, ...chargeProblems(state, used)]
}

function chargeProblems(state: State, own: ReadonlyMap<number, number>): string[] {
  const problems: string[] = []
  const sums = new Map<number, number>()
  let host = 0
  for (const tenant of state.tenants.values()) {
    const count = own.get(tenant.id) ?? 0
    host += count
    for (let at: typeof tenant | undefined = tenant; at !== undefined; at = at.parent) {
      sums.set(at.id, (sums.get(at.id) ?? 0) + count)
    }
  }
  for (const tenant of state.tenants.values()) {
    const sum = sums.get(tenant.id) ?? 0
    if (sum !== tenant.used)
      problems.push(`tenant ${tenant.name} is charged ${tenant.used}, ${sum}`)
  }
  problems.push(...asideProblems(state))
  if (host !== state.hostUsed) problems.push(`host is charged ${state.hostUsed}, has ${host}`)
  return problems
}

/** What guarantees set aside, counted anew from the leaves up. */
function asideProblems(state: State): string[] {
  const inHost = new Map<number, number>()
  const { host } = state
  for (let at = host.nextKnown(0); at !== undefined; at = host.nextKnown(at)) {
    let tenant: Tenant | undefined = state.tenants.get(host.holderOf(at).tenant)
    for (; tenant !== undefined; tenant = tenant.parent) {
      inHost.set(tenant.id, (inHost.get(tenant.id) ?? 0) + 1)
    }
  }
  const problems: string[] = []
  const tenants = [...state.tenants.values()]
  const count = (tenant: Tenant): number => {
    const below = tenants
      .filter((at) => at.parent === tenant)
      .reduce((sum, at) => sum + count(at), 0)
    const used = inHost.get(tenant.id) ?? 0
    const aside = Math.max((tenant.policy?.guaranteedPasids ?? 0) - used, below, 0)
    const counted = [tenant.usedInHost, tenant.asideBelow, tenant.aside]
    if (`${counted}` !== `${[used, below, aside]}`) {
      problems.push(`tenant ${tenant.name} sets aside ${counted}, is ${[used, below, aside]}`)
    }
    return aside
  }
  const roots = tenants.filter((at) => at.parent === undefined)
  const aside = roots.reduce((sum, at) => sum + count(at), 0)
  if (aside !== state.hostAside.aside) {
    problems.push(`host sets aside ${state.hostAside.aside}, is ${aside}`)
  }
  return problems
}

function bindingProblems(state: State): string[] {
  const problems: string[] = []
  const bound = new Map<string, number>()
  for (const [key, binding] of state.bindings) {
    const device = state.devices.get(binding.device)
    const session = state.sessions.get(binding.session)
    const at = `binding of ${device?.name ?? binding.device} target ${binding.target}`
    if (key !== bindingKey(binding.device, binding.target)) problems.push(`${at} has key ${key}`)
    if (session === undefined) problems.push(`${at} belongs to no session`)
    else if (!session.bindings.has(key)) problems.push(`${at} is unknown to its session`)
    if (session !== undefined && !session.attachments.has(binding.device)) {
      problems.push(`${at} is on a device its session has not attached`)
    }
    if (session?.domains.get(binding.domain)?.has(key) !== true) {
      problems.push(`${at} is missing from domain ${binding.domain}`)
    }
    if (device === undefined || binding.target === RID) continue
    const place = `${device.namespace}:${binding.target}`
    bound.set(place, (bound.get(place) ?? 0) + 1)
    const namespace = state.namespace(device.namespace)
    const own = namespace.sessionOf(binding.target) === binding.session
    const slot = namespace.slotOf(binding.target)
    if (!own || (slot !== SLOT.HELD && slot !== SLOT.FREE_PENDING)) {
      problems.push(`${at} is of a number that its session does not hold`)
    }
  }
  for (const [place, count] of bound) {
    const [namespace = 0, pasid = 0] = place.split(':').map(Number)
    const counted = [...state.namespaces.values()].find(({ id }) => id === namespace)
    if (counted?.bindingsOf(pasid) !== count) problems.push(`${place} is bound ${count} times`)
  }
  return problems
}

function guestProblems(state: State): string[] {
  const problems: string[] = []
  for (const { record, bindings, guestPasids } of state.sessions.values()) {
    let named = 0
    for (const key of bindings) {
      const binding = state.bindings.get(key)
      if (binding?.guestPasid === undefined) continue
      const { device, guestPasid } = binding
      named += 1
      if (guestPasids.get(bindingKey(device, guestPasid)) === key) continue
      problems.push(`guest PASID ${guestPasid} of device ${device} does not lead to binding ${key}`)
    }
    if (named === guestPasids.size) continue
    const taken = `${guestPasids.size} guest PASIDs are taken, bindings name ${named}`
    problems.push(`session ${record.name}: ${taken}`)
  }
  return problems
}

function sessionProblems(state: State): string[] {
  const problems: string[] = []
  let requests = 0
  for (const session of state.sessions.values()) {
    const { record } = session
    requests += session.requests.count
    if (state.sessionByName.get(record.name) !== session) {
      problems.push(`session ${record.name} is not found by its name`)
    }
    if (record.id >= state.nextSession) problems.push(`session id ${record.id} may be given again`)
    for (const device of session.attachments.keys()) {
      if (!state.device(device).attachedBy.has(record.id)) {
        problems.push(`device ${device} does not know session ${record.name}`)
      }
    }
    let lost = 0
    for (const key of session.bindings) {
      const binding = state.bindings.get(key)
      if (binding === undefined) problems.push(`session ${record.name} names binding ${key}`)
      if (binding?.state === 'LOST') lost += 1
    }
    if (lost !== session.lost) {
      problems.push(`session ${record.name} counts ${session.lost} LOST bindings, has ${lost}`)
    }
    let inDomains = 0
    for (const members of session.domains.values()) inDomains += members.size
    if (inDomains !== session.bindings.size) {
      problems.push(`domains of session ${record.name} name ${inDomains} bindings`)
    }
  }
  for (const { name, attachedBy } of state.devices.values()) {
    for (const id of attachedBy) {
      if (state.sessions.has(id)) continue
      problems.push(`device ${name} is attached by session #${id}, which is not there`)
    }
  }
  for (const tenant of state.tenants.values()) requests += tenant.requests.count
  let tenantRequests = 0
  for (const { requestIds } of state.tenants.values()) tenantRequests += requestIds
  if (tenantRequests !== requests) {
    problems.push(`request ids of tenants count ${tenantRequests}, are ${requests}`)
  }
  if (requests !== state.requestIds) {
    problems.push(`request ids count ${state.requestIds}, are ${requests}`)
  }
  return problems
}

function tenantProblems(state: State): string[] {
  const counted = new Map<string, number>()
  for (const session of state.sessions.values()) {
    for (let at: Tenant | undefined = state.tenantOf(session); at !== undefined; at = at.parent) {
      counted.set(at.name, (counted.get(at.name) ?? 0) + 1)
    }
  }
  const problems: string[] = []
  for (const { name, sessions } of state.tenants.values()) {
    const has = counted.get(name) ?? 0
    if (has !== sessions) problems.push(`tenant ${name} counts ${sessions} sessions, has ${has}`)
  }
  return problems
}

/** Numbers at rest, and labels, which live until the last number of their grant is free. */
function restProblems(state: State): string[] {
  const problems: string[] = []
  let queued = 0
  for (const { namespace: id, runs } of state.quarantine.entries()) {
    queued += countOf(runs)
    const first = runs[0]?.first ?? 0
    if (state.namespace(id).slotOf(first) === SLOT.QUARANTINED) continue
    problems.push(`${state.scopeName(id)} ${first} is queued to leave and does not rest`)
  }
  let counted = 0
  for (const namespace of state.namespaces.values()) counted += namespace.counts.quarantined
  if (queued !== counted) problems.push(`${counted} numbers rest, ${queued} are queued to leave`)
  if (state.labels.size === 0) return problems
  const numbers = new Map<number, number>()
  for (const namespace of state.namespaces.values()) {
    for (let at = namespace.nextKnown(0); at !== undefined; at = namespace.nextKnown(at)) {
      const { generation } = namespace.holderOf(at)
      if (state.labels.has(generation)) numbers.set(generation, (numbers.get(generation) ?? 0) + 1)
    }
  }
  for (const [generation, { numbers: count }] of state.labels) {
    const has = numbers.get(generation) ?? 0
    if (has !== count) problems.push(`grant ${generation} counts ${count} numbers, has ${has}`)
  }
  return problems
}
