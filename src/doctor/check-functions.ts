/** Checks of each function that is to be given away: driver, group, node, PASIDs. */

import { deniedText, isDenied } from './check-kernel.js'
import { type Finding, ok, passing, say } from './finding.js'
import type { HostFacts, PciFunction } from './host-facts.js'
import { CONFIG_OPTIONS } from './read-host.js'
import { abilitiesOf } from './vtd-unit.js'

/** Drivers of bridges, and the one that only keeps others off: they do no DMA. */
const HARMLESS_DRIVERS: readonly string[] = ['pcieport', 'pci-stub']

export function checkFunctions(facts: HostFacts): readonly Finding[] {
  if (facts.functions.length === 0) {
    const remedy =
      'name those that are to be given away (--device 0000:3b:00.0), or give one to VFIO'
    return [say('devices', 'WARN', 'no PCI function is bound to vfio-pci', remedy)]
  }
  return facts.functions.flatMap((one) => {
    const subject = one.name === undefined ? one.address : `${one.name} (${one.address})`
    if (!one.exists) {
      const found = 'there is no such PCI function'
      const remedy = 'compare with lspci -D, or ls /sys/bus/pci/devices'
      return [say('driver', 'FAIL', found, remedy, subject)]
    }
    return [
      checkDriver(one, subject),
      checkGroup(one, subject),
      ...checkCdev(facts, one, subject),
      checkWidth(facts, one, subject),
    ]
  })
}

function bindText(address: string, driver: string | undefined): string {
  const sysfs = '/sys/bus/pci'
  const unbind =
    driver === undefined ? '' : ` && echo ${address} > ${sysfs}/devices/${address}/driver/unbind`
  return (
    `modprobe vfio-pci && echo vfio-pci > ${sysfs}/devices/${address}/driver_override` +
    `${unbind} && echo ${address} > ${sysfs}/drivers_probe`
  )
}

function checkDriver({ address, driver, isVfio }: PciFunction, subject: string): Finding {
  if (driver === 'vfio-pci') return ok('driver', 'bound to vfio-pci', subject)
  if (isVfio) {
    const found = `bound to ${driver ?? 'VFIO'}: whether that takes PASIDs is not known`
    const remedy = 'if attaches answer EOPNOTSUPP, bind it to vfio-pci'
    return say('driver', 'WARN', found, remedy, subject)
  }
  const found = driver === undefined ? 'bound to no driver' : `bound to ${driver}`
  return passing(say('driver', 'FAIL', found, bindText(address, driver), subject))
}

function checkGroup({ group }: PciFunction, subject: string): Finding {
  if (group === undefined) {
    const remedy = 'see the check iommu; a function behind none cannot be given away'
    return say('group', 'FAIL', 'it is in no IOMMU group: no IOMMU is before it', remedy, subject)
  }
  const name = `IOMMU group ${group.number}`
  if (group.directRegions > 0) {
    const found = `${name}: the firmware demands ${group.directRegions} regions mapped one to one`
    const remedy = 'it cannot be given away; where the firmware has a switch for it, use that'
    return say('group', 'FAIL', found, remedy, subject)
  }
  const foreign = group.others.filter(({ driver, isVfio }) => {
    return driver !== undefined && !isVfio && !HARMLESS_DRIVERS.includes(driver)
  })
  if (foreign.length > 0) {
    const whose = foreign.map(({ address, driver }) => `${address} is ${driver ?? ''}'s`)
    const remedy = 'a group goes as a whole: bind those to vfio-pci, too, or leave them without'
    return passing(say('group', 'FAIL', `${name}: ${whose.join(', ')}`, remedy, subject))
  }
  const others = group.others.map(({ address }) => address)
  const together = others.length === 0 ? 'alone in it' : `with ${others.join(', ')}: in one session`
  const type = group.type === undefined ? '' : `, ${group.type}`
  return ok('group', `${name}${type}, ${together}`, subject)
}

/** What has another driver has no node; the driver was spoken of already. */
function checkCdev(
  { kernel, uid }: HostFacts,
  { cdev, isVfio }: PciFunction,
  subject: string,
): readonly Finding[] {
  if (!isVfio) return []
  if (cdev === undefined) {
    const isLeftOut = kernel.config?.get(CONFIG_OPTIONS.CDEV) === 'n'
    const which = isLeftOut ? 'this kernel was built without it' : 'Linux 6.6 or later'
    const remedy = `boot a kernel with CONFIG_VFIO_DEVICE_CDEV (${which})`
    return [say('cdev', 'FAIL', 'VFIO makes no node for it', remedy, subject)]
  }
  if (cdev.problem === undefined) return [ok('cdev', `${cdev.path} opens`, subject)]
  if (isDenied(cdev)) {
    const remedy =
      'each VMM opens it by itself: give it to their group (udev: SUBSYSTEM=="vfio-dev", ' +
      'GROUP="kvm", MODE="0660"). A daemon that cannot open it sees no device closed: numbers of ' +
      'sessions that handed nothing over rest for reclaim.unproven_hold; in a unit with ' +
      'DeviceAllow= add DeviceAllow=char-vfio-dev rw'
    return [say('cdev', 'WARN', `${cdev.path} ${deniedText(cdev, uid)}`, remedy, subject)]
  }
  const found = `${cdev.path} does not open: ${cdev.problem}`
  const remedy = 'look whether udev runs, and what the kernel log says of the device'
  return [passing(say('cdev', 'FAIL', found, remedy, subject))]
}

/** The kernel's own word comes with the hand-over (out_max_pasid_log2); this is what it goes by. */
function checkWidth(
  { iommus }: HostFacts,
  { iommu, pasid, physicalFunction }: PciFunction,
  subject: string,
): Finding {
  const whose = physicalFunction === undefined ? '' : `, of its PF ${physicalFunction}`
  if (pasid.kind === 'UNREADABLE') {
    return say('pasid-width', 'UNKNOWN', `${pasid.why}${whose}`, 'run this as root', subject)
  }
  const remedy = 'only its RID can be bound; for PASIDs use a function that has the capability'
  if (pasid.kind === 'ABSENT') {
    return say('pasid-width', 'WARN', `no PASID capability${whose}`, remedy, subject)
  }
  const unit = iommus.find(({ name }) => name === iommu)
  const limit = unit && abilitiesOf(unit)?.pasidBits
  const bits = Math.min(pasid.bits, limit ?? pasid.bits)
  const by =
    limit === undefined || limit >= pasid.bits ? '' : `, by the IOMMU; by itself ${pasid.bits}`
  if (bits === 0) return say('pasid-width', 'WARN', `width 0${whose}${by}`, remedy, subject)
  return ok('pasid-width', `width ${bits}${whose}${by}: numbers below ${2 ** bits}`, subject)
}
