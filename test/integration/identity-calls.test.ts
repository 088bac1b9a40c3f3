/** Who a call is from, by the kernel: users, forks, processes that end, and what is left behind. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import {
  Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Admission } from '../../src/daemon/admission.js'
import { ConnectionCaps, RESERVED_CONNECTIONS } from '../../src/daemon/connection-caps.js'
import { Listener } from '../../src/daemon/listener.js'
import { Processes } from '../../src/daemon/processes.js'
import { callerOf, peerInterceptor, type Peer } from '../../src/service/peer.js'

const IS_ROOT = process.getuid?.() === 0
const ROOT_ONLY = 'only root can become other users'
const NOBODY = 65_534
const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0
const SUPPORT = path.resolve(import.meta.dirname, '../support')
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')

let folder: string
let listener: Listener
let processes: Processes
let callers: Map<string, Peer>
const children: ChildProcess[] = []
const orphans: number[] = []
const connections: net.Socket[] = []
const lines: string[] = []

const openFds = () => fs.readdirSync('/proc/self/fd').length
const identities = () => [...callers.values()].map(({ identity }) => identity)
const pids = () => identities().map((who) => (who.ok ? who.value.process.pid : 0))

type AnyCall = Parameters<typeof callerOf>[0]
type Bytes = Buffer

function who(call: AnyCall): Buffer {
  const caller = callerOf(call)
  if (!caller.ok) return Buffer.from(JSON.stringify(caller.refusal))
  const { pid, uid, gid } = caller.value.process
  return Buffer.from(`${pid}:${uid}:${gid}`)
}

function addWho(server: Server): void {
  const bytes = (value: Buffer) => value
  const codec = {
    ...{ requestSerialize: bytes, requestDeserialize: bytes },
    ...{ responseSerialize: bytes, responseDeserialize: bytes },
  }
  const method = (name: string, requestStream: boolean, responseStream: boolean) => {
    return { path: `/test.Who/${name}`, requestStream, responseStream, ...codec }
  }
  const definition = {
    Unary: method('Unary', false, false),
    ClientStream: method('ClientStream', true, false),
    ServerStream: method('ServerStream', false, true),
    Bidi: method('Bidi', true, true),
  }
  type Answer = (error: null, value: Buffer) => void
  server.addService(definition, {
    Unary: (call: ServerUnaryCall<Bytes, Bytes>, answer: Answer) => answer(null, who(call)),
    ClientStream: (call: ServerReadableStream<Bytes, Bytes>, answer: Answer) => {
      call.on('data', () => undefined).on('end', () => answer(null, who(call)))
    },
    ServerStream: (call: ServerWritableStream<Bytes, Bytes>) => {
      call.write(who(call))
      setImmediate(() => {
        call.write(who(call))
        call.end()
      })
    },
    Bidi: (call: ServerDuplexStream<Bytes, Bytes>) => {
      call.on('data', () => call.write(who(call))).on('end', () => call.end())
    },
  })
}

async function listen(limits = {}, reservedFor: readonly number[] = [NOBODY]): Promise<void> {
  callers = new Map()
  const server = new Server({ interceptors: [peerInterceptor((key) => callers.get(key))] })
  addWho(server)
  const all = { connections: 2000, connectionsPerUid: 2000, firstByteMs: 10_000, ...limits }
  const identity = { rules: [], operators: [], unmatched: 'socket-tenant' } as const
  const log = pino({}, { write: (line: string) => lines.push(line) })
  const caps = new ConnectionCaps(all, reservedFor)
  const admission = new Admission({ identity, processes, caps, log })
  const place = { kind: 'main', tenant: 'default' } as const
  const socket = {
    ...{ path: path.join(folder, 'd', 's'), owner: undefined, group: undefined },
    ...{ mode: 0o666, directoryMode: 0o755 },
  }
  listener = await Listener.open({ socket, server, place, admission, callers, limits: all, log })
}

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasid-'))
  fs.chmodSync(folder, 0o755)
  processes = new Processes()
  lines.length = 0
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const pid of orphans.splice(0)) process.kill(pid, 'SIGKILL')
  for (const connection of connections.splice(0)) connection.destroy()
  await listener.close(0)
  fs.rmSync(folder, { recursive: true, force: true })
})

/** The lines that a child has said, as they come. */
function run(
  command: string,
  args: readonly string[],
): { child: ChildProcess; said: () => string } {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said += String(chunk)))
  }
  return { child, said: () => said }
}

function whoClient(uid: number, groups: readonly number[], rounds: number): Promise<string> {
  const script = path.join(SUPPORT, 'who-client.mjs')
  const args = [script, listener.path, String(uid), String(uid), groups.join(), String(rounds)]
  const { child, said } = run(process.execPath, args)
  return new Promise((resolve) => child.once('close', () => resolve(said().trim())))
}

function connect(): Promise<net.Socket> {
  const connection = net.connect(listener.path)
  connections.push(connection)
  connection.resume()
  return new Promise((resolve, reject) => {
    connection.on('error', reject)
    connection.once('connect', () => resolve(connection))
  })
}

