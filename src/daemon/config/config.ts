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

export interface ConfiguredDevice extends DeviceFacts {
  /** Bus, device and function: 16 bits. Absent = the next that is free. */
  readonly sourceId?: number | undefined
}

/** Bounds on what clients may do. */
export interface LimitsConfig extends ServiceLimits {
  /** Open at once on one socket. */
  readonly connections: number
  /** Of those, of one user. */
  readonly connectionsPerUid: number
  /** A connection that has not said a whole HTTP/2 preface by then is closed. */
  readonly firstByteMs: number
  /** Calls and commands of one tenant under way. */
  readonly tenantCallsInFlight: number
  /** Unary calls of one tenant and method; 0 = no limit. */
  readonly callsPerSecond: number
  /** So many at once after a pause. */
  readonly callsBurst: number
  /** Commands on Control streams of one tenant and method; 0 = no limit. */
  readonly commandsPerSecond: number
  readonly commandsBurst: number
  /** How long a call over its rate is held back before it is refused. */
  readonly rateWaitMs: number
  /** Watch streams open at once. */
  readonly watchers: number
  /** Newest changes that a Watch can begin with. */
  readonly watchBacklog: number
  /** A page request that is not answered by then is answered INVALID. */
  readonly pageRequestDeadlineMs: number
  /** Page-request groups of one session that wait for an answer. */
  readonly pageRequestsPending: number
}

/** Which callers a rule is about: all that are given must hold. None given = everybody. */
export interface IdentityMatch {
  readonly uid: number | undefined
  /** The primary group or a supplementary one. */
  readonly gid: number | undefined
  /** Path in the cgroup v2 hierarchy: the caller's is it or below it. A "*" is one component. */
  readonly cgroup: string | undefined
  /** Of the Linux security module (SO_PEERSEC), exact; a "*" at its end stands for any rest. */
  readonly label: string | undefined
  /** Absolute path, exact. */
  readonly executable: string | undefined
}

/** The caller is this tenant, and owns what it opens. */
export interface VmmRule extends IdentityMatch {
  readonly role: 'vmm'
  readonly tenant: string
}

/** A manager that opens sessions for VMs' processes, given by pidfd. */
export interface DelegateRule extends IdentityMatch {
  readonly role: 'delegate'
  /** For which it may. */
  readonly tenants: readonly string[]
}

export type IdentityRule = VmmRule | DelegateRule

/** On the admin socket; an observer may only read. */
export interface OperatorRule extends IdentityMatch {
  readonly role: 'operator' | 'observer'
}

export interface IdentityConfig {
  /** On VMM sockets; the first that matches decides. */
  readonly rules: readonly IdentityRule[]
  /** A caller whom no rule matches: the tenant of the socket it came by, or refused. */
  readonly unmatched: 'socket-tenant' | 'refuse'
  /** Empty: who may connect is an operator. Else the first that matches decides; none = refused. */
  readonly operators: readonly OperatorRule[]
}

/** How owners that ended are found, and when that is too much to be true. */
export interface ReclaimConfig {
  /** From one sweep to the next. */
  readonly sweepIntervalMs: number
  /** What one cycle of a sweep may take. */
  readonly sweepBudgetMs: number
  /** Owners looked at in one cycle. */
  readonly sweepSessions: number
  /** Percent of the sessions: more deaths inferred in one pass open the breaker. 100 = never. */
  readonly breakerShare: number
  /** So many inferred deaths never open it. */
  readonly breakerFloor: number
  /** The longest linger that a session may ask for; 0 = none. */
  readonly lingerMsMax: number
  /** A teardown that keeps failing so long is shown as stuck. */
  readonly stuckAfterMs: number
  /**
   * How long the numbers of a session rest that had a device which is not in the broker's hands: it
   * may have attached them itself. 0 = none.
   */
  readonly unprovenHoldMs: number
}

export interface EmulatorConfig {
  readonly kind: 'emulator'
  readonly devices: readonly ConfiguredDevice[]
}

/** A function behind vfio-pci. */
export interface NativeDevice {
  readonly name: string
  /** As sysfs has it: domain, bus, device and function, in lower case. */
  readonly address: string
}

export interface NativeConfig {
  readonly kind: 'native'
  readonly devices: readonly NativeDevice[]
  /** A system call that takes longer makes its device stuck, until it returns. */
  readonly callDeadlineMs: number
  /** Each device in the broker's hands has one. */
  readonly threadsPerSession: number
}

export type BackendConfig = EmulatorConfig | NativeConfig

export interface Config {
  /** The file it came from; undefined = defaults only. */
  readonly file: string | undefined
  readonly stateDir: string
  /** One per tenant that has a socket. */
  readonly vmmSockets: readonly VmmSocketConfig[]
  readonly adminSocket: SocketConfig
  /** SEQPACKET: delegates hand over pidfds. */
  readonly fdSocket: SocketConfig
  /** HTTP: GET /metrics. */
  readonly metricsSocket: SocketConfig
  /** Folders made at start, with everything above them. */
  readonly homes: readonly string[]
  readonly logLevel: LogLevel
  /** What to do about a ledger that cannot be read. */
  readonly corruptLedger: 'refuse' | 'move-aside'
  /** Time that calls under way have to end when the daemon stops. */
  readonly stopGraceMs: number
  /** The newest so many audit records of sessions are kept, of operators' acts a tenth. */
  readonly auditEvents: number
  readonly identity: IdentityConfig
  readonly reclaim: ReclaimConfig
  readonly policy: Policy
  /** Every device of the backend. */
  readonly scopes: ReadonlyMap<string, Scope>
  readonly backend: BackendConfig
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
