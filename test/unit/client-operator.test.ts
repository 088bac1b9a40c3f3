/** The operator's client, and what is new in the VMM's, against servers that the test plays. */
import path from 'node:path'
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import { OperatorClient, PasidClient, PasidError } from '../../src/client/index.js'
import type { WatchResponse } from '../../src/wire/generated/pasid/v1/WatchResponse.js'
import { pasidBrokerDefinition } from '../../src/wire/load.js'
import { stopAll, temporaryFolder } from '../support/daemon.js'
import { OperatorStub, refusal, type Played, type WatchCall } from '../support/operator-stub.js'

const LOST = Object.assign(new Error('lost'), {
  code: status.UNAVAILABLE,
  details: 'connection dropped',
})

const ends: (() => void)[] = []

async function serve(played: Played) {
  const stub = await OperatorStub.start(played)
  const client = new OperatorClient({ socket: stub.socket, retry: { firstMs: 1, mostMs: 5 } })
  ends.push(() => client.close())
  ends.push(() => stub.stop())
  return { stub, client }
}

afterEach(async () => {
  for (const end of ends.splice(0)) end()
  await stopAll()
})

describe('updateTenant', () => {
  test('names what changes, absent means inherited, 0 is 0', async () => {
    const { stub, client } = await serve({ UpdateTenant: () => ({}) })
    await client.updateTenant(
      'blue',
      { maxPasids: 0, ownWindow: { first: 300, last: 400 }, maxSessions: null },
      { etag: 'e1', reason: 'a move' },
    )
    const [request] = stub.asked('UpdateTenant')
    expect(request?.updateMask?.paths).toEqual(['max_pasids', 'max_sessions', 'own_window'])
    const { tenant } = request!
    expect(tenant).toMatchObject({
      name: 'tenants/blue',
      etag: 'e1',
      maxPasids: 0,
      ownWindow: { first: 300, last: 400 },
    })
    expect(tenant).not.toHaveProperty('maxSessions')
    expect(request).toMatchObject({ revert: false, validateOnly: false, reason: 'a move' })
  })
  test('revert names nothing', async () => {
    const { stub, client } = await serve({ UpdateTenant: () => ({}) })
    await client.revertTenant('tenants/blue', { validateOnly: true })
    expect(stub.asked('UpdateTenant')).toMatchObject([
      { tenant: { name: 'tenants/blue' }, updateMask: null, revert: true, validateOnly: true },
    ])
  })
})

describe('what changes something', () => {
  const lose = () => {
    throw LOST
  }
  const acts: Record<string, (client: OperatorClient, validateOnly: boolean) => Promise<unknown>> =
    {
      UpdateTenant: (client, validateOnly) => client.updateTenant('a', {}, { validateOnly }),
      EndSession: (client, validateOnly) => client.endSession('s', { validateOnly }),
      ReleaseAllocation: (client, validateOnly) =>
        client.releaseAllocation({ pasid: 300, generation: '7' }, { validateOnly }),
    }
  test.each(Object.keys(acts))(
    '%s is not made again after a lost connection, its dry run is',
    async (method) => {
      const { stub, client } = await serve({ [method]: lose })
      const act = acts[method]!
      await expect(act(client, false)).rejects.toMatchObject({ isConnectionLost: true })
      expect(stub.calls).toHaveLength(1)
      await expect(act(client, true)).rejects.toMatchObject({ isConnectionLost: true })
      expect(stub.calls).toHaveLength(6)
    },
  )
  test('ResumeReclaim is not made again', async () => {
    const { stub, client } = await serve({ ResumeReclaim: lose })
    await expect(client.resumeReclaim({ reason: 'r' })).rejects.toBeInstanceOf(PasidError)
    expect(stub.asked('ResumeReclaim')).toEqual([{ reason: 'r' }])
  })
  test('a release names scope, device and generation', async () => {
    const { stub, client } = await serve({ ReleaseAllocation: () => ({ durable: true }) })
    await client.releaseAllocation({ pasid: 5, generation: '9' }, { device: 'nic0', reason: 'r' })
    expect(stub.asked('ReleaseAllocation')).toEqual([
      {
        pasid: 5,
        scope: 'SCOPE_DEVICE',
        device: 'devices/nic0',
        generation: '9',
        reason: 'r',
        validateOnly: false,
      },
    ])
  })
  test('a session is named in full', async () => {
    const { stub, client } = await serve({ EndSession: () => ({ durable: true }) })
    await client.endSession('abc')
    await client.endSession('sessions/abc')
    expect(stub.asked('EndSession').map(({ name }) => name)).toEqual([
      'sessions/abc',
      'sessions/abc',
    ])
  })
})

