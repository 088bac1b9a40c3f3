/**
 * The door of the ledger: the durable record. Append batches in order, load everything. Narrow
 * enough that another engine could stand behind it; SQLite does (`ledger/sqlite/`).
 */

import type { AuditAction, AuditRecord } from '../core/audit.js'
import type { Change } from '../core/events.js'
import type { Image } from '../core/image.js'

/**
 * The world failed: disk full, I/O error, a writer that died. `outcome` says what is known of the
 * batch: NOT_WRITTEN is certain; UNKNOWN must be resolved by `reopen`.
 */
export class LedgerFault extends Error {
  override readonly name = 'LedgerFault'
  constructor(
    message: string,
    readonly outcome: 'NOT_WRITTEN' | 'UNKNOWN',
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}

export interface LedgerFacts {
  /** Random, made with the file: names this ledger for its life. */
  readonly id: string
  readonly path: string
  readonly schemaVersion: number
  /** Boot that wrote the newest change, or '' for a new ledger. */
  readonly bootId: string
  /** Newest committed revision; 0 for a new ledger. */
  readonly revision: number
  /** Why an older file was moved aside when this one was opened, and where to; absent mostly. */
  readonly movedAside: { readonly path: string; readonly reason: string } | undefined
}

/** An audit record with the revision of its change, which names it. */
export interface AuditRow extends AuditRecord {
  readonly revision: number
}

/** Which audit records are asked for; undefined = whatever. */
export interface AuditQuery {
  /** Only older ones: below this revision. */
  readonly before: number | undefined
  /** 1..5000. */
  readonly limit: number
  readonly action: AuditAction | undefined
  /** Exact. */
  readonly subject: string | undefined
  /** Of the actor. */
  readonly uid: number | undefined
  readonly outcome: string | undefined
}

export interface Ledger {
  readonly facts: LedgerFacts

  /**
   * Makes the changes durable, all or none, in order; resolves after the sync. Revisions continue
   * without a gap from the newest committed. Not called again before it has settled.
   * @throws LedgerFault
   */
  append(changes: readonly Change[]): Promise<void>

  /**
   * Everything durable. May be called at any time between appends; `Check` compares it with memory.
   * @throws LedgerFault
   */
  load(): Promise<Image>

  /**
   * Audit records, newest first. Of each share only the newest are kept: `auditBounds` of what the
   * ledger was opened with.
   * @throws LedgerFault
   */
  readAudit(query: AuditQuery): Promise<readonly AuditRow[]>

  /**
   * After a fault: a fresh writer on the same file, checkpointed, verified writable by a real
   * commit; answers the newest committed revision.
   * @throws LedgerFault while it cannot be
   */
  reopen(): Promise<number>

  /**
   * A new boot of the host: every session, grant, attachment and binding of the former one is
   * archived with the cause and no longer in force. Numbers of tenants and devices stay.
   * Answers how many grants were archived.
   * @throws LedgerFault
   */
  archive(cause: string, bootId: string): Promise<number>

  /** Checkpoints and closes; resolves when the file is released. */
  close(): Promise<void>
}
