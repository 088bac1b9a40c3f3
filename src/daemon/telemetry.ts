/**
 * The broker's telemetry port, as log lines and counters. Holds: whatever a client does, a kind of
 * line comes at most so often; what was left out is counted on the next one.
 */

import type { Logger } from 'pino'
import type { Telemetry } from '../broker/ports.js'
import { FIELD } from './log-fields.js'

/** Lines of one kind in one window. */
const BURST_LINES_MAX = 20
const WINDOW_MS = 10_000

/** Lets so many through in a window, and counts the rest. */
export class Throttle {
  #windowStart = Number.NEGATIVE_INFINITY
  #passed = 0
  #suppressed = 0

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Undefined: leave it out. Otherwise how many were left out before it. */
  pass(): number | undefined {
    const now = this.now()
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now
      this.#passed = 0
    }
    if (this.#passed >= BURST_LINES_MAX) {
      this.#suppressed += 1
      return undefined
    }
    this.#passed += 1
    const suppressed = this.#suppressed
    this.#suppressed = 0
    return suppressed
  }
}

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** A logger whose kinds of line are each throttled. The kind is the constant message. */
export class ThrottledLog {
  readonly #throttles = new Map<string, Throttle>()

  constructor(private readonly log: Logger) {}

  say(level: Level, fields: Readonly<Record<string, unknown>>, message: string): void {
    if (!this.log.isLevelEnabled(level)) return
    let throttle = this.#throttles.get(message)
    if (throttle === undefined) {
      throttle = new Throttle()
      this.#throttles.set(message, throttle)
    }
    const suppressed = throttle.pass()
    if (suppressed === undefined) return
    const extra = suppressed === 0 ? {} : { [FIELD.SUPPRESSED]: suppressed }
    this.log[level]({ ...fields, ...extra }, message)
  }
}

/** What happened since the start. */
export interface Counters {
  commits: number
  commitFailures: number
  backendFaults: number
  lostBindings: number
  reclaimedPasids: number
  readonly refusals: Map<string, number>
}

export function createTelemetry(
  log: Logger,
  onBug: (error: unknown) => void,
): { readonly telemetry: Telemetry; readonly counters: Counters } {
  const lines = new ThrottledLog(log)
  const counters: Counters = {
    commits: 0,
    commitFailures: 0,
    backendFaults: 0,
    lostBindings: 0,
    reclaimedPasids: 0,
    refusals: new Map(),
  }
  const telemetry: Telemetry = {
    committed({ changes, events, tookMs }) {
      counters.commits += 1
      if (!log.isLevelEnabled('trace')) return
      lines.say(
        'trace',
        { [FIELD.CHANGES]: changes, [FIELD.EVENTS]: events, [FIELD.TOOK_MS]: tookMs },
        'batch committed',
      )
    },
    commitFailed({ message, undone, kept }) {
      counters.commitFailures += 1
      const fields = { [FIELD.PROBLEM]: message, [FIELD.UNDONE]: undone, [FIELD.KEPT]: kept }
      lines.say('error', fields, 'commit failed; nothing new is granted until the ledger is back')
    },
    ledgerRecovered({ revision, downMs }) {
      const fields = { [FIELD.REVISION]: revision, [FIELD.DOWN_MS]: Math.round(downMs) }
      lines.say('info', fields, 'ledger writable again')
    },
    refused(code) {
      counters.refusals.set(code, (counters.refusals.get(code) ?? 0) + 1)
      if (log.isLevelEnabled('debug')) lines.say('debug', { [FIELD.REASON]: code }, 'refused')
    },
    backendFault({ device, operation, message }) {
      counters.backendFaults += 1
      const what = { [FIELD.DEVICE]: device, [FIELD.OPERATION]: operation }
      lines.say('warn', { ...what, [FIELD.PROBLEM]: message }, 'backend fault')
    },
    bindingLost({ device, target, cause }) {
      counters.lostBindings += 1
      const what = { [FIELD.DEVICE]: device, [FIELD.TARGET]: target, [FIELD.CAUSE]: cause }
      lines.say('warn', what, 'binding lost')
    },
    reclaimed({ cause, sessions, pasids }) {
      counters.reclaimedPasids += pasids
      const what = { [FIELD.SESSIONS]: sessions, [FIELD.PASIDS]: pasids }
      lines.say('info', { [FIELD.CAUSE]: cause, ...what }, 'reclaimed')
    },
    bug: onBug,
  }
  return { telemetry, counters }
}
