/**
 * A device of this host: a PCI function behind vfio-pci, by its address. What is known from outside
 * is what sysfs says; once it is bound, the kernel's IOMMU_GET_HW_INFO says it better. Its
 * configuration space is read when this is made, at the daemon's start, and never again.
 */

import path from 'node:path'
import {
  PLATFORM_DEFAULTS,
  type AddressWidth,
  type DeviceFacts,
  type IommuRegisters,
  type Platform,
} from '../../core/device.js'
import { PASID_BITS_MAX } from '../../core/ids.js'
import { deviceFacts, isCharacterDevice, openDevice } from '../../linux/char-device.js'
import { SyscallFailure } from '../../linux/errno.js'
import { IOMMUFD } from '../../uapi/iommufd.js'
import { HW_INFO_VTD } from '../../uapi/iommufd-data.js'
import { decode } from '../../uapi/structure.js'
import type { HandedFd } from '../backend.js'
import { CdevPort } from './cdev-port.js'
import { PciFunction } from './pci-function.js'
import type { AttachPort, Calls, HostDevice, HwInfo, NestedCodec } from './ports.js'
import { VTD_CODEC } from './vtd-codec.js'

export interface HostDeviceOptions {
  readonly name: string
  /** Domain, bus, device and function: `0000:00:03.0`. */
  readonly address: string
  /** Where / is; for tests. */
  readonly root?: string | undefined
}

/** VT-d CAP and ECAP (VT-d 11.4.2, 11.4.3). */
const CAP_FL5LP = 60n
const ECAP = { NEST: 26n, PRS: 29n, SRS: 31n, EAFS: 34n, PASID: 40n, SMTS: 43n } as const
const ECAP_PSS = 35n

export function createHostDevice({ name, address, root = '/' }: HostDeviceOptions): HostDevice {
  const pci = new PciFunction(address, root)
  return {
    name,
    facts: () => factsFrom(name, pci, undefined),
    factsOf: (info) => factsFrom(name, pci, info),
    problemWith: (cdev) => problemWith(pci, cdev),
    attachPort: (cdev: HandedFd, calls: Calls): AttachPort => new CdevPort(cdev, calls),
    codec: ({ dataType }): NestedCodec | undefined => {
      return dataType === IOMMUFD.IOMMU_HW_INFO_TYPE_INTEL_VTD ? VTD_CODEC : undefined
    },
    open: () => open(pci, root),
    get isGone() {
      return pci.isGone
    },
  }
}

function factsFrom(name: string, pci: PciFunction, info: HwInfo | undefined): DeviceFacts {
  const registers = (info && registersOf(info)) ?? pci.registers
  const known = (info && platformOf(info)) ?? pci.platform
  const platform = known ?? 'INTEL_VTD'
  const has = (bit: bigint): boolean => {
    return registers?.platform === 'INTEL_VTD' && ((registers.ecap >> bit) & 1n) === 1n
  }
  const ats = info && (info.capabilities & ATS_NOT_SUPPORTED) !== 0n ? false : pci.ats
  const { group } = pci
  return {
    name,
    pasidBits: info?.maxPasidLog2 ?? widthFromOutside(pci, registers),
    // vfio-pci: what the guest's driver programs is on the wire.
    translation: 'NONE',
    shared: false,
    platform,
    addressWidths: widthsOf(registers),
    supervisorRequests: has(ECAP.SRS),
    extendedAccessed: has(ECAP.EAFS),
    passThrough: known !== undefined && PLATFORM_DEFAULTS[platform].passThrough,
    hitlessReplace: false,
    // drivers/iommu/iommufd/device.c: not for a VF, whose queue is its PF's.
    pageRequests: pci.pri === true && !pci.isVirtual && has(ECAP.PRS),
    ...(group === undefined ? {} : { group }),
    registers,
    ...(ats === undefined ? {} : { ats }),
    ...(info && {
      executeRequests: (info.capabilities & PASID_EXEC) !== 0n,
      privilegedRequests: (info.capabilities & PASID_PRIV) !== 0n,
    }),
  }
}

