/** Limits, reclaim and the audit: defaults, each bound, and one past it. */
import { describe, expect, test } from 'vitest'
import type { Config } from '../../src/daemon/config/config.js'
import { dumpConfig } from '../../src/daemon/config/dump.js'
import { configOf, problemsOf } from '../support/config-reading.js'

test('defaults', () => {
  const { limits, reclaim, auditEvents, policy } = configOf('')
  expect(auditEvents).toBe(100_000)
  expect(limits).toMatchObject({
    connectionsPerUid: 256,
    tenantCallsInFlight: 4096,
    callsPerSecond: 2000,
    callsBurst: 4000,
    commandsPerSecond: 200_000,
    commandsBurst: 200_000,
    rateWaitMs: 1000,
    watchers: 64,
    watchBacklog: 8192,
    pageRequestDeadlineMs: 5000,
    pageRequestsPending: 256,
  })
  expect(reclaim).toEqual({
    sweepIntervalMs: 10_000,
    sweepBudgetMs: 250,
    sweepSessions: 1000,
    breakerShare: 25,
    breakerFloor: 8,
    lingerMsMax: 60_000,
    stuckAfterMs: 10_000,
    unprovenHoldMs: 60_000,
  })
  expect(policy.lingerMsMax).toBe(60_000)
  expect(Object.isFrozen(reclaim)).toBe(true)
})

/** Table, key, first, last, and where the value is in the configuration. */
const COUNTS: readonly [string, string, number, number, (config: Config) => number][] = [
  ['daemon', 'audit_events', 1000, 10_000_000, (config) => config.auditEvents],
  ['limits', 'connections_per_uid', 1, 65_536, ({ limits }) => limits.connectionsPerUid],
  ['limits', 'calls_per_second', 0, 1_000_000, ({ limits }) => limits.callsPerSecond],
  ['limits', 'calls_burst', 1, 1_000_000, ({ limits }) => limits.callsBurst],
  ['limits', 'commands_per_second', 0, 10_000_000, ({ limits }) => limits.commandsPerSecond],
  ['limits', 'commands_burst', 1, 10_000_000, ({ limits }) => limits.commandsBurst],
  ['limits', 'watchers', 0, 65_536, ({ limits }) => limits.watchers],
  ['limits', 'watch_backlog', 16, 1_048_576, ({ limits }) => limits.watchBacklog],
  ['reclaim', 'sweep_sessions', 1, 1_048_576, ({ reclaim }) => reclaim.sweepSessions],
  ['reclaim', 'breaker_share', 0, 100, ({ reclaim }) => reclaim.breakerShare],
  ['reclaim', 'breaker_floor', 0, 1_048_576, ({ reclaim }) => reclaim.breakerFloor],
]

describe.each(COUNTS)('%s.%s', (table, key, first, last, pick) => {
  const text = (value: unknown) => `[${table}]\n${key} = ${String(value)}`

  test.each([first, last])('may be %d, and reads back from the dump', (value) => {
    const config = configOf(text(value))
    expect(pick(config)).toBe(value)
    expect(pick(configOf(dumpConfig(config)))).toBe(value)
  })
  test.each([first - 1, last + 1, 1.5, '"5"'])('must not be %s', (value) => {
    const bound = `must be a whole number from ${first} to ${last}`
    expect(problemsOf(text(value))).toEqual([
      expect.stringContaining(`f.toml:2: ${table}.${key}: is ${value}, ${bound}`),
    ])
  })
})

interface Time {
  readonly table: string
  readonly key: string
  readonly first: readonly [text: string, ms: number, before: string | undefined]
  readonly last: readonly [text: string, ms: number, beyond: string]
  readonly pick: (config: Config) => number
}

const TIMES: readonly Time[] = [
  {
    table: 'limits',
    key: 'rate_wait',
    first: ['0ms', 0, undefined],
    last: ['1m', 60_000, '60001ms'],
    pick: ({ limits }) => limits.rateWaitMs,
  },
  {
    table: 'limits',
    key: 'page_request_deadline',
    first: ['100ms', 100, '99ms'],
    last: ['1m', 60_000, '60001ms'],
    pick: ({ limits }) => limits.pageRequestDeadlineMs,
  },
  {
    table: 'reclaim',
    key: 'sweep_interval',
    first: ['100ms', 100, '99ms'],
    last: ['1h', 3_600_000, '3600001ms'],
    pick: ({ reclaim }) => reclaim.sweepIntervalMs,
  },
  {
    table: 'reclaim',
    key: 'sweep_budget',
    first: ['10ms', 10, '9ms'],
    last: ['10s', 10_000, '10001ms'],
    pick: ({ reclaim }) => reclaim.sweepBudgetMs,
  },
  {
    table: 'reclaim',
    key: 'linger_max',
    first: ['0ms', 0, undefined],
    last: ['1h', 3_600_000, '61m'],
    pick: ({ reclaim }) => reclaim.lingerMsMax,
  },
  {
    table: 'reclaim',
    key: 'stuck_after',
    first: ['0ms', 0, undefined],
    last: ['1h', 3_600_000, '3601s'],
    pick: ({ reclaim }) => reclaim.stuckAfterMs,
  },
  {
    table: 'reclaim',
    key: 'unproven_hold',
    first: ['0ms', 0, undefined],
    last: ['24h', 86_400_000, '25h'],
    pick: ({ reclaim }) => reclaim.unprovenHoldMs,
  },
]

