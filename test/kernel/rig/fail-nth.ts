/**
 * The kernel's fault injection (Documentation/fault-injection/fault-injection.rst): the n-th step
 * that can fail (an allocation, iommufd's look-up of an object) of a thread's next system calls
 * does.
 */
import fs from 'node:fs'
import path from 'node:path'
import { linuxKernel } from '../../../src/backend/vfio/linux-kernel.js'
import type { CallThread, Kernel } from '../../../src/backend/vfio/ports.js'

const DEBUG = '/sys/kernel/debug'
const TASKS = '/proc/self/task'
/** Threads of the native backend. */
const THREAD = 'pasidd-vfio'

/** Every kind of step may fail, and nothing is written to the log about it. */
export function prepareFailures(): void {
  const kinds = fs.readdirSync(DEBUG).filter((name) => name.startsWith('fail'))
  for (const kind of kinds) {
    for (const [option, value] of [
      ['ignore-gfp-wait', 'N'],
      ['verbose', '0'],
    ] as const) {
      const file = path.join(DEBUG, kind, option)
      if (fs.existsSync(file)) fs.writeFileSync(file, value)
    }
  }
  if (!kinds.includes('failslab')) throw new Error('this kernel has no failslab')
}

/** A thread may end meanwhile. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}

function files(): readonly string[] {
  const folders = fs.readdirSync(TASKS).map((thread) => path.join(TASKS, thread))
  const nameOf = (folder: string) => fs.readFileSync(path.join(folder, 'comm'), 'utf8').trim()
  return folders
    .filter((folder) => unlessGone(() => nameOf(folder)) === THREAD)
    .map((folder) => path.join(folder, 'fail-nth'))
}

const lasting: CallThread[] = []

/**
 * The kernel, but that threads live on until endThreads(): of one that lets its device go it can be
 * asked afterwards whether anything failed.
 */
export const lastingKernel: Kernel = {
  ...linuxKernel,
  startThread: (name) => {
    const thread = linuxKernel.startThread(name)
    lasting.push(thread)
    return {
      ioctl: (call) => thread.ioctl(call),
      read: (fd, bytes) => thread.read(fd, bytes),
      write: (fd, bytes) => thread.write(fd, bytes),
      close: (fd) => thread.close(fd),
      abandon: (fds, meant) => thread.abandon(fds, meant),
      end: () => undefined,
    }
  },
}

/** For afterEach. */
export function endThreads(): void {
  for (const thread of lasting.splice(0)) thread.end()
}

/** For the threads that there are. */
export function failNth(n: number): void {
  for (const file of files()) unlessGone(() => fs.writeFileSync(file, `${n}`))
}

/** Stops it, and answers whether a step has failed: the kernel's counter is at 0 then. */
export function hasFailed(): boolean {
  const found = files().map((file) => {
    return unlessGone(() => {
      const left = Number(fs.readFileSync(file, 'utf8'))
      fs.writeFileSync(file, '0')
      return left
    })
  })
  return found.includes(0)
}
