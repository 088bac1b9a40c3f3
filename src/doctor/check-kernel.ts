/** Checks of the kernel: its version, /dev/iommu, module options, what the calls of 2020 mean. */

import { type Finding, ok, say } from './finding.js'
import type { DeviceNode, HostFacts, ModuleOption } from './host-facts.js'
import { CONFIG_OPTIONS } from './read-host.js'

/** VFIO cdevs, and PASIDs on them. */
const CDEV_SINCE = { major: 6, minor: 6 } as const
const PASID_SINCE = { major: 6, minor: 15 } as const
/** VFIO_TYPE1_NESTING_IOMMU was taken out. */
const NO_NESTING_TYPE1_SINCE = { major: 6, minor: 13 } as const

type Version = NonNullable<HostFacts['kernel']['version']>

export function isSince(version: Version, since: Version): boolean {
  return (
    version.major > since.major || (version.major === since.major && version.minor >= since.minor)
  )
}

/** Whether PASIDs can be attached through VFIO; undefined: the version is not known. */
export function attachesPasids({ kernel }: HostFacts): boolean | undefined {
  return kernel.version && isSince(kernel.version, PASID_SINCE)
}

export function checkVersion({ kernel: { release, version } }: HostFacts): Finding {
  const remedy = 'boot Linux 6.15 or later'
  if (version === undefined) {
    return say('kernel', 'UNKNOWN', `release "${release}" begins with no version`, remedy)
  }
  if (!isSince(version, CDEV_SINCE)) {
    const found = `Linux ${release} has no VFIO device nodes (6.6) and attaches no PASIDs (6.15)`
    return say('kernel', 'FAIL', found, remedy)
  }
  if (!isSince(version, PASID_SINCE)) {
    return say('kernel', 'FAIL', `Linux ${release} attaches no PASIDs (since 6.15)`, remedy)
  }
  return ok('kernel', `Linux ${release}`)
}

/** What its permissions are, and for whom it does not open. */
export function deniedText({ problem, owner }: DeviceNode, uid: number): string {
  const mode = owner === undefined ? '' : `, mode ${owner.mode.toString(8).padStart(4, '0')}`
  const whose = owner === undefined ? '' : ` (of uid ${owner.uid}, gid ${owner.gid}${mode})`
  return `does not open for uid ${uid}: ${problem ?? ''}${whose}`
}

export const isDenied = ({ problem }: DeviceNode) => problem === 'EACCES' || problem === 'EPERM'

export function checkIommufd({ iommufd: node, kernel, uid }: HostFacts): Finding {
  const { path } = node
  if (node.problem === undefined) return ok('iommufd', `${path} opens`)
  if (isDenied(node)) {
    const remedy =
      'each VMM opens it by itself: give it to their group (udev: KERNEL=="iommu", GROUP="kvm", ' +
      'MODE="0660"). The daemon needs it only to see devices closed: run it in that group, and ' +
      'where its unit has DeviceAllow=, with DeviceAllow=/dev/iommu rw'
    return say('iommufd', 'WARN', `${path} ${deniedText(node, uid)}`, remedy)
  }
  const isLeftOut = kernel.config?.get(CONFIG_OPTIONS.IOMMUFD) === 'n'
  const remedy = isLeftOut
    ? 'this kernel was built without CONFIG_IOMMUFD: boot one that has it'
    : 'load it: modprobe iommufd; a kernel without CONFIG_IOMMUFD does not have it'
  return say('iommufd', 'FAIL', `${path} does not open: ${node.problem}`, remedy)
}

/** When set, and what is the matter then. */
const UNSAFE: Readonly<Record<string, string>> = {
  'vfio.enable_unsafe_noiommu_mode':
    'VFIO gives out devices without an IOMMU: nothing isolates them',
  'iommufd.allow_unsafe_interrupts': 'a device may raise any interrupt of the host',
  'vfio_iommu_type1.allow_unsafe_interrupts': 'a device may raise any interrupt of the host',
  'vfio_pci.disable_denylist': 'devices that are known to break out are given away',
}

const nameOf = ({ module, name }: ModuleOption) => `${module}.${name}`

export function checkOptions({ options }: HostFacts): Finding {
  const unsafe = options.filter((option) => option.value === 'Y' && nameOf(option) in UNSAFE)
  if (unsafe.length > 0) {
    const found = unsafe.map((option) => `${nameOf(option)}=Y: ${UNSAFE[nameOf(option)] ?? ''}`)
    const remedy = 'take it out of /etc/modprobe.d and of the command line, and boot anew'
    return say('module-options', 'WARN', found.join('; '), remedy)
  }
  const values = options.map((option) => `${nameOf(option)}=${option.value}`)
  return ok('module-options', values.length === 0 ? 'no module with options' : values.join(', '))
}

/** Nothing is called: by the version it is known what the numbers mean. */
export function checkOldCalls({ kernel: { version } }: HostFacts): Finding {
  const gone = 'the PASID calls of 2020 (VFIO_IOMMU_PASID_REQUEST and the like) are in no kernel'
  const meaning =
    version !== undefined && isSince(version, CDEV_SINCE)
      ? '; their numbers 0x3b76 and 0x3b77 are VFIO_DEVICE_BIND_IOMMUFD and ATTACH_IOMMUFD_PT here'
      : ''
  const type1 =
    version !== undefined && isSince(version, NO_NESTING_TYPE1_SINCE)
      ? '; VFIO_TYPE1_NESTING_IOMMU is gone, too (6.13)'
      : ''
  return {
    check: 'calls-of-2020',
    subject: '',
    verdict: 'OK',
    found: `${gone}${meaning}${type1}`,
    remedy:
      'a program that makes them runs against the emulator (VfioUapi, examples/vfio-shim); on ' +
      'devices it calls PasidBroker instead',
    stopsStart: false,
  }
}
