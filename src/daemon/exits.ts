/** How `pasidd` ends: its exit codes (those of sysexits.h) and the failure that carries one. */

export const EXIT = {
  OK: 0,
  /** The command line is wrong. */
  USAGE: 64,
  /** The ledger is damaged, or of a later release. */
  LEDGER_DATA: 65,
  /** Something else has what we need: the ledger is held, a socket is answered. */
  UNAVAILABLE: 69,
  /** A bug: a broken invariant or an exception that nobody expected. Durable state is safe. */
  BUG: 70,
  /** It has not what the native backend needs. */
  HOST: 71,
  /** A folder or socket cannot be made. */
  CANNOT_CREATE: 73,
  /** Reading or writing the ledger failed. */
  IO: 74,
  /** Not allowed to. */
  NO_PERMISSION: 77,
  /** The configuration is wrong, or contradicts the ledger. */
  CONFIG: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Start-up cannot go on. The message names object, problem and remedy, for the operator. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure'
  constructor(
    message: string,
    readonly exitCode: ExitCode,
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}

/** The code of a system error, '' for anything else. */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** What a failed system call on a path means for start-up. */
export function pathFailure(what: string, error: unknown, remedy: string): StartFailure {
  const code = errnoOf(error)
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
  const exitCode = denied ? EXIT.NO_PERMISSION : EXIT.CANNOT_CREATE
  const message = error instanceof Error ? error.message : String(error)
  return new StartFailure(`${what}: ${message}; ${remedy}`, exitCode, { cause: error })
}
