/**
 * A native backend over the fake kernel, with VMs that hand devices over: each has an iommufd of
 * its own with one IOAS, and keeps descriptors of its own as a VMM does. Looks behind the backend:
 * what the devices' tables hold, and what is left over.
 */

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { randomUUID } from 'node:crypto'
import type { HandedFd, HandOver, ObservedPlace, Parent } from '../../src/backend/backend.js'
import { CdevPort } from '../../src/backend/vfio/cdev-port.js'
import type { FdKeeper, HostDevice, HwInfo } from '../../src/backend/vfio/ports.js'
import { createVfioBackend, type VfioBackend } from '../../src/backend/vfio/vfio.js'
import { VTD_CODEC } from '../../src/backend/vfio/vtd-codec.js'
import { present } from '../../src/core/assert.js'
import type { Table } from '../../src/core/binding.js'
import type { AddressWidth, DeviceFacts } from '../../src/core/device.js'
import type { SessionId, Target } from '../../src/core/ids.js'
import { OwnedFd } from '../../src/linux/owned-fd.js'
import { RigClock } from './broker-rig-clock.js'
import type { FakeContext, FakeDeviceOptions, FakeHwpt } from './vfio-fake-books.js'
import { FAKE_CAP, FAKE_ECAP, type FakeFile } from './vfio-fake-ioctls.js'
import { FakeKernel } from './vfio-fake-kernel.js'

export const DEADLINE_MS = 5000
export const THREADS = 16

/** The store of a service manager: descriptors by name, alive while nobody else has them. */
export class FakeKeeper implements FdKeeper {
  readonly #kernel: FakeKernel
  readonly files = new Map<string, FakeFile | OwnedFd>()
  readonly #memories: OwnedFd[] = []
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vfio-keeper-'))

  constructor(kernel: FakeKernel) {
    this.#kernel = kernel
  }

  takeKept(): ReadonlyMap<string, HandedFd> {
    const taken = new Map<string, HandedFd>()
    for (const [name, file] of this.files) {
      taken.set(name, file instanceof OwnedFd ? again(file) : this.#kernel.open(file))
    }
    return taken
  }

  keep(name: string, fd: HandedFd): void {
    if (!/^[^:]{1,255}$/.test(name)) throw new Error(`a name that is none: ${name}`)
    const file = this.#kernel.fileOf(fd.number)
    if (file === undefined) this.files.set(name, again(fd))
    else {
      this.#kernel.take(file)
      this.files.set(name, file)
    }
  }

  drop(name: string): void {
    const file = this.files.get(name)
    this.files.delete(name)
    if (file instanceof OwnedFd) file.close()
    else if (file !== undefined) this.#kernel.let(file)
  }

  createMemory(): HandedFd {
    const file = path.join(this.folder, randomUUID())
    const fd = new OwnedFd(fs.openSync(file, 'wx+'), 'a memory')
    fs.unlinkSync(file)
    this.#memories.push(fd)
    return fd
  }

  /**
   * Nothing can be written to memories any more: their numbers stand for what cannot be written.
   */
  breakMemories(): void {
    for (const fd of this.#memories) {
      if (!fd.isOpen) continue
      const number = fd.number
      fs.closeSync(number)
      if (fs.openSync('/dev/null', 'r') !== number) throw new Error('another took the number')
    }
  }

  close(): void {
    for (const name of [...this.files.keys()]) this.drop(name)
    fs.rmSync(this.folder, { recursive: true, force: true })
  }
}

function again({ number }: HandedFd): OwnedFd {
  return new OwnedFd(fs.openSync(`/proc/self/fd/${number}`, 'r+'), 'a memory that is kept')
}

export interface VfioRigOptions {
  readonly devices: readonly FakeDeviceOptions[]
  readonly threads?: number
}

export class VfioRig {
  clock = new RigClock()
  readonly kernel = new FakeKernel()
  readonly keeper = new FakeKeeper(this.kernel)
  readonly #options: VfioRigOptions
  readonly vms = new Map<SessionId, FakeVm>()
  backend: VfioBackend

  constructor(options: VfioRigOptions) {
    this.#options = options
    for (const device of options.devices) this.kernel.addDevice(device)
    this.backend = this.#start()
  }

  #start(): VfioBackend {
    return createVfioBackend({
      devices: this.#options.devices.map((device) => this.host(device)),
      kernel: this.kernel,
      keeper: this.keeper,
      clock: this.clock,
      deadlineMs: DEADLINE_MS,
      threadsPerSession: this.#options.threads ?? THREADS,
    })
  }

  /** The daemon ends and is started again: what is kept is there, all else is closed. */
  async restart(): Promise<void> {
    await this.backend.close()
    this.backend = this.#start()
  }

  /** As restart(), but it is killed, wherever it is. What it waits for must never come back. */
  kill(): void {
    this.kernel.kill()
    this.clock = new RigClock()
    this.backend = this.#start()
  }

