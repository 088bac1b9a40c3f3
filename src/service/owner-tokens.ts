/** The port to where delegates hand over processes by pidfd: the daemon's side socket. */

import type { Caller } from '../broker/caller.js'
import type { Owner } from '../core/owner.js'

/** Processes that delegates have handed over, each under a token that is good once. */
export interface OwnerTokens {
  /** Undefined: unknown, used, too old, or given to another process than the caller. */
  take(
    token: string,
    caller: Caller,
  ): { readonly owner: Owner; readonly ended: boolean } | undefined
}