describe('auditEvents', () => {
  test('pages follow the token, with the same filter', async () => {
    const pages = [
      { auditEvents: [{ revision: '9' }], nextPageToken: 'more' },
      { auditEvents: [{ revision: '8' }], nextPageToken: '' },
    ]
    const { stub, client } = await serve({
      ListAuditEvents: ({ pageToken }) => pages[pageToken === '' ? 0 : 1] ?? {},
    })
    const found: string[] = []
    for await (const page of client.auditEvents({ filter: 'uid = 7', pageSize: 1 })) {
      found.push(...page.map(({ revision }) => revision))
    }
    expect(found).toEqual(['9', '8'])
    expect(stub.asked('ListAuditEvents')).toEqual([
      { pageSize: 1, filter: 'uid = 7', pageToken: '' },
      { pageSize: 1, filter: 'uid = 7', pageToken: 'more' },
    ])
  })
})

describe('watch', () => {
  const change = (revision: number): WatchResponse => {
    return { change: { revision, events: [{ tenant: 'tenants/a' }] } }
  }
  async function watched(play: (call: WatchCall) => void, fromRevision?: string) {
    const calls: WatchCall[] = []
    const { client } = await serve({
      Watch(call) {
        calls.push(call)
        play(call)
      },
    })
    const watch = client.watch({ fromRevision })
    return { watch, calls }
  }

  test('brings everything in order, then the error it was cut with', async () => {
    const { watch, calls } = await watched((call) => {
      call.write({ started: { revision: '4' } })
      for (let at = 5; at < 105; at++) call.write(change(at))
      call.emit('error', refusal(status.UNAVAILABLE, 'DRAINING'))
    }, '4')
    const seen: string[] = []
    const reading = (async () => {
      for await (const one of watch) seen.push(one.change?.revision ?? one.response ?? '')
    })()
    await expect(reading).rejects.toMatchObject({ name: 'PasidError', reason: 'DRAINING' })
    const numbers = Array.from({ length: 100 }, (_, at) => String(at + 5))
    expect(seen).toEqual(['started', ...numbers])
    expect(calls[0]?.request).toMatchObject({ fromRevision: '4' })
  })
  test('from now on sends no revision', async () => {
    const { watch, calls } = await watched((call) => call.end())
    for await (const _ of watch) expect.unreachable()
    expect(calls[0]?.request).not.toHaveProperty('fromRevision')
  })
  test('cancel ends it quietly, also while nothing comes, and the daemon sees it', async () => {
    let gone = false
    const { watch } = await watched((call) => {
      call.write({ started: { revision: '1' } })
      call.on('cancelled', () => (gone = true))
    })
    const seen: unknown[] = []
    for await (const one of watch) {
      seen.push(one.response)
      setTimeout(() => watch.cancel(), 20)
    }
    expect(seen).toEqual(['started'])
    await expect.poll(() => gone).toBe(true)
  })
  test('leaving the loop ends the call', async () => {
    let gone = false
    const { watch } = await watched((call) => {
      for (let at = 1; at < 50; at++) call.write(change(at))
      call.on('cancelled', () => (gone = true))
    })
    for await (const _ of watch) break
    await expect.poll(() => gone).toBe(true)
  })
  test('a slow reader slows the stream down', async () => {
    let written = 0
    const text = 'x'.repeat(60_000)
    const { watch } = await watched((call) => {
      const fill = () => {
        while (written < 1000) {
          written += 1
          if (!call.write({ resync: { revision: '1', reason: text } })) {
            call.once('drain', fill)
            return
          }
        }
        call.end()
      }
      fill()
    })
    let read = 0
    for await (const _ of watch) {
      read += 1
      if (read === 1) {
        // Nobody reads meanwhile: what is under way fits the windows of HTTP/2 and both buffers.
        await new Promise((resolve) => setTimeout(resolve, 200))
        expect(written).toBeLessThan(500)
      }
    }
    expect([read, written]).toEqual([1000, 1000])
  })
  test('nobody there: the error of the client', async () => {
    const nowhere = new OperatorClient({ socket: path.join(temporaryFolder(), 'none') })
    ends.push(() => nowhere.close())
    const reading = async () => {
      for await (const _ of nowhere.watch()) expect.unreachable()
    }
    await expect(reading()).rejects.toMatchObject({ isConnectionLost: true })
  })
})

