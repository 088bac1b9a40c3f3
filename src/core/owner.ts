/**
 * Who a session belongs to: a process, named so that no other can be taken for it. A pid alone is
 * not that, since the kernel gives it out again.
 */

/** One process of this boot of the host. Its name outlives `exec`, and no fork shares it. */
export interface ProcessId {
  /** In the pid namespace below. 1..2^22. */
  readonly pid: number
  /** Of its pidfd: unique for the boot (fs/pidfs.c, Linux 6.9). Empty where pidfs has none. */
  readonly inode: string
  /** Clock ticks since boot, field 22 of /proc/PID/stat. Empty when it could not be read. */
  readonly startTime: string
  /** Inode of the pid namespace that the pid is a number in: /proc/self/ns/pid of the daemon. */
  readonly pidNamespace: string
}

/** The process with the credentials that it connected with (SO_PEERCRED). */
export interface Owner extends ProcessId {
  readonly uid: number
  readonly gid: number
}

/** Whether the two name one process. What names none for certain is nobody. */
export function sameProcess(a: ProcessId, b: ProcessId): boolean {
  if (a.inode !== '' && b.inode !== '') return a.inode === b.inode
  if (a.startTime === '' || a.startTime !== b.startTime) return false
  return a.pid === b.pid && a.pidNamespace === b.pidNamespace
}

/**
 * What the kernel answers about a process: ended for certain (its pidfd, or its pidfs inode, says
 * so), gone as far as one can see (the pid is free, or another's by its start time), or no answer.
 */
export type Liveness = 'ALIVE' | 'DEAD_PROVEN' | 'DEAD_INFERRED' | 'UNKNOWN'
