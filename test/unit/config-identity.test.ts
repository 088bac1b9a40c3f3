/** Identity rules: who a caller is by configuration, and rules that cannot mean what they say. */
import os from 'node:os'
import { describe, expect, test } from 'vitest'
import { dumpConfig } from '../../src/daemon/config/dump.js'
import { configOf, problemsOf, warningsOf } from '../support/config-reading.js'

const TENANTS =
  '[[tenant]]\nname = "a"\nsocket = "/srv/a/s"\n[[tenant]]\nname = "b"\nsocket = "/srv/b/s"\n'
const NO_CONDITION = {
  uid: undefined,
  gid: undefined,
  cgroup: undefined,
  label: undefined,
  executable: undefined,
}

/** One rule for the tenant "a". */
function rule(keys: string): string {
  return `${TENANTS}[[identity.rule]]\ntenant = "a"\n${keys}`
}

describe('without any rule', () => {
  test('a socket makes the tenant, and who may connect to the admin socket is an operator', () => {
    const { identity } = configOf('')
    expect(identity).toEqual({ rules: [], unmatched: 'socket-tenant', operators: [] })
    expect(Object.isFrozen(identity.rules)).toBe(true)
  })
  test('operator rules alone leave the VMM sockets as they are', () => {
    expect(configOf('[[identity.operator]]\nuid = 0').identity).toMatchObject({
      unmatched: 'socket-tenant',
      operators: [{ ...NO_CONDITION, role: 'operator', uid: 0 }],
    })
  })
})

describe('rules that take effect', () => {
  const text = `${TENANTS}
    [[identity.rule]]
    tenant = "a"
    uid = 107
    gid = "36"
    cgroup = "/machine.slice//*/"
    label = "system_u:system_r:svirt_t:*"
    executable = "/usr/bin/qemu-system-x86_64"
    [[identity.rule]]
    role = "delegate"
    tenants = ["b", "a"]
    [[identity.operator]]
    role = "observer"
    gid = 1000
    [[identity.operator]]
    label = "x"`

  test('with every condition, in the order of the file', () => {
    expect(configOf(text).identity).toEqual({
      rules: [
        {
          role: 'vmm',
          tenant: 'a',
          uid: 107,
          gid: 36,
          cgroup: '/machine.slice/*',
          label: 'system_u:system_r:svirt_t:*',
          executable: '/usr/bin/qemu-system-x86_64',
        },
        { ...NO_CONDITION, role: 'delegate', tenants: ['b', 'a'] },
      ],
      unmatched: 'refuse',
      operators: [
        { ...NO_CONDITION, role: 'observer', gid: 1000 },
        { ...NO_CONDITION, role: 'operator', label: 'x' },
      ],
    })
  })
  test('deep-frozen', () => {
    const [vmm, delegate] = configOf(text).identity.rules
    expect(Object.isFrozen(vmm)).toBe(true)
    expect(Object.isFrozen(delegate?.role === 'delegate' && delegate.tenants)).toBe(true)
  })
  test('written out, they read back to the same', () => {
    const config = configOf(text)
    const again = configOf(dumpConfig(config))
    expect(again.identity).toEqual(config.identity)
    expect(dumpConfig(again)).toBe(dumpConfig(config))
  })
  test('those that no rule matches, as configured', () => {
    const asSocket = rule('uid = 1\n[identity]\nunmatched = "socket-tenant"')
    expect(configOf(asSocket).identity.unmatched).toBe('socket-tenant')
    expect(configOf('[identity]\nunmatched = "refuse"').identity.unmatched).toBe('refuse')
  })
  test('names of users and groups become their numbers', () => {
    const { username, uid } = os.userInfo()
    const name = uid === 0 ? 'root' : username
    expect(configOf(rule(`uid = "${name}"`)).identity.rules).toMatchObject([{ uid }])
    expect(configOf(rule('gid = "root"')).identity.rules).toMatchObject([{ gid: 0 }])
  })
  test('the tenant "default" may be named without being configured', () => {
    expect(problemsOf('[[identity.rule]]\ntenant = "default"\nuid = 5')).toEqual([])
  })
})

