/**
 * What `pasidctl` makes of messages: JSON as protobuf maps it, and nothing that steers a terminal.
 */
import fs from 'node:fs'
import path from 'node:path'
import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { PasidError } from '../../src/client/index.js'
import { CliFailure, EXIT, EXIT_HELP, exitCodeOf } from '../../src/cli/exits.js'
import { DURATION_FIELDS, durationText, jsonText, ONEOFS, plain } from '../../src/cli/json.js'
import { changesBetween, LIMITS_HELP, limitsIn } from '../../src/cli/limits.js'
import { requirePasid } from '../../src/cli/pasid.js'
import { ownerCommand } from '../../src/cli/process.js'
import { printable } from '../../src/cli/rows.js'
import { watchLines } from '../../src/cli/watch-lines.js'

const PROTO = path.resolve(import.meta.dirname, '../../proto/pasid/v1')
const fileText = (name: string) => fs.readFileSync(path.join(PROTO, `${name}.proto`), 'utf8')
/** Requests of the lab are never shown. */
const LAB_TEXT = fileText('emulator_lab').replace(/^message \w+Request \{\n[^]*?^\}\n/gm, '')
const PROTO_TEXT = [...['types', 'operator', 'pasid_broker'].map(fileText), LAB_TEXT]
  .join('\n')
  .replace(/^ *\/\/.*$/gm, '')

function namesIn(pattern: RegExp): Set<string> {
  const names = [...PROTO_TEXT.matchAll(pattern)].map(([, name = '']) => name)
  return new Set(names.map((name) => name.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase())))
}

