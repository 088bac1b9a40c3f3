/**
 * `pasidctl doctor` on this very host, whatever it is: without a daemon, and beside one. What each check makes of what it sees is test/unit/doctor-diagnose.test.ts.
 */
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from '../../src/doctor/finding.js'
import { runCli } from '../support/cli-run.js'
import { startInProcess, stopAll, temporaryFolder } from '../support/daemon.js'

const NOWHERE = path.join(temporaryFolder(), 'pasid.sock')
/** No host has so many domains. */
const ABSENT = 'fffffff0:00:00.0'

async function findings(socket: string, ...args: string[]) {
  const { code, stdout, stderr } = await runCli(socket, ['-o', 'json', 'doctor', ...args])
  expect(stderr).toBe('')
  const rows = JSON.parse(stdout) as Finding[]
  const of = (check: Finding['check']) => rows.filter((row) => row.check === check)
  return { code, rows, of }
}

afterAll(stopAll)

describe('without a daemon', () => {
  test('the host is looked at; a failure is the exit code', async () => {
    const { code, rows, of } = await findings(NOWHERE)
    expect(of('kernel')).toHaveLength(1)
    expect(of('possible')).toHaveLength(1)
    expect(of('reserved-window')).toMatchObject([{ verdict: 'UNKNOWN' }])
    expect(code).toBe(rows.some(({ verdict }) => verdict === 'FAIL') ? 1 : 0)
    for (const row of rows) if (row.verdict !== 'OK') expect(row.remedy).not.toBe('')
  })
  test('functions are looked at as they are named: once or several at a time', async () => {
    const other = 'fffffff0:00:00.1'
    const alone = await findings(NOWHERE, '--device', ABSENT, '--device', other)
    expect(alone.code).toBe(1)
    expect(alone.of('driver').map(({ subject }) => subject)).toEqual([ABSENT, other])
    expect(alone.of('devices')).toEqual([])
    const together = await findings(NOWHERE, '--device', ABSENT, other)
    expect(together.rows).toEqual(alone.rows)
  })
  test('for people: verdict, check, what was found, what to do, and a last word', async () => {
    const { code, stdout } = await runCli(NOWHERE, ['doctor', '--device', ABSENT])
    expect(code).toBe(1)
    const lines = stdout.trimEnd().split('\n')
    const at = lines.findIndex((line) => line.startsWith('FAIL     driver '))
    expect(lines[at]).toMatch(/^FAIL {5}driver +fffffff0:00:00\.0: there is no such PCI function$/)
    expect(lines[at + 1]).toMatch(/^ +-> compare with lspci -D/)
    expect(lines.at(-1)).toMatch(/^NOT ready: \d+ failed, \d+ warnings, \d+ not to be told/)
  })
  test.each(['3b', '3b:00', '3b:00.8', '3b:20.0', '0:3b:00.0', '/sys', '', '3b:00.0\n'])(
    '%j is no address',
    async (address) => {
      const { code, stdout, stderr } = await runCli(NOWHERE, ['doctor', '--device', address])
      expect([code, stdout]).toEqual([64, ''])
      expect(stderr).toContain('must be a PCI address, such as 0000:3b:00.0 or 3b:00.0')
    },
  )
  test('an address may be short, and in capital letters', async () => {
    const { of } = await findings(NOWHERE, '--device', 'FE:1F.7')
    expect(of('driver')[0]?.subject).toBe('0000:fe:1f.7')
  })
})

describe('beside a daemon', () => {
  let socket: string
  beforeAll(async () => {
    const folder = temporaryFolder()
    const toml = '[namespace]\nreservations = [{ first = 9, last = 9, reason = "x" }]\n'
    socket = (await startInProcess({ folder, toml })).adminSocket
  })
  test('its reservations are what counts', async () => {
    const [finding] = (await findings(socket)).of('reserved-window')
    expect(finding?.found).toMatch(/^of 1 to 255 not all is reserved/)
  })
})
