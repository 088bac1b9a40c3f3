/**
 * The sockets beside the VMMs' and the operators': where they are, who may connect, and with whom
 * they share a folder.
 */
import { describe, expect, test } from 'vitest'
import { dumpConfig } from '../../src/daemon/config/dump.js'
import { configOf, problemsOf } from '../support/config-reading.js'

const nobody = { owner: undefined, group: undefined }

describe('defaults', () => {
  test('beside the VMM socket and the admin socket', () => {
    const { fdSocket, metricsSocket } = configOf('')
    expect(fdSocket).toEqual({
      ...nobody,
      path: '/srv/vmm/fds.sock',
      mode: 0o660,
      directoryMode: 0o750,
    })
    expect(metricsSocket).toEqual({
      ...nobody,
      path: '/srv/admin/metrics.sock',
      mode: 0o660,
      directoryMode: 0o700,
    })
  })
  test('they go where their neighbours are put, with the mode of the folder', () => {
    const config = configOf(
      '[daemon]\nvmm_socket = "/run/v/s"\nvmm_directory_mode = "0755"\nadmin_socket = "/run/o/s"',
    )
    expect(config.fdSocket).toMatchObject({ path: '/run/v/fds.sock', directoryMode: 0o755 })
    expect(config.metricsSocket).toMatchObject({ path: '/run/o/metrics.sock' })
  })
})

test.each([
  ['fd', 'fdSocket'],
  ['metrics', 'metricsSocket'],
] as const)('%s_socket with its access takes effect, and reads back', (prefix, key) => {
  const config = configOf(`
    [daemon]
    ${prefix}_socket = "/srv/other/s"
    ${prefix}_owner = "7"
    ${prefix}_group = "kvm"
    ${prefix}_mode = "0600"
    ${prefix}_directory_mode = "0711"
  `)
  const wanted = {
    path: '/srv/other/s',
    owner: '7',
    group: 'kvm',
    mode: 0o600,
    directoryMode: 0o711,
  }
  expect(config[key]).toEqual(wanted)
  expect(configOf(dumpConfig(config))[key]).toEqual(wanted)
})

describe('paths', () => {
  test.each([
    ['fd_socket = "/srv/vmm/pasid.sock"', 'fd_socket'],
    ['metrics_socket = "/srv/admin/pasid.sock"', 'metrics_socket'],
    ['vmm_socket = "/srv/vmm/fds.sock"', 'fd_socket'],
    ['admin_socket = "/srv/admin/metrics.sock"', 'metrics_socket'],
    ['fd_socket = "/srv/x/s"\nmetrics_socket = "/srv/x/s"', 'metrics_socket'],
  ])('one path for two: %s', (keys, blamed) => {
    expect(problemsOf(`[daemon]\n${keys}`)).toEqual([
      expect.stringMatching(
        new RegExp(`daemon\\.${blamed}: is .*, as another socket is; choose another$`),
      ),
    ])
  })
  test('a tenant’s socket in the place of another', () => {
    const text = '[[tenant]]\nname = "a"\nsocket = "/srv/vmm/fds.sock"'
    expect(problemsOf(text)).toEqual([
      expect.stringMatching(/daemon\.fd_socket: is \/srv\/vmm\/fds\.sock, as another socket is/),
    ])
  })
  test.each([
    ['fd_socket = "/srv/vmm/b.sock"\nmetrics_socket = "/srv/admin/b.sock"', undefined],
    ['fd_socket = "/srv/f/s"\nmetrics_socket = "/srv/m/s"', undefined],
    [
      'fd_socket = "/srv/admin/b.sock"',
      'f.toml:2: daemon.fd_socket: is in /srv/admin, as the admin socket is; two folders keep VMMs from operators',
    ],
    [
      'metrics_socket = "/srv/vmm/b.sock"',
      'f.toml:2: daemon.metrics_socket: is in /srv/vmm, as daemon.vmm_socket is; metrics tell of all tenants, keep them from VMMs',
    ],
    [
      'fd_socket = "/srv/x/f"\nmetrics_socket = "/srv/x/m"',
      'f.toml:3: daemon.metrics_socket: is in /srv/x, as daemon.fd_socket is; metrics tell of all tenants, keep them from VMMs',
    ],
    [
      'fd_socket = "/srv/state/s"',
      'f.toml:2: daemon.fd_socket: is in /srv/state, where the ledger is; give sockets a folder of their own',
    ],
    [
      'metrics_socket = "/srv/state/s"',
      'f.toml:2: daemon.metrics_socket: is in /srv/state, where the ledger is; give sockets a folder of their own',
    ],
  ])('folders: %s', (keys, problem) => {
    expect(problemsOf(`[daemon]\n${keys}`)).toEqual(problem === undefined ? [] : [problem])
  })
  test('too long in bytes, also by being beside another', () => {
    const folder = `/srv/${'f'.repeat(93)}`
    expect(problemsOf(`[daemon]\nfd_socket = "${folder}/12345678"`)).toEqual([])
    expect(problemsOf(`[daemon]\nfd_socket = "${folder}/123456789"`)).toEqual([
      expect.stringMatching(/daemon\.fd_socket: is .*, 108 bytes long, .* at most 107; choose/),
    ])
    expect(problemsOf(`[daemon]\nadmin_socket = "${folder}/s"`)).toEqual([
      expect.stringMatching(
        /daemon\.metrics_socket: is .*\/metrics\.sock beside daemon\.admin_socket, 111 bytes long/,
      ),
    ])
  })
})
