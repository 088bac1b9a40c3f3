/**
 * Identity rules: from the entries of the file to the rules in force, and what must hold between
 * them and the tenants. Each check answers with problems or warnings and changes nothing.
 */

import { keyText } from './checks.js'
import type { IdentityConfig, IdentityMatch, IdentityRule, OperatorRule } from './config.js'
import type { Document, Entry, Problem } from './document.js'
import { didYouMean } from './nearest.js'
import type { OperatorEntry, RuleEntry } from './schema.js'
import { tenantNames } from './tenants.js'

const CONDITIONS = ['uid', 'gid', 'cgroup', 'label', 'executable'] as const

function matchOf({ uid, gid, cgroup, label, executable }: RuleEntry | OperatorEntry) {
  return { uid, gid, cgroup, label, executable } satisfies IdentityMatch
}

function ruleOf(entry: RuleEntry): IdentityRule {
  const { role, tenant = '', tenants = [] } = entry
  const match = matchOf(entry)
  return role === 'vmm' ? { role, tenant, ...match } : { role, tenants, ...match }
}

function operatorOf(entry: OperatorEntry): OperatorRule {
  return { role: entry.role, ...matchOf(entry) }
}

/** Once somebody says by rules who callers are, a socket alone does not make a tenant any more. */
export function identityOf({ identity, rules, operators }: Document): IdentityConfig {
  const byRules = rules.valid.length > 0 ? 'refuse' : 'socket-tenant'
  return {
    rules: rules.valid.map(({ value }) => ruleOf(value)),
    unmatched: identity.unmatched ?? byRules,
    operators: operators.valid.map(({ value }) => operatorOf(value)),
  }
}

function tenantsOf({ tenant, tenants = [] }: RuleEntry): readonly string[] {
  return tenant === undefined ? tenants : [tenant, ...tenants]
}

/** A VMM is one tenant; a delegate acts for some. */
function checkRole({ value, path }: Entry<RuleEntry>): Problem[] {
  const { role, tenant, tenants } = value
  const say = (key: string, text: string): Problem[] => [{ path: [...path, key], text }]
  if (role === 'vmm') {
    if (tenants !== undefined) return say('tenants', 'is for role = "delegate"; name one tenant')
    return tenant === undefined ? say('tenant', 'is missing; name the tenant of these callers') : []
  }
  if (tenant !== undefined) return say('tenant', 'is for role = "vmm"; list them in tenants')
  if (tenants === undefined) return say('tenants', 'is missing; list those it may act for')
  return tenants.length === 0 ? say('tenants', 'is empty; list those it may act for') : []
}

/** The tenants are there, each once. */
function checkTenants({ value, path }: Entry<RuleEntry>, known: ReadonlySet<string>): Problem[] {
  const { tenant, tenants = [] } = value
  const problems: Problem[] = []
  const check = (name: string, at: Problem['path']) => {
    if (known.has(name)) return
    const advice = known.size === 0 ? 'add a [[tenant]]' : didYouMean(name, [...known])
    problems.push({ path: at, text: `is "${name}", which is no tenant; ${advice}` })
  }
  if (tenant !== undefined) check(tenant, [...path, 'tenant'])
  const seen = new Set<string>()
  for (const [index, name] of tenants.entries()) {
    const at = [...path, 'tenants', index]
    if (seen.has(name))
      problems.push({ path: at, text: `is "${name}" a second time; name it once` })
    else check(name, at)
    seen.add(name)
  }
  return problems
}

export function checkIdentity(document: Document): Problem[] {
  const known = tenantNames(document)
  return document.rules.valid.flatMap((rule) => [...checkRole(rule), ...checkTenants(rule, known)])
}

/** Every caller of the second is one of the first: it asks for no more than the second does. */
function covers(first: IdentityMatch, second: IdentityMatch): boolean {
  return CONDITIONS.every((key) => first[key] === undefined || first[key] === second[key])
}

/** Rules that an earlier one always decides before. */
function unreachable(entries: readonly Entry<RuleEntry | OperatorEntry>[]): string[] {
  const matches = entries.map(({ value, path }) => ({ match: matchOf(value), path }))
  return matches.flatMap(({ match, path }, at) => {
    const before = matches.slice(0, at).find((earlier) => covers(earlier.match, match))
    if (before === undefined) return []
    const other = keyText(before.path)
    const isForAll = CONDITIONS.every((key) => before.match[key] === undefined)
    const why = isForAll ? 'has no condition' : 'matches all its callers'
    return [`${keyText(path)}: can never decide: ${other} comes first and ${why}`]
  })
}

export function identityWarnings({ identity, rules, operators }: Document): string[] {
  const warnings = [...unreachable(rules.valid), ...unreachable(operators.valid)]
  if (identity.unmatched === 'refuse' && rules.valid.length === 0) {
    warnings.push('identity.unmatched: is "refuse" without a rule: nobody may call on a VMM socket')
  }
  if (
    operators.valid.length > 0 &&
    operators.valid.every(({ value }) => value.role === 'observer')
  ) {
    warnings.push('identity.operator: all are observers: nobody may change anything')
  }
  return warnings
}

/** Tenants that a caller can be, or that a delegate can act for. */
export function reachableTenants(document: Document): ReadonlySet<string> {
  const { daemon, tenants, rules } = document
  const names = new Set(rules.valid.flatMap(({ value }) => tenantsOf(value)))
  if (identityOf(document).unmatched === 'refuse') return names
  names.add(daemon.vmm_tenant)
  for (const { value } of tenants.valid) if (value.socket !== undefined) names.add(value.name)
  return names
}

/**
 * Tenants without anybody, and without children that could use their limits. The main socket's is
 * no mistake: some tenant has to be named there.
 */
export function tenantWarnings(document: Document): string[] {
  const { daemon, tenants } = document
  const used = new Set<string | undefined>(reachableTenants(document)).add(daemon.vmm_tenant)
  for (const { value } of tenants.valid) used.add(value.parent)
  return tenants.valid
    .filter(({ value }) => !used.has(value.name))
    .map(({ value, path }) => {
      const why =
        value.socket === undefined
          ? 'has no socket, no rule and no children'
          : 'has a socket, but no rule, and callers without one are refused'
      return `${keyText(path)}: tenant "${value.name}" ${why}: nobody can be it`
    })
}
