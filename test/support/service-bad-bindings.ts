/** Bad input to BindPasid, UnbindPasids, Invalidate and RespondPageRequest. */
import {
  argument,
  type Case,
  type Expected,
  message,
  notFound,
  PASIDS,
  raw,
  refusal,
} from './service-bad-case.js'
import { packet, type Method } from './service-rig.js'

const BIND = 'PasidBroker/BindPasid'
const MDEV = ['devices/mdev0']
const TABLE = { address: '4096', addressWidth: 48 }
/** 301 on mdev0 with a table, all right. */
const GOOD = { pasid: 301, devices: MDEV, firstStage: TABLE, domain: 1 }

const to =
  (method: Method) =>
  (name: string, more: object, expected: Expected): Case => {
    return message(method, name, ({ own }) => ({ session: own.name, ...more }), expected)
  }
const rawTo =
  (method: Method) => (name: string, more: object, append: Buffer, expected: Expected) => {
    return raw(method, name, ({ own }) => ({ session: own.name, ...more }), append, expected)
  }

const bind = to(BIND)
const rawBind = rawTo(BIND)
const without = (key: keyof typeof GOOD): object => ({ ...GOOD, [key]: undefined })
const table = (more: object): object => ({ ...GOOD, firstStage: { ...TABLE, ...more } })

const BIND_CASES: Case[] = [
  bind('no target', without('pasid'), argument('target', 'nothing')),
  bind('no table', without('firstStage'), argument('table', 'nothing')),
  bind('no devices', { ...GOOD, devices: [] }, argument('devices', 'nothing')),
  bind('pasid 0', { ...GOOD, pasid: 0 }, argument('pasid', '0', PASIDS)),
  bind('pasid 2^20', { ...GOOD, pasid: 2 ** 20 }, argument('pasid', '1048576', PASIDS)),
  bind('rid false', { ...without('pasid'), rid: false }, argument('rid', 'false', 'true')),
  rawBind('pasid and rid', GOOD, packet.varint(3, 1), argument('rid', 'both pasid and rid')),
  rawBind(
    'rid 2',
    without('pasid'),
    packet.varint(3, 2),
    argument('rid', '2', '0 (false) or 1 (true)'),
  ),
  rawBind('two tables', GOOD, packet.bytes(6, ''), argument('pass_through')),
  rawBind('a table twice', GOOD, packet.bytes(5, ''), argument('first_stage', 'given twice')),
  rawBind(
    'an unknown field of the table',
    without('firstStage'),
    packet.bytes(5, packet.varint(9, 1)),
    argument('first_stage', 'unknown field 9 (varint)'),
  ),
  bind('domain 65536', { ...GOOD, domain: 65_536 }, argument('domain', '65536')),
  bind('an unaligned table', table({ address: '4097' }), argument('first_stage.address', '4097')),
  bind(
    'a table above 2^52',
    table({ address: String(2n ** 52n) }),
    argument('first_stage.address', '4503599627370496', 'a multiple of 4096 below 2^52'),
  ),
  bind('width 39', table({ addressWidth: 39 }), argument('first_stage.address_width', '39')),
  bind(
    'write protection without supervisor',
    table({ writeProtect: true }),
    argument('first_stage.write_protect', 'true'),
  ),
  bind(
    'supervisor on a device without',
    table({ supervisor: true }),
    refusal('FAILED_PRECONDITION', 'TABLE_UNSUPPORTED', { device: 'mdev0' }),
  ),
  bind(
    'a nested table on ARM',
    { ...GOOD, devices: ['devices/arm0'] },
    refusal('FAILED_PRECONDITION', 'TABLE_UNSUPPORTED', { device: 'arm0' }),
  ),
  bind('a device twice', { ...GOOD, devices: [...MDEV, ...MDEV] }, argument('devices[1]')),
  bind(
    'a device not attached',
    { ...GOOD, devices: ['devices/other0'] },
    refusal('FAILED_PRECONDITION', 'DEVICE_NOT_ATTACHED', { device: 'other0' }),
  ),
  bind("another's number", { ...GOOD, pasid: 400 }, notFound('400')),
  bind("nobody's number", { ...GOOD, pasid: 9999 }, notFound('9999')),
  bind(
    'a number beyond the width',
    { ...GOOD, pasid: 100_000, devices: ['devices/nic0'] },
    refusal('OUT_OF_RANGE', 'PASID_BEYOND_DEVICE_WIDTH', { device: 'nic0', widthBits: '16' }),
  ),
  bind('guest pasid 0', { ...GOOD, guestPasid: 0 }, argument('guest_pasid', '0', PASIDS)),
  bind(
    'another guest pasid without translation',
    { ...GOOD, guestPasid: 5, devices: ['devices/nic0'] },
    refusal('FAILED_PRECONDITION', 'GUEST_PASID_MISMATCH', { guestPasid: '5', pasid: '301' }),
  ),
  bind(
    'a guest pasid in use',
    { ...GOOD, guestPasid: 300 },
    refusal('ALREADY_EXISTS', 'GUEST_PASID_TAKEN', { guestPasid: '300', pasid: '300' }),
  ),
  bind(
    'a guest pasid with rid',
    { ...without('pasid'), rid: true, guestPasid: 5, devices: ['devices/nic0'] },
    argument('guest_pasid', '5', 'nothing with rid'),
  ),
  bind(
    'what is bound, without replace',
    { ...GOOD, pasid: 300 },
    refusal('ALREADY_EXISTS', 'ALREADY_BOUND', { device: 'mdev0', target: '300' }),
  ),
  bind(
    'a replace of nothing',
    { ...GOOD, replace: true },
    refusal('NOT_FOUND', 'NOT_BOUND', { device: 'mdev0', target: '301' }),
  ),
  bind(
    'the RID of a shared device',
    { ...without('pasid'), rid: true },
    refusal('FAILED_PRECONDITION', 'RID_NOT_AVAILABLE', { device: 'mdev0' }),
  ),
]