describe('one wrong value', () => {
  test.each([
    ['uid = 4294967294', undefined],
    ['uid = 4294967295', /uid: is 4294967295, must be the name of a user, or a number from 0 to/],
    ['uid = -1', /uid: is -1, must be/],
    ['uid = 1.5', /uid: is 1\.5, must be/],
    ['uid = true', /uid: is true, must be/],
    ['uid = ""', /uid: is "", must be/],
    [
      'uid = "no such user"',
      /^f\.toml:9: identity\.rule\[0\]\.uid: is "no such user": there is no user "no such user" in .*; create it, or give its number$/,
    ],
    ['gid = "nosuchgroup"', /gid: is "nosuchgroup": there is no group "nosuchgroup" in/],
    [
      'uid = 65534',
      /uid: is 65534: the kernel shows it for every user of another user namespace; name another$/,
    ],
    ['gid = "65534"', /gid: is "65534" \(65534\): .* every group of another/],
    ['cgroup = "/a/*/b"', undefined],
    ['cgroup = "machine.slice"', /cgroup: is "machine\.slice", must be a path in the cgroup v2/],
    ['cgroup = "/"', /cgroup: is "\/", must be/],
    ['cgroup = "/a/../b"', /cgroup: is "\/a\/\.\.\/b", must be .* without \. or \.\./],
    ['cgroup = "/a/qemu-*.scope"', /a \* stands for one whole component/],
    ['cgroup = "/sys/fs/cgroup/a"', /; write it as \/proc\/PID\/cgroup does: .* without \/sys/],
    [`cgroup = "/${'c'.repeat(4095)}"`, undefined],
    [`cgroup = "/${'c'.repeat(4096)}"`, /cgroup: is "\/ccc.*…, must be/],
    [`label = "${'l'.repeat(4096)}"`, undefined],
    [`label = "${'l'.repeat(4097)}"`, /label: is "lll.*…, must be a security label of 1 to 4096/],
    ['label = ""', /label: is "", must be a security label/],
    ['label = "a\\nb"', /label: is "a\\nb", must be .* on one line/],
    ['executable = "qemu"', /executable: is "qemu", must be an absolute path/],
    ['executable = "/usr/../qemu"', /executable: .* must be an absolute path/],
    ['role = "operator"', /role: is "operator", must be one of "vmm", "delegate"/],
    ['uidd = 5', /identity\.rule\[0\]\.uidd: is no key here; did you mean uid\?/],
  ])('%.60s', (keys, message) => {
    const problems = problemsOf(rule(keys))
    expect(problems).toHaveLength(message === undefined ? 0 : 1)
    if (message !== undefined) expect(problems[0]).toMatch(message)
  })
  test.each([
    ['[identity]\nunmatched = "tenant"', /identity\.unmatched: is "tenant", must be one of/],
    ['[identity]\nrules = []', /identity\.rules: is no key here; did you mean rule\?/],
    ['identity = 5', /identity: is 5, must be a table with unmatched, rule, operator/],
    ['[identity]\nrule = 5', /identity\.rule: is 5, must be a list/],
    [
      '[[identity.operator]]\nrole = "vmm"',
      /role: is "vmm", must be one of "operator", "observer"/,
    ],
    ['[[identity.operator]]\ntenant = "a"', /operator\[0\]\.tenant: is no key here/],
  ])('%j', (text, message) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(message)])
  })
  test.each(['rule', 'operator'])('1024 of identity.%s, but not 1025', (list) => {
    const tenant = list === 'rule' ? 'tenant = "default"\n' : ''
    const many = (count: number) =>
      Array.from({ length: count }, (_, uid) => `[[identity.${list}]]\n${tenant}uid = ${uid}\n`)
    expect(problemsOf(many(1024).join(''))).toEqual([])
    expect(problemsOf(many(1025).join(''))).toEqual([
      expect.stringMatching(/identity\.\w+: has 1025 entries, must have at most 1024/),
    ])
  })
})

