/**
 * Windows of the host-physical address space: ranges of addresses behind which a guest's memory
 * lies, as a file that somebody handed over. They begin at 2^40 (or half of a narrower space),
 * above all frames of the host's own.
 *
 * What always holds: windows never overlap; one that is gone is given to another as late as
 * possible, since the search goes on from the last. Whoever removes one has invalidated everything
 * that may be cached of it. Made by the host's memory, used by the address spaces.
 */

import { assert } from '../../core/assert.js'
import type { MemoryFile } from '../backend.js'

const FIRST_HIGHEST = 2 ** 40
const GIB = 2 ** 30

export interface WindowRequest {
  /** A multiple of 4096. */
  readonly bytes: number
  readonly file: MemoryFile
  /** Where in the file it begins. */
  readonly offset: number
  readonly readOnly: boolean
  /** Where in a GiB it begins: that of the guest-physical address, so that leaves can be large. */
  readonly phase: number
}

interface Window extends WindowRequest {
  readonly base: number
}

/** With its GiBs whole: where a window begins and ends. */
function extent({ base, bytes }: Pick<Window, 'base' | 'bytes'>): { start: number; end: number } {
  const start = Math.floor(base / GIB) * GIB
  return { start, end: Math.ceil((base + bytes) / GIB) * GIB }
}

export class MemoryWindows {
  /** The first address that may be in a window. */
  readonly first: number
  readonly #end: number
  /** By address. */
  readonly #windows: Window[] = []
  /** Where the search for the next begins. */
  #cursor: number
  /** The window that answered last: a walk reads the same guest's memory again and again. */
  #last: Window | undefined

  constructor(bits: number) {
    assert(Number.isSafeInteger(bits) && bits >= 39 && bits <= 52, `host address width: ${bits}`)
    this.#end = 2 ** bits
    this.first = Math.min(FIRST_HIGHEST, this.#end / 2)
    this.#cursor = this.first
  }

  get count(): number {
    return this.#windows.length
  }

  /** The host-physical address of its first byte; undefined: no such run of addresses is free. */
  add(request: WindowRequest): number | undefined {
    const { bytes, offset, phase, file } = request
    const pages = [bytes, offset, phase].every((each) => each >= 0 && each % 4096 === 0)
    assert(pages && bytes > 0 && phase < GIB && offset + bytes <= file.bytes, 'a window of a file')
    const start =
      this.#findFree(this.#cursor, this.#end, phase + bytes) ??
      this.#findFree(this.first, this.#end, phase + bytes)
    if (start === undefined) return undefined
    const window = { ...request, base: start + phase }
    this.#windows.splice(this.#indexAfter(window.base), 0, window)
    this.#cursor = extent(window).end
    return window.base
  }

  /** The file stays the caller's. */
  remove(base: number): void {
    const index = this.#indexAfter(base) - 1
    assert(this.#windows[index]?.base === base, `a window begins at ${base}`)
    this.#windows.splice(index, 1)
    this.#last = undefined
  }

  read(address: number): bigint | undefined {
    const window = this.#find(address)
    return window?.file.read(window.offset + (address - window.base))
  }

  exchange(address: number, expected: bigint, next: bigint): boolean {
    const window = this.#find(address)
    if (window === undefined || window.readOnly) return false
    return window.file.exchange(window.offset + (address - window.base), expected, next)
  }

  #find(address: number): Window | undefined {
    assert(Number.isSafeInteger(address) && (address & 7) === 0, 'a word is at a multiple of 8')
    const last = this.#last
    if (last !== undefined && address >= last.base && address < last.base + last.bytes) return last
    const found = this.#windows[this.#indexAfter(address) - 1]
    if (found === undefined || address >= found.base + found.bytes) return undefined
    this.#last = found
    return found
  }

  /** The index of the first window that begins after the address. */
  #indexAfter(address: number): number {
    let low = 0
    let high = this.#windows.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#windows[middle]?.base ?? 0) <= address) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The first GiB from `from` on after which so many bytes are free. */
  #findFree(from: number, end: number, bytes: number): number | undefined {
    let start = from
    for (const window of this.#windows.slice(Math.max(0, this.#indexAfter(from) - 1))) {
      const taken = extent(window)
      if (start + bytes <= taken.start) return start
      start = Math.max(start, taken.end)
    }
    return start + bytes <= end ? start : undefined
  }
}
