/** The table of bad input: what is wrong for every RPC alike, and what is wrong for each. */
import { BINDING_CASES } from './service-bad-bindings.js'
import {
  argument,
  type Case,
  LONG,
  type Make,
  message,
  notFound,
  PASIDS,
  raw,
  refusal,
  type World,
} from './service-bad-case.js'
import { HAND_OVER_CASES } from './service-bad-hand-over.js'
import { ALLOCATE_CASES, FREE_CASES, OPEN_CASES } from './service-bad-numbers.js'
import { ACT_CASES } from './service-bad-operators.js'
import { RAW_CASES } from './service-bad-raw.js'
import { packet, type Method } from './service-rig.js'

/** A valid request of each RPC. */
const VALID: Readonly<Record<Method, Make>> = {
  'PasidBroker/GetServerInfo': () => ({}),
  'PasidBroker/OpenSession': () => ({}),
  'PasidBroker/GetSession': ({ own }) => ({ name: own.name }),
  'PasidBroker/CloseSession': ({ own }) => ({ name: own.name }),
  'PasidBroker/AllocatePasids': ({ own }) => ({ session: own.name, one: {} }),
  'PasidBroker/FreePasids': ({ own }) => ({ session: own.name, pasids: { pasids: [301] } }),
  'PasidBroker/ListPasids': ({ own }) => ({ session: own.name }),
  'PasidBroker/AttachDevice': ({ own }) => ({ session: own.name, device: 'devices/mdev0' }),
  'PasidBroker/DetachDevice': ({ own }) => ({ session: own.name, device: 'devices/mdev0' }),
  'PasidBroker/BindPasid': ({ own }) => {
    return { session: own.name, pasid: 301, devices: ['devices/mdev0'], passThrough: {} }
  },
  'PasidBroker/UnbindPasids': ({ own }) => ({ session: own.name, all: {} }),
  'PasidBroker/Invalidate': ({ own }) => ({ session: own.name }),
  'PasidBroker/InvalidateRaw': ({ own }) => ({ session: own.name, vtdDescriptors: {} }),
  'PasidBroker/MapGuestMemory': ({ own }) => ({ session: own.name, token: 't', size: 4096 }),
  'PasidBroker/UnmapGuestMemory': ({ own }) => ({ session: own.name }),
  'PasidBroker/RespondPageRequest': ({ own }) => {
    return { session: own.name, token: Buffer.from('t'), code: 'PAGE_RESPONSE_CODE_SUCCESS' }
  },
  'Operator/ListAllocations': () => ({}),
  'Operator/GetAllocation': () => ({ pasid: 300 }),
  'Operator/ListSessions': () => ({}),
  'Operator/GetSession': ({ own }) => ({ name: own.name }),
  'Operator/ListTenants': () => ({}),
  'Operator/ListReservations': () => ({}),
  'Operator/ListDevices': () => ({}),
  'Operator/GetNamespace': () => ({}),
  'PasidBroker/ResumeSession': ({ own }) => ({ name: own.name }),
  'Operator/UpdateTenant': () => ({ tenant: { name: 'tenants/default' }, revert: true }),
  'Operator/EndSession': () => ({ name: 'sessions/gone' }),
  'Operator/ReleaseAllocation': () => ({ pasid: 300, generation: 1 }),
  'Operator/GetReclaim': () => ({}),
  'Operator/ResumeReclaim': () => ({}),
  'Operator/ListAuditEvents': () => ({}),
  'Operator/Check': () => ({}),
  'VfioUapi/OpenContainer': () => ({}),
  'VfioUapi/Ioctl': ({ own }) => ({ session: own.name, request: 0x3b64 }),
  'VfioUapi/CloseContainer': ({ own }) => ({ session: own.name }),
}
const METHODS = Object.keys(VALID) as Method[]

/** Fields of request messages that every RPC of the kind shares. */
const IN_SESSION = METHODS.filter((method) => {
  return !method.startsWith('Operator/') && !/ServerInfo|Open(Session|Container)/.test(method)
})
const nameField = (method: Method) =>
  /(Get|Close|Resume)Session/.test(method) ? 'name' : 'session'
