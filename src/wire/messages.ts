/** Requests and responses by method, as the generated definitions have them, under short names. */

import type { MethodDefinition } from '@grpc/proto-loader'
import type { EmulatorLabDefinition } from './generated/pasid/v1/EmulatorLab.js'
import type { OperatorDefinition } from './generated/pasid/v1/Operator.js'
import type { PasidBrokerDefinition } from './generated/pasid/v1/PasidBroker.js'
import type { VfioUapiDefinition } from './generated/pasid/v1/VfioUapi.js'

/** A decoded request: all fields are there. */
type RequestOf<Method> =
  Method extends MethodDefinition<infer _Request, infer _Response, infer Decoded, infer _Answer>
    ? Decoded
    : never

/** A response to be encoded: fields may be left out. */
type ResponseOf<Method> =
  Method extends MethodDefinition<infer _Request, infer Response, infer _Decoded, infer _Answer>
    ? Response
    : never

/** Methods of a service, without the index signature that grpc-js adds. */
export type MethodsOf<Service> = keyof {
  [Name in keyof Service as string extends Name ? never : Name]: true
}

export type VmmMethod = MethodsOf<PasidBrokerDefinition>
export type VmmRequest<Name extends VmmMethod> = RequestOf<PasidBrokerDefinition[Name]>
export type VmmResponse<Name extends VmmMethod> = ResponseOf<PasidBrokerDefinition[Name]>

export type OperatorMethod = MethodsOf<OperatorDefinition>
export type OperatorRequest<Name extends OperatorMethod> = RequestOf<OperatorDefinition[Name]>
export type OperatorResponse<Name extends OperatorMethod> = ResponseOf<OperatorDefinition[Name]>

export type LabMethod = MethodsOf<EmulatorLabDefinition>
export type LabRequest<Name extends LabMethod> = RequestOf<EmulatorLabDefinition[Name]>
export type LabResponse<Name extends LabMethod> = ResponseOf<EmulatorLabDefinition[Name]>

export type UapiMethod = MethodsOf<VfioUapiDefinition>
export type UapiRequest<Name extends UapiMethod> = RequestOf<VfioUapiDefinition[Name]>
export type UapiResponse<Name extends UapiMethod> = ResponseOf<VfioUapiDefinition[Name]>
