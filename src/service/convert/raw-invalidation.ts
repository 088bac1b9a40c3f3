/**
 * InvalidateRaw: the message, and what the bytes in it ask for. The structures themselves are read
 * in `uapi/`; what is wrong with them is an errno in the answer, as a kernel gives it, and only
 * what is wrong with the message around them refuses the call.
 */

import type {
  AddressRange,
  InvalidationCache,
  RawInvalidationEntry,
  RawReach,
} from '../../core/commands.js'
import type { DeviceFacts } from '../../core/device.js'
import { RID, type DomainId, type Pasid, type Target } from '../../core/ids.js'
import { DEVICES_PER_CALL_MAX, INVALIDATE_ENTRIES_MAX } from '../../core/limits.js'
import type { Outcome } from '../../core/refusal.js'
import type { CacheInvalidation } from '../../uapi/iommu-2020.js'
import { fieldOf } from '../../uapi/register-fields.js'
import {
  descriptorBytes,
  type DescriptorBlock,
  type QueueFacts,
  type VtdDescriptor,
} from '../../uapi/vtd-descriptor.js'
import type { VtdS1Entry, VtdS1Request } from '../../uapi/vtd-s1.js'
import type { VmmRequest } from '../../wire/messages.js'
import { targetOf } from './binding.js'
import { Fields } from './fields.js'

const STRUCTURE_BYTES = { least: 16, most: 4096 } as const
const SOURCE_ID_LAST = 0xffff

/** Device names by source id. */
export type SourceIds = ReadonlyMap<number, string>

export type RawAsked =
  | { readonly form: 'CACHE_INVALIDATE_INFO'; readonly bytes: Uint8Array }
  | {
      readonly form: 'VTD_S1'
      readonly target: Target
      readonly device: string
      readonly request: VtdS1Request
    }
  | {
      readonly form: 'VTD_DESCRIPTORS'
      readonly bytes: Uint8Array
      readonly wide: boolean
      readonly sourceIds: SourceIds
    }

type Message = VmmRequest<'InvalidateRaw'>

export function rawOf(message: Message): Outcome<RawAsked> {
  const fields = new Fields()
  const { cacheInvalidateInfo, vtdS1, vtdDescriptors } = message
  if (vtdS1) return fields.answer(vtdS1Of(fields, vtdS1))
  if (vtdDescriptors) return fields.answer(descriptorsOf(fields, vtdDescriptors))
  const bytes = cacheInvalidateInfo ?? new Uint8Array()
  const { least, most } = STRUCTURE_BYTES
  if (cacheInvalidateInfo === undefined) {
    fields.missing('form', 'one of cache_invalidate_info, vtd_s1, vtd_descriptors')
  } else if (bytes.length < least || bytes.length > most) {
    const bound = `${least} to ${most} bytes`
    fields.no('cache_invalidate_info', `${bytes.length} bytes`, bound, 'send the whole structure')
  }
  return fields.answer({ form: 'CACHE_INVALIDATE_INFO', bytes })
}

function vtdS1Of(fields: Fields, message: NonNullable<Message['vtdS1']>): RawAsked {
  const { dataType, entryLen, entryNum, entries } = message
  const target = targetOf(fields, 'vtd_s1.', message)
  const device = fields.name('vtd_s1.device', message.device, 'devices')
  fields.count('vtd_s1.entry_num', entryNum, INVALIDATE_ENTRIES_MAX, 'entries')
  return { form: 'VTD_S1', target, device, request: { dataType, entryLen, entryNum, entries } }
}

function descriptorsOf(fields: Fields, message: NonNullable<Message['vtdDescriptors']>): RawAsked {
  const { descriptors: bytes, wide, sourceIds } = message
  checkDescriptors(fields, 'vtd_descriptors.descriptors', { bytes, wide })
  fields.count('vtd_descriptors.source_ids', sourceIds.length, DEVICES_PER_CALL_MAX, 'devices')
  const devices = new Map<number, string>()
  for (const [i, { sourceId, device }] of sourceIds.entries()) {
    if (!fields.ok) break
    const field = `vtd_descriptors.source_ids[${i}]`
    if (sourceId > SOURCE_ID_LAST) {
      const bound = `a whole number from 0 to ${SOURCE_ID_LAST}`
      fields.no(`${field}.source_id`, String(sourceId), bound, 'send bus, device and function')
    } else if (devices.has(sourceId)) {
      fields.no(`${field}.source_id`, `${sourceId} again`, 'none twice', 'name each once')
    }
    devices.set(sourceId, fields.name(`${field}.device`, device, 'devices'))
  }
  return { form: 'VTD_DESCRIPTORS', bytes, wide, sourceIds: devices }
}

/** Whole ones, and not too many for one call. Answers how many. */
export function checkDescriptors(
  fields: Fields,
  field: string,
  { bytes, wide }: { readonly bytes: Uint8Array; readonly wide: boolean },
): number {
  const size = descriptorBytes({ wide })
  if (bytes.length % size !== 0) {
    const bound = `whole descriptors of ${size} bytes`
    const remedy = 'send whole descriptors, and say with wide how long they are'
    fields.no(field, `${bytes.length} bytes`, bound, remedy)
  }
  const count = Math.floor(bytes.length / size)
  fields.count(field, count, INVALIDATE_ENTRIES_MAX, 'descriptors')
  return count
}

