/**
 * Random bytes for every structure that comes from outside, and what must hold of whatever is read
 * from them. Verdicts on descriptors and on the structures of 2020 are given a second time here, in
 * the plainest form, from the masks of QEMU and the tables of Linux: both must say the same.
 */

import { ERRNO, isUapiError } from '../../src/uapi/errno.js'
import { decodeCacheInvalidate, decodeGpasidBind, vtdBindOf } from '../../src/uapi/iommu-2020.js'
import {
  decodeNestingOp,
  decodePasidRequest,
  decodeV1Bind,
  decodeV1CacheInvalidate,
  decodeV1PasidRequest,
} from '../../src/uapi/vfio-2020.js'
import { decodeDescriptors, type QueueFacts } from '../../src/uapi/vtd-descriptor.js'
import { decodeVtdS1 } from '../../src/uapi/vtd-s1.js'

/** Numbers of 32 bits, the same for the same seed: xorshift128. */
export class FuzzRandom {
  #x: number
  #y = 362_436_069
  #z = 521_288_629
  #w = 88_675_123

  constructor(seed: number) {
    this.#x = seed | 1
    for (let i = 0; i < 20; i += 1) this.next()
  }

  next(): number {
    const t = this.#x ^ (this.#x << 11)
    this.#x = this.#y
    this.#y = this.#z
    this.#z = this.#w
    this.#w = this.#w ^ (this.#w >>> 19) ^ t ^ (t >>> 8)
    return this.#w >>> 0
  }

  below(count: number): number {
    return this.next() % count
  }
}

/** A structure with a valid example, and a check of what is read from bytes like it. */
export interface Structure {
  readonly name: string
  /** Of so many cases in 20. */
  readonly weight: number
  readonly examples: readonly Uint8Array[]
  /** Bytes that such a structure is never longer than, in these tests. */
  readonly longest: number
  /** What is wrong with how it was read; undefined: nothing. */
  readonly check: (bytes: Uint8Array) => string | undefined
}

