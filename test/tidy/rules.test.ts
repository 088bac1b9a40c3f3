/**
 * The rules find what they are for: each test makes up a house with one fault and sees it named.
 */
import { describe, expect, test } from 'vitest'
import { checkAll } from './rules.js'

const HOUSE = {
  'src/core/ids.ts': `/** Ids. */\nexport type Pasid = number\n`,
  'src/ledger/ledger.ts': `/** The door. */\nimport type { Pasid } from '../core/ids.js'\nexport type Row = Pasid\n`,
  'src/ledger/sqlite/store.ts': `/** SQLite. */\nimport Database from 'better-sqlite3'\nimport type { Row } from '../ledger.js'\nexport const url = new URL('./thread.js', import.meta.url)\nexport const open = (row: Row) => [new Database(), row]\n`,
  'src/ledger/sqlite/thread.ts': `/** Runs on its own thread. */\nimport type { Row } from '../ledger.js'\nexport const row: Row = 1\n`,
  'src/backend/backend.ts': `/** The door. */\nexport interface Backend { readonly name: string }\n`,
  'src/broker/broker.ts': `/** The broker. */\nimport type { Row } from '../ledger/ledger.js'\nimport type { Backend } from '../backend/backend.js'\nexport const broker = (row: Row, backend: Backend) => [row, backend]\n`,
  'src/daemon/main.ts': `/** Starts. */\nimport { open } from '../ledger/sqlite/store.js'\nimport { broker } from '../broker/broker.js'\nexport const main = () => [open(1), broker]\n`,
}

/** The violations of the sound house with these files added or replaced. */
function houseWith(changes: Readonly<Record<string, string>>): readonly string[] {
  return checkAll(new Map(Object.entries({ ...HOUSE, ...changes })))
}

/** A file of core that something reaches, with this body below a header. */
function coreWith(body: string): readonly string[] {
  return houseWith({
    'src/core/more.ts': `/** More. */\n${body}\n`,
    'test/unit/more.test.ts': `import '../../src/core/more.js'\n`,
  })
}

test('a sound house has no violation', () => {
  expect(houseWith({})).toEqual([])
})

describe('arrows', () => {
  test('an import upward', () => {
    const text = `/** Ids. */\nimport { broker } from '../broker/broker.js'\nexport type Pasid = typeof broker\n`
    expect(houseWith({ 'src/core/ids.ts': text })).toContainEqual(
      'src/core/ids.ts:2: arrow: core/ may not see broker/broker.ts; its rooms are nothing',
    )
  })
  test.each([
    `import type { Row } from '../ledger/ledger.js'`,
    `export type { Row } from '../ledger/ledger.js'`,
    `export type Row = import('../ledger/ledger.js').Row`,
    `export const later = () => import('../ledger/ledger.js')`,
  ])('an import upward in the form %s', (line) => {
    expect(coreWith(line)).toContainEqual(
      'src/core/more.ts:2: arrow: core/ may not see ledger/ledger.ts; its rooms are nothing',
    )
  })
  test('an implementation imported by the broker', () => {
    const text = `/** B. */\nimport { open } from '../ledger/sqlite/store.js'\nexport const broker = open\n`
    expect(houseWith({ 'src/broker/broker.ts': text })).toContainEqual(
      'src/broker/broker.ts:2: arrow: broker/ may not see ledger/sqlite/store.ts; ' +
        'its rooms are core, ledger/ledger.ts, backend/backend.ts, backend/lab.ts',
    )
  })
  test('neighbours that see each other', () => {
    const text = `/** The door. */\nimport type { Row } from '../ledger/ledger.js'\nexport type Backend = Row\n`
    expect(houseWith({ 'src/backend/backend.ts': text })).toContainEqual(
      'src/backend/backend.ts:2: arrow: backend/ may not see ledger/ledger.ts; ' +
        'its rooms are uapi, core',
    )
  })
  test('a package in core', () => {
    expect(coreWith(`import { z } from 'zod'\nexport const id = z`)).toEqual([
      'src/core/more.ts:2: arrow: core/ may not use the package zod; its packages are nothing',
    ])
  })
  test("one of Node's modules in core", () => {
    expect(coreWith(`import fs from 'node:fs'\nexport const id = fs`)).toEqual([
      "src/core/more.ts:2: arrow: core/ may not use node:fs; of Node's modules it has nothing",
    ])
  })
  test('a scoped package by its subpath', () => {
    expect(
      coreWith(`import { x } from '@grpc/grpc-js/build/x.js'\nexport const id = x`)[0],
    ).toMatch('may not use the package @grpc/grpc-js;')
  })
  test('an import of no file, and a file in no room', () => {
    const found = houseWith({
      'src/attic/box.ts': `/** Box. */\nexport const box = 1\n`,
      'src/daemon/main.ts': `${HOUSE['src/daemon/main.ts']}export * as x from '../attic/box.js'\nexport { y } from './gone.js'\n`,
    })
    expect(found.join('\n')).toMatch('src/attic/box.ts:1: arrow: is in no room of the house')
    expect(found.join('\n')).toMatch(
      'src/daemon/main.ts:6: arrow: daemon/ ./gone.js is no file here',
    )
  })
})

