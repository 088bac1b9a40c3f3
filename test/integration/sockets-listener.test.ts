/**
 * Sockets as files and as listeners: who may connect, what is at the path, and connections that
 * misbehave.
 */
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { Client, credentials, Server, status, type ServiceError } from '@grpc/grpc-js'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SocketConfig } from '../../src/daemon/config/config.js'
import { Admission } from '../../src/daemon/admission.js'
import { ConnectionCaps } from '../../src/daemon/connection-caps.js'
import { EXIT, StartFailure } from '../../src/daemon/exits.js'
import { Listener } from '../../src/daemon/listener.js'
import { Processes } from '../../src/daemon/processes.js'
import type { Peer } from '../../src/service/peer.js'

const NOBODY = 65_534
const IDENTITY = (bytes: Buffer) => bytes
const ECHO = {
  Echo: {
    path: '/test.Echo/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: IDENTITY,
    requestDeserialize: IDENTITY,
    responseSerialize: IDENTITY,
    responseDeserialize: IDENTITY,
  },
}

let folder: string
const opened: Listener[] = []
const servers: net.Server[] = []
const lines: string[] = []

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasid-'))
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((listener) => listener.close(0)))
  for (const server of servers.splice(0)) server.close()
  fs.rmSync(folder, { recursive: true, force: true })
  lines.length = 0
})

function socketAt(file: string, more: Partial<SocketConfig> = {}): SocketConfig {
  const access = { owner: undefined, group: undefined, mode: 0o660, directoryMode: 0o750 }
  return { path: path.join(folder, file), ...access, ...more }
}

const processes = new Processes()

async function listen(socket: SocketConfig, limits = {}): Promise<Listener> {
  const server = new Server()
  server.addService(ECHO, {
    Echo: (call: { request: Buffer }, answer: (error: null, value: Buffer) => void) => {
      // "wait" is a call that is never answered.
      if (call.request.toString() !== 'wait') answer(null, call.request)
    },
  })
  const log = pino({}, { write: (line: string) => lines.push(line) })
  const all = { connections: 100, connectionsPerUid: 1000, firstByteMs: 10_000, ...limits }
  const identity = { rules: [], operators: [], unmatched: 'socket-tenant' } as const
  // The reserve is for another user than the one of this test, which may be root.
  const caps = new ConnectionCaps(all, [NOBODY])
  const admission = new Admission({ identity, processes, caps, log })
  const callers = new Map<string, Peer>()
  const place = { kind: 'main', tenant: 'default' } as const
  const of = { socket, server, place, admission, callers, limits: all, log }
  const listener = await Listener.open(of)
  opened.push(listener)
  return listener
}

function echo(socket: string, text = 'hello'): Promise<string> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure())
  return new Promise<string>((resolve, reject) => {
    const deadline = Date.now() + 5000
    client.makeUnaryRequest(
      ECHO.Echo.path,
      IDENTITY,
      IDENTITY,
      Buffer.from(text),
      { deadline },
      (error, value) => (error === null ? resolve(String(value)) : reject(error)),
    )
  }).finally(() => client.close())
}

/** Connects and says this; resolves with what came back when the other side has closed. */
function say(socket: string, bytes: Buffer | string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const connection = net.connect(socket, () => connection.write(bytes))
    const chunks: Buffer[] = []
    connection.on('data', (chunk) => chunks.push(chunk))
    connection.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    connection.on('close', () => resolve(Buffer.concat(chunks)))
  })
}

async function failureOf(socket: SocketConfig): Promise<StartFailure> {
  const failure = await listen(socket).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(failure instanceof StartFailure)) throw new Error(`no StartFailure: ${String(failure)}`)
  return failure
}

/** A socket file that nobody listens on any more, as `kill -9` leaves it. */
async function leaveStale(file: string): Promise<void> {
  const server = net.createServer()
  const other = `${file}.bound`
  await new Promise<void>((resolve) => server.listen(other, resolve))
  fs.renameSync(other, file)
  await new Promise((resolve) => server.close(resolve))
}

const bits = (file: string) => fs.statSync(file).mode & 0o777

