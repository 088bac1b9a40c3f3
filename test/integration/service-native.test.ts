/**
 * The service floor with a native backend, over a broker that the test plays: what is handed over
 * reaches the broker whole and once, unary and on a Control stream; what only hardware answers
 * reaches the client; and what a native daemon has not is refused with what to do instead.
 */
import { afterEach, describe, expect, test } from 'vitest'
import type {
  AttachedDevice,
  HandedFd,
  HandOver,
  NamespaceView,
  NativeAttachment,
  ReclaimView,
} from '../../src/broker/answers.js'
import type { Caller } from '../../src/broker/caller.js'
import {
  OperatorClient,
  PasidClient,
  PasidError,
  rowsOf,
  type PasidSession,
} from '../../src/client/index.js'
import type { AttachDevice } from '../../src/core/commands.js'
import { sameProcess } from '../../src/core/owner.js'
import { accept, refuse, type Outcome, type Refusal } from '../../src/core/refusal.js'
import type { HandedDevice, HandOverTokens } from '../../src/service/hand-over-tokens.js'
import { runCli } from '../support/cli-run.js'
import { stopAll } from '../support/daemon.js'
import { processOf, TestCaller } from '../support/service-callers.js'
import { RawClient, type Method } from '../support/service-rig.js'
import { StubService, VIEW } from '../support/service-stub.js'

const TOKEN = '0123456789abcdef'.repeat(4)
const DEVICE = 'devices/nic0'
const NATIVE: NativeAttachment = { devId: 2, parentHwpt: 5, rid: 'COMPATIBLE' }
const FACTS = {
  version: '0.0.0',
  incarnation: 'i',
  ledgerId: 'l',
  recoveredRevision: 0,
  durableRevision: 0,
  backend: 'vfio',
  startedAt: 0,
  holdMs: 0,
  lingerMsMax: 0,
  writable: true,
} as const

const NAMESPACE: NamespaceView = {
  scope: 'HOST',
  device: '',
  capacity: 1000,
  reserved: 0,
  free: 1000,
  held: 0,
  freePending: 0,
  quarantined: 0,
  largestFreeBlock: 512,
  cursor: 1,
  occupancy: [],
  hostUsed: 0,
  hostMax: undefined,
  revision: 1,
}

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await stopAll()
})

class Descriptor implements HandedFd {
  /** How often it was closed or given away. */
  closed = 0

  constructor(readonly number: number) {}

  release(): number {
    this.closed += 1
    return this.number
  }

  close(): void {
    this.closed += 1
  }
}

/** One device, handed over by one process. */
class OneToken implements HandOverTokens {
  readonly device = { iommufd: new Descriptor(100), cdev: new Descriptor(101) }
  readonly #sender = processOf(100)
  taken = 0

  take(token: string, caller: Caller): HandedDevice | undefined {
    if (token !== TOKEN || !sameProcess(caller.process, this.#sender)) return undefined
    this.taken += 1
    return this.taken === 1 ? this.device : undefined
  }
}

interface Attach {
  readonly command: AttachDevice
  /** What the broker took, if it was to. */
  readonly taken: HandOver | undefined
}

interface World {
  readonly service: StubService
  readonly tokens: OneToken
  readonly attaches: Attach[]
}

/** `stop`: what the broker has against it before it takes what was handed over. */
async function start({ stop }: { readonly stop?: Refusal } = {}): Promise<World> {
  const tokens = new OneToken()
  const service = await StubService.start({ handOverTokens: tokens })
  cleanups.push(() => service.close())
  const attaches: Attach[] = []
  const device = { name: 'nic0', scope: 'HOST', facts: undefined, sessions: [] } as const
  const attached = (native: NativeAttachment | undefined): Outcome<AttachedDevice> => {
    return accept({ device, native })
  }
  service.broker.more = {
    info: () => FACTS,
    attachDevice: (command: AttachDevice, handOver?: () => Outcome<HandOver>) => {
      if (stop !== undefined) return Promise.resolve(refuse(stop))
      const taken = handOver?.()
      if (taken?.ok === false) return Promise.resolve(taken)
      attaches.push({ command, taken: taken?.value })
      return Promise.resolve(attached(taken && NATIVE))
    },
  }
  return { service, tokens, attaches }
}

function clientOf({ service }: World): PasidClient {
  const client = new PasidClient({ socket: service.socket })
  cleanups.push(() => client.close())
  return client
}

function sessionOf(world: World): PasidSession {
  return clientOf(world).session('sessions/vm', 't')
}

type Call = (
  session: PasidSession,
  request: Parameters<PasidSession['attachDevice']>[0],
) => ReturnType<PasidSession['attachDevice']>

const WAYS: readonly (readonly [string, Call])[] = [
  ['unary', (session, request) => session.attachDevice(request)],
  [
    'on Control',
    async (session, request) => {
      const control = await session.control()
      try {
        return await control.send('attachDevice', request)
      } finally {
        await control.close()
      }
    },
  ],
]

async function errorOf(promise: Promise<unknown>): Promise<PasidError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof PasidError) return error
  throw new Error(`expected a refusal, not ${String(error)}`)
}

