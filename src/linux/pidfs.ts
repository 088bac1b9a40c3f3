/**
 * Whether a process is still there, asked by the inode that its pidfd had, with no pidfd held: the
 * file handles of pidfs (Linux >= 6.14; they need no privilege). Seen on Linux 6.18: a process that
 * runs and a zombie are found; a reaped one is ESTALE, also while somebody still holds a pidfd of
 * it, and a new process with its number has another inode. A process outside our pid namespace is
 * ESTALE too: the caller compares namespaces first.
 */
import { endianness } from 'node:os'
import { native } from './addon.js'
import { failureOf } from './errno.js'
import { OwnedFd } from './owned-fd.js'

/** The handle is the 64-bit inode: struct pid's `ino`, fs/pidfs.c. */
const INODE_BYTES = 8

function handleOf(inode: bigint): Buffer {
  const bytes = Buffer.alloc(INODE_BYTES)
  if (endianness() === 'LE') bytes.writeBigUInt64LE(inode)
  else bytes.writeBigUInt64BE(inode)
  return bytes
}

/**
 * UNAVAILABLE: the kernel has no such proof, or what we asked it about ourselves came out wrong.
 * NOT_NOW: no descriptor or memory was left to ask with.
 */
export type Found = 'THERE' | 'GONE' | 'UNAVAILABLE' | 'NOT_NOW'

const SHORTAGES: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM']

function without(code: number): Found {
  return SHORTAGES.includes(failureOf('', code).errno) ? 'NOT_NOW' : 'UNAVAILABLE'
}

function lookUp(mount: OwnedFd, type: number, inode: bigint): Found {
  const code = native.openByHandle(mount.number, type, handleOf(inode))
  if (code < 0) {
    return failureOf('open_by_handle_at', code).errno === 'ESTALE' ? 'GONE' : without(code)
  }
  const found = new OwnedFd(code, 'a pidfd found by its handle')
  const facts = native.fileFacts(found.number)
  found.close()
  return typeof facts !== 'number' && facts.inode === inode ? 'THERE' : 'UNAVAILABLE'
}

/**
 * Asks about ourselves first, each time: a filesystem without file handles answers ESTALE for every
 * one, which must not pass for a death.
 */
export function findByInode(inode: string): Found {
  const self = native.pidfdOpen(process.pid)
  if (self < 0) return without(self)
  const mount = new OwnedFd(self, 'our own pidfd')
  try {
    const facts = native.fileFacts(mount.number)
    const handle = native.nameToHandle(mount.number)
    if (typeof facts === 'number') return without(facts)
    if (typeof handle === 'number') return without(handle)
    if (!handle.bytes.equals(handleOf(facts.inode))) return 'UNAVAILABLE'
    const ourselves = lookUp(mount, handle.type, facts.inode)
    if (ourselves === 'THERE') return lookUp(mount, handle.type, BigInt(inode))
    return ourselves === 'NOT_NOW' ? 'NOT_NOW' : 'UNAVAILABLE'
  } finally {
    mount.close()
  }
}
