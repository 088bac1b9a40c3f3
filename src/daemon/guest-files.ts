/**
 * Where guest memory comes from: the side socket's tokens, files that operators name, and memory of
 * the daemon's own. Joins the service's port to linux/ and the emulator.
 */

import type { Caller } from '../broker/caller.js'
import type { GuestFile } from '../broker/verbs/guest-memory.js'
import { memoryFileOf, SparseMemory } from '../backend/emulator/memory.js'
import { openMemoryPath } from '../linux/guest-memory.js'
import type { GuestFiles, RefusedFile } from '../service/guest-files.js'
import type { MemoryTokens } from './memory-tokens.js'

export class DaemonGuestFiles implements GuestFiles {
  constructor(private readonly tokens: MemoryTokens) {}

  take(token: string, caller: Caller): GuestFile | undefined {
    return this.tokens.take(token, caller)
  }

  openPath(path: string): GuestFile | RefusedFile {
    return openMemoryPath(path)
  }

  zeros(bytes: number): GuestFile {
    return memoryFileOf(new SparseMemory(bytes))
  }
}
