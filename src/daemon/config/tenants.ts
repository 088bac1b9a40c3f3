/** From the tenants of the file to the policy in force: whom the core charges, and for what. */

import type { Scope } from '../../core/device.js'
import { RESERVED_FIRST_DEFAULT, RESERVED_LAST_DEFAULT } from '../../core/limits.js'
import type { TenantPolicy } from '../../core/quota.js'
import type { Policy, Reservation } from '../../core/state.js'
import { frozenMap } from './config.js'
import type { Document, Problem } from './document.js'
import type { TenantEntry } from './schema.js'
import { ownScopes } from './scopes.js'

const DEFAULT_TENANT = 'default'

const DEFAULT_RESERVATION: Reservation = {
  first: RESERVED_FIRST_DEFAULT,
  last: RESERVED_LAST_DEFAULT,
  reason: 'host kernel SVA (lowest-first from 1)',
}

/** The default tenant is there without being configured when the main socket is its. */
export function hasImplicitDefault({ daemon, tenants }: Document): boolean {
  return daemon.vmm_tenant === DEFAULT_TENANT && !tenants.names.has(DEFAULT_TENANT)
}

/** Of every tenant that there will be. */
export function tenantNames(document: Document): ReadonlySet<string> {
  const { names } = document.tenants
  return hasImplicitDefault(document) ? new Set([...names, DEFAULT_TENANT]) : names
}

export function checkMainTenant(document: Document): Problem[] {
  const { vmm_tenant: name } = document.daemon
  if (tenantNames(document).has(name)) return []
  const text = `is "${name}", which is no tenant; add a [[tenant]] of that name`
  return [{ path: ['daemon', 'vmm_tenant'], text }]
}

export function reservationsOf({ reservations }: Document): readonly Reservation[] {
  return reservations?.valid.map(({ value }) => value) ?? [DEFAULT_RESERVATION]
}

/** Parents before their children; the default tenant, without limits, unless it is configured. */
export function policyOf(document: Document): Policy {
  const { namespace, tenants, reclaim } = document
  const entries = tenants.valid.map(({ value }) => value)
  const needsDefault = hasImplicitDefault(document)
  const own = ownScopes(document)
  const policies = needsDefault ? [tenantPolicy({ name: DEFAULT_TENANT }, own)] : []
  const placed = new Set(policies.map((policy) => policy.name))
  while (placed.size < entries.length + (needsDefault ? 1 : 0)) {
    for (const entry of entries) {
      if (placed.has(entry.name)) continue
      if (entry.parent !== undefined && !placed.has(entry.parent)) continue
      placed.add(entry.name)
      policies.push(tenantPolicy(entry, own))
    }
  }
  return {
    hostMaxPasids: namespace.max_pasids,
    sessionMaxPasids: namespace.session_max_pasids,
    maxSessions: namespace.max_sessions,
    maxRequestIds: namespace.max_request_ids,
    holdMs: namespace.hold,
    lingerMsMax: reclaim.linger_max,
    reservations: reservationsOf(document),
    tenants: policies,
  }
}

function tenantPolicy(
  entry: Partial<TenantEntry> & { readonly name: string },
  ownScopesOfDevices: ReadonlyMap<string, Scope>,
): TenantPolicy {
  const devices = entry.devices?.map(({ name, scope }) => {
    return [name, scope ?? ownScopesOfDevices.get(name) ?? 'HOST'] as const
  })
  return {
    name: entry.name,
    parent: entry.parent,
    maxPasids: entry.max_pasids,
    guaranteedPasids: entry.guaranteed_pasids,
    sessionMaxPasids: entry.session_max_pasids,
    maxSessions: entry.max_sessions,
    window: entry.window,
    devices: devices === undefined ? undefined : frozenMap(devices),
  }
}
