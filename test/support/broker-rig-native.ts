/**
 * A backend that works through devices which VMMs hand over, without a kernel: what is attached to
 * each device, and which of them are in the backend's hands, as sets that a test can read. Outlives
 * the broker: reborn() is the next life, with the descriptors kept by a service manager or closed.
 */

import {
  BackendFault,
  HandOverRefused,
  NotHandedOver,
  type Backend,
  type BackendHealth,
  type BackendListener,
  type BindRequest,
  type HandedFd,
  type HandOver,
  type HandOvers,
  type NativeAttachment,
  type Observed,
  type Place,
  type TurnedAway,
} from '../../src/backend/backend.js'
import type { Table } from '../../src/core/binding.js'
import type { DeviceFacts } from '../../src/core/device.js'
import type { SessionId, Target } from '../../src/core/ids.js'
import { accept, type Outcome } from '../../src/core/refusal.js'

/** Counts what is done to it. */
export class RigFd implements HandedFd {
  closes = 0
  constructor(readonly number: number) {}

  release(): number {
    this.close()
    return this.number
  }

  close(): void {
    this.closes += 1
  }
}

/** A waiting call: resolves `reached` when it has come, goes on after `release`. */
export interface RigHold {
  readonly reached: Promise<void>
  release(): void
}

interface InHands {
  readonly session: SessionId
  readonly device: string
  readonly handOver: HandOver
  readonly native: NativeAttachment
}

export type NativeCall = 'attach' | 'detach' | 'drop' | 'settle' | 'bind' | 'seenClosed'

export const NARROW = { pasidBits: 10 } as const

/** Of a VMM: both descriptors, and how often the broker took them. */
export interface Handing {
  readonly iommufd: RigFd
  readonly cdev: RigFd
  taken: number
  readonly take: () => Outcome<HandOver>
}

let fds = 100

export function handing(more: Partial<HandOver> = {}): Handing {
  const [iommufd, cdev] = [new RigFd((fds += 1)), new RigFd((fds += 1))]
  const made: Handing = {
    iommufd,
    cdev,
    taken: 0,
    take: () => {
      made.taken += 1
      const parent = { kind: 'HWPT', id: 7 } as const
      return accept({ iommufd, cdev, parent, moveRid: true, faultId: undefined, ...more })
    },
  }
  return made
}

export class RigNative implements Backend, HandOvers {
  readonly kind = 'vfio'
  readonly guestMemory = undefined
  readonly handOvers = this
  /** What is attached in the kernel, by device: target -> table. */
  readonly attached = new Map<string, Map<Target, Table>>()
  /** Every call, in order, as `drop 3`. */
  readonly calls: string[] = []
  readonly turnedAway: TurnedAway[] = []
  /** With which the newest attachDevice() may find out about the RID. */
  unused: Target | undefined
  /** Numbers given with the newest drop and settle. */
  granted: readonly Target[] = []
  /** What seenClosed answers; absent = it cannot be told, or true of what was let go. */
  readonly closed = new Map<string, boolean>()
  /** What the next drop is not certain of. */
  uncertain: readonly string[] = []
  /** The next call of the kind fails. */
  readonly faults = new Map<NativeCall, BackendFault>()
  readonly #hands = new Map<string, InHands>()
  readonly #letGone = new Set<string>()
  readonly #keptOf = new Map<string, InHands>()
  readonly #holds = new Map<NativeCall, { reached: () => void; released: Promise<void> }>()

  constructor(readonly names: readonly string[] = ['nic0', 'nic1']) {}

  /** The next life. `keeps`: a service manager kept the descriptors; else they are closed. */
  reborn(keeps: boolean): RigNative {
    const next = new RigNative(this.names)
    for (const [device, places] of this.attached) next.attached.set(device, places)
    for (const [device, is] of this.closed) next.closed.set(device, is)
    for (const [key, held] of [...this.#hands, ...this.#keptOf]) {
      if (keeps) next.#keptOf.set(key, held)
      else close(held)
    }
    return next
  }

  /** The next call of the kind waits before it does anything. */
  hold(call: NativeCall): RigHold {
    let release = (): void => undefined
    let reached = (): void => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const came = new Promise<void>((resolve) => (reached = resolve))
    this.#holds.set(call, { reached, released })
    return { reached: came, release }
  }

  /** As `device target`, in order. */
  inForce(): string[] {
    const found: string[] = []
    for (const [device, places] of this.attached) {
      for (const target of places.keys()) found.push(`${device} ${target}`)
    }
    return found.sort()
  }

  async #begin(call: NativeCall, what: string): Promise<void> {
    this.calls.push(`${call} ${what}`)
    const held = this.#holds.get(call)
    this.#holds.delete(call)
    held?.reached()
    await held?.released
    const fault = this.faults.get(call)
    this.faults.delete(call)
    if (fault !== undefined) throw fault
  }

  listen(_listener: BackendListener): void {
    // It tells nothing.
  }