describe('the file', () => {
  test('has the modes asked for, whatever the umask, and no other is left beside it', async () => {
    const before = process.umask(0o077)
    try {
      const { path: file } = await listen(socketAt('vmm/s', { mode: 0o666, directoryMode: 0o775 }))
      expect([bits(file), bits(path.dirname(file))]).toEqual([0o666, 0o775])
      expect(fs.readdirSync(path.dirname(file))).toEqual(['s'])
      expect(process.umask(before)).toBe(0o077)
    } finally {
      process.umask(before)
    }
  })
  test('belongs to the group asked for', async () => {
    const gid = process.getgid?.() ?? 0
    const { path: file } = await listen(socketAt('vmm/s', { group: String(gid) }))
    expect(fs.statSync(file).gid).toBe(gid)
    const failure = await failureOf(socketAt('b/s', { group: 'no-such-group' }))
    expect(failure.message).toMatch('there is no group "no-such-group"')
    expect(failure.exitCode).toBe(EXIT.CONFIG)
  })
  test('may have spaces and 107 bytes, but not 108', async () => {
    const room = 107 - Buffer.byteLength(`${folder}/d/`)
    const name = `a ü ${'x'.repeat(room - 5)}`
    const listener = await listen(socketAt(`d/${name}`))
    expect(Buffer.byteLength(listener.path)).toBe(107)
    expect(await echo(listener.path)).toBe('hello')
    const failure = await failureOf(socketAt(`d/${name}y`))
    expect(failure.message).toMatch(/takes 108 bytes, a socket's path has at most 107/)
  })
  test('goes with its listener, but not when another has taken its place', async () => {
    const first = await listen(socketAt('d/s'))
    await first.close(0)
    expect(fs.existsSync(first.path)).toBe(false)
    const second = await listen(socketAt('d/s'))
    fs.unlinkSync(second.path)
    const third = await listen(socketAt('d/s'))
    await second.close(0)
    expect(await echo(third.path)).toBe('hello')
    expect(lines.join('')).toMatch('socket left')
  })
})

describe('what is at the path already', () => {
  test('a dead socket of ours is replaced', async () => {
    fs.mkdirSync(path.join(folder, 'd'))
    await leaveStale(path.join(folder, 'd/s'))
    const { path: file } = await listen(socketAt('d/s'))
    expect(await echo(file)).toBe('hello')
  })
  test('a live one is not, and serves on', async () => {
    const first = await listen(socketAt('d/s'))
    const failure = await failureOf(socketAt('d/s'))
    expect(failure.message).toMatch(`another process answers on the socket ${first.path}`)
    expect(failure.exitCode).toBe(EXIT.UNAVAILABLE)
    expect(await echo(first.path)).toBe('hello')
  })
  test('a dead socket of another user is left alone', async (ctx) => {
    ctx.skip(process.getuid?.() !== 0, 'only root can make a file of another user')
    fs.mkdirSync(path.join(folder, 'd'))
    fs.chmodSync(folder, 0o777)
    fs.chmodSync(path.join(folder, 'd'), 0o1777)
    await leaveStale(path.join(folder, 'd/s'))
    process.seteuid?.(65_534)
    try {
      const failure = await failureOf(socketAt('d/s'))
      // Whoever may not write to the file cannot even ask whether somebody listens.
      expect(failure.exitCode).toBe(EXIT.NO_PERMISSION)
    } finally {
      process.seteuid?.(0)
    }
    expect(fs.existsSync(path.join(folder, 'd/s'))).toBe(true)
  })
  test.each([
    ['a file', (at: string) => fs.writeFileSync(at, 'precious')],
    ['a folder', (at: string) => fs.mkdirSync(at)],
    ['a link', (at: string) => fs.symlinkSync('/dev/null', at)],
  ])('%s is left alone', async (_name, make) => {
    fs.mkdirSync(path.join(folder, 'd'))
    make(path.join(folder, 'd/s'))
    const failure = await failureOf(socketAt('d/s'))
    expect(failure.message).toMatch(/is there and is no socket; remove it, or choose another path/)
    expect(fs.existsSync(path.join(folder, 'd/s'))).toBe(true)
  })
})

describe('the folder', () => {
  test('is made, but nothing above it', async () => {
    const failure = await failureOf(socketAt('no/such/s'))
    expect(failure.message).toMatch(`create ${folder}/no, or choose another path`)
    expect(failure.exitCode).toBe(EXIT.CANNOT_CREATE)
  })
  test('that is there stays as it is', async () => {
    fs.mkdirSync(path.join(folder, 'd'), { mode: 0o711 })
    await listen(socketAt('d/s'))
    expect(bits(path.join(folder, 'd'))).toBe(0o711)
  })
  test('must not be writable by everybody', async () => {
    fs.mkdirSync(path.join(folder, 'd'))
    fs.chmodSync(path.join(folder, 'd'), 0o777)
    const failure = await failureOf(socketAt('d/s'))
    expect(failure.message).toMatch(/everybody may write to .*; take the right away: chmod o-w/)
  })
  test('must be a folder, and writable for us', async (ctx) => {
    fs.writeFileSync(path.join(folder, 'd'), '')
    expect((await failureOf(socketAt('d/s'))).message).toMatch('is not a folder')
    ctx.skip(process.getuid?.() !== 0, 'only root can become another user')
    fs.mkdirSync(path.join(folder, 'mine'))
    fs.chmodSync(folder, 0o755)
    process.seteuid?.(65_534)
    try {
      const failure = await failureOf(socketAt('mine/s'))
      expect(failure.message).toMatch(`make ${folder}/mine writable for us`)
      expect(failure.exitCode).toBe(EXIT.NO_PERMISSION)
    } finally {
      process.seteuid?.(0)
    }
  })
})

describe('connections', () => {
  test('one that says nothing is closed, one that speaks is not', async () => {
    const { path: file } = await listen(socketAt('d/s'), { firstByteMs: 200 })
    const client = new Client(`unix:${file}`, credentials.createInsecure())
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve()))
    })
    const began = performance.now()
    await Promise.all([say(file, ''), say(file, 'PRI * HTTP/2.0\r\n')])
    expect(performance.now() - began).toBeGreaterThan(150)
    expect(client.getChannel().getConnectivityState(false)).toBe(2)
    expect(lines.join('')).toMatch('silent connection closed')
    client.close()
  })
  test('HTTP/1, garbage and half-said prefaces disturb nobody', async () => {
    const listener = await listen(socketAt('d/s'))
    const garbage = Array.from({ length: 30 }, (_, at) => {
      const bytes = Buffer.alloc(100, at)
      return at % 3 === 0 ? 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(60, 'x') : bytes
    })
    const sayings = garbage.map((bytes) => say(listener.path, bytes))
    const echoes = Array.from({ length: 20 }, (_, at) => echo(listener.path, String(at)))
    expect(await Promise.all(echoes)).toEqual(Array.from({ length: 20 }, (_, at) => String(at)))
    await Promise.all(sayings)
    // Ones that are dropped right after connecting.
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const connection = net.connect(listener.path)
        await new Promise((resolve) => connection.once('connect', resolve))
        connection.destroy()
      }),
    )
    expect(await echo(listener.path)).toBe('hello')
    await expect.poll(() => listener.connections).toBe(0)
  })
  test('no more than may be are open at once', async () => {
    const listener = await listen(socketAt('d/s'), { connections: 2 })
    const held = [net.connect(listener.path), net.connect(listener.path)]
    await Promise.all(held.map((one) => new Promise((resolve) => one.once('connect', resolve))))
    await expect.poll(() => listener.connections).toBe(2)
    expect(await say(listener.path, '')).toHaveLength(0)
    expect(lines.join('')).toMatch('connection refused: as many as may be are open')
    for (const one of held) one.destroy()
    await expect.poll(() => listener.connections).toBe(0)
    expect(await echo(listener.path)).toBe('hello')
  })
})

describe('closing', () => {
  test('waits for calls under way, then cuts them', async () => {
    const listener = await listen(socketAt('d/s'))
    const waiting = echo(listener.path, 'wait').catch((error: unknown) => error as ServiceError)
    await expect.poll(() => listener.connections).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const began = performance.now()
    await listener.close(300)
    expect(performance.now() - began).toBeGreaterThan(250)
    expect(await waiting).toMatchObject({ code: status.UNAVAILABLE })
    expect(lines.join('')).toMatch('connections cut')
  })
  test('is quick when nobody calls, though clients are connected', async () => {
    const listener = await listen(socketAt('d/s'))
    const client = new Client(`unix:${listener.path}`, credentials.createInsecure())
    await new Promise<void>((resolve) => client.waitForReady(Date.now() + 5000, () => resolve()))
    const began = performance.now()
    await listener.close(5000)
    expect(performance.now() - began).toBeLessThan(2000)
    client.close()
  })
})
