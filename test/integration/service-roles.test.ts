/**
 * Who may do what, by callers that the test makes up: opening for oneself and for others, the owner
 * token and repeated calls, observers, processes that have ended, sessions handed over under a
 * stream.
 */
import { status } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import type { OpenSession } from '../../src/core/commands.js'
import { accept, refuse, type Refusal } from '../../src/core/refusal.js'
import type { OwnerTokens } from '../../src/service/owner-tokens.js'
import { stopAll } from '../support/daemon.js'
import { processOf, TestCaller } from '../support/service-callers.js'
import { ControlRig } from '../support/service-control-rig.js'
import { RawClient, type Method, type Reply } from '../support/service-rig.js'
import { StubService, VIEW } from '../support/service-stub.js'

const services: StubService[] = []
const clients: RawClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const service of services.splice(0)) await service.close()
  await stopAll()
})

async function start(ownerTokens?: OwnerTokens): Promise<StubService> {
  const service = await StubService.start(ownerTokens === undefined ? {} : { ownerTokens })
  services.push(service)
  return service
}

async function callAs(
  service: StubService,
  caller: Caller,
  method: Method,
  message: object,
): Promise<Reply> {
  service.identity = accept(caller)
  const client = new RawClient(service[method.startsWith('Operator/') ? 'adminSocket' : 'socket'])
  clients.push(client)
  return client.call(method, message, 't')
}

const reasonOf = (reply: Reply) => (reply.ok ? 'OK' : reply.refusal.reason)
const OPEN = 'PasidBroker/OpenSession'
const RESUME = 'PasidBroker/ResumeSession'
const ID = '0190b6c2-7a5e-7cc0-98c4-dc0c0c07398f'

/** Remembers what was opened, and plays replays as the broker does. */
function playOpening(service: StubService): OpenSession[] {
  const opened: OpenSession[] = []
  const byRequest = new Map<string, OpenSession>()
  service.broker.more = {
    tenantId: (name: string) => (name === 'gone' ? undefined : name.length),
    seenOpenSession: (_tenant: number, request: { text: string }) => byRequest.has(request.text),
    openSession: (command: OpenSession) => {
      const text = command.request?.text ?? ''
      const first = byRequest.get(text)
      if (first === undefined) opened.push(command)
      if (text !== '' && first === undefined) byRequest.set(text, command)
      const { owner, delegate } = first ?? command
      return Promise.resolve(accept({ session: { ...VIEW, owner, delegate } }))
    },
    resumeSession: ({ owner, delegate }: Pick<OpenSession, 'owner' | 'delegate'>) => {
      return Promise.resolve(accept({ session: { ...VIEW, owner, delegate } }))
    },
  }
  return opened
}

/** One token, good once, for its caller's uid. */
function oneToken(token: string, uid: number, ended = false): OwnerTokens & { taken: number } {
  return {
    taken: 0,
    take(asked, caller) {
      this.taken += 1
      if (asked !== token || caller.process.uid !== uid || this.taken > 1) return undefined
      return { owner: processOf(500, 107), ended }
    },
  }
}

const vmm = new TestCaller({ process: processOf(10) })
const delegate = new TestCaller({
  process: processOf(20, 64055),
  tenant: undefined,
  delegateFor: new Set(['a', 'b']),
})
const FOR_A = { ownerToken: 'secret', tenant: 'tenants/a' }