describe('JSON', () => {
  test('knows which fields are spans of time, and which oneofs there are', () => {
    const durations = namesIn(/google\.protobuf\.Duration (\w+) =/g)
    expect(DURATION_FIELDS).toEqual(durations)
    const times = namesIn(/google\.protobuf\.Timestamp (\w+) =/g)
    expect([...times].filter((name) => durations.has(name))).toEqual([])
    expect(ONEOFS).toEqual(namesIn(/^ *oneof (\w+) \{/gm))
    // Only a text can be taken for one; of an audit record's it would have to be a field's name.
    const fields = namesIn(/^ *(?:optional |repeated )?string (\w+) = \d+;/gm)
    expect([...ONEOFS].filter((name) => fields.has(name))).toEqual(['outcome'])
  })
  test.each([
    [{ seconds: '0', nanos: 0 }, '0s'],
    [{ seconds: '90', nanos: 0 }, '90s'],
    [{ seconds: '1', nanos: 250_000_000 }, '1.250s'],
    [{ seconds: '0', nanos: 1_000 }, '0.000001s'],
    [{ seconds: '0', nanos: 7 }, '0.000000007s'],
  ])('a span %j is %s, as protobuf writes it', (span, text) => {
    expect(durationText(span)).toBe(text)
    expect(plain({ linger: span, openTime: { seconds: '0', nanos: 0 } })).toEqual({
      linger: text,
      openTime: '1970-01-01T00:00:00.000Z',
    })
  })
  test('leaves out discriminators, and no text that only looks like one', () => {
    const binding = { target: 'pasid', pasid: 7, _hostMax: 'hostMax', hostMax: 3 }
    expect(plain(binding)).toEqual({ pasid: 7, hostMax: 3 })
    const audit = {
      cause: 'time',
      time: null,
      labels: { a: 'b', b: 'x', seconds: '1', nanos: '2' },
    }
    expect(plain(audit)).toEqual(audit)
    expect(plain({ labels: { seconds: '1', nanos: '2' } })).toEqual({
      labels: { seconds: '1', nanos: '2' },
    })
  })
  test('is the same text read back, without a byte that steers a terminal', () => {
    const nasty = { reason: 'a\u001b[31m\u009b2J\u007f\u202e\u2028\u{e0001}\r\nb', last: 'ünï' }
    for (const indent of [undefined, 2]) {
      const text = jsonText(nasty, indent)
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      expect(JSON.parse(text)).toEqual(nasty)
    }
    expect(jsonText(nasty)).not.toMatch('\n')
  })
})

describe('text for the terminal', () => {
  test('has no controls, no line breaks, and keeps its direction', () => {
    expect(printable('ok ünï 漢')).toBe('ok ünï 漢')
    expect(printable('a\u001b[2Jb\u009bc\nd\u202ee\u2029f\u0000')).toBe('a?[2Jb?c?d?e?f?')
  })
  test('a watched event cannot break out of its line', () => {
    const { lines } = watchLines({
      change: {
        revision: '5',
        events: [
          {
            audit: {
              revision: '5',
              time: null,
              action: 'END_SESSION',
              actor: null,
              subject: 'sessions/x',
              cause: 'why\n\u001b]0;title\u0007',
              outcome: 'DONE',
              details: '',
            },
          },
        ],
      },
    })
    expect(lines).toEqual([
      '         5  audit       END_SESSION sessions/x by the daemon: DONE (why??]0;title?)',
    ])
  })
})

describe('limits', () => {
  test('a number, 0, inherit, a window', () => {
    expect(
      limitsIn([
        'max_pasids=1000',
        'guaranteed_pasids=0',
        'max_sessions=inherit',
        'session_max_pasids=7',
        'window=256-511',
      ]),
    ).toEqual({
      maxPasids: 1000,
      guaranteedPasids: 0,
      maxSessions: null,
      ownSessionMaxPasids: 7,
      ownWindow: { first: 256, last: 511 },
    })
    expect(limitsIn(['window=1..1048575'])).toEqual({ ownWindow: { first: 1, last: 1048575 } })
    expect(limitsIn(['window=inherit'])).toEqual({ ownWindow: null })
  })
  test.each([
    'max_pasids',
    'max_pasids=',
    'max_pasids=-1',
    'max_pasids=1e3',
    'max_pasids=4294967296',
    'max_pasids=99999999999999999999',
    'max_pasids= 1',
    'max_pasids=1\n',
    'colour=red',
    '=1',
    'window=5',
    'window=0-5',
    'window=6-5',
    'window=1-1048576',
    'window=1-2-3',
    'own_window=1-2',
  ])('%j is refused as a wrong command line', (pair) => {
    expect(() => limitsIn([pair])).toThrow(CliFailure)
    expect(() => limitsIn([pair])).toThrow(pair)
  })
  test('the same limit twice is refused', () => {
    expect(() => limitsIn(['max_pasids=1', 'max_pasids=2'])).toThrow(/max_pasids is there twice/)
  })
  test('help says what inherit and 0 mean, and names every limit', () => {
    expect(LIMITS_HELP).toMatch(/where 0 denies, or inherit: no limit of its own/)
    for (const name of ['max_pasids', 'guaranteed_pasids', 'max_sessions', 'session_max_pasids']) {
      expect(LIMITS_HELP).toMatch(name)
      expect(limitsIn([`${name}=1`])).not.toEqual({})
    }
  })
  test('what changed is told by name, from and to', () => {
    const before = { maxPasids: 5, maxSessions: 0, ownWindow: null }
    const after = { maxPasids: 5, ownWindow: { first: 1, last: 2 } }
    expect(changesBetween(before, after)).toEqual([
      ['max_sessions', '0 -> inherit'],
      ['window', 'inherit -> 1-2'],
    ])
    expect(changesBetween(before, before)).toEqual([])
  })
})

describe('numbers on the command line', () => {
  test('decimal and hexadecimal, 1 to 1048575', () => {
    expect(['1', '0x1388', '1048575'].map(requirePasid)).toEqual([1, 5000, 1048575])
    for (const text of ['0', '1048576', 'x', '', '-1', '1.5', '0b1']) {
      expect(() => requirePasid(text)).toThrow(CliFailure)
    }
  })
})

describe('the command of an owner', () => {
  const own = { pid: process.pid, uid: process.getuid?.() ?? 0, gid: 0 }
  test('is the name that the kernel has for the process now', () => {
    const name = fs.readFileSync(`/proc/${process.pid}/comm`, 'utf8').trimEnd()
    expect(ownerCommand({ state: 'SESSION_STATE_OPEN', owner: own })).toBe(name)
  })
  test('is not told when the pid may be another’s by now', () => {
    expect(ownerCommand({ state: 'SESSION_STATE_LINGERING', owner: own })).toBeUndefined()
    const others = { ...own, uid: own.uid + 54321 }
    expect(ownerCommand({ state: 'SESSION_STATE_OPEN', owner: others })).toBeUndefined()
    const nobody = { ...own, pid: 2 ** 22 }
    expect(ownerCommand({ state: 'SESSION_STATE_OPEN', owner: nobody })).toBeUndefined()
    expect(ownerCommand({ state: 'SESSION_STATE_OPEN', owner: null })).toBeUndefined()
  })
})

describe('exit codes', () => {
  test.each([
    [status.ABORTED, EXIT.CONFLICT],
    [status.PERMISSION_DENIED, EXIT.NO_PERMISSION],
    [status.UNAUTHENTICATED, EXIT.NO_PERMISSION],
    [status.NOT_FOUND, EXIT.NOT_FOUND],
    [status.UNAVAILABLE, EXIT.UNAVAILABLE],
    [status.FAILED_PRECONDITION, EXIT.FAILED],
  ])('code %i ends with %i', (code, exit) => {
    expect(exitCodeOf(new PasidError({ code, message: 'm', reason: 'R' }))).toBe(exit)
  })
  test('every one is told, here and in docs/PASIDCTL.md', () => {
    const file = path.resolve(import.meta.dirname, '../../docs/PASIDCTL.md')
    const document = fs.readFileSync(file, 'utf8')
    const told = [...document.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    expect(told).toEqual(Object.values(EXIT).sort((a, b) => a - b))
    for (const code of Object.values(EXIT)) expect(EXIT_HELP).toMatch(new RegExp(`\\b${code} `))
  })
})
