/**
 * The native backend: VFIO devices and iommufd, through descriptors that VMMs hand over. It reaches
 * for nothing by itself: without a hand-over a device is attached by number only. Made by daemon/
 * and tests; the broker sees the door only.
 *
 * What always holds: no id of a VMM's iommufd is ever guessed; what stands is in the books, and in
 * a memory that outlives the daemon where there is a keeper; every system call that may take long
 * is made on a thread, with a deadline; a device that is stuck holds up nobody else.
 */

import type { Binding } from '../../core/binding.js'
import { assert } from '../../core/assert.js'
import type { DeviceFacts } from '../../core/device.js'
import type { SessionId, Target } from '../../core/ids.js'
import {
  BackendFault,
  type Backend,
  type BackendHealth,
  type BackendListener,
  type BindRequest,
  type HandOver,
  type HandOvers,
  type InvalidateRequest,
  type NativeAttachment,
  type Observed,
  type PageRequestAnswer,
  type Place,
  type TurnedAway,
} from '../backend.js'
import { atMost } from './at-most.js'
import { DeviceCalls } from './device-calls.js'
import { CLOSE_MS, Group } from './group.js'
import { faultQueueOf } from './hand-over.js'
import { closeApart } from './held-fd.js'
import { takeKept, type KeptHolding } from './kept.js'
import type { FdKeeper, HostDevice, Kernel, VfioClock } from './ports.js'
import { SessionThreads } from './threads.js'
import { closeUnclaimed } from './unclaimed.js'
import type { Work } from './work.js'

export interface VfioOptions {
  readonly devices: readonly HostDevice[]
  readonly kernel: Kernel
  readonly keeper: FdKeeper
  readonly clock: VfioClock
  /** A system call that takes longer makes its device stuck. */
  readonly deadlineMs: number
  /** At least 1; devices beyond share. */
  readonly threadsPerSession: number
}

export function createVfioBackend(options: VfioOptions): VfioBackend {
  return new VfioBackend(options)
}

interface Known {
  readonly host: HostDevice
  readonly group: Group
  facts: DeviceFacts
}

const CLOSED = 'the native backend is closed'

export class VfioBackend implements Backend {
  readonly kind = 'vfio'
  readonly guestMemory = undefined
  readonly handOvers: HandOvers
  readonly #options: VfioOptions
  readonly #devices = new Map<string, Known>()
  readonly #groups = new Set<Group>()
  readonly #threads = new Map<SessionId, SessionThreads>()
  readonly #turnedAway: TurnedAway[] = []
  #listener: BackendListener | undefined
  #closed = false

