/**
 * Strict decoding. Goal: whatever an honest encoder writes is taken and means the same; whatever it
 * would not write is refused with the field, or means the same; nothing is ever thrown.
 * Method: random messages made from the descriptors, and random damage, against proto-loader.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MethodDefinition } from '@grpc/proto-loader'
import { operatorDefinition, pasidBrokerDefinition } from '../../src/wire/load.js'
import { messageTable, type FieldTable } from '../../src/wire/schema.js'
import { strictDecoder } from '../../src/wire/strict.js'
import { packet } from '../support/service-rig.js'

type Definition = MethodDefinition<object, object>
const DEFINITIONS = { ...pasidBrokerDefinition, ...operatorDefinition }
const METHODS = (Object.values(DEFINITIONS) as unknown as Definition[]).map((definition) => {
  const { requestType, path } = definition
  const { name } = requestType.type as { name: string }
  return { name: `pasid.v1.${name}`, path, definition }
})
const TYPES = [...new Map(METHODS.map((method) => [method.name, method])).values()]

function valueOf(field: FieldTable): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case 'uint32':
      return fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 }))
    case 'int32':
      return fc.oneof(fc.integer({ min: -3, max: 300 }), fc.integer())
    case 'uint64':
      return fc.oneof(fc.nat(300), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })).map(String)
    case 'bool':
      return fc.boolean()
    case 'enum':
      return fc.constantFrom(...(field.values?.values() ?? []))
    case 'string':
      return fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'grapheme', maxLength: 9 }))
    case 'int64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
    case 'bytes':
      return fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes))
    case 'message':
      return messageOf(field.message?.name ?? '')
  }
}

function fieldOf(field: FieldTable): fc.Arbitrary<unknown> {
  const values = field.message?.fields[2]
  if (field.map && values !== undefined) {
    return fc.dictionary(fc.string({ maxLength: 6 }), valueOf(values), { maxKeys: 4 })
  }
  return field.repeated ? fc.array(valueOf(field), { maxLength: 5 }) : valueOf(field)
}

/** A message with any of its fields set, and of each oneof at most one member. */
function messageOf(name: string): fc.Arbitrary<Record<string, unknown>> {
  const fields = messageTable(name).fields.filter((field) => field !== undefined)
  const parts = fields.map((field) => fc.option(fieldOf(field), { nil: undefined }))
  return fc.tuple(...parts).map((values) => {
    const message: Record<string, unknown> = {}
    const taken = new Set<string>()
    for (const [i, field] of fields.entries()) {
      if (values[i] === undefined || (field.oneof && taken.has(field.oneof.name))) continue
      if (field.oneof) taken.add(field.oneof.name)
      message[field.key] = values[i]
    }
    return message
  })
}

