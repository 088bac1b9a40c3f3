/** The table of refusals against docs/ERRORS.md, and what a status says on the wire. */
import fs from 'node:fs'
import path from 'node:path'
import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import type { Refusal, RefusalCode } from '../../src/core/refusal.js'
import { decodeStatus, STATUS_DETAILS_KEY } from '../../src/wire/details.js'
import {
  controlError,
  errorResponse,
  factsOf,
  incidentFacts,
  INTERNAL_REASON,
} from '../../src/wire/reply.js'
import { STATUS_TABLE } from '../../src/wire/status.js'

const range = { first: 1, last: 9 }
/** One of each; the compiler says when one is missing. */
const EXAMPLES: { readonly [Code in RefusalCode]: Omit<Extract<Refusal, { code: Code }>, 'code'> } =
  {
    INVALID_ARGUMENT: { field: 'min', value: '0', bound: 'at least 1', remedy: 'ask for 1' },
    PAGE_TOKEN_INVALID: { remedy: 'begin anew' },
    FILTER_INVALID: { filter: 'a b', problem: 'no' },
    FEATURE_NOT_AVAILABLE: { feature: 'watch', remedy: 'list' },
    SESSION_NOT_FOUND: { session: 'vm' },
    SESSION_TOKEN_WRONG: { session: 'vm' },
    SESSION_CLOSING: { session: 'vm' },
    SESSION_LINGERING: { session: 'vm' },
    NOT_OWNER: { session: 'vm', pid: 7 },
    IDENTITY_REFUSED: {
      uid: 65534,
      gid: 65534,
      pid: 0,
      problem: 'no number here',
      remedy: 'call from outside',
    },
    CALLER_ENDED: { pid: 7 },
    ROLE_NOT_ALLOWED: {
      role: 'observer',
      uid: 7,
      action: 'call EndSession',
      remedy: 'call as an operator',
    },
    OWNER_TOKEN_INVALID: { remedy: 'send the pidfd again' },
    OWNER_ENDED: { pid: 7 },
    SESSIONS_EXHAUSTED: { limit: 5 },
    REQUEST_ID_REUSED: { requestId: 'u', method: 'AllocatePasids' },
    REQUEST_IDS_EXHAUSTED: { limit: 5 },
    RANGE_EMPTY: { asked: range, window: range, widthBits: 8 },
    PASID_OUT_OF_RANGE: { pasid: 10, allowed: range },
    PASID_RESERVED: { pasid: 10, reason: 'host' },
    PASID_TAKEN: { pasid: 10, scope: 'HOST' },
    PASID_NOT_FOUND: { pasid: 10, scope: 'HOST' },
    PASID_BEING_FREED: { pasid: 10 },
    QUOTA_EXCEEDED: { level: 'TENANT', subject: 't', limit: 5, used: 4, aside: 1, asked: 2 },
    NAMESPACE_EXHAUSTED: { scope: 'HOST', range, asked: 2, free: 1, retryMs: 1500 },
    GENERATION_STALE: { pasid: 10, scope: 'HOST', generation: 5, current: 6 },
    TENANT_NOT_FOUND: { tenant: 't' },
    ETAG_STALE: { tenant: 't', etag: 'a', current: 'b' },
    SCOPE_NOT_ALLOWED: { device: 'd', scope: 'DEVICE', allowed: 'HOST' },
    DEVICE_NOT_FOUND: { device: 'd' },
    DEVICE_NOT_ATTACHED: { device: 'd' },
    DEVICE_ALREADY_ATTACHED: { device: 'd' },
    DEVICE_IN_USE: { device: 'd' },
    DEVICES_EXHAUSTED: { limit: 64 },
    PASID_BEYOND_DEVICE_WIDTH: { pasid: 300, device: 'd', widthBits: 8 },
    GUEST_PASID_MISMATCH: { pasid: 3, guestPasid: 4, device: 'd' },
    GUEST_PASID_TAKEN: { guestPasid: 4, device: 'd', pasid: 3 },
    TABLE_UNSUPPORTED: { device: 'd', field: 'f', value: '57', supported: '48' },
    ALREADY_BOUND: { device: 'd', target: 3 },
    NOT_BOUND: { device: 'd', target: 3 },
    RID_NOT_AVAILABLE: { device: 'd' },
    BIND_SUPERSEDED: { device: 'd', target: 3 },
    DEVICE_EXISTS: { device: 'd' },
    GROUP_TABLE_MISMATCH: { device: 'd', target: 10, group: 'g', other: 'e' },
    HAND_OVER_TOKEN_INVALID: { remedy: 'send the device again' },
    HAND_OVER_REFUSED: { device: 'd', problem: 'a pipe', remedy: 'send the cdev' },
    DEVICE_NOT_HANDED_OVER: { device: 'd' },
    MEMORY_TOKEN_INVALID: { remedy: 'send the memory again' },
    MEMORY_REFUSED: { problem: 'a socket', remedy: 'send a memfd' },
    MEMORY_OVERLAPS: { asked: '0x0..0xfff', mapped: '0x0..0x1fff' },
    MEMORY_NOT_FOUND: { asked: '0x0..0xfff' },
    MEMORY_EXHAUSTED: { limit: 5 },
    PAGE_REQUEST_NOT_FOUND: { remedy: 'go on' },
    INVALIDATION_UNSUPPORTED: { entry: 2, granularity: 'ADDRESS', caches: 'PASID_CACHE' },
    LEDGER_UNAVAILABLE: { retryMs: 250 },
    BACKEND_UNAVAILABLE: { device: 'd', problem: 'a call hangs', retryMs: 250 },
    BACKEND_REFUSED: { device: 'd', problem: 'no' },
    OVERLOADED: { limit: 5, what: 'calls' },
    RATE_LIMITED: { tenant: 'tenants/t', method: 'PasidBroker/GetSession', limit: 5, retryMs: 20 },
    DRAINING: {},
  }
