/** What operators do to what is not theirs: take a number back, change a tenant's limits. */

import type { Now, ReleaseAllocation, UpdateTenant } from '../commands.js'
import { accepted, refused, waitFor, type Decided } from '../decided.js'
import { etagOf } from '../etag.js'
import type { Event } from '../events.js'
import type { SessionId, TenantId } from '../ids.js'
import { SLOT } from '../namespace.js'
import {
  policyInForce,
  TENANT_LIMITS,
  windowOf,
  type Tenant,
  type TenantOverride,
  type TenantPolicy,
} from '../quota.js'
import { intersect, type PasidRange } from '../range.js'
import type { Refusal } from '../refusal.js'
import type { State } from '../state.js'
import { release, restOf, type Freeing } from './free.js'

export interface Releasing extends Freeing {
  readonly session: SessionId
}

/** By generation, so that a number granted anew meanwhile is not taken from its new holder. */
export function releaseAllocation(
  state: State,
  command: ReleaseAllocation,
  now: Now,
): Decided<Releasing> {
  const { pasid, generation } = command
  const namespace = state.namespace(command.namespace)
  const scope = state.scopeName(namespace.id)
  const slot = pasid < namespace.size ? namespace.slotOf(pasid) : SLOT.FREE
  if (slot === SLOT.FREE) return refused({ code: 'PASID_NOT_FOUND', pasid, scope })
  const holder = namespace.holderOf(pasid)
  if (holder.generation !== generation) {
    const { generation: current } = holder
    return refused({ code: 'GENERATION_STALE', pasid, scope, generation, current })
  }
  if (slot !== SLOT.HELD) return refused({ code: 'PASID_BEING_FREED', pasid })
  if (holder.generation > state.durable) return waitFor(holder.generation)
  const events: Event[] = []
  const session = state.session(holder.session)
  const until = restOf(state, session, now.instant)
  const freeing = release(state, session, namespace, [pasid], until, events)
  return accepted(events, { ...freeing, session: holder.session })
}

/** A limit below the usage is legal: nothing is taken away, and nothing more is given. */
export function updateTenant(state: State, command: UpdateTenant): Decided<TenantId> {
  const tenant = state.tenantByName.get(command.tenant)
  if (tenant?.configured === undefined) {
    return refused({ code: 'TENANT_NOT_FOUND', tenant: command.tenant })
  }
  const { etag, change } = command
  const current = etagOf(tenant)
  if (etag !== undefined && etag !== current) {
    return refused({ code: 'ETAG_STALE', tenant: tenant.name, etag, current })
  }
  const { id, override: before } = tenant
  const after = change === 'REVERT' ? undefined : withChange(before, change)
  const wrong = guaranteeProblem(state, tenant, policyInForce(tenant.configured, after))
  if (wrong !== undefined) return refused(wrong)
  if (JSON.stringify(before) === JSON.stringify(after)) return accepted([], id)
  return accepted([{ kind: 'tenant-changed', id, before, after }], id)
}

/** In one order, so that the same limits are the same override; one of none is no override. */
function withChange(
  before: TenantOverride | undefined,
  change: TenantOverride,
): TenantOverride | undefined {
  const merged: TenantOverride = { ...before, ...change }
  const limits = TENANT_LIMITS.filter((limit) => merged[limit] !== undefined)
  if (limits.length === 0) return undefined
  return Object.fromEntries(limits.map((limit) => [limit, merged[limit]]))
}

/**
 * A guarantee must be keepable: within the tenant's own limit and window, and within every one
 * above it, up to the host's, beside what else is guaranteed there.
 */
function guaranteeProblem(
  state: State,
  tenant: Tenant,
  policy: TenantPolicy | undefined,
): Refusal | undefined {
  const guaranteed = policy?.guaranteedPasids ?? 0
  if (guaranteed === 0) return undefined
  let room = roomOf(state, tenant, policy)
  let others = 0
  for (let at = tenant; ; ) {
    const { parent } = at
    others += demandBelow(state, parent, at)
    if (parent === undefined) break
    room = Math.min(room, roomOf(state, parent, parent.policy) - others)
    at = parent
  }
  room = Math.min(room, hostRoom(state) - others)
  if (guaranteed <= room) return undefined
  const below = `at most ${Math.max(0, room)}: the least of its own limit, its window, and what `
  return {
    code: 'INVALID_ARGUMENT',
    field: 'tenant.guaranteed_pasids',
    value: `${guaranteed}`,
    bound: `${below}the limits above leave beside the guarantees of others`,
    remedy: 'guarantee less, or raise the limit first',
  }
}

/** What is guaranteed to the tenants directly below, and through them; undefined: at the root. */
function demandBelow(state: State, parent: Tenant | undefined, except?: Tenant): number {
  let demand = 0
  for (const at of state.tenants.values()) {
    if (at.parent !== parent || at === except) continue
    demand += Math.max(at.policy?.guaranteedPasids ?? 0, demandBelow(state, at))
  }
  return demand
}

/** Numbers that the tenant may have at most, whatever the others do. */
function roomOf(state: State, tenant: Tenant, policy: TenantPolicy | undefined): number {
  const most = policy?.maxPasids ?? Infinity
  const whole = { first: 1, last: state.host.size - 1 }
  const above = tenant.parent === undefined ? whole : windowOf(tenant.parent, whole)
  const window = above && policy?.window ? intersect(above, policy.window) : above
  return window === undefined ? 0 : Math.min(most, unreserved(state, window))
}

function hostRoom(state: State): number {
  const whole = { first: 1, last: state.host.size - 1 }
  return Math.min(state.policy.hostMaxPasids ?? Infinity, unreserved(state, whole))
}

/** Reservations do not overlap. */
function unreserved(state: State, range: PasidRange): number {
  let count = range.last - range.first + 1
  for (const reservation of state.policy.reservations) {
    const taken = intersect(range, reservation)
    if (taken !== undefined) count -= taken.last - taken.first + 1
  }
  return count
}
