/**
 * A VMM in a process of its own (vmm.mjs), from its parent's side. What the kernel or the daemon
 * refuses it is thrown as a Refused.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import type { HandOver, OpenOptions, PasidSession } from '../../../src/client/index.js'
import type { ControlEvent } from '../../../src/client/index.js'
import type * as iommufdCalls from '../../../src/uapi/iommufd.js'
import type { Request, ValuesOf } from '../../../src/uapi/structure.js'
import type * as vfioCalls from '../../../src/uapi/vfio-cdev.js'
import type { DmaCounts, DmaPlace } from './edu.mjs'

const SCRIPT = path.resolve(import.meta.dirname, 'vmm.mjs')
/** Where its memory is in its IOAS: within the 28 bits that `edu` reaches. */
export const IOVA = 0x100_0000
export const MEMORY_BYTES = 0x1_0000
/** Where a round of DMA takes from and gives to. */
export const DMA_PLACE: DmaPlace = { iova: IOVA, source: 0x1000, target: 0x3000, bytes: 64 }

/** Root still; the daemon tells VMMs from their managers by it. */
export const VMM_GROUP = 1

/** How a call was refused: by the kernel with an errno, or by the daemon with a reason. */
export class Refused extends Error {
  /** Of the daemon, as docs/ERRORS.md lists them. */
  readonly reason: string
  readonly errno: string
  readonly metadata: Readonly<Record<string, string>>

  constructor(facts: Partial<Refused> & { readonly message: string }) {
    super([facts.reason, facts.errno, facts.message].filter(Boolean).join(': '))
    this.reason = facts.reason ?? ''
    this.errno = facts.errno ?? ''
    this.metadata = facts.metadata ?? {}
  }
}

/** What a call was refused with: a reason or an errno; 'ok' when it was not. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (error instanceof Refused) return error.reason || error.errno
    throw error
  }
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly refused?: Refused
  readonly broken?: string
}

type Method = Exclude<keyof PasidSession, 'name' | 'token' | 'resumed' | 'control' | 'listPasids'>
type Asked<M extends Method> = Parameters<PasidSession[M]>[0]
type Answered<M extends Method> = Awaited<ReturnType<PasidSession[M]>>

type Calls = typeof iommufdCalls & typeof vfioCalls
type CallName = { [K in keyof Calls]: Calls[K] extends Request ? K : never }[keyof Calls]
type FieldsOf<C extends CallName> = ValuesOf<Extract<Calls[C], Request>['structure']['fields']>

interface Sockets {
  readonly vmmSocket: string
  readonly fdSocket: string
}

/** Everything that is different from a parent on its IOAS, and the RID left. */
export type HandOverOptions = Partial<Omit<HandOver, 'token'>>

export class Vmm {
  /** Of its process, however it comes. */
  readonly ended: Promise<unknown>
  /** Numbers in its process. */
  iommufd = -1
  ioas = 0
  session = ''
  #memory = -1
  /** Another descriptor of its memory, ours. */
  #view = -1
  readonly #child: ChildProcess
  readonly #sockets: Sockets
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #next = 1

