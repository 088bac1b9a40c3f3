/**
 * A host for a daemon with devices of its own, as files: everything that the checks at start look
 * for is there, and devices that every host has stand for /dev/iommu and for VFIO devices, to which
 * no system call of either can succeed. What a real kernel answers, the tests in a guest show.
 */
import { CAP, ECAP, HostTree } from './doctor-tree.js'
import { makeSysfs } from './fake-sysfs.js'

/** The first of them; /dev/zero stands for its cdev. */
export const ADDRESS = '0000:00:03.0'
/** Another, of a group of its own; for its cdev /dev/urandom stands. */
export const SECOND = '0000:00:04.0'

/** Below `root`, where / is. */
export function makeNativeHost(root: string): HostTree {
  const tree = new HostTree(root)
  makeSysfs(root)
  const unit = `sys/bus/pci/virtual/iommu/dmar0/intel-iommu`
  return tree
    .file('proc/sys/kernel/osrelease', '6.17.3-amd64\n')
    .file('proc/cmdline', 'intel_iommu=on,sm_on\n')
    .file('proc/self/status', 'CapEff:\t0000000000000000\n')
    .file('proc/self/limits', 'Max locked memory  unlimited  unlimited  bytes\n')
    .unit('dmar0', ECAP)
    .file(`${unit}/cap`, `${CAP.toString(16)}\n`)
    .file(`${unit}/ecap`, `${ECAP.toString(16)}\n`)
    .group('5', 'DMA')
    .function({ address: ADDRESS, driver: 'vfio-pci', group: '5', iommu: 'dmar0' })
    .file(`sys/bus/pci/devices/${ADDRESS}/vfio-dev/vfio0/dev`, '1:5\n')
    .link('dev/iommu', '/dev/null')
    .link('dev/vfio/devices/vfio0', '/dev/zero')
}

/** The same host has one more. */
export function addSecondDevice(tree: HostTree): void {
  tree
    .group('6', 'DMA')
    .function({ address: SECOND, driver: 'vfio-pci', group: '6', iommu: 'dmar0' })
    .file(`sys/bus/pci/devices/${SECOND}/vfio-dev/vfio1/dev`, '1:9\n')
    .file('sys/dev/char/1:9/uevent', 'MAJOR=1\nMINOR=9\nDEVNAME=vfio/devices/vfio1\n')
    .link('sys/dev/char/1:9/subsystem', '../../../../class/vfio-dev')
    .link('dev/vfio/devices/vfio1', '/dev/urandom')
}