describe('OpenSession', () => {
  test('makes the caller the owner, for its own tenant', async () => {
    const service = await start()
    const opened = playOpening(service)
    const message = { linger: { seconds: 2, nanos: 500_000_000 } }
    const reply = await callAs(service, vmm, OPEN, message)
    expect(reply).toMatchObject({ ok: true, message: { session: { owner: { pid: 10 } } } })
    const asked = { owner: vmm.process, delegate: undefined, lingerMs: 2500, tenant: 7 }
    expect(opened).toMatchObject([asked])
  })

  test('by a delegate makes the handed-over process the owner', async () => {
    const service = await start(oneToken('secret', 64055))
    const opened = playOpening(service)
    const reply = await callAs(service, delegate, OPEN, FOR_A)
    expect(reply).toMatchObject({ message: { session: { owner: { pid: 500, uid: 107 } } } })
    expect(opened).toMatchObject([{ owner: { pid: 500 }, delegate: 64055, tenant: 1 }])
  })

  test.each<[string, Caller, object, string]>([
    ['of no tenant for itself', delegate, {}, 'ROLE_NOT_ALLOWED'],
    ['with a token and no delegate', vmm, FOR_A, 'ROLE_NOT_ALLOWED'],
    ['with a token only', delegate, { ownerToken: 'secret' }, 'INVALID_ARGUMENT'],
    ['with a tenant only', delegate, { tenant: 'tenants/a' }, 'INVALID_ARGUMENT'],
    ['for another tenant', delegate, { ...FOR_A, tenant: 'tenants/c' }, 'ROLE_NOT_ALLOWED'],
    [
      'with a tenant without its collection',
      delegate,
      { ...FOR_A, tenant: 'a' },
      'INVALID_ARGUMENT',
    ],
    ['with a token of 65', delegate, { ...FOR_A, ownerToken: 'x'.repeat(65) }, 'INVALID_ARGUMENT'],
    ['with a token of two lines', delegate, { ...FOR_A, ownerToken: 'a\n' }, 'INVALID_ARGUMENT'],
    ['with another token', delegate, { ...FOR_A, ownerToken: 'other' }, 'OWNER_TOKEN_INVALID'],
  ])('%s is refused, and opens nothing', async (_name, caller, message, reason) => {
    const service = await start(oneToken('secret', 64055))
    const opened = playOpening(service)
    expect(reasonOf(await callAs(service, caller, OPEN, message))).toBe(reason)
    expect(opened).toEqual([])
    expect(service.incidents).toEqual([])
  })

  test('for a process that has ended is refused with its pid', async () => {
    const service = await start(oneToken('secret', 64055, true))
    const opened = playOpening(service)
    const reply = await callAs(service, delegate, OPEN, FOR_A)
    expect(reply).toMatchObject({ refusal: { reason: 'OWNER_ENDED', metadata: { pid: '500' } } })
    expect(opened).toEqual([])
  })

  test('repeated by the delegate needs no token that is still good, and gives the same', async () => {
    const tokens = oneToken('secret', 64055)
    const service = await start(tokens)
    const opened = playOpening(service)
    const first = await callAs(service, delegate, OPEN, { ...FOR_A, requestId: ID })
    const again = { ...FOR_A, requestId: ID, ownerToken: 'a-newer-one' }
    expect(await callAs(service, delegate, OPEN, again)).toEqual(first)
    expect(tokens.taken).toBe(1)
    expect(opened).toHaveLength(1)
  })

  test('repeated by its owner gives the same, by another process of the tenant nothing', async () => {
    const service = await start()
    playOpening(service)
    const first = await callAs(service, vmm, OPEN, { requestId: ID })
    expect(first.ok).toBe(true)
    expect(await callAs(service, vmm, OPEN, { requestId: ID })).toEqual(first)
    const thief = new TestCaller({ process: processOf(11) })
    const stolen = await callAs(service, thief, OPEN, { requestId: ID })
    expect(stolen).toMatchObject({ refusal: { reason: 'NOT_OWNER', metadata: { pid: '11' } } })
  })

  test('the tenant is part of the arguments, the owner token is not', async () => {
    const service = await start({ take: () => ({ owner: processOf(500), ended: false }) })
    const opened = playOpening(service)
    const prints: unknown[] = []
    for (const more of [
      { ...FOR_A, requestId: ID.replace('0', '1') },
      { ...FOR_A, requestId: ID.replace('0', '2'), ownerToken: 'other' },
      { ...FOR_A, requestId: ID.replace('0', '3'), tenant: 'tenants/b' },
      { ...FOR_A, requestId: ID.replace('0', '4'), linger: { seconds: 1 } },
    ]) {
      await callAs(service, delegate, OPEN, more)
      prints.push(opened.at(-1)?.request?.fingerprintLow)
    }
    expect(prints[1]).toBe(prints[0])
    expect(new Set(prints).size).toBe(3)
  })
})

