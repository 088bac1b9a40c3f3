/**
 * Server reflection: its two protocols (v1, v1alpha) and the answers to its questions, over the
 * descriptors that `buf` wrote. @grpc/reflection lends only the .proto files: the descriptors that
 * its service answers with lose their imports.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader'
import { DESCRIBED_FILES, type DescribedFile } from './descriptors.js'
import { describeForeignFile } from './foreign-descriptors.js'
import { LOADER_OPTIONS } from './load.js'
import { quoted } from './quote.js'

export interface ReflectionRequest {
  readonly messageRequest?: string
  readonly fileByFilename?: string
  readonly fileContainingSymbol?: string
}

/** A service definition of proto-loader's, whatever type it goes by. */
export type ReflectedService = Readonly<
  Record<
    string,
    {
      readonly path: string
      readonly requestType?: { readonly fileDescriptorProtos: readonly Uint8Array[] }
    }
  >
>

const VERSIONS = ['v1', 'v1alpha'] as const

function loadServices(): readonly ServiceDefinition[] {
  const installed = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'))
  const folder = join(installed, 'build', 'proto')
  return VERSIONS.map((version) => {
    const path = `grpc/reflection/${version}/reflection.proto`
    const loaded = loadSync(path, { ...LOADER_OPTIONS, includeDirs: [folder] })
    return loaded[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition
  })
}

export const reflectionDefinitions = loadServices()

/** Names like `pasid.v1.Operator`, from `/pasid.v1.Operator/Check`. */
function serviceNames(services: readonly ReflectedService[]): string[] {
  const names = services.flatMap((service) => {
    return Object.values(service).map(({ path }) => path.split('/')[1] ?? '')
  })
  return [...new Set(names)].sort()
}

/** Each once: proto-loader hangs the same files on every method of what it loaded together. */
function filesOf(services: readonly ReflectedService[]): ReadonlySet<Uint8Array> {
  const methods = services.flatMap((service) => Object.values(service))
  return new Set(methods.flatMap(({ requestType }) => requestType?.fileDescriptorProtos ?? []))
}

export class Reflection {
  readonly #services: readonly string[]
  readonly #byName = new Map<string, DescribedFile>()
  readonly #bySymbol = new Map<string, DescribedFile>()

  /** `services`: all that the server offers, these two included. */
  constructor(services: readonly ReflectedService[]) {
    this.#services = serviceNames(services)
    for (const file of DESCRIBED_FILES) this.#add(file)
    for (const bytes of filesOf(services)) this.#add(describeForeignFile(bytes))
  }

  /** The first description of a symbol counts: `buf`'s is added before proto-loader's. */
  #add(file: DescribedFile): void {
    if (file.symbols.some((symbol) => this.#bySymbol.has(symbol))) return
    this.#byName.set(file.name, file)
    for (const symbol of file.symbols) this.#bySymbol.set(symbol, file)
  }

  answer(request: ReflectionRequest): object {
    return { validHost: '', originalRequest: request, ...this.#answer(request) }
  }

  #answer(request: ReflectionRequest): object {
    switch (request.messageRequest) {
      case 'listServices': {
        const service = this.#services.map((name) => ({ name }))
        return { listServicesResponse: { service } }
      }
      case 'fileByFilename':
        return this.#files(this.#byName, request.fileByFilename ?? '')
      case 'fileContainingSymbol':
        return this.#files(this.#bySymbol, request.fileContainingSymbol ?? '')
      default:
        return error(status.UNIMPLEMENTED, 'only services, files and symbols can be asked for')
    }
  }

  /** The file asked for and all that it imports, so that one question is enough. */
  #files(index: ReadonlyMap<string, DescribedFile>, name: string): object {
    const found = index.get(name)
    if (found === undefined) return error(status.NOT_FOUND, `${quoted(name)} is not known here`)
    const files = new Set<DescribedFile>([found])
    for (const file of files) {
      for (const dependency of file.dependencies) {
        const imported = this.#byName.get(dependency)
        if (imported !== undefined) files.add(imported)
      }
    }
    const fileDescriptorProto = [...files].map(({ bytes }) => bytes)
    return { fileDescriptorResponse: { fileDescriptorProto } }
  }
}

function error(errorCode: status, errorMessage: string): object {
  return { errorResponse: { errorCode, errorMessage } }
}
