/**
 * The laboratory's door, made of the emulator's parts: what each of them does is theirs, here is
 * only what it is called at the door. Made by the emulator.
 */

import { RID, type Target } from '../../core/ids.js'
import type { DeviceFacts } from '../../core/device.js'
import type { VtdDescriptor } from '../../uapi/vtd-descriptor.js'
import type { BackendHealth } from '../backend.js'
import type {
  Lab,
  LabAccess,
  LabDevice,
  LabDump,
  LabFailure,
  LabInvalidation,
  LabOutcome,
  LabPageRequest,
  LabRaised,
  LabState,
  LabSubmitted,
  LabSwitches,
  LabTranslation,
} from '../lab.js'
import type { DeviceState, EmulatedDevice } from './device.js'
import type { Devices } from './devices.js'
import type { DomainIds } from './domain-ids.js'
import { dumpDevice, dumpLines, entryBytes } from './dump.js'
import type { FaultRecords } from './fault-records.js'
import type { EmulatedGuestMemories } from './guest-memories.js'
import { PAGE_BYTES } from './memory.js'
import type { LabQueue } from './lab-queue.js'
import type { OperationLog } from './operation-log.js'
import type { NeededInvalidation } from './oracle.js'
import { registersOf } from './registers.js'
import type { Outcome } from './request-path.js'
import type { IommuUnit } from './unit.js'

/** What the emulator does at its door, for both of them. */
export interface LabEmulator {
  health(): BackendHealth
  setHealth(health: BackendHealth): void
  addDevice(device: EmulatedDevice): DeviceFacts
  reset(device: string, ms: number): number
  silenceOf(device: string): LabOutcome | undefined
  raisePageRequest(request: LabPageRequest): LabRaised
  inject(device: string, failure: LabFailure): void
}

export interface LabParts {
  readonly emulator: LabEmulator
  readonly unit: IommuUnit
  readonly devices: Devices
  readonly domains: DomainIds
  readonly guestMemory: EmulatedGuestMemories
  readonly faults: FaultRecords
  readonly log: OperationLog
  readonly queue: LabQueue
}

export class EmulatedLab implements Lab {
  readonly #parts: LabParts

  constructor(parts: LabParts) {
    this.#parts = parts
  }

  state(): LabState {
    const { unit, faults, emulator, queue } = this.#parts
    return {
      ...registersOf(unit.options),
      root: unit.root,
      caches: unit.cacheSizes(),
      switches: this.#switches(),
      health: emulator.health(),
      faults: faults.count,
      faultsLost: faults.lost,
      queueProblem: queue.problem,
    }
  }

  set({ cachingMode, eviction, operationLog }: Partial<LabSwitches>): LabSwitches {
    const { unit, log } = this.#parts
    if (cachingMode !== undefined) unit.setCachingMode(cachingMode)
    if (eviction !== undefined) unit.setEviction(eviction)
    if (operationLog !== undefined) log.on = operationLog
    return this.#switches()
  }

