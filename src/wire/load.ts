/**
 * Loads proto/: the service definitions that servers and clients of this package are made of. The
 * options here are the ones that src/wire/generated/ was generated with; the types rely on them.
 */

import { fileURLToPath } from 'node:url'
import { loadSync, type Options } from '@grpc/proto-loader'
import type { OperatorDefinition } from './generated/pasid/v1/Operator.js'
import type { PasidBrokerDefinition } from './generated/pasid/v1/PasidBroker.js'

/** From src/wire as from dist/wire. */
const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url))

export const LOADER_OPTIONS = {
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
} as const satisfies Options

export const PASID_BROKER = 'pasid.v1.PasidBroker'
export const OPERATOR = 'pasid.v1.Operator'

const loaded = loadSync(['pasid/v1/pasid_broker.proto', 'pasid/v1/operator.proto'], {
  ...LOADER_OPTIONS,
  includeDirs: [PROTO_FOLDER],
})

export const pasidBrokerDefinition = loaded[PASID_BROKER] as unknown as PasidBrokerDefinition
export const operatorDefinition = loaded[OPERATOR] as unknown as OperatorDefinition
