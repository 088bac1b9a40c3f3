/**
 * The ground of page requests: a whole daemon in this process, with its ledger and its sockets,
 * whose native backend has the kernel's mock devices. VMs are processes that hold nothing; this one
 * is the manager that speaks for them, by the sockets, as a delegate. The side socket is shown a
 * VFIO cdev of the machine, which nobody binds: a mock device has none.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createVfioBackend } from '../../../src/backend/vfio/vfio.js'
import {
  PasidClient,
  PasidError,
  type ControlEvent,
  type ControlSession,
  type HandOver,
  type PasidSession,
} from '../../../src/client/index.js'
import { openLogs } from '../../../src/daemon/logs.js'
import { startDaemon, type RunningDaemon } from '../../../src/daemon/start.js'
import { native } from '../../../src/linux/addon.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import { configIn, temporaryFolder } from '../../support/daemon.js'
import { sideToken } from '../../support/side-client.js'
import { openDevice } from './iommufd-user.js'
import { MockDevice } from './mock.js'
import { partsForTests } from './parts.js'
import { eduDevices } from './pci.js'
import { ToldKernel } from './told-kernel.js'
import { TestVm } from './vm.js'

export const DEVICES = ['mock0', 'mock1'] as const
type DeviceName = (typeof DEVICES)[number]

type EventOf<K> = Extract<ControlEvent, { readonly kind: K }>['event']

/** `limits` of the daemon: groups that may wait, and for how long. */
export interface PageLimits {
  readonly deadline: string
  readonly pending: number
}

function tomlOf({ deadline, pending }: PageLimits): string {
  const { second } = eduDevices()
  const device = (name: string) => `
    [[backend.device]]
    name = "${name}"
    # Nobody looks there: the mock devices take its place.
    address = "${second.address.replace(/\d$/, name.slice(-1))}"
    scope = "DEVICE"
    `
  return `
    [namespace]
    hold = "0s"
    [[identity.rule]]
    role = "delegate"
    tenants = ["default"]
    [reclaim]
    # Nobody can see a mock device closed.
    unproven_hold = "0s"
    [limits]
    page_request_deadline = "${deadline}"
    page_requests_pending = ${pending}
    [backend]
    kind = "native"
    ${DEVICES.map(device).join('')}`
}

export class PageRequestWorld {
  readonly kernel = new ToldKernel()
  readonly #devices = new Map(DEVICES.map((name) => [name, new MockDevice(name)]))
  readonly #vms: PageVm[] = []
  #daemon: RunningDaemon | undefined

