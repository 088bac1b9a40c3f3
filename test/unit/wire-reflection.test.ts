/** Reflection: what it lists, and that one question brings all that the answer needs. */
import descriptor from 'protobufjs/ext/descriptor/index.js'
import { service as health } from 'grpc-health-check'
import { describe, expect, test } from 'vitest'
import { describeFile } from '../../src/wire/descriptors.js'
import { Reflection, reflectionDefinitions } from '../../src/wire/reflection.js'
import { strictOperator } from '../../src/wire/services.js'

const reflection = new Reflection([strictOperator, health, ...reflectionDefinitions])

function filesOf(symbol: string): ReturnType<typeof describeFile>[] {
  const answer = reflection.answer({
    messageRequest: 'fileContainingSymbol',
    fileContainingSymbol: symbol,
  }) as { fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] } }
  return (answer.fileDescriptorResponse?.fileDescriptorProto ?? []).map(describeFile)
}

test('lists the services that were given, each once', () => {
  const answer = reflection.answer({ messageRequest: 'listServices' })
  const names = [
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'pasid.v1.Operator',
  ]
  expect(answer).toMatchObject({
    listServicesResponse: { service: names.map((name) => ({ name })) },
  })
})

describe.each(['pasid.v1.Operator', 'pasid.v1.Operator.Check', 'grpc.health.v1.Health'])(
  '%s',
  (symbol) => {
    test('comes with all that it imports, by full names', () => {
      const files = filesOf(symbol)
      expect(files[0]?.symbols).toContain(symbol)
      const names = new Set(files.map(({ name }) => name))
      const symbols = new Set(files.flatMap((file) => file.symbols))
      for (const { dependencies, file } of files) {
        for (const dependency of dependencies) expect(names).toContain(dependency)
        for (const one of file.service ?? []) {
          for (const { inputType } of one.method ?? []) {
            expect(symbols).toContain((inputType ?? '').slice(1))
          }
        }
        for (const { field } of file.messageType ?? []) {
          for (const { typeName } of field ?? []) {
            if (typeName !== undefined) expect(symbols).toContain(typeName.slice(1))
          }
        }
      }
    })
  },
)

test('a map keeps its entry', () => {
  const [file] = filesOf('grpc.health.v1.HealthListResponse')
  expect(file?.symbols).toContain('grpc.health.v1.HealthListResponse.StatusesEntry')
  expect(descriptor.FileDescriptorProto.verify(file?.file ?? {})).toBeNull()
})

test.each([
  [{ messageRequest: 'fileContainingSymbol', fileContainingSymbol: 'no.Such' }, 5],
  [{ messageRequest: 'fileByFilename', fileByFilename: '../../etc/passwd' }, 5],
  [{ messageRequest: 'allExtensionNumbersOfType' }, 12],
  [{}, 12],
])('%j is an error', (request, errorCode) => {
  expect(reflection.answer(request)).toMatchObject({ errorResponse: { errorCode } })
})
