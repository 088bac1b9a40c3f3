/**
 * Processes that own sessions, by the thousand: children of one small program,
 * test/helpers/nursery.c, which forks and ends them. Holds: none of them outlives the program, nor
 * that the test.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { ownerBudget } from '../../src/daemon/owners.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import { findByInode } from '../../src/linux/pidfs.js'

const PROGRAMS = path.resolve(import.meta.dirname, '../helpers')
const COMPILER = process.env['CC'] ?? 'cc'
/** Pids that others on the machine may need meanwhile. */
const PIDS_LEFT = 2000

export const NO_COMPILER = `there is no C compiler (${COMPILER}) to make owner processes with`

export const NO_PROOF =
  'the kernel has no file handles of pidfs (Linux 6.14): the end of a reaped process is not proven'

/** Whether the kernel proves that a process has ended of whom no pidfd was held. */
export function hasProof(): boolean {
  const self = Pidfd.open(process.pid)
  if (self instanceof SyscallFailure) return false
  const found = self.inode !== '' && findByInode(self.inode) === 'THERE'
  self.close()
  return found
}

/** A program of test/helpers/, compiled into the folder; undefined without a compiler. */
export function compile(folder: string, name: string, ...flags: string[]): string | undefined {
  const [source, made] = [path.join(PROGRAMS, `${name}.c`), path.join(folder, name)]
  const { error, status, stderr } = spawnSync(COMPILER, ['-O1', ...flags, '-o', made, source])
  if (error !== undefined) return undefined
  if (status !== 0) throw new Error(`${source} does not compile:\n${stderr.toString()}`)
  return made
}

const nurseries: Nursery[] = []

export class Nursery {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>

  private constructor(program: string) {
    this.#child = spawn(program)
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    nurseries.push(this)
  }

  /** Undefined without a compiler. */
  static start(folder: string): Nursery | undefined {
    const program = compile(folder, 'nursery')
    return program === undefined ? undefined : new Nursery(program)
  }

  async fork(count: number): Promise<readonly number[]> {
    const [word, ...pids] = (await this.#ask(`fork ${count}`)).split(' ')
    if (word !== 'forked' || pids.length !== count || pids.includes('failed:')) {
      throw new Error(`${count} owners were asked for: ${word} ... ${pids.slice(-3).join(' ')}`)
    }
    return pids.map(Number)
  }

  /**
   * With SIGKILL, all at once. Resolved = all have ended; those left as zombies keep their pids.
   */
  async end(pids: readonly number[], how: 'REAPED' | 'ZOMBIES' = 'REAPED'): Promise<void> {
    if (pids.length === 0) return
    const answer = await this.#ask(`${how === 'REAPED' ? 'kill' : 'slay'} ${pids.join(' ')}`)
    if (answer !== `ended ${pids.length}`) throw new Error(`${pids.length} were to end: ${answer}`)
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask(line: string): Promise<string> {
    this.#child.stdin.write(`${line}\n`)
    const answer = await this.#answers.next()
    return answer.done === true ? 'nothing: the nursery has ended' : answer.value
  }
}

/** For afterEach. */
export function stopNurseries(): void {
  for (const nursery of nurseries.splice(0)) nursery.stop()
}

function numberIn(file: string): number {
  try {
    const text = fs.readFileSync(file, 'utf8').trim()
    return text === 'max' ? Infinity : Number(text)
  } catch {
    return Infinity
  }
}

function limit(name: string): number {
  const limits = fs.readFileSync('/proc/self/limits', 'utf8')
  const soft = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits)?.[1]
  return soft === undefined || soft === 'unlimited' ? Infinity : Number(soft)
}

/** How many owners this machine has room for, up to `wanted`, and what bounds them. */
export function ownersPossible(wanted: number): {
  readonly count: number
  readonly bounds: string
} {
  const running = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length
  const pidMax = numberIn('/proc/sys/kernel/pid_max')
  const threadsMax = numberIn('/proc/sys/kernel/threads-max')
  const inCgroup = numberIn('/sys/fs/cgroup/pids.max')
  const [processes, files] = [limit('Max processes'), limit('Max open files')]
  const room = Math.min(pidMax, threadsMax, processes, inCgroup) - running - PIDS_LEFT
  const count = Math.max(0, Math.min(wanted, room))
  const bounds =
    `${count} of ${wanted} wanted; pid_max ${pidMax}, RLIMIT_NPROC ${processes}, ` +
    `RLIMIT_NOFILE ${files}: ${ownerBudget(files)} owners can be watched`
  return { count, bounds }
}