const UNBIND = 'PasidBroker/UnbindPasids'
const unbind = to(UNBIND)
const rawUnbind = rawTo(UNBIND)

const UNBIND_CASES: Case[] = [
  unbind('nothing named', {}, argument('what', 'nothing')),
  unbind('no target', { target: {} }, argument('target.target', 'nothing')),
  unbind('target 0', { target: { pasid: 0 } }, argument('target.pasid', '0', PASIDS)),
  unbind('rid false', { target: { rid: false } }, argument('target.rid', 'false')),
  rawUnbind('two things', { all: {} }, packet.bytes(3, 'devices/mdev0'), argument('device')),
  unbind('no device name', { device: 'mdev0' }, argument('device', '"mdev0"')),
  unbind(
    'a device not attached',
    { device: 'devices/other0' },
    refusal('FAILED_PRECONDITION', 'DEVICE_NOT_ATTACHED', { device: 'other0' }),
  ),
  unbind(
    'what is not bound',
    { target: { pasid: 301 } },
    refusal('NOT_FOUND', 'NOT_BOUND', { target: '301' }),
  ),
  unbind(
    'what is bound elsewhere',
    { target: { pasid: 300, devices: ['devices/nic0'] } },
    refusal('NOT_FOUND', 'NOT_BOUND', { device: 'nic0', target: '300' }),
  ),
]

const INVALIDATE = 'PasidBroker/Invalidate'
const invalidate = (name: string, entry: object, expected: Expected): Case => {
  return to(INVALIDATE)(name, { entries: [entry] }, expected)
}
const IOTLB = ['INVALIDATION_CACHE_IOTLB']
const PASID_CACHE = ['INVALIDATION_CACHE_PASID']
const at = (more: object): object => {
  return { addresses: { pasid: 300, address: '0', pages: '1', ...more }, caches: IOTLB }
}

