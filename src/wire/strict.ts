/**
 * Strict decoding of requests, in place of proto-loader's, which ignores unknown fields and coerces
 * numbers. One pass over the bytes by the message's table yields exactly what proto-loader would
 * have, or a refusal that names the field; the handler answers it. Nothing is thrown to grpc-js,
 * which would say INTERNAL.
 */

import { isUtf8 } from 'node:buffer'
import { assert, present } from '../core/assert.js'
import { LABELS_MAX, NUMBERS_PER_CALL_MAX } from '../core/limits.js'
import type { Refusal } from '../core/refusal.js'
import { quoted } from './quote.js'
import { messageTable, type FieldTable, type MessageTable } from './schema.js'

export type Decoded<T> =
  | { readonly ok: true; readonly message: T }
  /** `partial`: what was read before the bad part; a hint only. */
  | { readonly ok: false; readonly refusal: Refusal; readonly partial: Partial<T> }

/** Elements of one repeated field: no request has one that may be longer. */
const ELEMENTS_MAX = NUMBERS_PER_CALL_MAX
/** Entries of all maps of one message: four times what any may have, so that it is said which. */
const MAP_ENTRIES_MAX = 4 * LABELS_MAX
/** Messages in messages; checked at load, so that no input can nest deeper. */
const DEPTH_MAX = 8
const VARINT_BYTES_MAX = 10
const TWO_TO_32 = 2 ** 32

type Fields = Record<string, unknown>

/** Ends a decoding; never leaves this file. */
class Stop extends Error {
  constructor(readonly refusal: Refusal) {
    super()
  }
}

const WIRE_TYPES = ['varint', '64-bit', 'length-delimited', 'group', 'end of group', '32-bit']

