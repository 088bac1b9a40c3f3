/**
 * The service manager as `Type=notify` knows it: told when the daemon serves and when it stops, and
 * from the event loop, as long as that turns, that it is alive. Without a manager nothing is sent.
 */

import { notify } from '../linux/notify.js'

const US_PER_MS = 1000
/** Told twice in the time after which the manager takes us for dead (sd_watchdog_enabled(3)). */
const WATCHDOG_SHARE = 2

export interface ManagerOptions {
  /** One line for `systemctl status`. */
  readonly status: () => string
}

export interface ServiceManager {
  /** Everything is open and SERVING. */
  ready(): void
  stopping(): void
}

/** Half the watchdog's time; undefined when there is none, or when it is another process's. */
function beatMs({ WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid }: NodeJS.ProcessEnv) {
  const ms = Number(microseconds) / US_PER_MS / WATCHDOG_SHARE
  if (pid !== undefined && Number(pid) !== process.pid) return undefined
  return ms >= 1 ? ms : undefined
}

export function serviceManager({ status }: ManagerOptions): ServiceManager {
  const beat = beatMs(process.env)
  let timer: NodeJS.Timeout | undefined
  return {
    ready() {
      notify(`READY=1\nSTATUS=${status()}`)
      if (beat === undefined) return
      timer = setInterval(() => notify(`WATCHDOG=1\nSTATUS=${status()}`), beat)
      timer.unref()
    },
    stopping() {
      // The time that stopping may take is TimeoutStopSec's; until then the watchdog is fed.
      notify('STOPPING=1\nSTATUS=Letting calls under way end')
    },
  }
}
