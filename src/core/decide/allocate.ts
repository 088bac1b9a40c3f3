/** AllocatePasids: one number, a naturally aligned block, or exact numbers, all or none. */

import type { AllocatePasids, Now } from '../commands.js'
import { accepted, refused, repeated, type Decided } from '../decided.js'
import type { Granted } from '../events.js'
import { generation as asGeneration, HOST_NAMESPACE, type Generation } from '../ids.js'
import type { Namespace } from '../namespace.js'
import { checkTenants, fits, windowOf } from '../quota.js'
import { contains, intersect, runsOf, type PasidRange, type PasidRun } from '../range.js'
import { ACCEPTED, accept, refuse, type Outcome } from '../refusal.js'
import type { Session } from '../session.js'
import type { State } from '../state.js'
import { widthIn } from './bind-group.js'
import { attachedDevice, keepRequest, namespaceOf, openSession, replay } from './preconditions.js'

export interface Allocated {
  readonly runs: readonly PasidRun[]
  readonly generation: Generation
}

export function allocate(state: State, command: AllocatePasids, now: Now): Decided<Allocated> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  const seen = replay(
    state,
    state.tenantOf(session.found),
    session.found.requests,
    'AllocatePasids',
    command.request,
  )
  if (seen.kind === 'stop') return seen.stop
  if (seen.kind === 'again') {
    const runs = runsAsked(command, seen.answer)
    return repeated(seen.revision, { runs, generation: asGeneration(seen.revision) })
  }
  const namespace = namespaceOf(state, session.found, command.scope)
  if (!namespace.ok) return refused(namespace.refusal)
  const range = allowedRange(state, session.found, namespace.value, command)
  if (!range.ok) return refused(range.refusal)
  const quota = checkQuota(state, session.found, namespace.value, countAsked(command))
  if (!quota.ok) return refused(quota.refusal)
  const runs = choose(state, namespace.value, command, range.value, now)
  if (!runs.ok) return refused(runs.refusal)
  return grant(state, session.found, namespace.value, command, runs.value, now)
}

function countAsked(command: AllocatePasids): number {
  const { ask } = command
  return ask.kind === 'ONE' ? 1 : ask.kind === 'BLOCK' ? 2 ** ask.order : ask.pasids.length
}

function runsAsked(command: AllocatePasids, first: number): PasidRun[] {
  if (command.ask.kind === 'EXACT') return runsOf(command.ask.pasids)
  return [{ first, count: countAsked(command) }]
}

/** [min, max] with the tenant's window (HOST scope) and the width of the devices meant. */
function allowedRange(
  state: State,
  session: Session,
  namespace: Namespace,
  command: AllocatePasids,
): Outcome<PasidRange> {
  const bits = widthOf(state, session, namespace, command)
  if (!bits.ok) return bits
  const whole = { first: 1, last: namespace.size - 1 }
  const host = namespace.id === HOST_NAMESPACE
  const window = host ? windowOf(state.tenantOf(session), whole) : whole
  // Not 2 ** bits: V8 keeps that as a double, and every search would go on with one.
  const width = { first: 1, last: (1 << bits.value) - 1 }
  const allowed = window === undefined ? undefined : intersect(window, width)
  const range = allowed === undefined ? undefined : intersect(allowed, command.range)
  if (range !== undefined) return accept(range)
  const [asked, widthBits] = [command.range, bits.value]
  return refuse({ code: 'RANGE_EMPTY', asked, window: window ?? { first: 0, last: 0 }, widthBits })
}

/** The narrowest of the devices meant: a number must be sayable on each. */
function widthOf(
  state: State,
  session: Session,
  namespace: Namespace,
  command: AllocatePasids,
): Outcome<number> {
  let bits = namespace.bits
  for (const name of command.devices) {
    const device = attachedDevice(state, session, name)
    if (!device.ok) return device
    if (device.value.namespace !== namespace.id) {
      const [scope, allowed] = [state.scopeName(namespace.id), device.value.scope]
      return refuse({ code: 'SCOPE_NOT_ALLOWED', device: name, scope, allowed })
    }
    bits = Math.min(bits, widthIn(state, device.value) ?? 0)
  }
  if (command.devices.length > 0) return accept(bits)
  for (const id of session.attachments.keys()) {
    const device = state.device(id)
    if (device.namespace !== namespace.id) continue
    bits = Math.min(bits, widthIn(state, device) ?? bits)
  }
  return accept(bits)
}

