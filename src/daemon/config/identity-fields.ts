/**
 * The leaves of an identity rule: what the kernel can say of a caller, and nothing that it never
 * says. Names of users and groups become numbers here, so that a rule means the same all the time.
 */

import { z } from 'zod'
import { groupId, userId } from '../accounts.js'
import { leaf, shown } from './fields.js'

/** -1 is no id (chown(2) says "leave it" with it). */
const ID_LAST = 2 ** 32 - 2
/** DEFAULT_OVERFLOWUID, and DEFAULT_OVERFLOWGID (include/linux/highuid.h). */
const OVERFLOW_ID = 65_534
const ACCOUNT_LENGTH_MAX = 64
/** PATH_MAX (include/uapi/linux/limits.h). */
const CGROUP_BYTES_MAX = 4096
/** The kernel's bound on /proc/PID/attr/current is a page. */
const LABEL_LENGTH_MAX = 4096
const CGROUP_MOUNT = '/sys/fs/cgroup'

/** The number, or what is wrong. */
function idOf(kind: 'user' | 'group', value: unknown): number | string {
  const isNumber = typeof value === 'number' && Number.isInteger(value)
  if (isNumber && value >= 0 && value <= ID_LAST) return value
  const isName = typeof value === 'string' && value !== '' && value.length <= ACCOUNT_LENGTH_MAX
  if (!isName) {
    return `is ${shown(value)}, must be the name of a ${kind}, or a number from 0 to ${ID_LAST}`
  }
  try {
    return kind === 'user' ? userId(value) : groupId(value)
  } catch (error) {
    // Also when the file cannot be read: then no name is known.
    return `is ${shown(value)}: ${(error as Error).message}`
  }
}

/** A user or group, by number or by its name in /etc/passwd or /etc/group. */
export function accountId(kind: 'user' | 'group'): z.ZodType<number> {
  return z.unknown().transform((value, context) => {
    const id = idOf(kind, value)
    if (typeof id === 'number' && id !== OVERFLOW_ID) return id
    const whose = `the kernel shows it for every ${kind} of another user namespace`
    const number = typeof value === 'number' ? '' : ` (${id})`
    const message =
      typeof id === 'string' ? id : `is ${shown(value)}${number}: ${whose}; name another`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })
}

/** As in /proc/PID/cgroup of the host: from the hierarchy's root, not from where it is mounted. */
export function cgroupPath(): z.ZodType<string> {
  const read = (value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith('/') || value.includes('\0'))
      return undefined
    if (Buffer.byteLength(value) > CGROUP_BYTES_MAX) return undefined
    const parts = value.split('/').filter((part) => part !== '')
    if (parts.length === 0 || parts.some((part) => part === '.' || part === '..')) return undefined
    if (parts.some((part) => part.includes('*') && part !== '*')) return undefined
    const clean = `/${parts.join('/')}`
    const isMounted = clean === CGROUP_MOUNT || clean.startsWith(`${CGROUP_MOUNT}/`)
    return isMounted ? undefined : clean
  }
  return leaf(
    'a path in the cgroup v2 hierarchy without . or .., where a * stands for one whole component',
    read,
    `write it as /proc/PID/cgroup does: "/machine.slice/*", without ${CGROUP_MOUNT}`,
  )
}

/** Exact but for a `*` at its end; within it a star is a star, as in names of AppArmor profiles. */
export function securityLabel(): z.ZodType<string> {
  const isLabel = (value: unknown): value is string =>
    typeof value === 'string' && value.length <= LABEL_LENGTH_MAX && /^[^\0\n]+$/.test(value)
  return leaf(
    `a security label of 1 to ${LABEL_LENGTH_MAX} characters on one line`,
    (value) => (isLabel(value) ? value : undefined),
    'write it as /proc/PID/attr/current does',
  )
}
