/**
 * Who calls, through real gRPC over real sockets: all four kinds of call, many connections at once,
 * clients that are gone, connections that die at their first bytes.
 */
import net from 'node:net'
import path from 'node:path'
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../src/core/assert.js'
import { accept, refuse, type Outcome, type Refusal } from '../../src/core/refusal.js'
import type { Caller } from '../../src/broker/caller.js'
import { DEFAULT_SERVICE_LIMITS } from '../../src/service/limits.js'
import { callerOf, peerInterceptor, type Peer } from '../../src/service/peer.js'
import { serverOptions } from '../../src/service/server-options.js'
import { stopAll, temporaryFolder } from '../support/daemon.js'
import { processOf, TestCaller } from '../support/service-callers.js'

const same = (bytes: Buffer): Buffer => bytes
const method = (name: string, requestStream: boolean, responseStream: boolean) => {
  const codecs = { requestSerialize: same, requestDeserialize: same }
  const answers = { responseSerialize: same, responseDeserialize: same }
  return { path: `/t.T/${name}`, requestStream, responseStream, ...codecs, ...answers }
}
const SERVICE: ServiceDefinition = {
  Unary: method('Unary', false, false),
  Down: method('Down', false, true),
  Up: method('Up', true, false),
  Both: method('Both', true, true),
}

type AnyCall = Parameters<typeof callerOf>[0]
const nameOf = (call: AnyCall): string => {
  const identity = callerOf(call)
  return identity.ok ? String(identity.value.process.pid) : identity.refusal.code
}

class PeerRig {
  readonly peers = new Map<string, Peer>()
  readonly clients: Client[] = []
  readonly errors: unknown[] = []
  readonly sockets = new Set<net.Socket>()
  /** What the next connection is; undefined: the listener forgets it. */
  identity: Outcome<Caller> | undefined
  connected = 0
  calls = 0
  readonly socket = path.join(temporaryFolder(), 's')
  readonly #server = new Server({
    ...serverOptions(DEFAULT_SERVICE_LIMITS),
    // As in production, in less time.
    'grpc.keepalive_time_ms': 100,
    'grpc.keepalive_timeout_ms': 500,
    interceptors: [peerInterceptor((connection) => this.peers.get(connection))],
  })
  readonly #listener: net.Server

  constructor() {
    this.#server.addService(SERVICE, {
      Unary: (call: ServerUnaryCall<Buffer, Buffer>, end: sendUnaryData<Buffer>) => {
        this.answer(call, (name) => end(null, name))
      },
      Down: (call: ServerWritableStream<Buffer, Buffer>) => {
        this.answer(call, (name) => call.write(name))
        call.end()
      },
      Up: (call: ServerReadableStream<Buffer, Buffer>, end: sendUnaryData<Buffer>) => {
        call.on('data', () => undefined)
        call.on('end', () => this.answer(call, (name) => end(null, name)))
      },
      Both: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', () => this.answer(call, (name) => call.write(name)))
        call.on('end', () => call.end())
      },
    })
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
    this.#listener = net.createServer((connection) => {
      this.connected += 1
      const key = `unix:connection=${this.connected}`
      const identity =
        this.identity ?? accept(new TestCaller({ process: processOf(this.connected) }))
      this.peers.set(key, { identity })
      Object.defineProperty(connection, 'remoteAddress', { value: key })
      this.sockets.add(connection)
      connection.on('error', () => undefined)
      connection.on('close', () => {
        this.peers.delete(key)
        this.sockets.delete(connection)
      })
      injector.injectConnection(connection)
    })
    this.#listener.listen(this.socket)
  }

  answer(call: AnyCall, send: (name: Buffer) => void): void {
    this.calls += 1
    try {
      send(Buffer.from(nameOf(call)))
    } catch (error) {
      this.errors.push(error)
      send(Buffer.from('bug'))
    }
  }

  connect(): Client {
    const options = { 'grpc.use_local_subchannel_pool': 1 }
    const client = new Client(`unix:${this.socket}`, credentials.createInsecure(), options)
    this.clients.push(client)
    return client
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.close()
    this.#server.forceShutdown()
    for (const connection of this.sockets) connection.destroy()
    await new Promise((resolve) => this.#listener.close(resolve))
  }
}

const BODY = Buffer.from('x')

/** The name that each kind of call is answered with. */
async function askAll(client: Client): Promise<string[]> {
  const one = (resolve: (name: string) => void, reject: (error: unknown) => void) => {
    return (error: unknown, name?: Buffer) =>
      error === null ? resolve(String(name)) : reject(error)
  }
  const unary = new Promise<string>((resolve, reject) => {
    client.makeUnaryRequest('/t.T/Unary', same, same, BODY, one(resolve, reject))
  })
  const up = new Promise<string>((resolve, reject) => {
    const stream = client.makeClientStreamRequest('/t.T/Up', same, same, one(resolve, reject))
    stream.write(BODY)
    stream.end()
  })
  const down = new Promise<string>((resolve, reject) => {
    const stream = client.makeServerStreamRequest('/t.T/Down', same, same, BODY)
    stream.once('data', (name: Buffer) => resolve(String(name)))
    stream.on('error', reject)
  })
  const both = new Promise<string>((resolve, reject) => {
    const stream = client.makeBidiStreamRequest('/t.T/Both', same, same)
    stream.once('data', (name: Buffer) => {
      resolve(String(name))
      stream.end()
    })
    stream.on('error', reject)
    stream.write(BODY)
  })
  return Promise.all([unary, up, down, both])
}