  #switches(): LabSwitches {
    const { unit, log } = this.#parts
    const { cachingMode, eviction } = unit.options
    return { cachingMode, eviction, operationLog: log.on }
  }

  flush(): void {
    this.#parts.unit.flushCaches()
  }

  submitDescriptors(...what: Parameters<Lab['submitDescriptors']>): LabSubmitted {
    return this.#parts.queue.submit(...what)
  }

  clearQueueError(): void {
    this.#parts.queue.clearError()
  }

  createDevice({ sourceId, ...device }: LabDevice): DeviceFacts {
    const { emulator } = this.#parts
    return emulator.addDevice(sourceId === undefined ? device : { ...device, sourceId })
  }

  removeDevice(device: string): void {
    this.#parts.devices.remove(device)
  }

  reset(device: string, ms: number): number {
    return this.#parts.emulator.reset(device, ms)
  }

  readMemory(...place: Parameters<Lab['readMemory']>): bigint | undefined {
    return this.#parts.guestMemory.read(...place)
  }

  writeMemory(...word: Parameters<Lab['writeMemory']>): boolean {
    return this.#parts.guestMemory.write(...word)
  }

  translate({ device: name, target, ...request }: LabAccess): LabTranslation {
    const { unit, devices, emulator } = this.#parts
    const device = devices.get(name)
    const silence = emulator.silenceOf(name)
    if (silence !== undefined) return { outcome: silence, source: 'TABLES', staleness: undefined }
    const access = { ...request, pasid: target === RID ? undefined : target }
    const { outcome, source, staleness } = unit.translate(device, access)
    return {
      outcome: outcomeOf(outcome),
      source,
      staleness: staleness && {
        tables: outcomeOf(staleness.tables),
        difference: staleness.difference,
        needed: staleness.needed.map((needed) => this.#invalidationOf(needed)),
      },
    }
  }

  #invalidationOf({ cache, descriptor }: NeededInvalidation): LabInvalidation {
    const tags = tagsOf(descriptor)
    const { sourceId } = tags
    const { devices } = this.#parts
    const device = sourceId === undefined ? undefined : devices.bySourceId(sourceId)
    return {
      cache,
      domain: tags.domain,
      pasid: tags.pasid,
      device: device?.name ?? '',
      block: tags.block,
    }
  }

  raisePageRequest(request: LabPageRequest): LabRaised {
    return this.#parts.emulator.raisePageRequest(request)
  }

  inject(device: string, failure: LabFailure): void {
    this.#parts.emulator.inject(device, failure)
  }

  clearFailures(device: string | undefined): void {
    const { devices, emulator } = this.#parts
    if (device !== undefined) return devices.get(device).faults.clear()
    for (const { faults } of devices.all()) faults.clear()
    emulator.setHealth({ state: 'READY' })
  }

  setHealth(health: BackendHealth): void {
    this.#parts.emulator.setHealth(health)
  }

  dump(name: string, { walk, ...window }: Parameters<Lab['dump']>[1]): LabDump {
    const { unit, devices } = this.#parts
    const device = devices.get(name)
    const dump = dumpDevice(unit, device, window)
    const entries = dump.entries.map((each) => {
      const session = this.#sessionOf(device, each)
      return { pasid: each.pasid, bytes: entryBytes(each), session }
    })
    return { lines: dumpLines(unit, dump, walk), entries, more: dump.more }
  }

  /** An entry that stands for the others of its group is no binding of this device's. */
  #sessionOf(
    device: DeviceState,
    { pasid, entry }: { readonly pasid: number; readonly entry: { readonly domain: number } },
  ) {
    if (!device.group.isAttached(device, pasid as Target, true)) return undefined
    return this.#parts.domains.sessionOf(entry.domain)
  }

  faults(...window: Parameters<Lab['faults']>): ReturnType<Lab['faults']> {
    return this.#parts.faults.list(...window)
  }

  watchFaults(listener: Parameters<Lab['watchFaults']>[0]): () => void {
    return this.#parts.faults.watch(listener)
  }

  operations(after: number, count: number): ReturnType<Lab['operations']> {
    return this.#parts.log.window(after, count)
  }
}

function outcomeOf(outcome: Outcome): LabOutcome {
  if (outcome.kind === 'TRANSLATED') {
    const { address, order } = outcome
    return { kind: 'TRANSLATED', address, pageSize: 2 ** order * PAGE_BYTES }
  }
  const { code, fault, recorded } = outcome
  return { kind: 'FAULT', reason: code, name: fault, recorded }
}

interface Tags extends Pick<LabInvalidation, 'domain' | 'pasid' | 'block'> {
  readonly sourceId: number | undefined
}

function tagsOf(descriptor: VtdDescriptor): Tags {
  const tags = {
    domain: 'domain' in descriptor ? descriptor.domain : 0,
    pasid: 'pasid' in descriptor ? (descriptor.pasid ?? RID) : RID,
    sourceId: 'sourceId' in descriptor ? descriptor.sourceId : undefined,
  }
  const block = 'block' in descriptor ? descriptor.block : undefined
  if (block === undefined) return { ...tags, block }
  const bytes = 1n << BigInt(block.order + 12)
  return { ...tags, block: { address: block.address, bytes } }
}