  host({ name, group, pri }: FakeDeviceOptions): HostDevice {
    const device = this.kernel.device(name)
    const facts = (info: HwInfo | undefined): DeviceFacts => ({
      name,
      pasidBits: info?.maxPasidLog2 ?? 20,
      translation: 'NONE',
      shared: false,
      platform: 'INTEL_VTD',
      addressWidths: [48, 57],
      supervisorRequests: true,
      extendedAccessed: true,
      passThrough: true,
      hitlessReplace: false,
      pageRequests: pri === true,
      group,
      registers: { platform: 'INTEL_VTD', cap: FAKE_CAP, ecap: FAKE_ECAP },
    })
    return {
      name,
      facts: () => facts(undefined),
      factsOf: (info) => facts(info),
      problemWith: (cdev) => {
        const file = this.kernel.fileOf(cdev.number)
        if (file?.kind === 'cdev' && file.device === device) return undefined
        return { problem: 'the second descriptor is another device', remedy: 'send this one' }
      },
      attachPort: (cdev, calls) => new CdevPort(cdev, calls),
      codec: ({ dataType }) => (dataType === 1 && device.nests ? VTD_CODEC : undefined),
      open: () => {
        if (device.hidden) return undefined
        return {
          iommufd: this.kernel.open({ kind: 'iommufd', context: this.kernel.newContext() }),
          cdev: this.kernel.open({ kind: 'cdev', device, isBound: false }),
        }
      },
      get isGone() {
        return device.removed
      },
    }
  }

  vm(session: SessionId): FakeVm {
    const known = this.vms.get(session)
    if (known !== undefined) return known
    const vm = new FakeVm(this.kernel)
    this.vms.set(session, vm)
    return vm
  }

  async attach(device: string, session: SessionId, more: Partial<HandOver> = {}) {
    return this.backend.attachDevice(device, session, this.vm(session).handOver(device, more))
  }

  /** What the devices' tables hold, and the kernel's books say was attached through each. */
  bound(): readonly ObservedPlace[] {
    const places: ObservedPlace[] = []
    for (const [session, vm] of this.vms) {
      for (const device of this.kernel.devices.values()) {
        if (device.bound?.context !== vm.context) continue
        for (const [pasid, { hwpt, through }] of device.group.attached) {
          if (!through.has(device)) continue
          const stands = device.group.devices.every(({ table, maxPasidLog2 }) => {
            return (pasid !== 0 && maxPasidLog2 === 0) || table.get(pasid) === hwpt
          })
          if (!stands) throw new Error(`the table of ${device.name} lacks ${pasid}`)
          places.push({
            device: device.name,
            target: pasid as Target,
            session,
            table: tableOf(hwpt),
          })
        }
      }
    }
    return places
  }

  async close(): Promise<void> {
    await this.backend.close()
    this.keeper.close()
  }
}

function tableOf({ table }: FakeHwpt): Table {
  if (table === undefined) return { kind: 'PASS_THROUGH' }
  return {
    kind: 'FIRST_STAGE',
    address: Number(table.address),
    width: table.width as AddressWidth,
    supervisor: (table.flags & 1n) !== 0n,
    extendedAccessed: (table.flags & 2n) !== 0n,
    writeProtect: (table.flags & 4n) !== 0n,
  }
}

/** A VMM: its iommufd, and the cdevs that it has handed over and keeps. */
export class FakeVm {
  readonly #kernel: FakeKernel
  readonly context: FakeContext
  readonly iommufd: FakeFile
  readonly ioas: number
  readonly cdevs = new Map<string, FakeFile>()

  constructor(kernel: FakeKernel) {
    this.#kernel = kernel
    this.context = kernel.newContext()
    this.ioas = this.context.ioasAlloc()
    this.iommufd = { kind: 'iommufd', context: this.context }
    kernel.take(this.iommufd)
  }

  /** Opens the device anew, and sends copies. */
  handOver(name: string, more: Partial<HandOver> = {}): HandOver {
    this.closeCdev(name)
    const device = this.#kernel.device(name)
    const file: FakeFile = { kind: 'cdev', device, isBound: false }
    this.#kernel.take(file)
    this.cdevs.set(name, file)
    const parent: Parent = { kind: 'IOAS', id: this.ioas, dirtyTracking: false }
    return {
      iommufd: this.#kernel.open(this.iommufd),
      cdev: this.#kernel.open(file),
      parent,
      moveRid: false,
      faultId: undefined,
      ...more,
    }
  }

  closeCdev(name: string): void {
    const file = this.cdevs.get(name)
    this.cdevs.delete(name)
    if (file !== undefined) this.#kernel.let(file)
  }

  /** A parent of its own, once a device of it is bound. */
  allocParent(flags = 9): number {
    const idev = present(
      [...this.context.objects.values()].find(({ kind }) => kind === 'DEVICE'),
      'a device of the VM',
    )
    const ask = { flags, devId: idev.id, ptId: this.ioas, dataType: 0, faultId: 0 }
    return this.context.hwptAlloc({ ...ask, table: undefined })
  }

  /** The process ends. */
  die(): void {
    for (const name of [...this.cdevs.keys()]) this.closeCdev(name)
    this.#kernel.let(this.iommufd)
  }
}
