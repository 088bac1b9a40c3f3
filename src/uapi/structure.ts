/**
 * A structure of the kernel's user interface as a table: each member with its name in C, offset and
 * width. The table encodes and decodes, and test/kernel/layouts/ holds the same table against the
 * kernel's own headers, so that what is checked is what is used. Little endian.
 */

import { assert } from '../core/assert.js'

export type FieldKind = 'u8' | 'u32' | 's32' | 'u64'

export interface Field<K extends FieldKind = FieldKind> {
  /** The member's name in C. */
  readonly c: string
  /** Bytes from the beginning of the structure. */
  readonly at: number
  readonly kind: K
}

/** A member that callers do not set: its length, a pointer, or what is reserved. */
export interface Hole {
  readonly c: string
  readonly at: number
  readonly bytes: number
}

type Fields = Readonly<Record<string, Field>>

export interface Structure<F extends Fields = Fields> {
  /** Its tag: `iommu_hwpt_alloc`. */
  readonly c: string
  /** sizeof(). */
  readonly bytes: number
  readonly fields: F
  /** `size` or `argsz`: u32 at 0, written by encode(). */
  readonly length: Hole | undefined
  /** 64 bits, written by the thread that makes the call. */
  readonly pointer: Hole | undefined
  /** Zero. */
  readonly reserved: readonly Hole[]
}

/** u64 as bigint, all others as number. */
export type ValuesOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<'u64'> ? bigint : number
}

/** A request of ioctl(2), with the structure that its argument points to. */
export interface Request<F extends Fields = Fields> {
  /** As in the kernel's headers: `IOMMU_HWPT_ALLOC`. */
  readonly name: string
  /** 32 bits. */
  readonly request: number
  readonly structure: Structure<F>
}

/** Which call it is, whatever its argument. */
export interface BareRequest {
  readonly name: string
  readonly request: number
}

export const FIELD_BYTES: Readonly<Record<FieldKind, number>> = {
  u8: 1,
  u32: 4,
  s32: 4,
  u64: 8,
}

export const u8 = (c: string, at: number): Field<'u8'> => ({ c, at, kind: 'u8' })
export const u32 = (c: string, at: number): Field<'u32'> => ({ c, at, kind: 'u32' })
export const s32 = (c: string, at: number): Field<'s32'> => ({ c, at, kind: 's32' })
export const u64 = (c: string, at: number): Field<'u64'> => ({ c, at, kind: 'u64' })

interface Shape<F extends Fields> {
  readonly fields: F
  /** The C name of the u32 at 0 that says how long the structure is. */
  readonly length?: 'size' | 'argsz'
  readonly pointer?: readonly [c: string, at: number]
  readonly reserved?: readonly (readonly [c: string, at: number, bytes: number])[]
}

/** Every byte is of exactly one member: a table with a gap or an overlap is a bug. */
export function structure<F extends Fields>(c: string, bytes: number, shape: Shape<F>) {
  const { fields, length, pointer, reserved = [] } = shape
  const made: Structure<F> = {
    c,
    bytes,
    fields,
    length: length === undefined ? undefined : { c: length, at: 0, bytes: 4 },
    pointer: pointer && { c: pointer[0], at: pointer[1], bytes: 8 },
    reserved: reserved.map(([name, at, size]) => ({ c: name, at, bytes: size })),
  }
  let end = 0
  for (const member of membersOf(made)) {
    assert(
      member.at === end,
      `${c}.${member.c} is at ${member.at}, and the one before ends at ${end}`,
    )
    end += member.bytes
  }
  assert(end === bytes, `${c} has members for ${end} of ${bytes} bytes`)
  return made
}

/** All members, in the order of their offsets. */
export function membersOf({ fields, length, pointer, reserved }: Structure): readonly Hole[] {
  const all = [...reserved]
  if (length !== undefined) all.push(length)
  if (pointer !== undefined) all.push(pointer)
  for (const { c, at, kind } of Object.values(fields)) all.push({ c, at, bytes: FIELD_BYTES[kind] })
  return all.sort((a, b) => a.at - b.at)
}

/**
 * Absent fields, reserved ones and the pointer are 0; the length is set. `bytes` less than all: the
 * form that older kernels know, without the fields beyond it. A value beyond its field's width is a
 * bug: what comes from outside was checked before.
 */
export function encode<F extends Fields>(
  { c, bytes: whole, fields, length }: Structure<F>,
  values: Partial<ValuesOf<F>>,
  bytes = whole,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes))
  if (length !== undefined) view.setUint32(length.at, bytes, true)
  for (const [name, field] of Object.entries<Field>(fields)) {
    const value: number | bigint | undefined = values[name]
    if (value === undefined) continue
    const isInside = field.at + FIELD_BYTES[field.kind] <= bytes
    assert(isInside, `${c}.${field.c} is beyond the ${bytes} bytes of this form`)
    const { first, last } = LIMITS[field.kind]
    const isWhole = typeof value === 'bigint' || Number.isInteger(value)
    assert(isWhole && value >= first && value <= last, `${c}.${field.c} ${value}: ${field.kind}`)
    put(view, field, BigInt(value))
  }
  return new Uint8Array(view.buffer)
}

/** `at`: where the structure begins. There must be enough bytes; fewer is a bug. */
export function decode<F extends Fields>(
  { c, bytes: whole, fields }: Structure<F>,
  bytes: Uint8Array,
  at = 0,
): ValuesOf<F> {
  assert(bytes.length - at >= whole, `${bytes.length - at} of ${whole} bytes of ${c} are there`)
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, whole)
  const values: Record<string, number | bigint> = {}
  for (const [name, field] of Object.entries<Field>(fields)) values[name] = get(view, field)
  return values as ValuesOf<F>
}

/** Both inside. */
const LIMITS: Readonly<Record<FieldKind, { readonly first: bigint; readonly last: bigint }>> = {
  u8: { first: 0n, last: 2n ** 8n - 1n },
  u32: { first: 0n, last: 2n ** 32n - 1n },
  s32: { first: -(2n ** 31n), last: 2n ** 31n - 1n },
  u64: { first: 0n, last: 2n ** 64n - 1n },
}

function put(view: DataView, { at, kind }: Field, value: bigint): void {
  switch (kind) {
    case 'u8':
      return view.setUint8(at, Number(value))
    case 'u32':
      return view.setUint32(at, Number(value), true)
    case 's32':
      return view.setInt32(at, Number(value), true)
    case 'u64':
      return view.setBigUint64(at, value, true)
  }
}

function get(view: DataView, { at, kind }: Field): number | bigint {
  switch (kind) {
    case 'u8':
      return view.getUint8(at)
    case 'u32':
      return view.getUint32(at, true)
    case 's32':
      return view.getInt32(at, true)
    case 'u64':
      return view.getBigUint64(at, true)
  }
}
