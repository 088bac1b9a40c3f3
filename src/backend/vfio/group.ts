/**
 * One IOMMU group of the host: who has its devices, by number or in our hands, and the work on it,
 * one piece after the other. Holds: all its devices are one session's (the kernel gives a group's
 * DMA to one owner); nothing of a session that was dropped stays, however stuck the group is.
 */

import type { Binding } from '../../core/binding.js'
import type { SessionId, Target } from '../../core/ids.js'
import {
  BackendFault,
  NotHandedOver,
  type BackendListener,
  type BindRequest,
  type HandOver,
  type InvalidateRequest,
  type NativeAttachment,
  type PageRequestAnswer,
  type Place,
} from '../backend.js'
import { atMost } from './at-most.js'
import { Bindings } from './bindings.js'
import type { DeviceCalls } from './device-calls.js'
import { faultOf } from './errors.js'
import { incoming, takeHandOver, type HandOverParts, type Incoming } from './hand-over.js'
import { closeApart } from './held-fd.js'
import { closeDevice, type HeldDevice } from './held-device.js'
import type { Holding } from './holding.js'
import { Invalidations } from './invalidations.js'
import { detachAll, leave, ORDERLY, type Leaving } from './letting-go.js'
import { look } from './look.js'
import type { HostDevice } from './ports.js'
import { askRid } from './rid.js'
import { settle } from './settling.js'
import { Work, type Job } from './work.js'

/** A dropped session's devices are detached within this, or closed as they are. */
export const DROP_MS = 700
/** Of it, for numbers that only the VMM itself can have attached. */
export const SWEEP_MS = 300
/** What is then closed by other threads is waited for so long: a last close may reset a device. */
export const CLOSE_MS = 250
/** The daemon ends: closing is waited for so long; what is not closed then ends with it. */
export const END_MS = 1000

export interface GroupParts extends HandOverParts {
  /** Calls for a device of a session, or of nobody's. */
  readonly callsFor: (device: string, group: Work, session: SessionId | undefined) => DeviceCalls
}

/** What a session has in our hands, and what is done with it. */
interface Held {
  readonly holding: Holding
  readonly bindings: Bindings
  readonly invalidations: Invalidations
}

export class Group {
  readonly work = new Work()
  readonly #parts: GroupParts
  /** Undefined: a device that is a group of its own. */
  readonly #name: string | undefined
  #owner: SessionId | undefined
  /** Attached, by number or in our hands. */
  readonly #attached = new Set<string>()
  /** Kept from an earlier life, and not taken up. */
  readonly #kept = new Set<string>()
  #held: Held | undefined
  #incoming: Incoming | undefined
  /** Sessions that are being dropped, and what is answered then. */
  readonly #dropping = new Map<SessionId, Promise<readonly string[]>>()

  constructor(name: string | undefined, parts: GroupParts) {
    this.#name = name
    this.#parts = parts
  }

