/**
 * The emulator: a software IOMMU behind the backend's door. It checks and refuses; the work is
 * done by the programming of bindings, on the tables and caches of one remapping unit. Beside the
 * door it has what only a software IOMMU can have: translate as a device would, look into the
 * tables, raise page requests, order failures.
 *
 * What always holds: every effect is whole when its promise resolves, and after a RETRY or REFUSE
 * nothing has changed; what is bound is read back from the tables. Time is passed in: the gap of a
 * replace, injected slowness, resets. Made by daemon/ and tests; the broker sees the door only.
 */

/* eslint-disable @typescript-eslint/require-await --
   The door is asynchronous; `async` makes a rejection of every fault that is thrown. */

import { assert } from '../../core/assert.js'
import type { Binding } from '../../core/binding.js'
import type { DeviceFacts } from '../../core/device.js'
import type { SessionId, Target } from '../../core/ids.js'
import {
  BackendFault,
  type Backend,
  type BackendHealth,
  type BackendListener,
  type BindRequest,
  type InvalidateRequest,
  type MemoryFile,
  type Observed,
  type ObservedPlace,
  type PageRequestAnswer,
  type Place,
} from '../backend.js'
import type { Lab, LabAccess, LabFailure, LabOutcome, LabPageRequest, LabRaised } from '../lab.js'
import { AddressSpaces } from './address-space.js'
import { pasidOf, type DeviceState, type EmulatedDevice } from './device.js'
import { Devices } from './devices.js'
import { DomainIds } from './domain-ids.js'
import { dumpDevice, type DeviceDump, type DumpWindow } from './dump.js'
import { Effects } from './effects.js'
import { failureOf, type Effect, type InjectedFault } from './fault-plan.js'
import { FaultRecords, recordedFault } from './fault-records.js'
import { EmulatedGuestMemories } from './guest-memories.js'
import { EmulatedLab } from './lab.js'
import { LabQueue } from './lab-queue.js'
import { HostMemory, memoryFileOf, SparseMemory } from './memory.js'
import { OperationLog, OPERATIONS_KEPT_DEFAULT } from './operation-log.js'
import { PageRequestRouter } from './page-request-router.js'
import { domainOf } from './pasid-entry.js'
import { Programming, tableOf } from './programming.js'
import { NO_CLOCK, Resets, silenced, type EmulatorClock } from './reset.js'
import { IommuUnit, type Translation, type UnitFault } from './unit.js'
import { UNIT_DEFAULTS, type UnitOptions } from './unit-options.js'

export interface EmulatorOptions {
  readonly devices: readonly EmulatedDevice[]
  readonly unit?: Partial<UnitOptions>
  /** Operations that the log keeps. */
  readonly operationsKept?: number
  /** How long the gap of a replace lasts. Absent = until the next microtask. */
  readonly replaceGap?: () => Promise<void>
  /** Absent = nothing can be slow or be reset for a time, and faults have no date. */
  readonly clock?: EmulatorClock
  /** Faults that are kept. */
  readonly faultsKept?: number
}

export function createEmulator(options: EmulatorOptions): Emulator {
  return new Emulator(options)
}

export class Emulator implements Backend {
  readonly kind = 'emulator'
  readonly lab: Lab
  /** What was done to tables and caches; switch it on with `operations.on`. */
  readonly operations: OperationLog
  readonly guestMemory: EmulatedGuestMemories
  readonly handOvers = undefined
  /** Faults that the unit recorded. */
  readonly faults: FaultRecords
  readonly #unit: IommuUnit
  readonly #spaces: AddressSpaces
  readonly #domains = new DomainIds()
  readonly #programming: Programming
  readonly #devices: Devices
  readonly #effects: Effects
  #health: BackendHealth = { state: 'READY' }
  #closed = false
  #listener: BackendListener | undefined
  readonly #clock: EmulatorClock
  readonly #pageRequests: PageRequestRouter
  readonly #resets: Resets

