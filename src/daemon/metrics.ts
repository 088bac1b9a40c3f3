/**
 * What Prometheus is told: docs/METRICS.md has every family. Counters follow the facts as they
 * come; gauges are taken from the broker when somebody asks. Holds: no label's values grow with
 * sessions, processes or numbers, and a scrape never goes through all numbers.
 */

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Broker } from '../broker/broker.js'
import type { PageRequestEnd, Reclaimed, Sweep } from '../broker/ports.js'
import { present } from '../core/assert.js'
import type { RefusalCode } from '../core/refusal.js'
import type { Reason } from '../service/context.js'

const MS_PER_SECOND = 1000
/** From a message on an open stream to a disk that hangs. */
const CALL_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5]
/** From an NVMe to a disk that hangs. */
const COMMIT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const SWEEP_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** What no number was given for, of the reasons that AllocatePasids ends with. */
const ALLOCATION_CAUSES: ReadonlyMap<Reason, string> = new Map<RefusalCode, string>([
  ['NAMESPACE_EXHAUSTED', 'pool'],
  ['QUOTA_EXCEEDED', 'quota'],
  ['RANGE_EMPTY', 'range'],
  ['PASID_OUT_OF_RANGE', 'range'],
  ['PASID_RESERVED', 'reserved'],
  ['PASID_TAKEN', 'conflict'],
  ['LEDGER_UNAVAILABLE', 'ledger'],
  ['BACKEND_UNAVAILABLE', 'backend'],
  ['BACKEND_REFUSED', 'backend'],
  ['OVERLOADED', 'overload'],
  ['RATE_LIMITED', 'overload'],
])

/** Name, help, labels. */
const GAUGES = [
  ['pasid_build_info', 'Always 1; the labels say what runs.', 'version', 'node'],
  ['pasid_pool_size', 'PASIDs that there are in the scope.', 'scope'],
  ['pasid_allocated', 'PASIDs that sessions hold.', 'scope'],
  ['pasid_free_pending', 'PASIDs given back whose tables are not cleared yet.', 'scope'],
  ['pasid_quarantined', 'PASIDs that rest before they may be given out again.', 'scope'],
  ['pasid_reserved', 'PASIDs that a reservation keeps from everybody.', 'scope'],
  ['pasid_quota_limit', 'Limit of the tenant; absent where it has none of its own.', 'tenant'],
  ['pasid_quota_used', 'PASIDs charged to the tenant and those below it.', 'tenant'],
  ['pasid_sessions', 'Sessions, those included that are closing.'],
  ['pasid_connections', 'Open connections.', 'socket'],
  ['pasid_withheld', 'PASIDs that the circuit breaker holds back.'],
  ['pasid_unproven', 'PASIDs given back that a device may still have attached.'],
  ['pasid_backend_ready', '1 while the backend does all that it is asked.'],
  ['pasid_breaker_open', '1 while the circuit breaker waits for an operator.'],
  ['pasid_teardowns_stuck', 'Sessions whose teardown keeps failing.'],
  ['pasid_owners_unknown', 'Owners of whom the last sweep could not tell whether they live.'],
  ['pasid_owners_watched', 'Owners that are watched by pidfd; sweeps look after the others.'],
  ['pasid_page_requests_waiting', 'Groups of page requests that wait for an answer.'],
  ['pasid_ledger_writable', '1 while grants can be made durable.'],
] as const

const COUNTERS = [
  ['pasid_allocation_failures_total', 'AllocatePasids that gave nothing.', 'cause'],
  ['pasid_refusals_total', 'Refusals of the broker.', 'reason'],
  ['pasid_reclaimed_total', 'PASIDs taken back from sessions that ended.', 'cause'],
  ['pasid_reclaimed_sessions_total', 'Sessions that ended without being closed.', 'cause'],
  ['pasid_commit_failures_total', 'Batches that could not be written.'],
  ['pasid_backend_faults_total', 'Faults of the backend.', 'operation'],
  ['pasid_page_requests_total', 'Groups of page requests, by how their wait ended.', 'end'],
  ['pasid_lost_bindings_total', 'Bindings that could not be kept in force.'],
  ['pasid_calls_total', 'Calls and stream commands, by how they ended.', 'method', 'reason'],
] as const

type GaugeName = (typeof GAUGES)[number][0]
type CounterName = (typeof COUNTERS)[number][0]

/** Where the gauges come from. */
export interface MetricSources {
  readonly broker: Broker
  /** Open ones, by socket: `vmm`, `tenant:NAME`, `fds`, `admin`. */
  readonly connections: () => ReadonlyMap<string, number>
}

export class Metrics {
  readonly contentType: string
  readonly #registry = new Registry()
  readonly #gauges = new Map<string, Gauge>()
  readonly #counters = new Map<string, Counter>()
  readonly #commitSeconds: Histogram
  readonly #sweepSeconds: Histogram
  readonly #callSeconds: Histogram<'method'>
  #sources: MetricSources | undefined

