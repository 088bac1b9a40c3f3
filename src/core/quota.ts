/**
 * Limits: host, tenants as a tree, sessions. A charge goes to the tenant and every one above it;
 * absent = whatever is above decides, 0 = nothing. A limit below the usage takes nothing away.
 * Numbers held, on their way back and resting are charged to tenant and host; the session is
 * charged only for what it has not given back.
 */

import type { Scope } from './device.js'
import type { TenantId } from './ids.js'
import { intersect, type PasidRange } from './range.js'
import { ACCEPTED, refuse, type Outcome } from './refusal.js'
import type { RequestLog } from './requests.js'

/** What the configuration says of a tenant. Undefined = inherited. */
export interface TenantPolicy {
  readonly name: string
  readonly parent: string | undefined
  /** PASIDs charged to it and its descendants together, over all scopes. */
  readonly maxPasids: number | undefined
  /** PASIDs that one session of it may hold. */
  readonly sessionMaxPasids: number | undefined
  /** Sessions open at once, of it and its descendants. */
  readonly maxSessions: number | undefined
  /** HOST-scope numbers it may be given. */
  readonly window: PasidRange | undefined
  /** Devices it may attach, with the scope each is in. Undefined = inherited. */
  readonly devices: ReadonlyMap<string, Scope> | undefined
}

export interface Tenant {
  readonly id: TenantId
  readonly name: string
  /** Undefined when the configuration no longer names it: nothing new, nothing taken away. */
  policy: TenantPolicy | undefined
  parent: Tenant | undefined
  used: number
  sessions: number
  /** Request ids remembered for it and its sessions. */
  requestIds: number
  /** Of OpenSession. */
  readonly requests: RequestLog
}

/** The nearest value set at or above the tenant. */
export function inherited<T>(
  tenant: Tenant,
  pick: (policy: TenantPolicy) => T | undefined,
): T | undefined {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    const value = at.policy === undefined ? undefined : pick(at.policy)
    if (value !== undefined) return value
  }
  return undefined
}

/** All windows at and above the tenant, together; undefined when they have nothing in common. */
export function windowOf(tenant: Tenant, whole: PasidRange): PasidRange | undefined {
  let window: PasidRange | undefined = whole
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    const own = at.policy?.window
    if (own !== undefined && window !== undefined) window = intersect(window, own)
  }
  return window
}

/** Whether `count` more may be charged to the tenant and all above it. */
export function checkTenants(tenant: Tenant, count: number): Outcome<undefined> {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    const limit = at.policy === undefined ? 0 : at.policy.maxPasids
    if (limit !== undefined && at.used + count > limit) {
      const { name: subject, used } = at
      return refuse({ code: 'QUOTA_EXCEEDED', level: 'TENANT', subject, limit, used, asked: count })
    }
  }
  return ACCEPTED
}

/** The least that is left at or above the tenant; undefined when nothing there sets a limit. */
export function headroomOf(tenant: Tenant): number | undefined {
  let least: number | undefined
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    const limit = at.policy === undefined ? 0 : at.policy.maxPasids
    if (limit === undefined) continue
    least = Math.min(least ?? Infinity, Math.max(0, limit - at.used))
  }
  return least
}

export function charge(tenant: Tenant, count: number): void {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) at.used += count
}

export function chargeSession(tenant: Tenant, count: number): void {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) at.sessions += count
}