describe('users', () => {
  test('four at once, in all four kinds of call: each answer names its caller', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    await listen()
    const rounds = 250
    const answers = await Promise.all([
      whoClient(1001, [4, 1001], rounds),
      whoClient(1002, [], rounds),
      whoClient(1003, [1001], rounds),
      whoClient(0, [], rounds),
    ])
    // Unary, client stream, and two answers of each other kind.
    const all = JSON.stringify({ right: rounds * 6, wrong: [] })
    expect(answers).toEqual([all, all, all, all])
    await expect.poll(() => [callers.size, processes.open]).toEqual([0, 0])
  }, 180_000)
  test('who has no number of its own: every call is answered with the refusal', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    await listen()
    const { right, wrong } = JSON.parse(await whoClient(NOBODY, [], 1)) as {
      right: number
      wrong: string[]
    }
    expect([right, wrong.length]).toEqual([0, 6])
    for (const answer of wrong) {
      expect(answer).toMatch(/IDENTITY_REFUSED.*user 65534 stands for all without one/)
    }
    expect(lines.join('')).toMatch('caller refused')
  })
})

describe('a child that was forked is not its parent', () => {
  test('the connection is cut when the parent ends; connecting anew it is itself', async (ctx) => {
    ctx.skip(!HAS_PYTHON, 'there is no python3')
    await listen()
    const forker = path.join(SUPPORT, 'forker.py')
    const { child, said } = run('python3', [forker, listener.path, 'parent-lives'])
    await expect.poll(said, { timeout: 10_000 }).toMatch(/^child \d+\n$/)
    await expect.poll(pids).toEqual([child.pid])
    const orphan = Number(/\d+/.exec(said()))
    orphans.push(orphan)
    child.kill('SIGKILL')
    await expect.poll(said).toMatch(/cut\nconnected again\n$/)
    await expect.poll(pids).toEqual([orphan])
    expect(listener.connections).toBe(1)
  })
  test('one whose parent ended before we looked is refused, and told so', async (ctx) => {
    ctx.skip(!HAS_PYTHON, 'there is no python3')
    await listen()
    const log = path.join(folder, 'said')
    const output = fs.openSync(log, 'w')
    const forker = path.join(SUPPORT, 'forker.py')
    // Until this returns nothing is accepted; the parent has ended and was reaped by then.
    const parent = spawnSync('python3', [forker, listener.path, 'parent-ends'], {
      stdio: ['ignore', output, output],
      timeout: 20_000,
    })
    fs.closeSync(output)
    expect(parent.status).toBe(0)
    await expect.poll(() => fs.readFileSync(log, 'utf8')).toMatch(/^child \d+\n/)
    orphans.push(Number(/\d+/.exec(fs.readFileSync(log, 'utf8'))))
    await expect.poll(() => callers.size).toBe(1)
    const [identity] = identities()
    expect(identity).toMatchObject({ ok: false, refusal: { code: 'IDENTITY_REFUSED' } })
    expect(JSON.stringify(identity)).toMatch(/ended/)
    // It keeps the connection, to hear that.
    expect([listener.connections, processes.open]).toEqual([1, 0])
  })
})

describe('bounds', () => {
  test('of one user: so many and not one more, while our own probe gets in', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    await listen({ connectionsPerUid: 3 }, [0])
    const script = `const net = require('net'); process.setuid(1001)
      for (let i = 0; i < 4; i++) net.connect(${JSON.stringify(listener.path)}).on('error', () => {})
      setInterval(() => {}, 1000)`
    run(process.execPath, ['-e', script])
    await expect.poll(() => lines.join(''), { timeout: 10_000 }).toMatch('as one user may have')
    expect(listener.connections).toBe(3)
    // Root has three too, and the reserve.
    for (let i = 0; i < 3 + RESERVED_CONNECTIONS; i++) await connect()
    await expect.poll(() => listener.connections).toBe(3 + 3 + RESERVED_CONNECTIONS)
    expect(await whoClient(0, [], 1)).toMatch('UNAVAILABLE')
    connections[0]!.destroy()
    await expect.poll(() => listener.connections).toBe(3 + 3 + RESERVED_CONNECTIONS - 1)
    expect(await whoClient(0, [], 1)).toBe(JSON.stringify({ right: 6, wrong: [] }))
  })
})

describe('nothing is left behind', () => {
  test('by a thousand connections that say nothing, HTTP/1, or half a preface', async () => {
    await listen({ firstByteMs: 1000 })
    // What Node opens once and keeps.
    await connect()
    await expect.poll(() => listener.connections).toBe(1)
    connections.splice(0).forEach((one) => one.destroy())
    await expect.poll(() => listener.connections).toBe(0)
    const begun = openFds()
    const sayings = ['', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', PREFACE.subarray(0, 12), PREFACE]
    for (let batch = 0; batch < 10; batch += 1) {
      const open = await Promise.all(Array.from({ length: 100 }, connect))
      // Connected is not accepted yet: those that wait are not seen.
      await expect.poll(() => listener.connections, { timeout: 10_000 }).toBe(100)
      for (const [at, one] of open.entries()) one.write(sayings[at % sayings.length] ?? '')
      // Some go by themselves, the rest is cut.
      for (const one of open.slice(0, 50)) one.destroy()
      await expect.poll(() => callers.size, { timeout: 10_000 }).toBeLessThanOrEqual(25)
      for (const one of open) one.destroy()
      await expect.poll(() => listener.connections).toBe(0)
    }
    await expect.poll(() => [listener.connections, callers.size, processes.open]).toEqual([0, 0, 0])
    await expect.poll(openFds).toBe(begun)
  })
})
