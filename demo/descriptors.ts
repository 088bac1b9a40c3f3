/**
 * Descriptors of a VT-d invalidation queue: from one line of a recording to what the guest asked
 * for. Layouts: VT-d specification §6.5.2; masks as in QEMU hw/i386/intel_iommu_internal.h. What
 * hardware would answer with an invalidation queue error (unknown type, invalid granularity, a
 * reserved bit set) is a DescriptorFault here. Called by the replay.
 */

/** A descriptor that hardware would stop the queue at. */
export class DescriptorFault extends Error {
  override readonly name = 'DescriptorFault'
}

export type Descriptor =
  | {
      readonly kind: 'context-cache'
      readonly granularity: 'global' | 'domain' | 'device'
      readonly domain: number
      /** Bus, device, function. */
      readonly source: number
    }
  | {
      readonly kind: 'iotlb'
      readonly granularity: 'global' | 'domain' | 'page'
      readonly domain: number
      readonly range: PageRange | undefined
    }
  | { readonly kind: 'interrupt-entry'; readonly granularity: 'global' | 'index' }
  | {
      readonly kind: 'wait'
      /** Writes its status when done; else it raises an interrupt, or nobody asks. */
      readonly statusWrite: boolean
      /** What follows is not begun before it is done. */
      readonly fence: boolean
      readonly drainPageRequests: boolean
    }
  | {
      readonly kind: 'pasid-iotlb'
      readonly domain: number
      readonly pasid: number
      /** Undefined: everything of the PASID. */
      readonly range: PageRange | undefined
    }
  | {
      readonly kind: 'pasid-cache'
      readonly granularity: 'domain' | 'pasid' | 'global'
      readonly domain: number
      readonly pasid: number
    }

export type DescriptorKind = Descriptor['kind']

/** 2^order pages of 4 KiB, naturally aligned. */
export interface PageRange {
  readonly address: bigint
  readonly order: number
  /** IH: only leaf entries changed. */
  readonly leaf: boolean
}

/** The low and the high 64 bits of a descriptor's first 128. */
interface Words {
  readonly low: bigint
  readonly high: bigint
}

type Parse = (words: Words) => Descriptor

/** The specification's names of the types that may come, but are not part of this replay. */
const NOT_REPLAYED: Readonly<Record<number, string>> = {
  3: 'device-TLB',
  8: 'PASID-based device-TLB',
  9: 'page group response',
}

const PARSERS: Readonly<Record<number, Parse>> = {
  1: parseContextCache,
  2: parseIotlb,
  4: parseInterruptEntry,
  5: parseWait,
  6: parsePasidIotlb,
  7: parsePasidCache,
}

/** 2^52 pages are all that there are; a device's own bound (CAP.MAMV) is lower. */
const ADDRESS_MASK_MAX = 52
const PAGE_SHIFT = 12n
const ALL_64_BITS = 0xffff_ffff_ffff_ffffn

/** Two hexadecimal numbers without prefix: the low word, then the high one. */
const LINE = /^([0-9a-f]{1,16}) ([0-9a-f]{1,16})$/

/** @throws DescriptorFault */
export function parseDescriptor(line: string): Descriptor {
  const [, low, high] = LINE.exec(line) ?? []
  if (low === undefined || high === undefined) {
    throw new DescriptorFault(`not two hexadecimal words: ${JSON.stringify(line.slice(0, 80))}`)
  }
  const words = { low: BigInt(`0x${low}`), high: BigInt(`0x${high}`) }
  const type = typeOf(words)
  const parse = PARSERS[type]
  if (parse !== undefined) return parse(words)
  const name = NOT_REPLAYED[type]
  if (name === undefined) throw new DescriptorFault(`unknown type ${type}`)
  throw new DescriptorFault(`type ${type} (${name}) is not part of the replay`)
}

/** Bits 3:0, with bits 11:9 above them. */
function typeOf({ low }: Words): number {
  return field(low, 0, 3) | (field(low, 9, 11) << 4)
}

