/** The configuration in force as a TOML file that reads back to the same: `pasidd config dump`. */

import { stringify } from 'smol-toml'
import type { TenantPolicy } from '../../core/quota.js'
import type { Config, SocketConfig } from './config.js'
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

/**
 * Which devices are in DEVICE scope is said by tenants alone, and the default tenant may name none:
 * then the effective scopes are written as its devices.
 */
function tenantsOf({ policy, scopes, vmmSockets }: Config) {
  const [main, ...own] = vmmSockets
  const named = policy.tenants.flatMap((tenant) => [...(tenant.devices?.keys() ?? [])])
  const unsaid = [...scopes].some(([name, scope]) => scope === 'DEVICE' && !named.includes(name))
  return policy.tenants.map((tenant) => {
    const devices = unsaid && tenant.name === main?.tenant ? scopes : tenant.devices
    return tenantTable(
      { ...tenant, devices },
      own.find((socket) => socket.tenant === tenant.name),
    )
  })
}

export function dumpConfig(config: Config): string {
  const { policy, backend, limits, vmmSockets, adminSocket } = config
  const [main] = vmmSockets
  const tables = {
    daemon: {
      state_dir: config.stateDir,
      vmm_socket: main?.path,
      vmm_tenant: main?.tenant,
      ...(main === undefined ? {} : accessOf('vmm', main)),
      admin_socket: adminSocket.path,
      ...accessOf('admin', adminSocket),
      log_level: config.logLevel,
      corrupt_ledger: config.corruptLedger,
      stop_grace: timeText(config.stopGraceMs),
    },
    namespace: {
      hold: timeText(policy.holdMs),
      max_pasids: policy.hostMaxPasids,
      session_max_pasids: policy.sessionMaxPasids,
      max_sessions: policy.maxSessions,
      max_request_ids: policy.maxRequestIds,
      reservations: policy.reservations,
    },
    tenant: tenantsOf(config),
    backend: {
      kind: backend.kind,
      device: backend.devices.map((device) => ({
        name: device.name,
        pasid_bits: device.pasidBits,
        translation: device.translation,
        shared: device.shared,
        platform: device.platform,
        address_widths: device.addressWidths,
        supervisor_requests: device.supervisorRequests,
        extended_accessed: device.extendedAccessed,
        pass_through: device.passThrough,
        hitless_replace: device.hitlessReplace,
        page_requests: device.pageRequests,
      })),
    },
    limits: {
      connections: limits.connections,
      first_byte: timeText(limits.firstByteMs),
      message_bytes: limits.messageBytes,
      streams_per_connection: limits.streamsPerConnection,
      connection_megabytes: limits.connectionMegabytes,
      control_in_flight: limits.controlInFlight,
      control_events: limits.controlEvents,
      calls_in_flight: limits.callsInFlight,
    },
  }
  return `${stringify(withoutAbsent(tables)).trimEnd()}\n`
}
