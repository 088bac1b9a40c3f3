/**
 * A daemon with two tenants and everybody who might want what is another's: processes of one user,
 * of one tenant, of another, delegates of each, somebody whom no rule knows, somebody who only
 * observes. Everyone has a session of its own, where they may have one; what is attacked is the
 * victim's.
 */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { OperatorClient, rowsOf } from '../../src/client/index.js'
import { type Agent, Agents, Sleepers, type User } from './adversary-agents.js'
import { type ChildDaemon, startChild, temporaryFolder } from './daemon.js'

function user(uid: number): User {
  return { uid, gid: uid, groups: [] }
}

const ALPHA = user(4001)
/** Who there is. The victim and the sibling are one user; `colleague` is another of its tenant. */
const USERS = {
  victim: ALPHA,
  sibling: ALPHA,
  colleague: user(4002),
  stranger: user(4003),
  delegate: user(4004),
  otherDelegate: user(4005),
  foreignDelegate: user(4006),
  nobody: user(4007),
  observer: user(4008),
} as const

export type Name = keyof typeof USERS | 'child'

/**
 * Whom no rule knows keeps a connection for `first_byte`: longer than all of this takes, or a call
 * under way would be cut with it.
 */
const TOML = `[daemon]
vmm_mode = "0666"
vmm_directory_mode = "0755"
fd_mode = "0666"
admin_mode = "0666"
admin_directory_mode = "0755"
[namespace]
hold = "20ms"
[limits]
calls_per_second = 0
first_byte = "10m"
[[tenant]]
name = "alpha"
devices = [{ name = "shared0" }, { name = "nic-a" }, { name = "vf-a", scope = "DEVICE" }]
[[tenant]]
name = "beta"
devices = [{ name = "shared0" }]
[[backend.device]]
name = "shared0"
shared = true
[[backend.device]]
name = "nic-a"
[[backend.device]]
name = "vf-a"
translation = "NONE"
pasid_bits = 8
[[identity.rule]]
uid = ${ALPHA.uid}
tenant = "alpha"
[[identity.rule]]
uid = ${USERS.colleague.uid}
tenant = "alpha"
[[identity.rule]]
uid = ${USERS.stranger.uid}
tenant = "beta"
[[identity.rule]]
uid = ${USERS.delegate.uid}
role = "delegate"
tenants = ["alpha"]
[[identity.rule]]
uid = ${USERS.otherDelegate.uid}
role = "delegate"
tenants = ["alpha"]
[[identity.rule]]
uid = ${USERS.foreignDelegate.uid}
role = "delegate"
tenants = ["beta"]
[[identity.operator]]
uid = 0
[[identity.operator]]
role = "observer"
uid = ${USERS.observer.uid}
`

export interface Secret {
  /** `sessions/{id}`. */
  readonly name: string
  readonly token: string
}

/** What can be named that is somebody's, or, of the same shape, nobody's. */
export interface Things {
  /** Bound on shared0 and on the nic, in the domain. */
  readonly pasid: number
  readonly nic: string
  readonly vf: string
  readonly vfPasid: number
  readonly domain: number
  /** Guest-physical, of one page. */
  readonly guestAddress: number
  readonly pageToken: string
}

/** Of the same shape, and nobody's. */
export const NOTHING: Things = {
  pasid: 900_000,
  nic: 'devices/no-such',
  vf: 'devices/no-vf',
  vfPasid: 177,
  domain: 77,
  guestAddress: 0x6000_0000,
  pageToken: Buffer.alloc(24, 1).toString('base64url'),
}

export const VICTIMS: Omit<Things, 'pageToken'> = {
  pasid: 1500,
  nic: 'devices/nic-a',
  vf: 'devices/vf-a',
  vfPasid: 107,
  domain: 5,
  guestAddress: 0x4000_0000,
}

/** Of the victim's guest memory, and of what is handed over as such. */
const GUEST_BYTES = 4096

export const REQUESTS = { open: randomUUID(), allocate: randomUUID(), delegated: randomUUID() }
const OPEN = 'PasidBroker/OpenSession'

export class World {
  readonly operator: OperatorClient
  readonly sleepers = new Sleepers()
  readonly agents = new Map<Name, Agent>()
  /** Own sessions; of a delegate, one that it opened for a process. */
  readonly sessions = new Map<Name, Secret>()
  pageToken = ''
  closed: Secret = { name: '', token: '' }

  private constructor(
    readonly daemon: ChildDaemon,
    readonly processes: Agents,
    readonly fdSocket: string,
  ) {
    this.operator = new OperatorClient({ socket: daemon.adminSocket })
  }

  static async start(): Promise<World> {
    const folder = temporaryFolder()
    fs.chmodSync(folder, 0o755)
    const daemon = await startChild({ folder, toml: TOML })
    const fds = daemon.vmmSocket.replace('pasid.sock', 'fds.sock')
    const world = new World(daemon, await Agents.start(folder), fds)
    await world.#populate()
    return world
  }

  get vmm(): string {
    return this.daemon.vmmSocket
  }

  get things(): Things {
    return { ...VICTIMS, pageToken: this.pageToken }
  }

  agent(name: Name): Agent {
    const agent = this.agents.get(name)
    if (agent === undefined) throw new Error(`there is no ${name}`)
    return agent
  }

  secret(name: Name): Secret {
    const secret = this.sessions.get(name)
    if (secret === undefined) throw new Error(`${name} has no session`)
    return secret
  }

