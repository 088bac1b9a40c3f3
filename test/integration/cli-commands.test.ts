/** `pasidctl` as people and scripts use it, against a live daemon. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PasidClient, type PasidSession } from '../../src/client/index.js'
import {
  startInProcess,
  stopAll,
  temporaryFolder,
  type InProcessDaemon,
} from '../support/daemon.js'

const MAIN = path.resolve(import.meta.dirname, '../../dist/cli/main.js')
/** More than three pages of 1000. */
const NUMBERS = 4000

let daemon: InProcessDaemon
let client: PasidClient
let session: PasidSession

interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function run(command: string, args: readonly string[], environment = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...environment } })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)))
    child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

const pasidctl = (...args: string[]) =>
  run(process.execPath, [MAIN, '--socket', daemon.adminSocket, ...args], { LANG: 'C.UTF-8' })

async function rows(...args: string[]): Promise<unknown[]> {
  const { code, stdout, stderr } = await pasidctl('-o', 'json', ...args)
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as unknown[]
}

beforeAll(async () => {
  const folder = temporaryFolder()
  daemon = await startInProcess({ folder, toml: '[namespace]\nsession_max_pasids = 100000' })
  client = new PasidClient({ socket: daemon.vmmSocket })
  session = await client.openSession({ labels: { vm: 'one' } })
  await session.attachDevice({ device: 'devices/emu0' })
  const pasids = Array.from({ length: NUMBERS }, (_, at) => 5000 + at)
  await session.allocatePasids({ exact: { pasids }, labels: { queue: '7' } })
  const firstStage = { address: '4096', addressWidth: 48 }
  await session.bindPasid({ pasid: 5000, devices: ['devices/emu0'], firstStage, domain: 3 })
})

afterAll(async () => {
  client.close()
  await stopAll()
})

describe('list', () => {
  test('shows every row once, over all pages', async () => {
    const all = (await rows('list')) as { pasid: number }[]
    expect(all.map(({ pasid }) => pasid)).toEqual(
      Array.from({ length: NUMBERS }, (_, i) => 5000 + i),
    )
    const table = (await pasidctl('list', '--page-size', '333')).stdout.trimEnd().split('\n')
    expect(table).toHaveLength(NUMBERS + 1)
    expect(table[0]).toMatch(/^ +PASID {2}SCOPE {2}STATE +SESSION +TENANT/)
    expect(table[1]).toMatch(
      /^ +5000 {2}HOST +ACTIVE +[a-z2-7]{16} +default +1 +20\d\d-.*Z +queue=7$/,
    )
  })
  test('JSON is protobuf’s mapping, one row a line', async () => {
    const { stdout } = await pasidctl('-o', 'json', 'list', '--limit', '2')
    expect(stdout.split('\n')).toHaveLength(5)
    expect(JSON.parse(stdout)).toMatchObject([
      {
        pasid: 5000,
        scope: 'SCOPE_HOST',
        state: 'ALLOCATION_STATE_ACTIVE',
        session: session.name,
        tenant: 'tenants/default',
        generation: expect.stringMatching(/^\d+$/) as string,
        grantTime: expect.stringMatching(/^20\d\d-\d\d-\d\dT[\d:.]+Z$/) as string,
        labels: { queue: '7' },
        bindings: [{ device: 'devices/emu0', firstStage: { address: '4096' }, domain: 3 }],
      },
      { pasid: 5001, state: 'ALLOCATION_STATE_IDLE' },
    ])
    expect(stdout).not.toMatch('"target":"')
  })
  test('filters, and says what is wrong with a filter', async () => {
    expect(await rows('list', '--filter', 'state = ACTIVE')).toMatchObject([{ pasid: 5000 }])
    expect(await rows('list', '--filter', 'pasid >= 8998')).toHaveLength(2)
    const wrong = await pasidctl('list', '--filter', 'colour = red')
    expect([wrong.code, wrong.stdout]).toEqual([64, ''])
    expect(wrong.stderr).toMatch(/^pasidctl: .*colour.*\(FILTER_INVALID\)\n$/)
  })
  test('a reader that goes away ends it quietly', async () => {
    const command = `"${process.execPath}" "${MAIN}" -s "${daemon.adminSocket}" list --page-size 50; echo $? >&2`
    const { stdout, stderr } = await run('/bin/sh', ['-c', `(${command}) | head -n 2`])
    expect(stdout.split('\n')).toHaveLength(3)
    expect(stderr).toBe('0\n')
  })
})