const WITH_REQUEST_ID = METHODS.filter((m) => /(Open|Allocate|Free|Attach|Detach)/.test(m))
const REQUEST_ID_FIELD = (method: Method) => (/Open(Session|Container)$/.test(method) ? 1 : 2)
const LISTS = METHODS.filter((method) => /\/List/.test(method))

/** Every RPC, whatever it does. */
function everyMethod(method: Method): Case[] {
  const base = VALID[method]
  return [
    raw(method, 'an unknown field', base, packet.varint(29, 5), argument('(message)')),
    raw(method, 'field number 0', base, packet.varint(0, 5), argument('(message)')),
    raw(method, 'a field cut short', base, Buffer.from([0x80]), argument('(message)')),
  ]
}

function inSession(method: Method): Case[] {
  const field = nameField(method)
  const base = VALID[method]
  const named = (name: string) => (world: World) => ({ ...base(world), [field]: name })
  const wrong = refusal('UNAUTHENTICATED', 'SESSION_TOKEN_WRONG')
  const unary = (one: Case): Case => ({ ...one, onControl: false })
  const gone = refusal('NOT_FOUND', 'SESSION_NOT_FOUND', { session: 'gone' })
  return [
    unary(message(method, 'no session', named(''), argument(field, 'nothing'))),
    unary(message(method, 'no session name', named('vm 1'), argument(field, '"vm 1"'))),
    unary(message(method, 'an over-long session name', named(`sessions/${LONG}`), argument(field))),
    unary(message(method, 'an unknown session', named('sessions/gone'), gone)),
    message(method, "another's session", (w) => ({ ...base(w), [field]: w.other.name }), wrong),
    unary({ ...message(method, 'a wrong token', base, wrong), token: () => 'A'.repeat(43) }),
    unary({ ...message(method, 'an empty token', base, wrong), token: () => '' }),
    unary({ ...message(method, "another's token", base, wrong), token: (w) => w.other.token }),
    raw(method, 'the session twice', base, packet.bytes(1, 'sessions/x'), argument(field)),
    raw(method, 'the session as a number', () => ({}), packet.varint(1, 1), argument(field)),
    raw(
      method,
      'a session that is no UTF-8',
      () => ({}),
      packet.bytes(1, Buffer.from([0xff])),
      argument(field, 'bytes that are not UTF-8'),
    ),
  ]
}

function withRequestId(method: Method): Case[] {
  const base = VALID[method]
  const withId = (requestId: string) => (world: World) => ({ ...base(world), requestId })
  const id = packet.bytes(REQUEST_ID_FIELD(method), 'x')
  const both = Buffer.concat([id, id])
  return [
    message(method, 'a request id that is no UUID', withId('17'), argument('request_id', '"17"')),
    message(method, 'an over-long request id', withId(LONG), argument('request_id')),
    raw(method, 'the request id twice', base, both, argument('request_id', 'given twice')),
  ]
}

function list(method: Method): Case[] {
  const base = VALID[method]
  const withToken = (pageToken: string) => (world: World) => ({ ...base(world), pageToken })
  const invalid = refusal('INVALID_ARGUMENT', 'PAGE_TOKEN_INVALID')
  const size = method.startsWith('Operator/') ? 1 : 2
  return [
    message(
      method,
      'a negative page size',
      (world) => ({ ...base(world), pageSize: -1 }),
      argument('page_size', '-1'),
    ),
    message(method, 'a made-up page token', withToken('AAAA'), invalid),
    message(method, 'a page token that is no base64', withToken('%%'), invalid),
    message(method, 'an over-long page token', withToken(LONG), invalid),
    raw(
      method,
      'a page size beyond 32 bits',
      base,
      packet.varint(size, 2n ** 32n),
      argument('page_size', '4294967296'),
    ),
  ]
}

const deviceCases = (method: Method): Case[] => {
  const named =
    (device: string) =>
    ({ own }: World) => ({ session: own.name, device })
  return [
    message(method, 'no device', named(''), argument('device', 'nothing')),
    message(method, 'a name without devices/', named('nic0'), argument('device', '"nic0"')),
    message(method, 'capitals', named('devices/NIC0'), argument('device', '"devices/NIC0"')),
    message(method, 'an over-long name', named(`devices/${LONG}`), argument('device')),
  ]
}

