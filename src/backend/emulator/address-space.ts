/**
 * Where a session's guest-physical addresses lead: its second stage, and the ranges of memory
 * that it maps. An entry's SLPTPTR names the space by the address of its top-level table.
 *
 * What always holds: the second stage maps exactly the ranges, each to a window of its own on the
 * file that was handed over; a space is there while the session has a device attached or memory
 * mapped, and its root stays the same meanwhile. With nothing mapped, every guest access faults.
 * Made and dropped through devices (attachments) and guest memories (ranges).
 */

import { assert } from '../../core/assert.js'
import type { SessionId } from '../../core/ids.js'
import { BackendFault, type MemoryFile, type MemoryRange } from '../backend.js'
import type { HostMemory } from './memory.js'
import type { SecondStageWidth } from './pasid-entry.js'
import { SecondStageTable } from './second-stage-table.js'

/** Four levels: what the recorded host uses. */
export const SECOND_STAGE_WIDTH: SecondStageWidth = 48
const GIB = 2 ** 30
const WRITE_ATTEMPTS = 16

interface Mapped extends MemoryRange {
  readonly file: MemoryFile
  /** Host-physical. */
  readonly window: number
}

export class AddressSpace {
  readonly session: SessionId
  readonly width = SECOND_STAGE_WIDTH
  /** Attachments of the session. */
  attachments = 0
  readonly #memory: HostMemory
  readonly #table: SecondStageTable
  /** By guest-physical address. */
  #mapped: readonly Mapped[] = []

  constructor(session: SessionId, memory: HostMemory) {
    this.session = session
    this.#memory = memory
    this.#table = new SecondStageTable(memory)
  }

  /** SLPTPTR. */
  get root(): number {
    return this.#table.root
  }

  get ranges(): readonly MemoryRange[] {
    return this.#mapped.map(({ address, bytes, offset, readOnly }) => {
      return { address, bytes, offset, readOnly }
    })
  }

  /** The file is the space's from then on. @throws BackendFault REFUSE, and the file is closed */
  map(range: MemoryRange, file: MemoryFile): void {
    const { address, bytes, readOnly } = range
    const end = address + bytes
    const free = this.#mapped.every((each) => end <= each.address || address >= last(each))
    assert(free, 'ranges of one session never overlap')
    const place = { bytes, file, offset: range.offset, readOnly, phase: address % GIB }
    const window = this.#memory.windows.add(place)
    if (window === undefined) {
      file.close()
      const problem = `no ${bytes} host-physical addresses in a row are free`
      throw new BackendFault(`${problem}; map less, or unmap memory`, 'REFUSE')
    }
    this.#table.map({ address, bytes, host: window, writable: !readOnly })
    const mapped = { ...range, file, window }
    this.#mapped = [...this.#mapped, mapped].sort((a, b) => a.address - b.address)
  }

  /** Takes the range out of the table, calls `invalidate`, and then lets go of what it led to. */
  unmap({ address, bytes }: Pick<MemoryRange, 'address' | 'bytes'>, invalidate: () => void): void {
    const found = this.#mapped.find((each) => each.address === address)
    assert(found?.bytes === bytes, 'what is unmapped was mapped, whole')
    this.#cut([found], invalidate)
  }

  /** As unmap(), of all ranges with one invalidation: it takes its time. */
  unmapAll(invalidate: () => void): void {
    if (this.#mapped.length > 0) this.#cut(this.#mapped, invalidate)
  }

  #cut(gone: readonly Mapped[], invalidate: () => void): void {
    this.#mapped = this.#mapped.filter((each) => !gone.includes(each))
    const cut = gone.flatMap((each) => this.#table.unmap(each))
    invalidate()
    this.#table.release(cut)
    for (const { window, file } of gone) {
      this.#memory.windows.remove(window)
      file.close()
    }
  }

  /** Host-physical; undefined where no memory is mapped. By the ranges, not by the tables. */
  hostAddress(address: number): number | undefined {
    const found = this.#mapped.find((each) => address >= each.address && address < last(each))
    return found === undefined ? undefined : found.window + (address - found.address)
  }

  read(address: number): bigint | undefined {
    const host = this.hostAddress(address)
    return host === undefined ? undefined : this.#memory.read(host)
  }

  /** False where no memory is mapped, or only to be read. */
  write(address: number, value: bigint): boolean {
    const host = this.hostAddress(address)
    if (host === undefined) return false
    // Somebody may write the same word; then what is there is read again.
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
      const before = this.#memory.read(host)
      if (before === undefined) return false
      if (this.#memory.exchange(host, before, value)) return true
    }
    return false
  }

  /** Nothing is mapped, and no entry and no cache names the space. */
  destroy(): void {
    assert(this.attachments === 0 && this.#mapped.length === 0, 'a destroyed space is unused')
    this.#table.destroy()
  }
}

function last({ address, bytes }: MemoryRange): number {
  return address + bytes
}

export class AddressSpaces {
  readonly #memory: HostMemory
  readonly #bySession = new Map<SessionId, AddressSpace>()

  constructor(memory: HostMemory) {
    this.#memory = memory
  }

  sessions(): readonly SessionId[] {
    return [...this.#bySession.keys()]
  }

  find(session: SessionId): AddressSpace | undefined {
    return this.#bySession.get(session)
  }

  ensure(session: SessionId): AddressSpace {
    const known = this.#bySession.get(session)
    if (known !== undefined) return known
    const space = new AddressSpace(session, this.#memory)
    this.#bySession.set(session, space)
    return space
  }

  /** Pairs with ensure(): after an attachment or a range of the session is gone. */
  dropIfUnused(space: AddressSpace): void {
    if (space.attachments > 0 || space.ranges.length > 0) return
    space.destroy()
    this.#bySession.delete(space.session)
  }
}
