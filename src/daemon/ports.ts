/** The broker's clock and chance, from the system; and which boot of the host this is. */

import crypto from 'node:crypto'
import fs from 'node:fs'
import type { Chance, Clock } from '../broker/ports.js'
import { instantMs, wallMs } from '../core/ids.js'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'
/** The longest that a timer of Node can wait: 2^31 - 1 ms. */
const TIMER_MS_MAX = 2 ** 31 - 1

export const systemClock: Clock = {
  instant: () => instantMs(performance.now()),
  wall: () => wallMs(Date.now()),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, TIMER_MS_MAX))
    return () => clearTimeout(timer)
  },
}

export const systemChance: Chance = {
  bytes: (count) => crypto.randomBytes(count),
}

/** Random, made by the kernel at each boot. */
export function readBootId(): string {
  return fs.readFileSync(BOOT_ID, 'utf8').trim()
}
