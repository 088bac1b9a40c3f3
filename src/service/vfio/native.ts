/** Why a native backend has no ioctls of 2020: their numbers mean other things in its kernel. */

import type { Broker } from '../../broker/broker.js'
import { ACCEPTED, refuse, type Outcome } from '../../core/refusal.js'

/** Of 0x3b76 and 0x3b77: linux/vfio.h since 6.6, ioctls of a device. */
export const VFIO_UAPI_REMEDY =
  'call PasidBroker instead. The ioctls of the 2020 series were never merged, and a kernel takes ' +
  'their numbers for others today: 0x3b76 (VFIO_IOMMU_PASID_REQUEST then) is ' +
  'VFIO_DEVICE_BIND_IOMMUFD, 0x3b77 (VFIO_IOMMU_NESTING_OP) is VFIO_DEVICE_ATTACH_IOMMUFD_PT. A ' +
  'program that makes them runs against a daemon with backend.kind = "emulator"'

/** Whether there is a container at all; asked before anything else. */
export function uapiAvailable(broker: Broker): Outcome<undefined> {
  if (broker.info().backend !== 'vfio') return ACCEPTED
  return refuse({
    code: 'FEATURE_NOT_AVAILABLE',
    feature: 'vfio-uapi',
    remedy: VFIO_UAPI_REMEDY,
  })
}
