/**
 * The devices behind the unit, by name, source id and group, and who has which attached. When the
 * first device of a group is attached, every device of the group gets its context entry and PASID
 * table; when the last one is let go they are gone, and then all requests fault.
 * Called by the emulator only.
 */

import { assert, present } from '../../core/assert.js'
import { DEVICES_MAX, RID, type SessionId } from '../../core/ids.js'
import { BackendFault } from '../backend.js'
import type { AddressSpace, AddressSpaces } from './address-space.js'
import { clearContext, SOURCE_ID_LAST, writeContext } from './context-entry.js'
import { DeviceState, type EmulatedDevice } from './device.js'
import { DeviceGroup } from './group.js'
import type { HostMemory } from './memory.js'
import { PasidTable } from './pasid-table.js'
import { registersBefore } from './platforms.js'
import type { IommuUnit } from './unit.js'

/** Bus 0 is the root complex's. */
const SOURCE_ID_FIRST = 0x100

export class Devices {
  readonly #unit: IommuUnit
  readonly #memory: HostMemory
  readonly #spaces: AddressSpaces
  readonly #byName = new Map<string, DeviceState>()
  readonly #sourceIds = new Set<number>()
  /** Those that have a name. */
  readonly #groups = new Map<string, DeviceGroup<DeviceState>>()

  constructor(unit: IommuUnit, memory: HostMemory, spaces: AddressSpaces) {
    this.#unit = unit
    this.#memory = memory
    this.#spaces = spaces
  }

  all(): readonly DeviceState[] {
    return Array.from(this.#byName.values())
  }

  /** @throws BackendFault REFUSE: the name or source id is taken, the group in use, no room */
  add(device: EmulatedDevice): DeviceState {
    const { name } = device
    if (this.#byName.has(name)) throw new BackendFault(`a device is named ${name}`, 'REFUSE')
    if (this.#byName.size >= DEVICES_MAX) {
      throw new BackendFault(`there are ${DEVICES_MAX} devices, the most there can be`, 'REFUSE')
    }
    const sourceId = device.sourceId ?? this.#freeSourceId()
    if (this.#sourceIds.has(sourceId)) {
      throw new BackendFault(`a device has source id 0x${sourceId.toString(16)}`, 'REFUSE')
    }
    const group = this.#groupFor(device)
    const registers = device.registers ?? registersBefore(device, this.#unit.options)
    const added = new DeviceState({ ...device, registers }, sourceId, group)
    group.join(added)
    if (group.name !== undefined) this.#groups.set(group.name, group)
    this.#byName.set(name, added)
    this.#sourceIds.add(sourceId)
    return added
  }

  /** Pairs with add(): nobody has it attached. */
  remove(name: string): void {
    const device = this.get(name)
    assert(device.entriesBy.size === 0, `${name} is removed while nobody has it`)
    const { group } = device
    group.leave(device)
    if (group.name !== undefined && group.members.length === 0) this.#groups.delete(group.name)
    this.#byName.delete(name)
    this.#sourceIds.delete(device.sourceId)
  }

  /** @throws BackendFault STOP: a device that is not there is gone */
  get(name: string): DeviceState {
    const device = this.#byName.get(name)
    if (device === undefined) throw new BackendFault(`no device is named ${name}`, 'STOP')
    return device
  }

  /** Undefined: there is no such device. */
  bySourceId(sourceId: number): DeviceState | undefined {
    return this.all().find((device) => device.sourceId === sourceId)
  }

  /** The address space of a session that has the device attached; undefined if it has not. */
  findSpace(device: DeviceState, session: SessionId): AddressSpace | undefined {
    if (!device.entriesBy.has(session)) return undefined
    return present(this.#spaces.find(session), 'the address space of an attached session')
  }

  /** The session does not have it attached yet, and may. */
  attach(device: DeviceState, session: SessionId): void {
    const { group } = device
    if (!group.inUse()) for (const member of group.members) this.#setUpContext(member)
    device.entriesBy.set(session, 0)
    this.#spaces.ensure(session).attachments += 1
  }

  /** Pairs with attach(). The session has nothing attached through it. */
  detach(device: DeviceState, session: SessionId): void {
    const { group } = device
    const space = present(this.findSpace(device, session), 'the space of a detached session')
    assert(device.entriesBy.get(session) === 0, `${device.name} is detached with nothing bound`)
    device.entriesBy.delete(session)
    if (!group.inUse()) for (const member of group.members) this.#clearContext(member)
    space.attachments -= 1
    this.#spaces.dropIfUnused(space)
  }

  #groupFor({ name, group, shared }: EmulatedDevice): DeviceGroup<DeviceState> {
    if (group === undefined) return new DeviceGroup<DeviceState>(undefined)
    // Whoever shares a mediated device trusts its parent driver, not the group.
    if (shared) throw new BackendFault(`${name} is shared: it is a group of its own`, 'REFUSE')
    const known = this.#groups.get(group)
    if (known?.inUse() !== true) return known ?? new DeviceGroup<DeviceState>(group)
    throw new BackendFault(
      `group ${group} of ${name} is in use; close its sessions first`,
      'REFUSE',
    )
  }

  #setUpContext(device: DeviceState): void {
    const { root, log, options } = this.#unit
    const { facts, sourceId } = device
    const table = new PasidTable(this.#memory, facts.pasidBits)
    const entry = {
      faultsDisabled: false,
      deviceTlb: device.ats,
      pasids: facts.pasidBits > 0,
      pageRequests: facts.pageRequests,
      directory: table.directory,
      directorySize: table.directorySize,
      ridPasid: RID,
      ridPrivileged: false,
    }
    writeContext(this.#memory, { root, sourceId }, entry)
    device.table = table
    if (log.on) log.record({ kind: 'WRITE_CONTEXT', device: device.name })
    // That nothing was there may be cached (VT-d 6.1).
    if (options.cachingMode) this.#unit.invalidateContext('DEVICE', sourceId, 0)
  }

  /** Nothing is bound any more, so nothing else is cached of the device: teardowns saw to it. */
  #clearContext(device: DeviceState): void {
    const { root, log } = this.#unit
    clearContext(this.#memory, root, device.sourceId)
    if (log.on) log.record({ kind: 'CLEAR_CONTEXT', device: device.name })
    this.#unit.invalidateContext('DEVICE', device.sourceId, 0)
    present(device.table, 'the table of an attached device').release()
    device.table = undefined
    device.tlb = undefined
  }

  #freeSourceId(): number {
    // There are more source ids than devices, so one is free.
    let id = SOURCE_ID_FIRST
    while (this.#sourceIds.has(id)) id += 1
    assert(id <= SOURCE_ID_LAST, 'a source id is free')
    return id
  }
}
