/**
 * A daemon with two devices of a host that is made up of files, two tenants, and everybody who
 * might want to use what another has handed over. Each device is of one tenant; everyone has a
 * session of its own, and no device is attached. What is open in the daemon can be counted.
 */
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { OperatorClient } from '../../src/client/index.js'
import { Agents, Sleepers, type Agent, type Answer } from './adversary-agents.js'
import { everythingOf, type Secret } from './adversary-world.js'
import { ChildDaemon, temporaryFolder, writeConfig } from './daemon.js'
import { ADDRESS, addSecondDevice, makeNativeHost, SECOND } from './native-host.js'

const HELPER = path.resolve(import.meta.dirname, '../helpers/adversary-native.mjs')

/** The victim, the sibling and the mortal are one user; `colleague` is another of their tenant. */
export const UIDS = {
  victim: 4001,
  sibling: 4001,
  mortal: 4001,
  colleague: 4002,
  stranger: 4003,
  delegate: 4004,
  nobody: 4007,
} as const

export type NativeName = keyof typeof UIDS | 'child'

export const FIRST_DEVICE = 'devices/gpu0'
export const SECOND_DEVICE = 'devices/gpu1'
/** What is sent for the first device, as its iommufd and its cdev. */
export const FILES = ['/dev/null', '/dev/zero'] as const

/** As in adversary-world.ts: whom no rule knows keeps its connection for `first_byte`. */
const TOML = `[daemon]
vmm_mode = "0666"
vmm_directory_mode = "0755"
fd_mode = "0666"
[backend]
kind = "native"
[limits]
calls_per_second = 0
first_byte = "10m"
[[tenant]]
name = "alpha"
devices = [{ name = "gpu0" }]
[[tenant]]
name = "beta"
devices = [{ name = "gpu1" }]
[[backend.device]]
name = "gpu0"
address = "${ADDRESS}"
[[backend.device]]
name = "gpu1"
address = "${SECOND}"
[[identity.rule]]
uid = ${UIDS.victim}
tenant = "alpha"
[[identity.rule]]
uid = ${UIDS.colleague}
tenant = "alpha"
[[identity.rule]]
uid = ${UIDS.stranger}
tenant = "beta"
[[identity.rule]]
uid = ${UIDS.delegate}
role = "delegate"
tenants = ["alpha"]
[[identity.rule]]
uid = 4005
tenant = "beta"
[[identity.operator]]
uid = 0
`

/** Users that a rule knows, for floods: one more than fill the side socket. */
export const FLOODERS = [4001, 4002, 4003, 4004, 4005] as const

export class NativeWorld {
  readonly operator: OperatorClient
  readonly sleepers = new Sleepers()
  readonly agents = new Map<NativeName, Agent>()
  /** Own sessions; of the delegate, one that it opened for a process. */
  readonly sessions = new Map<NativeName, Secret>()

  private constructor(
    readonly daemon: ChildDaemon,
    readonly processes: Agents,
    readonly fdSocket: string,
  ) {
    this.operator = new OperatorClient({ socket: daemon.adminSocket })
  }

  static async start(): Promise<NativeWorld> {
    const folder = temporaryFolder()
    fs.chmodSync(folder, 0o755)
    const root = path.join(folder, 'host')
    addSecondDevice(makeNativeHost(root))
    const command = [process.execPath, HELPER, writeConfig(folder, TOML), root]
    const daemon = new ChildDaemon(folder, command, {})
    await daemon.ready()
    const fds = daemon.vmmSocket.replace('pasid.sock', 'fds.sock')
    return new NativeWorld(daemon, await Agents.start(folder), fds)
  }

  /** Everybody, each with a session. */
  async populate(): Promise<void> {
    for (const name of Object.keys(UIDS) as (keyof typeof UIDS)[]) {
      const user = { uid: UIDS[name], gid: UIDS[name], groups: [] }
      this.agents.set(name, await this.processes.start(name, user))
    }
    for (const name of ['victim', 'sibling', 'mortal', 'colleague', 'stranger'] as const) {
      await this.#open(name, {})
    }
    const { fdSocket: socket } = this
    const pid = this.sleepers.start()
    const answer = await this.agent('delegate').ask<string>('handOver', { socket, pid })
    const ownerToken = answer.slice('token '.length)
    await this.#open('delegate', { ownerToken, tenant: 'tenants/alpha' })
    const child = { socket: this.daemon.vmmSocket, child: 'child', connections: 1 }
    await this.agent('victim').ask('bear', child)
    this.agents.set('child', await this.processes.expect('child'))
    // Everyone's connection is there before descriptors are counted.
    for (const name of this.agents.keys()) await this.call(name, 'PasidBroker/GetServerInfo', {})
  }

  async #open(name: NativeName, request: object): Promise<void> {
    const { vmmSocket } = this.daemon
    const opened = await this.agent(name).must(vmmSocket, 'PasidBroker/OpenSession', request)
    const { name: session } = opened['session'] as { name: string }
    this.sessions.set(name, { name: session, token: String(opened['token']) })
  }

  agent(name: NativeName): Agent {
    const agent = this.agents.get(name)
    if (agent === undefined) throw new Error(`there is no ${name}`)
    return agent
  }

  secret(name: NativeName): Secret {
    const secret = this.sessions.get(name)
    if (secret === undefined) throw new Error(`${name} has no session`)
    return secret
  }

  call(who: NativeName, method: string, message: object, token?: string): Promise<Answer> {
    return this.agent(who).call(this.daemon.vmmSocket, method, message, token)
  }

  /** A token for AttachDevice, of what stands for the first device. */
  async deviceToken(name: NativeName): Promise<string> {
    const asked = { socket: this.fdSocket, text: 'vfio', files: FILES }
    const answer = await this.agent(name).ask<string>('sendFiles', asked)
    if (!answer.startsWith('token ')) throw new Error(`${name}: ${answer}`)
    return answer.slice('token '.length)
  }

  /** Of the daemon. */
  fdsOpen(): number {
    return fs.readdirSync(`/proc/${this.daemon.pid}/fd`).length
  }

  /** The operator's lists; the same text = nothing of anybody's has changed. */
  everything(): Promise<string> {
    return everythingOf(this.operator)
  }

  async stop(): Promise<void> {
    this.operator.close()
    await this.processes.stop()
    this.sleepers.stop()
  }
}