  constructor(options: VfioOptions) {
    this.#options = options
    const named = new Map<string, Group>()
    for (const host of options.devices) {
      const { name } = host
      assert(!this.#devices.has(name), `device ${name} is there twice`)
      const facts = host.facts()
      const group = (facts.group && named.get(facts.group)) || this.#newGroup(facts.group)
      if (facts.group !== undefined) named.set(facts.group, group)
      this.#devices.set(name, { host, group, facts })
    }
    this.handOvers = {
      holds: (device, session) => this.#held(device, session) !== undefined,
      settle: (device, session, targets) => {
        return this.#reach(device).then(({ group }) => group.settle(device, session, targets))
      },
      turnedAway: this.#turnedAway,
      kept: () => [...this.#groups].flatMap(({ kept }) => kept),
      drop: (session, granted) => this.#drop(session, granted),
      seenClosed: async (device) => {
        const known = this.#devices.get(device)
        return this.#closed ? undefined : known?.group.seenClosed(known.host)
      },
    }
    this.#takeKept()
  }

  listen(listener: BackendListener): void {
    this.#listener = listener
    for (const group of this.#groups) group.tellAll(listener)
  }

  devices(): readonly DeviceFacts[] {
    return [...this.#devices.values()].map(({ facts }) => facts)
  }

  async attachDevice(
    device: string,
    session: SessionId,
    handOver?: HandOver,
    unused?: Target,
  ): Promise<NativeAttachment | undefined> {
    let known: Known
    try {
      known = await this.#reach(device)
    } catch (fault) {
      const { kernel, clock } = this.#options
      const fds = handOver === undefined ? [] : [handOver.cdev, handOver.iommufd]
      await atMost(clock, CLOSE_MS, closeApart(kernel, fds))
      throw fault
    }
    const attachment = await known.group.attach(known.host, session, handOver, unused)
    known.facts = known.group.device(device, session)?.facts ?? known.facts
    return attachment
  }

  async detachDevice(device: string, session: SessionId): Promise<void> {
    const { group } = await this.#reach(device)
    await group.detach(device, session)
  }

  async bind(request: BindRequest): Promise<number> {
    const { group } = await this.#reach(request.device)
    return group.bind(request)
  }

  async replace(request: BindRequest, old: Pick<Binding, 'table' | 'domain'>): Promise<number> {
    const { group } = await this.#reach(request.device)
    return group.replace(request, old)
  }

  async unbind(place: Place): Promise<void> {
    const { group } = await this.#reach(place.device)
    await group.unbind(place)
  }

  async invalidate(request: InvalidateRequest): Promise<void> {
    const { group } = await this.#reach(request.device)
    await group.invalidate(request)
  }

  async respond(answer: PageRequestAnswer): Promise<void> {
    const { group } = await this.#reach(answer.device)
    await group.respond(answer)
  }

  observe(): Promise<Observed> {
    const reason = this.#closed ? CLOSED : 'no ioctl lists what is attached'
    return Promise.resolve({ kind: 'UNKNOWN', reason })
  }

  /** DEGRADED while a device is stuck. */
  health(): BackendHealth {
    if (this.#closed) return { state: 'DEAD', reason: CLOSED }
    for (const { work } of this.#groups) {
      if (work.stuck !== undefined) return { state: 'DEGRADED', reason: work.stuck }
    }
    return { state: 'READY' }
  }

  /** What is attached stays attached, for a successor: see FdKeeper. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#groups].map((group) => group.close()))
  }

  #newGroup(name: string | undefined): Group {
    const { kernel, keeper, clock } = this.#options
    const group = new Group(name, {
      kernel,
      keeper,
      clock,
      listener: () => this.#listener,
      callsFor: (device, work, session) => this.#callsFor(device, work, session),
    })
    this.#groups.add(group)
    return group
  }

  #callsFor(device: string, watcher: Work, session: SessionId | undefined): DeviceCalls {
    const { kernel, clock, deadlineMs, threadsPerSession } = this.#options
    let threads = session && this.#threads.get(session)
    if (threads === undefined) {
      threads = new SessionThreads(kernel, session === undefined ? 1 : threadsPerSession)
      if (session !== undefined) this.#threads.set(session, threads)
    }
    return new DeviceCalls({ device, seat: threads.join(), clock, deadlineMs, watcher })
  }

  #held(device: string, session: SessionId) {
    return this.#devices.get(device)?.group.device(device, session)
  }

  async #drop(session: SessionId, granted: Parameters<HandOvers['drop']>[1]) {
    const groups = [...this.#groups]
    const uncertain = await Promise.all(groups.map((group) => group.drop(session, granted)))
    this.#threads.delete(session)
    return uncertain.flat()
  }

  #takeKept(): void {
    const { keeper, kernel } = this.#options
    const hosts = new Map([...this.#devices].map(([name, { host }]) => [name, host]))
    const { holdings, turnedAway, ...unclaimed } = takeKept({
      keeper,
      hosts,
      callsFor: (host, session) => {
        const { work } = this.#known(host.name).group
        return this.#callsFor(host.name, work, session)
      },
    })
    this.#turnedAway.push(...turnedAway)
    for (const kept of holdings) this.#adopt(kept)
    void closeUnclaimed(kernel, unclaimed)
  }

  #adopt({ holding, queue, waiting }: KeptHolding): void {
    const { kernel, keeper, clock } = this.#options
    const parts = { kernel, keeper, clock, listener: () => this.#listener }
    const { group } = this.#known(holding.lead.name)
    if (queue !== undefined) {
      holding.faults = faultQueueOf(parts, holding, queue)
      for (const each of waiting) holding.faults.adopt(each)
    }
    if (!group.adopt(holding)) {
      const { session, devices } = holding
      const why = 'other descriptors of its IOMMU group were kept too, and a group has one owner'
      for (const device of devices.keys()) this.#turnedAway.push({ device, session, why })
      return
    }
    holding.faults?.start()
    for (const { name, facts } of holding.devices.values()) this.#known(name).facts = facts
  }

  #known(name: string): Known {
    const known = this.#devices.get(name)
    assert(known !== undefined, `device ${name} is known`)
    return known
  }

  /** @throws BackendFault STOP */
  async #reach(name: string): Promise<Known> {
    if (this.#closed) throw new BackendFault(CLOSED, 'STOP')
    const known = this.#devices.get(name)
    if (known === undefined) throw new BackendFault(`there is no device ${name}`, 'STOP')
    return Promise.resolve(known)
  }
}