const REFUSALS = Object.entries(EXAMPLES).map(([code, facts]) => ({ code, ...facts }) as Refusal)

interface DocumentedRow {
  readonly reason: string
  readonly status: string
  readonly meaning: string
  readonly remedy: string
}

function documented(): DocumentedRow[] {
  const file = path.resolve(import.meta.dirname, '../../docs/ERRORS.md')
  const rows: DocumentedRow[] = []
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    const [, reason, code, meaning, remedy] = line.split('|').map((cell) => cell.trim())
    if (reason?.startsWith('`') !== true) continue
    rows.push({
      reason: reason.replaceAll('`', ''),
      status: code ?? '',
      meaning: meaning ?? '',
      remedy: remedy ?? '',
    })
  }
  return rows
}

describe('docs/ERRORS.md', () => {
  const inCode = Object.entries(STATUS_TABLE).map(([reason, row]) => [reason, status[row.status]])

  test('has every reason of the table with its status, and none besides, each once', () => {
    const rows = documented().map(({ reason, status: code }) => [reason, code])
    expect(rows).toEqual([...inCode, [INTERNAL_REASON, 'INTERNAL']])
  })

  test('says for each what it means and what to do', () => {
    for (const { meaning, remedy } of documented()) {
      expect(meaning).toMatch(/\.$/)
      expect(remedy).toMatch(/\.$/)
    }
  })
})

describe.each(REFUSALS)('$code', (refusal) => {
  const facts = factsOf(refusal)
  const read = decodeStatus(controlError(facts).status as Buffer)

  test('comes back from the wire as it was', () => {
    expect(read).toEqual({ ...facts, reason: refusal.code })
  })

  test('every variable of the refusal is in the metadata, and in the message', () => {
    const variables = Object.entries(refusal).filter(([key, value]) => {
      return key !== 'code' && value !== undefined
    })
    expect(Object.keys(facts.metadata).sort()).toEqual(variables.map(([key]) => key).sort())
    for (const value of Object.values(facts.metadata)) expect(facts.message).toContain(value)
  })

  test('has the details that go with its status', () => {
    expect(facts.precondition !== undefined).toBe(facts.code === status.FAILED_PRECONDITION)
    expect(facts.quota !== undefined).toBe(facts.code === status.RESOURCE_EXHAUSTED)
    if (facts.code === status.INVALID_ARGUMENT) expect(facts.badField?.field).toBeTruthy()
    if ('retryMs' in refusal) expect(facts.retryMs).toBe(refusal.retryMs)
  })

  test('is the same on a call as on a stream', () => {
    const error = errorResponse(facts)
    expect(error).toMatchObject({ code: facts.code, details: facts.message })
    expect(error.metadata?.get(STATUS_DETAILS_KEY)).toEqual([controlError(facts).status])
    expect(controlError(facts)).toMatchObject({ reason: refusal.code, message: facts.message })
  })
})

test('a lone surrogate and a flood of text do no harm', () => {
  const problem = `\ud800${'x'.repeat(100_000)}`
  const facts = factsOf({ code: 'BACKEND_REFUSED', device: 'd', problem })
  expect(() => encodeURI(facts.message)).not.toThrow()
  expect(errorResponse(facts).metadata?.get(STATUS_DETAILS_KEY)[0]?.length).toBeLessThan(6000)
})

test('a reason that retries at no known time has no RetryInfo', () => {
  const base = { code: 'NAMESPACE_EXHAUSTED', scope: 'HOST', range, asked: 1, free: 0 } as const
  expect(factsOf({ ...base, retryMs: undefined }).retryMs).toBeUndefined()
})

test('an incident tells its id and nothing else', () => {
  const facts = incidentFacts('abc')
  expect(facts).toMatchObject({ code: status.INTERNAL, metadata: { incident: 'abc' } })
  expect(decodeStatus(controlError(facts).status as Buffer).reason).toBe('INTERNAL')
})
