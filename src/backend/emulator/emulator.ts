/**
 * The emulator: a software IOMMU behind the backend's door. It checks and refuses; the work is
 * done by the programming of bindings, on the tables and caches of one remapping unit. Beside the
 * door it has what only a software IOMMU can have: translate as a device would, look into the
 * tables, raise page requests, order failures.
 *
 * What always holds: every effect is whole when its promise resolves, and after a RETRY or REFUSE
 * nothing has changed; what is bound is read back from the tables. No clock: the one wait, the gap
 * of a replace, is passed in. Made by daemon/ and tests; the broker sees the door only.
 */

/* eslint-disable @typescript-eslint/require-await --
   The door is asynchronous; `async` makes a rejection of every fault that is thrown. */

import { assert, present } from '../../core/assert.js'
import type { Binding } from '../../core/binding.js'
import type { DeviceFacts } from '../../core/device.js'
import { RID, type SessionId, type Target } from '../../core/ids.js'
import {
  BackendFault,
  type Backend,
  type BackendHealth,
  type BindRequest,
  type InvalidateRequest,
  type Observed,
  type ObservedPlace,
  type PageRequestAnswer,
  type Place,
} from '../backend.js'
import type { AddressSpace } from './address-space.js'
import { unsupported, type DeviceState, type EmulatedDevice } from './device.js'
import { Devices } from './devices.js'
import { DomainIds } from './domain-ids.js'
import { dumpDevice, type DeviceDump, type DumpWindow } from './dump.js'
import type { Effect, InjectedFault } from './fault-plan.js'
import type { GuestMemory } from './memory.js'
import { OperationLog, OPERATIONS_KEPT_DEFAULT } from './operation-log.js'
import type { PageRequest, PageRequestGroup, Raised } from './page-requests.js'
import { entryOffset } from './pasid-table.js'
import { domainOf } from './pasid-entry.js'
import { Programming, tableOf, type Programmed } from './programming.js'
import {
  ADDRESS_MASK_DEFAULT,
  blockOfRange,
  DEVICE_TLB_ENTRIES_DEFAULT,
  IommuUnit,
  IOTLB_ENTRIES_DEFAULT,
  type Access,
  type Translation,
  type UnitOptions,
} from './unit.js'

export interface EmulatorOptions {
  readonly devices: readonly EmulatedDevice[]
  readonly unit?: Partial<UnitOptions>
  /** Operations that the log keeps. */
  readonly operationsKept?: number
  /** How long the gap of a replace lasts. Absent = until the next microtask. */
  readonly replaceGap?: () => Promise<void>
}

export function createEmulator(options: EmulatorOptions): Emulator {
  return new Emulator(options)
}

export class Emulator implements Backend {
  readonly kind = 'emulator'
  /** What was done to tables and caches; switch it on with `operations.on`. */
  readonly operations: OperationLog
  readonly #unit: IommuUnit
  readonly #domains = new DomainIds()
  readonly #programming: Programming
  readonly #devices: Devices
  readonly #replaceGap: () => Promise<void>
  #health: BackendHealth = { state: 'READY' }
  #closed = false
  #onPageRequest: ((group: PageRequestGroup) => void) | undefined
  #onPageResponse: ((answer: PageRequestAnswer) => void) | undefined

