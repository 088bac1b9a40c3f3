/**
 * Failed system calls as values: which call, and errno by its name (errno(3)). Callers decide by
 * the name; numbers differ between architectures.
 */
import os from 'node:os'

export class SyscallFailure {
  /** The call, with the option or path that tells it from others of its name. */
  readonly syscall: string
  /** Such as `ESRCH`. */
  readonly errno: string

  constructor(syscall: string, errno: string) {
    this.syscall = syscall
    this.errno = errno
  }

  toString(): string {
    return `${this.syscall}: ${this.errno}`
  }
}

/** Two names for one number: the one that the manual pages of our calls use. */
const PREFERRED: readonly string[] = ['EAGAIN', 'EOPNOTSUPP']

/** What libuv does not know of; one number on all architectures that Linux has IOMMUs on. */
const LINUX_ONLY: readonly [number, string][] = [[77, 'EBADFD']]

const NAMES: ReadonlyMap<number, string> = new Map([
  ...LINUX_ONLY,
  ...Object.entries(os.constants.errno).map(([name, number]): [number, string] => [number, name]),
  ...PREFERRED.flatMap((name): [number, string][] => {
    const number = Object.entries(os.constants.errno).find(([other]) => other === name)?.[1]
    return number === undefined ? [] : [[number, name]]
  }),
])

/** The failure that the addon answered with: minus errno. */
export function failureOf(syscall: string, code: number): SyscallFailure {
  return new SyscallFailure(syscall, NAMES.get(-code) ?? `errno ${-code}`)
}

/** The errno of what node:fs throws. Anything else is no failed call and is thrown on. */
export function thrownFailure(syscall: string, error: unknown): SyscallFailure {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return new SyscallFailure(syscall, error.code)
  }
  throw error
}
