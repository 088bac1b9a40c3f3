/**
 * Opens the ledger, which locks the state directory, and says in an operator's words why it cannot.
 */

import { errnoOf, EXIT, pathFailure, StartFailure, type ExitCode } from './exits.js'
import type { Config } from './config/config.js'
import { LedgerFault, type Ledger } from '../ledger/ledger.js'
import {
  LedgerCorrupt,
  LedgerHeld,
  LedgerTooNew,
  openSqliteLedger,
} from '../ledger/sqlite/sqlite-ledger.js'

function exitCodeOf(error: unknown): ExitCode | undefined {
  if (error instanceof LedgerHeld) return EXIT.UNAVAILABLE
  if (error instanceof LedgerCorrupt || error instanceof LedgerTooNew) return EXIT.LEDGER_DATA
  if (error instanceof LedgerFault) return EXIT.IO
  return undefined
}

/** @throws StartFailure */
export async function startLedger(config: Config, bootId: string): Promise<Ledger> {
  const { stateDir: directory, corruptLedger: onCorrupt, auditEvents } = config
  try {
    return await openSqliteLedger({ directory, bootId, onCorrupt, auditEvents })
  } catch (error) {
    const exitCode = exitCodeOf(error)
    if (exitCode !== undefined && error instanceof Error) {
      throw new StartFailure(error.message, exitCode, { cause: error })
    }
    if (errnoOf(error) === '') throw error
    const remedy = 'make it writable for us, or choose another with daemon.state_dir'
    throw pathFailure(`the state directory ${directory}`, error, remedy)
  }
}
