/** The port to where guest memory is handed over, and opened: the side socket, and files. */

import type { Caller } from '../broker/caller.js'
import type { GuestFile } from '../broker/verbs/guest-memory.js'

/** A file that is not taken; for people. */
export interface RefusedFile {
  readonly problem: string
  readonly remedy: string
}

export interface GuestFiles {
  /**
   * What was handed over for the token, once; the caller's of this function then. Undefined:
   * unknown, used, too old, or given to another process than the caller.
   */
  take(token: string, caller: Caller): GuestFile | undefined
  /** An operator's regular file, by absolute path. */
  openPath(path: string): GuestFile | RefusedFile
  /** Memory of the daemon's own, all zeros; a multiple of 4096. */
  zeros(bytes: number): GuestFile
}
