/** From the text of a file to the configuration in force, or everything that is wrong with it. */

import type { Layout } from '../layout.js'
import { backendOf, checkBackend } from './backend.js'
import * as checks from './checks.js'
import { deepFreeze } from './config.js'
import type { Config, ReclaimConfig } from './config.js'
import { readDocument, type Document, type Problem } from './document.js'
import { checkGuarantees, guaranteeWarnings } from './guarantees.js'
import { checkIdentity, identityOf, identityWarnings, tenantWarnings } from './identity.js'
import { checkLimits, limitsOf } from './limits.js'
import { lineOf, linesOf } from './lines.js'
import { checkScopes, scopesOf } from './scopes.js'
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
  const sockets = socketsOf(document, source.layout)
  const stateDir = document.daemon.state_dir ?? source.layout.stateDir
  problems.push(
    ...checks.checkNames<{ readonly name: string }>(document.devices?.entries),
    ...checkTenants(document),
    ...checks.checkReservations(document.reservations),
    ...checkScopes(document),
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
    scopes: scopesOf(document),
    backend: backendOf(document),
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

function reclaimOf({ reclaim }: Document): ReclaimConfig {
  return {
    sweepIntervalMs: reclaim.sweep_interval,
    sweepBudgetMs: reclaim.sweep_budget,
    sweepSessions: reclaim.sweep_sessions,
    breakerShare: reclaim.breaker_share,
    breakerFloor: reclaim.breaker_floor,
    lingerMsMax: reclaim.linger_max,
    stuckAfterMs: reclaim.stuck_after,
    unprovenHoldMs: reclaim.unproven_hold,
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
