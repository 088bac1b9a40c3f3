/**
 * The verbs that name a session, of all that a VMM's socket serves, and which RPCs have their
 * attacks elsewhere. Held against the service definitions at run time (`missingVerbs`): an RPC that
 * is new in the proto is in the matrix, or the matrix fails.
 */
import {
  emulatorLabDefinition,
  operatorDefinition,
  pasidBrokerDefinition,
  vfioUapiDefinition,
} from '../../src/wire/load.js'
import type { Things } from './adversary-world.js'
import { REQUEST } from './vfio-layouts.js'

export const SHARED = 'devices/shared0'
export const FIRST_STAGE = { address: '4096', addressWidth: 48 }
export const CACHES = ['INVALIDATION_CACHE_IOTLB']

/** One entry of IOMMU_HWPT_INVALIDATE: all addresses. */
export const VTD_S1 = { entryLen: 24, entryNum: 1, entries: s1Entry().toString('base64') }

function s1Entry(): Buffer {
  const entry = Buffer.alloc(24)
  // npages = 2^64 - 1: everything.
  entry.fill(0xff, 8, 16)
  return entry
}

/** Every verb that names a session, with what would be an honest call of its owner. */
export const VERBS = [
  { verb: 'GetSession', field: 'name', of: () => ({}) },
  { verb: 'CloseSession', field: 'name', of: () => ({}) },
  { verb: 'ResumeSession', field: 'name', of: () => ({}) },
  { verb: 'AllocatePasids', field: 'session', of: () => ({ one: {} }) },
  {
    verb: 'FreePasids',
    field: 'session',
    of: ({ pasid }: Things) => ({ pasids: { pasids: [pasid] } }),
  },
  { verb: 'ListPasids', field: 'session', of: () => ({}) },
  { verb: 'AttachDevice', field: 'session', of: () => ({ device: SHARED }) },
  { verb: 'DetachDevice', field: 'session', of: ({ nic }: Things) => ({ device: nic }) },
  {
    verb: 'BindPasid',
    field: 'session',
    of: ({ pasid }: Things) => {
      return { pasid, devices: [SHARED], firstStage: FIRST_STAGE, replace: true }
    },
  },
  { verb: 'UnbindPasids', field: 'session', of: () => ({ all: {} }) },
  {
    verb: 'Invalidate',
    field: 'session',
    of: ({ pasid }: Things) => ({ entries: [{ pasid: { pasid }, caches: CACHES }] }),
  },
  {
    verb: 'InvalidateRaw',
    field: 'session',
    of: ({ pasid }: Things) => ({ vtdS1: { pasid, device: SHARED, ...VTD_S1 } }),
  },
  {
    verb: 'MapGuestMemory',
    field: 'session',
    of: ({ guestAddress }: Things) => {
      return { token: 'ab'.repeat(32), guestAddress: String(guestAddress), size: '4096' }
    },
  },
  { verb: 'UnmapGuestMemory', field: 'session', of: () => ({}) },
  {
    verb: 'RespondPageRequest',
    field: 'session',
    of: () => ({ token: 'AAAA', code: 'PAGE_RESPONSE_CODE_SUCCESS' }),
  },
  { verb: 'Ioctl', field: 'session', of: () => ({ request: REQUEST.GET_API_VERSION }) },
  { verb: 'CloseContainer', field: 'session', of: () => ({}) },
] as const

export type Verb = (typeof VERBS)[number]['verb']

/** What has no session to name, and the test that attacks it instead. */
const WITHOUT_SESSION: Readonly<Record<string, string>> = {
  GetServerInfo: 'tells who calls: identity.test.ts, inherited.test.ts',
  OpenSession: 'request ids and owner tokens: secrets.test.ts',
  OpenContainer: 'another’s device: matrix.test.ts',
  Control: 'a stream: matrix.test.ts opens it for every credential',
}

/** Services by what is served where. */
export const OF_VMMS = { PasidBroker: pasidBrokerDefinition, VfioUapi: vfioUapiDefinition }
export const OF_OPERATORS = { Operator: operatorDefinition, EmulatorLab: emulatorLabDefinition }

/** `PasidBroker/GetSession` and so on, of the proto itself. */
export function methodsOf(services: Readonly<Record<string, object>>): string[] {
  return Object.entries(services).flatMap(([service, definition]) => {
    return Object.keys(definition).map((name) => `${service}/${name}`)
  })
}

/** `PasidBroker/GetSession`. */
export function methodOf(verb: string): string {
  const service = Object.hasOwn(vfioUapiDefinition, verb) ? 'VfioUapi' : 'PasidBroker'
  return `${service}/${verb}`
}

/** RPCs of a VMM's socket that nothing here attacks, and rows here that are no RPC. */
export function missingVerbs(): string[] {
  const known = [...VERBS.map(({ verb }) => verb), ...Object.keys(WITHOUT_SESSION)].map(methodOf)
  const served = methodsOf(OF_VMMS)
  const lacking = served.filter((method) => !known.includes(method))
  return [...lacking, ...known.filter((method) => !served.includes(method))]
}

/** The commands of ControlRequest, as it has them: `allocatePasids`. */
const COMMANDS = commands()

function commands(): ReadonlySet<string> {
  const { type } = pasidBrokerDefinition.Control.requestType
  const { field } = type as { readonly field: readonly { readonly name: string }[] }
  const camel = (name: string) => name.replace(/_[a-z]/g, ([, letter = '']) => letter.toUpperCase())
  return new Set(field.map(({ name }) => camel(name)))
}

/** `allocatePasids` as ControlRequest has it; undefined: the verb is none of a stream's. */
export function commandOf(verb: string): string | undefined {
  const command = verb.charAt(0).toLowerCase() + verb.slice(1)
  return COMMANDS.has(command) ? command : undefined
}
