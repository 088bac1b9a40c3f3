/** Rules × what the kernel says of a caller, as a table. */
import { describe, expect, test } from 'vitest'
import type { IdentityMatch, IdentityRule, OperatorRule } from '../../src/daemon/config/config.js'
import {
  identify,
  needsRead,
  type IdentityRules,
  type PeerFacts,
  type Place,
} from '../../src/daemon/identity.js'

const NO_MATCH: IdentityMatch = {
  uid: undefined,
  gid: undefined,
  cgroup: undefined,
  label: undefined,
  executable: undefined,
}
const FACTS: PeerFacts = {
  pid: 100,
  uid: 1001,
  gid: 1001,
  groups: [4, 2000],
  label: undefined,
  held: true,
  ended: false,
  read: { cgroup: '/vms/a/leaf', executable: { path: '/usr/bin/qemu' }, problem: '' },
}
const UNREAD = { cgroup: undefined, executable: undefined, problem: 'EACCES' }
const MAIN: Place = { kind: 'main', tenant: 'default' }
const OWN: Place = { kind: 'tenant', tenant: 'blue' }
const SIDE: Place = { kind: 'side' }
const ADMIN: Place = { kind: 'admin' }

const vmm = (tenant: string, match: Partial<IdentityMatch> = {}): IdentityRule => {
  return { role: 'vmm', tenant, ...NO_MATCH, ...match }
}
const delegate = (tenants: readonly string[], match: Partial<IdentityMatch> = {}): IdentityRule => {
  return { role: 'delegate', tenants, ...NO_MATCH, ...match }
}
const operator = (role: OperatorRule['role'], match: Partial<IdentityMatch>): OperatorRule => {
  return { role, ...NO_MATCH, ...match }
}

interface Case {
  readonly facts?: Partial<PeerFacts>
  readonly place?: Place
  readonly rules?: readonly IdentityRule[]
  readonly operators?: readonly OperatorRule[]
  readonly unmatched?: IdentityRules['unmatched']
}

/** As one line: `tenant+delegates/role`, or what the refusal says. */
function decide({ facts, place = MAIN, rules = [], operators = [], unmatched }: Case): string {
  const overflow = { uid: 65_534, gid: 65_534 }
  const all = { rules, operators, unmatched: unmatched ?? 'refuse', overflow } as const
  const identity = identify({ ...FACTS, ...facts }, place, all)
  if (!identity.ok) {
    const { refusal } = identity
    if (refusal.code !== 'IDENTITY_REFUSED') throw new Error(refusal.code)
    return `refused: ${refusal.problem}; ${refusal.remedy}`
  }
  const { tenant = '-', delegateFor, role = '-' } = identity.value
  return `${tenant}+${[...delegateFor].join(',')}/${role}`
}

describe('what a rule asks for', () => {
  test.each<[string, Partial<IdentityMatch>, boolean]>([
    ['nothing: everybody', {}, true],
    ['the uid', { uid: 1001 }, true],
    ['another uid', { uid: 1002 }, false],
    ['the primary group', { gid: 1001 }, true],
    ['a supplementary group', { gid: 2000 }, true],
    ['another group', { gid: 2001 }, false],
    ['the cgroup', { cgroup: '/vms/a/leaf' }, true],
    ['a cgroup above', { cgroup: '/vms' }, true],
    ['the root cgroup', { cgroup: '/' }, true],
    ['one component, whatever it is', { cgroup: '/vms/*/leaf' }, true],
    ['a component that must be there', { cgroup: '/vms/a/leaf/*' }, false],
    ['a cgroup of which only the name begins so', { cgroup: '/vm' }, false],
    ['a cgroup below', { cgroup: '/vms/a/leaf/more' }, false],
    ['the executable', { executable: '/usr/bin/qemu' }, true],
    ['a folder of it', { executable: '/usr/bin' }, false],
    ['a label where there is none', { label: '*' }, false],
    ['all of several', { uid: 1001, gid: 4, cgroup: '/vms' }, true],
    ['several, one of which does not hold', { uid: 1001, gid: 5 }, false],
  ])('%s', (_name, match, holds) => {
    const rules = [vmm('t', match)]
    expect(decide({ rules })).toMatch(holds ? /^t\+\/-$/ : /^refused: no \[\[identity.rule\]\]/)
  })
  test.each([
    ['svirt', 'svirt', true],
    ['svirt', 'svirt:c1', false],
    ['svirt*', 'svirt:c1', true],
    ['svirt:*', 'svirt', false],
  ])('the label %s, of a caller that is %s: %s', (label, own, holds) => {
    const decided = decide({ facts: { label: own }, rules: [vmm('t', { label })] })
    expect(decided.startsWith('t+')).toBe(holds)
  })
  test('a cgroup outside of ours is below nothing', () => {
    const read = { cgroup: '/../other', executable: undefined, problem: '' }
    for (const cgroup of ['/', '/*', '/*/other', '/other']) {
      expect(decide({ facts: { read }, rules: [vmm('t', { cgroup })] })).toMatch('refused')
    }
  })
  test('an executable that is another file for us matches no path', () => {
    const read = { cgroup: '/', executable: { path: undefined }, problem: '' }
    const rules = [vmm('t', { executable: '/usr/bin/qemu' })]
    expect(decide({ facts: { read }, rules })).toMatch('no [[identity.rule]] is about this caller')
  })
  test('reading is needed for cgroup and executable only', () => {
    expect(needsRead([vmm('t', { uid: 1, gid: 2, label: 'x' })])).toBe(false)
    expect(needsRead([vmm('t'), vmm('t', { cgroup: '/' })])).toBe(true)
    expect(needsRead([operator('operator', { executable: '/x' })])).toBe(true)
  })
})

