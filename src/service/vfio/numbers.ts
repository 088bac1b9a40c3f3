/**
 * VFIO_IOMMU_PASID_REQUEST, v7 and v1: PASIDs are allocated within min..max, freed by range (v7) or
 * one by one (v1). Freeing by range reaches only what the container holds, and never fails.
 */

import type { Broker } from '../../broker/broker.js'
import { PASID_LAST, type Pasid } from '../../core/ids.js'
import { intersect, type PasidRange } from '../../core/range.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'
import { ERRNO, isUapiError } from '../../uapi/errno.js'
import {
  decodePasidRequest,
  decodeV1PasidRequest,
  V1_ALLOC_BYTES,
  V1_RESULT_OFFSET,
} from '../../uapi/vfio-2020.js'
import { failed, refused, returned, wrong, type Answer } from './answer.js'
import { scopeOf, type Container } from './container.js'

/** PASID 0 and those of more than 20 bits are nobody's. */
const PASIDS: PasidRange = { first: 1, last: PASID_LAST }

export async function pasidRequest(
  broker: Broker,
  container: Container,
  bytes: Uint8Array,
): Promise<Answer> {
  const request = decodePasidRequest(bytes)
  if (isUapiError(request)) return wrong(request)
  const { operation, min, max } = request
  // Where there is no struct vfio_mm: no nesting, or an IOMMU whose PASIDs the host does not give.
  if (container.nestingInfo === undefined) return failed(ERRNO.EOPNOTSUPP)
  if (operation === undefined) return failed(ERRNO.EINVAL)
  if (operation === 'FREE') return freeRange(broker, container, min, max)
  const pasid = await allocate(broker, container, min, max)
  return pasid.ok ? returned(pasid.value) : refused(pasid.refusal)
}

async function allocate(
  broker: Broker,
  { session, devices }: Container,
  min: number,
  max: number,
): Promise<Outcome<number>> {
  const asked = { first: min, last: max }
  const range = min > max ? undefined : intersect(asked, PASIDS)
  if (range === undefined) {
    return refuse({ code: 'RANGE_EMPTY', asked, window: PASIDS, widthBits: 20 })
  }
  const scope = scopeOf(devices)
  if (scope === undefined) return mixedScopes(devices.map(({ name }) => name))
  const allocated = await broker.allocate({
    verb: 'allocate',
    session,
    scope,
    ask: { kind: 'ONE' },
    range,
    devices: [],
    labels: {},
    request: undefined,
  })
  if (!allocated.ok) return allocated
  return accept(allocated.value.runs[0]?.first ?? 0)
}

/** Devices in numberings of their own do not share a container with others. */
export function mixedScopes([device = '']: readonly string[]) {
  return refuse({ code: 'SCOPE_NOT_ALLOWED', device, scope: 'HOST', allowed: 'DEVICE' })
}

/** In each numbering: devices may have come and gone since the numbers were allocated. */
async function freeRange(
  broker: Broker,
  container: Container,
  min: number,
  max: number,
): Promise<Answer> {
  const range = intersect({ first: min, last: max }, PASIDS)
  if (range === undefined) return returned(0)
  const { session } = container
  const what = { kind: 'RANGE', range } as const
  for (const scope of container.numberings()) {
    const freed = await broker.free({ verb: 'free', session, scope, what, request: undefined })
    if (!freed.ok) return refused(freed.refusal)
  }
  return returned(0)
}

/** v1 made its struct vfio_mm for every container: whether it nests is not looked at. */
export async function v1PasidRequest(
  broker: Broker,
  container: Container,
  bytes: Uint8Array,
): Promise<Answer> {
  const request = decodeV1PasidRequest(bytes)
  if (isUapiError(request)) return wrong(request)
  // "No domain in the container" was EFAULT, to which the review objected in vain.
  if (container.devices.length === 0) return failed(ERRNO.EFAULT)
  if (request.operation === 'FREE') return freeOne(broker, container, request.pasid)
  const pasid = await allocate(broker, container, request.min, request.max)
  if (!pasid.ok) return refused(pasid.refusal)
  const written = Uint8Array.from(bytes.subarray(0, V1_ALLOC_BYTES))
  new DataView(written.buffer).setUint32(V1_RESULT_OFFSET, pasid.value, true)
  return returned(0, written)
}

/** What the container does not hold (any more) is not there, whoever else may hold it. */
async function freeOne(broker: Broker, container: Container, pasid: number): Promise<Answer> {
  const scope = container.numberingOf(pasid)
  if (scope === undefined) return failed(ERRNO.ENOENT)
  const freed = await broker.free({
    verb: 'free',
    session: container.session,
    scope,
    what: { kind: 'NUMBERS', pasids: [pasid as Pasid] },
    request: undefined,
  })
  if (!freed.ok) return refused(freed.refusal)
  return freed.value.freed === 0 ? failed(ERRNO.ENOENT) : returned(0)
}
