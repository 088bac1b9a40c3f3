/**
 * Who is at the other end of a call: what the daemon made of the connection when it was accepted,
 * captured when the call begins. Holds for all four kinds of call, and after the client is gone.
 */

import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js'
import type { Caller } from '../broker/caller.js'
import { InvariantViolation } from '../core/assert.js'
import { refuse, type Outcome } from '../core/refusal.js'

export interface Peer {
  /** Refused (IDENTITY_REFUSED): every call of the connection is answered with the refusal. */
  readonly identity: Outcome<Caller>
}

type AuthContext = ReturnType<ServerInterceptingCall['getAuthContext']>

interface PeerAuthContext extends AuthContext {
  readonly peer: Peer | undefined
}

/** grpc-js hands a call's own auth context out to its handler, whatever kind of call it is. */
class PeerCall extends ServerInterceptingCall {
  readonly #context: PeerAuthContext

  constructor(next: ServerInterceptingCallInterface, peer: Peer | undefined) {
    super(next)
    this.#context = { transportSecurityType: 'unix', peer }
  }

  override getAuthContext(): PeerAuthContext {
    return this.#context
  }
}

/** A connection that was gone before its call began: nobody reads what is answered. */
const GONE: Peer = { identity: refuse({ code: 'CALLER_ENDED', pid: 0 }) }

/**
 * `lookup` finds a connection by the key that the listener made the `remoteAddress` of its socket.
 * A Unix socket has no address of its own, and `getPeer()` tells none once the client is gone.
 */
export function peerInterceptor(
  lookup: (connection: string) => Peer | undefined,
): ServerInterceptor {
  return (_method, call) => {
    const { remoteAddress } = call.getConnectionInfo()
    return new PeerCall(call, remoteAddress === undefined ? GONE : lookup(remoteAddress))
  }
}

/** @throws InvariantViolation when the listener does not know the connection: a bug, no guest */
export function callerOf(call: { getAuthContext(): AuthContext }): Outcome<Caller> {
  const context: AuthContext & { readonly peer?: Peer | undefined } = call.getAuthContext()
  if (context.peer === undefined) throw new InvariantViolation('a call of an unknown connection')
  return context.peer.identity
}