  devices(): readonly DeviceFacts[] {
    const inHands = new Set([...this.#hands.values()].map(({ device }) => device))
    return this.names.map((name) => ({
      name,
      pasidBits: 20,
      translation: 'NONE',
      shared: false,
      platform: 'INTEL_VTD',
      addressWidths: [48],
      supervisorRequests: false,
      extendedAccessed: false,
      passThrough: true,
      hitlessReplace: false,
      pageRequests: false,
      ...(inHands.has(name) ? NARROW : {}),
    }))
  }

  holds(device: string, session: SessionId): boolean {
    return this.#hands.has(keyOf(device, session))
  }

  kept(): readonly Pick<Place, 'device' | 'session'>[] {
    return [...this.#keptOf.values()].map(({ device, session }) => ({ device, session }))
  }

  async attachDevice(
    device: string,
    session: SessionId,
    handOver?: HandOver,
    unused?: Target,
  ): Promise<NativeAttachment | undefined> {
    this.unused = unused
    const key = keyOf(device, session)
    try {
      await this.#begin('attach', `${device} ${session}`)
    } catch (fault) {
      handOver?.iommufd.close()
      handOver?.cdev.close()
      throw fault
    }
    const kept = this.#keptOf.get(key)
    if (kept !== undefined) {
      this.#keptOf.delete(key)
      this.#hands.set(key, kept)
    }
    if (handOver === undefined) return this.#hands.get(key)?.native
    const native = { devId: 40 + this.#hands.size, parentHwpt: 7, rid: 'ON_PARENT' } as const
    this.#hands.set(key, { session, device, handOver, native })
    return native
  }

  async detachDevice(device: string, session: SessionId): Promise<void> {
    await this.#begin('detach', `${device} ${session}`)
    this.#letGo(keyOf(device, session))
  }

  async bind(request: BindRequest): Promise<number> {
    await this.#begin('bind', `${request.device} ${request.target}`)
    if (!this.holds(request.device, request.session)) {
      throw new NotHandedOver(`${request.device} was not handed over`)
    }
    const places = this.#placesOf(request.device)
    const before = places.get(request.target)
    if (before !== undefined && tableNumber(before) !== tableNumber(request.table)) {
      throw new BackendFault('another table is attached there', 'REFUSE')
    }
    places.set(request.target, request.table)
    return tableNumber(request.table)
  }

  replace(request: BindRequest): Promise<number> {
    this.#placesOf(request.device).set(request.target, request.table)
    return Promise.resolve(tableNumber(request.table))
  }

  unbind({ device, target, session }: Place): Promise<void> {
    this.calls.push(`unbind ${device} ${target}`)
    if (this.holds(device, session)) this.#placesOf(device).delete(target)
    return Promise.resolve()
  }

  invalidate(): Promise<void> {
    return Promise.resolve()
  }

  respond(): Promise<void> {
    return Promise.reject(new BackendFault('no such group waits', 'REFUSE'))
  }

  async settle(
    device: string,
    session: SessionId,
    { granted, keep }: { readonly granted: readonly Target[]; readonly keep: readonly Target[] },
  ): Promise<void> {
    await this.#begin('settle', `${device} ${session} keeps ${keep.join(',')}`)
    this.granted = granted
    const places = this.#placesOf(device)
    for (const target of [...places.keys()]) if (!keep.includes(target)) places.delete(target)
  }

  async drop(session: SessionId, granted: readonly Target[]): Promise<readonly string[]> {
    this.granted = granted
    await this.#begin('drop', `${session}`)
    for (const [key, held] of [...this.#hands, ...this.#keptOf]) {
      if (held.session === session) this.#letGo(key)
    }
    const { uncertain } = this
    this.uncertain = []
    return uncertain
  }

  async seenClosed(device: string): Promise<boolean | undefined> {
    await this.#begin('seenClosed', device)
    return this.closed.get(device) ?? (this.#letGone.has(device) ? true : undefined)
  }

  observe(): Promise<Observed> {
    return Promise.resolve({ kind: 'UNKNOWN', reason: 'nothing lists what is attached' })
  }

  health(): BackendHealth {
    return { state: 'READY' }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #placesOf(device: string): Map<Target, Table> {
    const known = this.attached.get(device) ?? new Map<Target, Table>()
    this.attached.set(device, known)
    return known
  }

  #letGo(key: string): void {
    const held = this.#hands.get(key) ?? this.#keptOf.get(key)
    if (held === undefined) return
    this.#hands.delete(key)
    this.#keptOf.delete(key)
    this.#placesOf(held.device).clear()
    this.#letGone.add(held.device)
    close(held)
  }
}

function close({ handOver }: InHands): void {
  handOver.iommufd.close()
  handOver.cdev.close()
}

function keyOf(device: string, session: SessionId): string {
  return `${session}/${device}`
}

/** Stands for the HWPT of the table. */
function tableNumber(table: Table): number {
  return table.kind === 'PASS_THROUGH' ? 7 : 1000 + table.address / 4096
}

export const REFUSED = new HandOverRefused('the cdev is bound already', 'open it anew')
