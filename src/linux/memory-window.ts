/**
 * Parts of sealed files, mapped where they are needed: at most so many at a time, the least
 * recently needed ones go. A mapping here never raises SIGBUS: the file cannot become shorter.
 *
 * Words go through the addon, by the number of the mapping: an ArrayBuffer over foreign memory
 * would count as a GiB of the garbage collector's, and a view on it could outlive it.
 */
import { native } from './addon.js'
import type { OwnedFd } from './owned-fd.js'

/** One window covers most guests' tables. */
export const WINDOW_BYTES = 2 ** 30
/** A quarter of a TiB of addresses; what stays resident is what was read, and the guest's own. */
const WINDOWS_MAX = 256

class Window {
  constructor(
    readonly index: number,
    readonly id: number,
  ) {}
}

/** All that are mapped, the longest not needed first, and how each one's file forgets it. */
const mapped = new Map<Window, (window: Window) => void>()

function forgetOldest(): void {
  for (const [window, forget] of mapped) {
    forget(window)
    return
  }
}

export function windowsMapped(): number {
  return mapped.size
}

export class MappedWindows {
  readonly #fd: OwnedFd
  readonly #bytes: number
  readonly #writable: boolean
  readonly #byIndex = new Map<number, Window>()
  #last: Window | undefined

  /** `bytes`: what the file has at least, for good. The descriptor stays the caller's. */
  constructor(fd: OwnedFd, bytes: number, writable: boolean) {
    this.#fd = fd
    this.#bytes = bytes
    this.#writable = writable
  }

  /** Undefined where the kernel would not map: the caller has another way to read. */
  find(offset: number): { readonly id: number; readonly at: number } | undefined {
    const index = Math.floor(offset / WINDOW_BYTES)
    const window = this.#last?.index === index ? this.#last : this.#need(index)
    return window === undefined
      ? undefined
      : { id: window.id, at: offset - window.index * WINDOW_BYTES }
  }

  close(): void {
    for (const window of [...this.#byIndex.values()]) this.#forget(window)
  }

  #need(index: number): Window | undefined {
    const known = this.#byIndex.get(index)
    const window = known ?? this.#map(index)
    this.#last = window
    if (window === undefined) return undefined
    // The end of a Map is what was needed last.
    mapped.delete(window)
    mapped.set(window, (oldest) => this.#forget(oldest))
    return window
  }

  #map(index: number): Window | undefined {
    if (mapped.size >= WINDOWS_MAX) forgetOldest()
    const start = index * WINDOW_BYTES
    const bytes = Math.min(WINDOW_BYTES, this.#bytes - start)
    const id = native.mapMemory(this.#fd.number, start, bytes, this.#writable)
    if (id < 0) return undefined
    const window = new Window(index, id)
    this.#byIndex.set(index, window)
    return window
  }

  #forget(window: Window): void {
    mapped.delete(window)
    this.#byIndex.delete(window.index)
    if (this.#last === window) this.#last = undefined
    native.unmapMemory(window.id)
  }
}
