/** Tenants: what is seen of one, and the limits that an operator changes. */

import { PASID_LAST } from '../../core/ids.js'
import type { TenantLimit, TenantOverride } from '../../core/quota.js'
import type { PasidRange } from '../../core/range.js'
import type { Outcome } from '../../core/refusal.js'
import type { TenantView } from '../../core/view.js'
import type { Tenant, Tenant__Output } from '../../wire/generated/pasid/v1/Tenant.js'
import type { OperatorRequest } from '../../wire/messages.js'
import { quoted } from '../../wire/quote.js'
import { Fields } from './fields.js'
import { reasonOf } from './text.js'

/** Charged over all scopes, so more than there are numbers in one; as in the configuration. */
const CHARGED_LAST = 2 ** 32 - 1
const SESSIONS_LAST = 1_048_576

export function tenantProto(view: TenantView): Tenant {
  const { maxPasids, guaranteedPasids, maxSessions, ownSessionMaxPasids, window, ownWindow } = view
  return {
    name: `tenants/${view.name}`,
    parent: view.parent === undefined ? '' : `tenants/${view.parent}`,
    usedPasids: view.used,
    ...(maxPasids !== undefined && { maxPasids }),
    sessions: view.sessions,
    ...(maxSessions !== undefined && { maxSessions }),
    // The host has no more numbers than there are, whatever a configuration says.
    sessionMaxPasids: Math.min(view.sessionMaxPasids, PASID_LAST),
    ...(window !== undefined && { window }),
    configured: view.configured,
    ...(guaranteedPasids !== undefined && { guaranteedPasids }),
    ...(ownSessionMaxPasids !== undefined && { ownSessionMaxPasids }),
    ...(ownWindow !== undefined && { ownWindow }),
    overridden: view.overridden,
    etag: view.etag,
    setAsidePasids: view.aside,
  }
}

export interface TenantUpdate {
  readonly tenant: string
  readonly change: TenantOverride | 'REVERT'
  readonly etag: string | undefined
  readonly reason: string
  readonly validateOnly: boolean
}

/** Paths of the update mask. */
const PATHS = {
  max_pasids: 'maxPasids',
  guaranteed_pasids: 'guaranteedPasids',
  max_sessions: 'maxSessions',
  own_session_max_pasids: 'sessionMaxPasids',
  own_window: 'window',
} as const satisfies Record<string, TenantLimit>
type Path = keyof typeof PATHS
const PATHS_BOUND = `some of ${Object.keys(PATHS).join(', ')}, none twice`

export function tenantUpdateOf(message: OperatorRequest<'UpdateTenant'>): Outcome<TenantUpdate> {
  const fields = new Fields()
  const { tenant, revert, validateOnly } = message
  if (tenant === null) fields.missing('tenant', 'the tenant with its name')
  const name = fields.name('tenant.name', tenant?.name ?? '', 'tenants')
  const paths = pathsOf(fields, message.updateMask?.paths ?? [], revert)
  const change = revert || tenant === null ? 'REVERT' : changeOf(fields, tenant, paths)
  const etag = tenant?.etag ?? ''
  return fields.answer({
    tenant: name,
    change,
    etag: etag === '' ? undefined : etag,
    reason: reasonOf(fields, message.reason),
    validateOnly,
  })
}

function pathsOf(fields: Fields, paths: readonly string[], revert: boolean): readonly Path[] {
  const field = 'update_mask'
  if (revert && paths.length > 0) {
    fields.no(field, `${paths.length} paths`, 'empty with revert', 'send one or the other')
  }
  if (!revert && paths.length === 0) fields.missing(field, PATHS_BOUND)
  const seen = new Set<string>()
  for (const path of paths) {
    if (!Object.hasOwn(PATHS, path)) {
      fields.no(field, quoted(path), PATHS_BOUND, 'name what is to change')
    } else if (seen.has(path)) {
      fields.no(field, `${quoted(path)} again`, PATHS_BOUND, 'name each once')
    }
    if (!fields.ok) return []
    seen.add(path)
  }
  return paths as readonly Path[]
}

/** Named in the mask and absent: inherited. */
function changeOf(fields: Fields, tenant: Tenant__Output, paths: readonly Path[]): TenantOverride {
  const { maxPasids, guaranteedPasids, maxSessions, ownSessionMaxPasids, ownWindow } = tenant
  const count = (path: Path, value: number | undefined, last: number): number | null => {
    if (value !== undefined && value > last) {
      const bound = `a whole number from 0 to ${last}`
      fields.no(`tenant.${path}`, String(value), bound, 'leave it out to inherit')
    }
    return value ?? null
  }
  const values = {
    max_pasids: () => count('max_pasids', maxPasids, CHARGED_LAST),
    guaranteed_pasids: () => count('guaranteed_pasids', guaranteedPasids, CHARGED_LAST),
    max_sessions: () => count('max_sessions', maxSessions, SESSIONS_LAST),
    own_session_max_pasids: () => {
      return count('own_session_max_pasids', ownSessionMaxPasids, PASID_LAST)
    },
    own_window: () => windowOf(fields, ownWindow),
  } as const satisfies Record<Path, () => TenantOverride[TenantLimit]>
  const entries = paths.map((path) => [PATHS[path], values[path]()] as const)
  return Object.fromEntries(entries)
}

function windowOf(fields: Fields, window: PasidRange | null): PasidRange | null {
  if (window === null) return null
  const first = fields.pasid('tenant.own_window.first', window.first)
  const last = fields.pasid('tenant.own_window.last', window.last)
  if (first > last) {
    const value = `${first}, above last ${last}`
    fields.no('tenant.own_window.first', value, 'first <= last', 'swap them')
  }
  return { first, last }
}