describe('ResumeSession', () => {
  const name = 'sessions/vm'

  test('makes the caller the owner, or the process that a delegate names', async () => {
    const service = await start(oneToken('secret', 64055))
    playOpening(service)
    const own = await callAs(service, vmm, RESUME, { name })
    expect(own).toMatchObject({ message: { incarnation: 'i', session: { owner: { pid: 10 } } } })
    const other = await callAs(service, delegate, RESUME, { name, ownerToken: 'secret' })
    const session = { owner: { pid: 500 }, delegateUid: 64055 }
    expect(other).toMatchObject({ message: { session } })
  })

  test.each<[string, Caller, object, string]>([
    ['no name', vmm, {}, 'INVALID_ARGUMENT'],
    ['a token of no delegate', vmm, { name, ownerToken: 't' }, 'ROLE_NOT_ALLOWED'],
    ['a delegate for itself', delegate, { name }, 'ROLE_NOT_ALLOWED'],
    ['an unknown token', delegate, { name, ownerToken: 't' }, 'OWNER_TOKEN_INVALID'],
  ])('refuses %s', async (_name, caller, message, reason) => {
    const service = await start(oneToken('secret', 64055))
    playOpening(service)
    expect(reasonOf(await callAs(service, caller, RESUME, message))).toBe(reason)
  })
})

describe('a process that has ended', () => {
  test.each<[Method, object]>([
    [OPEN, {}],
    [RESUME, { name: 'sessions/vm' }],
    ['Operator/EndSession', { name: 'sessions/vm' }],
    ['Operator/ReleaseAllocation', { pasid: 1, generation: 1 }],
    ['Operator/UpdateTenant', { tenant: { name: 'tenants/a' }, revert: true }],
    ['Operator/ResumeReclaim', {}],
  ])('changes nothing by %s', async (method, message) => {
    const service = await start()
    playOpening(service)
    const ended = new TestCaller({ role: 'operator' })
    ended.hasEnded = true
    const reply = await callAs(service, ended, method, message)
    expect(reply).toMatchObject({ refusal: { reason: 'CALLER_ENDED', metadata: { pid: '100' } } })
    expect(service.incidents).toEqual([])
  })
})

describe('an identity that is refused', () => {
  const who = { uid: 65534, gid: 65534, pid: 0, problem: 'it is unknown', remedy: 'be known' }
  const refusal: Refusal = { code: 'IDENTITY_REFUSED', ...who }

  test('is told why, by every call, on every socket', async () => {
    const service = await start()
    service.identity = refuse(refusal)
    for (const [socket, method] of [
      [service.socket, 'PasidBroker/GetServerInfo'],
      [service.socket, OPEN],
      [service.adminSocket, 'Operator/ListSessions'],
    ] as const) {
      const client = new RawClient(socket)
      clients.push(client)
      const reply = await client.call(method, {})
      expect(reply).toMatchObject({ refusal: { code: 16, reason: 'IDENTITY_REFUSED' } })
      expect(reply.ok ? '' : reply.refusal.message).toContain('it is unknown; be known')
    }
    const control = new ControlRig(service.socket, 't')
    expect((await control.ended).refusal?.reason).toBe('IDENTITY_REFUSED')
  })
})

