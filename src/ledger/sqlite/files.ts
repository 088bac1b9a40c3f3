/**
 * The ledger's files in its directory, and what is done to them while no handle is open. Opening
 * and closing `ledger.db` in a process that has it open drops that process's POSIX locks, so
 * nothing here may be called while a handle is.
 */

import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { LedgerCorrupt } from './errors.js'

/** 'PASI': the application id in the header of every ledger. */
export const APPLICATION_ID = 0x5041_5349
export const FILE_MODE = 0o600
export const DIRECTORY_MODE = 0o700

const MAGIC = 'SQLite format 3\0'
const HEADER_BYTES = 100
const USER_VERSION_AT = 60
const APPLICATION_ID_AT = 68

export interface LedgerPaths {
  readonly directory: string
  readonly db: string
  readonly wal: string
  /** Made in full under this name, then renamed: a `ledger.db` is never half made. */
  readonly fresh: string
  readonly lock: string
  readonly pid: string
}

export function pathsIn(directory: string): LedgerPaths {
  const db = join(directory, 'ledger.db')
  return {
    directory,
    db,
    wal: `${db}-wal`,
    fresh: `${db}.new`,
    lock: join(directory, 'ledger.lock'),
    pid: join(directory, 'ledger.pid'),
  }
}

/**
 * The tag that the file's own first page carries: the beginning of the ledger's id. Read without
 * SQLite, so it is not what a write-ahead log says. Pairs with tagOf().
 * @throws LedgerCorrupt
 */
export function readTag(path: string): number {
  const header = Buffer.alloc(HEADER_BYTES)
  const fd = openSync(path, 'r')
  try {
    const read = readSync(fd, header, 0, HEADER_BYTES, 0)
    if (read === 0) throw new LedgerCorrupt(path, 'it is empty')
    if (read < HEADER_BYTES) throw new LedgerCorrupt(path, `it has only ${read} bytes`)
  } finally {
    closeSync(fd)
  }
  if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new LedgerCorrupt(path, 'it is not an SQLite database')
  }
  if (header.readUInt32BE(APPLICATION_ID_AT) !== APPLICATION_ID) {
    throw new LedgerCorrupt(path, 'it is a database of another application')
  }
  return header.readInt32BE(USER_VERSION_AT)
}

/** 31 bits of an id of hex digits, for the `user_version` of the file. */
export function tagOf(ledgerId: string): number {
  return Number.parseInt(ledgerId.slice(0, 8), 16) & 0x7fff_ffff
}

export function hasContent(path: string): boolean {
  return existsSync(path) && statSync(path).size > 0
}

/** An empty file that only we may read: SQLite gives its log the mode of the database. */
export function createPrivate(path: string): void {
  closeSync(openSync(path, 'wx', FILE_MODE))
}

export function makePrivate(path: string): void {
  if ((statSync(path).mode & 0o777) !== FILE_MODE) chmodSync(path, FILE_MODE)
}

export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true })
}

/**
 * Removes what a read-only look leaves behind: an index of the log, and a log when there was none.
 */
export function removeTraces(paths: LedgerPaths): void {
  rmSync(`${paths.db}-shm`, { force: true })
  if (existsSync(paths.wal) && !hasContent(paths.wal)) rmSync(paths.wal)
}

/** The new name of the database; its log, which is evidence as well, goes with it. */
export function moveAside(paths: LedgerPaths, atMs: number): string {
  const stamp = new Date(atMs).toISOString().replaceAll(':', '-')
  let aside = `${paths.db}.corrupt-${stamp}`
  for (let n = 2; existsSync(aside) || existsSync(`${aside}-wal`); n += 1) {
    aside = `${paths.db}.corrupt-${stamp}-${n}`
  }
  // The log first: alone it would be taken for that of the database made next.
  if (existsSync(paths.wal)) renameSync(paths.wal, `${aside}-wal`)
  if (existsSync(paths.db)) renameSync(paths.db, aside)
  rmSync(`${paths.db}-shm`, { force: true })
  syncDirectory(paths.directory)
  return aside
}

/** A rename is durable only when its directory is. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