const PASID_EXEC = BigInt(IOMMUFD.IOMMU_HW_CAP_PCI_PASID_EXEC)
const PASID_PRIV = BigInt(IOMMUFD.IOMMU_HW_CAP_PCI_PASID_PRIV)
const ATS_NOT_SUPPORTED = BigInt(IOMMUFD.IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED)

const PLATFORMS: Readonly<Record<number, Platform>> = {
  [IOMMUFD.IOMMU_HW_INFO_TYPE_INTEL_VTD]: 'INTEL_VTD',
  [IOMMUFD.IOMMU_HW_INFO_TYPE_ARM_SMMUV3]: 'ARM_SMMUV3',
  [IOMMUFD.IOMMU_HW_INFO_TYPE_AMD]: 'AMD',
}

function platformOf({ dataType }: HwInfo): Platform | undefined {
  return PLATFORMS[dataType]
}

function registersOf({ dataType, data }: HwInfo): IommuRegisters | undefined {
  if (dataType !== IOMMUFD.IOMMU_HW_INFO_TYPE_INTEL_VTD) return undefined
  if (data.length < HW_INFO_VTD.bytes) return undefined
  const { capReg: cap, ecapReg: ecap } = decode(HW_INFO_VTD, data)
  return { platform: 'INTEL_VTD', cap, ecap }
}

/** Nested tables: Linux drivers/iommu/intel/iommu.h nested_supported(). */
function widthsOf(registers: IommuRegisters | undefined): readonly AddressWidth[] {
  if (registers?.platform !== 'INTEL_VTD') return []
  const { cap, ecap } = registers
  const nests = [ECAP.NEST, ECAP.SMTS].every((bit) => ((ecap >> bit) & 1n) === 1n)
  if (!nests) return []
  return ((cap >> CAP_FL5LP) & 1n) === 1n ? [48, 57] : [48]
}

/** The device's and its IOMMU's, as far as each can be seen; all 20 bits where neither can. */
function widthFromOutside(pci: PciFunction, registers: IommuRegisters | undefined): number {
  const device = pci.pasidWidth ?? PASID_BITS_MAX
  if (registers?.platform !== 'INTEL_VTD') return device
  const { ecap } = registers
  const hasPasids = ((ecap >> ECAP.PASID) & 1n) === 1n && ((ecap >> ECAP.SMTS) & 1n) === 1n
  const unit = hasPasids ? Number((ecap >> ECAP_PSS) & 31n) + 1 : 0
  return Math.min(device, unit, PASID_BITS_MAX)
}

function problemWith(pci: PciFunction, cdev: HandedFd): ReturnType<HostDevice['problemWith']> {
  const { address, driver, vfio } = pci
  if (vfio === undefined) {
    const has = driver === undefined ? 'no driver' : `the driver ${driver}`
    return pci.isThere
      ? {
          problem: `${address} has no VFIO device: it has ${has}`,
          remedy:
            `bind it to vfio-pci (driverctl set-override ${address} vfio-pci); VFIO devices are ` +
            'there since Linux 6.6',
        }
      : {
          problem: `there is no PCI function ${address}`,
          remedy: 'check its address in the configuration',
        }
  }
  const path = `/dev/vfio/devices/${vfio.name}`
  const facts = deviceFacts(cdev)
  if (facts === undefined || !isCharacterDevice(facts)) {
    return {
      problem: 'the second descriptor is no character device: it came from a group, or is a file',
      remedy: `open ${path}, and hand that over`,
    }
  }
  // As sysfs writes it.
  const rdev = `${facts.major}:${facts.minor}`
  if (rdev === vfio.rdev) return undefined
  return {
    problem:
      `the second descriptor is the character device ${rdev}, and ` + `${address} is ${vfio.rdev}`,
    remedy: `open ${path}, and hand that over`,
  }
}

function open(pci: PciFunction, root: string): ReturnType<HostDevice['open']> {
  const { vfio } = pci
  if (vfio === undefined) return undefined
  const iommufd = openDevice(path.join(root, 'dev/iommu'))
  if (iommufd instanceof SyscallFailure) return undefined
  const cdev = openDevice(path.join(root, 'dev/vfio/devices', vfio.name))
  if (!(cdev instanceof SyscallFailure)) return { iommufd, cdev }
  iommufd.close()
  return undefined
}
