/** From the text of a file to the configuration in force, or everything that is wrong with it. */

import type { DeviceFacts, Scope } from '../../core/device.js'
import { RESERVED_FIRST_DEFAULT, RESERVED_LAST_DEFAULT } from '../../core/limits.js'
import type { TenantPolicy } from '../../core/quota.js'
import type { Policy, Reservation } from '../../core/state.js'
import type { Layout } from '../layout.js'
import * as checks from './checks.js'
import { deepFreeze, frozenMap } from './config.js'
import type { Config, LimitsConfig, SocketConfig, VmmSocketConfig } from './config.js'
import { DEFAULT_DEVICES, DEFAULT_SCOPES } from './default-devices.js'
import { readDocument, type Document, type Problem } from './document.js'
import { lineOf, linesOf } from './lines.js'
import type { DeviceEntry, LimitsSection, TenantEntry } from './schema.js'
import { checkSockets, type PlacedSocket } from './socket-checks.js'

/** Two levels wide of the first-stage tables that VT-d walks: 4 and 5. */
const VTD_WIDTHS = [48, 57] as const
const VMM_MODE = 0o660
const VMM_DIRECTORY_MODE = 0o750
const ADMIN_MODE = 0o600
const ADMIN_DIRECTORY_MODE = 0o700
const DEFAULT_TENANT = 'default'

export type ConfigResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

export interface ConfigSource {
  readonly text: string
  /** Absent: there is no file, only defaults. */
  readonly file: string | undefined
  readonly layout: Layout
}

const DEFAULT_RESERVATION: Reservation = {
  first: RESERVED_FIRST_DEFAULT,
  last: RESERVED_LAST_DEFAULT,
  reason: 'host kernel SVA (lowest-first from 1)',
}

/** All problems at once, or the configuration. */
export function readConfig(source: ConfigSource): ConfigResult {
  const { document, problems } = readDocument(source.text)
  const devices = devicesOf(document)
  const known = devices ?? DEFAULT_DEVICES
  const deviceNames = document.devices?.names ?? new Set(known.map((one) => one.name))
  const admin = adminSocketOf(document, source.layout)
  const vmms = vmmSocketsOf(document, source.layout)
  const stateDir = document.daemon.state_dir ?? source.layout.stateDir
  problems.push(
    ...checks.checkNames(document.tenants),
    ...checks.checkNames(document.devices),
    ...checks.checkTree(document.tenants),
    ...checks.checkWindows(document.tenants),
    ...checks.checkReservations(document.reservations),
    ...checks.checkDevices(document.devices),
    ...checks.checkScopes(document.tenants, { valid: known, names: deviceNames }),
    ...checkSockets(admin, vmms, stateDir),
    ...checkMainTenant(document),
    ...checkBackend(document),
    ...checkLimits(document),
  )
  if (problems.length > 0) return { ok: false, problems: problemTexts(source, problems) }
  const config: Config = {
    file: source.file,
    stateDir,
    vmmSockets: vmms.map(({ socket }) => socket),
    adminSocket: admin.socket,
    homes: source.layout.homes,
    logLevel: document.daemon.log_level,
    corruptLedger: document.daemon.corrupt_ledger,
    stopGraceMs: document.daemon.stop_grace,
    policy: policyOf(document),
    scopes: scopesOf(document, known),
    backend: { kind: 'emulator', devices: known },
    limits: limitsOf(document.limits),
  }
  return { ok: true, config: deepFreeze(config), warnings: warningsOf(document) }
}

function problemTexts(source: ConfigSource, problems: readonly Problem[]): string[] {
  const lines = linesOf(source.text)
  const placed = problems.map((problem) => ({
    ...problem,
    line: problem.line ?? lineOf(lines, problem.path),
  }))
  placed.sort((a, b) => (a.line ?? Number.MAX_VALUE) - (b.line ?? Number.MAX_VALUE))
  return placed.map(({ path, text, line }) => {
    const place = `${source.file ?? 'defaults'}${line === undefined ? '' : `:${line}`}`
    return path.length === 0 ? `${place}: ${text}` : `${place}: ${checks.keyText(path)}: ${text}`
  })
}

function devicesOf(document: Document): readonly DeviceFacts[] | undefined {
  return document.devices?.valid.map(({ value }) => factsOf(value))
}

function factsOf(entry: DeviceEntry): DeviceFacts {
  const widths = entry.platform === 'INTEL_VTD' ? VTD_WIDTHS : []
  return {
    name: entry.name,
    pasidBits: entry.pasid_bits,
    translation: entry.translation,
    shared: entry.shared,
    platform: entry.platform,
    addressWidths: entry.address_widths ?? widths,
    supervisorRequests: entry.supervisor_requests,
    extendedAccessed: entry.extended_accessed,
    passThrough: entry.pass_through,
    hitlessReplace: entry.hitless_replace,
    pageRequests: entry.page_requests,
  }
}

function adminSocketOf({ daemon }: Document, layout: Layout): PlacedSocket {
  const socket: SocketConfig = {
    path: daemon.admin_socket ?? layout.adminSocket,
    owner: daemon.admin_owner,
    group: daemon.admin_group,
    mode: daemon.admin_mode ?? ADMIN_MODE,
    directoryMode: daemon.admin_directory_mode ?? ADMIN_DIRECTORY_MODE,
  }
  return { socket, key: ['daemon', 'admin_socket'] }
}

