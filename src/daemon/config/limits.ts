/** The bounds in force on what clients may do, and what must hold between them. */

import type { LimitsConfig } from './config.js'
import type { Document, Problem } from './document.js'
import type { LimitsSection } from './schema.js'

const TENANT_CALLS_DEFAULT = 4096
const PAGE_REQUESTS_DEFAULT = 256

/** Left out, it makes room for what the other two say. */
function tenantCallsOf(limits: LimitsSection): number {
  const { tenant_calls_in_flight, control_in_flight, calls_in_flight } = limits
  const fitted = Math.max(control_in_flight, Math.min(TENANT_CALLS_DEFAULT, calls_in_flight))
  return tenant_calls_in_flight ?? fitted
}

/** Left out, all that wait take half of the events that a new receiver may have untaken. */
function pageRequestsOf({ page_requests_pending, control_events }: LimitsSection): number {
  return page_requests_pending ?? Math.min(PAGE_REQUESTS_DEFAULT, Math.floor(control_events / 2))
}

export function limitsOf(section: LimitsSection): LimitsConfig {
  return {
    connections: section.connections,
    connectionsPerUid: section.connections_per_uid,
    firstByteMs: section.first_byte,
    messageBytes: section.message_bytes,
    streamsPerConnection: section.streams_per_connection,
    connectionMegabytes: section.connection_megabytes,
    controlInFlight: section.control_in_flight,
    controlEvents: section.control_events,
    callsInFlight: section.calls_in_flight,
    tenantCallsInFlight: tenantCallsOf(section),
    callsPerSecond: section.calls_per_second,
    callsBurst: section.calls_burst,
    commandsPerSecond: section.commands_per_second,
    commandsBurst: section.commands_burst,
    rateWaitMs: section.rate_wait,
    watchers: section.watchers,
    watchBacklog: section.watch_backlog,
    pageRequestDeadlineMs: section.page_request_deadline,
    pageRequestsPending: pageRequestsOf(section),
  }
}

/**
 * One stream must not be able to fill the daemon, nor its tenant's share; nor one tenant. What a
 * new receiver of page requests is sent at once leaves room for other events.
 */
export function checkLimits({ limits }: Document): Problem[] {
  const { control_in_flight: stream, tenant_calls_in_flight: tenant, calls_in_flight: all } = limits
  const problems: Problem[] = []
  const say = (key: string, text: string) => problems.push({ path: ['limits', key], text })
  if (stream >= all) {
    const text = `is ${stream}, must be less than limits.calls_in_flight, which is ${all}`
    say('control_in_flight', text)
  }
  const { page_requests_pending: pending, control_events: events } = limits
  if (pending !== undefined && pending > events / 2) {
    const text = `is ${pending}, must be at most half of limits.control_events, which is ${events}`
    say('page_requests_pending', `${text}: a new receiver is sent all that wait at once`)
  }
  if (tenant === undefined) return problems
  if (stream > tenant) {
    const bound = `at most limits.tenant_calls_in_flight, which is ${tenant}`
    say('control_in_flight', `is ${stream}, must be ${bound}: a tenant has at least one stream`)
  }
  if (tenant > all) {
    const text = `is ${tenant}, must be at most limits.calls_in_flight, which is ${all}`
    say('tenant_calls_in_flight', text)
  }
  return problems
}
