/**
 * Cached entries that a request met, and the narrowest invalidation that takes each away: what the
 * oracle names (VT-d 6.5.2). The rule of what an invalidation reaches is here for imagined ones, as
 * it is in the caches for real ones; a property test holds both together. Called by the request
 * path and the oracle.
 */

import type { DescriptorBlock, VtdDescriptor } from '../../uapi/vtd-descriptor.js'
import { overlaps, type PageBlock } from './pages.js'
import { NO_PASID } from './tagged-cache.js'

export type Hit =
  | { readonly cache: 'CONTEXT'; readonly sourceId: number }
  | {
      readonly cache: 'PASID'
      readonly domain: number
      readonly pasid: number
      /** Cached of an entry that was not present or wrong. */
      readonly absent: boolean
    }
  | {
      readonly cache: 'IOTLB' | 'PAGING_STRUCTURE'
      readonly domain: number
      /** NO_PASID: of a second stage. */
      readonly pasid: number
      readonly block: PageBlock
      /** The input page that was looked for. */
      readonly page: number
    }
  | {
      readonly cache: 'DEVICE_TLB'
      readonly sourceId: number
      readonly pasid: number | undefined
      readonly block: PageBlock
    }

/** An invalidation, by its tags. */
export type Removal =
  | { readonly cache: 'CONTEXT'; readonly sourceId: number }
  | { readonly cache: 'PASID'; readonly domain: number; readonly pasid: number }
  /** Of translations only (IH set), or of paging structures with them. */
  | {
      readonly cache: 'IOTLB' | 'PAGING_STRUCTURE'
      readonly domain: number
      /** NO_PASID: by domain, and by the second stage's input addresses. */
      readonly pasid: number
      /** Undefined: all addresses; then paging structures go in any case. */
      readonly block: PageBlock | undefined
    }
  | {
      readonly cache: 'DEVICE_TLB'
      readonly sourceId: number
      readonly pasid: number | undefined
      readonly block: PageBlock
    }

/** `addressMask`: CAP.MAMV; a larger block cannot be named. */
export function removalOf(hit: Hit, addressMask: number): Removal {
  if (hit.cache === 'CONTEXT' || hit.cache === 'DEVICE_TLB') return hit
  const { cache, domain, pasid } = hit
  if (cache === 'PASID') return { cache, domain, pasid }
  if (cache === 'PAGING_STRUCTURE') {
    return { cache, domain, pasid, block: { first: hit.page, order: 0 } }
  }
  const { first, order } = hit.block
  return { cache, domain, pasid, block: order <= addressMask ? { first, order } : undefined }
}

export function takes(removal: Removal, hit: Hit): boolean {
  switch (removal.cache) {
    case 'CONTEXT':
      return hit.cache === 'CONTEXT' && hit.sourceId === removal.sourceId
    case 'PASID': {
      if (hit.cache !== 'PASID' || hit.pasid !== removal.pasid) return false
      return hit.absent || hit.domain === removal.domain
    }
    case 'DEVICE_TLB': {
      if (hit.cache !== 'DEVICE_TLB' || hit.sourceId !== removal.sourceId) return false
      return hit.pasid === removal.pasid && touches(removal.block, hit.block)
    }
    default: {
      if (hit.cache !== 'IOTLB' && hit.cache !== 'PAGING_STRUCTURE') return false
      if (hit.domain !== removal.domain) return false
      const leafOnly = removal.cache === 'IOTLB' && removal.block !== undefined
      if (leafOnly && hit.cache === 'PAGING_STRUCTURE') return false
      // Of a domain, everything with a first stage goes, whatever the guest-physical block.
      if (removal.pasid === NO_PASID && hit.pasid !== NO_PASID) return true
      return hit.pasid === removal.pasid && touches(removal.block, hit.block)
    }
  }
}

function touches(block: PageBlock | undefined, other: PageBlock): boolean {
  return block === undefined || overlaps(block.first, block.order, other)
}

/** In this order: a later cache can be filled again from an earlier one. */
const ORDER = ['CONTEXT', 'PASID', 'PAGING_STRUCTURE', 'IOTLB', 'DEVICE_TLB'] as const

export function inOrder(removals: readonly Removal[]): readonly Removal[] {
  return removals.toSorted((a, b) => ORDER.indexOf(a.cache) - ORDER.indexOf(b.cache))
}

export function descriptorOf(removal: Removal): VtdDescriptor {
  switch (removal.cache) {
    case 'CONTEXT': {
      const { sourceId } = removal
      return { kind: 'CONTEXT', granularity: 'DEVICE', domain: 0, sourceId, functionMask: 0 }
    }
    case 'PASID': {
      const { domain, pasid } = removal
      return { kind: 'PASID_CACHE', granularity: 'PASID', domain, pasid }
    }
    case 'DEVICE_TLB': {
      const { sourceId, pasid } = removal
      const block = descriptorBlock(removal.block)
      if (pasid === undefined) return { kind: 'DEVICE_TLB', sourceId, block }
      return { kind: 'PASID_DEVICE_TLB', sourceId, pasid, global: false, block }
    }
    default: {
      const { domain, pasid, block } = removal
      const leaf = removal.cache === 'IOTLB' && block !== undefined
      const tags = {
        domain,
        leaf,
        block: block === undefined ? undefined : descriptorBlock(block),
      }
      return pasid === NO_PASID
        ? { kind: 'IOTLB', granularity: block === undefined ? 'DOMAIN' : 'PAGE', ...tags }
        : { kind: 'PIOTLB', granularity: block === undefined ? 'PASID' : 'PAGE', pasid, ...tags }
    }
  }
}

export function descriptorBlock({ first, order }: PageBlock): DescriptorBlock {
  return { address: BigInt(first) << 12n, order }
}
