/**
 * The broker's telemetry as log lines: a kind of line comes at most so often, but of each device
 * whose descriptors are let go at the start there is one, however many there are.
 */
import { pino } from 'pino'
import { beforeEach, expect, test } from 'vitest'
import type { Telemetry } from '../../src/broker/ports.js'
import { KEPT_LET_GO } from '../../src/daemon/log-fields.js'
import { Metrics } from '../../src/daemon/metrics.js'
import { createTelemetry } from '../../src/daemon/telemetry.js'

/** As many as there may be in one turn, and some. */
const MANY = 100
/** BURST_LINES_MAX of telemetry.ts. */
const AT_MOST = 20

let lines: Record<string, unknown>[]
let telemetry: Telemetry

beforeEach(() => {
  lines = []
  const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>)
  telemetry = createTelemetry(pino({}, { write }), new Metrics('0'), (bug) => {
    throw bug
  })
})

const devices = Array.from({ length: MANY }, (_, at) => `gpu${at}`)

test('each device whose descriptors are let go is named, with its session and why', () => {
  for (const device of devices) telemetry.keptLetGo({ device, session: `s-${device}`, why: 'so' })
  expect(lines.map(({ device, session, problem, msg }) => [device, session, problem, msg])).toEqual(
    devices.map((device) => [device, `s-${device}`, 'so', KEPT_LET_GO]),
  )
})

test('a kind of line that clients can cause comes at most so often', () => {
  for (const device of devices) {
    telemetry.bindingLost({ device, target: 5, cause: 'so' })
  }
  expect(lines).toHaveLength(AT_MOST)
})
