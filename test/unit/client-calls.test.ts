/**
 * The client against a server that misbehaves on purpose: retries, request ids, errors, Control.
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PasidClient, PasidError, type ControlEvent } from '../../src/client/index.js'
import { encodeStatus, STATUS_DETAILS_KEY } from '../../src/wire/details.js'
import type { ControlRequest__Output } from '../../src/wire/generated/pasid/v1/ControlRequest.js'
import type { ControlResponse } from '../../src/wire/generated/pasid/v1/ControlResponse.js'
import { pasidBrokerDefinition } from '../../src/wire/load.js'

type Unary = (call: ServerUnaryCall<Request, object>, answer: sendUnaryData<object>) => void
type ControlCall = ServerDuplexStream<ControlRequest__Output, ControlResponse>
interface Request {
  readonly requestId: string
}

let folder: string
let server: Server
let client: PasidClient

/** A server on a socket with a space in its name, that answers so. */
async function serve(methods: UntypedServiceImplementation): Promise<PasidClient> {
  server.addService(pasidBrokerDefinition, methods)
  const socket = path.join(folder, 'a b.sock')
  await new Promise<void>((resolve, reject) => {
    const credentials = ServerCredentials.createInsecure()
    server.bindAsync(`unix:${socket}`, credentials, (error) => (error ? reject(error) : resolve()))
  })
  client = new PasidClient({ socket, retry: { firstMs: 1, mostMs: 5 } })
  return client
}

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasid-client-'))
  server = new Server()
})

afterEach(() => {
  client.close()
  server.forceShutdown()
  fs.rmSync(folder, { recursive: true, force: true })
})

function refusal(code: status, reason: string, more: { retryMs?: number } = {}) {
  const facts = { code, message: `no: ${reason}`, reason, metadata: { limit: '5' }, ...more }
  const metadata = new Metadata()
  metadata.set(STATUS_DETAILS_KEY, encodeStatus(facts))
  return { code, details: facts.message, metadata }
}

/** Answers with the errors first, then well; keeps the requests and tokens it saw. */
function failing(errors: readonly { code: status; details: string }[]) {
  const requests: Request[] = []
  const tokens: unknown[] = []
  const method: Unary = (call, answer) => {
    requests.push(call.request)
    tokens.push(...call.metadata.get('pasid-session-token'))
    const error = errors[requests.length - 1]
    if (error === undefined) answer(null, {})
    else answer(error)
  }
  return { method, requests, tokens }
}

const LOST = { code: status.UNAVAILABLE, details: 'connection dropped' }

describe('a unary call', () => {
  test('that lost its connection is made again with the same request id', async () => {
    const { method, requests, tokens } = failing([LOST, LOST])
    const { session } = {
      session: (await serve({ AllocatePasids: method })).session('sessions/s', 'secret'),
    }
    await session.allocatePasids({ one: {} })
    expect(requests).toHaveLength(3)
    expect(requests[0]?.requestId).toMatch(/^[0-9a-f-]{36}$/)
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(1)
    expect(tokens).toEqual(['secret', 'secret', 'secret'])
  })
  test('keeps the request id it was given', async () => {
    const { method, requests } = failing([])
    const requestId = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'
    await (await serve({ FreePasids: method })).session('sessions/s', 't').freePasids({ requestId })
    expect(requests[0]?.requestId).toBe(requestId)
  })
  test('that must not happen twice is not made again, unless the broker said no', async () => {
    const lost = failing([LOST])
    const busy = failing([refusal(status.UNAVAILABLE, 'BACKEND_UNAVAILABLE', { retryMs: 20 })])
    const api = await serve({ BindPasid: lost.method, UnbindPasids: busy.method })
    const session = api.session('sessions/s', 't')
    await expect(session.bindPasid({ pasid: 300 })).rejects.toMatchObject({
      codeName: 'UNAVAILABLE',
      isConnectionLost: true,
    })
    expect(lost.requests).toHaveLength(1)
    const began = performance.now()
    await session.unbindPasids({ all: {} })
    expect(performance.now() - began).toBeGreaterThanOrEqual(19)
    expect(busy.requests).toHaveLength(2)
  })
  test('gives up after so many tries', async () => {
    const { method, requests } = failing(Array.from({ length: 99 }, () => LOST))
    const api = await serve({ GetServerInfo: method })
    await expect(api.getServerInfo()).rejects.toBeInstanceOf(PasidError)
    expect(requests).toHaveLength(5)
  })
  test('brings the reason, its facts and the wait', async () => {
    const no = refusal(status.RESOURCE_EXHAUSTED, 'NAMESPACE_EXHAUSTED', { retryMs: 750 })
    const api = await serve({ AllocatePasids: failing([no]).method })
    await expect(api.session('sessions/s', 't').allocatePasids({ one: {} })).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      codeName: 'RESOURCE_EXHAUSTED',
      message: 'no: NAMESPACE_EXHAUSTED',
      reason: 'NAMESPACE_EXHAUSTED',
      metadata: { limit: '5' },
      retryMs: 750,
      isConnectionLost: false,
    })
  })
  test('a socket that is not there: UNAVAILABLE without a reason', async () => {
    await serve({})
    const nowhere = new PasidClient({ socket: `${folder}/none`, retry: { attempts: 1 } })
    await expect(nowhere.getServerInfo()).rejects.toMatchObject({
      isConnectionLost: true,
      message: expect.stringMatching('ENOENT') as string,
    })
    nowhere.close()
  })
  test('pages follow the token, and an empty page is not the last', async () => {
    const pages = [
      { allocations: [{ pasid: 300 }], nextPageToken: 'a' },
      { allocations: [], nextPageToken: 'b' },
      { allocations: [{ pasid: 301 }], nextPageToken: '' },
    ]
    const tokens: string[] = []
    const api = await serve({
      ListPasids: (
        { request }: ServerUnaryCall<{ pageToken: string }, object>,
        answer: sendUnaryData<object>,
      ) => {
        tokens.push(request.pageToken)
        answer(null, pages[tokens.length - 1] ?? {})
      },
    })
    const found: number[] = []
    for await (const page of api.session('sessions/s', 't').listPasids()) {
      found.push(...page.map(({ pasid }) => pasid))
    }
    expect([found, tokens]).toEqual([
      [300, 301],
      ['', 'a', 'b'],
    ])
  })
})