describe.each(WAYS)('a device handed over, %s', (_way, attach) => {
  test('reaches the broker with its descriptors, and the ids reach the client', async () => {
    const world = await start()
    const handOver = { token: TOKEN, ioas: { ioasId: 3, dirtyTracking: true }, moveRid: true }
    const session = sessionOf(world)
    const answer = await attach(session, { device: DEVICE, handOver: { ...handOver, faultId: 9 } })
    expect(answer.device).toMatchObject({ name: DEVICE, present: false })
    expect(answer.native).toEqual({ devId: 2, parentHwptId: 5, ridState: 'RID_STATE_COMPATIBLE' })
    const parent = { kind: 'IOAS', id: 3, dirtyTracking: true }
    const { device } = world.tokens
    expect(world.attaches.map(({ taken }) => taken)).toEqual([
      { ...device, parent, moveRid: true, faultId: 9 },
    ])
    // They are the broker's: it closes them.
    expect([device.iommufd.closed, device.cdev.closed]).toEqual([0, 0])
  })

  test('or not, by number only', async () => {
    const world = await start()
    const answer = await attach(sessionOf(world), { device: DEVICE })
    expect(answer.native).toBeNull()
    expect(world.attaches).toMatchObject([{ command: { device: 'nic0' }, taken: undefined }])
    expect(world.tokens.taken).toBe(0)
  })

  const handOver = { token: TOKEN, hwptId: 3 }

  test('with a token that was used is refused, and nothing is taken', async () => {
    const world = await start()
    const session = sessionOf(world)
    await attach(session, { device: DEVICE, handOver })
    const error = await errorOf(attach(session, { device: DEVICE, handOver }))
    expect(error.reason).toBe('HAND_OVER_TOKEN_INVALID')
    expect(error.metadata['remedy']).toContain('the new token')
    expect(world.attaches).toHaveLength(1)
  })

  test('with the token of another process is refused, and stays that one’s', async () => {
    const world = await start()
    world.service.identity = accept(new TestCaller({ process: processOf(200) }))
    const error = await errorOf(attach(sessionOf(world), { device: DEVICE, handOver }))
    expect(error.reason).toBe('HAND_OVER_TOKEN_INVALID')
    expect([world.tokens.taken, world.attaches.length]).toEqual([0, 0])
  })

  test('is not taken by a call that the broker refuses', async () => {
    const world = await start({ stop: { code: 'DEVICE_IN_USE', device: 'nic0' } })
    const error = await errorOf(attach(sessionOf(world), { device: DEVICE, handOver }))
    expect(error.reason).toBe('DEVICE_IN_USE')
    expect(world.tokens.taken).toBe(0)
  })

  test('that the kernel does not take is refused with the problem and what to do', async () => {
    const [problem, remedy] = ['it is bound to an iommufd already', 'open it anew']
    const stop = { code: 'HAND_OVER_REFUSED', device: 'nic0', problem, remedy } as const
    const world = await start({ stop })
    const error = await errorOf(attach(sessionOf(world), { device: DEVICE, handOver }))
    expect(error.reason).toBe('HAND_OVER_REFUSED')
    expect(error.metadata).toMatchObject({ device: 'nic0', problem, remedy })
  })
})

