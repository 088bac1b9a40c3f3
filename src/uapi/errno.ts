/**
 * Errno numbers (include/uapi/asm-generic/errno-base.h, errno.h), as answers of kernel calls carry
 * them, and the one shape in which the codecs of this room say no.
 */

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  E2BIG: 7,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOTTY: 25,
  ENOSPC: 28,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
} as const

export type Errno = (typeof ERRNO)[keyof typeof ERRNO]

/** What a kernel would say of the bytes; `problem` is for people: field, value, bound. */
export interface UapiError {
  readonly errno: Errno
  readonly problem: string
}

export function invalid(problem: string): UapiError {
  return { errno: ERRNO.EINVAL, problem }
}

/** The structure says that it is longer than what is there: copy_from_user() would fault. */
export function fault(problem: string): UapiError {
  return { errno: ERRNO.EFAULT, problem }
}

export function isUapiError(value: object): value is UapiError {
  return 'errno' in value
}