test('GetServerInfo tells whom the daemon takes the caller for', async () => {
  const service = await start()
  const info = { startedAt: 0, holdMs: 1000, lingerMsMax: 60_000, backend: 'emulator' }
  service.broker.more = { info: () => ({ ...info, incarnation: 'i', ledgerId: 'l' }) }
  const reply = await callAs(service, delegate, 'PasidBroker/GetServerInfo', {})
  expect(reply).toMatchObject({
    message: {
      caller: {
        process: { pid: 20, uid: 64055 },
        tenant: '',
        delegateFor: ['tenants/a', 'tenants/b'],
      },
      limits: { linger: { seconds: '60' } },
    },
  })
})

describe('observers', () => {
  const observer = new TestCaller({ role: 'observer' })
  const ACTS: [Method, object][] = [
    ['Operator/EndSession', { name: 'sessions/vm' }],
    ['Operator/EndSession', { name: 'sessions/vm', validateOnly: true }],
    ['Operator/ReleaseAllocation', { pasid: 1, generation: 1 }],
    ['Operator/UpdateTenant', { tenant: { name: 'tenants/a' }, revert: true }],
    ['Operator/ResumeReclaim', {}],
  ]

  test.each(ACTS)('may not call %s', async (method, message) => {
    const service = await start()
    const reply = await callAs(service, observer, method, message)
    const action = `call ${method.slice('Operator/'.length)}`
    const metadata = { role: 'observer', uid: '1000', action }
    expect(reply).toMatchObject({ refusal: { code: 7, reason: 'ROLE_NOT_ALLOWED', metadata } })
  })

  test('may read', async () => {
    const service = await start()
    service.broker.more = {
      reservations: () => Promise.resolve(accept({ rows: [], revision: 5 })),
      getSessionByName: () => Promise.resolve(accept(VIEW)),
    }
    expect((await callAs(service, observer, 'Operator/ListReservations', {})).ok).toBe(true)
    const get = await callAs(service, observer, 'Operator/GetSession', { name: 'sessions/vm' })
    expect(get.ok).toBe(true)
  })

  test('and who has no role may not even read', async () => {
    const service = await start()
    const nobody = new TestCaller({ tenant: undefined })
    for (const method of ['Operator/ListReservations', 'Operator/Check', ACTS[0]![0]] as const) {
      const reply = await callAs(service, nobody, method, {})
      expect(reply).toMatchObject({ refusal: { reason: 'ROLE_NOT_ALLOWED' } })
    }
  })
})

describe('on a Control stream', () => {
  const SESSION = { name: 'sessions/vm', token: 't' }
  const headroom = { session: 1, tenant: undefined, scope: 1 }

  test('a session handed over meanwhile refuses the commands, and tells no more events', async () => {
    const service = await start()
    const control = await ControlRig.open(service.socket, SESSION)
    expect((await control.send({ getSession: {} })).refusal).toBeUndefined()
    service.broker.stop = { code: 'NOT_OWNER', session: 'vm', pid: 100 }
    const { refusal } = await control.send({ getSession: {} })
    expect(refusal).toMatchObject({ reason: 'NOT_OWNER', metadata: { session: 'vm', pid: '100' } })
    expect(service.called.at(-1)).toEqual({ method: 'Control/GetSession', reason: 'NOT_OWNER' })
    service.broker.tell({ kind: 'quota-changed', headroom })
    expect(service.broker.subscribers.size).toBe(0)
    service.broker.stop = undefined
    expect((await control.send({ getSession: {} })).refusal).toBeUndefined()
    expect(control.events).toEqual([])
    control.end()
    expect((await control.ended).code).toBe(status.OK)
  })

  test('the end of the process that connected ends the stream, whoever holds it now', async () => {
    const service = await start()
    const control = await ControlRig.open(service.socket, SESSION)
    service.broker.stop = { code: 'CALLER_ENDED', pid: 100 }
    void control.send({ getSession: {} })
    const { code, refusal } = await control.ended
    expect([code, refusal?.reason]).toEqual([status.UNAUTHENTICATED, 'CALLER_ENDED'])
    expect(service.broker.asked).toBe(0)
    expect(service.broker.subscribers.size).toBe(0)
  })
})
