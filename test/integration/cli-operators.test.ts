/** Operators' hands: `pasidctl` on a live daemon, whose sessions are this process's. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PasidClient, type PasidSession } from '../../src/client/index.js'
import { runCli, type CliSurroundings } from '../support/cli-run.js'
import { startInProcess, stopAll, type InProcessDaemon } from '../support/daemon.js'

const MAIN = path.resolve(import.meta.dirname, '../../dist/cli/main.js')

let daemon: InProcessDaemon
let client: PasidClient

const cli = (argv: readonly string[], surroundings?: CliSurroundings) =>
  runCli(daemon.adminSocket, argv, surroundings)

async function json(...argv: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await cli(['-o', 'json', ...argv])
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as unknown
}

async function allocate(session: PasidSession): Promise<number> {
  const { ranges } = await session.allocatePasids({ one: {}, labels: { use: 'test' } })
  return ranges[0]?.first ?? 0
}

/** A session with one number bound. */
async function bound(): Promise<{ session: PasidSession; pasid: number }> {
  const session = await client.openSession({ labels: { vm: 'one' }, lingerMs: 1500 })
  await session.attachDevice({ device: 'devices/emu0' })
  const pasid = await allocate(session)
  const firstStage = { address: '4096', addressWidth: 48 }
  await session.bindPasid({ pasid, devices: ['devices/emu0'], firstStage, domain: 3 })
  return { session, pasid }
}

async function held(session: PasidSession): Promise<number[]> {
  const { allocations } = await session.listPage()
  return allocations.map(({ pasid }) => pasid)
}

beforeAll(async () => {
  daemon = await startInProcess()
  client = new PasidClient({ socket: daemon.vmmSocket })
})

afterAll(async () => {
  client.close()
  await stopAll()
})

describe('who', () => {
  test('names the process that holds the number, as the kernel knows it', async () => {
    const { session, pasid } = await bound()
    const { stdout } = await cli(['who', String(pasid)])
    const name = fs.readFileSync(`/proc/${process.pid}/comm`, 'utf8').trimEnd()
    const uid = process.getuid?.() ?? -1
    expect(stdout).toMatch(`owner       pid ${process.pid} (${name}), uid ${uid}, gid `)
    expect(stdout).toMatch(`session     ${session.name} OPEN\n`)
    expect(stdout).toMatch(/\nlinger +1\.500s\n/)
    expect(stdout).toMatch(/\nbinding +emu0 \d+ table 0x1000 domain 3 BOUND\n$/)
    const mine = (await json('who', '--pid', `${process.pid}`)) as { session: { name: string } }[]
    expect(mine.map((one) => one.session.name)).toContain(session.name)
    expect((await cli(['who', '--pid', '1'])).code).toBe(4)
    await session.closeSession()
  })
})

describe('release', () => {
  test('a dry run changes nothing; the act takes that grant; another grant is left', async () => {
    const { session, pasid } = await bound()
    const who = (await json('who', String(pasid))) as { allocation: { generation: string } }
    const { generation } = who.allocation
    const dry = await cli(['release', String(pasid), '--dry-run'])
    expect([dry.code, dry.stdout]).toMatchObject([
      0,
      expect.stringMatching(/\nbinding +emu0 [^]*\ndry run: nothing was changed\n$/),
    ])
    expect(await held(session)).toEqual([pasid])
    const other = String(Number(generation) + 1)
    const stale = await cli(['release', String(pasid), '--generation', other, '--yes'])
    expect([stale.code, stale.stderr]).toMatchObject([
      5,
      expect.stringMatching(`is of ${generation} now`),
    ])
    expect(await held(session)).toEqual([pasid])
    const done = await cli(['release', String(pasid), '--reason', 'it hangs'], { typed: 'y\n' })
    expect([done.code, done.stdout]).toMatchObject([0, expect.stringMatching(/\nreleased PASID/)])
    expect(await held(session)).toEqual([])
    const audit = await json('audit', '--filter', 'action = RELEASE_ALLOCATION')
    expect(audit).toMatchObject([
      { outcome: 'DONE', cause: 'it hangs', actor: { pid: process.pid } },
      { outcome: 'GENERATION_STALE' },
    ])
    await session.closeSession()
  })
})

describe('end', () => {
  test('ends it whatever its owner does', async () => {
    const { session, pasid } = await bound()
    const { code, stdout } = await cli(['end', session.name, '--yes', '--reason', 'moved'])
    expect([code, stdout]).toMatchObject([0, expect.stringMatching(/\nPASIDs +1 of [^]*ended: /)])
    expect((await cli(['end', session.name, '--yes'])).code).toBe(4)
    await expect(
      session.freePasids({ range: { first: pasid, last: pasid } }),
    ).rejects.toMatchObject({
      reason: expect.stringMatching(/^SESSION_(NOT_FOUND|CLOSING)$/) as string,
    })
    const audit = await json('audit', '--filter', `subject = ${session.name}`)
    expect(audit).toContainEqual(
      expect.objectContaining({ action: 'END_SESSION', cause: 'moved', outcome: 'DONE' }),
    )
  })
})