  /** Pairs with end(). */
  async start(limits: PageLimits): Promise<void> {
    const { kernel } = this
    const devices = [...this.#devices.values()]
    const sink = { write: () => undefined }
    this.#daemon = await startDaemon(configIn(temporaryFolder(), tomlOf(limits)), {
      logs: openLogs({ level: 'warn', sink }),
      startBackend: () => {
        const backend = createVfioBackend({ ...partsForTests(), kernel, devices })
        return { backend, emulator: undefined, close: () => backend.close() }
      },
    })
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error('the daemon was not started')
    return this.#daemon
  }

  device(name: DeviceName = 'mock0'): MockDevice {
    const device = this.#devices.get(name)
    if (device === undefined) throw new Error(`there is no ${name}`)
    return device
  }

  /** Page requests that wait for an answer. */
  get waiting(): number {
    return this.daemon.broker.waitingPageRequests
  }

  /** With a session; without more, its device is in the broker's hands, and Control open. */
  async vm(name: DeviceName = 'mock0'): Promise<PageVm> {
    const vm = await this.bareVm(name)
    await vm.handOver()
    await vm.listen()
    return vm
  }

  /** With a session only. */
  async bareVm(name: DeviceName = 'mock0'): Promise<PageVm> {
    const vm = new PageVm(this, name, await TestVm.start())
    this.#vms.push(vm)
    await vm.begin()
    return vm
  }

  /** For afterEach. The devices are destroyed before the iommufds that they are in are closed. */
  async endVms(): Promise<void> {
    for (const vm of this.#vms) await vm.leave()
    for (const device of this.#devices.values()) await device.unplug()
    for (const vm of this.#vms.splice(0)) vm.machine.close()
    this.kernel.forget()
  }

  async end(): Promise<void> {
    await this.endVms()
    await this.#daemon?.stop()
  }
}

export class PageVm {
  readonly machine: TestVm
  /** Page requests that Control has brought. */
  readonly requests: EventOf<'pageRequest'>[] = []
  /** Bindings that it has said are lost. */
  readonly lost: EventOf<'bindingLost'>[] = []
  readonly #world: PageRequestWorld
  readonly #name: DeviceName
  readonly #client: PasidClient
  #process: ChildProcess | undefined
  #session: PasidSession | undefined
  #control: ControlSession | undefined

  constructor(world: PageRequestWorld, name: DeviceName, machine: TestVm) {
    this.#world = world
    this.#name = name
    this.machine = machine
    this.#client = new PasidClient({ socket: world.daemon.vmmSocket, retry: { attempts: 1 } })
  }

  async begin(): Promise<void> {
    const started = spawn('sleep', ['1000'], { stdio: 'ignore' })
    this.#process = started
    await once(started, 'spawn')
    const pidfd = new OwnedFd(native.pidfdOpen(started.pid ?? -1), 'a pidfd')
    const ownerToken = await sideToken(this.#world.daemon.fdSocket, 'pidfd', [pidfd.number])
    pidfd.close()
    this.#session = await this.#client.openSession({ ownerToken, tenant: 'tenants/default' })
  }

  get session(): PasidSession {
    if (this.#session === undefined) throw new Error('the VM has no session')
    return this.#session
  }

  get control(): ControlSession {
    if (this.#control === undefined) throw new Error('the VM has not opened Control')
    return this.#control
  }

  get device(): string {
    return `devices/${this.#name}`
  }

  /** By the side socket and its token. */
  async handOver(more: Partial<HandOver> = {}): Promise<void> {
    const { user, ioas } = this.machine
    this.#world.device(this.#name).handedOverBy({ user, ioas, through: user.fd })
    const cdev = openDevice(eduDevices().second.cdev)
    const token = await sideToken(this.#world.daemon.fdSocket, 'vfio', [
      user.fd.number,
      cdev.number,
    ])
    cdev.close()
    const handOver = { token, ioas: { ioasId: ioas }, ...more }
    await this.session.attachDevice({ device: this.device, handOver })
  }

  /** Control takes page requests from now on. */
  async listen(): Promise<void> {
    const onEvent = (event: ControlEvent) => {
      if (event.kind === 'pageRequest') this.requests.push(event.event)
      if (event.kind === 'bindingLost') this.lost.push(event.event)
    }
    this.#control = await this.session.control({ receivePageRequests: true, onEvent })
  }

  /** Each number to a table of its own; 0 is the RID. Those that are none of its yet are asked for. */
  async bind(...targets: readonly number[]): Promise<void> {
    const pasids = targets.filter((target) => target !== 0)
    const { device } = this
    if (pasids.length > 0) {
      const exact = { pasids }
      await this.session.allocatePasids({ scope: 'SCOPE_DEVICE', device, exact })
    }
    for (const target of targets) await this.bindTable(target, target + 1)
  }

  /** The table at that page of the guest's memory. */
  async bindTable(target: number, page: number, replace = false): Promise<void> {
    const where = target === 0 ? { rid: true } : { pasid: target }
    const firstStage = { address: String(page * 4096), addressWidth: 48 }
    const devices = [this.device]
    await this.session.bindPasid({ ...where, devices, firstStage, replace })
  }

  async unbind(target: number): Promise<void> {
    const where = target === 0 ? { rid: true } : { pasid: target }
    await this.session.unbindPasids({ target: where })
  }

  /** With SIGKILL; resolves when it is reaped. */
  async kill(): Promise<void> {
    const started = this.#process
    if (started === undefined || started.exitCode !== null || started.signalCode !== null) return
    const ended = once(started, 'exit')
    started.kill('SIGKILL')
    await ended
  }

  /** All but its iommufd is gone then, the session too. */
  async leave(): Promise<void> {
    this.#control?.cancel()
    await this.#session?.closeSession().catch((error: unknown) => {
      if (!(error instanceof PasidError)) throw error
    })
    await this.kill()
    this.#client.close()
  }
}
