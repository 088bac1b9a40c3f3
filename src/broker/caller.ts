/**
 * Who calls, as the daemon made it of what the kernel said when the connection was made. What the
 * caller says of itself plays no part.
 */

import type { Actor } from '../core/audit.js'
import type { Owner } from '../core/owner.js'

export interface Caller {
  readonly process: Owner
  /** Charged for sessions that it opens for itself; undefined: it may open none. */
  readonly tenant: string | undefined
  /** Tenants for whose VMs' processes it may act; empty: it is no delegate. */
  readonly delegateFor: ReadonlySet<string>
  /** What it may do on the admin socket; undefined elsewhere. */
  readonly role: 'operator' | 'observer' | undefined
  /** Whether the kernel says that the process has ended. Cheap: asked at every command. */
  ended(): boolean
}

/** A caller with the hash of the token it showed, in hex. */
export interface TokenBearer {
  readonly caller: Caller
  /** Without `sessions/`. */
  readonly session: string
  readonly tokenHash: string
}

export function actorOf({ process: { uid, gid, pid } }: Caller): Actor {
  return { uid, gid, pid }
}