describe('cycles', () => {
  const two = (kind: string) => ({
    'src/core/a.ts': `/** A. */\n${kind} { B } from './b.js'\nexport type A = B\n`,
    'src/core/b.ts': `/** B. */\nimport type { C } from './c.js'\nexport type B = C\n`,
    'src/core/c.ts': `/** C. */\n${kind} { A } from './a.js'\nexport type C = A\n`,
    'test/unit/a.test.ts': `import '../../src/core/a.js'\n`,
  })
  test.each(['import', 'import type', 'export type'])('by %s', (kind) => {
    expect(houseWith(two(kind))).toEqual([
      'src/core/a.ts:2: cycle: no cycles, type imports included: ' +
        'src/core/a.ts -> src/core/b.ts -> src/core/c.ts -> src/core/a.ts',
    ])
  })
})

describe('dead files', () => {
  const dead = { 'src/core/dead.ts': `/** Dead. */\nexport const dead = 1\n` }
  test('that no entry reaches', () => {
    expect(houseWith(dead)[0]).toMatch('src/core/dead.ts:1: dead file: no entry reaches it')
  })
  test('but not those that a thread starts from, or that a test uses', () => {
    expect(houseWith({})).toEqual([])
    const used = { 'test/unit/dead.test.ts': `import '../../src/core/dead.js'\n` }
    expect(houseWith({ ...dead, ...used })).toEqual([])
  })
})

describe('sizes', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `  f(${String(i)})`)
  test('a long function', () => {
    const body = (count: number) => `export function f(x: number) {\n${lines(count).join('\n')}\n}`
    expect(coreWith(body(68))).toEqual([])
    expect(coreWith(body(69))).toEqual([
      'src/core/more.ts:2: function size: f has 71 lines; at most 70',
    ])
  })
  test('a long file', () => {
    const body = (count: number) => lines(count).join('\n')
    expect(coreWith(body(399))).toEqual([])
    expect(coreWith(body(400))).toEqual(['src/core/more.ts:401: file size: 401 lines; at most 400'])
  })
  test('a long line, unless it holds an address', () => {
    const text = 'x'.repeat(98)
    expect(coreWith(`// ${text}`)).toEqual([
      'src/core/more.ts:2: line length: 101 columns; at most 100',
    ])
    expect(coreWith(`// https://${text}`)).toEqual([])
  })
})

describe('bans', () => {
  test.each([
    [
      'export const now = Date.now()',
      'Date.now in core: core/ is pure; it comes in as an argument',
    ],
    [
      'export const x = Math.random()',
      'Math.random in core: core/ is pure; it comes in as an argument',
    ],
    ['export const x = process.pid', 'process in core: core/ is pure; it comes in as an argument'],
    ['setTimeout(() => 1, 5)', 'setTimeout in core: core/ is pure; it comes in as an argument'],
    ['export const x = new Date()', 'new Date in core: core/ is pure; instants come in as numbers'],
    ['export const f = async () => 1', 'async in core: core/ is synchronous'],
    ['console.log(1)', 'console in core: only cli and daemon write to it'],
    ['export const x: any = 1', 'any: unknown, and a check at the border'],
    ['export default 1', 'default export: named exports only'],
    ['export default function f() {}', 'default export: named exports only'],
    ['const x = 1\nexport { x as default }', 'default export: named exports only'],
    ['export enum E { A }', 'enum: a union of strings, or a table `as const`'],
    ['export const f = (x: number) => x!', 'non-null !: assert, or handle undefined'],
    [`export * from './ids.js'`, 'barrel: no `export *`; import from the file itself'],
    ['// TODO: later', 'mark: TODO: do it, or open an issue'],
  ])('%s', (text, message) => {
    const line = String(1 + text.split('\n').length)
    expect(coreWith(text)).toEqual([`src/core/more.ts:${line}: ${message}`])
  })
  test.each([
    'export const f = (process: { pid: number }) => process.pid',
    'export interface Owner { readonly process: number }',
    'export const owner = { process: 1, performance: 2 }',
    '// any, Date.now() and console.log in a comment',
    `export const text = 'Date.now()'`,
  ])('but not %s', (text) => {
    expect(coreWith(text)).toEqual([])
  })
  test('a file without a header, and one with a name that says nothing', () => {
    const found = houseWith({
      'src/core/utils.ts': `export const x = 1\n`,
      'test/unit/x.test.ts': `import '../../src/core/utils.js'\n`,
    })
    expect(found.map((text) => text.split(': ')[1])).toEqual(['header', 'file name'])
  })
  test('the console is for cli and daemon', () => {
    const main = (line: string) => `${HOUSE['src/daemon/main.ts']}${line}\n`
    expect(houseWith({ 'src/daemon/main.ts': main('console.log(1)') })).toEqual([])
  })
  test.each(['test.only', 'test.skip', 'describe.skip', 'it.todo', 'test.concurrent.only'])(
    'a test hidden by %s',
    (call) => {
      const found = houseWith({ 'test/unit/x.test.ts': `${call}('x', () => {})\n` })
      expect(found).toEqual([
        `test/unit/x.test.ts:1: hidden test: ${call} hides tests; use ctx.skip(condition, 'the reason')`,
      ])
    },
  )
})