const INVALIDATE_CASES: Case[] = [
  to(INVALIDATE)(
    '513 entries',
    { entries: Array.from({ length: 513 }, () => ({ domain: {}, caches: IOTLB })) },
    argument('entries', '513 entries', 'at most 512'),
  ),
  invalidate('no granularity', { caches: IOTLB }, argument('entries[0].granularity', 'nothing')),
  invalidate('no caches', { domain: {} }, argument('entries[0].caches', 'nothing')),
  invalidate(
    'an unspecified cache',
    { domain: {}, caches: ['INVALIDATION_CACHE_UNSPECIFIED'] },
    argument('entries[0].caches[0]', 'INVALIDATION_CACHE_UNSPECIFIED'),
  ),
  invalidate(
    'a cache twice',
    { domain: {}, caches: [...IOTLB, ...IOTLB] },
    argument('entries[0].caches[1]', 'INVALIDATION_CACHE_IOTLB again'),
  ),
  rawTo(INVALIDATE)(
    'an unknown cache',
    {},
    packet.bytes(2, Buffer.concat([packet.bytes(1, ''), packet.varint(4, 4)])),
    argument('entries[0].caches[0]', '4'),
  ),
  rawTo(INVALIDATE)(
    'two granularities',
    {},
    packet.bytes(2, Buffer.concat([packet.bytes(1, ''), packet.bytes(2, '')])),
    argument('entries[0].pasid', 'both domain and pasid'),
  ),
  invalidate(
    'domain 65536',
    { domain: { domain: 65_536 }, caches: IOTLB },
    argument('entries[0].domain.domain', '65536'),
  ),
  invalidate('no target', { pasid: {}, caches: IOTLB }, argument('entries[0].pasid.target')),
  invalidate(
    'pasid 0',
    { pasid: { pasid: 0 }, caches: IOTLB },
    argument('entries[0].pasid.pasid', '0', PASIDS),
  ),
  invalidate(
    'an unaligned address',
    at({ address: '1' }),
    argument('entries[0].addresses.address'),
  ),
  invalidate('no pages', at({ pages: '0' }), argument('entries[0].addresses.pages', '0')),
  invalidate(
    'pages beyond 2^64',
    at({ address: String(2n ** 64n - 4096n), pages: '2' }),
    argument('entries[0].addresses.pages', '2'),
  ),
  invalidate(
    'pages that overflow when shifted',
    at({ pages: String(2n ** 63n) }),
    argument('entries[0].addresses.pages', '9223372036854775808'),
  ),
  invalidate(
    'a PASID cache by address',
    { ...at({}), caches: PASID_CACHE },
    refusal('INVALID_ARGUMENT', 'INVALIDATION_UNSUPPORTED', { entry: '0', granularity: 'ADDRESS' }),
  ),
  invalidate("another's number", { pasid: { pasid: 400 }, caches: IOTLB }, notFound('400')),
  invalidate(
    'what is not bound',
    { pasid: { pasid: 301 }, caches: IOTLB },
    refusal('NOT_FOUND', 'NOT_BOUND', { target: '301' }),
  ),
  to(INVALIDATE)(
    'a good entry before a bad one',
    { entries: [at({}), at({ pages: '0' })] },
    argument('entries[1].addresses.pages', '0'),
  ),
]

const RESPOND = 'PasidBroker/RespondPageRequest'
const respond = to(RESPOND)
const TOKEN = { token: Buffer.from('x') }
const SUCCESS = { code: 'PAGE_RESPONSE_CODE_SUCCESS' }

const RESPOND_CASES: Case[] = [
  respond('no token', SUCCESS, argument('token', 'nothing', '1 to 64 bytes')),
  respond(
    'an over-long token',
    { ...SUCCESS, token: Buffer.alloc(65) },
    argument('token', '65 bytes'),
  ),
  respond('no code', TOKEN, argument('code', 'nothing')),
  rawTo(RESPOND)('an unknown code', TOKEN, packet.varint(3, 9), argument('code', '9')),
  respond(
    'a token that nobody gave out',
    { ...TOKEN, ...SUCCESS },
    refusal('NOT_FOUND', 'PAGE_REQUEST_NOT_FOUND'),
  ),
]

export const BINDING_CASES: readonly Case[] = [
  ...BIND_CASES,
  ...UNBIND_CASES,
  ...INVALIDATE_CASES,
  ...RESPOND_CASES,
]
