/**
 * How `pasidctl` ends: its exit codes (told by --help, docs/PASIDCTL.md and docs/CONFIGURATION.md),
 * and why.
 */

import type { PasidError } from '../client/index.js'

export const EXIT = {
  OK: 0,
  /** `check` or `doctor` found something; any failure without a code of its own; the answer: no. */
  FAILED: 1,
  NOT_FOUND: 4,
  /** It is not any more what was looked at: another's grant, other limits. Look again. */
  CONFLICT: 5,
  /** The command line is wrong, or the daemon refused what it asks for. */
  USAGE: 64,
  /** Nobody answers, or the daemon does not serve. */
  UNAVAILABLE: 69,
  /** A bug of the daemon. */
  BUG: 70,
  /** Later it may work: time is over, or something is exhausted. */
  LATER: 75,
  NO_PERMISSION: 77,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The command cannot go on; the message is for the person at the terminal. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure'
  constructor(
    message: string,
    readonly exitCode: ExitCode,
  ) {
    super(message)
  }
}

const EXIT_OF_CODE: Partial<Record<PasidError['codeName'], ExitCode>> = {
  NOT_FOUND: EXIT.NOT_FOUND,
  INVALID_ARGUMENT: EXIT.USAGE,
  OUT_OF_RANGE: EXIT.USAGE,
  UNIMPLEMENTED: EXIT.UNAVAILABLE,
  UNAVAILABLE: EXIT.UNAVAILABLE,
  INTERNAL: EXIT.BUG,
  DATA_LOSS: EXIT.BUG,
  DEADLINE_EXCEEDED: EXIT.LATER,
  RESOURCE_EXHAUSTED: EXIT.LATER,
  ABORTED: EXIT.CONFLICT,
  PERMISSION_DENIED: EXIT.NO_PERMISSION,
  UNAUTHENTICATED: EXIT.NO_PERMISSION,
}

export function exitCodeOf(error: PasidError): ExitCode {
  return EXIT_OF_CODE[error.codeName] ?? EXIT.FAILED
}

export const EXIT_HELP = `
Exit codes:
  0   ok                          64  wrong command line, or refused as invalid
  1   failed, or check or doctor  69  nobody answers, or the daemon does not serve
      found a problem             70  a bug of the daemon
  4   not found                   75  later it may work
  5   changed meanwhile           77  not permitted`