describe('a rule and its tenants', () => {
  const delegate = (keys: string) => `${TENANTS}[[identity.rule]]\nrole = "delegate"\n${keys}`

  test.each([
    [
      `${TENANTS}[[identity.rule]]\ntenant = "aa"`,
      'f.toml:8: identity.rule[0].tenant: is "aa", which is no tenant; did you mean a?',
    ],
    [
      '[[tenant]]\nname = "a"\n[daemon]\nvmm_tenant = "a"\n[[identity.rule]]\ntenant = "default"',
      'f.toml:6: identity.rule[0].tenant: is "default", which is no tenant; known are a',
    ],
    [
      `${TENANTS}[[identity.rule]]\nuid = 5`,
      'f.toml:7: identity.rule[0].tenant: is missing; name the tenant of these callers',
    ],
    [
      `${TENANTS}[[identity.rule]]\ntenants = ["a"]`,
      'f.toml:8: identity.rule[0].tenants: is for role = "delegate"; name one tenant',
    ],
    [
      delegate('tenant = "a"'),
      'f.toml:9: identity.rule[0].tenant: is for role = "vmm"; list them in tenants',
    ],
    [
      delegate('uid = 0'),
      'f.toml:7: identity.rule[0].tenants: is missing; list those it may act for',
    ],
    [
      delegate('tenants = []'),
      'f.toml:9: identity.rule[0].tenants: is empty; list those it may act for',
    ],
    [
      delegate('tenants = ["a", "c", "b"]'),
      expect.stringMatching(/^f\.toml:9: identity\.rule\[0\]\.tenants\[1\]: is "c", which is no/),
    ],
    [
      delegate('tenants = ["a", "b", "a"]'),
      'f.toml:9: identity.rule[0].tenants[2]: is "a" a second time; name it once',
    ],
  ])('%j', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem])
  })
  test('4096 tenants of a delegate, but not 4097', () => {
    const names = Array.from({ length: 4097 }, (_, at) => `t${at}`)
    const tenants = (count: number) =>
      names.slice(0, count).map((name) => `[[tenant]]\nname = "${name}"\n`)
    const text = (count: number) =>
      `${tenants(4096).join('')}[[identity.rule]]\nrole = "delegate"\ntenants = ${JSON.stringify(names.slice(0, count))}`
    expect(problemsOf(text(4096))).toEqual([])
    expect(problemsOf(text(4097))).toEqual([
      expect.stringMatching(/tenants: has 4097 entries, must have at most 4096/),
    ])
  })
  test('a tenant whose entry is wrong is there all the same', () => {
    const text = '[[tenant]]\nname = "a"\nmax_pasids = -1\n[[identity.rule]]\ntenant = "a"'
    expect(problemsOf(text)).toEqual([expect.stringMatching(/tenant\[0\]\.max_pasids/)])
  })
})

describe('legal, but hardly meant', () => {
  const both = (first: string, second: string) =>
    `${TENANTS}[[identity.rule]]\n${first}\n[[identity.rule]]\n${second}\n`
  const delegate = 'role = "delegate"\ntenants = ["a", "b"]'

  test('a rule after one for everybody', () => {
    expect(warningsOf(both('tenant = "a"', 'tenant = "b"\nuid = 5'))).toEqual([
      'identity.rule[1]: can never decide: identity.rule[0] comes first and has no condition',
    ])
  })
  test('a rule for some of the callers of an earlier one', () => {
    const text = both('tenant = "a"\nuid = 5', 'tenant = "b"\nuid = 5\ngid = 6')
    expect(warningsOf(text)).toEqual([
      'identity.rule[1]: can never decide: identity.rule[0] comes first and matches all its callers',
    ])
    const wider = both('tenant = "a"\nuid = 5\ngid = 6', 'tenant = "b"\nuid = 5')
    expect(warningsOf(wider)).toEqual([])
  })
  test('an operator after one for everybody; only observers', () => {
    const text = '[[identity.operator]]\nrole = "observer"\n[[identity.operator]]\nuid = 0'
    expect(warningsOf(text)).toEqual([
      'identity.operator[1]: can never decide: identity.operator[0] comes first and has no condition',
    ])
    expect(warningsOf('[[identity.operator]]\nrole = "observer"')).toEqual([
      'identity.operator: all are observers: nobody may change anything',
    ])
  })
  test('everybody is refused', () => {
    expect(warningsOf('[identity]\nunmatched = "refuse"')).toEqual([
      'identity.unmatched: is "refuse" without a rule: nobody may call on a VMM socket',
    ])
  })
  test('a rule, of a VMM or of a delegate, makes a tenant reachable', () => {
    const lone = '[[tenant]]\nname = "lone"\n'
    expect(warningsOf(lone)).toHaveLength(1)
    expect(warningsOf(`${lone}[[identity.rule]]\ntenant = "lone"`)).toEqual([])
    const acted = '[[identity.rule]]\nrole = "delegate"\ntenants = ["lone"]'
    expect(warningsOf(`${lone}${acted}`)).toEqual([])
  })
  test('a socket alone makes none once callers without a rule are refused', () => {
    const text = `${TENANTS}[[identity.rule]]\ntenant = "a"`
    expect(warningsOf(text)).toEqual([
      'tenant[1]: tenant "b" has a socket, but no rule, and callers without one are refused: nobody can be it',
    ])
    expect(warningsOf(`${text}\n[identity]\nunmatched = "socket-tenant"`)).toEqual([])
    expect(warningsOf(`${TENANTS}[[identity.rule]]\n${delegate}`)).toEqual([])
  })
  test('the tenant of the main socket is not warned of: one has to be named', () => {
    const text = '[[tenant]]\nname = "default"\nmax_pasids = 0\n[[tenant]]\nname = "a"\n'
    expect(warningsOf(`${text}[[identity.rule]]\ntenant = "a"`)).toEqual([])
  })
})
