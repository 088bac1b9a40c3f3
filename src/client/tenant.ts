/** A tenant's limits as an operator changes them, and as UpdateTenant takes them. */

import type { UpdateTenantRequest } from '../wire/generated/pasid/v1/UpdateTenantRequest.js'

/** Undefined: stays as it is. Null: inherited from what is above. 0 denies. */
export interface TenantLimits {
  readonly maxPasids?: number | null | undefined
  readonly guaranteedPasids?: number | null | undefined
  readonly maxSessions?: number | null | undefined
  readonly ownSessionMaxPasids?: number | null | undefined
  readonly ownWindow?: { readonly first: number; readonly last: number } | null | undefined
}

export interface TenantChange {
  /** Tenant.etag as it was read: another change since then is refused (ETAG_STALE). */
  readonly etag?: string | undefined
  /** For the audit. */
  readonly reason?: string | undefined
  /** Only check; the answer is what would be in force. */
  readonly validateOnly?: boolean | undefined
}

/** By their names in the update mask. */
const PATHS = {
  maxPasids: 'max_pasids',
  guaranteedPasids: 'guaranteed_pasids',
  maxSessions: 'max_sessions',
  ownSessionMaxPasids: 'own_session_max_pasids',
  ownWindow: 'own_window',
} as const satisfies Record<keyof TenantLimits, string>
const FIELDS = Object.keys(PATHS) as (keyof TenantLimits)[]

function nameOf(tenant: string): string {
  return tenant.startsWith('tenants/') ? tenant : `tenants/${tenant}`
}

/** `limits` undefined: back to those of the configuration. */
export function tenantRequest(
  tenant: string,
  limits: TenantLimits | undefined,
  { etag = '', reason = '', validateOnly = false }: TenantChange,
): UpdateTenantRequest {
  const changed = FIELDS.filter((field) => limits?.[field] !== undefined)
  const set = changed.filter((field) => limits?.[field] !== null)
  return {
    tenant: {
      name: nameOf(tenant),
      etag,
      ...Object.fromEntries(set.map((field) => [field, limits?.[field]])),
    },
    updateMask: limits === undefined ? null : { paths: changed.map((field) => PATHS[field]) },
    revert: limits === undefined,
    validateOnly,
    reason,
  }
}