const DEVICE_CASES: Case[] = [
  ...deviceCases('PasidBroker/AttachDevice'),
  ...deviceCases('PasidBroker/DetachDevice'),
  message(
    'PasidBroker/AttachDevice',
    'a device that is not there',
    ({ own }) => ({ session: own.name, device: 'devices/none' }),
    refusal('NOT_FOUND', 'DEVICE_NOT_FOUND', { device: 'none' }),
  ),
  message(
    'PasidBroker/AttachDevice',
    'a device that the tenant may not have',
    ({ own }) => ({ session: own.name, device: 'devices/other0' }),
    refusal('NOT_FOUND', 'DEVICE_NOT_FOUND', { device: 'other0' }),
  ),
  message(
    'PasidBroker/AttachDevice',
    'a device attached already',
    ({ own }) => ({ session: own.name, device: 'devices/nic0' }),
    refusal('ALREADY_EXISTS', 'DEVICE_ALREADY_ATTACHED', { device: 'nic0' }),
  ),
  {
    ...message(
      'PasidBroker/AttachDevice',
      'a device that another has',
      ({ other }) => ({ session: other.name, device: 'devices/nic0' }),
      refusal('FAILED_PRECONDITION', 'DEVICE_IN_USE', { device: 'nic0' }),
    ),
    token: ({ other }) => other.token,
    onControl: false,
  },
  message(
    'PasidBroker/DetachDevice',
    'a device not attached',
    ({ own }) => ({ session: own.name, device: 'devices/other0' }),
    refusal('FAILED_PRECONDITION', 'DEVICE_NOT_ATTACHED', { device: 'other0' }),
  ),
]

const OPERATOR_CASES: Case[] = [
  message('Operator/GetAllocation', 'no pasid', () => ({}), argument('pasid', '0', PASIDS)),
  message('Operator/GetAllocation', 'a free pasid', () => ({ pasid: 9999 }), notFound('9999')),
  message('Operator/GetSession', 'no name', () => ({}), argument('name', 'nothing')),
  message(
    'Operator/GetSession',
    'an unknown session',
    () => ({ name: 'sessions/gone' }),
    refusal('NOT_FOUND', 'SESSION_NOT_FOUND', { session: 'gone' }),
  ),
  message(
    'Operator/GetNamespace',
    'no device',
    () => ({ scope: 'SCOPE_DEVICE' }),
    argument('device'),
  ),
  message(
    'Operator/GetNamespace',
    'an unknown device',
    () => ({ scope: 'SCOPE_DEVICE', device: 'devices/none' }),
    refusal('NOT_FOUND', 'DEVICE_NOT_FOUND', { device: 'none' }),
  ),
  ...[
    'colour = red',
    'state = BUSY',
    'pasid = x',
    'state IDLE',
    '"',
    'state = IDLE OR state = ACTIVE',
  ]
    .concat([`tenant = "${LONG}"`])
    .map((filter) => {
      const expected = refusal('INVALID_ARGUMENT', 'FILTER_INVALID')
      return message(
        'Operator/ListAllocations',
        `filter ${filter.slice(0, 40)}`,
        () => ({ filter }),
        expected,
      )
    }),
  message(
    'Operator/ListSessions',
    'a filter with a field of another list',
    () => ({ filter: 'pasid = 5' }),
    refusal('INVALID_ARGUMENT', 'FILTER_INVALID'),
  ),
]

export const CASES: readonly Case[] = [
  ...METHODS.flatMap(everyMethod),
  ...IN_SESSION.flatMap(inSession),
  ...WITH_REQUEST_ID.flatMap(withRequestId),
  ...LISTS.flatMap(list),
  ...OPEN_CASES,
  ...ALLOCATE_CASES,
  ...FREE_CASES,
  ...DEVICE_CASES,
  ...HAND_OVER_CASES,
  ...BINDING_CASES,
  ...RAW_CASES,
  ...OPERATOR_CASES,
  ...ACT_CASES,
]
