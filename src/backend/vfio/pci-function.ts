/**
 * What sysfs says of a PCI function (Linux Documentation/ABI/testing/sysfs-bus-pci, sysfs-class-
 * iommu-intel-iommu), for who does not have the device. Beyond 64 bytes configuration space is
 * root's to read (pci_read_config): what cannot be read is undefined. Holds: that space is read
 * when this is made, and never again. The kernel makes its readers wait uninterruptibly while the
 * device is being reset (pci_wait_cfg), which a VMM may have it be as often as it likes.
 */

import fs from 'node:fs'
import path from 'node:path'
import type { IommuRegisters, Platform } from '../../core/device.js'

/** Extended capabilities begin here (PCIe 7.6). */
const EXTENDED_AT = 0x100
const EXTENDED_END = 0x1000
const CAPABILITIES = { ATS: 0x0f, PRI: 0x13, PASID: 0x1b } as const

/** `name`: of the character device, `vfio3`; `rdev`: as st_rdev is written, `major:minor`. */
export interface VfioNode {
  readonly name: string
  readonly rdev: string
}

export class PciFunction {
  readonly #folder: string
  /** The folder of all functions. */
  readonly #functions: string
  /** That of its IOMMU group's devices, where it was when this was made. */
  readonly #groupDevices: string | undefined
  /** Whether it is a VF. */
  readonly isVirtual: boolean
  /** "Max PASID Width" (PCIe 7.8.9.2), 0 without PASIDs; a VF has its PF's. */
  readonly pasidWidth: number | undefined
  /** Whether it has a device-TLB. */
  readonly ats: boolean | undefined
  /** Whether it can raise page requests. */
  readonly pri: boolean | undefined

  /**
   * `address`: `0000:00:03.0`; `root`: where / is. Of a function that is not there yet, what its
   * configuration space says stays unknown.
   */
  constructor(
    readonly address: string,
    root: string,
  ) {
    this.#functions = path.join(root, 'sys/bus/pci/devices')
    this.#folder = path.join(this.#functions, address)
    const { group } = this
    const groups = path.join(root, 'sys/kernel/iommu_groups')
    this.#groupDevices = group === undefined ? undefined : path.join(groups, group, 'devices')
    this.isVirtual = fs.existsSync(path.join(this.#folder, 'physfn'))
    const own = configOf(path.join(this.#folder, 'config'))
    this.ats = has(own, CAPABILITIES.ATS)
    this.pri = has(own, CAPABILITIES.PRI)
    const physical = path.join(this.#folder, 'physfn', 'config')
    this.pasidWidth = pasidWidthOf(this.isVirtual ? configOf(physical) : own)
  }

  get isThere(): boolean {
    return fs.existsSync(this.#folder)
  }

  /**
   * It was there when this was made, and was removed from the host, with all others of its IOMMU
   * group: what was attached through one of them is attached as long as another is there.
   */
  get isGone(): boolean {
    if (this.#groupDevices === undefined || this.isThere) return false
    // A sysfs that cannot be seen says nothing.
    return fs.existsSync(this.#functions) && list(this.#groupDevices).length === 0
  }

  /** Undefined: none. */
  get driver(): string | undefined {
    return this.#link('driver')
  }

  /** The number of its IOMMU group. Undefined: the IOMMU is off. */
  get group(): string | undefined {
    return this.#link('iommu_group')
  }

  /** Undefined: it is not bound to a driver of VFIO's, or the kernel has no VFIO cdevs. */
  get vfio(): VfioNode | undefined {
    for (const name of list(path.join(this.#folder, 'vfio-dev'))) {
      const rdev = read(path.join(this.#folder, 'vfio-dev', name, 'dev'))
      if (rdev !== undefined) return { name, rdev }
    }
    return undefined
  }

  /** Of its IOMMU. Undefined: none that is known. */
  get platform(): Platform | undefined {
    const iommu = path.join(this.#folder, 'iommu')
    if (fs.existsSync(path.join(iommu, 'intel-iommu'))) return 'INTEL_VTD'
    if (fs.existsSync(path.join(iommu, 'amd-iommu'))) return 'AMD'
    return this.#link('iommu')?.startsWith('smmu3') === true ? 'ARM_SMMUV3' : undefined
  }

  get registers(): IommuRegisters | undefined {
    const unit = path.join(this.#folder, 'iommu', 'intel-iommu')
    const [cap, ecap] = [hex(path.join(unit, 'cap')), hex(path.join(unit, 'ecap'))]
    if (cap === undefined || ecap === undefined) return undefined
    return { platform: 'INTEL_VTD', cap, ecap }
  }

  #link(name: string): string | undefined {
    try {
      return path.basename(fs.readlinkSync(path.join(this.#folder, name)))
    } catch {
      return undefined
    }
  }
}

function configOf(file: string): Buffer | undefined {
  try {
    return fs.readFileSync(file)
  } catch {
    return undefined
  }
}

function has(config: Buffer | undefined, capability: number): boolean | undefined {
  const at = config && capabilityAt(config, capability)
  return at === undefined ? undefined : at > 0
}

function pasidWidthOf(config: Buffer | undefined): number | undefined {
  const at = config && capabilityAt(config, CAPABILITIES.PASID)
  if (config === undefined || at === undefined) return undefined
  return at === 0 ? 0 : (config.readUInt16LE(at + 4) >> 8) & 0x1f
}

/** 0: it has none. Undefined: that part cannot be read. */
function capabilityAt(config: Buffer, capability: number): number | undefined {
  if (config.length <= 64) return undefined
  let at = EXTENDED_AT
  // Each is at least 8 bytes long: a chain that goes on for longer goes in a circle.
  for (
    let left = (EXTENDED_END - EXTENDED_AT) / 8;
    left > 0 && at + 8 <= config.length;
    left -= 1
  ) {
    const header = config.readUInt32LE(at)
    if (header === 0 || header === 0xffff_ffff) return 0
    if ((header & 0xffff) === capability) return at
    at = (header >>> 20) & 0xffc
    if (at < EXTENDED_AT) return 0
  }
  return 0
}

function list(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder)
  } catch {
    return []
  }
}

function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}

function hex(file: string): bigint | undefined {
  const text = read(file)
  return text !== undefined && /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined
}
