/** Invalidations: what the guest wants forgotten. The hottest conversion: the checks, no more. */

import type { Invalidated } from '../../broker/answers.js'
import type { Invalidate, InvalidationCache, InvalidationEntry } from '../../core/commands.js'
import type { SessionId } from '../../core/ids.js'
import { INVALIDATE_ENTRIES_MAX } from '../../core/limits.js'
import type { Outcome } from '../../core/refusal.js'
import type { BindingView } from '../../core/view.js'
import type { Binding } from '../../wire/generated/pasid/v1/Binding.js'
import type { VmmRequest, VmmResponse } from '../../wire/messages.js'
import { bindingProto, targetOf } from './binding.js'
import { Fields } from './fields.js'

type EntryMessage = VmmRequest<'Invalidate'>['entries'][number]
type AddressMessage = NonNullable<EntryMessage['addresses']>

const PAGE_BITS = 12n
const ADDRESSES = 1n << 64n
/** Lost bindings told in one answer, so that it fits a message; ListPasids shows all. */
const LOST_TOLD_MAX = 4096

const CACHES: Readonly<Record<string, InvalidationCache>> = {
  INVALIDATION_CACHE_IOTLB: 'IOTLB',
  INVALIDATION_CACHE_DEVICE_TLB: 'DEVICE_TLB',
  INVALIDATION_CACHE_PASID: 'PASID_CACHE',
}
const CACHE_NAMES = Object.keys(CACHES).join(', ')

export function invalidateOf(
  session: SessionId,
  message: VmmRequest<'Invalidate'>,
): Outcome<Invalidate> {
  const fields = new Fields()
  fields.count('entries', message.entries.length, INVALIDATE_ENTRIES_MAX, 'entries')
  const entries: InvalidationEntry[] = []
  for (let i = 0; i < message.entries.length && fields.ok; i += 1) {
    const entry = message.entries[i]
    if (entry !== undefined) entries.push(entryOf(fields, i, entry))
  }
  return fields.answer({ verb: 'invalidate', session, entries })
}

function entryOf(fields: Fields, i: number, entry: EntryMessage): InvalidationEntry {
  return { granularity: granularityOf(fields, i, entry), caches: cachesOf(fields, i, entry.caches) }
}

function granularityOf(
  fields: Fields,
  i: number,
  entry: EntryMessage,
): InvalidationEntry['granularity'] {
  const { addresses, pasid, domain } = entry
  if (addresses) return addressesOf(fields, i, addresses)
  if (pasid) {
    const at = `entries[${i}].pasid.`
    const target = targetOf(fields, at, pasid)
    return { kind: 'PASID', target, device: deviceOf(fields, at, pasid.device) }
  }
  if (!domain) {
    fields.missing(`entries[${i}].granularity`, 'one of domain, pasid, addresses')
  }
  const id = fields.domain(`entries[${i}].domain.domain`, domain?.domain ?? 0)
  return { kind: 'DOMAIN', domain: id }
}

function deviceOf(fields: Fields, at: string, device: string): string | undefined {
  return device === '' ? undefined : fields.name(`${at}device`, device, 'devices')
}

function addressesOf(
  fields: Fields,
  i: number,
  message: AddressMessage,
): InvalidationEntry['granularity'] {
  const at = `entries[${i}].addresses.`
  const target = targetOf(fields, at, message)
  const device = deviceOf(fields, at, message.device)
  const address = BigInt(message.address)
  const pages = BigInt(message.pages)
  if ((address & 0xfffn) !== 0n) {
    fields.no(`${at}address`, message.address, 'a multiple of 4096', 'round down to a page')
  }
  if (pages === 0n || address + (pages << PAGE_BITS) > ADDRESSES) {
    const bound = 'at least 1, and address + pages * 4096 at most 2^64'
    fields.no(`${at}pages`, message.pages, bound, 'send as many pages as there are')
  }
  return { kind: 'ADDRESS', target, device, address, pages, leaf: message.leaf }
}

function cachesOf(
  fields: Fields,
  i: number,
  names: readonly string[],
): readonly InvalidationCache[] {
  const caches: InvalidationCache[] = []
  for (const [j, name] of names.entries()) {
    const cache = CACHES[name]
    const field = `entries[${i}].caches[${j}]`
    if (cache === undefined) fields.no(field, name, CACHE_NAMES, 'name the caches')
    else if (caches.includes(cache)) fields.no(field, `${name} again`, 'none twice', 'name it once')
    else caches.push(cache)
  }
  if (caches.length === 0) fields.missing(`entries[${i}].caches`, `1 to 3 of ${CACHE_NAMES}`)
  return caches
}

export function invalidatedProto({ done, lost }: Invalidated): VmmResponse<'Invalidate'> {
  if (lost.length === 0) return { done }
  return { done, lost: lostProto(lost) }
}

export function lostProto(lost: readonly BindingView[]): Binding[] {
  return lost.slice(0, LOST_TOLD_MAX).map(bindingProto)
}
