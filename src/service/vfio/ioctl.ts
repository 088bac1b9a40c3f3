/**
 * ioctl(2) on a container: what vfio_fops_unl_ioctl() did with a number, and
 * vfio_iommu_type1_ioctl() with the rest. Holds: until VFIO_SET_IOMMU has been carried out, only
 * the three calls that need no IOMMU are; nothing is changed by a call that fails.
 */

import type { Broker } from '../../broker/broker.js'
import { ERRNO, isUapiError } from '../../uapi/errno.js'
import { decodeInfoRequest, encodeInfo } from '../../uapi/vfio-info.js'
import {
  VFIO_API_VERSION,
  VFIO_REQUEST,
  VFIO_TYPE1,
  VFIO_TYPE1_NESTING,
  VFIO_TYPE1_V2,
} from '../../uapi/vfio-2020.js'
import { failed, returned, wrong, type Answer } from './answer.js'
import type { Container, ContainerKinds } from './container.js'
import { pasidRequest, v1PasidRequest } from './numbers.js'
import { nestingOp, v1Bind, v1CacheInvalidate } from './tables.js'

export interface IoctlCall {
  readonly broker: Broker
  readonly kinds: ContainerKinds
  readonly container: Container
  /** 32 bits. */
  readonly request: number
  /** 64 bits; where the third argument is a number. */
  readonly argument: bigint
  /** What could be read from where the third argument points. */
  readonly bytes: Uint8Array
}

const TYPES: readonly bigint[] = [VFIO_TYPE1, VFIO_TYPE1_V2, VFIO_TYPE1_NESTING].map(BigInt)

type OnIommu = (broker: Broker, container: Container, bytes: Uint8Array) => Answer | Promise<Answer>

const ON_IOMMU: ReadonlyMap<number, OnIommu> = new Map<number, OnIommu>([
  [VFIO_REQUEST.IOMMU_GET_INFO, getInfo],
  [VFIO_REQUEST.PASID_REQUEST, pasidRequest],
  [VFIO_REQUEST.NESTING_OP, nestingOp],
  [VFIO_REQUEST.V1_PASID_REQUEST, v1PasidRequest],
  [VFIO_REQUEST.V1_BIND, v1Bind],
  [VFIO_REQUEST.V1_CACHE_INVALIDATE, v1CacheInvalidate],
])

export function ioctl(call: IoctlCall): Answer | Promise<Answer> {
  const { broker, kinds, container, request, argument, bytes } = call
  if (request === VFIO_REQUEST.GET_API_VERSION) return returned(VFIO_API_VERSION)
  if (request === VFIO_REQUEST.CHECK_EXTENSION) return returned(TYPES.includes(argument) ? 1 : 0)
  if (request === VFIO_REQUEST.SET_IOMMU) return setIommu(kinds, container, argument)
  const carryOut = ON_IOMMU.get(request)
  if (carryOut === undefined) return failed(ERRNO.ENOTTY)
  if (!kinds.isSet(container.session)) return failed(ERRNO.EINVAL)
  return carryOut(broker, container, bytes)
}

/** vfio_ioctl_set_iommu(): a container without a group, or set before, is EINVAL. */
function setIommu(kinds: ContainerKinds, container: Container, type: bigint): Answer {
  const { session, devices } = container
  if (devices.length === 0 || !kinds.maySet(session)) return failed(ERRNO.EINVAL)
  // No driver takes it.
  if (!TYPES.includes(type)) return failed(ERRNO.ENODEV)
  const [first] = devices
  const isOneGroup = devices.every(({ facts }) => facts?.platform === first?.facts?.platform)
  // A nesting container takes no second group.
  if (Number(type) === VFIO_TYPE1_NESTING && !isOneGroup) return failed(ERRNO.EINVAL)
  kinds.set(session, Number(type))
  return returned(0)
}

/** Nesting with nothing that nests, as behind an SMMU: v7 found format 0, and said ENOENT. */
function getInfo(_broker: Broker, container: Container, bytes: Uint8Array): Answer {
  const request = decodeInfoRequest(bytes)
  if (isUapiError(request)) return wrong(request)
  const { nesting, nestingInfo } = container
  if (nesting && container.devices.length > 0 && nestingInfo === undefined) {
    return failed(ERRNO.ENOENT)
  }
  return returned(0, encodeInfo(request, nestingInfo))
}
