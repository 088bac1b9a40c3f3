/**
 * What a refusal of the kernel means: the one table of errno and call (drivers/iommu/iommufd,
 * drivers/vfio/{device_cdev,iommufd}.c, drivers/iommu/intel, as of Linux 7.1). RETRY: nothing
 * changed and it may pass. REFUSE: nothing changed and it never will. STOP: the device, or our hold
 * on it, is gone, or what stands is not known. An errno that no line names is a STOP.
 */

import { BackendFault } from '../backend.js'
import { KernelRefusal } from './ports.js'

type Kind = BackendFault['kind']

interface Meaning {
  readonly kind: Kind
  readonly means: string
}

const retry = (means: string): Meaning => ({ kind: 'RETRY', means })
const refuse = (means: string): Meaning => ({ kind: 'REFUSE', means })
const stop = (means: string): Meaning => ({ kind: 'STOP', means })

/** Where the call has no line of its own. The first sentences of include/uapi/linux/iommufd.h. */
const OF_ALL: Readonly<Record<string, Meaning>> = {
  EINTR: retry('it was interrupted'),
  EAGAIN: retry('the kernel has no room for it now'),
  ENOMEM: retry('the kernel has no memory for it now'),
  // Of our own thread (CallThread): the call was not made.
  ENOBUFS: retry('too many calls wait for the device'),
  EBUSY: retry('something uses it, or the device is being reset'),
  EINVAL: refuse('the kernel does not take this combination'),
  EOPNOTSUPP: refuse('the kernel or its driver for this IOMMU cannot do it'),
  ENOTTY: refuse('this kernel does not know the call: it is too old'),
  E2BIG: refuse('this kernel does not know a field of the call: it is too old'),
  ENOENT: refuse('an object that it names is not there: the VMM has destroyed it'),
  EPERM: refuse('it is not permitted'),
  EACCES: refuse('it is not permitted'),
  EOVERFLOW: refuse('a number in it is too large'),
  ENOSPC: refuse('a number in it is too large, or all are taken'),
  EFAULT: stop('the kernel could not reach our memory'),
  ENODEV: stop('the device is gone'),
  ENXIO: stop('the device is gone'),
  EIO: stop('the device does not answer'),
  EBADF: stop('the descriptor is gone'),
}

/** Lines of single calls, by the call's name in the kernel's headers. */
const OF_CALL: Readonly<Record<string, Readonly<Record<string, Meaning>>>> = {
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: {
    EINVAL: refuse(
      'the HWPT does not fit the device: it was made without IOMMU_HWPT_ALLOC_PASID, for another ' +
        'IOMMU or with dirty tracking that the device lacks, or another device of its IOMMU ' +
        'group has another one there',
    ),
    EOPNOTSUPP: refuse('the VFIO driver or the IOMMU cannot attach a PASID; Intel VT-d can'),
    ENOENT: refuse('the HWPT is not there any more: the VMM has destroyed it'),
    EBUSY: retry('the PASID is in use in the IOMMU group, or the device is being reset'),
    // device_cdev.c: the answer could not be written, and the RID was detached for it.
    EFAULT: stop('the kernel could not reach our memory, and detached the RID for it'),
  },
  // Only arguments can be refused: what stands there then is not known.
  VFIO_DEVICE_DETACH_IOMMUFD_PT: {
    EINVAL: stop('the kernel does not know how to detach a PASID: it is older than 6.15'),
    EOPNOTSUPP: stop('the VFIO driver cannot detach a PASID'),
    ENOTTY: stop('the descriptor is not that of a VFIO device'),
    ENOENT: stop('nothing of the device is known to the kernel'),
  },
  IOMMU_GET_HW_INFO: { ENOENT: stop('the device is gone') },
  IOMMU_HWPT_ALLOC: {
    EINVAL: refuse(
      'the parent is not there, is no HWPT made with IOMMU_HWPT_ALLOC_NEST_PARENT, or is for ' +
        'another IOMMU; or the table is not what the IOMMU takes',
    ),
    EOPNOTSUPP: refuse('the IOMMU nests no such tables for PASIDs; Intel VT-d does'),
    ENOENT: refuse('the device or the fault queue is not there any more'),
  },
  IOMMU_HWPT_INVALIDATE: {
    EINVAL: refuse('the HWPT is no nested table, or the kernel does not take the entry'),
    ENOENT: refuse('the HWPT is not there any more: the VMM has destroyed it'),
  },
  IOMMU_FAULT_QUEUE_ALLOC: { EMFILE: retry('too many descriptors are open') },
}

export function meaningOf({ call, errno }: KernelRefusal): Meaning {
  const found = OF_CALL[call]?.[errno] ?? OF_ALL[errno]
  return found ?? stop('what this means for the device is not known')
}

/** A refusal of the kernel as the door's fault; other faults as they are, and bugs on their way. */
export function faultOf(device: string, error: unknown): BackendFault {
  if (error instanceof BackendFault) return error
  if (!(error instanceof KernelRefusal)) throw error
  const { kind, means } = meaningOf(error)
  return new BackendFault(`${device}: ${error.call} failed with ${error.errno}: ${means}`, kind, {
    cause: error,
  })
}
