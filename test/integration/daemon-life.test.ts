/** The daemon from start to stop: order, what is left behind, what it says when it cannot. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { OperatorClient, PasidClient, type PasidSession } from '../../src/client/index.js'
import { EXIT, StartFailure } from '../../src/daemon/exits.js'
import {
  configIn,
  layoutIn,
  spawnDaemon,
  startChild,
  startInProcess,
  stopAll,
  temporaryFolder,
} from '../support/daemon.js'
import { startDaemon } from '../../src/daemon/start.js'

const clients: { close(): void }[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await stopAll()
})

function vmm(socket: string): PasidClient {
  const client = new PasidClient({ socket })
  clients.push(client)
  return client
}

function operator(socket: string): OperatorClient {
  const client = new OperatorClient({ socket })
  clients.push(client)
  return client
}

async function numbersOf(session: PasidSession): Promise<number[]> {
  const numbers: number[] = []
  for await (const page of session.listPasids()) numbers.push(...page.map(({ pasid }) => pasid))
  return numbers
}

async function allocateOne(session: PasidSession): Promise<number> {
  const { ranges } = await session.allocatePasids({ one: {} })
  return ranges[0]?.first ?? 0
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('in one process', () => {
  test('serves on both sockets, then stops and leaves none', async () => {
    const daemon = await startInProcess()
    expect(await vmm(daemon.vmmSocket).health()).toBe('SERVING')
    expect(await operator(daemon.adminSocket).health()).toBe('SERVING')
    const session = await vmm(daemon.vmmSocket).openSession()
    expect(await allocateOne(session)).toBeGreaterThan(255)
    await daemon.stop()
    await daemon.stop()
    expect(fs.existsSync(daemon.vmmSocket)).toBe(false)
    expect(fs.existsSync(daemon.adminSocket)).toBe(false)
    expect(fs.existsSync(daemon.fdSocket)).toBe(false)
    expect(fs.existsSync(daemon.metricsSocket)).toBe(false)
    // Its owner's pidfd, and the caller's, are one, and let go.
    expect(daemon.processes.open).toBe(0)
    expect(daemon.lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'ready',
      'stopping',
      'stopped',
    ])
  })
  test('a tenant’s own socket is that tenant, and its limits hold', async () => {
    const folder = temporaryFolder()
    const toml = `[[tenant]]\nname = "t"\nsocket = "${folder}/t/s"\nmax_pasids = 1`
    const daemon = await startInProcess({ folder, toml })
    const session = await vmm(`${folder}/t/s`).openSession()
    expect((await session.get()).tenant).toBe('tenants/t')
    await allocateOne(session)
    await expect(allocateOne(session)).rejects.toMatchObject({
      codeName: 'RESOURCE_EXHAUSTED',
      reason: 'QUOTA_EXCEEDED',
      metadata: { limit: '1' },
    })
    expect((await (await vmm(daemon.vmmSocket).openSession()).get()).tenant).toBe('tenants/default')
  })
  test('tokens and the key that makes them are in no log line, and the key is ours alone', async () => {
    const daemon = await startInProcess({ toml: '[daemon]\nlog_level = "trace"' })
    const session = await vmm(daemon.vmmSocket).openSession()
    await allocateOne(session)
    const key = path.join(daemon.config.stateDir, 'token.key')
    expect(fs.statSync(key).mode & 0o777).toBe(0o600)
    const bytes = fs.readFileSync(key)
    expect(bytes).toHaveLength(32)
    await daemon.stop()
    const log = daemon.lines.join('')
    for (const secret of [session.token, bytes.toString('hex'), bytes.toString('base64')]) {
      expect(log).not.toContain(secret)
    }
  })
  test('a restart keeps grants and tokens; another boot does not', async () => {
    const folder = temporaryFolder()
    const first = await startInProcess({ folder })
    const session = await vmm(first.vmmSocket).openSession()
    const pasid = await allocateOne(session)
    await first.stop()
    const second = await startInProcess({ folder })
    const again = vmm(second.vmmSocket).session(session.name, session.token)
    expect(await numbersOf(again)).toEqual([pasid])
    await second.stop()
    const third = await startInProcess({ folder, bootId: 'another-boot' })
    const gone = vmm(third.vmmSocket).session(session.name, session.token)
    await expect(numbersOf(gone)).rejects.toMatchObject({ reason: 'SESSION_NOT_FOUND' })
  })
  test('a start that fails leaves nothing behind', async () => {
    const folder = temporaryFolder()
    fs.mkdirSync(path.join(folder, 'vmm'))
    fs.writeFileSync(path.join(folder, 'vmm/pasid.sock'), 'precious')
    const failure = await startDaemon(configIn(folder)).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StartFailure)
    expect(String(failure)).toMatch('is there and is no socket')
    expect(fs.readdirSync(path.join(folder, 'admin'))).toEqual([])
    fs.rmSync(path.join(folder, 'vmm/pasid.sock'))
    await startInProcess({ folder })
  })
  test('an open Control stream does not hold the stop up', async () => {
    const daemon = await startInProcess({ toml: '[daemon]\nstop_grace = "30s"' })
    const session = await vmm(daemon.vmmSocket).openSession()
    const control = await session.control()
    const began = performance.now()
    await daemon.stop()
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(await control.closed).toMatchObject({ reason: 'DRAINING' })
  })
})

describe('as a process', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: ends with 0 and leaves no socket',
    async (signal) => {
      const daemon = await startChild()
      const session = await vmm(daemon.vmmSocket).openSession()
      await allocateOne(session)
      expect(await daemon.stop(signal)).toEqual({ code: 0, signal: null })
      expect(isAlive(daemon.pid)).toBe(false)
      expect(fs.existsSync(daemon.vmmSocket)).toBe(false)
      expect(fs.existsSync(daemon.adminSocket)).toBe(false)
      expect(daemon.output).toMatch('"msg":"stopped"')
    },
  )
  test('a second signal ends it at once', async () => {
    const daemon = await startChild({ toml: '[daemon]\nstop_grace = "10m"' })
    // A call that does not end by itself: a reflection stream.
    const { Client, credentials } = await import('@grpc/grpc-js')
    const client = new Client(`unix:${daemon.adminSocket}`, credentials.createInsecure())
    clients.push(client)
    const bytes = (value: Buffer) => value
    const info = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
    client.makeBidiStreamRequest(info, bytes, bytes).on('error', () => undefined)
    await operator(daemon.adminSocket).health()
    daemon.signal('SIGTERM')
    await daemon.said('"msg":"stopping"')
    expect(await daemon.stop('SIGTERM')).toEqual({ code: 143, signal: null })
  })
  test('kill -9, and the next start replaces the dead sockets and still has the grants', async () => {
    const first = await startChild()
    const session = await vmm(first.vmmSocket).openSession()
    const pasid = await allocateOne(session)
    await first.stop('SIGKILL')
    expect(fs.existsSync(first.vmmSocket)).toBe(true)
    const second = await startChild({ folder: first.folder })
    const again = vmm(second.vmmSocket).session(session.name, session.token)
    expect(await numbersOf(again)).toEqual([pasid])
    expect(await second.stop()).toMatchObject({ code: 0 })
  })
  test('a second daemon on the same state names the holder, and the first serves on', async () => {
    const first = await startChild()
    const second = spawnDaemon({ folder: first.folder })
    expect(await second.ended).toMatchObject({ code: EXIT.UNAVAILABLE })
    expect(second.output).toMatch(`is in use by process ${first.pid}`)
    expect(await vmm(first.vmmSocket).health()).toBe('SERVING')
  })
  test('a second daemon with other state but the same sockets does not take them', async () => {
    const first = await startChild()
    const folder = temporaryFolder()
    const toml = `[daemon]\n[[tenant]]\nname = "t"\nsocket = "${first.vmmSocket}"`
    const second = spawnDaemon({ folder, toml })
    expect(await second.ended).toMatchObject({ code: EXIT.UNAVAILABLE })
    expect(second.output).toMatch(`another process answers on the socket ${first.vmmSocket}`)
    expect(fs.existsSync(layoutIn(folder).adminSocket)).toBe(false)
    expect(await vmm(first.vmmSocket).health()).toBe('SERVING')
  })
  test('an exception that nobody expected: said, and 70 at once', async () => {
    const thrower = 'process.on("SIGUSR2", () => { throw new Error("boom") })'
    const environment = {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(thrower)}`,
    }
    const daemon = await startChild({ environment })
    daemon.signal('SIGUSR2')
    expect(await daemon.ended).toEqual({ code: EXIT.BUG, signal: null })
    expect(daemon.output).toMatch(/"level":"fatal".*"message":"boom".*durable state is safe/)
  })
  test('a log reader that goes away does not end it', async () => {
    const daemon = await startChild({ toml: '[daemon]\nlog_level = "trace"' })
    daemon.closeOutput()
    const session = await vmm(daemon.vmmSocket).openSession()
    for (let i = 0; i < 20; i++) await allocateOne(session)
    expect(await vmm(daemon.vmmSocket).health()).toBe('SERVING')
    expect(await daemon.stop()).toEqual({ code: 0, signal: null })
  })
  test('a wrong configuration: all of it on stderr, and 78', async () => {
    const daemon = spawnDaemon({ toml: '[daemon]\nlog_levl = "x"\n[limits]\nconnections = 0' })
    expect(await daemon.ended).toMatchObject({ code: EXIT.CONFIG })
    expect(daemon.output).toMatch(/the configuration has 2 problems:\n.*log_levl.*\n.*connections/)
  })
  test('stops when the process that started it is gone, if told to watch', async () => {
    const folder = temporaryFolder()
    const main = JSON.stringify(path.resolve(import.meta.dirname, '../../dist/daemon/main.js'))
    const script = path.join(folder, 'start.mjs')
    fs.writeFileSync(
      script,
      `import { main } from ${main}\nawait main({ argv: process.argv.slice(2), parentWatch: true })\n`,
    )
    // A shell that is its parent, and is killed.
    const node = `"${process.execPath}" "${script}" run --config "${folder}/pasidd.toml"`
    const shell = path.join(folder, 'shell')
    const start = `${node} > "${folder}/log" & echo $! > "${folder}/pid"; wait\n`
    fs.writeFileSync(shell, start)
    const daemon = spawnDaemon({ folder, before: ['/bin/sh', shell] })
    const log = () =>
      fs.existsSync(`${folder}/log`) ? fs.readFileSync(`${folder}/log`, 'utf8') : ''
    await expect.poll(log, { timeout: 15_000 }).toMatch('"msg":"ready"')
    const pid = Number(fs.readFileSync(`${folder}/pid`, 'utf8'))
    daemon.signal('SIGKILL')
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
    expect(log()).toMatch(/the process that started the daemon is gone[^]*"msg":"stopped"/)
    expect(fs.existsSync(daemon.vmmSocket)).toBe(false)
  })
})

describe('the command line', () => {
  const main = path.resolve(import.meta.dirname, '../../dist/daemon/main.js')
  const pasidd = (...args: string[]) =>
    spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 30_000 })

  test('version and help', () => {
    expect(pasidd('version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    const help = pasidd('--help')
    expect([help.status, help.stdout]).toEqual([0, expect.stringMatching('validate')])
  })
  test('validate says ok, and config dump what is in force', () => {
    const folder = temporaryFolder()
    const file = path.join(folder, 'x.toml')
    fs.writeFileSync(file, '[namespace]\nhold = "5s"\n')
    const valid = pasidd('validate', '--config', file)
    expect([valid.status, valid.stdout]).toEqual([
      0,
      `${file}: ok (tenants: 1, devices: 2, reservations: 1)\n`,
    ])
    const dump = pasidd('config', 'dump', '-c', file)
    expect([dump.status, dump.stdout]).toEqual([0, expect.stringMatching('hold = "5s"')])
    fs.writeFileSync(file, dump.stdout)
    expect(pasidd('config', 'dump', '-c', file).stdout).toBe(dump.stdout)
  })
  test('a wrong command line is 64, a file that is not there 78', () => {
    expect(pasidd('--nonsense').status).toBe(EXIT.USAGE)
    const missing = pasidd('validate', '--config', '/nonexistent/x.toml')
    expect([missing.status, missing.stderr]).toEqual([
      EXIT.CONFIG,
      expect.stringMatching('/nonexistent/x.toml: cannot be read: there is no such file'),
    ])
  })
})
