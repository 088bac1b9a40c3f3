/**
 * What the two descriptors of a device are that somebody hands over: an iommufd, and a VFIO
 * device's own node. Holds: only the kernel's word counts, namely type, device number and what
 * sysfs has under it; nothing is asked of the device or of whoever is behind the file.
 */

import fs from 'node:fs'
import path from 'node:path'
import { type DeviceFacts, isCharacterDevice } from '../linux/char-device.js'
import type { ReceivedFd } from '../linux/received-fd.js'
import type { SentDevice } from './hand-over-tokens.js'

const SEND = 'send /dev/iommu first, then /dev/vfio/devices/vfioN, each opened O_RDWR'
const OPEN_NODE = 'open the device’s own node, /dev/vfio/devices/vfioN'

/** inode(7), and open(2). */
const TYPE_MASK = 0o170000
const TYPES: ReadonlyMap<number, string> = new Map([
  [0o010000, 'a pipe'],
  [0o040000, 'a directory'],
  [0o060000, 'a block device'],
  [0o100000, 'a file or memfd'],
  [0o120000, 'a link'],
  [0o140000, 'a socket'],
])
const O_PATH = 0o10000000
const O_ACCMODE = 0o3
/** Of a device that came from VFIO_GROUP_GET_DEVICE_FD (drivers/vfio/group.c). */
const GROUP_DEVICE = 'anon_inode:[vfio-device]'

/** Of a descriptor. */
interface Seen {
  readonly kind: 'IOMMUFD' | 'CDEV' | 'OTHER'
  /** In words, for a refusal. */
  readonly what: string
  /** What to do where this was sent for a VFIO device. */
  readonly remedy?: string
}

/** What sysfs knows a character device by: its class, and its name below /dev. */
function nodeOf({ major, minor }: DeviceFacts, sysfs: string) {
  const folder = path.join(sysfs, 'dev/char', `${major}:${minor}`)
  try {
    const subsystem = path.basename(fs.readlinkSync(path.join(folder, 'subsystem')))
    const events = fs.readFileSync(path.join(folder, 'uevent'), 'utf8')
    return { subsystem, name: /^DEVNAME=(.+)$/m.exec(events)?.[1] ?? '' }
  } catch {
    // Some have no entry (terminals), and a device may vanish meanwhile.
    return { subsystem: '', name: '' }
  }
}

function seeDevice(facts: DeviceFacts, sysfs: string): Seen {
  const { subsystem, name } = nodeOf(facts, sysfs)
  const number = `${facts.major}:${facts.minor}`
  const what = name === '' ? `the character device ${number}` : `/dev/${name}`
  if (subsystem === 'vfio') return { kind: 'OTHER', what: `the group ${what}`, remedy: OPEN_NODE }
  const isIommufd = subsystem === 'misc' && name === 'iommu'
  if (!isIommufd && subsystem !== 'vfio-dev') return { kind: 'OTHER', what }
  if ((facts.flags & O_ACCMODE) === fs.constants.O_RDWR) {
    return { kind: isIommufd ? 'IOMMUFD' : 'CDEV', what }
  }
  return { kind: 'OTHER', what: `${what}, but not opened for reading and writing` }
}

function see(fd: ReceivedFd, sysfs: string): Seen {
  const facts = fd.deviceFacts()
  if (facts === undefined) return { kind: 'OTHER', what: 'nothing that can be looked at' }
  if ((facts.flags & O_PATH) !== 0) return { kind: 'OTHER', what: 'only a path (O_PATH)' }
  if (isCharacterDevice(facts)) return seeDevice(facts, sysfs)
  const type = facts.mode & TYPE_MASK
  const known = TYPES.get(type)
  if (known !== undefined) return { kind: 'OTHER', what: known }
  const name = fd.name()
  if (name !== GROUP_DEVICE) return { kind: 'OTHER', what: `an anonymous file (${name})` }
  const what = 'a VFIO device that was got from its group, which has it bound already'
  return { kind: 'OTHER', what, remedy: OPEN_NODE }
}

/** Why the two are not taken, and what to do; undefined: each is what it must be. */
export function problemOfPair({ iommufd, cdev }: SentDevice, sysfs: string): string | undefined {
  const [first, second] = [see(iommufd, sysfs), see(cdev, sysfs)]
  if (first.kind === 'CDEV' && second.kind === 'IOMMUFD') {
    return `the two are in the wrong order; ${SEND}`
  }
  if (first.kind !== 'IOMMUFD') {
    return `the first descriptor is ${first.what}, and not /dev/iommu; ${SEND}`
  }
  if (second.kind === 'CDEV') return undefined
  const remedy = second.remedy ?? SEND
  return `the second descriptor is ${second.what}, and not a device of VFIO’s; ${remedy}`
}
