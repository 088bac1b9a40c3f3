/**
 * The schema, as the steps that lead to it. A released step is never edited: a change is a new
 * step.
 *
 * | version | release | what changed                                          |
 * |---------|---------|-------------------------------------------------------|
 * | 1       | 0.1.0   | the first                                             |
 * | 2       | 0.2.0   | owners of sessions, limits changed at run time, audit |
 * | 3       | 0.2.0   | sessions whose end is not proven in the hardware      |
 *
 * An allocation's id is namespace * 2^20 + pasid, a binding's key device * 2^20 + target, a
 * request's owner the session's id or, for OpenSession, -1 - tenant. Columns hold what core/ids.ts
 * allows; CHECK says so again at every write, and columns.ts and records.ts at every load.
 */

export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

/**
 * Numbers of a namespace: one row a number, from its first grant on. slot: core/namespace.ts SLOT.
 */
const ALLOCATION = `
  CREATE TABLE allocation (
    id INTEGER PRIMARY KEY CHECK (id > 0 AND id < 4097 * 1048576 AND id % 1048576 > 0),
    slot INTEGER NOT NULL CHECK (slot BETWEEN 1 AND 3),
    session INTEGER NOT NULL CHECK (session BETWEEN 1 AND 4294967295),
    tenant INTEGER NOT NULL CHECK (tenant BETWEEN 0 AND 65535),
    generation INTEGER NOT NULL CHECK (generation >= 0),
    at INTEGER NOT NULL CHECK (at >= 0),
    labels TEXT
  ) STRICT;`

const SESSIONS = `
  CREATE TABLE session (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
    name TEXT NOT NULL UNIQUE,
    tenant INTEGER NOT NULL CHECK (tenant BETWEEN 0 AND 65535),
    token_hash TEXT NOT NULL,
    max_pasids INTEGER NOT NULL CHECK (max_pasids >= 0),
    labels TEXT NOT NULL CHECK (json_valid(labels)),
    opened_at INTEGER NOT NULL CHECK (opened_at >= 0),
    state TEXT NOT NULL CHECK (state IN ('OPEN', 'CLOSING'))
  ) STRICT;
  CREATE TABLE attachment (
    session INTEGER NOT NULL,
    device INTEGER NOT NULL CHECK (device BETWEEN 0 AND 4095),
    state TEXT NOT NULL CHECK (state IN ('ATTACHING', 'ATTACHED', 'DETACHING')),
    PRIMARY KEY (session, device)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE binding (
    key INTEGER PRIMARY KEY CHECK (key >= 0 AND key < 4096 * 1048576),
    session INTEGER NOT NULL,
    record TEXT NOT NULL CHECK (json_valid(record))
  ) STRICT;`

/** At most one request id a change, so (owner, revision) names it, oldest first. */
const REQUEST = `
  CREATE TABLE request (
    owner INTEGER NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    tenant INTEGER NOT NULL CHECK (tenant BETWEEN 0 AND 65535),
    method INTEGER NOT NULL CHECK (method BETWEEN 0 AND 255),
    id_high INTEGER NOT NULL,
    id_low INTEGER NOT NULL,
    fingerprint_high INTEGER NOT NULL,
    fingerprint_low INTEGER NOT NULL,
    at INTEGER NOT NULL CHECK (at >= 0),
    answer INTEGER NOT NULL CHECK (answer >= 0),
    PRIMARY KEY (owner, revision)
  ) STRICT, WITHOUT ROWID;`

/** What former boots held: for people, never read back. */
const ARCHIVE = `
  CREATE TABLE archived_session (
    id INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,
    session INTEGER NOT NULL,
    name TEXT NOT NULL,
    tenant INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    devices INTEGER NOT NULL,
    bindings INTEGER NOT NULL,
    archived_at INTEGER NOT NULL,
    cause TEXT NOT NULL
  ) STRICT;
  CREATE TABLE archived_grant (
    id INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,
    namespace INTEGER NOT NULL,
    pasid INTEGER NOT NULL,
    session TEXT NOT NULL,
    tenant INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    at INTEGER NOT NULL,
    archived_at INTEGER NOT NULL,
    cause TEXT NOT NULL
  ) STRICT;`

