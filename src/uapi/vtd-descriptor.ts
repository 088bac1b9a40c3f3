/**
 * Descriptors of a VT-d invalidation queue (VT-d 6.5.2; Linux drivers/iommu/intel/iommu.h QI_*):
 * from bytes to meaning. Every reserved bit is looked at: what a unit would refuse is refused here
 * with the field's name, and nothing else is. Used by the emulator's queue and by the broker's
 * service.
 */

/** Pages of 4 KiB, naturally aligned: the block that a page-selective descriptor covers. */
export interface DescriptorBlock {
  /** Byte address of its first page; 64 bits, a multiple of its size. */
  readonly address: bigint
  /** 2^order pages; 0 to 52. */
  readonly order: number
}

export type VtdDescriptor =
  /** Type 1. `functionMask`: FM, 2 bits. */
  | {
      readonly kind: 'CONTEXT'
      readonly granularity: 'GLOBAL' | 'DOMAIN' | 'DEVICE'
      readonly domain: number
      readonly sourceId: number
      readonly functionMask: number
    }
  /** Type 2. `block` only for PAGE; `leaf`: IH. */
  | {
      readonly kind: 'IOTLB'
      readonly granularity: 'GLOBAL' | 'DOMAIN' | 'PAGE'
      readonly domain: number
      readonly block: DescriptorBlock | undefined
      readonly leaf: boolean
    }
  /** Type 3; `block` undefined = everything of the device without PASID. */
  | {
      readonly kind: 'DEVICE_TLB'
      readonly sourceId: number
      readonly block: DescriptorBlock | undefined
    }
  /** Type 4: interrupt remapping, which is not ours; carried out by doing nothing. */
  | { readonly kind: 'INTERRUPT_ENTRY' }
  /** Type 5. */
  | {
      readonly kind: 'WAIT'
      /** SW: a 32-bit store; the address is a multiple of 4. */
      readonly statusWrite: { readonly address: bigint; readonly data: number } | undefined
      /** IF. */
      readonly interrupt: boolean
      /** FN. */
      readonly fence: boolean
      /** PD: page requests are drained first. */
      readonly drain: boolean
    }
  /** Type 6: PASID-based IOTLB. `block` only for PAGE. */
  | {
      readonly kind: 'PIOTLB'
      readonly granularity: 'PASID' | 'PAGE'
      readonly domain: number
      readonly pasid: number
      readonly block: DescriptorBlock | undefined
      readonly leaf: boolean
    }
  /** Type 7. */
  | {
      readonly kind: 'PASID_CACHE'
      readonly granularity: 'DOMAIN' | 'PASID' | 'GLOBAL'
      readonly domain: number
      readonly pasid: number
    }
  /** Type 8: PASID-based device-TLB; `block` undefined = everything of the PASID. */
  | {
      readonly kind: 'PASID_DEVICE_TLB'
      readonly sourceId: number
      readonly pasid: number
      /** G: of every PASID of the device; `pasid` is not looked at. */
      readonly global: boolean
      readonly block: DescriptorBlock | undefined
    }
  /** Type 9. `pasid` undefined: PASID_P is clear. */
  | {
      readonly kind: 'PAGE_GROUP_RESPONSE'
      readonly sourceId: number
      readonly pasid: number | undefined
      /** PRGI, 9 bits. */
      readonly group: number
      readonly code: 'SUCCESS' | 'INVALID' | 'FAILURE'
    }

/** What the unit would stop at: VT-d "Invalidation Queue Error". */
export interface DescriptorError {
  readonly kind: 'ERROR'
  /** For people: field, value, bound. */
  readonly problem: string
}

/** Of the unit that the queue is of. */
export interface QueueFacts {
  /** CAP.MAMV: an address mask (AM) beyond it is an error. 0 to 63. */
  readonly addressMaskMax: number
  /**
   * IQA_REG.DW: descriptors have 256 bits. The upper 128 are 0 in every type that there is. Types 6
   * to 9 are for such queues only: in a queue of 128-bit descriptors a unit stops at them.
   */
  readonly wide: boolean
  /**
   * ECAP.DIT: descriptors of device-TLBs may name a PF (PFSID), which else is reserved. Absent =
   * no.
   */
  readonly throttling?: boolean | undefined
}

