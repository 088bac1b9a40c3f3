/** The table `meta`: the few facts about the whole ledger, by key. */

import type Database from 'better-sqlite3'
import { LedgerCorrupt } from './errors.js'

export interface Meta {
  readonly id: string
  readonly schema: number
  readonly bootId: string
  readonly revision: number
  readonly lastSession: number
}

export type MetaKey = 'id' | 'schema' | 'boot_id' | 'revision' | 'last_session' | 'opened_at'

export function readMeta(db: Database.Database, path: string): Meta {
  const rows = db.prepare<[], [string, unknown]>('SELECT key, value FROM meta').raw().all()
  const values = new Map<string, unknown>(rows)
  const text = (key: MetaKey): string => {
    const value = values.get(key)
    if (typeof value !== 'string') throw new LedgerCorrupt(path, `meta has no ${key}`)
    return value
  }
  const whole = (key: MetaKey): number => {
    const value = values.get(key)
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new LedgerCorrupt(path, `meta has no ${key}`)
    }
    return value
  }
  return {
    id: text('id'),
    schema: whole('schema'),
    bootId: text('boot_id'),
    revision: whole('revision'),
    lastSession: whole('last_session'),
  }
}

/** Pairs with readMeta(). */
export function metaWriter(db: Database.Database): (key: MetaKey, value: string | number) => void {
  const statement = db.prepare<[string, string | bigint]>(
    'INSERT INTO meta (key, value) VALUES (?, ?) ' +
      'ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  )
  return (key, value) => {
    // better-sqlite3 binds every number as REAL, and a column of type ANY would keep it so.
    statement.run(key, typeof value === 'number' ? BigInt(value) : value)
  }
}