/** Bits `first` to `last`, both inside. */
function field(word: bigint, first: number, last: number): number {
  return Number((word >> BigInt(first)) & ((1n << BigInt(last - first + 1)) - 1n))
}

function checkReserved(name: string, words: Words, low: bigint, high: bigint): void {
  const odd = { low: words.low & low, high: words.high & high }
  if (odd.low === 0n && odd.high === 0n) return
  const bits = `${odd.low.toString(16)} ${odd.high.toString(16)}`
  throw new DescriptorFault(`${name}: reserved bits are set: ${bits}`)
}

/** One of four words for a granularity; undefined: the specification has none. */
function granularityOf<Name extends string>(
  name: string,
  { low }: Words,
  names: readonly (Name | undefined)[],
): Name {
  const value = field(low, 4, 5)
  const granularity = names[value]
  if (granularity !== undefined) return granularity
  throw new DescriptorFault(`${name}: granularity ${value} is invalid`)
}

function parseContextCache(words: Words): Descriptor {
  checkReserved('context-cache', words, 0xfffc_0000_0000_f1c0n, ALL_64_BITS)
  const names = [undefined, 'global', 'domain', 'device'] as const
  const granularity = granularityOf('context-cache', words, names)
  const domain = field(words.low, 16, 31)
  return { kind: 'context-cache', granularity, domain, source: field(words.low, 32, 47) }
}

function parseIotlb(words: Words): Descriptor {
  checkReserved('iotlb', words, 0xffff_ffff_0000_f100n, 0xf80n)
  const names = [undefined, 'global', 'domain', 'page'] as const
  const granularity = granularityOf('iotlb', words, names)
  const range = granularity === 'page' ? rangeOf('iotlb', words) : undefined
  return { kind: 'iotlb', granularity, domain: field(words.low, 16, 31), range }
}

function parseInterruptEntry(words: Words): Descriptor {
  checkReserved('interrupt-entry', words, 0xffff_0000_07ff_f1e0n, ALL_64_BITS)
  return { kind: 'interrupt-entry', granularity: field(words.low, 4, 4) === 0 ? 'global' : 'index' }
}

function parseWait(words: Words): Descriptor {
  checkReserved('wait', words, 0xffff_f100n, 0b11n)
  const statusWrite = field(words.low, 5, 5) === 1
  const fence = field(words.low, 6, 6) === 1
  return { kind: 'wait', statusWrite, fence, drainPageRequests: field(words.low, 7, 7) === 1 }
}

function parsePasidIotlb(words: Words): Descriptor {
  checkReserved('pasid-iotlb', words, 0xfff0_0000_0000_f1c0n, 0xf80n)
  const names = [undefined, undefined, 'pasid', 'page'] as const
  const granularity = granularityOf('pasid-iotlb', words, names)
  const range = granularity === 'page' ? rangeOf('pasid-iotlb', words) : undefined
  const domain = field(words.low, 16, 31)
  return { kind: 'pasid-iotlb', domain, pasid: field(words.low, 32, 51), range }
}

function parsePasidCache(words: Words): Descriptor {
  checkReserved('pasid-cache', words, 0xfff0_0000_0000_f1c0n, ALL_64_BITS)
  const names = ['domain', 'pasid', undefined, 'global'] as const
  const granularity = granularityOf('pasid-cache', words, names)
  const domain = field(words.low, 16, 31)
  return { kind: 'pasid-cache', granularity, domain, pasid: field(words.low, 32, 51) }
}

/** AM, IH and ADDR of the high word. Address bits below the block's size are ignored. */
function rangeOf(name: string, { high }: Words): PageRange {
  const order = field(high, 0, 5)
  if (order > ADDRESS_MASK_MAX) throw new DescriptorFault(`${name}: address mask ${order}`)
  const shift = PAGE_SHIFT + BigInt(order)
  return { address: (high >> shift) << shift, order, leaf: field(high, 6, 6) === 1 }
}