const FIRST = `
  CREATE TABLE tenant (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 65535),
    name TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE device (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4095),
    name TEXT NOT NULL UNIQUE
  ) STRICT;
  ${SESSIONS}
  ${ALLOCATION}
  ${REQUEST}
  ${ARCHIVE}`

/** A CHECK cannot be changed, so the table is made anew. What is there has no known owner. */
const OWNED_SESSIONS = `
  CREATE TABLE owned_session (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
    name TEXT NOT NULL UNIQUE,
    tenant INTEGER NOT NULL CHECK (tenant BETWEEN 0 AND 65535),
    token_hash TEXT NOT NULL,
    max_pasids INTEGER NOT NULL CHECK (max_pasids >= 0),
    labels TEXT NOT NULL CHECK (json_valid(labels)),
    opened_at INTEGER NOT NULL CHECK (opened_at >= 0),
    owner TEXT CHECK (json_valid(owner)),
    delegate INTEGER CHECK (delegate BETWEEN 0 AND 4294967295),
    linger_ms INTEGER NOT NULL CHECK (linger_ms >= 0),
    state TEXT NOT NULL CHECK (state IN ('OPEN', 'LINGERING', 'CLOSING')),
    cause TEXT CHECK (cause IN ('CLOSED', 'EXIT', 'SWEEP', 'INFERRED', 'LINGER', 'OPERATOR')),
    withheld INTEGER NOT NULL CHECK (withheld IN (0, 1)),
    CHECK (state = 'CLOSING' OR (state = 'LINGERING') = (cause IS NOT NULL))
  ) STRICT;
  INSERT INTO owned_session (id, name, tenant, token_hash, max_pasids, labels, opened_at, owner,
      delegate, linger_ms, state, cause, withheld)
    SELECT id, name, tenant, token_hash, max_pasids, labels, opened_at, NULL, NULL, 0, state,
      NULL, 0
    FROM session;
  DROP TABLE session;
  ALTER TABLE owned_session RENAME TO session;`

/**
 * At most one record a change, so its revision names it. Actions and outcomes may become more, so
 * they are not listed here. One index is for the one filter that picks a few out of all, the others
 * lead to the oldest of each share, which goes first: each record is in one of them.
 */
const AUDIT = `
  CREATE TABLE audit (
    revision INTEGER PRIMARY KEY CHECK (revision >= 1),
    at INTEGER NOT NULL CHECK (at >= 0),
    action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    uid INTEGER CHECK (uid BETWEEN 0 AND 4294967295),
    gid INTEGER CHECK (gid BETWEEN 0 AND 4294967295),
    pid INTEGER CHECK (pid BETWEEN 0 AND 4194304),
    subject TEXT NOT NULL CHECK (length(subject) <= 512),
    cause TEXT NOT NULL CHECK (length(cause) <= 512),
    outcome TEXT NOT NULL CHECK (length(outcome) BETWEEN 1 AND 64),
    details TEXT NOT NULL CHECK (length(details) <= 512),
    share TEXT NOT NULL CHECK (share IN ('SESSIONS', 'OPERATORS')),
    CHECK ((uid IS NULL) = (pid IS NULL) AND (gid IS NULL) = (pid IS NULL))
  ) STRICT;
  CREATE INDEX audit_subject ON audit (subject);
  CREATE INDEX audit_sessions ON audit (revision) WHERE share = 'SESSIONS';
  CREATE INDEX audit_operators ON audit (revision) WHERE share = 'OPERATORS';`

const OWNERS = `
  ALTER TABLE tenant ADD COLUMN override TEXT CHECK (json_valid(override));
  ${OWNED_SESSIONS}
  ${AUDIT}`

/** What was closing had a backend that proves it. */
const UNPROVEN = `
  ALTER TABLE session ADD COLUMN unproven INTEGER NOT NULL DEFAULT 0
    CHECK (unproven IN (0, 1));`

/** Ascending by version, without a gap. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'first', sql: FIRST },
  { version: 2, name: 'owners, limits at run time, audit', sql: OWNERS },
  { version: 3, name: 'unproven ends of sessions', sql: UNPROVEN },
]

export const SCHEMA_VERSION = MIGRATIONS.length

/** Made before any migration: what is known of a file whatever its version. */
export const BASE = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at INTEGER NOT NULL
  ) STRICT;`
