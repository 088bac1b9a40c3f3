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
  /** Calls and commands under way in the whole daemon. */
  readonly callsInFlight: number
}

export const DEFAULT_SERVICE_LIMITS: ServiceLimits = {
  // Pages are made to fit. Clients take 4 MiB unless told otherwise.
  messageBytes: 1024 * 1024,
  // A VMM has one Control stream and a few calls; a manager of many VMs opens many of both.
  streamsPerConnection: 1024,
  connectionMegabytes: 64,
  // Twice the 128 vCPUs of a large guest.
  controlInFlight: 256,
  controlEvents: 1024,
  // 64 Control streams that use their bound.
  callsInFlight: 16_384,
}

/** Rows of a list are added until they would pass this part of a message. */
export const PAGE_BYTES_SHARE = 0.75

assert(
  DEFAULT_SERVICE_LIMITS.controlInFlight < DEFAULT_SERVICE_LIMITS.callsInFlight,
  'one stream does not fill the daemon',
)