  constructor(version: string) {
    this.contentType = this.#registry.contentType
    for (const [name, help, ...labelNames] of GAUGES) {
      this.#gauges.set(name, new Gauge({ name, help, labelNames, registers: [this.#registry] }))
    }
    for (const [name, help, ...labelNames] of COUNTERS) {
      this.#counters.set(name, new Counter({ name, help, labelNames, registers: [this.#registry] }))
    }
    const histogram = <L extends string>(name: string, help: string, buckets: number[], of: L[]) =>
      new Histogram({ name, help, buckets, labelNames: of, registers: [this.#registry] })
    this.#commitSeconds = histogram(
      'pasid_commit_seconds',
      'Batches written and synced.',
      COMMIT_BUCKETS,
      [],
    )
    this.#sweepSeconds = histogram(
      'pasid_sweep_duration_seconds',
      'Cycles of the sweep.',
      SWEEP_BUCKETS,
      [],
    )
    this.#callSeconds = histogram(
      'pasid_call_seconds',
      'Calls and stream commands.',
      CALL_BUCKETS,
      ['method'],
    )
    collectDefaultMetrics({ register: this.#registry })
    this.#set('pasid_build_info', 1, { version, node: process.version })
  }

  /** From now on there are gauges too. */
  observe(sources: MetricSources): void {
    this.#sources = sources
  }

  /** In the text format of Prometheus. */
  async text(): Promise<string> {
    const { broker, connections } = this.#sources ?? {}
    if (broker !== undefined) await this.#look(broker)
    for (const [socket, count] of connections?.() ?? []) {
      this.#set('pasid_connections', count, { socket })
    }
    return this.#registry.metrics()
  }

  called(method: string, reason: Reason, tookMs: number): void {
    this.#count('pasid_calls_total', 1, { method, reason })
    this.#callSeconds.observe({ method }, tookMs / MS_PER_SECOND)
    const cause = method.endsWith('/AllocatePasids') ? ALLOCATION_CAUSES.get(reason) : undefined
    if (cause !== undefined) this.#count('pasid_allocation_failures_total', 1, { cause })
  }

  refused(reason: RefusalCode): void {
    this.#count('pasid_refusals_total', 1, { reason })
  }

  committed(tookMs: number): void {
    this.#commitSeconds.observe(tookMs / MS_PER_SECOND)
  }

  commitFailed(): void {
    this.#count('pasid_commit_failures_total', 1)
  }

  backendFault(operation: string): void {
    this.#count('pasid_backend_faults_total', 1, { operation })
  }

  pageRequestEnded(end: PageRequestEnd): void {
    this.#count('pasid_page_requests_total', 1, { end })
  }

  bindingLost(): void {
    this.#count('pasid_lost_bindings_total', 1)
  }

  reclaimed({ cause, sessions, pasids }: Reclaimed): void {
    const label = { cause: cause.toLowerCase() }
    this.#count('pasid_reclaimed_total', pasids, label)
    this.#count('pasid_reclaimed_sessions_total', sessions, label)
  }

  swept({ tookMs }: Sweep): void {
    this.#sweepSeconds.observe(tookMs / MS_PER_SECOND)
  }

  async #look(broker: Broker): Promise<void> {
    // Lets go what has rested long enough. Its answer waits for the disk and is not needed.
    void broker.namespace({ kind: 'HOST' })
    const { state } = broker
    for (const [id, namespace] of state.namespaces) {
      const scope = state.scopeName(id)
      const { held, pending, quarantined } = namespace.counts
      // 0 is never handed out.
      this.#set('pasid_pool_size', namespace.size - 1, { scope })
      this.#set('pasid_allocated', held, { scope })
      this.#set('pasid_free_pending', pending, { scope })
      this.#set('pasid_quarantined', quarantined, { scope })
      this.#set('pasid_reserved', namespace.reservedCount, { scope })
    }
    for (const tenant of state.tenants.values()) {
      const label = { tenant: tenant.name }
      this.#set('pasid_quota_used', tenant.used, label)
      const limit = tenant.policy === undefined ? 0 : tenant.policy.maxPasids
      if (limit === undefined) this.#gauge('pasid_quota_limit').remove(label)
      else this.#set('pasid_quota_limit', limit, label)
    }
    this.#set('pasid_sessions', state.sessions.size)
    this.#set('pasid_page_requests_waiting', broker.waitingPageRequests)
    this.#set('pasid_ledger_writable', broker.info().writable ? 1 : 0)
    const reclaim = await broker.reclaim()
    if (!reclaim.ok) return
    const { value } = reclaim
    this.#set('pasid_breaker_open', value.breakerOpen ? 1 : 0)
    this.#set('pasid_withheld', value.withheldPasids)
    this.#set('pasid_unproven', value.unprovenPasids)
    this.#set('pasid_backend_ready', value.backend.state === 'READY' ? 1 : 0)
    this.#set('pasid_teardowns_stuck', value.stuckCount)
    this.#set('pasid_owners_unknown', value.unknownOwners)
    this.#set('pasid_owners_watched', value.watchedOwners)
  }

  #gauge(name: GaugeName): Gauge {
    return present(this.#gauges.get(name), name)
  }

  #set(name: GaugeName, value: number, labels: Record<string, string> = {}): void {
    this.#gauge(name).set(labels, value)
  }

  #count(name: CounterName, by: number, labels: Record<string, string> = {}): void {
    present(this.#counters.get(name), name).inc(labels, by)
  }
}
