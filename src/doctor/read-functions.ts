/** Facts of PCI functions, from /sys/bus/pci/devices and the IOMMU groups that they are in. */

import type { HostFiles } from './files.js'
import type { DeviceNode, GroupMember, IommuGroup, PciFunction } from './host-facts.js'
import { pasidCapability } from './pci-config.js'

const FUNCTIONS = '/sys/bus/pci/devices'
const GROUPS = '/sys/kernel/iommu_groups'
const CDEVS = '/dev/vfio/devices'

/** A function that somebody asks about. */
export interface AskedFunction {
  /** In full, as sysfs writes it: `0000:00:03.0`. */
  readonly address: string
  readonly name?: string | undefined
}

/** All that one of VFIO's drivers has. */
export function vfioFunctions(files: HostFiles): readonly AskedFunction[] {
  return files
    .names(FUNCTIONS)
    .filter((address) => memberOf(files, address).isVfio)
    .map((address) => ({ address }))
}

export function readFunction(files: HostFiles, { address, name }: AskedFunction): PciFunction {
  const folder = `${FUNCTIONS}/${address}`
  const physicalFunction = files.linked(`${folder}/physfn`)
  const withPasid = physicalFunction === undefined ? folder : `${FUNCTIONS}/${physicalFunction}`
  return {
    ...memberOf(files, address),
    name,
    exists: files.exists(folder),
    iommu: files.linked(`${folder}/iommu`),
    group: groupOf(files, address),
    cdev: cdevOf(files, folder),
    physicalFunction,
    pasid: pasidCapability(files.bytes(`${withPasid}/config`)),
  }
}

/** Before 6.1 VFIO's devices are not in sysfs: then the driver's name has to do. */
function memberOf(files: HostFiles, address: string): GroupMember {
  const driver = files.linked(`${FUNCTIONS}/${address}/driver`)
  const isVfio = driver === 'vfio-pci' || files.exists(`${FUNCTIONS}/${address}/vfio-dev`)
  return { address, driver, isVfio }
}

function groupOf(files: HostFiles, address: string): IommuGroup | undefined {
  const number = files.linked(`${FUNCTIONS}/${address}/iommu_group`)
  if (number === undefined) return undefined
  const folder = `${GROUPS}/${number}`
  const others = files.names(`${folder}/devices`).filter((other) => other !== address)
  const regions = files.text(`${folder}/reserved_regions`)?.split('\n') ?? []
  return {
    number,
    type: files.text(`${folder}/type`),
    others: others.map((other) => memberOf(files, other)),
    // `direct-relaxable` may be left out for a device that is given away.
    directRegions: regions.filter((line) => line.trim().endsWith(' direct')).length,
  }
}

function cdevOf(files: HostFiles, folder: string): DeviceNode | undefined {
  const [name] = files.names(`${folder}/vfio-dev`)
  // Without CONFIG_VFIO_DEVICE_CDEV it has no device number.
  if (name === undefined || !files.exists(`${folder}/vfio-dev/${name}/dev`)) return undefined
  return files.node(`${CDEVS}/${name}`)
}
