/**
 * What sysfs says of character devices, made up in a folder: descriptors of devices that every host
 * has stand for an iommufd and for a VFIO device. Numbers as in Linux
 * Documentation/admin-guide/devices.txt.
 */
import fs from 'node:fs'
import path from 'node:path'

interface Node {
  readonly number: string
  readonly subsystem: string
  readonly name: string
}

/** By the device of which a descriptor stands for it. */
export const STANDS_FOR = {
  '/dev/null': { number: '1:3', subsystem: 'misc', name: 'iommu' },
  '/dev/zero': { number: '1:5', subsystem: 'vfio-dev', name: 'vfio/devices/vfio0' },
  '/dev/full': { number: '1:7', subsystem: 'vfio', name: 'vfio/26' },
  '/dev/random': { number: '1:8', subsystem: 'misc', name: 'vfio/vfio' },
} as const satisfies Record<string, Node>

/** Below `root`, where / is. */
export function makeSysfs(root: string): void {
  for (const { number, subsystem, name } of Object.values(STANDS_FOR)) {
    const folder = path.join(root, 'sys/dev/char', number)
    fs.mkdirSync(folder, { recursive: true })
    fs.symlinkSync(`../../../../class/${subsystem}`, path.join(folder, 'subsystem'))
    const [major, minor] = number.split(':')
    const lines = [`MAJOR=${major}`, `MINOR=${minor}`, `DEVNAME=${name}`]
    fs.writeFileSync(path.join(folder, 'uevent'), `${lines.join('\n')}\n`)
  }
}
