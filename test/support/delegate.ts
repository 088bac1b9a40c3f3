/**
 * A manager of VMs, as libvirt is one: it hands the pidfds of VMs' processes over on the side
 * socket and opens a session for each, all over a few connections of its own.
 */
import path from 'node:path'
import { PasidClient, type PasidSession, type Resumed } from '../../src/client/index.js'
import { native } from '../../src/linux/addon.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { connect, type FdConnection } from '../../src/linux/fd-connection.js'

export const DEVICE = 'devices/emu0'
export const TABLE = { firstStage: { address: 4096, addressWidth: 48 } } as const
const UID = process.getuid?.() ?? 0
const TIMEOUT_MS = 300_000
const IN_FLIGHT = 32
/** Control streams at once, and commands on each: together within what one tenant may have. */
const STREAMS = 32
const COMMANDS = 64

/** This process may open sessions for `vms`, and is `living` for its own. */
export const DELEGATE_TOML = `
[[tenant]]
name = "vms"
[[tenant]]
name = "living"
[[identity.rule]]
uid = ${UID}
role = "delegate"
tenants = ["vms"]
[[identity.rule]]
uid = ${UID}
tenant = "living"
[limits]
calls_per_second = 0
`

/**
 * One VM: its process, its session, and the numbers that it holds, `first` to `first + count - 1`.
 */
export interface Vm {
  readonly pid: number
  readonly name: string
  readonly token: string
  readonly first: number
  readonly count: number
}

/** Runs over all, so many at a time. */
export async function forAll<T, R>(
  items: readonly T[],
  inFlight: number,
  work: (item: T, at: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (;;) {
      const at = next
      next += 1
      const item = items[at]
      if (item === undefined) return
      results[at] = await work(item, at)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return results
}

export interface Numbers {
  /** The first VM's first; the others follow. */
  readonly first: number
  readonly each: number
  /** The first so many of each are bound. */
  readonly bound: number
}

const delegates: Delegate[] = []

export class Delegate {
  readonly client: PasidClient
  readonly #side: FdConnection
  /** Of who waits for an answer, in order. */
  readonly #waiting: ((text: string) => void)[] = []

  constructor(vmmSocket: string) {
    this.client = new PasidClient({ socket: vmmSocket, timeoutMs: TIMEOUT_MS })
    const side = connect(path.join(path.dirname(vmmSocket), 'fds.sock'))
    if (side instanceof SyscallFailure) throw new Error(String(side))
    this.#side = side
    side.onMessage(({ text }) => this.#waiting.shift()?.(text))
    side.onClose(() => {
      for (const resolve of this.#waiting.splice(0)) resolve('refused: cut')
    })
    delegates.push(this)
  }

  /** The one-time token for a process that runs. */
  async ownerToken(pid: number): Promise<string> {
    const answer = new Promise<string>((resolve) => this.#waiting.push(resolve))
    const pidfd = native.pidfdOpen(pid)
    const failure = this.#side.send('pidfd', [pidfd])
    native.close(pidfd)
    if (failure !== undefined) throw new Error(String(failure))
    const text = await answer
    if (!text.startsWith('token ')) throw new Error(`for pid ${pid}: ${text}`)
    return text.slice('token '.length)
  }

  /** A session for each process, with its numbers; durable, bindings included. */
  async open(pids: readonly number[], numbers: Numbers): Promise<readonly Vm[]> {
    const opened = await forAll(pids, IN_FLIGHT, async (pid, at) => {
      const ownerToken = await this.ownerToken(pid)
      const { name, token } = await this.client.openSession({ ownerToken, tenant: 'tenants/vms' })
      const { first, each } = numbers
      return { pid, name, token, first: first + at * each, count: each }
    })
    await forAll(opened, STREAMS, (vm) => this.#fill(vm, numbers.bound))
    return opened
  }

  async #fill(vm: Vm, bound: number): Promise<void> {
    const session = this.session(vm)
    const control = await session.control({ inFlight: COMMANDS })
    await control.send('attachDevice', { device: DEVICE })
    const all = Array.from({ length: vm.count }, (_, at) => vm.first + at)
    const grant = (pasids: number[]) => control.send('allocatePasids', { exact: { pasids } })
    if (bound > 0) await grant(all.slice(0, bound))
    const bind = (pasid: number) =>
      control.send('bindPasid', { pasid, devices: [DEVICE], domain: 1, ...TABLE })
    await Promise.all(all.slice(0, bound).map(bind))
    // A grant after the bindings: when it is durable so are they.
    if (bound < vm.count) await grant(all.slice(bound))
    else await session.get()
    await control.close()
  }

  session({ name, token }: Vm): PasidSession {
    return this.client.session(name, token)
  }

  /** For the process that owns it: changes nothing. */
  async resume({ pid, name, token }: Vm): Promise<Resumed | undefined> {
    const ownerToken = await this.ownerToken(pid)
    return (await this.client.resumeSession(name, token, { ownerToken })).resumed
  }

  close(): void {
    this.client.close()
    if (this.#side.isOpen) this.#side.close()
  }
}

/** For afterEach. */
export function closeDelegates(): void {
  for (const delegate of delegates.splice(0)) delegate.close()
}
