/**
 * Loads proto/: the service definitions that servers and clients of this package are made of. The
 * options here are the ones that src/wire/generated/ was generated with; the types rely on them.
 */

import { fileURLToPath } from 'node:url'
import { loadSync, type Options } from '@grpc/proto-loader'
import type { EmulatorLabDefinition } from './generated/pasid/v1/EmulatorLab.js'
import type { OperatorDefinition } from './generated/pasid/v1/Operator.js'
import type { PasidBrokerDefinition } from './generated/pasid/v1/PasidBroker.js'
import type { VfioUapiDefinition } from './generated/pasid/v1/VfioUapi.js'

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
export const EMULATOR_LAB = 'pasid.v1.EmulatorLab'
export const VFIO_UAPI = 'pasid.v1.VfioUapi'

const FILES = ['pasid_broker', 'operator', 'emulator_lab', 'vfio_uapi']

const files = FILES.map((name) => `pasid/v1/${name}.proto`)
const loaded = loadSync(files, {
  ...LOADER_OPTIONS,
  includeDirs: [PROTO_FOLDER],
})

export const pasidBrokerDefinition = loaded[PASID_BROKER] as unknown as PasidBrokerDefinition
export const operatorDefinition = loaded[OPERATOR] as unknown as OperatorDefinition
export const emulatorLabDefinition = loaded[EMULATOR_LAB] as unknown as EmulatorLabDefinition
export const vfioUapiDefinition = loaded[VFIO_UAPI] as unknown as VfioUapiDefinition