/** An example with some bits flipped, a word replaced, cut or lengthened; or nothing but chance. */
export function fuzzed(structure: Structure, random: FuzzRandom): Uint8Array {
  const { examples, longest } = structure
  const how = random.below(8)
  const example = examples[random.below(examples.length)] ?? new Uint8Array()
  const length = how < 6 ? example.length : random.below(longest + 1)
  const bytes = new Uint8Array(length)
  if (how === 7) {
    for (let i = 0; i < length; i += 1) bytes[i] = random.next()
    return bytes
  }
  bytes.set(example.subarray(0, length))
  if (length === 0) return bytes
  for (let flips = random.below(4); flips > 0; flips -= 1) {
    const at = random.below(length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  }
  if (how % 2 === 0) {
    const at = random.below(length) & ~7
    for (let i = at; i < Math.min(length, at + 8); i += 1) bytes[i] = random.next()
  }
  return bytes
}

function example(length: number, ...fields: [at: number, size: 1 | 4 | 8, value: bigint][]) {
  const view = new DataView(new ArrayBuffer(length))
  for (const [at, size, value] of fields) {
    if (size === 8) view.setBigUint64(at, value, true)
    else if (size === 4) view.setUint32(at, Number(value), true)
    else view.setUint8(at, Number(value))
  }
  return new Uint8Array(view.buffer)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

// -- descriptors
// -----------------------------------------------------------------------------------

export const MAMV = 18
const WIDE: QueueFacts = { addressMaskMax: MAMV, wide: true }
const NARROW: QueueFacts = { addressMaskMax: MAMV, wide: false }

/** By type: reserved bits of the lower words. QEMU hw/i386/intel_iommu_internal.h. */
const RESERVED: readonly (readonly [low: bigint, high: bigint] | undefined)[] = [
  undefined,
  [0xfffc_0000_0000_f1c0n, 0xffff_ffff_ffff_ffffn],
  [0xffff_ffff_0000_f100n, 0xf80n],
  [0xffff_0000_ffe0_f1f0n, 0xffen],
  [0xffff_0000_07ff_f1e0n, 0xffff_ffff_ffff_ffffn],
  [0xffff_f100n, 0x3n],
  [0xfff0_0000_0000_f1c0n, 0xf80n],
  [0xfff0_0000_0000_f1c0n, 0xffff_ffff_ffff_ffffn],
  [0xfff0_0000_0000_f000n, 0x7fen],
  [0xfff0_0000_0000_01e0n, 0xffff_ffff_ffff_f003n],
]
/** By type: granularities that are none. */
const NO_GRANULARITY: Readonly<Record<number, readonly number[]>> = {
  1: [0],
  2: [0],
  6: [0, 1],
  7: [2],
}

/** Whether a unit would take it. */
export function isLegal(words: readonly bigint[], wide: boolean): boolean {
  const [low = 0n, high = 0n, ...upper] = words
  const type = Number((low & 0xfn) | ((low >> 5n) & 0x70n))
  const reserved = RESERVED[type]
  if (reserved === undefined || (type >= 6 && !wide)) return false
  if (upper.some((word) => word !== 0n)) return false
  if ((low & reserved[0]) !== 0n || (high & reserved[1]) !== 0n) return false
  const granularity = Number((low >> 4n) & 3n)
  if (NO_GRANULARITY[type]?.includes(granularity) === true) return false
  if ((type === 2 || type === 6) && granularity === 3) return (high & 0x3fn) <= BigInt(MAMV)
  return type !== 9 || [0n, 1n, 15n].includes((low >> 12n) & 0xfn)
}

function checkDescriptors(facts: QueueFacts): Structure['check'] {
  const size = facts.wide ? 32 : 16
  return (bytes) => {
    const decoded = decodeDescriptors(bytes, facts)
    const view = viewOf(bytes)
    for (let i = 0; ; i += 1) {
      const at = i * size
      const one = decoded[i]
      if (at >= bytes.length) return one === undefined ? undefined : 'more than there are'
      if (one === undefined) return 'fewer than there are'
      const words: bigint[] = []
      for (let w = at; w + 8 <= Math.min(at + size, bytes.length); w += 8) {
        words.push(view.getBigUint64(w, true))
      }
      const isWhole = at + size <= bytes.length
      const legal = isWhole && isLegal(words, facts.wide)
      if ((one.kind !== 'ERROR') !== legal) return `${one.kind}, but legal is ${legal}`
      if (one.kind === 'ERROR') {
        if (one.problem === '') return 'no text'
        return decoded.length === i + 1 ? undefined : 'it does not end there'
      }
      const odd = outOfRange(one)
      if (odd !== undefined) return odd
    }
  }
}

const LIMITS: Readonly<Record<string, number>> = {
  domain: 0xffff,
  sourceId: 0xffff,
  pasid: 0xf_ffff,
  functionMask: 3,
  group: 511,
}

function outOfRange(descriptor: object): string | undefined {
  for (const [name, value] of Object.entries(descriptor) as [string, unknown][]) {
    const limit = LIMITS[name]
    if (limit !== undefined && value !== undefined) {
      if (typeof value !== 'number') return `${name} is no number`
      if (value < 0 || value > limit) return `${name} ${value}`
    }
  }
  const { block, statusWrite } = descriptor as {
    block?: { address: bigint; order: number }
    statusWrite?: { address: bigint; data: number }
  }
  if (block !== undefined) {
    const { address, order } = block
    const size = 1n << BigInt(12 + order)
    const fits = address >= 0n && address % size === 0n && address + size <= 1n << 64n
    if (!fits || order < 0 || order > 52) return `block ${address} of order ${order}`
  }
  if (statusWrite === undefined) return undefined
  const { address, data } = statusWrite
  return address % 4n === 0n && data >= 0 && data <= 0xffff_ffff ? undefined : 'status write'
}

/** A legal descriptor of each type, as its first 128 bits. */
export const DESCRIPTORS: readonly (readonly [bigint, bigint])[] = [
  [0x2_0108_0002_0031n, 0n],
  [0x0005_0032n, 0x7f00_0020_0049n],
  [0x0000_0108_0000_0003n, 0x7000_7001n],
  [0xffff_f800_0014n, 0n],
  [0xdead_beef_0000_00e5n, 0x2069_c04n],
  [0x5_0003_0036n, 0xffff_c046n],
  [0x5_0002_0017n, 0n],
  [0x5_0108_0008n, 0x7ffff_f801n],
  [0x5_0108_1019n, 0x18n],
]

export function descriptorExample([low, high]: readonly [bigint, bigint], bytes: 16 | 32) {
  return example(bytes, [0, 8, low], [8, 8, high])
}

// -- structures of 2020
// ----------------------------------------------------------------------------

export const CACHE_INFOS: readonly Uint8Array[] = [
  example(56, [0, 4, 56n], [4, 4, 1n], [8, 1, 5n]),
  example(56, [0, 4, 56n], [4, 4, 1n], [8, 1, 7n], [9, 1, 1n], [16, 4, 3n], [24, 8, 300n]),
  example(
    56,
    ...([
      [0, 4, 56n],
      [4, 4, 1n],
      [8, 1, 3n],
      [9, 1, 2n],
      [16, 4, 5n],
      [24, 8, 300n],
      [32, 8, 0x7000n],
      [40, 8, 4096n],
      [48, 8, 3n],
    ] as [number, 1 | 4 | 8, bigint][]),
  ),
]

/** 0: valid. Every EINVAL is alike, so their order does not matter; an EFAULT comes before some. */
function cacheErrno(bytes: Uint8Array): number {
  const { EFAULT, EINVAL } = ERRNO
  if (bytes.length < 16) return EFAULT
  const view = viewOf(bytes)
  const [argsz, version] = [view.getUint32(0, true), view.getUint32(4, true)]
  const [cache, granularity] = [view.getUint8(8), view.getUint8(9)]
  const least = [16, 32, 56][granularity]
  if (least === undefined || version !== 1 || argsz < least) return EINVAL
  if (bytes.length < Math.min(argsz, 56)) return EFAULT
  const takes = [0b101, 0b111, 0b011][granularity] ?? 0
  const isPadded = bytes.subarray(10, 16).some((byte) => byte !== 0)
  if ((cache & ~takes) !== 0 || isPadded) return EINVAL
  if (granularity === 0) return 0
  const flags = view.getUint32(16, true)
  const pasid = view.getBigUint64(24, true)
  if ((flags & ~(granularity === 1 ? 3 : 7)) !== 0) return EINVAL
  if ((flags & 1) !== 0 && (pasid === 0n || pasid >= 1n << 20n)) return EINVAL
  if (granularity === 1) return (flags & 3) === 0 ? EINVAL : 0
  const [addr, size, count] = [32, 40, 48].map((at) => view.getBigUint64(at, true))
  const bytesNamed = (size ?? 0n) * (count ?? 0n)
  return bytesNamed === 0n || (addr ?? 0n) + bytesNamed > 1n << 64n ? EINVAL : 0
}

function checkCacheInfo(bytes: Uint8Array): string | undefined {
  const decoded = decodeCacheInvalidate(bytes)
  const errno = isUapiError(decoded) ? decoded.errno : 0
  if (errno !== cacheErrno(bytes)) return `errno ${errno}, not ${cacheErrno(bytes)}`
  if (isUapiError(decoded) || decoded.granularity.kind !== 'ADDRESS') return undefined
  const { address, pages } = decoded.granularity
  const fits = address % 4096n === 0n && pages > 0n && address + pages * 4096n <= 1n << 64n
  return fits ? undefined : `addresses ${address} + ${pages}`
}

export const GPASID_BIND = example(
  72,
  ...([
    [0, 4, 72n],
    [4, 4, 1n],
    [8, 4, 1n],
    [12, 4, 48n],
    [16, 8, 1n],
    [24, 8, 0x1000n],
    [32, 8, 300n],
    [40, 8, 5n],
    [56, 8, 3n],
  ] as [number, 1 | 4 | 8, bigint][]),
)

function bindErrno(bytes: Uint8Array): number {
  const { EFAULT, EINVAL } = ERRNO
  if (bytes.length < 56) return EFAULT
  const view = viewOf(bytes)
  const argsz = view.getUint32(0, true)
  if (argsz < 56 || view.getUint32(4, true) !== 1) return EINVAL
  if (bytes.length < Math.min(argsz, 72)) return EFAULT
  const isPadded = view.getBigUint64(48, true) !== 0n
  return view.getUint32(8, true) > 1 || view.getBigUint64(16, true) > 1n || isPadded ? EINVAL : 0
}

function checkGpasidBind(bytes: Uint8Array): string | undefined {
  const decoded = decodeGpasidBind(bytes)
  const errno = isUapiError(decoded) ? decoded.errno : 0
  if (errno !== bindErrno(bytes)) return `errno ${errno}, not ${bindErrno(bytes)}`
  if (isUapiError(decoded)) return undefined
  const bind = vtdBindOf(decoded)
  if (isUapiError(bind)) return undefined
  const { address, pasid, guestPasid = 1 } = bind
  const isPasid = (value: number): boolean => value >= 1 && value < 2 ** 20
  const fits = address % 4096 === 0 && address < 2 ** 52 && isPasid(pasid) && isPasid(guestPasid)
  return fits ? undefined : `bind ${JSON.stringify(bind)}`
}

// -- entries of a nested table
// ---------------------------------------------------------------------

export const S1_ENTRIES: readonly Uint8Array[] = [
  example(24, [0, 8, 0x7000n], [8, 8, 3n], [16, 4, 1n]),
  example(48, [8, 8, 0xffff_ffff_ffff_ffffn], [24, 8, 0x1000n], [32, 8, 1n]),
]

function s1Errno(view: DataView, at: number): number {
  const { EFAULT, EINVAL, EOPNOTSUPP } = ERRNO
  if (at + 24 > view.byteLength) return EFAULT
  if (view.getUint32(at + 16, true) > 1 || view.getUint32(at + 20, true) !== 0) return EOPNOTSUPP
  const [addr, pages] = [view.getBigUint64(at, true), view.getBigUint64(at + 8, true)]
  if (pages === 0xffff_ffff_ffff_ffffn) return addr === 0n ? 0 : EINVAL
  const fits = pages !== 0n && addr + pages * 4096n <= 1n << 64n
  return addr % 4096n === 0n && fits ? 0 : EINVAL
}

function checkS1(bytes: Uint8Array): string | undefined {
  const entryNum = Math.ceil(bytes.length / 24)
  const view = viewOf(bytes)
  const decoded = decodeVtdS1({ dataType: 0, entryLen: 24, entryNum, entries: bytes })
  const { entries, stopped } = decoded
  for (let i = 0; i < entries.length; i += 1) {
    if (s1Errno(view, 24 * i) !== 0) return `entry ${i} stands`
  }
  const expected = entries.length === entryNum ? 0 : s1Errno(view, 24 * entries.length)
  const errno = stopped?.errno ?? 0
  return errno === expected ? undefined : `errno ${errno}, not ${expected}`
}

// -- calls of the series
// ---------------------------------------------------------------------------

/** argsz and flags, then the structure inside. */
export function withHeader(flags: number, inside: Uint8Array): Uint8Array {
  const bytes = example(8 + inside.length, [0, 4, BigInt(8 + inside.length)], [4, 4, BigInt(flags)])
  bytes.set(inside, 8)
  return bytes
}

const RANGE = example(8, [0, 4, 1n], [4, 4, 0xf_ffffn])
export const PASID_REQUESTS = [withHeader(1, RANGE), withHeader(2, RANGE)]
export const V1_PASID_REQUESTS = [
  withHeader(1, example(12, [0, 4, 1n], [4, 4, 0xf_ffffn])),
  withHeader(2, example(4, [0, 4, 300n])),
]
export const NESTING_OPS = [
  withHeader(0, GPASID_BIND),
  withHeader(1, GPASID_BIND),
  ...CACHE_INFOS.map((info) => withHeader(2, info)),
]

/** It does not throw; and what it refuses, it refuses as the kernel does. */
function checkErrno(decode: (bytes: Uint8Array) => object): Structure['check'] {
  return (bytes) => {
    const decoded = decode(bytes)
    if (!isUapiError(decoded)) return undefined
    const isKnown = decoded.errno === ERRNO.EFAULT || decoded.errno === ERRNO.EINVAL
    return isKnown && decoded.problem !== '' ? undefined : `errno ${decoded.errno}`
  }
}

export const STRUCTURES: readonly Structure[] = [
  {
    name: 'wide descriptors',
    weight: 8,
    examples: DESCRIPTORS.map((words) => descriptorExample(words, 32)),
    longest: 96,
    check: checkDescriptors(WIDE),
  },
  {
    name: 'narrow descriptors',
    weight: 2,
    examples: DESCRIPTORS.slice(0, 5).map((words) => descriptorExample(words, 16)),
    longest: 48,
    check: checkDescriptors(NARROW),
  },
  {
    name: 'iommu_cache_invalidate_info',
    weight: 3,
    examples: CACHE_INFOS,
    longest: 80,
    check: checkCacheInfo,
  },
  {
    name: 'iommu_gpasid_bind_data',
    weight: 2,
    examples: [GPASID_BIND],
    longest: 96,
    check: checkGpasidBind,
  },
  {
    name: 'iommu_hwpt_vtd_s1_invalidate',
    weight: 2,
    examples: S1_ENTRIES,
    longest: 96,
    check: checkS1,
  },
  ...(
    [
      ['pasid_request (v7)', PASID_REQUESTS, decodePasidRequest],
      ['pasid_request (v1)', V1_PASID_REQUESTS, decodeV1PasidRequest],
      ['nesting_op', NESTING_OPS, decodeNestingOp],
    ] as const
  ).map(([name, examples, decode]) => {
    return { name, weight: 1, examples, longest: 96, check: checkErrno(decode) }
  }),
  {
    name: 'bind (v1)',
    weight: 0,
    examples: NESTING_OPS,
    longest: 96,
    check: checkErrno(decodeV1Bind),
  },
  {
    name: 'cache_invalidate (v1)',
    weight: 0,
    examples: NESTING_OPS.map((op) => withHeader(0, op.subarray(8))),
    longest: 96,
    check: checkErrno(decodeV1CacheInvalidate),
  },
]
