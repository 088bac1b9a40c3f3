/** grpc.health.v1 Check. Its two messages are so small that they are read and written by hand. */

import type { Channel, Method } from './channel.js'

export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'

/** HealthCheckResponse.ServingStatus, by number. */
const STATUSES: readonly ServingStatus[] = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
/** Field 1, varint: `status`. */
const STATUS_TAG = 0x08

const CHECK: Method<Record<string, never>, ServingStatus> = {
  path: '/grpc.health.v1.Health/Check',
  requestSerialize: () => Buffer.alloc(0),
  responseDeserialize(bytes) {
    const [tag, code = 0] = bytes
    return tag === STATUS_TAG ? (STATUSES[code] ?? 'UNKNOWN') : 'UNKNOWN'
  },
}

/** Of the whole server. */
export function checkHealth(channel: Channel): Promise<ServingStatus> {
  return channel.call(CHECK, {}, { repeatable: true })
}