describe('quota', () => {
  test('0 denies, inherit and revert give back; both are audited', async () => {
    const session = await client.openSession()
    const before = await json('quota', 'default')
    const set = await cli(['quota', 'set', 'default', 'max_pasids=0', '--reason', 'drain'])
    expect([set.code, set.stdout]).toMatchObject([
      0,
      expect.stringMatching(/^max_pasids +inherit -> 0\n[^]*changed: tenant default\n$/),
    ])
    await expect(allocate(session)).rejects.toMatchObject({ reason: 'QUOTA_EXCEEDED' })
    expect((await cli(['quota', 'default'])).stdout).toMatch(/, at most 0[^]*limits +changed\n/)
    await json('quota', 'set', 'default', 'max_pasids=inherit')
    expect(await allocate(session)).toBeGreaterThan(0)
    await json('quota', 'set', 'default', 'session_max_pasids=1', 'window=300-400')
    await expect(allocate(session)).rejects.toMatchObject({ reason: 'QUOTA_EXCEEDED' })
    const dry = await json('quota', 'revert', 'default', '--dry-run')
    expect(dry).toMatchObject({ overridden: false })
    expect(await json('quota', 'default')).toMatchObject({
      overridden: true,
      ownWindow: { first: 300, last: 400 },
    })
    const reverted = (await json('quota', 'revert', 'default')) as { etag: string }
    expect(reverted.etag).toBe((before as { etag: string }).etag)
    const audit = await json('audit', '--filter', 'action = UPDATE_TENANT')
    expect(audit).toHaveLength(4)
    expect(audit).toContainEqual(expect.objectContaining({ cause: 'drain', outcome: 'DONE' }))
    await session.closeSession()
  })
  test('what cannot be kept is refused with its bound', async () => {
    const { code, stderr } = await cli(['quota', 'set', 'default', 'guaranteed_pasids=4000000'])
    expect([code, stderr]).toMatchObject([64, expect.stringMatching(/guaranteed_pasids.*bound/)])
  })
})

describe('watch', () => {
  test('tells what changes, in order, until SIGINT: 0', async () => {
    const child = spawn(process.execPath, [MAIN, '-s', daemon.adminSocket, 'watch'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)))
    child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)))
    const ended = new Promise((resolve) => child.once('close', resolve))
    await expect.poll(() => stdout, { timeout: 20_000 }).toMatch(/started/)
    const { session, pasid } = await bound()
    await session.closeSession()
    const id = session.name.slice('sessions/'.length)
    await expect.poll(() => stdout, { timeout: 20_000 }).toMatch(`${id} gone`)
    child.kill('SIGINT')
    expect([await ended, stderr]).toEqual([0, ''])
    const at = [
      `session     ${id} OPEN`,
      `device      emu0 attached of ${id}`,
      `numbers     HOST ${pasid} IDLE of ${id}`,
      `binding     emu0 ${pasid} table 0x1000 domain 3 BOUND of ${id}`,
      `${id} gone`,
    ].map((text) => [text, stdout.indexOf(text)] as const)
    expect(at.filter(([, index]) => index < 0)).toEqual([])
    expect(at.map(([, index]) => index)).toEqual(at.map(([, i]) => i).sort((a, b) => a - b))
  })
  test('from a revision that is not of this ledger: a resync first', async () => {
    const interrupts: (() => void)[] = []
    const { code, stdout } = await cli(['watch', '--from', '9007199254740991'], {
      onStart: (interrupt) => interrupts.push(interrupt),
      onOutput: () => interrupts[0]?.(),
    })
    expect([code, stdout]).toMatchObject([
      0,
      expect.stringMatching(/^ *\d+ {2}RESYNC +changes were MISSED \(/),
    ])
  })
  test('the daemon stops: 69', async () => {
    const other = await startInProcess()
    let watching: ReturnType<typeof runCli> | undefined
    await new Promise<void>((begun) => {
      watching = runCli(other.adminSocket, ['watch'], { onOutput: () => begun() })
    })
    await other.stop()
    const { code, stderr } = (await watching) ?? {}
    expect([code, stderr]).toMatchObject([69, expect.stringMatching(/\(DRAINING\)\n$/)])
  })
})

describe('reclaim', () => {
  test('nothing is the matter', async () => {
    expect(await json('reclaim')).toMatchObject({ breakerOpen: false, stuckCount: 0, stuck: [] })
    expect((await cli(['reclaim'])).stdout).toMatch(/^breaker +closed; opens above 25 % and 8/)
    expect((await cli(['status'])).stdout).not.toMatch(/breaker|stuck/)
    expect(await json('status')).toMatchObject({ reclaim: { breakerOpen: false, stuckCount: 0 } })
    const resumed = await cli(['reclaim', 'resume', '--yes'])
    expect([resumed.code, resumed.stdout]).toEqual([0, 'resumed: 0 PASIDs of 0 sessions go\n'])
  })
})
