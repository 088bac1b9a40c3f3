/**
 * The configuration in force: what the whole daemon reads. Deep-frozen, made only by `readConfig`,
 * fixed while the daemon runs.
 */

import type { DeviceFacts, Scope } from '../../core/device.js'
import type { Policy } from '../../core/state.js'
import type { ServiceLimits } from '../../service/limits.js'
import type { LOG_LEVELS } from './schema.js'

export type LogLevel = (typeof LOG_LEVELS)[number]

/** A Unix socket, and who may connect. */
export interface SocketConfig {
  readonly path: string
  /** Name or number; undefined = whoever runs the daemon. */
  readonly owner: string | undefined
  readonly group: string | undefined
  readonly mode: number
  /** Of the socket's directory, when the daemon makes it. */
  readonly directoryMode: number
}

export interface VmmSocketConfig extends SocketConfig {
  /** Who calls on it. */
  readonly tenant: string
}

/** Bounds on what clients may do. */
export interface LimitsConfig extends ServiceLimits {
  /** Open at once on one socket. */
  readonly connections: number
  /** A connection that has not said a whole HTTP/2 preface by then is closed. */
  readonly firstByteMs: number
}

export interface EmulatorConfig {
  readonly kind: 'emulator'
  readonly devices: readonly DeviceFacts[]
}

export interface Config {
  /** The file it came from; undefined = defaults only. */
  readonly file: string | undefined
  readonly stateDir: string
  /** One per tenant that has a socket. */
  readonly vmmSockets: readonly VmmSocketConfig[]
  readonly adminSocket: SocketConfig
  /** Folders made at start, with everything above them. */
  readonly homes: readonly string[]
  readonly logLevel: LogLevel
  /** What to do about a ledger that cannot be read. */
  readonly corruptLedger: 'refuse' | 'move-aside'
  /** Time that calls under way have to end when the daemon stops. */
  readonly stopGraceMs: number
  readonly policy: Policy
  /** Every device of the backend. */
  readonly scopes: ReadonlyMap<string, Scope>
  readonly backend: EmulatorConfig
  readonly limits: LimitsConfig
}

/** A map that nobody can change any more. */
export function frozenMap<K, V>(entries: Iterable<readonly [K, V]>): ReadonlyMap<K, V> {
  const map = new Map(entries)
  const refuse = () => {
    throw new TypeError('the configuration is fixed')
  }
  return Object.freeze(Object.assign(map, { set: refuse, delete: refuse, clear: refuse }))
}

/** Freezes the value and everything in it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