function checkQuota(
  state: State,
  session: Session,
  namespace: Namespace,
  asked: number,
): Outcome<undefined> {
  const most = state.sessionLimit(session)
  const { held } = session
  if (held + asked > most) {
    const subject = session.record.name
    const level = { level: 'SESSION', subject, limit: most, used: held, aside: 0 } as const
    return refuse({ code: 'QUOTA_EXCEEDED', ...level, asked })
  }
  const inHost = namespace.id === HOST_NAMESPACE
  const tenants = checkTenants(state.tenantOf(session), asked, inHost)
  if (!tenants.ok) return tenants
  const [delta, used] = [tenants.value, state.hostUsed]
  const aside = state.hostAside.aside + delta
  const charge = { count: asked, delta, aside }
  const host = state.policy.hostMaxPasids
  if (host !== undefined && !fits({ limit: host, used, ...charge })) {
    const level = { level: 'HOST', subject: 'host', limit: host, used, aside } as const
    return refuse({ code: 'QUOTA_EXCEEDED', ...level, asked })
  }
  if (!inHost || aside === 0 || asked + delta === 0) return ACCEPTED
  // What is taken, reserved numbers included, beside what is set aside.
  const [limit, taken] = [namespace.size - 1, namespace.size - 1 - namespace.freeCount]
  if (fits({ limit, used: taken, ...charge }) || taken + asked > limit) return ACCEPTED
  const level = { level: 'HOST', subject: 'HOST scope', limit, used: taken, aside } as const
  return refuse({ code: 'QUOTA_EXCEEDED', ...level, asked })
}

function choose(
  state: State,
  namespace: Namespace,
  command: AllocatePasids,
  range: PasidRange,
  now: Now,
): Outcome<PasidRun[]> {
  const { ask } = command
  if (ask.kind === 'EXACT') return chooseExact(state, namespace, ask.pasids, range)
  const first =
    ask.kind === 'ONE' ? namespace.findOne(range) : namespace.findBlock(ask.order, range)
  const asked = countAsked(command)
  if (first !== undefined) return accept([{ first, count: asked }])
  const next = state.quarantine.nextUntil()
  return refuse({
    code: 'NAMESPACE_EXHAUSTED',
    scope: state.scopeName(namespace.id),
    range,
    asked,
    free: namespace.countFree(range),
    retryMs: next === undefined ? undefined : Math.max(1, Math.ceil(next - now.instant)),
  })
}

function chooseExact(
  state: State,
  namespace: Namespace,
  pasids: readonly number[],
  range: PasidRange,
): Outcome<PasidRun[]> {
  for (const pasid of pasids) {
    if (!contains(range, pasid))
      return refuse({ code: 'PASID_OUT_OF_RANGE', pasid, allowed: range })
    if (namespace.isFree(pasid)) continue
    const scope = state.scopeName(namespace.id)
    if (!namespace.isReserved(pasid)) return refuse({ code: 'PASID_TAKEN', pasid, scope })
    const reservation = state.policy.reservations.find((window) => contains(window, pasid))
    return refuse({ code: 'PASID_RESERVED', pasid, reason: reservation?.reason ?? 'reserved' })
  }
  return accept(runsOf(pasids))
}

function grant(
  state: State,
  session: Session,
  namespace: Namespace,
  command: AllocatePasids,
  runs: PasidRun[],
  now: Now,
): Decided<Allocated> {
  const revision = state.revision + 1
  const generation = asGeneration(revision)
  const { id, tenant } = session.record
  const last = runs[runs.length - 1]
  const exact = command.ask.kind === 'EXACT' || last === undefined
  const granted: Granted = {
    kind: 'granted',
    namespace: namespace.id,
    session: id,
    tenant,
    runs,
    generation,
    at: now.wall,
    labels: Object.keys(command.labels).length > 0 ? command.labels : undefined,
    cursorBefore: namespace.cursor,
    // Numbers that the caller chose say nothing about where to look next.
    cursorAfter: exact ? namespace.cursor : (last.first + last.count) % namespace.size,
  }
  const answered = { answer: runs[0]?.first ?? 0, revision, at: now.wall }
  const kept = keepRequest({ session: id, tenant }, 'AllocatePasids', command.request, answered)
  return accepted([granted, ...kept], { runs, generation })
}
