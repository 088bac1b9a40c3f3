/** What is in deploy/systemd stays true to the daemon. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../../src/daemon/config/read.js'
import { EXIT } from '../../src/daemon/exits.js'
import { systemLayout } from '../../src/daemon/layout.js'

const FOLDER = path.resolve(import.meta.dirname, '../../deploy/systemd')
const read = (name: string) => fs.readFileSync(path.join(FOLDER, name), 'utf8')
const settings = (name: string) =>
  read(name)
    .split('\n')
    .filter((line) => !line.startsWith('#') && line.includes('='))

test('the configuration is one, and each socket has a group of the sysusers file', () => {
  const result = readConfig({ text: read('pasidd.toml'), file: undefined, layout: systemLayout() })
  if (!result.ok) throw new Error(result.problems.join('\n'))
  const { vmmSockets, adminSocket, fdSocket, metricsSocket } = result.config
  const groups = [...vmmSockets, adminSocket, fdSocket, metricsSocket].map(({ group }) => group)
  expect(groups).toEqual(['pasid-users', 'pasid-admin', 'pasid-users', 'pasid-admin'])
  for (const group of groups) {
    expect(read('pasidd.sysusers')).toMatch(new RegExp(`^g ${group} -$`, 'm'))
    expect(read('pasidd.sysusers')).toMatch(new RegExp(`^m pasidd ${group}$`, 'm'))
    expect(read('pasidd.service')).toMatch(new RegExp(`^SupplementaryGroups=.*\\b${group}\\b`, 'm'))
  }
})

test('what another start would not cure is not started again', () => {
  const line = settings('pasidd.service').find((one) => one.startsWith('RestartPrevent'))
  const { USAGE, LEDGER_DATA, NO_PERMISSION, CONFIG } = EXIT
  expect(line).toBe(
    `RestartPreventExitStatus=${[USAGE, LEDGER_DATA, NO_PERMISSION, CONFIG].join(' ')}`,
  )
})

test('nothing is hidden from the daemon that it knows its callers by, and V8 may compile', () => {
  const all = settings('pasidd.service')
  for (const key of ['PrivateUsers', 'PrivatePIDs', 'MemoryDenyWriteExecute']) {
    expect(all.filter((line) => line.startsWith(key))).toEqual([])
  }
  expect(all).toEqual(expect.arrayContaining(['ProtectProc=default', 'ProcSubset=all']))
  expect(all).toEqual(expect.arrayContaining(['Type=notify', 'NoNewPrivileges=yes']))
})

describe('for devices of the host', () => {
  test('the manager keeps descriptors, and not after the service was stopped', () => {
    const all = settings('pasidd.service')
    expect(all).toContain('FileDescriptorStorePreserve=restart')
    const most = all.find((line) => line.startsWith('FileDescriptorStoreMax='))?.split('=')[1]
    expect(Number(most)).toBeGreaterThan(0)
  })
  test('the drop-in shows the nodes that the rules give to its group, and no others', () => {
    const all = settings('pasidd-native.conf')
    expect(all).toEqual(expect.arrayContaining(['PrivateDevices=no', 'DevicePolicy=closed']))
    expect(all.filter((line) => line.startsWith('DeviceAllow='))).toEqual([
      'DeviceAllow=/dev/iommu rw',
      'DeviceAllow=char-vfio-dev rw',
    ])
    const rules = settings('pasidd-native.rules')
    expect(rules.map((line) => /SUBSYSTEM=="([^"]+)"/.exec(line)?.[1])).toEqual([
      'misc',
      'vfio-dev',
    ])
    for (const line of rules) expect(line).toMatch(/, GROUP="kvm", MODE="0660"$/)
    expect(all).toContain('SupplementaryGroups=kvm')
  })
})
