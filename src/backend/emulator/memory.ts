/**
 * Physical memory. The host's has the remapping tables in frames of its own, and guests' memory
 * behind windows: host-physical addresses that lead into a file. Frames come into being when they
 * are first written, and read as zeros before. Addresses are numbers: physical addresses have 52
 * bits at most, a double holds 53.
 *
 * A page is seen as 32-bit words (entries are written by the half, without a BigInt) and as 64-bit
 * ones (page walks). Both views and the guest's tables are little-endian, like the machine below.
 */

import { assert } from '../../core/assert.js'
import type { MemoryFile } from '../backend.js'
import { MemoryWindows } from './memory-windows.js'

export const PAGE_BYTES = 4096
/** `&` takes a number's lowest 32 bits, so it holds for every address, and costs less than `%`. */
export const OFFSET = PAGE_BYTES - 1
/** VT-d: the address fields of all entries end at bit 51. */
export const PHYSICAL_BITS = 52
export const PHYSICAL_LAST = 2 ** PHYSICAL_BITS - 1

/** All that a walk sees of the machine. */
export interface PhysicalMemory {
  /** The 64-bit word at an address that is a multiple of 8; undefined where there is no memory. */
  read(address: number): bigint | undefined
  /** Writes `next` where `expected` still stands; false = it does not, or cannot be written. */
  exchange(address: number, expected: bigint, next: bigint): boolean
}

interface Page {
  readonly words: Uint32Array
  readonly quads: BigUint64Array
}

export class SparseMemory implements PhysicalMemory {
  readonly sizeBytes: number
  readonly #pages = new Map<number, Page>()

  constructor(sizeBytes: number) {
    const whole = Number.isSafeInteger(sizeBytes) && sizeBytes % PAGE_BYTES === 0
    assert(whole && sizeBytes <= PHYSICAL_LAST + 1, `memory of ${sizeBytes} bytes`)
    this.sizeBytes = sizeBytes
  }

  read(address: number): bigint | undefined {
    if (!this.#holds(address)) return undefined
    const page = this.#pages.get(Math.floor(address / PAGE_BYTES))
    return page === undefined ? 0n : (page.quads[(address & OFFSET) >>> 3] ?? 0n)
  }

  write(address: number, value: bigint): void {
    assert(this.#holds(address), 'what is written is memory')
    this.#materialise(Math.floor(address / PAGE_BYTES)).quads[(address & OFFSET) >>> 3] = value
  }

  exchange(address: number, expected: bigint, next: bigint): boolean {
    if (this.read(address) !== expected) return false
    this.write(address, next)
    return true
  }

  /** The 1024 words of a page, if it was ever written. */
  findPage(address: number): Uint32Array | undefined {
    return this.#pages.get(Math.floor(address / PAGE_BYTES))?.words
  }

  /** The 1024 words of a page, to be written. */
  getPage(address: number): Uint32Array {
    assert(this.#holds(address), 'what is written is memory')
    return this.#materialise(Math.floor(address / PAGE_BYTES)).words
  }

  /** Back to zeros, and its bytes to the process. */
  dropPage(address: number): void {
    this.#pages.delete(Math.floor(address / PAGE_BYTES))
  }

  pagesHeld(): number {
    return this.#pages.size
  }

  #holds(address: number): boolean {
    assert(Number.isSafeInteger(address) && (address & 7) === 0, 'a word is at a multiple of 8')
    return address >= 0 && address < this.sizeBytes
  }

  #materialise(number: number): Page {
    const known = this.#pages.get(number)
    if (known !== undefined) return known
    const bytes = new ArrayBuffer(PAGE_BYTES)
    const page = { words: new Uint32Array(bytes), quads: new BigUint64Array(bytes) }
    this.#pages.set(number, page)
    return page
  }
}

/** As a file, for a guest whose memory is the process's own. Closing it changes nothing. */
export function memoryFileOf(memory: SparseMemory): MemoryFile {
  return {
    bytes: memory.sizeBytes,
    mapped: true,
    read: (offset) => memory.read(offset),
    exchange: (offset, expected, next) => memory.exchange(offset, expected, next),
    close: () => undefined,
  }
}

/**
 * The host's memory: frames are handed out in runs and taken back, low; windows lie high. Frame 0
 * is never given.
 */
export class HostMemory extends SparseMemory {
  readonly windows: MemoryWindows
  #nextFrame = 1
  /** Runs given back, by their length: tables come in few lengths. */
  readonly #released = new Map<number, number[]>()

  /** `bits`: the host address width, 39 to 52. */
  constructor(bits = PHYSICAL_BITS) {
    super(2 ** bits)
    this.windows = new MemoryWindows(bits)
  }

  override read(address: number): bigint | undefined {
    return address < this.windows.first ? super.read(address) : this.windows.read(address)
  }

  override exchange(address: number, expected: bigint, next: bigint): boolean {
    return address < this.windows.first
      ? super.exchange(address, expected, next)
      : this.windows.exchange(address, expected, next)
  }

  /** The address of that many frames in a row, all zeros. */
  allocate(frames: number): number {
    const reused = this.#released.get(frames)?.pop()
    if (reused !== undefined) return reused
    const address = this.#nextFrame * PAGE_BYTES
    this.#nextFrame += frames
    assert(this.#nextFrame * PAGE_BYTES <= this.windows.first, 'host memory has a frame left')
    return address
  }

  /** Pairs with allocate(). */
  release(address: number, frames: number): void {
    for (let i = 0; i < frames; i += 1) this.dropPage(address + i * PAGE_BYTES)
    const runs = this.#released.get(frames)
    if (runs === undefined) this.#released.set(frames, [address])
    else runs.push(address)
  }
}
