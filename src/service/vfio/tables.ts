/**
 * VFIO_IOMMU_NESTING_OP (v7), and VFIO_IOMMU_BIND and CACHE_INVALIDATE (v1): binding guests'
 * tables, taking them away, invalidating. Every call is for all devices of the container, which is
 * one domain: what it binds carries 0. After validation v7's unbind and invalidate do not fail:
 * nobody could do anything about it.
 */

import type { Broker } from '../../broker/broker.js'
import type { FirstStageTable } from '../../core/binding.js'
import { domainId, PASID_LAST, target, type Pasid } from '../../core/ids.js'
import { ERRNO, isUapiError } from '../../uapi/errno.js'
import {
  decodeCacheInvalidate,
  decodeGpasidBind,
  vtdBindOf,
  type VtdGpasidBind,
} from '../../uapi/iommu-2020.js'
import {
  decodeInside,
  decodeNestingOp,
  decodeV1Bind,
  decodeV1CacheInvalidate,
  type NestingOp,
} from '../../uapi/vfio-2020.js'
import { cacheInvalidationEntries } from '../convert/raw-invalidation.js'
import { failed, refused, returned, wrong, type Answer } from './answer.js'
import type { Container } from './container.js'

/** Of what is bound here. */
const DOMAIN = domainId(0)

/** intel_svm_bind_gpasid(): "VT-d supports devices with full 20 bit PASIDs only". */
const VTD_PASID_BITS = 20

/** Of v1 an unbind and an invalidation tell that they found nothing; those of v7 do not. */
type Telling = 'V1' | 'V7'

export function nestingOp(
  broker: Broker,
  container: Container,
  bytes: Uint8Array,
): Answer | Promise<Answer> {
  const op = decodeNestingOp(bytes)
  if (isUapiError(op)) return wrong(op)
  // No nesting_info, or not the feature.
  if (container.nestingInfo === undefined) return failed(ERRNO.EOPNOTSUPP)
  return carryOut(broker, container, op, 'V7')
}

export function v1Bind(
  broker: Broker,
  container: Container,
  bytes: Uint8Array,
): Answer | Promise<Answer> {
  return v1(broker, container, decodeV1Bind(bytes))
}

export function v1CacheInvalidate(
  broker: Broker,
  container: Container,
  bytes: Uint8Array,
): Answer | Promise<Answer> {
  return v1(broker, container, decodeV1CacheInvalidate(bytes))
}

function v1(
  broker: Broker,
  container: Container,
  op: ReturnType<typeof decodeV1Bind>,
): Answer | Promise<Answer> {
  if (isUapiError(op)) return wrong(op)
  if (container.nestingInfo === undefined) return failed(ERRNO.EINVAL)
  return carryOut(broker, container, op, 'V1')
}

function carryOut(
  broker: Broker,
  container: Container,
  op: NestingOp,
  telling: Telling,
): Answer | Promise<Answer> {
  if (op.operation === 'BIND') return bind(broker, container, op)
  if (op.operation === 'UNBIND') return unbind(broker, container, op, telling)
  return invalidate(broker, container, op, telling)
}

async function bind(broker: Broker, container: Container, op: NestingOp): Promise<Answer> {
  const data = decodeInside(op, decodeGpasidBind)
  if (isUapiError(data)) return wrong(data)
  const asked = vtdBindOf(data)
  if (isUapiError(asked)) return wrong(asked)
  if (container.devices.some(({ facts }) => facts?.pasidBits !== VTD_PASID_BITS)) {
    return failed(ERRNO.EINVAL)
  }
  const bound = await broker.bind({
    verb: 'bind',
    session: container.session,
    target: target(asked.pasid),
    devices: container.devices.map(({ name }) => name),
    table: tableOf(asked),
    domain: DOMAIN,
    guestPasid: asked.guestPasid as Pasid | undefined,
    replace: false,
  })
  return bound.ok ? returned(0) : refused(bound.refusal)
}

function tableOf({ address, width, supervisor, extendedAccessed }: VtdGpasidBind): FirstStageTable {
  const flags = { supervisor, writeProtect: false, extendedAccessed }
  return { kind: 'FIRST_STAGE', address, width, ...flags }
}

async function unbind(
  broker: Broker,
  container: Container,
  op: NestingOp,
  telling: Telling,
): Promise<Answer> {
  const data = decodeInside(op, decodeGpasidBind)
  if (isUapiError(data)) return wrong(data)
  const { hpasid } = data
  const pasid = hpasid >= 1n && hpasid <= BigInt(PASID_LAST) ? target(Number(hpasid)) : undefined
  if (pasid === undefined) return telling === 'V7' ? returned(0) : failed(ERRNO.ENOENT)
  const what = { kind: 'TARGET', target: pasid, devices: [] } as const
  const unbound = await broker.unbind({ verb: 'unbind', session: container.session, what })
  if (unbound.ok) return returned(0)
  const { refusal } = unbound
  if (refusal.code === 'NOT_BOUND') return nothingBound(container, pasid, telling)
  // It is being taken down, and tried until it is.
  if (refusal.code === 'BACKEND_UNAVAILABLE' && telling === 'V7') return returned(0)
  return refused(refusal)
}

/** ioasid_find() of v1: a number without a table is EINVAL, one that is not there ENOENT. */
function nothingBound(container: Container, pasid: number, telling: Telling): Answer {
  if (telling === 'V7') return returned(0)
  return failed(container.numberingOf(pasid) === undefined ? ERRNO.ENOENT : ERRNO.EINVAL)
}

async function invalidate(
  broker: Broker,
  container: Container,
  op: NestingOp,
  telling: Telling,
): Promise<Answer> {
  const asked = decodeInside(op, decodeCacheInvalidate)
  if (isUapiError(asked)) return wrong(asked)
  const { granularity } = asked
  if (granularity.kind !== 'DOMAIN' && granularity.pasid !== undefined) {
    const { pasid } = granularity
    if (!container.isBound(pasid)) return nothingBound(container, pasid, telling)
  }
  const entries = cacheInvalidationEntries(asked)
  const { session } = container
  const done = await broker.invalidateRaw({ verb: 'invalidate-raw', session, entries, devices: [] })
  return done.ok ? returned(0) : refused(done.refusal)
}
