/**
 * A kernel for the native backend: descriptors, threads and the bytes of its system calls, on top
 * of the books (vfio-fake-books.ts). Every call is counted, and a test can make the n-th fail,
 * before or after it was carried out, or not come back until it is let.
 */

import fs from 'node:fs'
import { present } from '../../src/core/assert.js'
import type { HandedFd } from '../../src/backend/backend.js'
import type {
  CallEnd,
  CallThread,
  IoctlCall,
  IoctlEnd,
  Kernel,
  ReadableOnce,
} from '../../src/backend/vfio/ports.js'
import { BackendFault } from '../../src/backend/backend.js'
import { E, FakeContext, FakeDevice, FakeGroup, type FakeDeviceOptions } from './vfio-fake-books.js'
import { makeIoctl, readFaults, writeAnswers, type FakeFile } from './vfio-fake-ioctls.js'

const NOTHING = new Uint8Array()
/** Above every descriptor that the process has: those of memories are real. */
const FIRST_FD = 1_000_000

/** Which call, as a test counts them: `ioctl 0x3b89`, `read`, `write`, `close`, `thread`. */
export type FakeCall = string

/** What is done instead of, or after, a call. */
export interface Interference {
  /** Minus errno, instead of what it would have answered. */
  readonly code?: number
  /** It is carried out all the same. */
  readonly after?: boolean
  /** It does not begin before. */
  readonly until?: Promise<void>
  /** It is carried out, and does not come back before. */
  readonly back?: Promise<void>
}

export class FakeKernel implements Kernel {
  readonly groups = new Map<string, FakeGroup>()
  readonly devices = new Map<string, FakeDevice>()
  /** Descriptors of the process; undefined: the number stands for nothing. */
  readonly #fds = new Map<number, FakeFile | undefined>()
  readonly #files = new Map<FakeFile, number>()
  readonly #watched = new Map<FakeFile, () => void>()
  readonly calls: FakeCall[] = []
  /** Threads that have not ended. */
  threads = 0
  threadsMost = 0
  interfere: ((call: FakeCall, index: number) => Interference | undefined) | undefined

  addDevice(options: FakeDeviceOptions): FakeDevice {
    const key = options.group ?? `alone-${options.name}`
    const group = this.groups.get(key) ?? new FakeGroup()
    this.groups.set(key, group)
    const device = new FakeDevice(options, group)
    this.devices.set(device.name, device)
    return device
  }

  // Files and descriptors.

