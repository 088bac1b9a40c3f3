/**
 * To wait with an end: what has not come to its end by then goes on, and nobody waits for it.
 */

import { BackendFault } from '../backend.js'
import type { VfioClock } from './ports.js'

/** What fails with a fault has come to its end as well; a bug goes on its way. */
export async function atMost(clock: VfioClock, ms: number, work: Promise<unknown>): Promise<void> {
  let cancel = (): void => undefined
  const over = new Promise<void>((resolve) => {
    cancel = clock.after(ms, resolve)
  })
  const ended = work.catch((fault: unknown) => {
    if (!(fault instanceof BackendFault)) throw fault
  })
  try {
    await Promise.race([ended, over])
  } finally {
    cancel()
  }
}