describe('the other nouns', () => {
  test('get: a number, in decimal and hex, and a session', async () => {
    const number = await pasidctl('get', '0x1388')
    expect(number.stdout).toMatch(/^PASID +5000 \(0x1388\)\nscope +HOST\nstate +ACTIVE\n/)
    expect(number.stdout).toMatch(/\nbinding +emu0 5000 table 0x1000 domain 3 BOUND\n$/)
    const { stdout } = await pasidctl('get', session.name)
    expect(stdout).toMatch(/\nPASIDs +4000 of 100000\ndevices +emu0\nbindings +1, of them lost 0\n/)
    // What a client wrote must not reach the terminal as an escape.
    expect(stdout).toMatch('labels    vm=one')
  })
  test('get: what is not there is 4, what cannot be is 64', async () => {
    const free = await pasidctl('get', '300')
    expect([free.code, free.stderr]).toEqual([
      4,
      'pasidctl: nobody holds PASID 300 in HOST scope\n',
    ])
    expect((await pasidctl('get', 'sessions/abcdefghabcdefgh')).code).toBe(4)
    expect((await pasidctl('get', '0')).code).toBe(64)
    expect((await pasidctl('get', '1048576')).code).toBe(64)
    expect((await pasidctl('get', 'x')).code).toBe(64)
  })
  test('sessions, tenants, devices, reservations', async () => {
    expect(await rows('sessions')).toMatchObject([{ name: session.name, heldPasids: NUMBERS }])
    expect(await rows('tenants')).toMatchObject([{ name: 'tenants/default', usedPasids: NUMBERS }])
    expect(await rows('devices')).toMatchObject([
      { name: 'devices/emu0' },
      { name: 'devices/emu1' },
    ])
    expect(await rows('reservations')).toMatchObject([{ range: { first: 1, last: 255 } }])
    const tenants = (await pasidctl('tenants')).stdout
    expect(tenants).toMatch(/default +- +4000 +- +1 +- +100000 +1-1048575 +yes\n/)
  })
  test('map: what is full is dark', async () => {
    const { stdout } = await pasidctl('map')
    const cells = stdout.split('\n').slice(1, 9)
    expect(cells[0]).toMatch(/^ +0 {2}░▓░·{29}$/)
    expect(cells.slice(1).every((line) => /^ +\d+ {2}·{32}$/.test(line))).toBe(true)
    expect(
      await run(process.execPath, [MAIN, '-s', daemon.adminSocket, 'map'], {
        LANG: 'C',
        LC_ALL: '',
      }),
    ).toMatchObject({ stdout: expect.stringMatching(/ 0 {2}:#:\.{29}\n/) as string })
    expect((await pasidctl('map', '--device', 'emu1')).stdout).toMatch(/^devices\/emu1: 0 of/)
  })
  test('status and check', async () => {
    const status = await pasidctl('status')
    expect([status.code, status.stdout]).toEqual([
      0,
      expect.stringMatching(/^daemon +SERVING\nrevision +\d+\nsessions +1\ndevices +2\n/),
    ])
    const check = await pasidctl('check')
    expect([check.code, check.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^consistent: 4000 allocations, 1 sessions, 1 bindings at revision \d+\n$/,
      ),
    ])
  })
  test('no colour where no terminal is', async () => {
    for (const command of ['list', 'map', 'status', 'check']) {
      expect((await pasidctl(command)).stdout).not.toMatch('\u001b')
    }
  })
})

describe('when it cannot', () => {
  test('no daemon: 69, with the socket and how to start one', async () => {
    const socket = path.join(temporaryFolder(), 'none')
    const { code, stderr } = await run(process.execPath, [MAIN, 'list'], {
      PASIDCTL_SOCKET: socket,
    })
    expect(code).toBe(69)
    expect(stderr).toMatch(`the daemon does not answer on ${socket}: there is no such socket`)
    expect(stderr).toMatch(/start it: npm start/)
  })
  test('a socket that nobody listens on, and a file', async () => {
    const file = path.join(temporaryFolder(), 'file')
    fs.writeFileSync(file, '')
    const { code, stderr } = await run(process.execPath, [MAIN, '-s', file, 'status'])
    expect([code, stderr]).toEqual([69, expect.stringMatching('no daemon listens on it')])
  })
  test('a wrong command line: 64; help: 0, with the exit codes', async () => {
    expect((await pasidctl('nonsense')).code).toBe(64)
    expect((await pasidctl('list', '--page-size', '0')).code).toBe(64)
    expect((await pasidctl('list', '-o', 'yaml')).code).toBe(64)
    const help = await pasidctl('--help')
    expect([help.code, help.stdout]).toEqual([0, expect.stringMatching(/69 +nobody answers/)])
  })
})
