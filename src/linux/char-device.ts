/**
 * Character devices: whether a descriptor is one, and which; and opening them by path. Holds: of
 * what somebody sent nothing is asked that its server, or a driver, would have to answer.
 */
import fs from 'node:fs'
import { type DeviceFacts, native } from './addon.js'
import { SyscallFailure, thrownFailure } from './errno.js'
import { OwnedFd } from './owned-fd.js'

export type { DeviceFacts }

/** S_IFMT and S_IFCHR, inode(7). */
const TYPE_MASK = 0o170000
const CHARACTER_DEVICE = 0o020000
const O_PATH = 0o10000000

/**
 * Type and permissions, how it was opened, and the device's number (`st_rdev`). Undefined: it
 * cannot be looked at. One opened with O_PATH has the number of a device that it has not opened.
 */
export function deviceFacts(fd: { readonly number: number }): DeviceFacts | undefined {
  const facts = native.deviceFacts(fd.number)
  return typeof facts === 'number' ? undefined : facts
}

/** Whether the device itself is open behind it. */
export function isCharacterDevice({ mode, flags }: DeviceFacts): boolean {
  return (mode & TYPE_MASK) === CHARACTER_DEVICE && (flags & O_PATH) === 0
}

/**
 * Opens it for reading and writing. Fails as open(2) does (ENOENT, EACCES, EBUSY), and with ENODEV
 * for another kind of file. A driver may take its time; VFIO's and iommufd's wait for nobody.
 */
export function openDevice(path: string): OwnedFd | SyscallFailure {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = fs.constants
  let fd: OwnedFd
  try {
    // Non-blocking, so that a pipe at the path does not wait for somebody at its other end.
    fd = new OwnedFd(fs.openSync(path, O_RDWR | O_NOCTTY | O_NONBLOCK), path)
  } catch (error) {
    return thrownFailure(`open ${path}`, error)
  }
  const facts = deviceFacts(fd)
  if (facts !== undefined && isCharacterDevice(facts)) return fd
  fd.close()
  return new SyscallFailure(`open ${path}`, 'ENODEV')
}
