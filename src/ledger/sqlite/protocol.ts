/**
 * What the two sides of the ledger's thread say to each other. Each request is answered once, in
 * order; the first reply, numbered 0, is that of opening, whose options came as workerData.
 */

import type { Image } from '../../core/image.js'
import type { AuditQuery } from '../ledger.js'
import type { AuditSlice } from './audit.js'

export interface OpenOptions {
  readonly directory: string
  /** Largest size in pages of 4 KiB; SQLite refuses to grow beyond it. For tests of a full disk. */
  readonly maxPages: number | undefined
  readonly busyTimeoutMs: number
  readonly onCorrupt: 'refuse' | 'move-aside'
  /** When the same process opens it again: the ledger that it must be. Then nothing is created. */
  readonly expectedId: string | undefined
  readonly nowMs: number
  /** The newest so many audit records of sessions are kept: see auditBounds. */
  readonly auditEvents: number
}

export interface Opened {
  readonly id: string
  readonly path: string
  readonly schemaVersion: number
  readonly bootId: string
  readonly revision: number
  readonly movedAside: { readonly path: string; readonly reason: string } | undefined
}

export type Request =
  | { readonly kind: 'append'; readonly bytes: ArrayBuffer; readonly bootId: string }
  | { readonly kind: 'load' }
  | { readonly kind: 'read-audit'; readonly query: AuditQuery }
  | {
      readonly kind: 'archive'
      readonly cause: string
      readonly bootId: string
      readonly atMs: number
    }
  /** `checkpoint` false: the handle is not trusted, it is only let go. */
  | { readonly kind: 'close'; readonly checkpoint: boolean }

/** What each request is answered with. */
export interface Answers {
  /** Newest revision. */
  append: number
  load: Image
  'read-audit': AuditSlice
  archive: number
  close: number
}

export type Numbered = Request & { readonly id: number }

export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly failure: Failure }

/** Errors do not keep their class when they cross: this is what is left of each. */
export type Failure =
  | {
      readonly kind: 'fault'
      readonly message: string
      readonly outcome: 'NOT_WRITTEN' | 'UNKNOWN'
      readonly trusted: boolean
    }
  | { readonly kind: 'corrupt'; readonly path: string; readonly problem: string }
  | {
      readonly kind: 'too-new'
      readonly path: string
      readonly found: number
      readonly known: number
    }
  | { readonly kind: 'held'; readonly path: string }
  | { readonly kind: 'bug'; readonly message: string }