const rigs: PeerRig[] = []

afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close()
  await stopAll()
})

function start(): PeerRig {
  const rig = new PeerRig()
  rigs.push(rig)
  return rig
}

describe('the caller', () => {
  test('is that of the connection, in every kind of call, among many connections', async () => {
    const rig = start()
    const clients = Array.from({ length: 12 }, () => rig.connect())
    const seen = new Set<string>()
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(clients.map((client) => askAll(client)))
      for (const names of answers) {
        expect(new Set(names).size).toBe(1)
        seen.add(names[0] ?? '')
      }
      expect(new Set(answers.map(([name]) => name)).size).toBe(clients.length)
    }
    // No connection has become another's in all the rounds.
    expect(seen.size).toBe(clients.length)
    expect(rig.errors).toEqual([])
  })

  test('that is refused is refused in every kind of call', async () => {
    const rig = start()
    const who = { uid: 65534, gid: 65534, pid: 0, problem: 'unknown', remedy: 'none' }
    rig.identity = refuse({ code: 'IDENTITY_REFUSED', ...who } satisfies Refusal)
    expect(new Set(await askAll(rig.connect()))).toEqual(new Set(['IDENTITY_REFUSED']))
  })

  test('of a connection that the listener does not know is a bug, and nobody', async () => {
    const rig = start()
    const client = rig.connect()
    await askAll(client)
    rig.peers.clear()
    expect(new Set(await askAll(client))).toEqual(new Set(['bug']))
    for (const error of rig.errors) expect(error).toBeInstanceOf(InvariantViolation)
  })

  test('stays who it was when the connection has gone before the answer', async () => {
    const rig = start()
    const seen: string[] = []
    let ask: (() => void) | undefined
    rig.answer = (call) => {
      ask = () => seen.push(nameOf(call))
    }
    const stream = rig.connect().makeBidiStreamRequest('/t.T/Both', same, same)
    stream.on('error', () => undefined)
    stream.write(BODY)
    await expect.poll(() => ask).toBeDefined()
    for (const connection of rig.sockets) connection.destroy()
    await expect.poll(() => rig.peers.size).toBe(0)
    ask?.()
    expect(seen).toEqual(['1'])
  })
})

/**
 * Type 1, flags END_HEADERS | END_STREAM: a call of /t.T/Unary in HPACK literals (RFC 7541 §6.2).
 */
function headersFrame(stream: number): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
  const field = (name: string, value: string) => {
    return Buffer.concat([Buffer.from([0]), text(name), text(value)])
  }
  const block = Buffer.concat([
    field(':method', 'POST'),
    field(':scheme', 'http'),
    field(':path', '/t.T/Unary'),
    field(':authority', 'x'),
    field('content-type', 'application/grpc'),
    field('te', 'trailers'),
  ])
  return frame(1, 4, stream, block)
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(4, 0, 0, Buffer.alloc(0)),
])
const GRPC_BODY = Buffer.from([0, 0, 0, 0, 1, 7])

test('a connection that dies with its calls under way gives no call without a caller', async () => {
  const rig = start()
  const call = (stream: number) => {
    return Buffer.concat([headersFrame(stream), frame(0, 1, stream, GRPC_BODY)])
  }
  const endings = [
    Buffer.alloc(0),
    // A frame larger than allowed, DATA on stream 0, a stream id going back, GOAWAY.
    frame(0, 0, 1, Buffer.alloc(20_000)),
    frame(0, 0, 0, Buffer.from('x')),
    headersFrame(1),
    frame(7, 0, 0, Buffer.alloc(8)),
  ]
  for (let round = 0; round < 60; round += 1) {
    const calls = Array.from({ length: 1 + (round % 7) }, (_, i) => call(2 * i + 1))
    const bytes = Buffer.concat([PREFACE, ...calls, endings[round % endings.length] ?? GRPC_BODY])
    const connection = net.connect(rig.socket)
    connection.on('error', () => undefined)
    await new Promise((resolve) => connection.once('connect', resolve))
    connection.write(bytes)
    connection.resume()
    const closed = new Promise((resolve) => connection.once('close', resolve))
    // Every third waits for the server's first bytes, its SETTINGS; the others are gone before.
    if (round % 3 === 0) connection.once('data', () => connection.destroy())
    else setTimeout(() => connection.destroy(), round % 3)
    await closed
  }
  // Also those that broke the protocol: nothing but the ping tells that they are gone.
  await expect.poll(() => rig.peers.size, { timeout: 8000 }).toBe(0)
  expect(serverOptions(DEFAULT_SERVICE_LIMITS)['grpc.keepalive_time_ms']).toBeGreaterThan(0)
  expect(rig.calls).toBeGreaterThan(60)
  expect(rig.errors).toEqual([])
})
