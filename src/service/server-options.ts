/** The options every server of the daemon is made with: grpc-js leaves these open by default. */

import type { ServerOptions } from '@grpc/grpc-js'
import type { ServiceLimits } from './limits.js'

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
    'grpc.enable_channelz': 0,
  }
}
