/**
 * Descriptors as proto-loader makes them, put right: it writes type names relative and calls the
 * entry of a map `Statuses` instead of `StatusesEntry`; strict readers refuse both. Only for the
 * services of others that this daemon offers (health, reflection); ours are written by `buf`.
 */

import descriptor, {
  type IDescriptorProto,
  type IFileDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js'
import { describeFile, type DescribedFile } from './descriptors.js'

/** A file of proto-loader's that imports nothing. */
export function describeForeignFile(bytes: Uint8Array): DescribedFile {
  const type = descriptor.FileDescriptorProto
  const found: unknown = type.toObject(type.decode(bytes))
  const file = found as IFileDescriptorProto
  const scope = file.package ?? ''
  const known = new Set(describeFile(bytes).symbols)
  for (const message of file.messageType ?? []) putRight(message, `${scope}.`, known)
  for (const service of file.service ?? []) {
    for (const method of service.method ?? []) {
      method.inputType = qualified(method.inputType, `${scope}.`, known)
      method.outputType = qualified(method.outputType, `${scope}.`, known)
    }
  }
  return describeFile(type.encode(type.fromObject(file)).finish())
}

/** `scope` ends in a dot. */
function putRight(message: IDescriptorProto, scope: string, known: Set<string>): void {
  const inside = `${scope}${message.name ?? ''}.`
  const renamed = new Map<string, string>()
  for (const nested of message.nestedType ?? []) {
    putRight(nested, inside, known)
    if (nested.options?.mapEntry !== true || nested.name?.endsWith('Entry') === true) continue
    const right = `${nested.name ?? ''}Entry`
    renamed.set(`.${inside}${nested.name ?? ''}`, `.${inside}${right}`)
    nested.name = right
  }
  for (const field of message.field ?? []) {
    if (field.typeName === undefined || field.typeName === '') continue
    const name = qualified(field.typeName, inside, known)
    field.typeName = renamed.get(name) ?? name
  }
}

/** By protobuf's rule: the innermost scope that has the name. */
function qualified(name: string | undefined, scope: string, known: ReadonlySet<string>): string {
  if (name === undefined || name.startsWith('.')) return name ?? ''
  for (let at = scope; at !== ''; at = at.replace(/[^.]*\.$/, '')) {
    if (known.has(at + name)) return `.${at}${name}`
  }
  return `.${name}`
}
