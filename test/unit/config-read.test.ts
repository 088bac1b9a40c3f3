/**
 * Every key of the configuration: what is right takes effect, what is wrong is named with its
 * remedy.
 */
import { describe, expect, test } from 'vitest'
import { dumpConfig } from '../../src/daemon/config/dump.js'
import { nearest } from '../../src/daemon/config/nearest.js'
import { configOf, problemsOf, read } from '../support/config-reading.js'

/** A tenant tree so deep. */
function chain(depth: number): string {
  return Array.from({ length: depth }, (_, at) => {
    const parent = at === 0 ? '' : `parent = "t${at - 1}"`
    return `[[tenant]]\nname = "t${at}"\n${parent}\nsocket = "/srv/t${at}/s"`
  }).join('\n')
}

describe('defaults', () => {
  test('one tenant, two devices, the host kernel’s numbers reserved', () => {
    const config = configOf('')
    expect(config.policy.tenants.map(({ name }) => name)).toEqual(['default'])
    expect(config.vmmSockets).toMatchObject([
      { tenant: 'default', path: '/srv/vmm/pasid.sock', mode: 0o660, directoryMode: 0o750 },
    ])
    expect(config.adminSocket).toMatchObject({ mode: 0o600, directoryMode: 0o700 })
    expect(config.policy).toMatchObject({ sessionMaxPasids: 1000, holdMs: 1000 })
    expect(config.policy.hostMaxPasids).toBeUndefined()
    expect(config.policy.reservations).toEqual([
      { first: 1, last: 255, reason: 'host kernel SVA (lowest-first from 1)' },
    ])
    expect([...config.scopes]).toEqual([
      ['emu0', 'HOST'],
      ['emu1', 'DEVICE'],
    ])
  })
  test('are frozen all the way down', () => {
    const config = configOf('')
    expect(Object.isFrozen(config.policy.tenants[0])).toBe(true)
    expect(Object.isFrozen(config.backend.devices[0])).toBe(true)
    expect(() => (config.scopes as Map<string, string>).set('emu0', 'DEVICE')).toThrow('fixed')
  })
  test('written out, they read back to the same', () => {
    const text = dumpConfig(configOf(''))
    expect(dumpConfig(configOf(text))).toBe(text)
    expect(configOf(text).scopes).toEqual(configOf('').scopes)
  })
  test('written out with every table and list used, too', () => {
    const config = configOf(`
      [daemon]
      vmm_tenant = "a"
      fd_group = "kvm"
      metrics_mode = "0640"
      audit_events = 5000
      [identity]
      unmatched = "socket-tenant"
      [[identity.rule]]
      tenant = "a"
      uid = 107
      label = "x \\"y\\" (enforce)"
      [[identity.rule]]
      role = "delegate"
      tenants = ["a", "b"]
      cgroup = "/system.slice/*"
      [[identity.operator]]
      role = "observer"
      executable = "/usr/bin/pasidctl"
      [namespace]
      max_pasids = 5000
      [[tenant]]
      name = "a"
      guaranteed_pasids = 40
      [[tenant]]
      name = "b"
      max_pasids = 9
      devices = [{ name = "emu1", scope = "DEVICE" }]
      [reclaim]
      sweep_budget = "20ms"
      breaker_share = 100
      [limits]
      tenant_calls_in_flight = 512
      rate_wait = "0ms"
    `)
    expect(configOf(dumpConfig(config))).toEqual(config)
  })
})