/** Bytes equal however they are held; undefined is absent. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, part: unknown) => {
      return part instanceof Uint8Array ? [...part] : part
    }),
  )
}

describe.each(TYPES)('$name', ({ name, definition }) => {
  const decode = strictDecoder<object>(name)

  test('takes what the usual encoder writes, and reads the same', () => {
    const property = fc.property(messageOf(name), (message) => {
      const bytes = definition.requestSerialize(message)
      const decoded = decode(bytes)
      if (!decoded.ok) throw new Error(JSON.stringify(decoded.refusal))
      expect(plain(decoded.message)).toEqual(plain(definition.requestDeserialize(bytes)))
    })
    fc.assert(property, { numRuns: 100, seed: 42 })
  })

  test('damaged bytes are refused with a reason, or mean what they meant to others', () => {
    const damage = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 3 })
    const property = fc.property(messageOf(name), damage, (message, places) => {
      const bytes = Buffer.from(definition.requestSerialize(message))
      for (const [place, value] of places) {
        if (bytes.length > 0) bytes[place % bytes.length] = value
      }
      const decoded = decode(bytes)
      if (decoded.ok) {
        expect(plain(decoded.message)).toEqual(plain(definition.requestDeserialize(bytes)))
      } else {
        const { refusal } = decoded
        if (refusal.code !== 'INVALID_ARGUMENT') throw new Error(refusal.code)
        for (const part of [refusal.field, refusal.value, refusal.bound, refusal.remedy]) {
          expect(part).not.toBe('')
        }
      }
    })
    fc.assert(property, { numRuns: 100, seed: 42 })
  })

  test('every cut of a message is refused or shorter, and none throws', () => {
    const property = fc.property(messageOf(name), fc.nat(), (message, at) => {
      const bytes = definition.requestSerialize(message)
      decode(bytes.subarray(0, at % (bytes.length + 1)))
    })
    fc.assert(property, { numRuns: 50, seed: 42 })
  })
})

describe('by hand', () => {
  const decode = strictDecoder<Record<string, unknown>>('pasid.v1.AllocatePasidsRequest')
  const refusalOf = (...parts: Buffer[]) => {
    const decoded = decode(Buffer.concat(parts))
    if (decoded.ok || decoded.refusal.code !== 'INVALID_ARGUMENT') throw new Error('taken')
    return decoded.refusal
  }
  const messageIn = (...parts: Buffer[]) => {
    const decoded = decode(Buffer.concat(parts))
    if (!decoded.ok) throw new Error(JSON.stringify(decoded.refusal))
    return decoded.message
  }

  test('numbers of a list may come packed, one by one, or both', () => {
    const packed = packet.bytes(1, Buffer.from([1, 2]))
    const both = Buffer.concat([packed, packet.varint(1, 3)])
    const { exact } = messageIn(packet.bytes(7, both))
    expect(exact).toEqual({ pasids: [1, 2, 3] })
  })

  test('a list of 4096 is taken, of one more not', () => {
    const list = (count: number) => packet.bytes(7, packet.bytes(1, Buffer.alloc(count, 1)))
    expect(messageIn(list(4096))['exact']).toEqual({ pasids: Buffer.alloc(4096, 1).toJSON().data })
    expect(refusalOf(list(4097))).toMatchObject({ field: 'exact.pasids', value: 'more than 4096' })
  })

  test('an optional 0 is there, an absent one is not', () => {
    expect(messageIn(packet.varint(8, 0))).toMatchObject({ min: 0, _min: 'min' })
    expect(messageIn()['min']).toBeUndefined()
  })

  test('numbers with more bytes than they need are taken', () => {
    expect(messageIn(Buffer.from([0x40, 0x81, 0x80, 0x00]))['min']).toBe(1)
  })

  test.each([
    ['eleven bytes', [...Array<number>(10).fill(0x80), 0x01]],
    ['more than 64 bits', [...Array<number>(9).fill(0xff), 0x02]],
  ])('a number of %s is refused', (_name, bytes) => {
    const refusal = refusalOf(Buffer.from([0x40, ...bytes]))
    expect(refusal).toMatchObject({ field: 'min', value: 'a number of more than 64 bits' })
  })

  test('a length beyond the message, or beyond what holds the field, is refused', () => {
    expect(refusalOf(Buffer.from([0x0a, 5, 65])).value).toBe('a length of 5 bytes')
    const inner = packet.bytes(7, Buffer.from([0x0a, 9]))
    expect(refusalOf(inner, packet.bytes(1, 'sessions/x')).field).toBe('exact.pasids')
  })

  test('a length of 2^63 is refused, not taken for a negative one', () => {
    const refusal = refusalOf(Buffer.from([0x0a]), packet.varint(0, 2n ** 63n).subarray(1))
    expect(refusal.value).toBe('a length of 9223372036854775808 bytes')
  })

  test('groups and 32-bit fields are refused', () => {
    expect(refusalOf(Buffer.from([0x43])).value).toBe('wire type 3 (group)')
    expect(refusalOf(Buffer.from([0x45, 0, 0, 0, 0])).value).toBe('wire type 5 (32-bit)')
  })

  test('a field number that is too large is unknown', () => {
    expect(refusalOf(packet.varint(2 ** 29 - 1, 1)).value).toMatch(/^unknown field/)
    expect(refusalOf(packet.varint((2n ** 32n) as unknown as number, 1)).value).toMatch(/^unknown/)
  })

  test.each([
    ['a lone continuation byte', [0x80]],
    ['an overlong NUL', [0xc0, 0x80]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['a cut character', [0x61, 0xe2, 0x82]],
  ])('text that is not UTF-8 is refused: %s', (_name, bytes) => {
    expect(refusalOf(packet.bytes(2, Buffer.from(bytes))).field).toBe('request_id')
  })

  test('a label called __proto__ is a label', () => {
    const entry = Buffer.concat([packet.bytes(1, '__proto__'), packet.bytes(2, 'x')])
    const labels = messageIn(packet.bytes(11, entry))['labels'] as object
    expect(Object.entries(labels)).toEqual([['__proto__', 'x']])
    expect(Object.getPrototypeOf(labels)).toBe(Object.prototype)
  })

  test('what was read before the bad part is kept as a hint', () => {
    const control = strictDecoder<{ id: string }>('pasid.v1.ControlRequest')
    const decoded = control(Buffer.concat([packet.varint(1, 77), packet.varint(29, 1)]))
    expect(decoded).toMatchObject({ ok: false, partial: { id: '77' } })
  })

  test('one message leaves nothing in the next', () => {
    refusalOf(packet.bytes(7, packet.varint(9, 1)))
    expect(refusalOf(packet.varint(29, 1)).field).toBe('(message)')
    expect(messageIn(packet.bytes(10, 'devices/a'))['devices']).toEqual(['devices/a'])
    expect(messageIn()['devices']).toEqual([])
  })
})
