/** The etag of a tenant's limits: another text whenever a limit in force is another (AIP-154). */

import { TENANT_LIMITS, type Tenant } from './quota.js'

const FNV_OFFSET = 0xcbf29ce484222325n
const FNV_PRIME = 0x100000001b3n

/** FNV-1a of 64 bits over the limits: tells states apart, keeps nothing secret. */
export function etagOf({ policy, override }: Pick<Tenant, 'policy' | 'override'>): string {
  const limits = TENANT_LIMITS.map((limit) => policy?.[limit] ?? null)
  const text = JSON.stringify([policy === undefined, override !== undefined, limits])
  let hash = FNV_OFFSET
  for (let i = 0; i < text.length; i += 1) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * FNV_PRIME)
  }
  return hash.toString(16).padStart(16, '0')
}
