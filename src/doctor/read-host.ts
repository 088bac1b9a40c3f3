/**
 * Reads the facts of a host. Nothing is changed: device nodes are opened and closed at once, which
 * may make the kernel load the module that a node stands for, as any use of it would.
 */

import { gunzipSync } from 'node:zlib'
import { HostFiles } from './files.js'
import type { HostFacts, IommuKind, IommuUnit, Kernel, ModuleOption } from './host-facts.js'
import { type AskedFunction, readFunction, vfioFunctions } from './read-functions.js'

export interface ReadOptions {
  /** Undefined: all that one of VFIO's drivers has. */
  readonly functions?: readonly AskedFunction[] | undefined
  /** Where `/` is. */
  readonly root?: string
}

const IOMMUS = '/sys/class/iommu'
const GROUPS = '/sys/kernel/iommu_groups'
const TABLES = '/sys/firmware/acpi/tables'
const MODULES = '/sys/module'
const FIRMWARE_TABLES = ['DMAR', 'IVRS', 'IORT', 'VIOT'] as const
/** CAP_IPC_LOCK, include/uapi/linux/capability.h. */
const CAP_IPC_LOCK = 14n
const KIB = 1024

export const CONFIG_OPTIONS = {
  IOMMUFD: 'CONFIG_IOMMUFD',
  CDEV: 'CONFIG_VFIO_DEVICE_CDEV',
  SCALABLE_DEFAULT: 'CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON',
} as const

/** Module parameters worth a look. */
const OPTIONS: readonly (readonly [module: string, name: string])[] = [
  ['vfio', 'enable_unsafe_noiommu_mode'],
  ['iommufd', 'allow_unsafe_interrupts'],
  ['vfio_iommu_type1', 'allow_unsafe_interrupts'],
  ['vfio_pci', 'disable_denylist'],
  ['vfio_pci', 'disable_idle_d3'],
]

/** Kernel drivers that bind address spaces of processes by the kernel's own PASIDs. */
const SVA_DRIVERS: readonly (readonly [driver: string, sign: string])[] = [
  ['idxd', `${MODULES}/idxd`],
  ['amdxdna', `${MODULES}/amdxdna`],
  ['uacce', '/sys/class/uacce'],
]

export function readHost({ functions, root = '/' }: ReadOptions = {}): HostFacts {
  const files = new HostFiles(root)
  const status = files.text('/proc/self/status') ?? ''
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  const asked = functions ?? vfioFunctions(files)
  return {
    kernel: readKernel(files),
    uid: process.geteuid?.() ?? 0,
    iommus: files.names(IOMMUS).map((name) => readUnit(files, name)),
    groupTypes: readGroupTypes(files),
    firmwareTables: FIRMWARE_TABLES.filter((table) => files.exists(`${TABLES}/${table}`)),
    iommufd: files.node('/dev/iommu'),
    memlock: readMemlock(files),
    memlockExempt: ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) === 1n,
    memoryBytes: readMemory(files),
    options: readOptions(files),
    svaDrivers: SVA_DRIVERS.filter(([, sign]) => files.names(sign).length > 0).map(
      ([name]) => name,
    ),
    functions: asked.map((one) => readFunction(files, one)),
  }
}

function readKernel(files: HostFiles): Kernel {
  const release = files.text('/proc/sys/kernel/osrelease') ?? ''
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? []
  const isKnown = major !== undefined && minor !== undefined
  return {
    release,
    version: isKnown ? { major: Number(major), minor: Number(minor) } : undefined,
    commandLine: files.text('/proc/cmdline'),
    config: readConfig(files, release),
  }
}

/** Only the options that count here; one that is not set is `n`. */
function readConfig(files: HostFiles, release: string): ReadonlyMap<string, string> | undefined {
  const text =
    unpacked(files.bytes('/proc/config.gz')) ??
    files.text(`/boot/config-${release}`) ??
    files.text(`/lib/modules/${release}/config`)
  if (text === undefined) return undefined
  const values = Object.values(CONFIG_OPTIONS).map((option) => {
    const value = new RegExp(`^${option}=(\\w+)$`, 'm').exec(text)?.[1]
    return [option, value ?? 'n'] as const
  })
  return new Map(values)
}

function unpacked(packed: Buffer | undefined): string | undefined {
  if (packed === undefined) return undefined
  try {
    return gunzipSync(packed).toString('latin1')
  } catch {
    // Cut short, or no gzip: as if it could not be read.
    return undefined
  }
}

const KINDS: readonly (readonly [name: RegExp, kind: IommuKind])[] = [
  [/^dmar\d+$/, 'INTEL'],
  [/^ivhd\d+$/, 'AMD'],
  [/^smmu3\./, 'ARM_SMMUV3'],
  [/^virtio\d+$/, 'VIRTIO'],
]

function readUnit(files: HostFiles, name: string): IommuUnit {
  const kind = KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? 'OTHER'
  const register = (file: string) => {
    const text = files.text(`${IOMMUS}/${name}/intel-iommu/${file}`) ?? ''
    return /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined
  }
  return { name, kind, cap: register('cap'), ecap: register('ecap') }
}

function readGroupTypes(files: HostFiles): ReadonlyMap<string, number> {
  const types = new Map<string, number>()
  for (const group of files.names(GROUPS)) {
    const type = files.text(`${GROUPS}/${group}/type`) ?? 'unknown'
    types.set(type, (types.get(type) ?? 0) + 1)
  }
  return types
}

/** The soft limit. */
function readMemlock(files: HostFiles): number | undefined {
  const limits = files.text('/proc/self/limits') ?? ''
  const soft = /^Max locked memory\s+(\d+|unlimited)/m.exec(limits)?.[1]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

function readMemory(files: HostFiles): number | undefined {
  const total = /^MemTotal:\s+(\d+) kB$/m.exec(files.text('/proc/meminfo') ?? '')?.[1]
  return total === undefined ? undefined : Number(total) * KIB
}

function readOptions(files: HostFiles): readonly ModuleOption[] {
  const options: ModuleOption[] = []
  for (const [module, name] of OPTIONS) {
    const value = files.text(`${MODULES}/${module}/parameters/${name}`)
    if (value !== undefined) options.push({ module, name, value })
  }
  return options
}