/** Reads one message at a time; decoding is synchronous, so one reader serves all. */
class Reader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #entries = 0
  /** The last varint, as two unsigned halves. */
  #low = 0
  #high = 0
  readonly #path: (string | number)[] = []

  decode(table: MessageTable, bytes: Buffer): Decoded<Fields> {
    this.#bytes = bytes
    this.#at = 0
    this.#entries = 0
    const message = emptyOf(table)
    try {
      this.#fill(message, table, bytes.length)
      return { ok: true, message }
    } catch (error) {
      if (!(error instanceof Stop)) throw error
      this.#path.length = 0
      return { ok: false, refusal: error.refusal, partial: message }
    } finally {
      this.#bytes = EMPTY
    }
  }

  #fill(message: Fields, table: MessageTable, stop: number): void {
    let seen = 0
    let seenOneofs = 0
    while (this.#at < stop) {
      this.#varint(stop)
      const number = this.#low >>> 3
      const wire = this.#low & 7
      const field = this.#high === 0 ? table.fields[number] : undefined
      if (field === undefined) return this.#unknown(table, number, wire)
      this.#path.push(field.name)
      if (!field.repeated) {
        if ((seen & field.bit) !== 0) this.#stop('given twice', 'at most once', 'send it once')
        const { oneof } = field
        if (oneof !== undefined) {
          if ((seenOneofs & oneof.bit) !== 0) this.#twoMembers(message, oneof.name, oneof.key)
          seenOneofs |= oneof.bit
          message[oneof.key] = field.key
        }
        message[field.key] = this.#value(field, wire, stop)
      } else if (field.map) {
        this.#entry(message[field.key] as Fields, field, wire, stop)
      } else {
        this.#element(message[field.key] as unknown[], field, wire, stop)
      }
      seen |= field.bit
      this.#path.pop()
    }
  }

  #value(field: FieldTable, wire: number, stop: number): unknown {
    switch (field.kind) {
      case 'string':
        return this.#string(this.#length(wire, stop))
      case 'bytes': {
        const end = this.#length(wire, stop)
        const bytes = this.#bytes.subarray(this.#at, end)
        this.#at = end
        return bytes
      }
      case 'message':
        return this.#message(field, this.#length(wire, stop))
      default:
        if (wire !== 0) this.#wrongWire(wire, 0)
        this.#varint(stop)
        return this.#number(field)
    }
  }

  #message(field: FieldTable, end: number): Fields {
    const table = present(field.message, `the table of ${field.name}`)
    const message = emptyOf(table)
    this.#fill(message, table, end)
    return message
  }

  /** An element of a list: numbers may also come packed, many in one. */
  #element(list: unknown[], field: FieldTable, wire: number, stop: number): void {
    const isNumber = field.kind !== 'string' && field.kind !== 'bytes' && field.kind !== 'message'
    if (!isNumber || wire !== 2) {
      this.#count(list.length)
      this.#path.push(list.length)
      list.push(this.#value(field, wire, stop))
      this.#path.pop()
      return
    }
    const end = this.#length(wire, stop)
    while (this.#at < end) {
      this.#count(list.length)
      this.#path.push(list.length)
      this.#varint(end)
      list.push(this.#number(field))
      this.#path.pop()
    }
  }

  #entry(map: Fields, field: FieldTable, wire: number, stop: number): void {
    // Counted over the message: the keys of a map are not counted anew for each.
    this.#entries += 1
    if (this.#entries > MAP_ENTRIES_MAX) {
      const bound = `at most ${MAP_ENTRIES_MAX} entries`
      this.#stop(`more than ${MAP_ENTRIES_MAX}`, bound, 'leave some out')
    }
    const { key, value } = this.#message(field, this.#length(wire, stop))
    const name = String(key)
    if (Object.hasOwn(map, name)) {
      this.#stop(`key ${quoted(name)} twice`, 'each key at most once', 'send it once')
    }
    // Not by assignment: that of `__proto__` would be lost.
    Object.defineProperty(map, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }

  #count(length: number): void {
    if (length < ELEMENTS_MAX) return
    this.#stop(`more than ${ELEMENTS_MAX}`, `at most ${ELEMENTS_MAX} elements`, 'split the call')
  }

  /** What the last varint means for a field of this kind. */
  #number(field: FieldTable): unknown {
    const low = this.#low
    const high = this.#high
    switch (field.kind) {
      case 'uint32':
        if (high === 0) return low
        return this.#stop(this.#varintText(), 'a whole number from 0 to 4294967295', IN_BOUND)
      case 'uint64':
        return high === 0 ? String(low) : this.#varintText()
      case 'int64':
        return high < 0x8000_0000 ? this.#varintText() : BigInt.asIntN(64, this.#bits()).toString()
      case 'bool':
        if (high === 0 && low < 2) return low === 1
        return this.#stop(this.#varintText(), '0 (false) or 1 (true)', IN_BOUND)
      case 'int32':
        return this.#int32()
      default: {
        const name = high === 0 ? field.values?.get(low) : undefined
        if (name !== undefined) return name
        const known = [...(field.values ?? [])].map(([code, text]) => `${text} = ${code}`)
        return this.#stop(this.#varintText(), known.join(', '), 'send one of these')
      }
    }
  }

  #int32(): number {
    const low = this.#low
    if (this.#high === 0 && low <= 0x7fff_ffff) return low
    // Negative numbers are sign-extended to 64 bits (protobuf encoding, "Signed Integers").
    if (this.#high === 0xffff_ffff && low >= 0x8000_0000) return low - TWO_TO_32
    const bound = 'a whole number from -2147483648 to 2147483647, sign-extended'
    return this.#stop(this.#varintText(), bound, IN_BOUND)
  }

  #varintText(): string {
    if (this.#high < 0x20_0000) return String(this.#high * TWO_TO_32 + this.#low)
    return String(this.#bits())
  }

  #bits(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low)
  }

  /** Where a length-delimited value ends, which lies inside what holds it. */
  #length(wire: number, stop: number): number {
    if (wire !== 2) this.#wrongWire(wire, 2)
    this.#varint(stop)
    const end = this.#at + this.#low
    if (this.#high !== 0 || end > stop) {
      const [claimed, left] = [this.#varintText(), stop - this.#at]
      this.#stop(`a length of ${claimed} bytes`, `the ${left} bytes left`, MALFORMED)
    }
    return end
  }

  #string(end: number): string {
    const bytes = this.#bytes
    const start = this.#at
    this.#at = end
    for (let i = start; i < end; i += 1) {
      if ((bytes[i] ?? 0) < 0x80) continue
      if (isUtf8(bytes.subarray(start, end))) return bytes.toString('utf8', start, end)
      this.#stop('bytes that are not UTF-8', 'UTF-8 text', 'send text as UTF-8')
    }
    return bytes.toString('latin1', start, end)
  }

  #varint(stop: number): void {
    const first = this.#at < stop ? (this.#bytes[this.#at] ?? 0) : 0x80
    if (first >= 0x80) return this.#longVarint(stop)
    this.#at += 1
    this.#low = first
    this.#high = 0
  }

  #longVarint(stop: number): void {
    let low = 0
    let high = 0
    for (let i = 0; i < VARINT_BYTES_MAX; i += 1) {
      if (this.#at >= stop) return this.#stop('a number cut short', 'whole numbers', MALFORMED)
      const byte = this.#bytes[this.#at] ?? 0
      this.#at += 1
      const bits = byte & 0x7f
      if (i < 4) low |= bits << (7 * i)
      else if (i === 4) {
        low |= bits << 28
        high |= bits >>> 4
      } else if (i < 9) high |= bits << (7 * i - 32)
      else if (bits > 1) break
      else high |= bits << 31
      if (byte >= 0x80) continue
      this.#low = low >>> 0
      this.#high = high >>> 0
      return
    }
    this.#stop('a number of more than 64 bits', 'numbers of at most 64 bits', MALFORMED)
  }

  #unknown(table: MessageTable, number: number, wire: number): never {
    const value = `unknown field ${number} (${WIRE_TYPES[wire] ?? `wire type ${wire}`})`
    const known = table.fields.flatMap((field) => (field === undefined ? [] : [field.name]))
    const names = known.length === 0 ? 'no fields' : `the fields ${known.join(', ')}`
    const remedy = 'leave it out; a newer daemon may know it'
    return this.#stop(value, `${table.name} has ${names}`, remedy)
  }

  #wrongWire(wire: number, right: number): never {
    const bound = `wire type ${right} (${WIRE_TYPES[right] ?? ''})`
    return this.#stop(`wire type ${wire} (${WIRE_TYPES[wire] ?? 'none'})`, bound, MALFORMED)
  }

  #twoMembers(message: Fields, oneof: string, key: string): never {
    const [first, second] = [String(message[key]), String(this.#path.at(-1))]
    const value = `both ${snakeCase(first)} and ${second}`
    return this.#stop(value, `one member of the oneof ${oneof}`, 'set one of them')
  }

  #stop(value: string, bound: string, remedy: string): never {
    const field = pathText(this.#path)
    throw new Stop({ code: 'INVALID_ARGUMENT', field, value, bound, remedy })
  }
}

const EMPTY = Buffer.alloc(0)
const IN_BOUND = 'send a value in bound'
const MALFORMED = 'encode the message with code generated from proto/pasid/v1'

function emptyOf(table: MessageTable): Fields {
  const message: Fields = { ...table.template }
  for (const key of table.lists) message[key] = []
  for (const key of table.maps) message[key] = {}
  return message
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** `entries[3].pasid.device`; `(message)` for the message itself. */
function pathText(path: readonly (string | number)[]): string {
  if (path.length === 0) return '(message)'
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .slice(1)
}

function depthOf(table: MessageTable, above: number): number {
  assert(above < DEPTH_MAX, `${table.name} nests at most ${DEPTH_MAX} deep`)
  const inner = table.fields.flatMap((field) => field?.message ?? [])
  return 1 + Math.max(0, ...inner.map((message) => depthOf(message, above + 1)))
}

const reader = new Reader()

/** A `requestDeserialize` for a message by its full name. */
export function strictDecoder<T>(name: string): (bytes: Buffer) => Decoded<T> {
  const table = messageTable(name)
  depthOf(table, 0)
  return (bytes) => reader.decode(table, bytes) as Decoded<T>
}
