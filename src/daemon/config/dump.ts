/** The configuration in force as a TOML file that reads back to the same: `pasidd config dump`. */

import { stringify } from 'smol-toml'
import type { TenantPolicy } from '../../core/quota.js'
import type { Config, ConfiguredDevice, LimitsConfig, SocketConfig } from './config.js'
import { modeText, timeText } from './fields.js'

function accessOf(prefix: string, socket: SocketConfig) {
  return {
    [`${prefix}_owner`]: socket.owner,
    [`${prefix}_group`]: socket.group,
    [`${prefix}_mode`]: modeText(socket.mode),
    [`${prefix}_directory_mode`]: modeText(socket.directoryMode),
  }
}

function tenantTable(policy: TenantPolicy, own: SocketConfig | undefined) {
  const devices = policy.devices === undefined ? undefined : [...policy.devices]
  return {
    name: policy.name,
    parent: policy.parent,
    max_pasids: policy.maxPasids,
    guaranteed_pasids: policy.guaranteedPasids,
    session_max_pasids: policy.sessionMaxPasids,
    max_sessions: policy.maxSessions,
    window: policy.window,
    devices: devices?.map(([name, scope]) => ({ name, scope })),
    ...(own === undefined ? {} : { socket: own.path, ...accessOf('socket', own) }),
  }
}

/** Keys that have no value are left out: absent means inherited, or no limit. */
function withoutAbsent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAbsent)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([, part]) => part !== undefined)
  return Object.fromEntries(kept.map(([key, part]) => [key, withoutAbsent(part)]))
}

function tenantsOf({ policy, vmmSockets }: Config) {
  const [, ...own] = vmmSockets
  return policy.tenants.map((tenant) => {
    const socket = own.find((one) => one.tenant === tenant.name)
    return tenantTable(tenant, socket)
  })
}

function emulatedTable(device: ConfiguredDevice) {
  return {
    name: device.name,
    pasid_bits: device.pasidBits,
    translation: device.translation,
    shared: device.shared,
    group: device.group,
    platform: device.platform,
    address_widths: device.addressWidths,
    supervisor_requests: device.supervisorRequests,
    extended_accessed: device.extendedAccessed,
    pass_through: device.passThrough,
    hitless_replace: device.hitlessReplace,
    page_requests: device.pageRequests,
    ats: device.ats ?? true,
    source_id: device.sourceId,
  }
}

/** The scope in force is written at each device, whoever said it. */
function backendTable({ backend, scopes }: Config) {
  const { kind } = backend
  if (kind === 'emulator') {
    const tables = backend.devices.map(emulatedTable)
    return { kind, device: tables.map((table) => ({ ...table, scope: scopes.get(table.name) })) }
  }
  return {
    kind,
    call_deadline: timeText(backend.callDeadlineMs),
    threads_per_session: backend.threadsPerSession,
    device: backend.devices.map(({ name, address }) => {
      return { name, address, scope: scopes.get(name) }
    }),
  }
}

function daemonTable(config: Config) {
  const { vmmSockets, adminSocket, fdSocket, metricsSocket } = config
  const [main] = vmmSockets
  return {
    state_dir: config.stateDir,
    vmm_socket: main?.path,
    vmm_tenant: main?.tenant,
    ...(main === undefined ? {} : accessOf('vmm', main)),
    admin_socket: adminSocket.path,
    ...accessOf('admin', adminSocket),
    fd_socket: fdSocket.path,
    ...accessOf('fd', fdSocket),
    metrics_socket: metricsSocket.path,
    ...accessOf('metrics', metricsSocket),
    log_level: config.logLevel,
    corrupt_ledger: config.corruptLedger,
    stop_grace: timeText(config.stopGraceMs),
    audit_events: config.auditEvents,
  }
}

/** The keys are those of the file; what a rule does not ask for is left out. */
function identityTable({ identity }: Config) {
  return { unmatched: identity.unmatched, rule: identity.rules, operator: identity.operators }
}

function reclaimTable({ reclaim }: Config) {
  return {
    sweep_interval: timeText(reclaim.sweepIntervalMs),
    sweep_budget: timeText(reclaim.sweepBudgetMs),
    sweep_sessions: reclaim.sweepSessions,
    breaker_share: reclaim.breakerShare,
    breaker_floor: reclaim.breakerFloor,
    linger_max: timeText(reclaim.lingerMsMax),
    stuck_after: timeText(reclaim.stuckAfterMs),
    unproven_hold: timeText(reclaim.unprovenHoldMs),
  }
}

function limitsTable(limits: LimitsConfig) {
  return {
    connections: limits.connections,
    connections_per_uid: limits.connectionsPerUid,
    first_byte: timeText(limits.firstByteMs),
    message_bytes: limits.messageBytes,
    streams_per_connection: limits.streamsPerConnection,
    connection_megabytes: limits.connectionMegabytes,
    control_in_flight: limits.controlInFlight,
    control_events: limits.controlEvents,
    calls_in_flight: limits.callsInFlight,
    tenant_calls_in_flight: limits.tenantCallsInFlight,
    calls_per_second: limits.callsPerSecond,
    calls_burst: limits.callsBurst,
    commands_per_second: limits.commandsPerSecond,
    commands_burst: limits.commandsBurst,
    rate_wait: timeText(limits.rateWaitMs),
    watchers: limits.watchers,
    watch_backlog: limits.watchBacklog,
    page_request_deadline: timeText(limits.pageRequestDeadlineMs),
    page_requests_pending: limits.pageRequestsPending,
  }
}

export function dumpConfig(config: Config): string {
  const { policy, limits } = config
  const tables = {
    daemon: daemonTable(config),
    identity: identityTable(config),
    namespace: {
      hold: timeText(policy.holdMs),
      max_pasids: policy.hostMaxPasids,
      session_max_pasids: policy.sessionMaxPasids,
      max_sessions: policy.maxSessions,
      max_request_ids: policy.maxRequestIds,
      reservations: policy.reservations,
    },
    tenant: tenantsOf(config),
    backend: backendTable(config),
    reclaim: reclaimTable(config),
    limits: limitsTable(limits),
  }
  return `${stringify(withoutAbsent(tables)).trimEnd()}\n`
}
