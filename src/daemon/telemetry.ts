/**
 * The broker's telemetry port, as log lines and metrics. Holds: whatever a client does, a kind of
 * line comes at most so often; what was left out is counted on the next one. What is told of each
 * device once in a life of the daemon is never left out.
 */

import type { Logger } from 'pino'
import type { Telemetry } from '../broker/ports.js'
import { FIELD, KEPT_LET_GO } from './log-fields.js'
import type { Metrics } from './metrics.js'

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

const UNPROVEN_TEXTS = {
  BEGUN: 'numbers of an ended session are held back: it may have attached them by itself',
  SEEN_CLOSED: 'every device of an ended session was seen closed: its numbers go to rest',
  HOLD_OVER: 'the hold of an ended session is over: its numbers go to rest',
} as const

interface Told {
  readonly lines: ThrottledLog
  readonly metrics: Metrics
}

/** What becomes of the sessions of processes that ended. */
function reclaimTelemetry({
  lines,
  metrics,
}: Told): Pick<
  Telemetry,
  'reclaimed' | 'swept' | 'breakerOpened' | 'breakerClosed' | 'unproven' | 'stuck'
> {
  return {
    reclaimed(facts) {
      metrics.reclaimed(facts)
      const { cause, session, sessions, pasids, ageMs, ownerPid } = facts
      const whose = { [FIELD.SESSION]: session, [FIELD.OWNER_PID]: ownerPid }
      const what = { [FIELD.SESSIONS]: sessions, [FIELD.PASIDS]: pasids, [FIELD.AGE_MS]: ageMs }
      lines.say('info', { [FIELD.CAUSE]: cause, ...whose, ...what }, 'reclaimed')
    },
    swept(sweep) {
      metrics.swept(sweep)
      const { looked, proven, inferred, unknown, tookMs, whole } = sweep
      const ended = { [FIELD.PROVEN]: proven, [FIELD.INFERRED]: inferred }
      const pass = { [FIELD.LOOKED]: looked, [FIELD.UNKNOWN]: unknown, [FIELD.WHOLE]: whole }
      const found = proven + inferred > 0
      lines.say(found ? 'info' : 'trace', { ...pass, ...ended, [FIELD.TOOK_MS]: tookMs }, 'swept')
    },
    breakerOpened({ inferred, looked, share }) {
      const pass = { [FIELD.INFERRED]: inferred, [FIELD.LOOKED]: looked, [FIELD.LIMIT]: share }
      const message =
        'circuit breaker open: too many owners seem to have ended; no number returns to the pool ' +
        'until an operator says so (ResumeReclaim)'
      lines.say('error', pass, message)
    },
    breakerClosed({ sessions, pasids }) {
      const resumed = { [FIELD.SESSIONS]: sessions, [FIELD.PASIDS]: pasids }
      lines.say('info', resumed, 'circuit breaker closed by an operator')
    },
    unproven({ session, pasids, how }) {
      const what = { [FIELD.SESSION]: session, [FIELD.PASIDS]: pasids }
      lines.say('info', what, UNPROVEN_TEXTS[how])
    },
    stuck({ session, attempts, problem }) {
      const what = { [FIELD.SESSION]: session, [FIELD.ATTEMPTS]: attempts }
      lines.say('error', { ...what, [FIELD.PROBLEM]: problem }, 'teardown is stuck')
    },
  }
}

export function createTelemetry(
  log: Logger,
  metrics: Metrics,
  onBug: (error: unknown) => void,
): Telemetry {
  const lines = new ThrottledLog(log)
  return {
    ...reclaimTelemetry({ lines, metrics }),
    committed({ changes, events, tookMs }) {
      metrics.committed(tookMs)
      if (!log.isLevelEnabled('trace')) return
      lines.say(
        'trace',
        { [FIELD.CHANGES]: changes, [FIELD.EVENTS]: events, [FIELD.TOOK_MS]: tookMs },
        'batch committed',
      )
    },
    commitFailed({ message, undone, kept }) {
      metrics.commitFailed()
      const fields = { [FIELD.PROBLEM]: message, [FIELD.UNDONE]: undone, [FIELD.KEPT]: kept }
      lines.say('error', fields, 'commit failed; nothing new is granted until the ledger is back')
    },
    ledgerRecovered({ revision, downMs }) {
      const fields = { [FIELD.REVISION]: revision, [FIELD.DOWN_MS]: Math.round(downMs) }
      lines.say('info', fields, 'ledger writable again')
    },
    refused(code) {
      metrics.refused(code)
      if (log.isLevelEnabled('debug')) lines.say('debug', { [FIELD.REASON]: code }, 'refused')
    },
    backendFault({ device, operation, message }) {
      metrics.backendFault(operation)
      const what = { [FIELD.DEVICE]: device, [FIELD.OPERATION]: operation }
      lines.say('warn', { ...what, [FIELD.PROBLEM]: message }, 'backend fault')
    },
    bindingLost({ device, target, cause }) {
      metrics.bindingLost()
      const what = { [FIELD.DEVICE]: device, [FIELD.TARGET]: target, [FIELD.CAUSE]: cause }
      lines.say('warn', what, 'binding lost')
    },
    keptLetGo({ device, session, why }) {
      const what = { [FIELD.DEVICE]: device, [FIELD.SESSION]: session, [FIELD.PROBLEM]: why }
      // All come in one moment, at the start, at most one for each that was kept.
      log.warn(what, KEPT_LET_GO)
    },
    pageRequestEnded(end) {
      metrics.pageRequestEnded(end)
    },
    bug: onBug,
  }
}
