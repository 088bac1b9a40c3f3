/**
 * The memory of a trace: some frames full of 64-bit words, seen by the unit and by the slow model
 * alike. It keeps what software wrote last beside what stands there now, so that what the unit did
 * to it can be judged, and is used again for the next trace: only what was written is cleared.
 */
import type { PhysicalMemory } from '../../src/backend/emulator/memory.js'
import type { SlowMemory } from './slow-iommu.js'

export const PAGE = 4096
const FRAMES = 192
const WORDS = PAGE / 8
const LOW = 0xfffn

/** What a frame is for. */
export type Use = 'OTHER' | 'FIRST' | 'SECOND'

export class TraceImage implements PhysicalMemory {
  /** Host-physical address of the first frame. */
  #base = 0
  #next = 0
  readonly #now: bigint[] = new Array<bigint>(FRAMES * WORDS).fill(0n)
  readonly #written: bigint[] = new Array<bigint>(FRAMES * WORDS).fill(0n)
  /** Flags that may have been set since software wrote the word. */
  readonly #allowed = new Uint16Array(FRAMES * WORDS)
  readonly #uses: Use[] = new Array<Use>(FRAMES).fill('OTHER')
  readonly #touched: number[] = []
  /** Words that the unit stored since the list was emptied, and that the slow model read. */
  readonly stored: number[] = []
  readonly looked: number[] = []
  readonly slow: SlowMemory

  constructor() {
    this.slow = {
      read: (address) => {
        const at = this.#indexOf(Number(address))
        if (at < 0) return undefined
        this.looked.push(at)
        return this.#now[at]
      },
    }
  }

  reset(base: number): void {
    for (const at of this.#touched) {
      this.#now[at] = 0n
      this.#written[at] = 0n
      this.#allowed[at] = 0
    }
    this.#touched.length = 0
    this.stored.length = 0
    this.looked.length = 0
    this.#base = base
    this.#next = 0
  }

  /** The address of the next frame, all zeros. */
  allocate(use: Use): number {
    if (this.#next === FRAMES) throw new Error('a trace has used up its frames')
    this.#uses[this.#next] = use
    this.#next += 1
    return this.#base + (this.#next - 1) * PAGE
  }

  /** An address where there is no memory. */
  get nowhere(): number {
    return this.#base + FRAMES * PAGE
  }

  read(address: number): bigint | undefined {
    const at = this.#indexOf(address)
    return at < 0 ? undefined : this.#now[at]
  }

  exchange(address: number, expected: bigint, next: bigint): boolean {
    const at = this.#indexOf(address)
    if (at < 0 || this.#now[at] !== expected) return false
    if (next !== expected) {
      this.#now[at] = next
      this.#touched.push(at)
      this.stored.push(at)
    }
    return true
  }

  /** As software does. */
  write(address: number, value: bigint): void {
    const at = this.#indexOf(address)
    if (at < 0) throw new Error(`software writes 0x${address.toString(16)}, which is no memory`)
    this.#now[at] = value
    this.#written[at] = value
    this.#allowed[at] = 0
    this.#touched.push(at)
  }

  /** The lowest 12 bits of a word. */
  low(address: number): number {
    return Number((this.read(address) ?? 0n) & LOW)
  }

  allow(at: number, flags: number): void {
    this.#allowed[at] = (this.#allowed[at] ?? 0) | flags
  }

  /** Whether a word is what software wrote, and nothing but allowed flags with it. */
  isAsAllowed(at: number): boolean {
    const now = this.#now[at] ?? 0n
    const flags = BigInt(this.#allowed[at] ?? 0)
    const written = this.#written[at] ?? 0n
    return (now & ~flags) === (written & ~flags) && (now & written) === written
  }

  useAt(at: number): Use {
    return this.#uses[Math.floor(at / WORDS)] ?? 'OTHER'
  }

  addressAt(at: number): number {
    return this.#base + at * 8
  }

  /** -1: no memory there. */
  indexOf(address: number): number {
    return this.#indexOf(address)
  }

  #indexOf(address: number): number {
    const at = (address - this.#base) / 8
    return at >= 0 && at < FRAMES * WORDS ? at : -1
  }
}
