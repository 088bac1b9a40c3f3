/** A directory for a ledger of its own, and other processes that open it. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import type { Ledger } from '../../src/ledger/ledger.js'
import {
  openSqliteLedger,
  type SqliteLedgerOptions,
} from '../../src/ledger/sqlite/sqlite-ledger.js'
import { changesAfter, device, granted, opened, session, tenant } from './ledger-events.js'

const run = promisify(execFile)

/** The compiled product: other processes and threads run it, not the TypeScript. */
export const COMPILED = new URL('../../dist/ledger/sqlite/', import.meta.url)

export class LedgerDirectory {
  readonly base = mkdtempSync(join(tmpdir(), 'pasidd-ledger-'))
  /** Made by the ledger. */
  readonly path = join(this.base, 'state')
  readonly file = join(this.path, 'ledger.db')

  constructor() {
    onTestFinished(() => rmSync(this.base, { recursive: true, force: true }))
  }

  open(other: Partial<SqliteLedgerOptions> = {}): Promise<Ledger> {
    const options = { directory: this.path, bootId: 'boot-1', onCorrupt: 'refuse' } as const
    return openSqliteLedger({ ...options, busyTimeoutMs: 0, ...other })
  }

  /** One with tenant 0, device 0, and session 1 that holds 256 to 259 since revision 1. */
  async openFilled(other: Partial<SqliteLedgerOptions> = {}): Promise<Ledger> {
    const ledger = await this.open(other)
    await ledger.append(
      changesAfter(ledger, (revision) => [
        tenant(0),
        device(0),
        opened(session(1)),
        granted(1, 256, 4, { revision }),
      ]),
    )
    return ledger
  }

  /** Changes the file behind the ledger's back, while it is closed. */
  tamper(sql: string): void {
    const db = new Database(this.file, { fileMustExist: true })
    db.exec(sql)
    db.close()
  }

  query(sql: string): unknown[] {
    const db = new Database(this.file, { fileMustExist: true, readonly: true })
    try {
      return db.prepare(sql).all()
    } finally {
      db.close()
    }
  }

  /** A module beside the ledger, for a thread or a process to run. */
  script(name: string, text: string): URL {
    const path = join(this.base, name)
    writeFileSync(path, text)
    return pathToFileURL(path)
  }

  /** Runs a module whose last line of output is JSON, with `open()` and the event makers given. */
  async elsewhere<T>(body: string, environment: Record<string, string> = {}): Promise<T> {
    const script = this.script('elsewhere.mjs', this.prelude() + body)
    const { stdout } = await run(process.execPath, [script.pathname], {
      env: { ...process.env, ...environment },
    })
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as T
  }

  prelude(): string {
    const door = new URL('sqlite-ledger.js', COMPILED).href
    const options = { directory: this.path, bootId: 'boot-1', onCorrupt: 'refuse' }
    return `
      import { openSqliteLedger } from ${JSON.stringify(door)}
      const options = ${JSON.stringify({ ...options, busyTimeoutMs: 0 })}
      const open = () => openSqliteLedger(options)
      const tenant = (id) => ({ kind: 'tenant-registered', id, name: 'tenant-' + id })
      const say = (what) => console.log(JSON.stringify(what))
    `
  }
}