describe('BindPasid', () => {
  const request = { pasid: 7, devices: ['devices/a', 'devices/b'], passThrough: {} }

  test('answers the HWPT of each device, in the order of the broker', async () => {
    const world = await start()
    const hwpts = [
      { device: 'b', hwpt: 4_294_967_295 },
      { device: 'a', hwpt: 1 },
    ]
    const bind = () => Promise.resolve(accept({ revision: 3, hwpts }))
    world.service.broker.more = { ...world.service.broker.more, bind }
    const session = sessionOf(world)
    const expected = {
      revision: '3',
      devices: [
        { device: 'devices/b', hwptId: 4_294_967_295 },
        { device: 'devices/a', hwptId: 1 },
      ],
    }
    expect(await session.bindPasid(request)).toEqual(expected)
    const control = await session.control()
    expect(await control.send('bindPasid', request)).toEqual(expected)
    await control.close()
  })

  test('on a device by number only says how it is handed over', async () => {
    const world = await start()
    const bind = () => Promise.resolve(refuse({ code: 'DEVICE_NOT_HANDED_OVER', device: 'a' }))
    world.service.broker.more = { ...world.service.broker.more, bind }
    const session = sessionOf(world)
    const error = await errorOf(session.bindPasid(request))
    expect(error.reason).toBe('DEVICE_NOT_HANDED_OVER')
    expect(error.metadata).toMatchObject({ device: 'a' })
    expect(error.message).toContain('hand_over')
  })
})

describe('operators', () => {
  const operatorOf = ({ service }: World): OperatorClient => {
    service.identity = accept(new TestCaller({ role: 'operator' }))
    const client = new OperatorClient({ socket: service.adminSocket })
    cleanups.push(() => client.close())
    return client
  }

  test('see which devices are in the broker’s hands', async () => {
    const world = await start()
    const device = { scope: 'HOST', facts: undefined, sessions: ['vm'] } as const
    const rows = [
      { ...device, name: 'a', handedOver: true },
      { ...device, name: 'b', handedOver: false },
    ]
    const listDevices = () => Promise.resolve(accept({ rows, next: undefined, revision: 1 }))
    world.service.broker.more = { ...world.service.broker.more, listDevices }
    const seen: unknown[] = []
    for await (const one of rowsOf(operatorOf(world).devices())) {
      seen.push([one.name, one.sessions, one.handedOver])
    }
    expect(seen).toEqual([
      ['devices/a', ['sessions/vm'], true],
      ['devices/b', ['sessions/vm'], false],
    ])
  })

  const reclaimOf = (counts: Partial<ReclaimView>): ReclaimView => ({
    breakerOpen: false,
    breakerAt: undefined,
    withheldSessions: 0,
    withheldPasids: 0,
    unprovenSessions: 0,
    unprovenPasids: 0,
    backend: { state: 'READY' },
    breakerShare: 25,
    breakerFloor: 8,
    unknownOwners: 0,
    watchedOwners: 0,
    unwatchedOwners: 0,
    sweepLooked: 0,
    sweepMs: 0,
    unfinishedSweeps: 0,
    passAt: undefined,
    stuck: [],
    stuckCount: 0,
    ...counts,
  })

  test('see which numbers wait for proof, apart from those that the breaker holds', async () => {
    const world = await start()
    const ended = { ...VIEW, state: 'CLOSING', held: 7, unproven: true, cause: 'EXIT' } as const
    const counts = { unprovenSessions: 1, unprovenPasids: 7 }
    world.service.broker.more = {
      ...world.service.broker.more,
      getSessionByName: () => Promise.resolve(accept(ended)),
      reclaim: () => Promise.resolve(accept(reclaimOf(counts))),
    }
    const operator = operatorOf(world)
    const session = await operator.getSession('sessions/vm')
    expect(session).toMatchObject({ unproven: true, withheld: false, heldPasids: 7 })
    expect(await operator.getReclaim()).toMatchObject({ ...counts, withheldSessions: 0 })
  })

  test('are told of them by pasidctl status, and only while there are any', async () => {
    const world = await start()
    let counts = { unprovenSessions: 2, unprovenPasids: 70 }
    const none = () => Promise.resolve(accept({ rows: [], next: undefined, revision: 1 }))
    world.service.broker.more = {
      ...world.service.broker.more,
      namespace: () => Promise.resolve(accept(NAMESPACE)),
      listTenants: none,
      listDevices: none,
      reclaim: () => Promise.resolve(accept(reclaimOf(counts))),
    }
    operatorOf(world)
    const status = () => runCli(world.service.adminSocket, ['status'])
    expect((await status()).stdout).toMatch(/\nunproven +70 PASIDs of 2 sessions; see pasidctl/)
    counts = { unprovenSessions: 0, unprovenPasids: 0 }
    expect((await status()).stdout).not.toMatch('unproven')
  })

  test('are told by pasidctl status that the backend is not ready, and why; else nothing', async () => {
    const world = await start()
    const reason = 'devices/a is stuck: IOMMU_HWPT_ALLOC has not come back'
    let backend: ReclaimView['backend'] = { state: 'DEGRADED', reason }
    const none = () => Promise.resolve(accept({ rows: [], next: undefined, revision: 1 }))
    world.service.broker.more = {
      ...world.service.broker.more,
      namespace: () => Promise.resolve(accept(NAMESPACE)),
      listTenants: none,
      listDevices: none,
      reclaim: () => Promise.resolve(accept(reclaimOf({ backend }))),
    }
    const operator = operatorOf(world)
    const status = () => runCli(world.service.adminSocket, ['status'])
    expect((await status()).stdout).toMatch(new RegExp(`\\nbackend +DEGRADED: ${reason}`))
    const answer = { backendState: 'BACKEND_STATE_DEGRADED', backendProblem: reason }
    expect(await operator.getReclaim()).toMatchObject(answer)
    backend = { state: 'READY' }
    expect((await status()).stdout).not.toMatch('backend')
  })
})

