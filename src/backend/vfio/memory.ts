/**
 * What is remembered of one holding, and its descriptors, in the keeper's hands. Written before an
 * id stops being ours, and after it became ours: what the daemon knows after a kill is never more
 * than what is true of ids, and never less than what may be attached. A memory that cannot be
 * written is given up whole, with all that was kept: then nothing outlives the daemon.
 */

import fs from 'node:fs'
import type { HandedFd } from '../backend.js'
import { encodeRecord, RECORD_BYTES, type MemoryRecord } from './records.js'
import type { FdKeeper } from './ports.js'

/**
 * Names in the keeper: `vfio.{session}.{device}.{what}`; of a holding's own, by its first device.
 */
export type KeptWhat = 'iommufd' | 'cdev' | 'fault' | 'memory'

export function keptName(session: number, device: string, what: KeptWhat): string {
  return `vfio.${session}.${device}.${what}`
}

/** What is put first. */
const HEADER_INDEX = 0

export class Memory {
  readonly #keeper: FdKeeper
  /** Undefined: given up, or ended. */
  #fd: HandedFd | undefined
  readonly #names = new Set<string>()
  /** Index by key. */
  readonly #indices = new Map<string, number>()
  readonly #free: number[] = []
  #end = 0

  private constructor(keeper: FdKeeper, fd: HandedFd) {
    this.#keeper = keeper
    this.#fd = fd
  }

  /** `name`: as keptName(). The first record is the header. */
  static create(keeper: FdKeeper, name: string, header: MemoryRecord): Memory {
    const memory = new Memory(keeper, keeper.createMemory(name))
    memory.put('header', header)
    const fd = memory.#fd
    if (fd !== undefined) memory.keep(name, fd)
    return memory
  }

  /** One that an earlier life left; `indices`: where what is under which key. */
  static adopt(
    keeper: FdKeeper,
    fd: HandedFd,
    kept: {
      readonly names: readonly string[]
      readonly indices: ReadonlyMap<string, number>
      /** Records that there are. */
      readonly count: number
    },
  ): Memory {
    const memory = new Memory(keeper, fd)
    for (const name of kept.names) memory.#names.add(name)
    for (const [key, index] of kept.indices) memory.#indices.set(key, index)
    const used = new Set(kept.indices.values())
    for (let i = 0; i < kept.count; i += 1) if (!used.has(i)) memory.#free.push(i)
    memory.#end = kept.count
    return memory
  }

  /** A descriptor that outlives the daemon from now on. */
  keep(name: string, fd: HandedFd): void {
    if (this.#fd === undefined) return
    this.#keeper.keep(name, fd)
    this.#names.add(name)
  }

  /** Pairs with keep(). */
  drop(name: string): void {
    if (this.#names.delete(name)) this.#keeper.drop(name)
  }

  /** Answers the record's index; a key that is known keeps its own. */
  put(key: string, record: MemoryRecord): number {
    const index = this.#indices.get(key) ?? this.#free.pop() ?? this.#end
    this.#end = Math.max(this.#end, index + 1)
    this.#indices.set(key, index)
    this.#write(index, encodeRecord(record))
    return index
  }

  /** Undefined: nothing is known under the key. */
  indexOf(key: string): number | undefined {
    return this.#indices.get(key)
  }

  /** Pairs with put(). Repeatable. */
  forget(key: string): void {
    const index = this.#indices.get(key)
    if (index === undefined) return
    this.#indices.delete(key)
    this.#free.push(index)
    this.#write(index, encodeRecord(undefined))
  }

  /**
   * Nothing is remembered or kept any more: also where a keeper has what is dropped still, a later
   * life finds no header, and believes none of it. Repeatable.
   */
  end(): void {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined) blank(fd)
    for (const name of this.#names) this.#keeper.drop(name)
    this.#names.clear()
    fd?.close()
  }

  /** The daemon ends: what is kept stays. */
  leave(): void {
    const fd = this.#fd
    this.#fd = undefined
    fd?.close()
  }

  #write(index: number, bytes: Uint8Array): void {
    if (this.#fd === undefined) return
    try {
      write(this.#fd, index, bytes)
    } catch {
      // No memory for it. Half of what is true would be worse than nothing.
      this.end()
    }
  }
}

function write({ number }: HandedFd, index: number, bytes: Uint8Array): void {
  fs.writeSync(number, bytes, 0, RECORD_BYTES, index * RECORD_BYTES)
}

function blank(fd: HandedFd): void {
  try {
    write(fd, HEADER_INDEX, encodeRecord(undefined))
  } catch {
    // It was written before, so there is room: only of a file that is none can this be said.
  }
}
