/**
 * The ioctls of a VFIO device's descriptor, /dev/vfio/devices/vfioN, that the native backend makes
 * (include/uapi/linux/vfio.h; cdevs since 6.6, PASIDs since 6.15), each with the forms that older
 * kernels know: those without a PASID are understood by all.
 */

import { assert } from '../core/assert.js'
import { encode, type Request, s32, structure, u32 } from './structure.js'

/** Flags, by their names in C. */
export const VFIO_CDEV = {
  VFIO_DEVICE_ATTACH_PASID: 1,
  VFIO_DEVICE_DETACH_PASID: 1,
} as const

/** The pointer: the token of a VF, of no use here. Without it, the form of all kernels. */
export const BIND_IOMMUFD = {
  name: 'VFIO_DEVICE_BIND_IOMMUFD',
  request: 0x3b76,
  structure: structure('vfio_device_bind_iommufd', 24, {
    length: 'argsz',
    pointer: ['token_uuid_ptr', 16],
    fields: {
      flags: u32('flags', 4),
      iommufd: s32('iommufd', 8),
      outDevid: u32('out_devid', 12),
    },
  }),
} satisfies Request

/** The structure ended before the token until 6.17. */
export const BIND_IOMMUFD_BYTES = 16

export const ATTACH_IOMMUFD_PT = {
  name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  request: 0x3b77,
  structure: structure('vfio_device_attach_iommufd_pt', 16, {
    length: 'argsz',
    fields: {
      flags: u32('flags', 4),
      /** An IOAS or an HWPT; for a PASID an HWPT. Written back. */
      ptId: u32('pt_id', 8),
      /** With VFIO_DEVICE_ATTACH_PASID. */
      pasid: u32('pasid', 12),
    },
  }),
} satisfies Request

export const ATTACH_RID_BYTES = 12

export const DETACH_IOMMUFD_PT = {
  name: 'VFIO_DEVICE_DETACH_IOMMUFD_PT',
  request: 0x3b78,
  structure: structure('vfio_device_detach_iommufd_pt', 12, {
    length: 'argsz',
    fields: {
      flags: u32('flags', 4),
      /** With VFIO_DEVICE_DETACH_PASID. */
      pasid: u32('pasid', 8),
    },
  }),
} satisfies Request

export const DETACH_RID_BYTES = 8

/** `iommufd`: a descriptor of the calling process. */
export function encodeBind(iommufd: number): Uint8Array {
  return encode(BIND_IOMMUFD.structure, { iommufd }, BIND_IOMMUFD_BYTES)
}

/** `pasid` undefined: the RID. PASID 0 is a bug: the kernel takes it for the RID. */
export function encodeAttach(ptId: number, pasid: number | undefined): Uint8Array {
  const { structure: layout } = ATTACH_IOMMUFD_PT
  if (pasid === undefined) return encode(layout, { ptId }, ATTACH_RID_BYTES)
  assert(pasid !== 0, 'PASID 0 is never attached')
  return encode(layout, { flags: VFIO_CDEV.VFIO_DEVICE_ATTACH_PASID, ptId, pasid })
}

/** `pasid` undefined: the RID. PASID 0 is a bug, as above. */
export function encodeDetach(pasid: number | undefined): Uint8Array {
  const { structure: layout } = DETACH_IOMMUFD_PT
  if (pasid === undefined) return encode(layout, {}, DETACH_RID_BYTES)
  assert(pasid !== 0, 'PASID 0 is never attached')
  return encode(layout, { flags: VFIO_CDEV.VFIO_DEVICE_DETACH_PASID, pasid })
}
