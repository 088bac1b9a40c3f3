/**
 * Why a ledger does not open, each with what to do about it, and the fault that the ledger's thread
 * reports. An operator reads these messages: they name path, problem and remedy.
 */

/** Another process has the ledger. Two writers are never allowed. */
export class LedgerHeld extends Error {
  override readonly name = 'LedgerHeld'
  constructor(
    readonly path: string,
    /** Undefined when the holder left no number, for instance because it is not a pasidd. */
    readonly holderPid: number | undefined,
  ) {
    const holder = holderPid === undefined ? 'another program' : `process ${holderPid}`
    super(`${path} is in use by ${holder}; stop it, or give this one a directory of its own`)
  }
}

/** The file is damaged, is no ledger, or belongs to another one. Nothing in it was changed. */
export class LedgerCorrupt extends Error {
  override readonly name = 'LedgerCorrupt'
  constructor(
    readonly path: string,
    readonly problem: string,
    options?: { cause?: unknown },
  ) {
    const remedy =
      'restore it from a backup, or allow it to be moved aside: ' +
      'then every grant it held is forgotten, so first end the programs that hold PASIDs'
    super(`${path} cannot be used: ${problem}; ${remedy}`, options)
  }
}

/** Written by a later release. */
export class LedgerTooNew extends Error {
  override readonly name = 'LedgerTooNew'
  constructor(
    readonly path: string,
    readonly found: number,
    readonly known: number,
  ) {
    super(
      `${path} has schema version ${found}, this release knows versions up to ${known}; ` +
        'run the release that wrote it, or a later one',
    )
  }
}

/** What the thread makes of an SQLite error: LedgerFault is made of it on the other side. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault'
  constructor(
    message: string,
    readonly outcome: 'NOT_WRITTEN' | 'UNKNOWN',
    /** Whether the handle may be used on; if not, only `reopen` helps. */
    readonly trusted: boolean,
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}
