/**
 * Ledgers of former releases open, and keep everything. The schemas are frozen here, as text of
 * their own: a migration that was edited after its release would not be noticed otherwise.
 */

import { mkdirSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { LedgerCorrupt } from '../../src/ledger/sqlite/sqlite-ledger.js'
import {
  AT,
  audited,
  binding,
  changesAfter,
  closed,
  freeBegun,
  granted,
  limits,
  linesOf,
  opened,
  session,
  sortedJson,
} from '../support/ledger-events.js'
import { LedgerDirectory } from '../support/ledger-home.js'

/** As release 0.1.0 made it. */
const VERSION_1 = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE tenant (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 65535),
    name TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE device (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4095),
    name TEXT NOT NULL UNIQUE
  ) STRICT;
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
  ) STRICT;
  CREATE TABLE allocation (
    id INTEGER PRIMARY KEY CHECK (id > 0 AND id < 4097 * 1048576 AND id % 1048576 > 0),
    slot INTEGER NOT NULL CHECK (slot BETWEEN 1 AND 3),
    session INTEGER NOT NULL CHECK (session BETWEEN 1 AND 4294967295),
    tenant INTEGER NOT NULL CHECK (tenant BETWEEN 0 AND 65535),
    generation INTEGER NOT NULL CHECK (generation >= 0),
    at INTEGER NOT NULL CHECK (at >= 0),
    labels TEXT
  ) STRICT;
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
  ) STRICT, WITHOUT ROWID;
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

/** 'PASI'. */
const APPLICATION_ID = 0x5041_5349
const LEDGER_ID = '0123456789abcdef0123456789abcdef'

/** A row or two in every table, as release 0.1.0 would have left them. */
const ROWS = `
  INSERT INTO meta VALUES ('id', '${LEDGER_ID}'), ('schema', 1), ('boot_id', 'boot-1'),
    ('revision', 40), ('last_session', 9), ('opened_at', ${AT});
  INSERT INTO migration VALUES (1, 'first', ${AT});
  INSERT INTO tenant VALUES (0, 'default'), (7, 'grün');
  INSERT INTO device VALUES (0, 'gpu-0'), (4095, 'nic-1');
  INSERT INTO session VALUES
    (1, 'vm-1', 0, '${'a'.repeat(64)}', 1000, '{"team":"grün"}', ${AT}, 'OPEN'),
    (9, 'vm-9', 7, '${'b'.repeat(64)}', 0, '{}', 0, 'CLOSING');
  INSERT INTO attachment VALUES (1, 0, 'ATTACHED'), (9, 4095, 'DETACHING');
  INSERT INTO binding VALUES (256, 1, '${sortedJson(binding(1, 256, { state: 'BOUND' }))}');
  INSERT INTO allocation VALUES
    (256, 1, 1, 0, 30, ${AT}, '{"vm":"a"}'), (257, 3, 1, 0, 30, ${AT}, NULL),
    (4096 * 1048576 + 5, 2, 9, 7, 31, 0, NULL);
  INSERT INTO request VALUES
    (1, 30, 0, 1, 4294967295, 2, 3, 4, ${AT}, 256), (-8, 20, 7, 0, 5, 6, 7, 8, 0, 9);
  INSERT INTO archived_session VALUES (1, 'boot-0', 3, 'old', 0, 1, 2, 3, ${AT}, 'reboot');
  INSERT INTO archived_grant VALUES (1, 'boot-0', 0, 300, 'old', 0, 4, 1, ${AT}, 'reboot');
`

function made(schema: string, rows = ROWS): LedgerDirectory {
  const directory = new LedgerDirectory()
  mkdirSync(directory.path, { mode: 0o700 })
  const db = new Database(directory.file)
  db.pragma('journal_mode = WAL')
  db.pragma(`application_id = ${APPLICATION_ID}`)
  db.pragma(`user_version = ${Number.parseInt(LEDGER_ID.slice(0, 8), 16)}`)
  db.exec(schema)
  db.exec(rows)
  db.close()
  return directory
}