describe('values that take effect', () => {
  test('reservations: an empty list removes them', () => {
    expect(configOf('[namespace]\nreservations = []').policy.reservations).toEqual([])
  })
  test('absent inherits, 0 denies', () => {
    const { tenants } = configOf('[[tenant]]\nname = "default"\nmax_pasids = 0').policy
    expect(tenants).toMatchObject([{ maxPasids: 0, maxSessions: undefined, devices: undefined }])
  })
  test('a tenant of its own socket, its devices and window', () => {
    const config = configOf(`
      [[tenant]]
      name = "child"
      parent = "site"
      socket = "/srv/child/s"
      socket_mode = "0666"
      socket_group = "kvm"
      window = { first = 4096, last = 8191 }
      devices = [{ name = "emu0" }, { name = "emu1", scope = "DEVICE" }]
      [[tenant]]
      name = "site"
    `)
    expect(config.policy.tenants.map(({ name }) => name)).toEqual(['default', 'site', 'child'])
    expect(config.vmmSockets[1]).toMatchObject({ tenant: 'child', mode: 0o666, group: 'kvm' })
    const child = config.policy.tenants[2]
    expect(child?.window).toEqual({ first: 4096, last: 8191 })
    expect([...(child?.devices ?? [])]).toEqual([
      ['emu0', 'HOST'],
      ['emu1', 'DEVICE'],
    ])
    expect(dumpConfig(configOf(dumpConfig(config)))).toBe(dumpConfig(config))
  })
  test('without a tenant "default" when the main socket is another’s', () => {
    const { policy } = configOf('[daemon]\nvmm_tenant = "a"\n[[tenant]]\nname = "a"')
    expect(policy.tenants.map(({ name }) => name)).toEqual(['a'])
  })
  test('devices of the emulator', () => {
    const { devices } = configOf(`
      [[backend.device]]
      name = "arm"
      platform = "ARM_SMMUV3"
      [[backend.device]]
      name = "small"
      pasid_bits = 8
      address_widths = [48]
      translation = "NONE"
    `).backend
    expect(devices).toMatchObject([
      { name: 'arm', addressWidths: [], pasidBits: 20, translation: 'MEDIATED' },
      { name: 'small', addressWidths: [48], pasidBits: 8, translation: 'NONE' },
    ])
  })
  test('what a platform cannot do, its devices cannot, unless the file says so', () => {
    const { devices } = configOf(`
      [[backend.device]]
      name = "amd"
      platform = "AMD"
      ats = false
      source_id = 0x208
      [[backend.device]]
      name = "arm"
      platform = "ARM_SMMUV3"
      pass_through = false
    `).backend
    expect(devices).toMatchObject([
      { pasidBits: 16, addressWidths: [], passThrough: false, ats: false, sourceId: 0x208 },
      { pasidBits: 20, addressWidths: [], passThrough: false, ats: true, sourceId: undefined },
    ])
  })
  test.each([
    ['0ms', 0],
    ['250ms', 250],
    ['2m', 120_000],
    ['24h', 86_400_000],
  ])('hold = "%s"', (text, ms) => {
    expect(configOf(`[namespace]\nhold = "${text}"`).policy.holdMs).toBe(ms)
  })
  test('a tenant that nobody can be is warned of', () => {
    const result = read('[[tenant]]\nname = "lone"')
    expect(result.ok && result.warnings).toEqual([
      'tenant[0]: tenant "lone" has no socket, no rule and no children: nobody can be it',
    ])
  })
})

