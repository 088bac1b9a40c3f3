/** The options every server of the daemon is made with: grpc-js leaves these open by default. */

import type { ServerOptions } from '@grpc/grpc-js'
import type { ServiceLimits } from './limits.js'

/**
 * A connection whose client broke the protocol and went is not closed by Node (nghttp2 reads no
 * more, so its end is never noticed) and would keep its descriptor. Only a ping without an answer
 * finds it. A client that is stopped for as long is cut off too: it connects again, and a lost
 * connection ends nothing.
 */
const PING_MS = 60_000
const PING_ANSWER_MS = 120_000

/**
 * Metadata has no option in grpc-js: Node refuses header blocks above 64 KiB by itself
 * (`maxHeaderListSize`), and test/integration holds it to that.
 */
export function serverOptions(limits: ServiceLimits): ServerOptions {
  return {
    'grpc.max_concurrent_streams': limits.streamsPerConnection,
    'grpc-node.max_session_memory': limits.connectionMegabytes,
    'grpc.max_receive_message_length': limits.messageBytes,
    'grpc.max_send_message_length': limits.messageBytes,
    'grpc.keepalive_time_ms': PING_MS,
    'grpc.keepalive_timeout_ms': PING_ANSWER_MS,
    'grpc.enable_channelz': 0,
  }
}
