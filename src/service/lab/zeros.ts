/**
 * How much guest memory of the daemon's own there may be at once: only pages that are written take
 * memory, but it is counted as if all were.
 */

import type { GuestFile } from '../../broker/verbs/guest-memory.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'

/** Of all sessions: the daemon must not be what runs out of memory. */
export const ZEROS_BYTES_TOTAL_MAX = 4 * 2 ** 30

export class ZerosBudget {
  #mapped = 0

  /** `make` is called when there is room. The bytes are given back when the file is closed. */
  open(bytes: number, make: () => GuestFile): Outcome<GuestFile> {
    const left = ZEROS_BYTES_TOTAL_MAX - this.#mapped
    if (bytes > left) {
      const problem = `${left} bytes of zeros are left of ${ZEROS_BYTES_TOTAL_MAX} for all sessions`
      return refuse({ code: 'MEMORY_REFUSED', problem, remedy: 'unmap some, or map a file' })
    }
    const file = make()
    this.#mapped += bytes
    return accept({
      bytes: file.bytes,
      mapped: file.mapped,
      read: (offset) => file.read(offset),
      exchange: (offset, expected, next) => file.exchange(offset, expected, next),
      close: () => {
        this.#mapped -= bytes
        file.close()
      },
    })
  }
}
