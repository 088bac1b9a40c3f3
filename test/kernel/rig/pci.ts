/**
 * The PCI devices of the machine (vm/machine.mjs), by sysfs, and their hand-over to vfio-pci.
 */
import fs from 'node:fs'
import path from 'node:path'

const DEVICES = '/sys/bus/pci/devices'
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
