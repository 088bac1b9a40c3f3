/**
 * What /proc says of a process. A pid may be given to another process between two reads, so a fact
 * counts only when the pidfd says "not ended" after it was read: `factsOf` does that.
 */
import fs from 'node:fs'
import { type SyscallFailure, thrownFailure } from './errno.js'
import type { Pidfd } from './pidfd.js'

/** Of /proc/PID/exe. */
export interface Executable {
  /** As the process sees it: its mount namespace may have something else there than ours. */
  readonly path: string
  /**
   * Whether the file at that path in *our* mount namespace is the very one that runs. Whoever may
   * make a mount namespace can run anything under any path; a rule on paths must ask for this.
   * False for a path that nobody asked for: it is the other's choice, and may be one where looking
   * hangs or mounts something (autofs(5), FUSE).
   */
  readonly genuine: boolean
}

export interface ProcessFacts {
  /** In clock ticks since boot: field 22 of /proc/PID/stat, starttime of proc_pid_stat(5). */
  readonly startTime: string
  /** From the root of our cgroup namespace, of cgroup v2 or of v1's named hierarchy. */
  readonly cgroup: string
  /** EACCES: another's executable may be read only with CAP_SYS_PTRACE. */
  readonly executable: Executable | SyscallFailure
}

const STARTTIME_FIELD = 22
/** The first field after the command's closing bracket is the third. */
const FIRST_AFTER_COMMAND = 3

/** The command may hold blanks, brackets and line feeds; the last bracket closes it. */
export function startTimeIn(stat: string): string | undefined {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 1)
    .trim()
    .split(' ')
  const value = fields[STARTTIME_FIELD - FIRST_AFTER_COMMAND]
  return value !== undefined && /^\d+$/.test(value) ? value : undefined
}

/**
 * Lines are `id:controllers:path` (cgroups(7)). On a host with both versions, v2 counts when the
 * process is anywhere but at its root, else systemd's hierarchy of v1.
 */
export function cgroupIn(text: string): string {
  const entries = text.split('\n').map((line) => {
    const [id = '', controllers = '', ...path] = line.split(':')
    return { id, controllers, path: path.join(':') }
  })
  const unified = entries.find(({ id, controllers }) => id === '0' && controllers === '')
  if (unified !== undefined && unified.path !== '/') return unified.path
  const named = entries.find(({ controllers }) => controllers === 'name=systemd')
  return named?.path ?? unified?.path ?? '/'
}

/** @throws what node:fs throws: ENOENT or ESRCH when there is no such process. */
export function startTimeOf(pid: number): string | undefined {
  return startTimeIn(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

function isSameFile(one: string, other: string): boolean {
  const left = fs.statSync(one, { bigint: true, throwIfNoEntry: false })
  const right = fs.statSync(other, { bigint: true, throwIfNoEntry: false })
  if (left === undefined || right === undefined) return false
  return left.ino === right.ino && left.dev === right.dev
}

function executableOf(pid: number, asked: ReadonlySet<string>): Executable | SyscallFailure {
  const link = `/proc/${pid}/exe`
  let path: string
  try {
    path = fs.readlinkSync(link)
  } catch (error) {
    return thrownFailure('readlink(/proc/PID/exe)', error)
  }
  try {
    return { path, genuine: asked.has(path) && isSameFile(link, path) }
  } catch {
    // We may not look at the file at that path: then it is not shown to be the same.
    return { path, genuine: false }
  }
}

/**
 * What /proc says of the process behind the pidfd; undefined when it has ended by the end of the
 * reading, and a failure when /proc does not show it (hidepid, another pid namespace).
 * `executables`: the paths of which it is asked whether they are genuine.
 */
export function factsOf(
  pidfd: Pidfd,
  executables: ReadonlySet<string>,
): ProcessFacts | SyscallFailure | undefined {
  const pid = pidfd.pid()
  if (pid === undefined) return undefined
  let facts: ProcessFacts | SyscallFailure
  try {
    const cgroup = cgroupIn(fs.readFileSync(`/proc/${pid}/cgroup`, 'utf8'))
    facts = {
      startTime: startTimeOf(pid) ?? '',
      cgroup,
      executable: executableOf(pid, executables),
    }
  } catch (error) {
    facts = thrownFailure(`open(/proc/${pid})`, error)
  }
  // Not ended now means that the number was this process's all the time.
  return pidfd.ended() ? undefined : facts
}
