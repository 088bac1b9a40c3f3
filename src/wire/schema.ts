/**
 * Tables that strict decoding walks by: one per message, made from the descriptors at load. Only
 * the kinds of field that requests of this API use are known; a new kind is a bug found at load.
 */

import type { IDescriptorProto, IFieldDescriptorProto } from 'protobufjs/ext/descriptor/index.js'
import { assert, present } from '../core/assert.js'
import { DESCRIBED_FILES, enumsOf, messagesOf } from './descriptors.js'

export type Kind =
  | 'uint32'
  | 'int32'
  | 'uint64'
  | 'int64'
  | 'bool'
  | 'enum'
  | 'string'
  | 'bytes'
  | 'message'

export interface FieldTable {
  /** As in the .proto file. */
  readonly name: string
  /** As in decoded objects: lowerCamel. */
  readonly key: string
  readonly number: number
  readonly kind: Kind
  readonly repeated: boolean
  /** A map; `message` is then its entry. */
  readonly map: boolean
  /** For the set of fields seen. */
  readonly bit: number
  readonly oneof: OneofTable | undefined
  /** Filled once all tables exist. */
  message: MessageTable | undefined
  readonly values: ReadonlyMap<number, string> | undefined
}

export interface OneofTable {
  readonly name: string
  readonly key: string
  readonly bit: number
}

export interface MessageTable {
  readonly name: string
  /** By field number. */
  readonly fields: readonly (FieldTable | undefined)[]
  /**
   * What an empty message decodes to, but for lists and maps, which each message has its own of.
   * Members of oneofs are there as undefined; proto-loader leaves them out.
   */
  readonly template: Readonly<Record<string, unknown>>
  readonly lists: readonly string[]
  readonly maps: readonly string[]
}

/** Fields seen are bits of one 32-bit number. */
const FIELD_NUMBER_MAX = 30

/** FieldDescriptorProto.Type. */
const KINDS: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [13, 'uint32'],
  [5, 'int32'],
  [4, 'uint64'],
  [3, 'int64'],
  [8, 'bool'],
  [14, 'enum'],
  [9, 'string'],
  [12, 'bytes'],
  [11, 'message'],
])
const LABEL_REPEATED = 3

function camelCase(name: string): string {
  return name.replace(/(?!^)_([a-z])/g, (_all, letter: string) => letter.toUpperCase())
}

class Compiler {
  readonly #messages = new Map<string, IDescriptorProto>()
  readonly #enums = new Map<string, ReadonlyMap<number, string>>()
  readonly #tables = new Map<string, MessageTable>()

  constructor() {
    for (const { file } of DESCRIBED_FILES) {
      for (const [name, message] of messagesOf(file)) this.#messages.set(name, message)
      for (const [name, { value }] of enumsOf(file)) {
        const names = (value ?? []).map((one) => [one.number ?? 0, one.name ?? ''] as const)
        this.#enums.set(name, new Map(names))
      }
    }
  }

  table(name: string): MessageTable {
    const known = this.#tables.get(name)
    if (known !== undefined) return known
    const message = present(this.#messages.get(name), `message ${name}`)
    const oneofs = (message.oneofDecl ?? []).map((oneof, index): OneofTable => {
      return { name: oneof.name ?? '', key: camelCase(oneof.name ?? ''), bit: 1 << index }
    })
    const fields: (FieldTable | undefined)[] = []
    for (const field of message.field ?? []) {
      const table = this.#field(name, field, oneofs)
      fields[table.number] = table
    }
    const template: Record<string, unknown> = {}
    const singular = fields.filter((field) => field !== undefined)
    const table: MessageTable = {
      name,
      fields,
      template,
      lists: singular.filter((field) => field.repeated && !field.map).map(({ key }) => key),
      maps: singular.filter((field) => field.map).map(({ key }) => key),
    }
    this.#tables.set(name, table)
    for (const field of message.field ?? []) {
      const found = fields[field.number ?? 0]
      if (found?.kind === 'message') found.message = this.table((field.typeName ?? '').slice(1))
      if (found === undefined) continue
      // All keys are there from the start, so that all messages of a type have one shape: adding
      // keys later costs several times the decoding.
      const plain = found.oneof === undefined && !found.repeated
      template[found.key] = plain ? defaultOf(found) : undefined
    }
    for (const { key } of oneofs) template[key] = undefined
    return table
  }

  #field(owner: string, field: IFieldDescriptorProto, oneofs: readonly OneofTable[]): FieldTable {
    const name = field.name ?? ''
    const number = field.number ?? 0
    assert(number >= 1 && number <= FIELD_NUMBER_MAX, `${owner}.${name} = ${number}`)
    const typeName = (field.typeName ?? '').slice(1)
    const kind = present(KINDS.get(Number(field.type)), `a kind for ${owner}.${name}`)
    return {
      name,
      key: camelCase(name),
      number,
      kind,
      repeated: Number(field.label) === LABEL_REPEATED,
      map: this.#messages.get(typeName)?.options?.mapEntry === true,
      bit: 1 << number,
      oneof: field.oneofIndex === undefined ? undefined : oneofs[field.oneofIndex],
      message: undefined,
      values: kind === 'enum' ? present(this.#enums.get(typeName), `enum ${typeName}`) : undefined,
    }
  }
}

function defaultOf(field: FieldTable): unknown {
  switch (field.kind) {
    case 'uint32':
    case 'int32':
      return 0
    case 'uint64':
    case 'int64':
      return '0'
    case 'bool':
      return false
    case 'enum':
      return field.values?.get(0)
    case 'string':
      return ''
    case 'bytes':
      return Buffer.alloc(0)
    case 'message':
      return null
  }
}

const compiler = new Compiler()

/** The table of a message by its full name; made at the first call. */
export function messageTable(name: string): MessageTable {
  return compiler.table(name)
}
