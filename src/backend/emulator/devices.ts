/**
 * The devices behind the unit, by name and source id, and who has which attached: a device that
 * somebody has attached has a context entry and a PASID table, any other has neither, so all of its
 * requests fault. Called by the emulator only.
 */

import { assert, present } from '../../core/assert.js'
import { DEVICES_MAX, RID, type SessionId } from '../../core/ids.js'
import { BackendFault } from '../backend.js'
import type { AddressSpace } from './address-space.js'
import { clearContext, SOURCE_ID_LAST, writeContext } from './context-entry.js'
import { DeviceState, type EmulatedDevice } from './device.js'
import { PasidTable } from './pasid-table.js'
import type { IommuUnit } from './unit.js'

/** Bus 0 is the root complex's. */
const SOURCE_ID_FIRST = 0x100

export class Devices {
  readonly #unit: IommuUnit
  readonly #byName = new Map<string, DeviceState>()
  readonly #sourceIds = new Set<number>()

  constructor(unit: IommuUnit) {
    this.#unit = unit
  }

  all(): readonly DeviceState[] {
    return Array.from(this.#byName.values())
  }

  add(device: EmulatedDevice): void {
    assert(!this.#byName.has(device.name), `one device is named ${device.name}`)
    assert(this.#byName.size < DEVICES_MAX, `at most ${DEVICES_MAX} devices`)
    const sourceId = device.sourceId ?? this.#freeSourceId()
    assert(!this.#sourceIds.has(sourceId), `one device has source id ${sourceId}`)
    this.#byName.set(device.name, new DeviceState(device, sourceId))
    this.#sourceIds.add(sourceId)
  }

  /** @throws BackendFault STOP: a device that is not there is gone */
  get(name: string): DeviceState {
    const device = this.#byName.get(name)
    if (device === undefined) throw new BackendFault(`no device is named ${name}`, 'STOP')
    return device
  }

  /** The address space of a session that has the device attached; undefined if it has not. */
  findSpace(device: DeviceState, session: SessionId): AddressSpace | undefined {
    if (!device.entriesBy.has(session)) return undefined
    return present(this.#unit.spaces.find(session), 'the address space of an attached session')
  }

  /** The session does not have it attached yet. */
  attach(device: DeviceState, session: SessionId): void {
    if (device.table === undefined) this.#setUpContext(device)
    device.entriesBy.set(session, 0)
    this.#unit.spaces.ensure(session).attachments += 1
  }

  /** Pairs with attach(). The session has nothing bound there. */
  detach(device: DeviceState, session: SessionId): void {
    const space = present(this.findSpace(device, session), 'the space of a detached session')
    assert(device.entriesBy.get(session) === 0, `${device.name} is detached with nothing bound`)
    device.entriesBy.delete(session)
    space.attachments -= 1
    if (space.attachments === 0) this.#unit.spaces.drop(space)
    if (device.entriesBy.size === 0) this.#clearContext(device)
  }

  #setUpContext(device: DeviceState): void {
    const { memory, root, log } = this.#unit
    const { facts, sourceId } = device
    const table = new PasidTable(memory, facts.pasidBits)
    const entry = {
      deviceTlb: device.ats,
      pasids: facts.pasidBits > 0,
      pageRequests: facts.pageRequests,
      directory: table.directory,
      directorySize: table.directorySize,
      ridPasid: RID,
    }
    writeContext(memory, { root, sourceId }, entry)
    device.table = table
    if (log.on) log.record({ kind: 'WRITE_CONTEXT', device: device.name })
  }

  /** No context cache is modelled: the next request reads the entry again. */
  #clearContext(device: DeviceState): void {
    const { memory, root, log } = this.#unit
    clearContext(memory, root, device.sourceId)
    present(device.table, 'the table of an attached device').release()
    device.table = undefined
    device.tlb = undefined
    if (log.on) log.record({ kind: 'CLEAR_CONTEXT', device: device.name })
  }

  #freeSourceId(): number {
    // There are more source ids than devices, so one is free.
    let id = SOURCE_ID_FIRST
    while (this.#sourceIds.has(id)) id += 1
    assert(id <= SOURCE_ID_LAST, 'a source id is free')
    return id
  }
}
