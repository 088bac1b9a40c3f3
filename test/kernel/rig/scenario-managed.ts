/**
 * VMs whose manager these tests are: their process only holds the descriptors that it was given,
 * and the manager speaks for it, as a delegate. (A VMM that speaks for itself: scenario-vmm.ts.)
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import readline from 'node:readline'
import { PasidClient, type HandOver, type PasidSession } from '../../../src/client/index.js'
import { native } from '../../../src/linux/addon.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import { SideClient } from '../../support/side-client.js'
import { IommufdUser, openDevice } from './iommufd-user.js'
import type { Daemon, Devices } from './scenario-daemon.js'

/** Says the number of a child that has the same descriptors, and sleeps. */
const PROCESS = 'sleep 1000 & echo $!; exec sleep 1000'

export class ManagedVm {
  readonly user = new IommufdUser()
  readonly cdev: OwnedFd
  readonly #daemon: Daemon
  readonly #client: PasidClient
  readonly #device: keyof Devices
  #process: ChildProcess | undefined
  #child = -1
  #session: PasidSession | undefined

  private constructor(daemon: Daemon, device: keyof Devices) {
    this.#daemon = daemon
    this.#device = device
    this.cdev = openDevice(daemon.devices[device].cdev)
    this.#client = new PasidClient({ socket: daemon.vmmSocket })
  }

  /** With its device opened, in its process and here, and a session. */
  static async start(daemon: Daemon, device: keyof Devices): Promise<ManagedVm> {
    const vm = new ManagedVm(daemon, device)
    const { user, cdev } = vm
    const stdio = ['ignore', 'pipe', 'inherit', user.fd.number, cdev.number] as const
    const started = spawn('sh', ['-c', PROCESS], { stdio: [...stdio] })
    vm.#process = started
    if (started.stdout === null || started.pid === undefined) throw new Error('no shell started')
    const [line] = (await once(
      readline.createInterface({ input: started.stdout }),
      'line',
    )) as string[]
    vm.#child = Number(line)
    const pidfd = new OwnedFd(native.pidfdOpen(started.pid), 'a pidfd')
    const ownerToken = await vm.#ask('pidfd', [pidfd.number])
    pidfd.close()
    vm.#session = await vm.#client.openSession({ ownerToken, tenant: 'tenants/default' })
    return vm
  }

  get session(): PasidSession {
    if (this.#session === undefined) throw new Error('the VM has no session')
    return this.#session
  }

  /** The device goes into the broker's hands, with its RID on the parent. */
  async handOver(): Promise<void> {
    const token = await this.#ask('vfio', [this.user.fd.number, this.cdev.number])
    const ioas = { ioasId: await this.user.allocIoas() }
    await this.#attach({ token, ioas, moveRid: true })
  }

  /** By number only. */
  async attach(): Promise<void> {
    await this.#attach(null)
  }

  /** Numbers on its device, each bound to a table of its own. */
  async bind(...pasids: readonly number[]): Promise<void> {
    for (const pasid of pasids) {
      await this.session.bindPasid({
        pasid,
        devices: [`devices/${this.#device}`],
        firstStage: { address: String(pasid * 4096), addressWidth: 48 },
      })
    }
  }

  async allocate(...pasids: readonly number[]): Promise<void> {
    const device = `devices/${this.#device}`
    await this.session.allocatePasids({
      scope: 'SCOPE_DEVICE',
      device,
      exact: { pasids: [...pasids] },
    })
  }

  /**
   * The manager's own copies of the descriptors: from now on only the VM and its child have any.
   */
  closeOwn(): void {
    this.cdev.close()
    this.user.close()
  }

  /** Its process, not the child; resolves when it is reaped. */
  async kill(): Promise<void> {
    const started = this.#process
    if (started === undefined || started.exitCode !== null || started.signalCode !== null) return
    const ended = once(started, 'exit')
    started.kill('SIGKILL')
    await ended
  }

  killChild(): void {
    if (this.#child > 0) process.kill(this.#child, 'SIGKILL')
    this.#child = -1
  }

  /** Whatever is left of it. */
  async end(): Promise<void> {
    this.killChild()
    await this.kill()
    if (this.cdev.isOpen) this.cdev.close()
    this.user.close()
    this.#client.close()
  }

  async #attach(handOver: HandOver | null): Promise<void> {
    await this.session.attachDevice({ device: `devices/${this.#device}`, handOver })
  }

  /** A token for the descriptors. @throws when it is refused */
  async #ask(text: string, fds: readonly number[]): Promise<string> {
    const side = new SideClient(this.#daemon.fdSocket)
    const answer = await side.ask(text, fds)
    side.close()
    const [word, token = ''] = answer.split(' ')
    if (word !== 'token') throw new Error(answer)
    return token
  }
}