describe('which rule decides', () => {
  const both = [
    delegate(['a', 'b'], { uid: 1001 }),
    vmm('one', { uid: 1001 }),
    vmm('two'),
    delegate(['c']),
  ]
  test.each<[string, Case, string]>([
    ['the first of each kind', { rules: both }, 'one+a,b/-'],
    ['the next where the first is not about it', { rules: both, facts: { uid: 7 } }, 'two+c/-'],
    ['a delegate alone opens nothing of its own', { rules: [delegate(['a'])] }, '-+a/-'],
    ['none, and none is needed', { unmatched: 'socket-tenant' }, 'default+/-'],
    [
      'a delegate is not of the socket’s tenant too',
      { rules: [delegate(['a'])], unmatched: 'socket-tenant' },
      '-+a/-',
    ],
    ['a tenant’s own socket, whatever vmm rules say', { place: OWN, rules: both }, 'blue+a,b/-'],
    ['a tenant’s own socket without rules', { place: OWN }, 'blue+/-'],
    ['the side socket: delegates only', { place: SIDE, rules: both }, '-+a,b/-'],
    ['the side socket: no delegate', { place: SIDE, rules: [vmm('one')] }, '-+/-'],
    ['no operator rule: who may connect is one', { place: ADMIN }, '-+/operator'],
    [
      'the first operator rule',
      {
        place: ADMIN,
        operators: [operator('observer', { gid: 4 }), operator('operator', { uid: 1001 })],
      },
      '-+/observer',
    ],
    ['rules of VMMs make no operator', { place: ADMIN, rules: both }, '-+/operator'],
  ])('%s', (_name, asked, expected) => {
    expect(decide(asked)).toBe(expected)
  })
  test.each<[string, Case, RegExp]>([
    ['no rule on the main socket', {}, /no \[\[identity.rule\]\] is about this caller; add one/],
    [
      'operator rules, none about it',
      { place: ADMIN, operators: [operator('operator', { uid: 0 })] },
      /no \[\[identity.operator\]\] is about this caller/,
    ],
  ])('refused: %s', (_name, asked, expected) => {
    expect(decide(asked)).toMatch(expected)
  })
})

describe('what cannot be known', () => {
  test('stops at the rule that asks for it: a later one may not take its place', () => {
    const rules = [vmm('strict', { executable: '/usr/bin/qemu' }), vmm('open')]
    expect(decide({ facts: { read: UNREAD }, rules })).toMatch(/cannot be read .*EACCES/)
    expect(decide({ facts: { read: UNREAD }, rules: [...rules].reverse() })).toBe('open+/-')
  })
  test('but not when the rule is not about the caller anyway', () => {
    const rules = [vmm('strict', { uid: 5, executable: '/usr/bin/qemu' }), vmm('open')]
    expect(decide({ facts: { read: UNREAD }, rules })).toBe('open+/-')
  })
  test('nor a vmm rule where that does not decide', () => {
    const rules = [vmm('strict', { cgroup: '/vms' })]
    expect(decide({ facts: { read: UNREAD }, rules, place: OWN })).toBe('blue+/-')
    expect(decide({ facts: { read: UNREAD }, rules, place: SIDE })).toBe('-+/-')
    const delegates = [delegate(['strict'], { cgroup: '/vms' })]
    expect(decide({ facts: { read: UNREAD }, rules: delegates, place: OWN })).toMatch('refused')
  })
})

describe('whom the kernel does not name is refused everywhere, with the reason', () => {
  const everybody = [vmm('t'), delegate(['t'])]
  test.each<[string, Partial<PeerFacts>, RegExp]>([
    ['pid 0', { pid: 0 }, /outside the daemon’s pid namespace; run caller and daemon/],
    ['the overflow uid', { uid: 65_534 }, /user 65534 stands for all .* own namespaces, as a user/],
    ['the overflow gid', { gid: 65_534 }, /group 65534 stands for all .* as a group/],
    ['no pidfd', { held: false }, /no pidfd of who connects.*; Linux 6.5 or later is needed/],
    ['an end before it was looked at', { ended: true }, /the process that connected has ended/],
  ])('%s', (_name, facts, expected) => {
    for (const place of [MAIN, OWN, SIDE, ADMIN]) {
      expect(decide({ facts, place, rules: everybody })).toMatch(expected)
    }
  })
})
