/**
 * Who a caller is: the configured rules, applied to what the kernel said of it when it connected.
 * Pure. Holds: what cannot be known never matches and never passes for something else; then the
 * caller is refused, and told why.
 */

import { accept, refuse, type Outcome } from '../core/refusal.js'
import type { IdentityConfig, IdentityMatch } from './config/config.js'

/** Of a process, when some rule asks for it. Undefined: it could not be read; the text says why. */
export interface ReadFacts {
  readonly cgroup: string | undefined
  /** Undefined path: it runs something else than what is at that path for us. */
  readonly executable: { readonly path: string | undefined } | undefined
  readonly problem: string
}

export interface PeerFacts {
  readonly pid: number
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  readonly label: string | undefined
  /** Whether there is a pidfd. */
  readonly held: boolean
  /** Whether the process had ended when all that is here had been read. */
  readonly ended: boolean
  readonly read: ReadFacts
}

/** The socket that a caller came by. */
export type Place =
  | { readonly kind: 'main'; readonly tenant: string }
  | { readonly kind: 'tenant'; readonly tenant: string }
  | { readonly kind: 'side' }
  | { readonly kind: 'admin' }

export interface Identity {
  readonly tenant: string | undefined
  readonly delegateFor: ReadonlySet<string>
  readonly role: 'operator' | 'observer' | undefined
}

export interface IdentityRules extends Pick<IdentityConfig, 'rules' | 'unmatched' | 'operators'> {
  /** What the kernel shows for a user or group without a number in our user namespace. */
  readonly overflow: { readonly uid: number; readonly gid: number }
}

/** Whether any of them needs what is read from /proc. */
export function needsRead(rules: readonly IdentityMatch[]): boolean {
  return rules.some(({ cgroup, executable }) => cgroup !== undefined || executable !== undefined)
}

type Answer = 'YES' | 'NO' | 'UNKNOWN'

/** The path is `pattern` or below it; a "*" is one component. */
function isBelow(path: string, pattern: string): boolean {
  const have = path.split('/').filter((part) => part !== '')
  // What lies outside our cgroup namespace begins with these (cgroup_namespaces(7)).
  if (have.includes('..')) return false
  const want = pattern.split('/').filter((part) => part !== '')
  return want.every((part, at) => (part === '*' ? at < have.length : part === have[at]))
}

function hasLabel(label: string | undefined, pattern: string): boolean {
  if (label === undefined) return false
  return pattern.endsWith('*') ? label.startsWith(pattern.slice(0, -1)) : label === pattern
}

/** One condition that does not hold is enough, whatever could not be read. */
function matches(facts: PeerFacts, rule: IdentityMatch): Answer {
  const { uid, gid, groups, label, read } = facts
  if (rule.uid !== undefined && rule.uid !== uid) return 'NO'
  if (rule.gid !== undefined && rule.gid !== gid && !groups.includes(rule.gid)) return 'NO'
  if (rule.label !== undefined && !hasLabel(label, rule.label)) return 'NO'
  let answer: Answer = 'YES'
  if (rule.cgroup !== undefined) {
    if (read.cgroup === undefined) answer = 'UNKNOWN'
    else if (!isBelow(read.cgroup, rule.cgroup)) return 'NO'
  }
  if (rule.executable !== undefined) {
    if (read.executable === undefined) answer = 'UNKNOWN'
    else if (read.executable.path !== rule.executable) return 'NO'
  }
  return answer
}

interface Found<Rule> {
  readonly rule: Rule | undefined
  /** A rule before it might have matched: nothing may be decided. */
  readonly unknown: boolean
}

function firstMatch<Rule extends IdentityMatch>(
  facts: PeerFacts,
  rules: readonly Rule[],
): Found<Rule> {
  for (const rule of rules) {
    const answer = matches(facts, rule)
    if (answer === 'YES') return { rule, unknown: false }
    if (answer === 'UNKNOWN') return { rule: undefined, unknown: true }
  }
  return { rule: undefined, unknown: false }
}