describe('one wrong value', () => {
  test.each([
    ['[daemon', /^f\.toml:1: is no valid TOML: /],
    ['a = 1\na = 2', /^f\.toml:2: is no valid TOML: /],
    ['[demon]', 'f.toml:1: demon: is no table here; did you mean daemon?'],
    ['daemon = 5', /^f\.toml:1: daemon: is 5, must be a table with state_dir, /],
    ['tenant = 5', 'f.toml:1: tenant: is 5, must be a list; write [[tenant]]'],
    [
      '[daemon]\nvmm_sock = "/a"',
      'f.toml:2: daemon.vmm_sock: is no key here; did you mean vmm_socket?',
    ],
    [
      '[daemon]\nlog_level = "warning"',
      /^f\.toml:2: daemon\.log_level: is "warning", must be one of .*; did you mean warn\?$/,
    ],
    [
      '[daemon]\nvmm_socket = "a/b"',
      /daemon\.vmm_socket: is "a\/b", must be an absolute path .*; start it with \/$/,
    ],
    [
      '[daemon]\nstate_dir = "/a/../b"',
      /daemon\.state_dir: is "\/a\/\.\.\/b", must be an absolute path/,
    ],
    [
      '[daemon]\nvmm_mode = 660',
      /daemon\.vmm_mode: is 660, must be permission bits in octal; .*"0660"$/,
    ],
    ['[daemon]\nvmm_mode = "999"', /daemon\.vmm_mode: is "999", must be permission bits/],
    [
      '[daemon]\nvmm_tenant = "x"',
      /daemon\.vmm_tenant: is "x", which is no tenant; add a \[\[tenant\]\]/,
    ],
    [
      '[daemon]\nstop_grace = "1d"',
      /daemon\.stop_grace: is "1d", must be a time from 0ms to 10m; /,
    ],
    [
      '[daemon]\ncorrupt_ledger = "delete"',
      /daemon\.corrupt_ledger: is "delete", must be one of "refuse", "move-aside"/,
    ],
    ['[namespace]\nhold = 1', /namespace\.hold: is 1, must be a time from 0ms to 24h; write it as/],
    ['[namespace]\nhold = "25h"', /namespace\.hold: is "25h", must be a time/],
    [
      '[namespace]\nmax_pasids = -1',
      /namespace\.max_pasids: is -1, must be a whole number from 0 to 4294967295; leave it out for no limit/,
    ],
    [
      '[namespace]\nsession_max_pasids = 1048576',
      /is 1048576, must be a whole number from 0 to 1048575/,
    ],
    ['[namespace]\nmax_sessions = 1.5', /namespace\.max_sessions: is 1.5, must be a whole number/],
    [
      '[namespace]\nmax_request_ids = 10',
      /namespace\.max_request_ids: is 10, must be a whole number from 1024/,
    ],
    ['[namespace]\nreservations = 5', /namespace\.reservations: is 5, must be a list/],
    [
      '[namespace]\nreservations = [{first=0,last=9,reason="x"}]',
      /namespace\.reservations\[0\]\.first: is 0, must be a whole number from 1 to 1048575/,
    ],
    [
      '[namespace]\nreservations = [{first=1,last=1048576,reason="x"}]',
      /reservations\[0\]\.last: is 1048576/,
    ],
    [
      '[namespace]\nreservations = [{first=9,last=1,reason="x"}]',
      /reservations\[0\]: first is 9 and last is 1, but first must not be greater/,
    ],
    [
      '[namespace]\nreservations = [{first=1,last=2}]',
      /reservations\[0\]\.reason: is missing, must be text of 1 to 255 characters/,
    ],
    [
      '[namespace]\nreservations = [{first=1,last=1048575,reason="x"}]',
      /reserve all 1048575 numbers; leave some/,
    ],
    ['[[tenant]]\nname = "Big"', /tenant\[0\]\.name: is "Big", must be 1 to 63 characters a-z/],
    ['[[tenant]]', /tenant\[0\]\.name: is missing/],
    [
      '[[tenant]]\nname = "a"\n[[tenant]]\nname = "a"',
      /^f\.toml:4: tenant\[1\]\.name: is "a", which tenant\[0\] has already/,
    ],
    [
      '[[tenant]]\nname = "a"\nparent = "b"',
      /tenant\[0\]\.parent: is "b", which is no tenant; there is no other/,
    ],
    ['[[tenant]]\nname = "a"\nparent = "a"', /tenant\[0\]\.parent: makes a circle: a -> a/],
    [
      '[[tenant]]\nname = "a"\nmax_pasids = "5"',
      /tenant\[0\]\.max_pasids: is "5", must be .*; leave it out to inherit, 0 denies/,
    ],
    [
      '[[tenant]]\nname = "a"\nwindow = {first=5,last=4}',
      /tenant\[0\]\.window: first is 5 and last is 4/,
    ],
    ['[[tenant]]\nname = "a"\nwindow = {first=5}', /tenant\[0\]\.window\.last: is missing/],
    [
      '[[tenant]]\nname = "a"\ndevices = [{name="emu"}]',
      /devices\[0\]\.name: is "emu", which the backend does not have; did you mean emu0\?/,
    ],
    [
      '[[tenant]]\nname = "a"\ndevices = [{name="emu0"},{name="emu0"}]',
      /devices\[1\]\.name: is "emu0" a second time/,
    ],
    [
      '[[tenant]]\nname = "a"\ndevices = [{name="emu0",scope="DEVICE"}]',
      /"emu0", which is shared; its numbers are in HOST scope/,
    ],
    [
      '[[tenant]]\nname = "a"\ndevices = [{name="emu1",scope="host"}]',
      /scope: is "host", must be one of "HOST", "DEVICE"; did you mean HOST\?/,
    ],
    ['[backend]\ndevice = []', /backend\.device: is an empty list/],
    [
      '[[backend.device]]\nname = "d"\npasid_bits = 21',
      /backend\.device\[0\]\.pasid_bits: is 21, must be a whole number from 0 to 20/,
    ],
    [
      '[[backend.device]]\nname = "d"\nplatform = "AMD"\naddress_widths = [48]',
      /address_widths: is \[48\], but on AMD the guest owns the table/,
    ],
    [
      '[[backend.device]]\nname = "d"\naddress_widths = [39]',
      /address_widths\[0\]: is 39, must be 48 or 57/,
    ],
    [
      '[[backend.device]]\nname = "d"\nsource_id = 65536',
      /device\[0\]\.source_id: is 65536, must be a whole number from 0 to 65535/,
    ],
    [
      '[[backend.device]]\nname = "d"\nsource_id = 8\n[[backend.device]]\nname = "e"\nsource_id = 8',
      /device\[1\]\.source_id: is 8, which "d" has already; choose another/,
    ],
    ['[[backend.device]]\nname = "d"\nshared = 1', /shared: is 1, must be true or false/],
    [
      '[[backend.device]]\nname = "d"\nshared = true\ngroup = "g"',
      /device\[0\]\.group: is "g", but a shared device is a group of its own; leave it out/,
    ],
    [
      '[limits]\nmessage_bytes = 1',
      /limits\.message_bytes: is 1, must be a whole number from 65536/,
    ],
    ['[limits]\nfirst_byte = "1ms"', /limits\.first_byte: is "1ms", must be a time from 100ms/],
    [
      '[limits]\ncontrol_in_flight = 100\ncalls_in_flight = 100',
      /control_in_flight: is 100, must be less than limits\.calls_in_flight, which is 100/,
    ],
  ])('%j', (text, message) => {
    const problems = problemsOf(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(message)
  })
})

describe('values against each other', () => {
  test('reservations that overlap', () => {
    const list =
      '{first=1,last=9,reason="a"},{first=20,last=30,reason="b"},{first=9,last=10,reason="c"}'
    expect(problemsOf(`[namespace]\nreservations = [${list}]`)).toEqual([
      'f.toml:2: namespace.reservations[2]: overlaps namespace.reservations[0]: 9 to 10 and 1 to 9; join or part them',
    ])
  })
  test('a circle of tenants is told of each in it', () => {
    const text = '[[tenant]]\nname="a"\nparent="b"\n[[tenant]]\nname="b"\nparent="a"'
    expect(problemsOf(text)).toHaveLength(2)
  })
  test('a tree of depth 8 but not 9', () => {
    expect(problemsOf(chain(8))).toEqual([])
    expect(problemsOf(chain(9))).toEqual([
      expect.stringMatching(/tenant\[8\]\.parent: is at depth 9, the tree has at most 8/),
    ])
  })
  test('windows with nothing in common', () => {
    const text =
      '[[tenant]]\nname="a"\nsocket="/srv/a/s"\nwindow={first=1,last=99}\n' +
      '[[tenant]]\nname="b"\nparent="a"\nsocket="/srv/b/s"\nwindow={first=100,last=200}'
    expect(problemsOf(text)).toEqual([
      expect.stringMatching(
        /tenant\[1\]\.window: is 100 to 200, nothing of it is in .* 1 to 99 of "a"/,
      ),
    ])
  })
  test('a device in two scopes', () => {
    const text =
      '[[tenant]]\nname="a"\nsocket="/srv/a/s"\ndevices=[{name="emu1",scope="DEVICE"}]\n' +
      '[[tenant]]\nname="b"\nsocket="/srv/b/s"\ndevices=[{name="emu1"}]'
    expect(problemsOf(text)).toEqual([
      expect.stringMatching(
        /is "HOST" for "emu1", but tenant "a" has it in DEVICE; a device is in one scope/,
      ),
    ])
  })
  test('sockets: too long in bytes, the same twice, in one folder, beside the ledger', () => {
    const long = `/srv/${'é'.repeat(50)}/s`
    expect(problemsOf(`[daemon]\nvmm_socket = "${long}x"`)).toEqual([
      expect.stringMatching(
        /daemon\.vmm_socket: is .*, 108 bytes long, a socket's path has at most 107/,
      ),
    ])
    const fds = 'fd_socket = "/srv/vmm/fds.sock"'
    expect(problemsOf(`[daemon]\nvmm_socket = "${long}"\n${fds}`)).toEqual([])
    expect(problemsOf('[daemon]\nvmm_socket = "/srv/admin/pasid.sock"')).toEqual([
      expect.stringMatching(/vmm_socket: is \/srv\/admin\/pasid\.sock, as another socket is/),
    ])
    expect(problemsOf('[daemon]\nvmm_socket = "/srv/admin/b.sock"')).toEqual([
      expect.stringMatching(/is in \/srv\/admin, as the admin socket is; two folders keep/),
    ])
    expect(problemsOf('[daemon]\nvmm_socket = "/srv/state/b.sock"')).toEqual([
      expect.stringMatching(/is in \/srv\/state, where the ledger is/),
    ])
  })
  test('all problems come at once, in the order of the file', () => {
    const text =
      '[daemon]\nlog_levl = "info"\n[namespace]\nhold = "x"\n[[tenant]]\nname = "A"\n[limits]\nconnections = 0'
    expect(problemsOf(text).map((line) => line.split(':')[1])).toEqual(['2', '4', '6', '8'])
  })
  test('a wrong entry keeps its name, so that what refers to it is right', () => {
    const text =
      '[[tenant]]\nname="a"\nmax_pasids=-1\n[[tenant]]\nname="b"\nparent="a"\nsocket="/srv/b/s"'
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^f\.toml:3: tenant\[0\]\.max_pasids/)])
  })
})

test.each([
  ['hodl', 'hold'],
  ['max_pasid', 'max_pasids'],
  ['zzzzzz', undefined],
])('nearest(%s) is %s', (word, best) => {
  expect(nearest(word, ['hold', 'max_pasids', 'max_sessions'])).toBe(best)
})
