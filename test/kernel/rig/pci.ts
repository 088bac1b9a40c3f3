/**
 * The PCI devices of the machine (vm/machine.mjs), by sysfs, and their hand-over to vfio-pci.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'

const DEVICES = '/sys/bus/pci/devices'
const RESCAN = '/sys/bus/pci/rescan'
const DRIVERS_PROBE = '/sys/bus/pci/drivers_probe'
/** QEMU's educational device (hw/misc/edu.c). */
const EDU = { vendor: '0x1234', device: '0x11e8' }

export interface PciDevice {
  /** `0000:00:10.0`. */
  readonly address: string
  readonly group: string
  /** /dev/vfio/devices/vfioN. */
  readonly cdev: string
}

function read(address: string, name: string): string {
  return fs.readFileSync(path.join(DEVICES, address, name), 'utf8').trim()
}

function linkedName(address: string, name: string): string | undefined {
  const link = path.join(DEVICES, address, name)
  return fs.existsSync(link) ? path.basename(fs.readlinkSync(link)) : undefined
}

/** Gives the device to vfio-pci; done already = nothing to do. */
export function bindToVfio(address: string): PciDevice {
  if (linkedName(address, 'driver') !== 'vfio-pci') {
    fs.writeFileSync(path.join(DEVICES, address, 'driver_override'), 'vfio-pci')
    fs.writeFileSync(DRIVERS_PROBE, address)
  }
  const [name] = fs.readdirSync(path.join(DEVICES, address, 'vfio-dev'))
  if (name === undefined) throw new Error(`${address} has no VFIO device`)
  const group = linkedName(address, 'iommu_group')
  if (group === undefined) throw new Error(`${address} is in no IOMMU group`)
  return { address, group, cdev: `/dev/vfio/devices/${name}` }
}

/** The `edu` devices: one alone, and two in one IOMMU group. */
export function eduDevices(): {
  readonly alone: PciDevice
  readonly first: PciDevice
  readonly second: PciDevice
} {
  const addresses = fs.readdirSync(DEVICES).filter((address) => {
    return read(address, 'vendor') === EDU.vendor && read(address, 'device') === EDU.device
  })
  const all = addresses.sort().map(bindToVfio)
  const others = ({ group }: PciDevice) => all.filter((other) => other.group === group).length - 1
  const alone = all.find((device) => others(device) === 0)
  const [first, second] = all.filter((device) => others(device) === 1)
  if (alone === undefined || first === undefined || second === undefined) {
    const found = all.map(({ address, group }) => `${address} in group ${group}`).join(', ')
    throw new Error(`the machine has other edu devices than it should: ${found}`)
  }
  return { alone, first, second }
}

/** Its folder in sysfs, as long as it is there. */
export function folderOf({ address }: PciDevice): string {
  return path.join(DEVICES, address)
}

/** To a file of sysfs that may make its writer wait: not in this process. */
async function writeElsewhere(file: string): Promise<void> {
  await once(spawn('/bin/sh', ['-c', `echo 1 > ${file}`]), 'exit')
}

/** Takes it out of the host; resolves when it is gone, for which all must have closed it. */
export function removeDevice(device: PciDevice): Promise<void> {
  return writeElsewhere(path.join(folderOf(device), 'remove'))
}

/** Brings back what was taken out. No driver has it yet. */
export function rescan(): Promise<void> {
  return writeElsewhere(RESCAN)
}