  async #populate(): Promise<void> {
    const names = Object.keys(USERS) as (keyof typeof USERS)[]
    await Promise.all(
      names.map(async (name) => {
        this.agents.set(name, await this.processes.start(name, USERS[name]))
      }),
    )
    await this.#openAsVictim()
    for (const name of ['sibling', 'colleague', 'stranger'] as const) {
      this.sessions.set(name, await this.open(name, {}))
    }
    await this.openFor('delegate', 'alpha', { requestId: REQUESTS.delegated })
    await this.openFor('otherDelegate', 'alpha')
    await this.openFor('foreignDelegate', 'beta')
    for (const [name, { name: session, token }] of this.sessions) {
      if (name === 'victim') continue
      const agent = this.agent(name)
      const attach = { session, device: 'devices/shared0' }
      await agent.must(this.vmm, 'PasidBroker/AttachDevice', attach, token)
      const one = { session, one: {}, min: 2000 }
      await agent.must(this.vmm, 'PasidBroker/AllocatePasids', one, token)
    }
    await this.#bear()
  }

  /** A child of the victim that was forked from it, with a connection of its own. */
  async #bear(): Promise<void> {
    await this.agent('victim').ask('bear', { socket: this.vmm, child: 'child', connections: 1 })
    this.agents.set('child', await this.processes.expect('child'))
  }

  async open(name: Name, request: object): Promise<Secret> {
    const opened = await this.agent(name).must(this.vmm, OPEN, request)
    const { name: session } = opened['session'] as { name: string }
    return { name: session, token: String(opened['token']) }
  }

  /** A token for OpenSession that stands for a process which does nothing else. */
  async ownerToken(name: Name, pid = this.sleepers.start()): Promise<string> {
    const answer = await this.agent(name).ask<string>('handOver', { socket: this.fdSocket, pid })
    const [word, token = ''] = answer.split(' ')
    if (word !== 'token') throw new Error(`${name}: ${answer}`)
    return token
  }

  /** A token for MapGuestMemory that stands for a page of memory. */
  async memoryToken(name: Name): Promise<string> {
    const asked = { socket: this.fdSocket, bytes: GUEST_BYTES }
    const answer = await this.agent(name).ask<string>('sendMemory', asked)
    const [word, token = ''] = answer.split(' ')
    if (word !== 'token') throw new Error(`${name}: ${answer}`)
    return token
  }

  async openFor(name: Name, tenant: string, request: object = {}): Promise<void> {
    const ownerToken = await this.ownerToken(name)
    const opened = await this.open(name, { ...request, ownerToken, tenant: `tenants/${tenant}` })
    this.sessions.set(name, opened)
  }

  async #openAsVictim(): Promise<void> {
    const agent = this.agent('victim')
    this.closed = await this.open('victim', {})
    const { name: gone, token: goneToken } = this.closed
    await agent.must(this.vmm, 'PasidBroker/CloseSession', { name: gone }, goneToken)
    const own = await this.open('victim', { requestId: REQUESTS.open })
    this.sessions.set('victim', own)
    const { name: session, token } = own
    const ask = (verb: string, message: object) => {
      return agent.must(this.vmm, `PasidBroker/${verb}`, { session, ...message }, token)
    }
    for (const device of ['devices/shared0', VICTIMS.nic, VICTIMS.vf]) {
      await ask('AttachDevice', { device })
    }
    const { pasid, nic, vf, vfPasid, domain, guestAddress } = VICTIMS
    const labels = { secret: 'of the victim' }
    await ask('AllocatePasids', { exact: { pasids: [pasid, pasid + 1, pasid + 2] }, labels })
    await ask('AllocatePasids', { one: {}, min: 1600, requestId: REQUESTS.allocate })
    const onFunction = { scope: 'SCOPE_DEVICE', device: vf, exact: { pasids: [vfPasid] } }
    await ask('AllocatePasids', onFunction)
    const firstStage = { address: '8192', addressWidth: 48 }
    await ask('BindPasid', { pasid, devices: ['devices/shared0', nic], domain, firstStage })
    await ask('BindPasid', { rid: true, devices: [nic], domain, firstStage })
    const memory = { guestAddress: `${guestAddress}`, size: `${GUEST_BYTES}` }
    await ask('MapGuestMemory', { token: await this.memoryToken('victim'), ...memory })
    const page = await ask('ListPasids', { pageSize: 1 })
    this.pageToken = String(page['nextPageToken'])
  }

  /** Numbers that will change without anybody's doing: on their way back, or resting. */
  async changing(): Promise<number[]> {
    const rows = await collect(this.operator.allocations())
    const states = ['ALLOCATION_STATE_FREE_PENDING', 'ALLOCATION_STATE_QUARANTINED']
    return rows.filter(({ state }) => states.includes(state)).map(({ pasid }) => pasid)
  }

  /** The operator's lists; the same text = nothing of anybody's has changed. */
  everything(): Promise<string> {
    return everythingOf(this.operator)
  }

  /** What the operator sees of the victim, whatever others do. */
  async victims(): Promise<string> {
    const { name } = this.secret('victim')
    const rows = await collect(this.operator.allocations({ filter: `session = ${name}` }))
    const { headroom: _shared, ...session } = await this.operator.getSession(name)
    return JSON.stringify({ session, rows }, null, 1)
  }

  async stop(): Promise<void> {
    this.operator.close()
    await this.processes.stop()
    this.sleepers.stop()
  }
}

/** All that an operator can list, as one text. */
export async function everythingOf(operator: OperatorClient): Promise<string> {
  const all = {
    sessions: await collect(operator.sessions()),
    allocations: await collect(operator.allocations()),
    tenants: await collect(operator.tenants()),
    devices: await collect(operator.devices()),
  }
  return JSON.stringify(all, null, 1)
}

export async function collect<Row>(
  pages: AsyncGenerator<readonly Row[], void, undefined>,
): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of rowsOf(pages)) rows.push(row)
  return rows
}