  /** A descriptor of the process. */
  open(file: FakeFile): FakeFd {
    let number = FIRST_FD
    while (this.#fds.has(number)) number += 1
    this.#fds.set(number, file)
    this.take(file)
    return new FakeFd(this, number)
  }

  /** One reference more: another process has it too. Pairs with let(). */
  take(file: FakeFile): void {
    this.#files.set(file, (this.#files.get(file) ?? 0) + 1)
  }

  let(file: FakeFile): void {
    const left = (this.#files.get(file) ?? 0) - 1
    if (left > 0) {
      this.#files.set(file, left)
      return
    }
    this.#files.delete(file)
    this.#release(file)
  }

  #release(file: FakeFile): void {
    if (file.kind === 'cdev' && file.isBound) file.device.unbind()
    if (file.kind === 'fault') {
      file.queue.users -= 1
      this.#watched.delete(file)
    }
    if (file.kind === 'iommufd') file.context.objects.clear()
  }

  fileOf(number: number): FakeFile | undefined {
    return this.#fds.get(number)
  }

  isOpen(file: FakeFile): boolean {
    return this.#files.has(file)
  }

  closeNumber(number: number): void {
    // A memory.
    if (number < FIRST_FD) {
      fs.closeSync(number)
      return
    }
    if (!this.#fds.has(number)) throw new Error(`descriptor ${number} is closed a second time`)
    const file = this.#fds.get(number)
    this.#fds.delete(number)
    if (file !== undefined) this.let(file)
  }

  /** dup3(2) of nothing onto it. */
  blank(number: number): void {
    const file = this.#fds.get(number)
    this.#fds.set(number, undefined)
    if (file !== undefined) this.let(file)
  }

  /** Files that the process has descriptors of. */
  openFiles(): readonly FakeFile[] {
    return [...this.#fds.values()].filter((file) => file !== undefined)
  }

  /** How many descriptors the process has. */
  get openFds(): number {
    return this.#fds.size
  }

  // The port.

  startThread(name: string): CallThread {
    if (name.length > 15) throw new Error(`a thread's name has at most 15 bytes: ${name}`)
    const { code } = this.#interference('thread') ?? {}
    if (code !== undefined) throw new BackendFault('no thread can be had', 'RETRY')
    this.threads += 1
    this.threadsMost = Math.max(this.threadsMost, this.threads)
    return new FakeThread(this)
  }

  /** It is tried for a thread until one can be had. */
  async close(fd: HandedFd): Promise<void> {
    const closing = fd.release()
    for (;;) {
      try {
        const thread = this.startThread('pasidd-close')
        const closed = thread.close(new FakeFd(this, closing))
        thread.end()
        await closed
        return
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  whenReadable(fd: number, readable: () => void): ReadableOnce {
    const { code } = this.#interference('watch') ?? {}
    if (code !== undefined) throw new BackendFault('no room to watch', 'RETRY')
    const file = this.#fds.get(fd)
    if (file?.kind !== 'fault') throw new Error(`descriptor ${fd} cannot be watched`)
    const wake = (): void => {
      if (this.#watched.get(file) !== wake) return
      this.#watched.delete(file)
      readable()
    }
    this.#watched.set(file, wake)
    file.queue.wake = () => this.#watched.get(file)?.()
    if (file.queue.deliver.length > 0) queueMicrotask(wake)
    return {
      stop: () => {
        if (this.#watched.get(file) === wake) this.#watched.delete(file)
      },
    }
  }

  adopt(fd: number): HandedFd {
    return new FakeFd(this, fd)
  }

  #interference(call: FakeCall): Interference | undefined {
    this.calls.push(call)
    return this.interfere?.(call, this.calls.length)
  }

  /** For threads: the call is made, or what the test wants instead. */
  async make<End extends CallEnd>(
    call: FakeCall,
    failed: (code: number) => End,
    carryOut: () => End,
  ): Promise<End> {
    const { code, after, until, back } = this.#interference(call) ?? {}
    // A descriptor is gone when its close begins, however long that takes.
    const closed = call === 'close' && code === undefined ? carryOut() : undefined
    await until
    if (closed !== undefined) return closed
    if (code === undefined) {
      const end = carryOut()
      await back
      return end
    }
    const end = after === true ? carryOut() : failed(code)
    return { ...end, code }
  }

  // Of tests.

  /** The process is killed: its descriptors are closed, and its threads are no more. */
  kill(): void {
    this.interfere = undefined
    for (const number of [...this.#fds.keys()]) this.closeNumber(number)
    this.#watched.clear()
    this.threads = 0
  }

  newContext(): FakeContext {
    return new FakeContext()
  }

  device(name: string): FakeDevice {
    return present(this.devices.get(name), `the device ${name}`)
  }
}

export class FakeFd implements HandedFd {
  readonly #kernel: FakeKernel
  #number: number | undefined

  constructor(kernel: FakeKernel, number: number) {
    this.#kernel = kernel
    this.#number = number
  }

  get isOpen(): boolean {
    return this.#number !== undefined
  }

  get number(): number {
    if (this.#number === undefined) throw new Error('a descriptor is used after it was closed')
    return this.#number
  }

  release(): number {
    const { number } = this
    this.#number = undefined
    return number
  }

  close(): void {
    this.#kernel.closeNumber(this.release())
  }
}

interface Waiting {
  readonly begin: () => Promise<void>
  readonly cancel: () => void
}

class FakeThread implements CallThread {
  readonly #kernel: FakeKernel
  readonly #waiting: Waiting[] = []
  readonly #blanked: number[] = []
  #meant: Promise<unknown> = Promise.resolve()
  #busy = false
  #ended = false
  #over = false

  constructor(kernel: FakeKernel) {
    this.#kernel = kernel
  }

  ioctl(call: IoctlCall): Promise<IoctlEnd> {
    const { fd, request, pointer } = call
    const bytes = Uint8Array.from(call.bytes)
    const data = Uint8Array.from(pointer?.data ?? NOTHING)
    const failed = (code: number): IoctlEnd => ({ code, bytes, data })
    return this.#queue(`ioctl 0x${request.toString(16)}`, failed, () => {
      const file = this.#kernel.fileOf(fd)
      const code =
        file === undefined ? -E.EBADF : makeIoctl(this.#kernel, file, request, bytes, data)
      return { code, bytes, data }
    })
  }

  read(fd: number, bytes: number): Promise<CallEnd & { readonly data: Uint8Array }> {
    const failed = (code: number) => ({ code, data: NOTHING })
    return this.#queue('read', failed, () => {
      const file = this.#kernel.fileOf(fd)
      if (file?.kind !== 'fault') return failed(-E.EBADF)
      const data = readFaults(file.queue, bytes)
      return { code: data.length, data }
    })
  }

  write(fd: number, bytes: Uint8Array): Promise<CallEnd> {
    const copy = Uint8Array.from(bytes)
    return this.#queue(
      'write',
      (code) => ({ code }),
      () => {
        const file = this.#kernel.fileOf(fd)
        return { code: file?.kind === 'fault' ? writeAnswers(file.queue, copy) : -E.EBADF }
      },
    )
  }

  close(fd: HandedFd): Promise<CallEnd> {
    const number = fd.release()
    return this.#queue(
      'close',
      (code) => ({ code }),
      () => {
        this.#kernel.closeNumber(number)
        return { code: 0 }
      },
    )
  }

  end(): void {
    this.#ended = true
    if (!this.#busy) this.#isOver()
  }

  abandon(fds: readonly HandedFd[], meant?: Promise<unknown>): Promise<void> {
    if (meant !== undefined) this.#meant = Promise.all([this.#meant, meant])
    for (const fd of fds) {
      const number = fd.release()
      if (this.#busy) {
        this.#kernel.blank(number)
        this.#blanked.push(number)
      } else this.#kernel.closeNumber(number)
    }
    for (const each of this.#waiting.splice(0)) each.cancel()
    this.end()
    return Promise.resolve()
  }

  #queue<End extends CallEnd>(
    call: FakeCall,
    failed: (code: number) => End,
    carryOut: () => End,
  ): Promise<End> {
    if (this.#ended) return Promise.resolve(failed(-E.ECANCELED))
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        begin: () => this.#kernel.make(call, failed, carryOut).then(resolve, reject),
        cancel: () => resolve(failed(-E.ECANCELED)),
      })
      if (!this.#busy) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#busy = true
    for (;;) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      await next.begin()
    }
    this.#busy = false
    if (this.#ended) this.#isOver()
  }

  #isOver(): void {
    if (this.#over) return
    this.#over = true
    this.#kernel.threads -= 1
    void this.#meant.then(() => {
      for (const number of this.#blanked) this.#kernel.closeNumber(number)
    })
  }
}
