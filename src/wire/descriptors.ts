/**
 * The descriptors of proto/ as records: what reflection serves and what strict decoding walks by.
 * Decoded once from the set that `buf` wrote, because proto-loader's own descriptors lose whether
 * a field is in a oneof.
 */

import descriptor, {
  type IDescriptorProto,
  type IEnumDescriptorProto,
  type IFileDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js'
import { FILE_DESCRIPTOR_SET_BASE64 } from './generated/descriptors.js'

export interface DescribedFile {
  readonly name: string
  readonly dependencies: readonly string[]
  /** Full names of everything the file defines: messages, enums, services, methods. */
  readonly symbols: readonly string[]
  /** A serialised google.protobuf.FileDescriptorProto. */
  readonly bytes: Uint8Array
  readonly file: IFileDescriptorProto
}

export function describeFile(bytes: Uint8Array): DescribedFile {
  const type = descriptor.FileDescriptorProto
  const file: unknown = type.toObject(type.decode(bytes))
  return described(file as IFileDescriptorProto, bytes)
}

function described(file: IFileDescriptorProto, bytes: Uint8Array): DescribedFile {
  const scope = file.package ?? ''
  const symbols = [...messagesOf(file).keys(), ...enumsOf(file).keys()]
  for (const service of file.service ?? []) {
    const name = join(scope, service.name)
    symbols.push(name)
    for (const method of service.method ?? []) symbols.push(join(name, method.name))
  }
  return {
    name: file.name ?? '',
    dependencies: (file.dependency ?? []) as readonly string[],
    symbols,
    bytes,
    file,
  }
}

function join(scope: string, name: string | undefined): string {
  return scope === '' ? (name ?? '') : `${scope}.${name ?? ''}`
}

/** Messages of a file by full name, nested ones included. */
export function messagesOf(file: IFileDescriptorProto): Map<string, IDescriptorProto> {
  const found = new Map<string, IDescriptorProto>()
  const add = (scope: string, messages: readonly IDescriptorProto[] | undefined): void => {
    for (const message of messages ?? []) {
      const name = join(scope, message.name)
      found.set(name, message)
      add(name, message.nestedType)
    }
  }
  add(file.package ?? '', file.messageType)
  return found
}

/** Enums of a file by full name, nested ones included. */
export function enumsOf(file: IFileDescriptorProto): Map<string, IEnumDescriptorProto> {
  const found = new Map<string, IEnumDescriptorProto>()
  for (const one of file.enumType ?? []) found.set(join(file.package ?? '', one.name), one)
  for (const [scope, message] of messagesOf(file)) {
    for (const one of message.enumType ?? []) found.set(join(scope, one.name), one)
  }
  return found
}

function decodeSet(): readonly DescribedFile[] {
  const bytes = Buffer.from(FILE_DESCRIPTOR_SET_BASE64, 'base64')
  const set = descriptor.FileDescriptorSet.decode(bytes) as unknown as {
    readonly file: readonly Parameters<typeof descriptor.FileDescriptorProto.encode>[0][]
  }
  return set.file.map((file) => {
    return describeFile(descriptor.FileDescriptorProto.encode(file).finish())
  })
}

/** All files of proto/ and what they import. */
export const DESCRIBED_FILES: readonly DescribedFile[] = decodeSet()
