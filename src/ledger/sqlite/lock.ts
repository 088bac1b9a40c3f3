/**
 * One process a ledger directory: an exclusive lock on `ledger.lock`, held from before the ledger
 * is looked at until it is closed, also while a writer is replaced by another. The lock on
 * `ledger.db` itself comes and goes with its handle. The kernel drops it when the process ends,
 * however it ends; `ledger.pid` beside it is only there to name the holder.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { LedgerHeld } from './errors.js'
import { createPrivate, DIRECTORY_MODE, FILE_MODE, type LedgerPaths } from './files.js'

const RETRY_MS = 25

export class DirectoryLock {
  private constructor(
    private readonly paths: LedgerPaths,
    private readonly handle: Database.Database,
  ) {}

  /** Waits for a holder to go away, but no longer than `waitMs`. @throws LedgerHeld */
  static async take(paths: LedgerPaths, waitMs: number): Promise<DirectoryLock> {
    mkdirSync(paths.directory, { recursive: true, mode: DIRECTORY_MODE })
    for (let left = waitMs; ; left -= RETRY_MS) {
      const handle = tryLock(paths.lock)
      if (handle !== undefined) {
        writePid(paths)
        return new DirectoryLock(paths, handle)
      }
      if (left <= 0) throw new LedgerHeld(paths.db, readPid(paths))
      await sleep(Math.min(RETRY_MS, left))
    }
  }

  release(): void {
    rmSync(this.paths.pid, { force: true })
    this.handle.close()
  }
}

/** SQLite's own locking, because Node has none: an empty database in an exclusive transaction. */
function tryLock(path: string): Database.Database | undefined {
  // Never opened when it is there: closing it again would drop a lock of this very process.
  if (!existsSync(path)) createIfAbsent(path)
  const handle = new Database(path, { fileMustExist: true, timeout: 0 })
  try {
    handle.exec('BEGIN EXCLUSIVE')
    return handle
  } catch (error) {
    handle.close()
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      return undefined
    }
    throw error
  }
}

function createIfAbsent(path: string): void {
  try {
    createPrivate(path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

function writePid(paths: LedgerPaths): void {
  const draft = `${paths.pid}.new`
  writeFileSync(draft, `${process.pid}\n`, { mode: FILE_MODE })
  renameSync(draft, paths.pid)
}

/** Undefined when the holder has not written it yet, or it makes no sense. */
function readPid(paths: LedgerPaths): number | undefined {
  try {
    const pid = Number(readFileSync(paths.pid, 'utf8').trim())
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}