/** As 0.2.0 had it for a while: sessions with owners, and nothing of proofs. */
const VERSION_2 = `${VERSION_1.slice(0, VERSION_1.indexOf('CREATE TABLE session'))}
  CREATE TABLE session (
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
  ${VERSION_1.slice(VERSION_1.indexOf('CREATE TABLE attachment'))}
  ALTER TABLE tenant ADD COLUMN override TEXT CHECK (json_valid(override));
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

const ROWS_2 = `
  INSERT INTO meta VALUES ('id', '${LEDGER_ID}'), ('schema', 2), ('boot_id', 'boot-1'),
    ('revision', 40), ('last_session', 9), ('opened_at', ${AT});
  INSERT INTO migration VALUES (1, 'first', ${AT}), (2, 'owners, limits at run time, audit', ${AT});
  INSERT INTO tenant VALUES (0, 'default', NULL);
  INSERT INTO session VALUES
    (1, 'vm-1', 0, '${'a'.repeat(64)}', 1000, '{}', ${AT}, NULL, 12, 5000, 'LINGERING', 'EXIT', 0),
    (9, 'vm-9', 0, '${'b'.repeat(64)}', 1000, '{}', ${AT}, NULL, NULL, 0, 'CLOSING', 'INFERRED', 1);`

function schemaOf(directory: LedgerDirectory) {
  return directory.query('SELECT name, sql FROM sqlite_schema ORDER BY name').map((row) => {
    const { name, sql } = row as { name: string; sql: string | null }
    return { name, sql: sql?.replaceAll(/\s+/g, ' ').replaceAll('"', '') }
  })
}

const unowned = {
  owner: undefined,
  delegate: undefined,
  lingerMs: 0,
  withheld: false,
  unproven: false,
}
const VM_1 = session(1, {
  ...unowned,
  name: 'vm-1',
  tokenHash: 'a'.repeat(64),
  labels: { team: 'grün' },
})
const KEPT = [
  `binding ${sortedJson(binding(1, 256, { state: 'BOUND' }))}`,
  'attachment 1 0 ATTACHED',
  'attachment 9 4095 DETACHING',
  'device 0 gpu-0',
  'device 4095 nic-1',
  'last session 9',
  `pasid 0 256 1 1 0 30 ${AT} {"vm":"a"}`,
  // Labels are of the grant, whatever has become of its numbers.
  `pasid 0 257 3 1 0 30 ${AT} {"vm":"a"}`,
  'pasid 4096 5 2 9 7 31 0 -',
  'request 0 7 OpenSession 5 6 7 8 0 9 20',
  `request 1 0 AllocatePasids 4294967295 2 3 4 ${AT} 256 30`,
  'revision 40',
  'tenant 0 default',
  'tenant 7 grün',
]

describe('a ledger of release 0.1.0', () => {
  test('opens, keeps everything, and its sessions have no owner', async () => {
    const directory = made(VERSION_1)
    const ledger = await directory.open()
    expect(ledger.facts).toMatchObject({
      id: LEDGER_ID,
      schemaVersion: 3,
      bootId: 'boot-1',
      revision: 40,
      movedAside: undefined,
    })
    const vm9 = { ...VM_1, id: 9, name: 'vm-9', tenant: 7, tokenHash: 'b'.repeat(64) }
    const closing = { ...vm9, maxPasids: 0, labels: {}, openedAt: 0, state: 'CLOSING' }
    const sessions = [`session ${sortedJson(VM_1)}`, `session ${sortedJson(closing)}`]
    const image = await ledger.load()
    expect(linesOf(image)).toEqual([...KEPT, ...sessions].sort())
    expect(image.sessions[1]).toEqual({ ...closing, ...unowned, cause: undefined })
    await ledger.close()
    const tables = ['archived_session', 'archived_grant', 'migration']
    const counted = tables.map((table) => directory.query(`SELECT count(*) AS n FROM ${table}`))
    expect(counted).toEqual([[{ n: 1 }], [{ n: 1 }], [{ n: 3 }]])
  })

  test('goes on: what is there changes, what is new is kept, over another opening', async () => {
    const directory = made(VERSION_1)
    const ledger = await directory.open()
    const [, vm9] = (await ledger.load()).sessions
    if (vm9 === undefined) throw new Error('two sessions')
    const owned = { ...VM_1, owner: session(1).owner }
    const bound = binding(1, 256, { state: 'BOUND' })
    await ledger.append(
      changesAfter(
        ledger,
        [{ kind: 'session-changed', before: VM_1, after: owned }, audited()],
        [limits(7, undefined, { maxSessions: null })],
        [closed(vm9), { kind: 'binding-changed', before: bound, after: undefined }],
        (revision) => [freeBegun(1, 256, 1), granted(1, 257, 1, { revision })],
        [opened(session(10, { name: 'vm-9' }))],
      ),
    )
    await ledger.close()
    const again = await directory.open()
    const lines = linesOf(await again.load())
    expect(lines).toContain(`session ${sortedJson(owned)}`)
    expect(lines).toContain('tenant 7 grün {"maxSessions":null}')
    expect(lines.filter((line) => line.includes('"vm-9"'))).toHaveLength(1)
    const any = { action: undefined, subject: undefined, uid: undefined, outcome: undefined }
    const rows = await again.readAudit({ before: undefined, limit: 9, ...any })
    expect(rows.map(({ revision }) => revision)).toEqual([41])
    await again.close()
  })

  test('has the schema then that a new ledger has', async () => {
    const [old, fresh] = [made(VERSION_1), new LedgerDirectory()]
    for (const directory of [old, fresh]) await (await directory.open()).close()
    expect(schemaOf(old)).toEqual(schemaOf(fresh))
  })

  test('of which the next version cannot be made is corrupt, and stays what it was', async () => {
    const directory = made(
      VERSION_1.replace('name TEXT NOT NULL UNIQUE,\n    tenant', 'name TEXT,\n    tenant'),
      ROWS.replace('vm-9', 'vm-1'),
    )
    const error: unknown = await directory.open().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(LedgerCorrupt)
    expect((error as LedgerCorrupt).problem).toContain('UNIQUE')
    expect(directory.query('SELECT max(version) AS version FROM migration')).toEqual([
      { version: 1 },
    ])
    expect(directory.query('SELECT count(*) AS n FROM session')).toEqual([{ n: 2 }])
  })
})

describe('a ledger of schema version 2', () => {
  test('opens, keeps everything, and nothing in it is unproven', async () => {
    const directory = made(VERSION_2, ROWS_2)
    const ledger = await directory.open()
    expect(ledger.facts).toMatchObject({ schemaVersion: 3, revision: 40 })
    const { sessions } = await ledger.load()
    const lingering = { delegate: 12, lingerMs: 5000, state: 'LINGERING', cause: 'EXIT' }
    expect(sessions).toMatchObject([
      { id: 1, ...lingering, withheld: false, unproven: false },
      { id: 9, state: 'CLOSING', cause: 'INFERRED', withheld: true, unproven: false },
    ])
    const before = sessions[1]
    if (before === undefined) throw new Error('two sessions')
    const after = { ...before, withheld: false, unproven: true }
    await ledger.append(changesAfter(ledger, [{ kind: 'session-changed', before, after }]))
    await ledger.close()
    const again = await directory.open()
    expect(linesOf(await again.load())).toContain(`session ${sortedJson(after)}`)
    await again.close()
  })

  test('has the schema then that a new ledger has', async () => {
    const [old, fresh] = [made(VERSION_2, ROWS_2), new LedgerDirectory()]
    for (const directory of [old, fresh]) await (await directory.open()).close()
    expect(schemaOf(old)).toEqual(schemaOf(fresh))
  })
})