describe.each(TIMES)('$table.$key', ({ table, key, first, last, pick }) => {
  const text = (value: string) => `[${table}]\n${key} = ${value}`

  test.each([first, last])('may be %s, and reads back from the dump', (written, ms) => {
    const config = configOf(text(`"${written}"`))
    expect(pick(config)).toBe(ms)
    expect(pick(configOf(dumpConfig(config)))).toBe(ms)
  })
  test('must not be past either bound, nor a number without a unit', () => {
    const bound = `must be a time from ${first[0]} to ${last[0]}`
    const wrong = [first[2], last[2]].filter((value) => value !== undefined)
    for (const value of [...wrong.map((one) => `"${one}"`), '5']) {
      expect(problemsOf(text(value))).toEqual([
        expect.stringContaining(`f.toml:2: ${table}.${key}: is ${value}, ${bound}`),
      ])
    }
  })
})

test('a session may have page requests waiting for half of the events of its stream', () => {
  const text = (events: number, pending: number) => {
    return `[limits]\ncontrol_events = ${events}\npage_requests_pending = ${pending}`
  }
  for (const [events, pending] of [
    [16, 1],
    [16, 8],
    [131_072, 65_536],
  ] as const) {
    const config = configOf(text(events, pending))
    expect(config.limits.pageRequestsPending).toBe(pending)
    expect(configOf(dumpConfig(config)).limits.pageRequestsPending).toBe(pending)
  }
  expect(configOf('[limits]\ncontrol_events = 17').limits.pageRequestsPending).toBe(8)
  expect(problemsOf(text(17, 9))).toEqual([
    'f.toml:3: limits.page_requests_pending: is 9, must be at most half of limits.control_events, ' +
      'which is 17: a new receiver is sent all that wait at once',
  ])
  for (const pending of [0, 65_537]) {
    expect(problemsOf(text(1_048_576, pending))).toEqual([
      expect.stringContaining('must be a whole number from 1 to 65536'),
    ])
  }
})

test('unknown keys are refused with the nearest', () => {
  expect(problemsOf('[reclaim]\nsweep_intervall = "1s"')).toEqual([
    'f.toml:2: reclaim.sweep_intervall: is no key here; did you mean sweep_interval?',
  ])
  expect(problemsOf('[reclame]')).toEqual([
    'f.toml:1: reclame: is no table here; did you mean reclaim?',
  ])
})

test('the longest linger is in the policy of the core too', () => {
  expect(configOf('[reclaim]\nlinger_max = "5s"').policy.lingerMsMax).toBe(5000)
})

describe('calls of one tenant under way', () => {
  const tenantCalls = (keys: string) => configOf(`[limits]\n${keys}`).limits.tenantCallsInFlight

  test('left out, it fits between a stream and the daemon', () => {
    expect(tenantCalls('calls_in_flight = 1000')).toBe(1000)
    expect(tenantCalls('control_in_flight = 5000')).toBe(5000)
  })
  test('at most those of the daemon', () => {
    expect(tenantCalls('calls_in_flight = 500\ntenant_calls_in_flight = 500')).toBe(500)
    expect(problemsOf('[limits]\ncalls_in_flight = 500\ntenant_calls_in_flight = 501')).toEqual([
      'f.toml:3: limits.tenant_calls_in_flight: is 501, must be at most limits.calls_in_flight, which is 500',
    ])
  })
  test('no fewer than those of one stream', () => {
    expect(tenantCalls('control_in_flight = 500\ntenant_calls_in_flight = 500')).toBe(500)
    expect(problemsOf('[limits]\ncontrol_in_flight = 501\ntenant_calls_in_flight = 500')).toEqual([
      'f.toml:2: limits.control_in_flight: is 501, must be at most limits.tenant_calls_in_flight, which is 500: a tenant has at least one stream',
    ])
  })
  test('bounds', () => {
    expect(problemsOf('[limits]\ntenant_calls_in_flight = 0')).toEqual([
      expect.stringContaining('is 0, must be a whole number from 1 to 1048576'),
    ])
    const most = 'calls_in_flight = 1048576\ntenant_calls_in_flight = 1048576'
    expect(tenantCalls(most)).toBe(1_048_576)
    expect(problemsOf(`[limits]\n${most}7`)).toHaveLength(1)
  })
})