describe('what a native daemon is', () => {
  test('the same features are named as by one with the emulator, others available', async () => {
    const world = await start()
    const native = (await clientOf(world).getServerInfo()).features
    world.service.broker.more = { info: () => ({ ...FACTS, backend: 'emulator' }) }
    const emulator = (await clientOf(world).getServerInfo()).features
    const names = (features: typeof native) => features.map(({ name }) => name).sort()
    expect(names(native)).toEqual(names(emulator))
    const missing = (features: typeof native) => {
      return features.flatMap(({ name, available }) => (available ? [] : [name])).sort()
    }
    expect(missing(native)).toEqual(['device-faults', 'emulator-lab', 'guest-memory', 'vfio-uapi'])
    expect(missing(emulator)).toEqual(['native-backend'])
    for (const { note } of [...native, ...emulator]) expect(note).not.toBe('')
  })

  const UAPI: readonly (readonly [Method, object])[] = [
    ['VfioUapi/OpenContainer', { devices: [DEVICE] }],
    ['VfioUapi/Ioctl', { session: 'sessions/vm', request: 0x3b65, argument: '6' }],
    ['VfioUapi/CloseContainer', { session: 'sessions/vm' }],
  ]

  test.each(UAPI)('%s is refused with what its numbers mean today', async (method, message) => {
    const { service } = await start()
    const raw = new RawClient(service.socket)
    cleanups.push(() => raw.close())
    const reply = await raw.call(method, message, 't')
    expect(reply).toMatchObject({
      ok: false,
      refusal: { reason: 'FEATURE_NOT_AVAILABLE', metadata: { feature: 'vfio-uapi' } },
    })
    if (reply.ok) return
    for (const word of ['PasidBroker', '0x3b76', 'VFIO_DEVICE_BIND_IOMMUFD', 'emulator']) {
      expect(reply.refusal.message).toContain(word)
    }
  })
})
