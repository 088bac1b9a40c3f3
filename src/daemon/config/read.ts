/** From the text of a file to the configuration in force, or everything that is wrong with it. */

import { PLATFORM_DEFAULTS, type DeviceFacts, type Scope } from '../../core/device.js'
import type { Layout } from '../layout.js'
import * as checks from './checks.js'
import { deepFreeze, frozenMap } from './config.js'
import type { Config, ConfiguredDevice, ReclaimConfig } from './config.js'
import { DEFAULT_DEVICES, DEFAULT_SCOPES } from './default-devices.js'
import { readDocument, type Document, type Problem } from './document.js'
import { checkGuarantees, guaranteeWarnings } from './guarantees.js'
import { checkIdentity, identityOf, identityWarnings, tenantWarnings } from './identity.js'
import { checkLimits, limitsOf } from './limits.js'
import { lineOf, linesOf } from './lines.js'
import type { DeviceEntry } from './schema.js'
import { checkSockets } from './socket-checks.js'
import { socketsOf } from './sockets.js'
import { checkMainTenant, policyOf } from './tenants.js'

export type ConfigResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

export interface ConfigSource {
  readonly text: string
  /** Absent: there is no file, only defaults. */
  readonly file: string | undefined
  readonly layout: Layout
}

/** All problems at once, or the configuration. */
export function readConfig(source: ConfigSource): ConfigResult {
  const { document, problems } = readDocument(source.text)
  const devices = devicesOf(document)
  const known = devices ?? DEFAULT_DEVICES
  const deviceNames = document.devices?.names ?? new Set(known.map((one) => one.name))
  const sockets = socketsOf(document, source.layout)
  const stateDir = document.daemon.state_dir ?? source.layout.stateDir
  problems.push(
    ...checks.checkNames(document.devices),
    ...checkTenants(document),
    ...checks.checkReservations(document.reservations),
    ...checks.checkDevices(document.devices),
    ...checks.checkScopes(document.tenants, { valid: known, names: deviceNames }),
    ...checkSockets(sockets, stateDir),
    ...checkMainTenant(document),
    ...checkIdentity(document),
    ...checkBackend(document),
    ...checkLimits(document),
  )
  if (problems.length > 0) return { ok: false, problems: problemTexts(source, problems) }
  const config: Config = {
    file: source.file,
    stateDir,
    vmmSockets: sockets.vmms.map(({ socket }) => socket),
    adminSocket: sockets.admin.socket,
    fdSocket: sockets.fds.socket,
    metricsSocket: sockets.metrics.socket,
    homes: source.layout.homes,
    logLevel: document.daemon.log_level,
    corruptLedger: document.daemon.corrupt_ledger,
    stopGraceMs: document.daemon.stop_grace,
    auditEvents: document.daemon.audit_events,
    identity: identityOf(document),
    reclaim: reclaimOf(document),
    policy: policyOf(document),
    scopes: scopesOf(document, known),
    backend: { kind: 'emulator', devices: known },
    limits: limitsOf(document.limits),
  }
  return { ok: true, config: deepFreeze(config), warnings: warningsOf(document) }
}

/** Guarantees are added up along the tree, so it has to be one. */
function checkTenants(document: Document): Problem[] {
  const tree = [...checks.checkNames(document.tenants), ...checks.checkTree(document.tenants)]
  const windows = checks.checkWindows(document.tenants)
  const canAdd = tree.length === 0 && windows.length === 0
  return [...tree, ...windows, ...(canAdd ? checkGuarantees(document) : [])]
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

function devicesOf(document: Document): readonly ConfiguredDevice[] | undefined {
  return document.devices?.valid.map(({ value }) => factsOf(value))
}

function factsOf(entry: DeviceEntry): ConfiguredDevice {
  const defaults = PLATFORM_DEFAULTS[entry.platform]
  return {
    name: entry.name,
    pasidBits: entry.pasid_bits ?? defaults.pasidBits,
    translation: entry.translation,
    shared: entry.shared,
    group: entry.group,
    platform: entry.platform,
    addressWidths: entry.address_widths ?? defaults.addressWidths,
    supervisorRequests: entry.supervisor_requests,
    extendedAccessed: entry.extended_accessed,
    passThrough: entry.pass_through ?? defaults.passThrough,
    hitlessReplace: entry.hitless_replace,
    pageRequests: entry.page_requests,
    ats: entry.ats,
    sourceId: entry.source_id,
  }
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

/** As the tenants say; a device that none names is in HOST scope, but for the default devices. */
function scopesOf(document: Document, devices: readonly DeviceFacts[]): Config['scopes'] {
  const named = document.tenants.valid.flatMap(({ value }) => value.devices ?? [])
  const scopes = new Map<string, Scope>(named.map(({ name, scope }) => [name, scope]))
  const defaults = document.devices === undefined ? DEFAULT_SCOPES : new Map<string, Scope>()
  return frozenMap(
    devices.map(({ name }) => [name, scopes.get(name) ?? defaults.get(name) ?? 'HOST']),
  )
}

function reclaimOf({ reclaim }: Document): ReclaimConfig {
  return {
    sweepIntervalMs: reclaim.sweep_interval,
    sweepBudgetMs: reclaim.sweep_budget,
    sweepSessions: reclaim.sweep_sessions,
    breakerShare: reclaim.breaker_share,
    breakerFloor: reclaim.breaker_floor,
    lingerMsMax: reclaim.linger_max,
    stuckAfterMs: reclaim.stuck_after,
  }
}

/** Legal, but hardly meant. */
function warningsOf(document: Document): string[] {
  return [
    ...tenantWarnings(document),
    ...identityWarnings(document),
    ...guaranteeWarnings(document),
  ]
}
