/**
 * VMs whose manager these tests are: their process only holds the descriptors that it was given, and
 * the manager speaks for it, as a delegate. (A VMM that speaks for itself: scenario-vmm.ts.)
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import readline from 'node:readline'
import {
  PasidClient,
  type HandOver,
  type PasidSession,
  type RetryPolicy,
} from '../../../src/client/index.js'
import { native } from '../../../src/linux/addon.js'
import { OwnedFd } from '../../../src/linux/owned-fd.js'
import { ATTACH_IOMMUFD_PT, BIND_IOMMUFD, VFIO_CDEV } from '../../../src/uapi/vfio-cdev.js'
import { sideToken } from '../../support/side-client.js'
import { DmaLoop, Edu, type DmaCounts } from './edu.mjs'
import { Caller, IommufdUser, openDevice, PARENT_FLAGS } from './iommufd-user.js'
import type { Daemon, Devices } from './scenario-daemon.js'
import { DMA_PLACE, IOVA, MEMORY_BYTES } from './scenario-vmm.js'
import { SharedMemory } from './shared-memory.js'

/** Says the number of a child that has the same descriptors, and sleeps. */
const PROCESS = 'sleep 1000 & echo $!; exec sleep 1000'

export class ManagedVm {
  readonly user = new IommufdUser()
  readonly cdev: OwnedFd
  readonly #memory = new SharedMemory(MEMORY_BYTES)
  readonly #daemon: Daemon
  readonly #client: PasidClient
  readonly #device: keyof Devices
  #process: ChildProcess | undefined
  #child = -1
  #session: PasidSession | undefined
  #dma: DmaLoop | undefined

  private constructor(daemon: Daemon, device: keyof Devices, retry: Partial<RetryPolicy>) {
    this.#daemon = daemon
    this.#device = device
    this.cdev = openDevice(daemon.devices[device].cdev)
    this.#client = new PasidClient({ socket: daemon.vmmSocket, retry })
  }

  /** With its device opened, in its process and here, and a session. */
  static async start(
    daemon: Daemon,
    device: keyof Devices,
    retry: Partial<RetryPolicy> = {},
  ): Promise<ManagedVm> {
    const vm = new ManagedVm(daemon, device, retry)
    try {
      await vm.#begin()
      return vm
    } catch (error) {
      await vm.end()
      throw error
    }
  }

  async #begin(): Promise<void> {
    const { user, cdev } = this
    const stdio = ['ignore', 'pipe', 'inherit', user.fd.number, cdev.number] as const
    const started = spawn('sh', ['-c', PROCESS], { stdio: [...stdio] })
    this.#process = started
    if (started.stdout === null || started.pid === undefined) throw new Error('no shell started')
    const lines = readline.createInterface({ input: started.stdout })
    const [line] = (await once(lines, 'line')) as string[]
    this.#child = Number(line)
    const pidfd = new OwnedFd(native.pidfdOpen(started.pid), 'a pidfd')
    const ownerToken = await sideToken(this.#daemon.fdSocket, 'pidfd', [pidfd.number])
    pidfd.close()
    this.#session = await this.#client.openSession({ ownerToken, tenant: 'tenants/default' })
  }

  get session(): PasidSession {
    if (this.#session === undefined) throw new Error('the VM has no session')
    return this.#session
  }

  /** Of its process's child, which has the same descriptors. */
  get child(): number {
    return this.#child
  }

  /** The device goes into the broker's hands, with its RID on the parent, where its memory is. */
  async handOver(): Promise<void> {
    const ioasId = await this.user.allocIoas()
    await this.user.map(ioasId, this.#memory, IOVA)
    const token = await sideToken(this.#daemon.fdSocket, 'vfio', [
      this.user.fd.number,
      this.cdev.number,
    ])
    await this.#attach({ token, ioas: { ioasId }, moveRid: true })
  }

  /** By number only; a PASID is attached by the VM itself. */
  async attachByNumber(pasid: number): Promise<void> {
    await this.#attach(null)
    const { user, cdev } = this
    const caller = new Caller()
    const bound = await caller.ask(cdev.number, BIND_IOMMUFD, { iommufd: user.fd.number })
    const ptId = await user.allocHwpt(bound.outDevid, await user.allocIoas(), PARENT_FLAGS)
    const flags = VFIO_CDEV.VFIO_DEVICE_ATTACH_PASID
    await caller.ask(cdev.number, ATTACH_IOMMUFD_PT, { flags, ptId, pasid })
    caller.end()
  }

  /** Numbers on its device. */
  async allocate(...pasids: readonly number[]): Promise<void> {
    const device = `devices/${this.#device}`
    const exact = { pasids: [...pasids] }
    await this.session.allocatePasids({ scope: 'SCOPE_DEVICE', device, exact })
  }

  /** Each to a table of its own. */
  async bind(...pasids: readonly number[]): Promise<void> {
    const devices = [`devices/${this.#device}`]
    for (const pasid of pasids) {
      const firstStage = { address: String(pasid * 4096), addressWidth: 48 }
      await this.session.bindPasid({ pasid, devices, firstStage })
    }
  }

  /** Again and again, until stopDma(). */
  startDma(): void {
    this.#dma = new DmaLoop(new Edu(this.cdev.number), this.#memory.fd, DMA_PLACE)
  }

  stopDma(): Promise<DmaCounts> {
    if (this.#dma === undefined) throw new Error('there is no DMA')
    return this.#dma.stop()
  }

  /** The manager's own copies of the descriptors: then only the VM and its child have any. */
  closeOwn(): void {
    if (this.cdev.isOpen) this.cdev.close()
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

  /** Its process, and the child. */
  async killAll(): Promise<void> {
    await this.kill()
    this.killChild()
  }

  killChild(): void {
    if (this.#child > 0) process.kill(this.#child, 'SIGKILL')
    this.#child = -1
  }

  /** Whatever is left of it. */
  async end(): Promise<void> {
    this.killChild()
    this.closeOwn()
    await this.kill()
    this.#memory.close()
    this.#client.close()
  }

  async #attach(handOver: HandOver | null): Promise<void> {
    await this.session.attachDevice({ device: `devices/${this.#device}`, handOver })
  }
}