describe('a Control stream', () => {
  /** Opens, then hands the stream and its commands to the test. */
  async function control(inFlightMax: number, onEvent?: (event: ControlEvent) => void) {
    const seen: ControlRequest__Output[] = []
    const calls: ControlCall[] = []
    const api = await serve({
      Control: (call: ControlCall) => {
        calls.push(call)
        call.on('data', (request: ControlRequest__Output) => {
          if (request.command === 'open') call.write({ id: request.id, opened: { inFlightMax } })
          else seen.push(request)
        })
        call.on('end', () => call.end())
      },
    })
    const session = api.session('sessions/s', 'secret')
    const stream = await session.control({ onEvent })
    const call = calls[0]
    if (call === undefined) throw new Error('no call')
    return { stream, call, seen }
  }

  test('answers find their commands, in whatever order', async () => {
    const { stream, call, seen } = await control(8)
    const first = stream.send('freePasids', { range: { first: 1, last: 2 } })
    const second = stream.send('allocatePasids', { one: {} })
    await expect.poll(() => seen.length).toBe(2)
    call.write({ id: seen[1]?.id ?? '', allocatePasids: { ranges: [{ first: 7, last: 7 }] } })
    call.write({ id: seen[0]?.id ?? '', freePasids: { freed: 2 } })
    expect((await second).ranges).toEqual([{ first: 7, last: 7 }])
    expect((await first).freed).toBe(2)
    await stream.close()
  })
  test('never more under way than the broker allows', async () => {
    const { stream, call, seen } = await control(2)
    const sent = [1, 2, 3, 4, 5].map(() => stream.send('getSession', {}))
    await expect.poll(() => seen.length).toBe(2)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([seen.length, stream.pending]).toEqual([2, 5])
    for (let at = 0; at < 5; at++) {
      await expect.poll(() => seen.length).toBeGreaterThan(at)
      call.write({ id: seen[at]?.id ?? '', getSession: { name: `sessions/${at}` } })
    }
    const names = (await Promise.all(sent)).map(({ name }) => name)
    expect(names).toEqual([0, 1, 2, 3, 4].map((at) => `sessions/${at}`))
    await stream.close()
  })
  test('a long queue is sent whole and in order', async () => {
    const { stream, call, seen } = await control(4)
    let answered = 0
    call.on('data', (request: ControlRequest__Output) => {
      answered += 1
      call.write({ id: request.id, getSession: { name: `sessions/${answered}` } })
    })
    const sent = Array.from({ length: 5000 }, () => stream.send('getSession', {}))
    const names = (await Promise.all(sent)).map(({ name }) => name)
    expect(names).toEqual(Array.from({ length: 5000 }, (_, at) => `sessions/${at + 1}`))
    expect([seen.length, stream.pending]).toEqual([5000, 0])
    await stream.close()
  })
  test('a refusal rejects its command alone', async () => {
    const { stream, call, seen } = await control(8)
    const refused = stream.send('attachDevice', { device: 'devices/x' })
    await expect.poll(() => seen.length).toBe(1)
    const facts = {
      code: status.NOT_FOUND,
      message: 'no',
      reason: 'DEVICE_NOT_FOUND',
      metadata: { device: 'x' },
    }
    const { message, reason, code } = facts
    call.write({
      id: seen[0]?.id ?? '',
      error: { code, message, reason, status: encodeStatus(facts) },
    })
    await expect(refused).rejects.toMatchObject({ reason, metadata: { device: 'x' } })
    await stream.close()
  })
  test('events come as they are', async () => {
    const events: ControlEvent[] = []
    const { stream, call } = await control(8, (event) => events.push(event))
    call.write({ id: '0', sessionEnded: { cause: 'the operator' } })
    await expect
      .poll(() => events)
      .toMatchObject([{ kind: 'sessionEnded', event: { cause: 'the operator' } }])
    await stream.close()
  })
  test('when it is cut, everything under way and waiting is rejected', async () => {
    const { stream, call, seen } = await control(1)
    const sent = [stream.send('getSession', {}), stream.send('getSession', {})]
    const settled = Promise.allSettled(sent)
    await expect.poll(() => seen.length).toBe(1)
    call.emit('error', refusal(status.UNAVAILABLE, 'DRAINING'))
    const reasons = (await settled).map((one) =>
      one.status === 'rejected' ? (one.reason as unknown) : one,
    )
    expect(reasons).toMatchObject([{ reason: 'DRAINING' }, { reason: 'DRAINING' }])
    expect(await stream.closed).toMatchObject({ reason: 'DRAINING' })
    await expect(stream.send('getSession', {})).rejects.toMatchObject({ reason: 'DRAINING' })
  })
  test('that cannot be opened says why', async () => {
    const api = await serve({
      Control: (call: ControlCall) => {
        call.emit('error', refusal(status.UNAUTHENTICATED, 'SESSION_TOKEN_WRONG'))
      },
    })
    await expect(api.session('sessions/s', 'x').control()).rejects.toMatchObject({
      reason: 'SESSION_TOKEN_WRONG',
    })
  })
})