describe('a session of the VMM’s client', () => {
  async function vmm(methods: UntypedServiceImplementation): Promise<PasidClient> {
    const server = new Server()
    server.addService(pasidBrokerDefinition, methods)
    const socket = path.join(temporaryFolder(), 'vmm.sock')
    await new Promise<void>((resolve, reject) => {
      const credentials = ServerCredentials.createInsecure()
      server.bindAsync(`unix:${socket}`, credentials, (error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
    const client = new PasidClient({ socket, retry: { firstMs: 1, mostMs: 5 } })
    ends.push(() => client.close())
    ends.push(() => server.forceShutdown())
    return client
  }

  /** Answers so; keeps requests and tokens. */
  function kept(answer: object | Error) {
    const requests: unknown[] = []
    const tokens: unknown[] = []
    const method = (call: ServerUnaryCall<unknown, object>, send: sendUnaryData<object>) => {
      requests.push(call.request)
      tokens.push(...call.metadata.get('pasid-session-token'))
      if (answer instanceof Error) send(answer)
      else send(null, answer)
    }
    return { method, requests, tokens }
  }

  test.each([
    [undefined, null],
    [0, { seconds: '0', nanos: 0 }],
    [1, { seconds: '0', nanos: 1_000_000 }],
    [61_250, { seconds: '61', nanos: 250_000_000 }],
  ])('opened with a linger of %s ms', async (lingerMs, linger) => {
    const { method, requests } = kept({ session: { name: 'sessions/s' }, token: 'secret' })
    const client = await vmm({ OpenSession: method })
    const session = await client.openSession({ lingerMs, ownerToken: 'o', tenant: 'tenants/a' })
    expect([session.name, session.token]).toEqual(['sessions/s', 'secret'])
    expect(requests).toMatchObject([{ linger, ownerToken: 'o', tenant: 'tenants/a' }])
    expect(requests[0]).not.toHaveProperty('lingerMs')
  })
  test('resumed proves itself by the token, and says what must be made again', async () => {
    const answer = { session: { name: 'sessions/s' }, incarnation: 'i', recoveredRevision: '41' }
    const { method, requests, tokens } = kept(answer)
    const session = await (await vmm({ ResumeSession: method })).resumeSession(
      'sessions/s',
      'secret',
    )
    expect(requests).toEqual([{ name: 'sessions/s', ownerToken: '' }])
    expect(tokens).toEqual(['secret'])
    expect(session).toMatchObject({ name: 'sessions/s', token: 'secret' })
    expect(session.resumed).toMatchObject({ incarnation: 'i', recoveredRevision: '41' })
  })
  test('resumed again after a lost connection, but not with an owner token', async () => {
    const { method, requests } = kept(LOST)
    const client = await vmm({ ResumeSession: method })
    await expect(client.resumeSession('sessions/s', 't')).rejects.toBeInstanceOf(PasidError)
    expect(requests).toHaveLength(5)
    const once = client.resumeSession('sessions/s', 't', { ownerToken: 'o' })
    await expect(once).rejects.toBeInstanceOf(PasidError)
    expect(requests).toHaveLength(6)
  })
})