  private constructor(sockets: Sockets) {
    this.#sockets = sockets
    this.#child = fork(SCRIPT, { serialization: 'advanced', execArgv: [], gid: VMM_GROUP })
    this.ended = once(this.#child, 'exit')
    this.#child.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer))
    void this.ended.then(() => {
      for (const settle of this.#waiting.values()) settle({ id: 0, broken: 'the VMM has ended' })
    })
  }

  /** With an IOAS and memory on it. */
  static async start(sockets: Sockets): Promise<Vmm> {
    const vmm = new Vmm(sockets)
    const asked = { iova: IOVA, bytes: MEMORY_BYTES }
    const made = (await vmm.#ask('start', asked)) as Record<'memory' | 'iommufd' | 'ioas', number>
    vmm.iommufd = made.iommufd
    vmm.ioas = made.ioas
    vmm.#memory = made.memory
    vmm.#view = fs.openSync(`/proc/${vmm.pid}/fd/${made.memory}`, 'r+')
    return vmm
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** With SIGKILL; resolves when it is reaped. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
    if (this.#view >= 0) fs.closeSync(this.#view)
    this.#view = -1
  }

  async openSession(options: OpenOptions = {}): Promise<string> {
    const { vmmSocket: socket } = this.#sockets
    this.session = (await this.#ask('openSession', { socket, options })) as string
    return this.session
  }

  async call<M extends Method>(method: M, request?: Asked<M>): Promise<Answered<M>> {
    return (await this.#ask('session', { method, request })) as Answered<M>
  }

  /** Numbers of the device's scope. */
  async allocate(device: string, pasids: readonly number[]): Promise<void> {
    const exact = { pasids: [...pasids] }
    await this.call('allocatePasids', { scope: 'SCOPE_DEVICE', device: `devices/${device}`, exact })
  }

  /** A device's file, anew; the number in its process. */
  async open(file: string): Promise<number> {
    return (await this.#ask('open', { path: file })) as number
  }

  async close(fd: number): Promise<void> {
    await this.#ask('close', { fd })
  }

  /** `call`: its name in src/uapi/. Answers the structure as the kernel left it. */
  async ioctl<C extends CallName>(
    fd: number,
    call: C,
    values: Partial<FieldsOf<C>>,
  ): Promise<FieldsOf<C>> {
    return (await this.#ask('ioctl', { fd, call, values })) as FieldsOf<C>
  }

  /** Of what src/uapi/ has not; answers what it returned. */
  async rawIoctl(fd: number, request: number, bytes: Uint8Array): Promise<number> {
    return (await this.#ask('rawIoctl', { fd, request, bytes })) as number
  }

  /** The daemon's answer on the side socket. */
  async side(text: string, fds: readonly number[]): Promise<string> {
    const { fdSocket: socket } = this.#sockets
    return (await this.#ask('side', { socket, text, fds })) as string
  }

  /** Of its iommufd with a device. @throws when the side socket does not give one */
  async token(cdev: number): Promise<string> {
    const answer = await this.side('vfio', [this.iommufd, cdev])
    const [word, token = ''] = answer.split(' ')
    if (word !== 'token') throw new Error(answer)
    return token
  }

  /** Opens the device's cdev and hands it over. */
  async handOver(device: string, cdev: number, more: HandOverOptions = {}) {
    const token = await this.token(cdev)
    return this.attach(device, token, more)
  }

  attach(device: string, token: string, more: HandOverOptions = {}) {
    const parent = more.hwptId === undefined ? { ioas: { ioasId: this.ioas } } : {}
    const handOver = { token, ...parent, ...more }
    return this.call('attachDevice', { device: `devices/${device}`, handOver })
  }

  /** What Control brings unasked is kept from now on. */
  async control(): Promise<void> {
    await this.#ask('control', {})
  }

  async events(): Promise<readonly ControlEvent[]> {
    return (await this.#ask('events', {})) as readonly ControlEvent[]
  }

  /** Copies memory through the `edu` device and back; answers whether it came out the same. */
  async dma(cdev: number): Promise<boolean> {
    const { source, target, bytes } = DMA_PLACE
    const nothing = Buffer.alloc(bytes)
    const text = Buffer.alloc(bytes, `at ${process.hrtime.bigint()} `)
    fs.writeSync(this.#view, text, 0, bytes, source)
    fs.writeSync(this.#view, nothing, 0, bytes, target)
    await this.#ask('take', { fd: cdev, address: IOVA + source, bytes })
    await this.#ask('give', { fd: cdev, address: IOVA + target, bytes })
    const found = Buffer.alloc(bytes)
    fs.readSync(this.#view, found, 0, bytes, target)
    if (!found.equals(text) && !found.equals(nothing)) {
      throw new Error(`half of it came through: ${found.toString('hex')}`)
    }
    return found.equals(text)
  }

  /** Again and again, until stopDma(). */
  async startDma(cdev: number): Promise<void> {
    await this.#ask('startDma', { fd: cdev, memory: this.#memory, ...DMA_PLACE })
  }

  async stopDma(): Promise<DmaCounts> {
    return (await this.#ask('stopDma', {})) as DmaCounts
  }

  #ask(act: string, args: object): Promise<unknown> {
    const id = this.#next
    this.#next += 1
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, refused, broken }) => {
        this.#waiting.delete(id)
        if (refused !== undefined) reject(new Refused(refused))
        else if (broken !== undefined) reject(new Error(`${act}: ${broken}`))
        else resolve(value)
      })
      this.#child.send({ id, act, args }, (error) => {
        if (error !== null) this.#waiting.get(id)?.({ id, broken: error.message })
      })
    })
  }
}
