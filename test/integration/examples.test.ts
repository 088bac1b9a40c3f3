/** The examples are run as a reader would run them: against a daemon, by their own command line. */

import { execFile } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { openLogs } from '../../src/daemon/logs.js'
import { startDaemon } from '../../src/daemon/start.js'
import { configIn, startChild, stopAll, temporaryFolder } from '../support/daemon.js'
import { ADDRESS, makeNativeHost } from '../support/native-host.js'

const EXAMPLES = new URL('../../examples/', import.meta.url)
const run = promisify(execFile)

afterEach(stopAll)

test('first-session.mjs goes through once, refusal included', async () => {
  const daemon = await startChild()
  const script = fileURLToPath(new URL('first-session.mjs', EXAMPLES))
  const { stdout } = await run(process.execPath, [script, daemon.vmmSocket])
  expect(stdout).toContain('backend emulator')
  expect(stdout).toContain('PASID 256 is ours')
  expect(stdout).toContain('refused: PASID_NOT_FOUND')
  expect(stdout).toContain('closed; 1 PASID given back')
})

test('emulator-session.mjs forgets an invalidation and is told which, until both are made', async () => {
  const daemon = await startChild()
  const script = fileURLToPath(new URL('emulator-session.mjs', EXAMPLES))
  const { stdout } = await run(process.execPath, [script, daemon.vmmSocket, daemon.adminSocket])
  const [before = '', moved = '', half = '', cured = ''] = stdout.split(
    /^.* (?:moved|invalidated)$/m,
  )
  expect(before).toContain('fault 0x71 FIRST_STAGE_ENTRY_NOT_PRESENT')
  expect(before).not.toContain('STALE')
  expect(moved.match(/needed: .*INVALIDATION_CACHE_(IOTLB|DEVICE_TLB)/g)).toHaveLength(2)
  expect(half.match(/needed: .*INVALIDATION_CACHE_DEVICE_TLB/g)).toHaveLength(1)
  expect(half).not.toContain('INVALIDATION_CACHE_IOTLB')
  expect(cured).toContain('said the tables')
  expect(cured).not.toContain('STALE')
})

/** All of it is run where there are devices: test/kernel/rig/scenario-bind.ts. */
test('hand-over.mjs takes part by numbers only where the device cannot be opened', async () => {
  const folder = temporaryFolder()
  const root = path.join(folder, 'host')
  makeNativeHost(root)
  const device = `[[backend.device]]\nname = "gpu0"\naddress = "${ADDRESS}"\n`
  const config = configIn(folder, `[backend]\nkind = "native"\n${device}`)
  const logs = openLogs({ level: 'error' })
  const daemon = await startDaemon(config, { logs, hostRoot: root })
  const args = ['devices/gpu0', '/dev/vfio/devices/none', daemon.vmmSocket, daemon.fdSocket]
  const script = fileURLToPath(new URL('hand-over.mjs', EXAMPLES))
  const { stdout } = await run(process.execPath, [script, ...args]).finally(() => daemon.stop())
  expect(stdout).toContain('/dev/vfio/devices/none')
  expect(stdout).toMatch(/: numbers only\nPASID \d+ is ours to attach\n$/)
})

test('pasidd.toml is a configuration that the daemon takes', async () => {
  const main = fileURLToPath(new URL('../../dist/daemon/main.js', import.meta.url))
  const file = fileURLToPath(new URL('pasidd.toml', EXAMPLES))
  await expect(run(process.execPath, [main, 'validate', '--config', file])).resolves.toBeDefined()
})
