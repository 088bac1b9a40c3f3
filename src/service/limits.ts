/**
 * Bounds of the service floor, each with its reason. The daemon may move them by configuration;
 * GetServerInfo tells callers those in force.
 */

import { assert } from '../core/assert.js'

export interface ServiceLimits {
  /** Bytes of one message, either way. */
  readonly messageBytes: number
  /** Streams (calls) that one connection has open at once; more wait at the client. */
  readonly streamsPerConnection: number
  /** Megabytes that one connection may make Node hold; beyond, new streams on it are refused. */
  readonly connectionMegabytes: number
  /** Commands of one Control stream that are not answered, or whose answer is not taken, yet. */
  readonly controlInFlight: number
  /** Events of one Control stream that the client has not taken; then the stream is cut. */
  readonly controlEvents: number
  /** Calls and commands under way on one socket. */
  readonly callsInFlight: number
  /** Of one tenant in the whole daemon, those that wait for their rate included. */
  readonly tenantCallsInFlight: number
  /** Unary calls of one tenant and method, and opened Control streams; 0 = no limit. */
  readonly callsPerSecond: number
  /** So many at once after a pause. */
  readonly callsBurst: number
  /** Commands of one tenant and kind, over all its Control streams; 0 = no limit. */
  readonly commandsPerSecond: number
  readonly commandsBurst: number
  /** How long a call over its rate waits for its turn; beyond, it is refused. */
  readonly rateWaitMs: number
  /** Watch streams open at once. */
  readonly watchers: number
  /** Changes that are kept for those who watch; who is further behind is resynced. */
  readonly watchBacklog: number
}

export const DEFAULT_SERVICE_LIMITS: ServiceLimits = {
  // Pages are made to fit. Clients take 4 MiB unless told otherwise.
  messageBytes: 1024 * 1024,
  // A VMM has one Control stream and a few calls. An idle stream costs some 8 KB: 256 MB at 256
  // connections of one user. A manager of many VMs opens several connections, or is given more.
  streamsPerConnection: 128,
  connectionMegabytes: 64,
  // Twice the 128 vCPUs of a large guest.
  controlInFlight: 256,
  controlEvents: 1024,
  // 64 Control streams that use their bound.
  callsInFlight: 16_384,
  // A quarter of all, so that four tenants must flood before a fifth notices.
  tenantCallsInFlight: 4096,
  // A unary call costs a few tenths of a millisecond of the one loop; Control is the fast path.
  callsPerSecond: 2000,
  callsBurst: 4000,
  // More than one loop carries out: it stops runaways, not guests at work.
  commandsPerSecond: 200_000,
  commandsBurst: 200_000,
  rateWaitMs: 1000,
  watchers: 64,
  // A second or so of a busy host.
  watchBacklog: 8192,
}

/** A part of a large change, in bytes: what Watch sends at once, and holds for a slow reader. */
export const WATCH_MESSAGE_BYTES = 64 * 1024

/** Rows of a list are added until they would pass this part of a message. */
export const PAGE_BYTES_SHARE = 0.75

assert(
  DEFAULT_SERVICE_LIMITS.controlInFlight < DEFAULT_SERVICE_LIMITS.callsInFlight,
  'one stream does not fill the daemon',
)
assert(
  DEFAULT_SERVICE_LIMITS.controlInFlight <= DEFAULT_SERVICE_LIMITS.tenantCallsInFlight,
  'a tenant has at least one stream',
)
assert(
  DEFAULT_SERVICE_LIMITS.tenantCallsInFlight < DEFAULT_SERVICE_LIMITS.callsInFlight,
  'one tenant does not fill the daemon',
)
