/**
 * The services as a server offers them: proto-loader's definitions with strict decoding of
 * requests, and the types of their handlers, which are given a message or the refusal to answer.
 */

import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServiceDefinition,
} from '@grpc/grpc-js'
import { present } from '../core/assert.js'
import { DESCRIBED_FILES } from './descriptors.js'
import type { EmulatorLabHandlers } from './generated/pasid/v1/EmulatorLab.js'
import type { OperatorHandlers } from './generated/pasid/v1/Operator.js'
import type { PasidBrokerHandlers } from './generated/pasid/v1/PasidBroker.js'
import type { VfioUapiHandlers } from './generated/pasid/v1/VfioUapi.js'
import {
  EMULATOR_LAB,
  emulatorLabDefinition,
  OPERATOR,
  operatorDefinition,
  PASID_BROKER,
  pasidBrokerDefinition,
  VFIO_UAPI,
  vfioUapiDefinition,
} from './load.js'
import type { MethodsOf } from './messages.js'
import { strictDecoder, type Decoded } from './strict.js'

/** A handler of the generated types, given what strict decoding yields. */
type Strict<Handler> =
  Handler extends handleUnaryCall<infer Request, infer Response>
    ? handleUnaryCall<Decoded<Request>, Response>
    : never

type ControlHandler =
  PasidBrokerHandlers['Control'] extends handleBidiStreamingCall<infer Request, infer Response>
    ? handleBidiStreamingCall<Decoded<Request>, Response>
    : never

export type StrictPasidBroker = {
  [Name in Exclude<MethodsOf<PasidBrokerHandlers>, 'Control'>]: Strict<PasidBrokerHandlers[Name]>
} & { Control: ControlHandler }

type StrictStream<Handler> =
  Handler extends handleServerStreamingCall<infer Request, infer Response>
    ? handleServerStreamingCall<Decoded<Request>, Response>
    : never

export type StrictOperator = {
  [Name in Exclude<MethodsOf<OperatorHandlers>, 'Watch'>]: Strict<OperatorHandlers[Name]>
} & { Watch: StrictStream<OperatorHandlers['Watch']> }

type LabCall = Exclude<MethodsOf<EmulatorLabHandlers>, 'WatchFaults'>

export type StrictEmulatorLab = {
  [Name in LabCall]: Strict<EmulatorLabHandlers[Name]>
} & { WatchFaults: StrictStream<EmulatorLabHandlers['WatchFaults']> }

export type StrictVfioUapi = {
  [Name in MethodsOf<VfioUapiHandlers>]: Strict<VfioUapiHandlers[Name]>
}

/** Full names of the request messages of a service, by method. */
function requestTypes(service: string): Map<string, string> {
  for (const { file } of DESCRIBED_FILES) {
    for (const { name, method } of file.service ?? []) {
      if (`${file.package ?? ''}.${name ?? ''}` !== service) continue
      const types = (method ?? []).map((one) => [one.name ?? '', one.inputType ?? ''] as const)
      return new Map(types.map(([key, type]) => [key, type.slice(1)]))
    }
  }
  return new Map()
}

function strict(name: string, definition: ServiceDefinition): ServiceDefinition {
  const types = requestTypes(name)
  const entries = Object.entries(definition).map(([method, one]) => {
    const type = present(types.get(method), `request type of ${name}.${method}`)
    return [method, { ...one, requestDeserialize: strictDecoder(type) }] as const
  })
  return Object.fromEntries(entries)
}

export const strictPasidBroker = strict(PASID_BROKER, pasidBrokerDefinition)
export const strictOperator = strict(OPERATOR, operatorDefinition)
export const strictEmulatorLab = strict(EMULATOR_LAB, emulatorLabDefinition)
export const strictVfioUapi = strict(VFIO_UAPI, vfioUapiDefinition)