/** Bytes of one descriptor. */
export function descriptorBytes({ wide }: Pick<QueueFacts, 'wide'>): number {
  return wide ? 32 : 16
}

/**
 * One descriptor, given as its words of 64 bits.
 * @param upper the other 128 bits in a wide queue; undefined = there are none, or they are 0
 */
export function decodeDescriptor(
  low: bigint,
  high: bigint,
  upper: readonly [bigint, bigint] | undefined,
  facts: QueueFacts,
): VtdDescriptor | DescriptorError {
  const words = [low32(low), high32(low), low32(high), high32(high)] as const
  return decode(words, upper !== undefined && (upper[0] !== 0n || upper[1] !== 0n), facts)
}

/**
 * The descriptors of a part of a queue, in order. Ends with the first ERROR: a unit goes no
 * further. So does what is left over when the bytes are no whole number of descriptors.
 */
export function decodeDescriptors(
  bytes: Uint8Array,
  facts: QueueFacts,
): readonly (VtdDescriptor | DescriptorError)[] {
  const size = descriptorBytes(facts)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoded: (VtdDescriptor | DescriptorError)[] = []
  for (let at = 0; at < bytes.length; at += size) {
    const one =
      at + size > bytes.length ? cutOff(bytes.length - at, size) : decodeAt(view, at, facts)
    decoded.push(one)
    if (one.kind === 'ERROR') break
  }
  return decoded
}

function cutOff(bytes: number, size: number): DescriptorError {
  return error(`a descriptor has ${size} bytes; the last has ${bytes}`)
}

function decodeAt(view: DataView, at: number, facts: QueueFacts): VtdDescriptor | DescriptorError {
  const word = (i: number): number => view.getUint32(at + 4 * i, true)
  const upper = facts.wide && (word(4) | word(5) | word(6) | word(7)) !== 0
  return decode([word(0), word(1), word(2), word(3)], upper, facts)
}

/** The lower 128 bits of a descriptor in unsigned words of 32. */
type Words = readonly [number, number, number, number]
type Decode = (words: Words, facts: QueueFacts) => VtdDescriptor | DescriptorError

interface Layout {
  /** As messages call it. */
  readonly name: string
  /** Bits that must be 0, by words. QEMU hw/i386/intel_iommu_internal.h VTD_INV_DESC_*_RSVD. */
  readonly reserved: Words
  /** Of those, PFSID: fields where ECAP.DIT is set. QI_DEV_IOTLB_PFSID. */
  readonly pfsid?: Words
  /** Whether it is for queues of 256-bit descriptors only. */
  readonly wideOnly: boolean
  readonly decode: Decode
}

const ALL = 0xffff_ffff
/** 2^52 pages are all that 64-bit addresses have. */
const ORDER_MAX = 52
const PAGE_SHIFT = 12

/** By type. LPIG (bit 2 of the second word of 64) of a response is let pass: VT-d 3 had it. */
const LAYOUTS: readonly (Layout | undefined)[] = [
  undefined,
  {
    name: 'context-cache',
    reserved: [0xf1c0, 0xfffc_0000, ALL, ALL],
    wideOnly: false,
    decode: decodeContext,
  },
  { name: 'iotlb', reserved: [0xf100, ALL, 0xf80, 0], wideOnly: false, decode: decodeIotlb },
  {
    name: 'device-tlb',
    reserved: [0xffe0_f1f0, 0xffff_0000, 0xffe, 0],
    pfsid: [0xf000, 0xfff0_0000, 0, 0],
    wideOnly: false,
    decode: decodeDeviceTlb,
  },
  {
    name: 'interrupt-entry',
    reserved: [0x07ff_f1e0, 0xffff_0000, ALL, ALL],
    wideOnly: false,
    decode: () => ({ kind: 'INTERRUPT_ENTRY' }),
  },
  { name: 'wait', reserved: [0xffff_f100, 0, 0b11, 0], wideOnly: false, decode: decodeWait },
  {
    name: 'pasid-iotlb',
    reserved: [0xf1c0, 0xfff0_0000, 0xf80, 0],
    wideOnly: true,
    decode: decodePiotlb,
  },
  {
    name: 'pasid-cache',
    reserved: [0xf1c0, 0xfff0_0000, ALL, ALL],
    wideOnly: true,
    decode: decodePasidCache,
  },
  {
    name: 'pasid-device-tlb',
    reserved: [0xf000, 0xfff0_0000, 0x7fe, 0],
    pfsid: [0xf000, 0xfff0_0000, 0, 0],
    wideOnly: true,
    decode: decodePasidDeviceTlb,
  },
  {
    name: 'page-group-response',
    reserved: [0x1e0, 0xfff0_0000, 0xffff_f003, ALL],
    wideOnly: true,
    decode: decodeResponse,
  },
]

