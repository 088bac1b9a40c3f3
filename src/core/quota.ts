/**
 * Limits: host, tenants as a tree, sessions. A charge goes to the tenant and every one above it;
 * absent = whatever is above decides, 0 = nothing. A limit below the usage takes nothing away.
 * Numbers held, on their way back and resting are charged to tenant and host; the session is
 * charged only for what it has not given back.
 *
 * A guarantee sets numbers of HOST scope aside: what a tenant has not used of it, no other is
 * given, neither under a limit that both stand under nor of the namespace.
 */

import type { Scope } from './device.js'
import type { TenantId } from './ids.js'
import { intersect, type PasidRange } from './range.js'
import { refuse, type Outcome } from './refusal.js'
import type { RequestLog } from './requests.js'

/** What the configuration says of a tenant. Undefined = inherited. */
export interface TenantPolicy {
  readonly name: string
  readonly parent: string | undefined
  /** PASIDs charged to it and its descendants together, over all scopes. */
  readonly maxPasids: number | undefined
  /** HOST-scope numbers that are kept for it and its descendants; undefined = none. */
  readonly guaranteedPasids: number | undefined
  /** PASIDs that one session of it may hold. */
  readonly sessionMaxPasids: number | undefined
  /** Sessions open at once, of it and its descendants. */
  readonly maxSessions: number | undefined
  /** HOST-scope numbers it may be given. */
  readonly window: PasidRange | undefined
  /** Devices it may attach, with the scope each is in. Undefined = inherited. */
  readonly devices: ReadonlyMap<string, Scope> | undefined
}

/** The limits that an operator may change while the daemon runs. */
export const TENANT_LIMITS = [
  'maxPasids',
  'guaranteedPasids',
  'sessionMaxPasids',
  'maxSessions',
  'window',
] as const
export type TenantLimit = (typeof TENANT_LIMITS)[number]

/** Limits changed at run time, in place of the configuration's; null = inherited. Never empty. */
export type TenantOverride = {
  readonly [Limit in TenantLimit]?: NonNullable<TenantPolicy[Limit]> | null
}

export interface Tenant {
  readonly id: TenantId
  readonly name: string
  /** What the configuration says; undefined when it no longer names the tenant. */
  configured: TenantPolicy | undefined
  override: TenantOverride | undefined
  /** What is in force; undefined as `configured` is: nothing new, nothing taken away. */
  policy: TenantPolicy | undefined
  parent: Tenant | undefined
  used: number
  /** Of `used`, in HOST scope. */
  usedInHost: number
  /** Numbers that those below have set aside, and what it has itself, theirs included. */
  asideBelow: number
  aside: number
  sessions: number
  /** Request ids remembered for it and its sessions. */
  requestIds: number
  /** Of OpenSession. */
  readonly requests: RequestLog
}

/** What the tenants at the root have set aside together. */
export interface HostAside {
  aside: number
}

/** The configuration's limits, with those changed at run time in their place. */
export function policyInForce(
  configured: TenantPolicy | undefined,
  override: TenantOverride | undefined,
): TenantPolicy | undefined {
  if (configured === undefined || override === undefined) return configured
  const { maxPasids, guaranteedPasids, sessionMaxPasids, maxSessions, window } = override
  return {
    ...configured,
    maxPasids: changed(maxPasids, configured.maxPasids),
    guaranteedPasids: changed(guaranteedPasids, configured.guaranteedPasids),
    sessionMaxPasids: changed(sessionMaxPasids, configured.sessionMaxPasids),
    maxSessions: changed(maxSessions, configured.maxSessions),
    window: changed(window, configured.window),
  }
}

/** Null is "inherited", absent is "as configured". */
function changed<T>(value: T | null | undefined, configured: T | undefined): T | undefined {
  if (value === null) return undefined
  return value ?? configured
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

function limitOf(tenant: Tenant): number | undefined {
  return tenant.policy === undefined ? 0 : tenant.policy.maxPasids
}

function asideOf(tenant: Tenant, usedInHost: number, below: number): number {
  const guaranteed = tenant.policy?.guaranteedPasids ?? 0
  return Math.max(guaranteed - usedInHost, below, 0)
}

/**
 * Whether `count` more may be charged to the tenant and all above it. What others have set aside
 * counts as used, except for a charge that comes wholly out of the tenant's own guarantee.
 * Answers by how much less would be set aside at the root: 0 or negative.
 */
export function checkTenants(tenant: Tenant, count: number, inHost: boolean): Outcome<number> {
  let delta = 0
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    const limit = limitOf(at)
    const aside = at.asideBelow + delta
    const refused = limit !== undefined && !fits({ limit, used: at.used, aside, count, delta })
    if (refused) {
      const { name: subject, used } = at
      const level = { level: 'TENANT', subject, limit, used, aside } as const
      return refuse({ code: 'QUOTA_EXCEEDED', ...level, asked: count })
    }
    if (inHost) delta = asideOf(at, at.usedInHost + count, aside) - at.aside
  }
  return { ok: true, value: delta }
}

export interface Charge {
  readonly limit: number
  readonly used: number
  /** Set aside once the charge is made. */
  readonly aside: number
  readonly count: number
  /** By how much the charge changes what is set aside. */
  readonly delta: number
}

/** Whether a charge keeps a limit, with what is used and what is set aside beside it. */
export function fits({ limit, used, aside, count, delta }: Charge): boolean {
  if (used + count > limit) return false
  return count + delta === 0 || used + count + aside <= limit
}

export interface HostRoom {
  readonly limit: number | undefined
  readonly used: number
  readonly aside: number
  /** Numbers of HOST scope. */
  readonly free: number
}

/**
 * The least that is left at or above the tenant, and of the host's limit; undefined when nothing
 * sets one. Only in HOST scope does a tenant's own guarantee make room, and do those of others
 * take it where there is no limit at all.
 */
export function headroomOf(tenant: Tenant, inHost: boolean, host: HostRoom): number | undefined {
  let least: number | undefined
  let own = 0
  const take = (limit: number | undefined, used: number, aside: number): void => {
    if (limit === undefined) return
    const left = Math.max(0, limit - used)
    least = Math.min(least ?? Infinity, left, Math.max(0, left - aside) + own)
  }
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    take(limitOf(at), at.used, at.asideBelow)
    if (inHost) own = ownShare(at, own)
  }
  take(host.limit, host.used, host.aside)
  if (inHost && host.aside > own) take(host.free, 0, host.aside)
  return least
}

/** Of what a level has set aside, what a tenant below it could still use up: its own guarantee. */
function ownShare(at: Tenant, below: number): number {
  return at.aside - Math.max(0, at.asideBelow - below)
}

/** `host` is given for numbers of HOST scope. */
export function charge(tenant: Tenant, count: number, host: HostAside | undefined): void {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    at.used += count
    if (host !== undefined) at.usedInHost += count
  }
  if (host !== undefined) setAside(tenant, host)
}

/** Brings what the tenant and all above it have set aside up to date. */
export function setAside(tenant: Tenant, host: HostAside): void {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) {
    const aside = asideOf(at, at.usedInHost, at.asideBelow)
    const delta = aside - at.aside
    at.aside = aside
    if (at.parent === undefined) host.aside += delta
    else at.parent.asideBelow += delta
  }
}

export function chargeSession(tenant: Tenant, count: number): void {
  for (let at: Tenant | undefined = tenant; at !== undefined; at = at.parent) at.sessions += count
}