function refused(facts: PeerFacts, problem: string, remedy: string): Outcome<never> {
  const { uid, gid, pid } = facts
  return refuse({ code: 'IDENTITY_REFUSED', uid, gid, pid, problem, remedy })
}

/** What the kernel must say before any rule is looked at; undefined when it does. */
function notIdentified(facts: PeerFacts, { overflow }: IdentityRules): Outcome<never> | undefined {
  const sameHost = 'run caller and daemon in the host’s own namespaces'
  if (facts.pid === 0) {
    return refused(facts, 'the caller is outside the daemon’s pid namespace', sameHost)
  }
  if (facts.uid === overflow.uid || facts.gid === overflow.gid) {
    const which = facts.uid === overflow.uid ? 'user' : 'group'
    const id = which === 'user' ? overflow.uid : overflow.gid
    const problem = `the ${which} ${id} stands for all without one in the daemon’s user namespace`
    return refused(facts, problem, `${sameHost}, as a ${which} with a number of its own`)
  }
  if (!facts.held) {
    const problem = 'the kernel gives no pidfd of who connects (SO_PEERPIDFD)'
    return refused(facts, problem, 'Linux 6.5 or later is needed')
  }
  if (facts.ended) {
    const problem = 'the process that connected has ended'
    return refused(facts, problem, 'connect from the process that makes the calls, and not before')
  }
  return undefined
}

function unreadable(facts: PeerFacts): Outcome<never> {
  const problem = `a rule asks for what cannot be read of the process: ${facts.read.problem}`
  return refused(
    facts,
    problem,
    'see to the daemon’s right to read it, or change [[identity.rule]]',
  )
}

function ofOperator(facts: PeerFacts, { operators }: IdentityRules): Outcome<Identity> {
  const delegateFor = new Set<string>()
  if (operators.length === 0) return accept({ tenant: undefined, delegateFor, role: 'operator' })
  const { rule, unknown } = firstMatch(facts, operators)
  if (unknown) return unreadable(facts)
  if (rule !== undefined) return accept({ tenant: undefined, delegateFor, role: rule.role })
  const problem = 'no [[identity.operator]] is about this caller'
  return refused(facts, problem, 'add one, or call as somebody whom one is about')
}

function ofVmm(facts: PeerFacts, place: Place, rules: IdentityRules): Outcome<Identity> {
  const vmm = firstMatch(
    facts,
    rules.rules.flatMap((rule) => (rule.role === 'vmm' ? [rule] : [])),
  )
  const delegate = firstMatch(
    facts,
    rules.rules.flatMap((rule) => (rule.role === 'delegate' ? [rule] : [])),
  )
  if (delegate.unknown || (vmm.unknown && place.kind === 'main')) return unreadable(facts)
  const delegateFor = new Set(delegate.rule?.tenants ?? [])
  const as = (tenant: string | undefined) => accept({ tenant, delegateFor, role: undefined })
  if (place.kind === 'tenant') return as(place.tenant)
  // The side socket asks about delegates only, and says itself that somebody is none.
  if (place.kind !== 'main') return as(undefined)
  if (vmm.rule !== undefined || delegateFor.size > 0) return as(vmm.rule?.tenant)
  if (rules.unmatched === 'socket-tenant') return as(place.tenant)
  const problem = 'no [[identity.rule]] is about this caller'
  return refused(facts, problem, 'add one, or call as somebody whom one is about')
}

/** Decided once for a connection, before its first byte is read. */
export function identify(facts: PeerFacts, place: Place, rules: IdentityRules): Outcome<Identity> {
  const not = notIdentified(facts, rules)
  if (not !== undefined) return not
  return place.kind === 'admin' ? ofOperator(facts, rules) : ofVmm(facts, place, rules)
}