function decode(words: Words, upper: boolean, facts: QueueFacts): VtdDescriptor | DescriptorError {
  const type = (words[0] & 0xf) | ((words[0] >>> 5) & 0x70)
  const layout = LAYOUTS[type]
  if (layout === undefined) return error(`descriptor type ${type}; there are types 1 to 9`)
  const { name, wideOnly } = layout
  if (wideOnly && !facts.wide) {
    return error(`${name}: a 256-bit descriptor in a queue of 128-bit ones (IQA_REG.DW is 0)`)
  }
  if (upper) return error(`${name}: the upper 128 bits are reserved and must be 0`)
  return reservedError(words, layout, facts) ?? layout.decode(words, facts)
}

function reservedError(
  words: Words,
  { name, reserved, pfsid }: Layout,
  { throttling }: QueueFacts,
): DescriptorError | undefined {
  for (const [i, word] of words.entries()) {
    const fields = throttling === true ? (pfsid?.[i] ?? 0) : 0
    const odd = (word & (reserved[i] ?? 0) & ~fields) >>> 0
    if (odd === 0) continue
    const first = 32 * i
    return error(`${name}: bits ${first + 31}:${first} & 0x${odd.toString(16)} are reserved`)
  }
  return undefined
}

function decodeContext(words: Words): VtdDescriptor | DescriptorError {
  const granularity = ([undefined, 'GLOBAL', 'DOMAIN', 'DEVICE'] as const)[granularityOf(words)]
  if (granularity === undefined) return invalidGranularity('context-cache', words)
  const sourceId = words[1] & 0xffff
  const functionMask = (words[1] >>> 16) & 0b11
  return { kind: 'CONTEXT', granularity, domain: words[0] >>> 16, sourceId, functionMask }
}

function decodeIotlb(words: Words, facts: QueueFacts): VtdDescriptor | DescriptorError {
  const granularity = ([undefined, 'GLOBAL', 'DOMAIN', 'PAGE'] as const)[granularityOf(words)]
  if (granularity === undefined) return invalidGranularity('iotlb', words)
  const block = granularity === 'PAGE' ? maskedBlock('iotlb', words, facts) : undefined
  if (block?.kind === 'ERROR') return block
  return {
    kind: 'IOTLB',
    granularity,
    domain: words[0] >>> 16,
    block: block?.block,
    leaf: leaf(words),
  }
}

function decodePiotlb(words: Words, facts: QueueFacts): VtdDescriptor | DescriptorError {
  const granularity = ([undefined, undefined, 'PASID', 'PAGE'] as const)[granularityOf(words)]
  if (granularity === undefined) return invalidGranularity('pasid-iotlb', words)
  const found = granularity === 'PAGE' ? maskedBlock('pasid-iotlb', words, facts) : undefined
  if (found?.kind === 'ERROR') return found
  const domain = words[0] >>> 16
  const pasid = pasidOf(words)
  return { kind: 'PIOTLB', granularity, domain, pasid, block: found?.block, leaf: leaf(words) }
}

function decodePasidCache(words: Words): VtdDescriptor | DescriptorError {
  const granularity = (['DOMAIN', 'PASID', undefined, 'GLOBAL'] as const)[granularityOf(words)]
  if (granularity === undefined) return invalidGranularity('pasid-cache', words)
  return { kind: 'PASID_CACHE', granularity, domain: words[0] >>> 16, pasid: pasidOf(words) }
}