/** The main socket, and one for each tenant that has its own. */
function vmmSocketsOf(
  { daemon, tenants }: Document,
  layout: Layout,
): (PlacedSocket & { readonly socket: VmmSocketConfig })[] {
  const main: VmmSocketConfig = {
    tenant: daemon.vmm_tenant,
    path: daemon.vmm_socket ?? layout.vmmSocket,
    owner: daemon.vmm_owner,
    group: daemon.vmm_group,
    mode: daemon.vmm_mode ?? VMM_MODE,
    directoryMode: daemon.vmm_directory_mode ?? VMM_DIRECTORY_MODE,
  }
  const own = tenants.valid.flatMap(({ value, path }) => {
    const at = value.socket
    return at === undefined ? [] : [{ socket: tenantSocket(value, at), key: [...path, 'socket'] }]
  })
  return [{ socket: main, key: ['daemon', 'vmm_socket'] }, ...own]
}

function tenantSocket(entry: TenantEntry, path: string): VmmSocketConfig {
  return {
    tenant: entry.name,
    path,
    owner: entry.socket_owner,
    group: entry.socket_group,
    mode: entry.socket_mode ?? VMM_MODE,
    directoryMode: entry.socket_directory_mode ?? VMM_DIRECTORY_MODE,
  }
}

function checkMainTenant({ daemon, tenants }: Document): Problem[] {
  if (daemon.vmm_tenant === DEFAULT_TENANT || tenants.names.has(daemon.vmm_tenant)) return []
  const text = `is "${daemon.vmm_tenant}", which is no tenant; add a [[tenant]] of that name`
  return [{ path: ['daemon', 'vmm_tenant'], text }]
}

function checkBackend({ backend, devices }: Document): Problem[] {
  if (backend.kind === 'native') {
    const text =
      'is "native", which this release does not have: it needs iommufd with per-PASID attach ' +
      '(Linux 6.15) and an addon that is not written yet; set kind = "emulator"'
    return [{ path: ['backend', 'kind'], text }]
  }
  if (devices?.valid.length === 0 && devices.names.size === 0) {
    const text = 'is an empty list; name a device, or leave it out for emu0 and emu1'
    return [{ path: ['backend', 'device'], text }]
  }
  return []
}

/** Parents before their children; the default tenant, without limits, unless it is configured. */
function policyOf({ namespace, tenants, reservations, daemon }: Document): Policy {
  const entries = tenants.valid.map(({ value }) => value)
  const needsDefault = daemon.vmm_tenant === DEFAULT_TENANT && !tenants.names.has(DEFAULT_TENANT)
  const policies = needsDefault ? [tenantPolicy({ name: DEFAULT_TENANT })] : []
  const placed = new Set(policies.map((policy) => policy.name))
  while (placed.size < entries.length + (needsDefault ? 1 : 0)) {
    for (const entry of entries) {
      if (placed.has(entry.name)) continue
      if (entry.parent !== undefined && !placed.has(entry.parent)) continue
      placed.add(entry.name)
      policies.push(tenantPolicy(entry))
    }
  }
  return {
    hostMaxPasids: namespace.max_pasids,
    sessionMaxPasids: namespace.session_max_pasids,
    maxSessions: namespace.max_sessions,
    maxRequestIds: namespace.max_request_ids,
    holdMs: namespace.hold,
    reservations: reservations?.valid.map(({ value }) => value) ?? [DEFAULT_RESERVATION],
    tenants: policies,
  }
}

function tenantPolicy(entry: Partial<TenantEntry> & { readonly name: string }): TenantPolicy {
  const devices = entry.devices?.map(({ name, scope }) => [name, scope] as const)
  return {
    name: entry.name,
    parent: entry.parent,
    maxPasids: entry.max_pasids,
    sessionMaxPasids: entry.session_max_pasids,
    maxSessions: entry.max_sessions,
    window: entry.window,
    devices: devices === undefined ? undefined : frozenMap(devices),
  }
}

/** As the tenants say; a device that none names is in HOST scope, but for the default devices. */
function scopesOf(document: Document, devices: readonly DeviceFacts[]): Config['scopes'] {
  const named = document.tenants.valid.flatMap(({ value }) => value.devices ?? [])
  const scopes = new Map<string, Scope>(named.map(({ name, scope }) => [name, scope]))
  const defaults = document.devices === undefined ? DEFAULT_SCOPES : new Map<string, Scope>()
  return frozenMap(
    devices.map(({ name }) => [name, scopes.get(name) ?? defaults.get(name) ?? 'HOST']),
  )
}

function limitsOf(section: LimitsSection): LimitsConfig {
  return {
    connections: section.connections,
    firstByteMs: section.first_byte,
    messageBytes: section.message_bytes,
    streamsPerConnection: section.streams_per_connection,
    connectionMegabytes: section.connection_megabytes,
    controlInFlight: section.control_in_flight,
    controlEvents: section.control_events,
    callsInFlight: section.calls_in_flight,
  }
}

/** One stream must not be able to fill the daemon. */
function checkLimits({ limits }: Document): Problem[] {
  if (limits.control_in_flight < limits.calls_in_flight) return []
  const text = `is ${limits.control_in_flight}, must be less than limits.calls_in_flight`
  return [
    { path: ['limits', 'control_in_flight'], text: `${text}, which is ${limits.calls_in_flight}` },
  ]
}

/** Legal, but hardly meant. */
function warningsOf({ daemon, tenants }: Document): string[] {
  const parents = new Set(tenants.valid.map(({ value }) => value.parent))
  return tenants.valid
    .filter(({ value }) => value.socket === undefined && value.name !== daemon.vmm_tenant)
    .filter(({ value }) => !parents.has(value.name))
    .map(({ value, path }) => {
      const key = checks.keyText(path)
      return `${key}: tenant "${value.name}" has no socket and no children: nobody can be it`
    })
}