/** By the registers of the IOMMUs that the session's devices are behind: the least of them. */
export function queueFactsOf(facts: readonly DeviceFacts[], wide: boolean): QueueFacts {
  let addressMaskMax = 63
  let throttling = false
  for (const { registers } of facts) {
    if (registers?.platform !== 'INTEL_VTD') continue
    // CAP.MAMV, ECAP.DIT.
    addressMaskMax = Math.min(addressMaskMax, fieldOf(registers.cap, 48, 53))
    throttling ||= fieldOf(registers.ecap, 41, 41) === 1
  }
  return { addressMaskMax, wide, throttling }
}

function entry(
  reach: RawReach,
  caches: readonly InvalidationCache[],
  range?: AddressRange,
): RawInvalidationEntry {
  return { granularity: { kind: 'RAW', reach, range }, caches }
}

const ALL: RawReach = { by: 'ALL' }
const IOTLB: readonly InvalidationCache[] = ['IOTLB']
const DEVICE_TLB: readonly InvalidationCache[] = ['DEVICE_TLB']
const PASID_CACHE: readonly InvalidationCache[] = ['PASID_CACHE']
/** What IOMMU_HWPT_INVALIDATE means always: cache_tag_flush_range(). */
const TRANSLATIONS: readonly InvalidationCache[] = ['IOTLB', 'DEVICE_TLB']

/**
 * The session's devices are one container, so its domain is all that the session has bound. As in
 * intel_iommu_sva_invalidate(), what goes from the IOTLB goes from the device-TLBs: guests of then
 * relied on it. ARCHID means nothing on VT-d: alone it names no address space, so all are meant.
 */
export function cacheInvalidationEntries(asked: CacheInvalidation): RawInvalidationEntry[] {
  const { granularity } = asked
  if (asked.caches.length === 0) return []
  const inclusive = asked.caches.includes('IOTLB') && !asked.caches.includes('DEVICE_TLB')
  const caches = inclusive ? [...asked.caches, 'DEVICE_TLB' as const] : asked.caches
  if (granularity.kind === 'DOMAIN') return [entry(ALL, caches)]
  const { pasid } = granularity
  const reach: RawReach = pasid === undefined ? ALL : { by: 'TARGET', target: pasid as Target }
  if (granularity.kind === 'PASID') return [entry(reach, caches)]
  const { address, pages, leaf } = granularity
  return [entry(reach, caches, { address, pages, leaf })]
}

/** With none, the table must still be there. */
export function vtdS1Entries(
  table: { readonly target: Target; readonly device: string },
  entries: readonly VtdS1Entry[],
): RawInvalidationEntry[] {
  const reach: RawReach = { by: 'TABLE', ...table }
  if (entries.length === 0) return [entry(reach, [])]
  return entries.map(({ range }) => entry(reach, TRANSLATIONS, range))
}

/**
 * What a descriptor invalidates; undefined: nothing that the broker's backend has cached. Context
 * entries (type 1) are the host's own, written when a device is attached and never by the guest,
 * and interrupt entries (type 4) are not translated here: both are complete as they come.
 */
export function descriptorEntry(
  descriptor: VtdDescriptor,
  sourceIds: SourceIds,
): RawInvalidationEntry | undefined {
  switch (descriptor.kind) {
    case 'IOTLB':
      // By pages it is of second-stage entries, which are the host's: the whole domain is more.
      if (descriptor.granularity === 'GLOBAL') return entry(ALL, IOTLB)
      return entry({ by: 'DOMAIN', domain: descriptor.domain as DomainId }, IOTLB)
    case 'PIOTLB': {
      const { domain, block, leaf } = descriptor
      return entry(guest(descriptor.pasid, domain, undefined), IOTLB, rangeOf(block, leaf))
    }
    case 'PASID_CACHE': {
      const { granularity, domain, pasid } = descriptor
      if (granularity === 'GLOBAL') return entry(ALL, PASID_CACHE)
      if (granularity === 'PASID') return entry(guest(pasid, domain, undefined), PASID_CACHE)
      return entry({ by: 'DOMAIN', domain: domain as DomainId }, PASID_CACHE)
    }
    case 'DEVICE_TLB':
    case 'PASID_DEVICE_TLB': {
      const device = sourceIds.get(descriptor.sourceId)
      if (device === undefined) return undefined
      const range = rangeOf(descriptor.block, false)
      if (descriptor.kind === 'DEVICE_TLB') {
        return entry(guest(RID, undefined, device), DEVICE_TLB, range)
      }
      if (descriptor.global) return entry({ by: 'DEVICE', device }, DEVICE_TLB, range)
      return entry(guest(descriptor.pasid, undefined, device), DEVICE_TLB, range)
    }
    default:
      return undefined
  }
}

function guest(pasid: number, domain: number | undefined, device: string | undefined): RawReach {
  return {
    by: 'GUEST_PASID',
    pasid: pasid as Pasid | typeof RID,
    domain: domain as DomainId | undefined,
    device,
  }
}

function rangeOf(block: DescriptorBlock | undefined, leaf: boolean): AddressRange | undefined {
  if (block === undefined) return undefined
  return { address: block.address, pages: 1n << BigInt(block.order), leaf }
}