  constructor(options: EmulatorOptions) {
    this.operations = new OperationLog(options.operationsKept ?? OPERATIONS_KEPT_DEFAULT)
    this.faults = new FaultRecords(options.faultsKept)
    this.#clock = options.clock ?? NO_CLOCK
    const pageRequests = new PageRequestRouter(this.operations)
    this.#pageRequests = pageRequests
    this.#resets = new Resets({
      clock: this.#clock,
      dropPageRequests: (device) => pageRequests.dropAll(device),
      told: (device, done) => this.#listener?.reset(device.name, done),
    })
    const unit = { ...UNIT_DEFAULTS, ...options.unit }
    const memory = new HostMemory(unit.hostAddressWidth)
    this.#unit = new IommuUnit({ memory, root: memory.allocate(1) }, unit, this.operations)
    this.#spaces = new AddressSpaces(memory)
    this.#devices = new Devices(this.#unit, memory, this.#spaces)
    this.#programming = new Programming(this.#unit, this.#domains, (device, target, group) => {
      pageRequests.drained(device, target, group)
    })
    this.guestMemory = new EmulatedGuestMemories({
      spaces: this.#spaces,
      unit: this.#unit,
      domains: this.#domains,
      devices: this.#devices,
    })
    this.#effects = new Effects({
      unit: this.#unit,
      devices: this.#devices,
      domains: this.#domains,
      programming: this.#programming,
      gap: options.replaceGap ?? (() => Promise.resolve()),
      setUpFault: (device) => {
        return this.#deadFault() ?? device.faults.take('replace', 'SET_UP', device.name)
      },
    })
    this.#unit.onFault = (fault) => this.#faulted(fault)
    this.lab = new EmulatedLab({
      emulator: this,
      unit: this.#unit,
      devices: this.#devices,
      domains: this.#domains,
      guestMemory: this.guestMemory,
      faults: this.faults,
      log: this.operations,
      queue: new LabQueue({
        unit: this.#unit,
        devices: this.#devices,
        programming: this.#programming,
        pageRequests,
      }),
    })
    for (const device of options.devices) this.addDevice(device)
  }

  listen(listener: BackendListener): void {
    this.#listener = listener
    this.#pageRequests.listen(listener)
  }

  devices(): readonly DeviceFacts[] {
    return this.#devices.all().map((device) => device.facts)
  }

  async attachDevice(name: string, session: SessionId): Promise<undefined> {
    return this.#carryOut('attachDevice', { device: name }, (device) => {
      if (device.entriesBy.has(session)) return
      if (!device.facts.shared && device.group.heldByOther(session)) {
        const { group } = device.facts
        const what = group === undefined ? name : `a device of ${name}'s group ${group}`
        throw new BackendFault(`${what} is attached to another session`, 'REFUSE')
      }
      this.#devices.attach(device, session)
    })
  }

  async detachDevice(name: string, session: SessionId): Promise<void> {
    await this.#carryOut('detachDevice', { device: name }, (device) => {
      const entries = device.entriesBy.get(session)
      if (entries === undefined) return
      if (entries > 0) {
        throw new BackendFault(`${name}: ${entries} bindings of the session stand`, 'REFUSE')
      }
      this.#devices.detach(device, session)
    })
  }

  async bind(request: BindRequest): Promise<undefined> {
    return this.#carryOut('bind', request, (device) => this.#effects.bind(device, request))
  }

  async replace(request: BindRequest, old: Pick<Binding, 'table' | 'domain'>): Promise<undefined> {
    return this.#carryOut('replace', request, (device) => {
      return this.#effects.replace(device, request, old)
    })
  }

  async unbind(place: Place): Promise<void> {
    await this.#carryOut('unbind', place, (device) => this.#effects.unbind(device, place))
  }

  async invalidate(request: InvalidateRequest): Promise<void> {
    await this.#carryOut('invalidate', request, (device) => {
      this.#effects.invalidate(device, request)
    })
  }

  async respond(answer: PageRequestAnswer): Promise<void> {
    const { device: name, target, group } = answer
    const meant = this.#reach(name).pageRequests.find(target, group)
    // Any time, also in the gap of a replace: without the target.
    await this.#carryOut('respond', { device: name }, (device) => {
      // While it was slow the group may have gone, and another come under its index.
      const isThere = device.pageRequests.find(target, group) === meant
      if (isThere && this.#pageRequests.respond(device, answer)) return
      const what = `no page request group ${group} of entry ${target} waits`
      throw new BackendFault(`${name}: ${what}`, 'REFUSE')
    })
  }

  async observe(): Promise<Observed> {
    if (this.#closed) return { kind: 'UNKNOWN', reason: 'the emulator is closed' }
    if (this.#health.state === 'DEAD') return { kind: 'UNKNOWN', reason: this.#health.reason }
    const places: ObservedPlace[] = []
    for (const device of this.#devices.all()) {
      const { name, table, group } = device
      table?.forEach(0, (pasid, page, at) => {
        const target = pasid as Target
        // An entry that is there for others of the group is no place of this device's.
        if (!group.isAttached(device, target, true)) return true
        const session = this.#domains.sessionOf(domainOf(page, at))
        places.push({ device: name, target, session, table: tableOf(page, at) })
        return true
      })
    }
    return { kind: 'KNOWN', places }
  }

  health(): BackendHealth {
    return this.#closed ? { state: 'DEAD', reason: 'the emulator is closed' } : this.#health
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#resets.stop()
    this.guestMemory.close()
  }

  // Beside the door: for the lab and for tests.

  addDevice(device: EmulatedDevice): DeviceFacts {
    return this.#devices.add(device).facts
  }

  /** All of the session's memory, from guest-physical 0 on; undefined takes it away. */
  setGuestMemory(session: SessionId, memory: MemoryFile | SparseMemory | undefined): void {
    this.guestMemory.drop(session)
    if (memory === undefined) return
    const file = memory instanceof SparseMemory ? memoryFileOf(memory) : memory
    this.guestMemory.map(
      session,
      { address: 0, bytes: file.bytes, offset: 0, readOnly: false },
      file,
    )
  }

  /** Host-physical, of a guest-physical address; undefined where no memory is mapped. */
  hostAddress(session: SessionId, address: number): number | undefined {
    return this.#spaces.find(session)?.hostAddress(address)
  }

  /** What the device's request would meet now; fills caches and sets accessed and dirty flags. */
  translate(device: string, access: Omit<LabAccess, 'device'>): Translation {
    const { target, ...rest } = access
    return this.#unit.translate(this.#devices.get(device), { pasid: pasidOf(target), ...rest })
  }

  cacheSizes(): ReturnType<IommuUnit['cacheSizes']> {
    return this.#unit.cacheSizes()
  }

  /** The device's remapping tables, from its context entry down. */
  dumpTables(device: string, window: DumpWindow): DeviceDump {
    return dumpDevice(this.#unit, this.#devices.get(device), window)
  }

  injectFault(device: string, fault: InjectedFault): void {
    this.inject(device, failureOf(fault))
  }

  /** @throws BackendFault REFUSE: slowness in an emulator without a clock */
  inject(device: string, failure: LabFailure): void {
    if (failure.kind === 'SLOW' && this.#clock === NO_CLOCK) this.#clock.after(0, () => undefined)
    this.#devices.get(device).faults.inject(failure)
  }

  clearFaults(device: string): void {
    this.#devices.get(device).faults.clear()
  }

  /** DEAD: every effect fails with STOP until it is READY or DEGRADED again. */
  setHealth(health: BackendHealth): void {
    this.#health = health
  }

  /** For `ms` milliseconds; answers how many page requests were dropped. See reset.ts. */
  reset(device: string, ms: number): number {
    return this.#resets.begin(this.#devices.get(device), ms)
  }

  /** What any access of the device comes to, and why, while nothing can leave it. */
  silenceOf(name: string): LabOutcome | undefined {
    const device = this.#devices.get(name)
    if (device.faults.dead) return silenced('DEVICE_DEAD')
    return this.#resets.isUnderWay(device) ? silenced('DEVICE_RESETTING') : undefined
  }

  /** @throws BackendFault REFUSE when the device has no page requests */
  raisePageRequest({ device: name, ...request }: LabPageRequest): LabRaised {
    const device = this.#devices.get(name)
    if (!device.facts.pageRequests) {
      throw new BackendFault(`${name} has no page requests`, 'REFUSE')
    }
    if (this.silenceOf(name) !== undefined) return { state: 'DROPPED' }
    const session = this.#programming.sessionAt(device, request.target)
    return this.#pageRequests.raise(device, request, session)
  }

  /** To the record, and to the session whose binding the request came through, if there is one. */
  #faulted(unitFault: UnitFault): void {
    const fault = recordedFault(unitFault)
    this.faults.record({ ...fault, at: this.#clock.wall() })
    const target = fault.target as Target
    const session = this.#programming.sessionAt(this.#devices.get(fault.device), target)
    if (session !== undefined) this.#listener?.fault({ ...fault, target, session })
  }

  /** An effect on the device, if nothing speaks against it as such; at once unless it is slow. */
  async #carryOut(
    effect: Effect,
    { device: name, target }: { readonly device: string; readonly target?: Target },
    run: (device: DeviceState) => void | Promise<void>,
  ): Promise<undefined> {
    const ms = this.#reach(name).faults.delay(effect)
    if (ms > 0) await new Promise<void>((resolve) => this.#clock.after(ms, resolve))
    const device = this.#reach(name)
    const gap = target !== undefined && device.group.replacing.has(target)
    assert(!gap, `effects on entry ${target} of ${name} come one after the other`)
    const fault = device.faults.take(effect, 'START', name)
    if (fault !== undefined) throw fault
    const binds = effect === 'bind' || effect === 'replace'
    if (binds && device.group.members.some((member) => this.#resets.isUnderWay(member))) {
      throw new BackendFault(`${name} is being reset`, 'RETRY')
    }
    const done = run(device)
    if (done !== undefined) await done
    return undefined
  }

  /** @throws BackendFault STOP */
  #reach(name: string): DeviceState {
    const dead = this.#deadFault()
    if (dead !== undefined) throw dead
    return this.#devices.get(name)
  }

  #deadFault(): BackendFault | undefined {
    const health = this.health()
    return health.state === 'DEAD' ? new BackendFault(health.reason, 'STOP') : undefined
  }
}