  constructor(options: EmulatorOptions) {
    this.operations = new OperationLog(options.operationsKept ?? OPERATIONS_KEPT_DEFAULT)
    const unit = {
      iotlbEntries: IOTLB_ENTRIES_DEFAULT,
      deviceTlbEntries: DEVICE_TLB_ENTRIES_DEFAULT,
      addressMask: ADDRESS_MASK_DEFAULT,
      leaf1G: true,
      ...options.unit,
    }
    this.#unit = new IommuUnit(unit, this.operations)
    this.#devices = new Devices(this.#unit)
    this.#programming = new Programming(this.#unit, this.#domains, (device, target, group) => {
      this.#answered({ device: device.name, target, group, code: 'INVALID' })
    })
    this.#replaceGap = options.replaceGap ?? (() => Promise.resolve())
    for (const device of options.devices) this.addDevice(device)
  }

  devices(): readonly DeviceFacts[] {
    return this.#devices.all().map((device) => device.facts)
  }

  async attachDevice(name: string, session: SessionId): Promise<void> {
    const device = this.#enter('attachDevice', name)
    if (device.entriesBy.has(session)) return
    if (!device.facts.shared && device.entriesBy.size > 0) {
      throw new BackendFault(`${name} is attached to another session`, 'REFUSE')
    }
    this.#devices.attach(device, session)
  }

  async detachDevice(name: string, session: SessionId): Promise<void> {
    const device = this.#enter('detachDevice', name)
    const entries = device.entriesBy.get(session)
    if (entries === undefined) return
    if (entries > 0) {
      throw new BackendFault(`${name}: ${entries} bindings of the session stand`, 'REFUSE')
    }
    this.#devices.detach(device, session)
  }

  async bind(request: BindRequest): Promise<void> {
    const { target, session, table } = request
    const device = this.#enter('bind', request.device, target)
    const space = this.#checkBind(device, request)
    const standing = this.#programming.standing(device, target, session)
    if (standing !== 'NOTHING') {
      const what = { table, domain: request.domain, space }
      if (standing === 'OWN' && this.#programming.stands(device, target, what)) return
      // intel_pasid_setup_nested: EBUSY.
      throw new BackendFault(`${device.name}: entry ${target} is present`, 'REFUSE')
    }
    const domain = this.#acquireDomain(request)
    this.#programming.setUp(device, target, { table, domain, space })
  }

  async replace(request: BindRequest, old: Pick<Binding, 'table' | 'domain'>): Promise<void> {
    const { target, session, table } = request
    const device = this.#enter('replace', request.device, target)
    const space = this.#checkBind(device, request)
    const programming = this.#programming
    const standing = programming.standing(device, target, session)
    if (standing === 'FOREIGN') {
      throw new BackendFault(`${device.name}: entry ${target} is another's`, 'REFUSE')
    }
    if (standing === 'OWN') {
      if (programming.stands(device, target, { ...request, space })) return
      if (!programming.stands(device, target, { ...old, space })) {
        throw new BackendFault(`${device.name}: entry ${target} holds neither table`, 'REFUSE')
      }
    }
    // Before anything is touched: afterwards there must be nothing left that could be refused.
    const domain = this.#acquireDomain(request)
    const after = { table, domain, space }
    if (standing === 'NOTHING') {
      // A repeated replace whose first half was done already.
      programming.setUp(device, target, after)
    } else if (device.facts.hitlessReplace) {
      this.#domains.release(programming.rewrite(device, target, after))
    } else {
      const before = programming.tearDown(device, target, session)
      await this.#setUpAfterGap(device, request, after, { table: old.table, domain: before, space })
    }
  }

  async unbind(place: Place): Promise<void> {
    const { target, session } = place
    const device = this.#enter('unbind', place.device, target)
    // What another session has there is none of this session's business, and stays.
    if (this.#programming.standing(device, target, session) !== 'OWN') return
    this.#domains.release(this.#programming.tearDown(device, target, session))
  }

  async invalidate(request: InvalidateRequest): Promise<void> {
    const { target, session, caches, range } = request
    const device = this.#enter('invalidate', request.device, target)
    const block = range === undefined ? undefined : blockOfRange(range)
    // Nothing is cached for a place that is not bound: its teardown saw to that.
    if (this.#programming.standing(device, target, session) !== 'OWN') return
    const page = present(device.table?.findPage(target), 'the page of a present entry')
    const entry = { page, at: entryOffset(target) }
    // In the order of the hardware's rule, whatever the order of the list: each of these caches
    // can be filled again from the one before it.
    if (caches.includes('PASID_CACHE')) this.#programming.flushPasidCache(target, entry)
    if (caches.includes('IOTLB')) {
      const leaf = range?.leaf === true
      this.#programming.flushIotlb(target, entry, { whole: false, block, leaf })
    }
    if (caches.includes('DEVICE_TLB')) this.#unit.invalidateDeviceTlb(device, target, block)
  }

  async respond(answer: PageRequestAnswer): Promise<void> {
    const device = this.#enter('respond', answer.device, answer.target)
    if (!device.pageRequests.answer(answer.target, answer.group)) {
      const group = `group ${answer.group} of entry ${answer.target}`
      throw new BackendFault(`${device.name}: no page request ${group} waits`, 'REFUSE')
    }
    this.#answered(answer)
  }

  async observe(): Promise<Observed> {
    if (this.#closed) return { kind: 'UNKNOWN', reason: 'the emulator is closed' }
    if (this.#health.state === 'DEAD') return { kind: 'UNKNOWN', reason: this.#health.reason }
    const places: ObservedPlace[] = []
    for (const { name, table } of this.#devices.all()) {
      table?.forEach(0, (pasid, page, at) => {
        const target = pasid as ObservedPlace['target']
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
  }

  // Beside the door: for the lab and for tests.

  addDevice(device: EmulatedDevice): void {
    this.#devices.add(device)
  }

  /** From when on the session's tables can be read; undefined takes the memory away. */
  setGuestMemory(session: SessionId, memory: GuestMemory | undefined): void {
    this.#unit.spaces.ensure(session).memory = memory
  }

  /** What the device's request would meet now; fills caches and sets accessed and dirty flags. */
  translate(device: string, access: Access): Translation {
    return this.#unit.translate(this.#devices.get(device), access)
  }

  cacheSizes(device: string): ReturnType<IommuUnit['cacheSizes']> {
    return this.#unit.cacheSizes(this.#devices.get(device))
  }

  /** The device's remapping tables, from its context entry down. */
  dumpTables(device: string, window: DumpWindow): DeviceDump {
    return dumpDevice(this.#unit, this.#devices.get(device), window)
  }

  injectFault(device: string, fault: InjectedFault): void {
    this.#devices.get(device).faults.inject(fault)
  }

  clearFaults(device: string): void {
    this.#devices.get(device).faults.clear()
  }

  /** DEAD: every effect fails with STOP until it is READY or DEGRADED again. */
  setHealth(health: BackendHealth): void {
    this.#health = health
  }

  /** A complete group of page requests; one listener, the last that was given. */
  onPageRequest(listener: ((group: PageRequestGroup) => void) | undefined): void {
    this.#onPageRequest = listener
  }

  /** What the device is answered, by respond() or by a drain. */
  onPageResponse(listener: ((answer: PageRequestAnswer) => void) | undefined): void {
    this.#onPageResponse = listener
  }

  /** @throws BackendFault REFUSE when the device has no page requests */
  raisePageRequest(request: PageRequest): Raised {
    const device = this.#devices.get(request.device)
    const { target, group } = request
    if (!device.facts.pageRequests) {
      throw new BackendFault(`${device.name} has no page requests`, 'REFUSE')
    }
    const raised = device.pageRequests.raise(request, this.#programming.isPresent(device, target))
    if (raised === 'COMPLETE') {
      const requests = present(device.pageRequests.find(target, group), 'a complete group')
      this.#onPageRequest?.({ device: device.name, target, group, requests })
    } else if (raised === 'INVALID' || raised === 'SUCCESS' || raised === 'FAILURE') {
      this.#answered({ device: device.name, target, group, code: raised })
    }
    return raised
  }

  #answered(answer: PageRequestAnswer): void {
    const { operations } = this
    if (operations.on) operations.record({ kind: 'PAGE_GROUP_RESPONSE', ...answer })
    this.#onPageResponse?.(answer)
  }

  /** The device of an effect, if nothing speaks against the effect as such. */
  #enter(effect: Effect, name: string, target?: Target): DeviceState {
    const dead = this.#deadFault()
    if (dead !== undefined) throw dead
    const device = this.#devices.get(name)
    const gap = target !== undefined && device.replacing.has(target)
    assert(!gap, `effects on entry ${target} of ${name} come one after the other`)
    const fault = device.faults.take(effect, 'START', name)
    if (fault !== undefined) throw fault
    return device
  }

  #deadFault(): BackendFault | undefined {
    const health = this.health()
    return health.state === 'DEAD' ? new BackendFault(health.reason, 'STOP') : undefined
  }

  /** Checked before anything is touched; the core refuses all of this before it comes here. */
  #checkBind(device: DeviceState, request: BindRequest): AddressSpace {
    const { facts } = device
    const { target, table } = request
    const space = this.#devices.findSpace(device, request.session)
    const wide = target !== RID && target >= 2 ** facts.pasidBits
    const why = wide ? `PASID ${target} is too wide` : unsupported(facts, table)
    if (space !== undefined && why === undefined) return space
    throw new BackendFault(`${device.name}: ${why ?? 'not attached to the session'}`, 'REFUSE')
  }

  /** @throws BackendFault REFUSE when none is left */
  #acquireDomain(request: BindRequest): number {
    const domain = this.#domains.acquire(request.session, request.domain)
    if (domain !== undefined) return domain
    throw new BackendFault('all hardware domain ids are in use', 'REFUSE')
  }

  /** The second half of a replace. The old DID is kept until the new table stands. */
  async #setUpAfterGap(
    device: DeviceState,
    request: BindRequest,
    after: Programmed,
    before: Programmed,
  ): Promise<void> {
    const { target } = request
    device.replacing.add(target)
    try {
      await this.#replaceGap()
    } finally {
      device.replacing.delete(target)
    }
    const fault = this.#deadFault() ?? device.faults.take('replace', 'SET_UP', device.name)
    if (fault === undefined) {
      this.#programming.setUp(device, target, after)
      this.#domains.release(before.domain)
      return
    }
    this.#domains.release(after.domain)
    if (fault.kind === 'STOP') this.#domains.release(before.domain)
    else this.#programming.setUp(device, target, before)
    throw fault
  }
}