function decodeDeviceTlb(words: Words): VtdDescriptor {
  const block = sizedBlock(words, (words[2] & 1) !== 0)
  return { kind: 'DEVICE_TLB', sourceId: words[1] & 0xffff, block }
}

function decodePasidDeviceTlb(words: Words): VtdDescriptor {
  const block = sizedBlock(words, (words[2] & 0x800) !== 0)
  const global = (words[2] & 1) !== 0
  const sourceId = words[0] >>> 16
  return { kind: 'PASID_DEVICE_TLB', sourceId, pasid: pasidOf(words), global, block }
}

function decodeWait(words: Words): VtdDescriptor {
  const bit = (at: number): boolean => ((words[0] >>> at) & 1) !== 0
  const statusWrite = bit(5) ? { address: highWord(words), data: words[1] } : undefined
  return { kind: 'WAIT', statusWrite, interrupt: bit(4), fence: bit(6), drain: bit(7) }
}

/** QI_RESP_SUCCESS, QI_RESP_INVALID, QI_RESP_FAILURE. */
const RESPONSES: Readonly<Record<number, 'SUCCESS' | 'INVALID' | 'FAILURE'>> = {
  0: 'SUCCESS',
  1: 'INVALID',
  15: 'FAILURE',
}

function decodeResponse(words: Words): VtdDescriptor | DescriptorError {
  const value = (words[0] >>> 12) & 0xf
  const code = RESPONSES[value]
  if (code === undefined) {
    return error(`page-group-response: response code ${value}; 0, 1 and 15 have a meaning`)
  }
  const pasid = (words[0] & 0x10) === 0 ? undefined : pasidOf(words)
  const group = (words[2] >>> 3) & 0x1ff
  return { kind: 'PAGE_GROUP_RESPONSE', sourceId: words[0] >>> 16, pasid, group, code }
}

function error(problem: string): DescriptorError {
  return { kind: 'ERROR', problem }
}

function granularityOf(words: Words): number {
  return (words[0] >>> 4) & 0b11
}

function invalidGranularity(name: string, words: Words): DescriptorError {
  return error(`${name}: granularity ${granularityOf(words)} is reserved`)
}

function pasidOf(words: Words): number {
  return words[1] & 0xf_ffff
}

/** IH. */
function leaf(words: Words): boolean {
  return (words[2] & 0x40) !== 0
}

function highWord(words: Words): bigint {
  return (BigInt(words[3]) << 32n) | BigInt(words[2])
}

/** 2^AM pages; address bits below that are not looked at. */
function maskedBlock(
  name: string,
  words: Words,
  { addressMaskMax }: QueueFacts,
): DescriptorError | { readonly kind: 'BLOCK'; readonly block: DescriptorBlock } {
  const mask = words[2] & 0x3f
  if (mask > addressMaskMax) {
    return error(`${name}: address mask ${mask} is beyond ${addressMaskMax} (CAP_REG.MAMV)`)
  }
  return { kind: 'BLOCK', block: blockOf(words, Math.min(mask, ORDER_MAX)) }
}

function blockOf(words: Words, order: number): DescriptorBlock {
  const shift = BigInt(PAGE_SHIFT + order)
  return { address: (highWord(words) >> shift) << shift, order }
}

/**
 * PCIe ATS: without S one page; with it 2^(n+1) pages, n being the lowest bit of the page number
 * that is 0. Ones in 62:12 are everything, whatever bit 63 is: undefined.
 */
function sizedBlock(words: Words, sized: boolean): DescriptorBlock | undefined {
  if (!sized) return blockOf(words, 0)
  const page = highWord(words) >> BigInt(PAGE_SHIFT)
  const lowest = ~page & (page + 1n)
  const order = lowest.toString(2).length
  return order >= ORDER_MAX ? undefined : blockOf(words, order)
}

function low32(word: bigint): number {
  return Number(BigInt.asUintN(32, word))
}

function high32(word: bigint): number {
  return Number(BigInt.asUintN(32, word >> 32n))
}
