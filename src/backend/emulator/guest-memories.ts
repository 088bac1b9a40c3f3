/**
 * The guest memory of all sessions, as the backend's door has it: ranges of guest-physical
 * addresses that lead into files which somebody handed over. What was cached of a range is
 * invalidated before its window goes: IOTLB and paging-structure caches of each of the session's
 * domains, then the device-TLBs that its bindings reach, whole, since what they keep has no domain
 * (Linux drivers/iommu/intel/cache.c: a change of the second stage under nested tables flushes all
 * of the domain, and all of the device-TLB). Made by the emulator.
 */

import { assert, present } from '../../core/assert.js'
import type { SessionId } from '../../core/ids.js'
import type { GuestMemories, MemoryFile, MemoryRange } from '../backend.js'
import type { AddressSpaces } from './address-space.js'
import type { Devices } from './devices.js'
import type { DomainIds } from './domain-ids.js'
import type { IommuUnit } from './unit.js'

export interface GuestMemoryParts {
  readonly spaces: AddressSpaces
  readonly unit: IommuUnit
  readonly domains: DomainIds
  readonly devices: Devices
}

export class EmulatedGuestMemories implements GuestMemories {
  readonly #parts: GuestMemoryParts
  readonly #spaces: AddressSpaces

  constructor(parts: GuestMemoryParts) {
    this.#parts = parts
    this.#spaces = parts.spaces
  }

  /** @throws BackendFault REFUSE: there is no room; the file is closed */
  map(session: SessionId, range: MemoryRange, file: MemoryFile): void {
    assert(range.offset + range.bytes <= file.bytes, 'a range is within its file')
    const space = this.#spaces.ensure(session)
    try {
      space.map(range, file)
    } finally {
      // Where the range was refused and nothing else needs it.
      this.#spaces.dropIfUnused(space)
    }
  }

  unmap(session: SessionId, range: Pick<MemoryRange, 'address' | 'bytes'>): void {
    const space = present(this.#spaces.find(session), 'the address space of a mapped range')
    space.unmap(range, () => this.#invalidate(session))
    this.#spaces.dropIfUnused(space)
  }

  ranges(session: SessionId): readonly MemoryRange[] {
    return this.#spaces.find(session)?.ranges ?? []
  }

  drop(session: SessionId): void {
    const space = this.#spaces.find(session)
    if (space === undefined) return
    space.unmapAll(() => this.#invalidate(session))
    this.#spaces.dropIfUnused(space)
  }

  /** Of every session: the end of the emulator. */
  close(): void {
    for (const session of this.#spaces.sessions()) this.drop(session)
  }

  /** A word of the session's memory, as its devices reach it; undefined where there is none. */
  read(session: SessionId, address: number): bigint | undefined {
    return this.#spaces.find(session)?.read(address)
  }

  /** False where there is none, or only to be read. */
  write(session: SessionId, address: number, value: bigint): boolean {
    return this.#spaces.find(session)?.write(address, value) ?? false
  }

  /** Each could be filled again from the one before it, hence the order. */
  #invalidate(session: SessionId): void {
    const { unit, domains, devices } = this.#parts
    const own = domains.ofSession(session)
    for (const domain of own) unit.invalidateIotlb(domain, undefined, false)
    for (const device of devices.all()) {
      // By binding it would be a look through the whole table, in one turn.
      const holds = device.group.members.some(({ entriesBy }) => (entriesBy.get(session) ?? 0) > 0)
      if (holds) unit.invalidateWholeDeviceTlb(device, undefined)
    }
  }
}