  /** Devices that are kept and that nobody has taken up, and of whom. */
  get kept(): readonly Pick<Place, 'device' | 'session'>[] {
    const session = this.#owner
    return session === undefined ? [] : [...this.#kept].map((device) => ({ device, session }))
  }

  device(name: string, session: SessionId): HeldDevice | undefined {
    return this.#owner === session ? this.#held?.holding.devices.get(name) : undefined
  }

  /**
   * What an earlier life left. False: it is the second of the group, whose DMA has one owner; what
   * it remembers is detached, and it is closed.
   */
  adopt(holding: Holding): boolean {
    if (this.#held !== undefined) {
      void this.#turnAway(holding)
      return false
    }
    this.#owner = holding.session
    this.#take(holding)
    for (const name of holding.devices.keys()) this.#kept.add(name)
    return true
  }

  tellAll(listener: BackendListener): void {
    this.#held?.holding.faults?.tellAll(listener)
  }

  /**
   * What is handed over is ours from here on. `unused`: as Backend.attachDevice().
   * @throws BackendFault
   */
  async attach(
    host: HostDevice,
    session: SessionId,
    handOver: HandOver | undefined,
    unused: Target | undefined,
  ): Promise<NativeAttachment | undefined> {
    const given = { isTaken: false }
    try {
      return await this.work.run(async (job) => {
        const { name } = host
        this.#refuseOthers(name, session)
        this.#kept.delete(name)
        const standing = this.device(name, session)
        if (standing === undefined && handOver !== undefined) {
          given.isTaken = true
          this.#owner = session
          await this.#takeOne(job, host, handOver, session)
        }
        this.#owner = session
        this.#attached.add(name)
        const device = this.device(name, session)
        const holding = this.#held?.holding
        if (device === undefined || holding === undefined) return undefined
        if (unused !== undefined) await askRid(job, holding, device, unused)
        return holding.attachmentOf(device)
      })
    } finally {
      // A repetition, a refusal, or a group that is stuck: nobody wants them.
      if (!given.isTaken && handOver !== undefined) {
        const { kernel, clock } = this.#parts
        await atMost(clock, CLOSE_MS, closeApart(kernel, [handOver.cdev, handOver.iommufd]))
      }
    }
  }

  /** @throws BackendFault */
  async detach(name: string, session: SessionId): Promise<void> {
    if (this.#owner !== session) return
    await this.work.run(async () => {
      if (this.#owner !== session) return
      const device = this.device(name, session)
      const held = this.#held
      if (device !== undefined && held !== undefined) {
        const count = held.holding.provenThrough(device)
        if (count > 0) {
          throw new BackendFault(`${name}: ${count} bindings of the session stand`, 'REFUSE')
        }
        if (!(await detachAll(held.holding, device, ORDERLY))) {
          throw new BackendFault(`${name}: what is attached could not be detached`, 'STOP')
        }
        await leave(this.#parts.kernel, held.holding, device)
      }
      this.#letGo(name)
    })
  }

  /** Answers the HWPT. @throws BackendFault */
  bind(request: BindRequest): Promise<number> {
    return this.#onHeld(request, (held, device, job) => held.bindings.bind(job, device, request))
  }

  /** Answers the HWPT. @throws BackendFault */
  replace(request: BindRequest, old: Pick<Binding, 'table' | 'domain'>): Promise<number> {
    return this.#onHeld(request, (held, device, job) => {
      return held.bindings.replace(job, device, request, old)
    })
  }

  /** @throws BackendFault */
  async unbind({ device: name, session, target }: Place): Promise<void> {
    await this.work.run(async () => {
      const device = this.device(name, session)
      if (device !== undefined) await this.#held?.bindings.unbind(device, target)
    })
  }

  /** @throws BackendFault */
  async invalidate(request: InvalidateRequest): Promise<void> {
    await this.work.beside(async () => {
      // Nothing is cached for a place that is not bound: its teardown saw to that.
      if (this.device(request.device, request.session) === undefined) return
      await this.#held?.invalidations.invalidate(request)
    })
  }

  /** @throws BackendFault */
  async respond(answer: PageRequestAnswer): Promise<void> {
    await this.work.beside(async () => {
      const faults = this.#held?.holding.faults
      if (faults !== undefined) return faults.respond(answer)
      const { device, group } = answer
      const what = `no page request group ${group} waits: nothing here reads any of its`
      throw new BackendFault(`${device}: ${what}`, 'REFUSE')
    })
  }

  /** @throws BackendFault */
  async settle(
    name: string,
    session: SessionId,
    targets: { readonly granted: readonly Target[]; readonly keep: readonly Target[] },
  ): Promise<void> {
    await this.work.run(async () => {
      const device = this.device(name, session)
      if (device === undefined || this.#held === undefined) return
      const { holding, bindings } = this.#held
      try {
        await settle(holding, bindings, device, targets)
      } catch (error) {
        throw faultOf(name, error)
      }
    })
  }

  /**
   * Answers the devices of which it is not certain; while it is under way, all who ask the same.
   * Never throws a BackendFault.
   */
  drop(session: SessionId, granted: readonly Target[]): Promise<readonly string[]> {
    const underWay = this.#dropping.get(session)
    if (underWay !== undefined) return underWay
    if (this.#owner !== session) return Promise.resolve([])
    const done = this.#drop(session, granted).finally(() => this.#dropping.delete(session))
    this.#dropping.set(session, done)
    return done
  }

  async #drop(session: SessionId, granted: readonly Target[]): Promise<readonly string[]> {
    let isLate = false
    const { clock } = this.#parts
    const cancelSweep = clock.after(SWEEP_MS, () => {
      isLate = true
    })
    const leaving = { granted, wholly: true, isLate: () => isLate }
    const certain = new Set<string>()
    const orderly = this.work.runLast('the session has ended', async () => {
      const holding = this.#held?.holding
      if (holding === undefined || this.#owner !== session) return
      await this.#leaveAll(holding, leaving, certain)
    })
    // Before: what is on its way in joins the holding, or is undone.
    const names = [...(this.#held?.holding.devices.keys() ?? [])]
    if (this.#incoming !== undefined) names.push(this.#incoming.host.name)
    await atMost(clock, DROP_MS, orderly)
    cancelSweep()
    await atMost(clock, CLOSE_MS, this.#forceClosed(session))
    return names.filter((name) => !certain.has(name))
  }

  /** Whether nobody has the device bound; undefined: it cannot be told. */
  async seenClosed(host: HostDevice): Promise<boolean | undefined> {
    // A group has one owner: the kernel would refuse it.
    if (this.#held !== undefined) return false
    const { kernel, callsFor } = this.#parts
    try {
      return await this.work.run(async (job) => {
        if (this.#held !== undefined) return false
        job.check()
        return look(kernel, host, callsFor(host.name, this.work, undefined))
      })
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      return undefined
    }
  }

  /** The daemon ends: what is attached stays, and what is kept. */
  async close(): Promise<void> {
    const holding = this.#held?.holding
    this.#held = undefined
    if (holding === undefined) return
    holding.memory.leave()
    await atMost(this.#parts.clock, END_MS, this.#closeAll(holding))
  }

  async #takeOne(
    job: Job,
    host: HostDevice,
    handOver: HandOver,
    session: SessionId,
  ): Promise<void> {
    const calls = this.#parts.callsFor(host.name, this.work, session)
    const from = incoming(host, session, handOver, calls)
    this.#incoming = from
    try {
      this.#take(await takeHandOver(this.#parts, job, from, this.#held?.holding))
    } catch (fault) {
      if (this.#attached.size === 0 && this.#held === undefined) this.#owner = undefined
      throw fault
    } finally {
      this.#incoming = undefined
    }
  }

  #take(holding: Holding): void {
    if (this.#held?.holding === holding) return
    const invalidations = new Invalidations(holding, (work) => this.work.run(work))
    this.#held = { holding, bindings: new Bindings(holding), invalidations }
  }

  #letGo(name: string): void {
    this.#attached.delete(name)
    this.#kept.delete(name)
    if (this.#held?.holding.devices.size === 0) this.#held = undefined
    if (this.#attached.size === 0 && this.#held === undefined) this.#owner = undefined
  }

  async #leaveAll(holding: Holding, leaving: Leaving, certain: Set<string>): Promise<void> {
    const devices = [...holding.devices.values()]
    await Promise.all(
      devices.map(async (device) => {
        if (await detachAll(holding, device, leaving)) certain.add(device.name)
      }),
    )
    for (const device of devices) await leave(this.#parts.kernel, holding, device)
  }

  /** Its end is waited for by whatever is asked of the group next. */
  async #turnAway(holding: Holding): Promise<void> {
    try {
      await this.work.run(() => this.#leaveAll(holding, ORDERLY, new Set()))
    } catch (fault) {
      if (!(fault instanceof BackendFault)) throw fault
      holding.memory.end()
      await this.#closeAll(holding)
    }
  }

  /** Whatever is left of it is closed from elsewhere. */
  async #forceClosed(session: SessionId): Promise<void> {
    if (this.#owner !== session) return
    const from = this.#incoming
    const holdings = new Set([this.#held?.holding, from?.made])
    this.#held = undefined
    this.#owner = undefined
    this.#attached.clear()
    this.#kept.clear()
    const closing: Promise<void>[] = []
    for (const holding of holdings) {
      if (holding === undefined) continue
      holding.memory.end()
      closing.push(this.#closeAll(holding))
    }
    if (from !== undefined) closing.push(closeDevice(this.#parts.kernel, from))
    await Promise.all(closing)
  }

  /** As it is: nothing is detached. */
  async #closeAll({ devices, faults }: Holding): Promise<void> {
    const { kernel } = this.#parts
    faults?.stop()
    const more = faults === undefined ? [] : [faults.fd]
    const closing = [...devices.values()].map((device) => {
      return closeDevice(kernel, device, more.splice(0))
    })
    // Of one that has no device yet.
    closing.push(closeApart(kernel, more))
    await Promise.all(closing)
  }

  #refuseOthers(name: string, session: SessionId): void {
    if (this.#owner === undefined || this.#owner === session) return
    const what = this.#name === undefined ? name : `a device of ${name}'s group ${this.#name}`
    throw new BackendFault(`${what} is attached to another session`, 'REFUSE')
  }

  #onHeld(
    { device: name, session }: Place,
    work: (held: Held, device: HeldDevice, job: Job) => Promise<number>,
  ): Promise<number> {
    return this.work.run(async (job) => {
      const device = this.device(name, session)
      if (device !== undefined && this.#held !== undefined) return work(this.#held, device, job)
      if (this.#owner === session && this.#attached.has(name)) {
        throw new NotHandedOver(`${name}: the session has it by number only`)
      }
      throw new BackendFault(`${name}: not attached to the session`, 'REFUSE')
    })
  }
}
