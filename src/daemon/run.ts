/** The daemon as a process: signals, the parent, uncaught errors, exit codes. */

import type { Config } from './config/config.js'
import { EXIT, StartFailure } from './exits.js'
import { FIELD } from './log-fields.js'
import { openLogs, type Logs } from './logs.js'
import { watchParent } from './parent-watch.js'
import { readVersion } from './release.js'
import { serviceManager } from './service-manager.js'
import { startDaemon, type RunningDaemon } from './start.js'

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const
type StopSignal = keyof typeof SIGNAL_NUMBERS

export interface RunOptions {
  readonly config: Config
  readonly warnings: readonly string[]
  /** Stop when the process that started us is gone. */
  readonly parentWatch: boolean
}

/** Ends the process at once: what is durable is safe, and what is not was not acknowledged. */
function crash(logs: Logs, error: unknown): never {
  logs.log.fatal({ [FIELD.ERROR]: error }, 'bug: the daemon ends; durable state is safe')
  logs.flush()
  process.exit(EXIT.BUG)
}

/** Resolves at the first reason to stop; a second signal ends the process at once. */
function stopRequested(logs: Logs, parentWatch: boolean): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    const onSignal = (signal: StopSignal) => {
      logs.log.info(
        { [FIELD.SIGNAL]: signal },
        asked ? 'told again: ending at once' : 'told to stop',
      )
      if (asked) {
        logs.flush()
        process.exit(128 + SIGNAL_NUMBERS[signal])
      }
      asked = true
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
    process.on('SIGHUP', () => {
      if (process.stdout.isTTY) onSignal('SIGTERM')
      else
        logs.log.warn({ [FIELD.SIGNAL]: 'SIGHUP' }, 'no live reload yet: restart to apply changes')
    })
    if (!parentWatch) return
    watchParent(() => {
      logs.log.info('the process that started the daemon is gone')
      asked = true
      resolve()
    })
  })
}

/** For `systemctl status`. */
function statusOf(daemon: RunningDaemon): string {
  const { sessions, host } = daemon.broker.state
  const { writable, durableRevision } = daemon.broker.info()
  let open = 0
  for (const count of daemon.connections().values()) open += count
  const held = `${sessions.size} sessions hold ${host.counts.held} PASIDs of HOST scope`
  const ledger = writable ? `revision ${durableRevision}` : 'the ledger is not writable'
  return `Serving: ${held}, ${open} connections, ${ledger}`
}

/** Runs until it is told to stop; answers with the exit code. */
export async function runDaemon(options: RunOptions): Promise<number> {
  const { config, warnings, parentWatch } = options
  const logs = openLogs({ level: config.logLevel })
  const { log } = logs
  process.on('uncaughtException', (error) => crash(logs, error))
  process.on('unhandledRejection', (error) => crash(logs, error))
  const stopping = stopRequested(logs, parentWatch)
  log.info({ [FIELD.VERSION]: readVersion(), [FIELD.CONFIG]: config.file }, 'starting')
  for (const warning of warnings) log.warn({ [FIELD.PROBLEM]: warning }, 'configuration warning')
  try {
    const daemon = await startDaemon(config, { logs, onBug: (error) => crash(logs, error) })
    const manager = serviceManager({ status: () => statusOf(daemon) })
    manager.ready()
    await stopping
    manager.stopping()
    await daemon.stop()
    return EXIT.OK
  } catch (error) {
    if (!(error instanceof StartFailure)) crash(logs, error)
    log.fatal({ [FIELD.PROBLEM]: error.message }, 'cannot start')
    return error.exitCode
  } finally {
    logs.flush()
  }
}
