/**
 * Translate: one access, its outcome, and what was forgotten. What would have cured it is said
 * twice: by the tags of the descriptor, and as the InvalidationEntry that a VMM sends.
 */

import type { LabAccess, LabInvalidation, LabOutcome, LabTranslation } from '../../backend/lab.js'
import { RID } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import type { NeededInvalidation } from '../../wire/generated/pasid/v1/NeededInvalidation.js'
import type { LabRequest, LabResponse } from '../../wire/messages.js'
import { Fields } from '../convert/fields.js'
import { deviceName } from '../convert/scope.js'
import { CACHES, emulatedTargetOf } from './names.js'

const PAGE_BYTES = 4096n

export function accessOf(message: LabRequest<'Translate'>): Outcome<LabAccess> {
  const fields = new Fields()
  return fields.answer({
    device: fields.name('device', message.device, 'devices'),
    target: emulatedTargetOf(fields, message.target),
    address: BigInt(message.address),
    write: message.write,
    privileged: message.privileged,
  })
}

export function translationProto(
  { outcome, source, staleness }: LabTranslation,
  access: LabAccess,
): LabResponse<'Translate'> {
  const answer = {
    ...outcomeProto(outcome),
    source: source === 'TABLES' ? 'tables' : CACHES[source],
  }
  if (staleness === undefined) return answer
  return {
    ...answer,
    staleness: {
      ...outcomeProto(staleness.tables),
      difference: staleness.difference,
      needed: staleness.needed.map((needed) => neededProto(needed, access)),
    },
  }
}

function outcomeProto(outcome: LabOutcome) {
  if (outcome.kind === 'TRANSLATED') {
    return { translated: { address: String(outcome.address), pageSize: String(outcome.pageSize) } }
  }
  const { reason, name, recorded } = outcome
  return { fault: { reason, name, recorded } }
}

function neededProto(needed: LabInvalidation, access: LabAccess): NeededInvalidation {
  const { cache, domain, pasid, device, block } = needed
  return {
    cache: CACHES[cache],
    hardwareDomain: domain,
    pasid,
    device: deviceName(device),
    address: (block?.address ?? 0n).toString(),
    size: (block?.bytes ?? 0n).toString(),
    remedy: remedyOf(needed, access),
  }
}

const API_CACHES = {
  PASID: 'INVALIDATION_CACHE_PASID',
  IOTLB: 'INVALIDATION_CACHE_IOTLB',
  // Of a unit, they go with the IOTLB, unless only leaves changed.
  PAGING_STRUCTURE: 'INVALIDATION_CACHE_IOTLB',
  DEVICE_TLB: 'INVALIDATION_CACHE_DEVICE_TLB',
} as const

/**
 * The InvalidationEntry as protobuf's JSON. It names the place of the access: the entries that were
 * in the way are all of its PASID, or of the domain of its binding.
 */
function remedyOf({ cache, block }: LabInvalidation, { device, target }: LabAccess): string {
  if (cache === 'CONTEXT') return 'none is for VMMs: AttachDevice and DetachDevice see to it'
  const place = target === RID ? { rid: true } : { pasid: target }
  const named = { ...place, device: `devices/${device}` }
  const caches = [API_CACHES[cache]]
  if (block === undefined || cache === 'PASID') return JSON.stringify({ pasid: named, caches })
  const range = { address: block.address.toString(), pages: (block.bytes / PAGE_BYTES).toString() }
  const leaf = cache !== 'PAGING_STRUCTURE'
  return JSON.stringify({ addresses: { ...named, ...range, leaf }, caches })
}
