/** Why a hand-over cannot be taken, from what the kernel said of it, each with what to do. */

import { HandOverRefused, type Parent } from '../backend.js'
import { meaningOf } from './errors.js'
import { KernelRefusal } from './ports.js'

export function refused(device: string, problem: string, remedy: string): HandOverRefused {
  return new HandOverRefused(`${device}: ${problem}`, remedy)
}

interface Explained {
  readonly problem: string
  readonly remedy: string
}

/** VFIO_DEVICE_BIND_IOMMUFD, drivers/vfio/device_cdev.c and drivers/iommu/iommufd/device.c. */
const OF_BIND: Readonly<Record<string, Explained>> = {
  EINVAL: {
    problem: 'it is bound already, or open elsewhere, or it was opened through its group',
    remedy:
      'close every descriptor of the device, open /dev/vfio/devices/vfioN anew, and hand that ' +
      'over without VFIO_DEVICE_BIND_IOMMUFD: the broker does it',
  },
  EPERM: {
    problem: 'its IOMMU group belongs to another iommufd, or its interrupts are not isolated',
    remedy:
      'hand all devices of an IOMMU group over with one iommufd; on a host without interrupt ' +
      'remapping see allow_unsafe_interrupts of the kernel module iommufd',
  },
  ENODEV: {
    problem: 'it is in no IOMMU group, or it is gone',
    remedy: 'switch the IOMMU on; `pasidctl doctor` says how',
  },
  EBADF: {
    problem: 'the first descriptor is not open',
    remedy: 'send /dev/iommu first, then the device',
  },
  EBADFD: {
    problem: 'the first descriptor is no iommufd',
    remedy: 'send /dev/iommu first, then the device',
  },
  ENOTTY: {
    problem: 'the second descriptor is no VFIO device, or the kernel is older than 6.6',
    remedy: 'send /dev/iommu first, then /dev/vfio/devices/vfioN',
  },
  EBUSY: {
    problem: 'its IOMMU group is in use by the host or by another process',
    remedy: 'bind every device of the group to vfio-pci, and let go of it elsewhere',
  },
}

/** What VFIO_DEVICE_BIND_IOMMUFD was refused for; other errors as they are. */
export function bindRefused(device: string, error: unknown): unknown {
  if (!(error instanceof KernelRefusal)) return error
  const explained = OF_BIND[error.errno]
  if (explained === undefined) return error
  const problem = `${device}: ${error.call} failed with ${error.errno}: ${explained.problem}`
  return new HandOverRefused(problem, explained.remedy, { cause: error })
}

/** After what was refused when it was bound already. */
export const ANEW = 'The descriptor is bound now: close it, open the device anew, hand that over'

const FOR_NESTING = 'IOMMU_HWPT_ALLOC_NEST_PARENT and IOMMU_HWPT_ALLOC_PASID'

function ofParent(
  parent: Parent,
  faultId: number | undefined,
): Readonly<Record<string, Explained>> {
  const isIoas = parent.kind === 'IOAS'
  const gone = 'the device is gone from its iommufd'
  return {
    EINVAL: isIoas
      ? {
          problem:
            `no parent can be made on IOAS ${parent.id}: it is none of this iommufd, or it has ` +
            'read-only mappings',
          remedy:
            'name an IOAS of the iommufd that is handed over; Intel takes no read-only mapping ' +
            'below a nested table: map ROM regions writable, or leave them out',
        }
      : {
          problem:
            `parent HWPT ${parent.id} is not one of this iommufd that tables can be ` + 'nested on',
          remedy: `name an HWPT made with ${FOR_NESTING}, or an IOAS`,
        },
    EOPNOTSUPP: {
      problem:
        isIoas && parent.dirtyTracking
          ? 'its IOMMU makes no parent with dirty tracking'
          : 'its IOMMU makes no parent for tables on PASIDs',
      remedy:
        isIoas && parent.dirtyTracking
          ? 'hand it over without dirty_tracking'
          : 'it takes Intel VT-d in scalable mode with ECAP.NEST; attach the device without ' +
            'hand_over',
    },
    ENOENT: {
      problem: faultId === undefined ? gone : `fault queue ${faultId} is none of this iommufd`,
      remedy:
        faultId === undefined
          ? 'open the device anew and hand it over again'
          : 'name one made with IOMMU_FAULT_QUEUE_ALLOC, or leave fault_id out',
    },
  }
}

/** What the parent was refused for; what may pass, and other errors, as they are. */
export function parentRefused(
  device: string,
  parent: Parent,
  faultId: number | undefined,
  error: unknown,
): unknown {
  if (!(error instanceof KernelRefusal) || meaningOf(error).kind !== 'REFUSE') return error
  const explained = ofParent(parent, faultId)[error.errno]
  if (explained === undefined) return error
  const problem = `${device}: ${error.call} failed with ${error.errno}: ${explained.problem}`
  return new HandOverRefused(problem, `${explained.remedy}. ${ANEW}`, { cause: error })
}
