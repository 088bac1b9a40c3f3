/** Bad input to OpenSession, AllocatePasids and FreePasids. */
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
import { packet } from './service-rig.js'

const ALLOCATE = 'PasidBroker/AllocatePasids'
const allocate = (name: string, more: object, expected: Expected): Case => {
  return message(ALLOCATE, name, ({ own }) => ({ session: own.name, ...more }), expected)
}
const allocateRaw = (name: string, append: Buffer, expected: Expected): Case => {
  return raw(ALLOCATE, name, ({ own }) => ({ session: own.name }), append, expected)
}
const ONE = { one: {} }
/** So many bytes of JSON, in values that are each short enough. */
function wideLabels(bytes: number): Record<string, string> {
  const labels = { a: 'v'.repeat(250), b: 'v'.repeat(250), c: 'v'.repeat(250), d: '' }
  return { ...labels, d: 'v'.repeat(bytes - JSON.stringify(labels).length) }
}

const manyLabels = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, '']))

export const ALLOCATE_CASES: Case[] = [
  allocate('nothing asked', {}, argument('ask', 'nothing')),
  allocateRaw(
    'two things asked',
    Buffer.concat([packet.bytes(5, ''), packet.bytes(6, packet.varint(1, 4))]),
    argument('block', 'both one and block'),
  ),
  allocate('min 0', { ...ONE, min: 0 }, argument('min', '0', PASIDS)),
  allocate('max 0', { ...ONE, max: 0 }, argument('max', '0', PASIDS)),
  allocate('max 2^20', { ...ONE, max: 1 << 20 }, argument('max', '1048576', PASIDS)),
  allocate('min > max', { ...ONE, min: 9, max: 8 }, argument('min', '9, above max 8')),
  allocateRaw(
    'min 2^32, which coerces to 0',
    Buffer.concat([packet.bytes(5, ''), packet.varint(8, 2n ** 32n)]),
    argument('min', '4294967296', 'a whole number from 0 to 4294967295'),
  ),
  allocateRaw(
    'min -1, which coerces to 2^32 - 1',
    Buffer.concat([packet.bytes(5, ''), packet.varint(8, -1n)]),
    argument('min', '18446744073709551615'),
  ),
  allocate(
    'a range outside the window',
    { ...ONE, min: 100_001, max: 200_000 },
    refusal('OUT_OF_RANGE', 'RANGE_EMPTY', { asked: '100001..200000', window: '1..100000' }),
  ),
  allocate(
    'a range outside the width',
    { ...ONE, min: 70_000, max: 80_000, devices: ['devices/nic0'] },
    refusal('OUT_OF_RANGE', 'RANGE_EMPTY', { widthBits: '16' }),
  ),
  allocate('a block of 0', { block: { size: 0 } }, argument('block.size', '0')),
  allocate('a block of 3', { block: { size: 3 } }, argument('block.size', '3')),
  allocate('a block of 8192', { block: { size: 8192 } }, argument('block.size', '8192')),
  allocate('no exact numbers', { exact: {} }, argument('exact.pasids', 'nothing')),
  allocate('exact 0', { exact: { pasids: [600, 0] } }, argument('exact.pasids[1]', '0', PASIDS)),
  allocate(
    'exact 2^20',
    { exact: { pasids: [1_048_576] } },
    argument('exact.pasids[0]', '1048576', PASIDS),
  ),
  allocate(
    'an exact number twice',
    { exact: { pasids: [601, 600, 601] } },
    argument('exact.pasids', '601 again'),
  ),
  {
    ...allocate(
      'more than 4096 exact numbers',
      { exact: { pasids: Array.from({ length: 4097 }, (_, i) => i + 1000) } },
      argument('exact.pasids', 'more than 4096'),
    ),
    wire: true,
  },
  allocate(
    "another's number",
    { exact: { pasids: [500, 400] } },
    refusal('ALREADY_EXISTS', 'PASID_TAKEN', { pasid: '400', scope: 'HOST' }),
  ),
  allocate(
    'a reserved number',
    { exact: { pasids: [255] } },
    refusal('FAILED_PRECONDITION', 'PASID_RESERVED', { pasid: '255', reason: 'host kernel' }),
  ),
  allocate(
    'an exact number outside min..max',
    { exact: { pasids: [900] }, min: 300, max: 800 },
    refusal('OUT_OF_RANGE', 'PASID_OUT_OF_RANGE', { pasid: '900', allowed: '300..800' }),
  ),
  allocate(
    'more than the session may hold',
    { exact: { pasids: Array.from({ length: 4096 }, (_, i) => i + 1000) }, max: 99_000 },
    refusal('RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED'),
  ),
  allocate(
    'a full range',
    { ...ONE, min: 300, max: 302 },
    refusal('RESOURCE_EXHAUSTED', 'NAMESPACE_EXHAUSTED', { range: '300..302', free: '0' }),
  ),
  allocateRaw(
    'an unknown scope',
    Buffer.concat([packet.bytes(5, ''), packet.varint(3, 3)]),
    argument('scope', '3'),
  ),
  allocate('a device in HOST scope', { ...ONE, device: 'devices/vf0' }, argument('device')),
  allocate('no device in DEVICE scope', { ...ONE, scope: 'SCOPE_DEVICE' }, argument('device')),
  allocate(
    'DEVICE scope of a HOST device',
    { ...ONE, scope: 'SCOPE_DEVICE', device: 'devices/nic0' },
    refusal('FAILED_PRECONDITION', 'SCOPE_NOT_ALLOWED', { device: 'nic0', allowed: 'HOST' }),
  ),
  allocate(
    'DEVICE scope of a device not attached',
    { ...ONE, scope: 'SCOPE_DEVICE', device: 'devices/other0' },
    refusal('FAILED_PRECONDITION', 'DEVICE_NOT_ATTACHED', { device: 'other0' }),
  ),
  allocate(
    'for a device not attached',
    { ...ONE, devices: ['devices/other0'] },
    refusal('FAILED_PRECONDITION', 'DEVICE_NOT_ATTACHED', { device: 'other0' }),
  ),
  allocate(
    'for a device of another scope',
    { ...ONE, devices: ['devices/vf0'] },
    refusal('FAILED_PRECONDITION', 'SCOPE_NOT_ALLOWED', { device: 'vf0' }),
  ),
  allocate(
    'for a device twice',
    { ...ONE, devices: ['devices/nic0', 'devices/nic0'] },
    argument('devices[1]', '"nic0" again'),
  ),
  allocate('for no device name', { ...ONE, devices: ['nic0'] }, argument('devices[0]', '"nic0"')),
  allocate(
    'for 65 devices',
    { ...ONE, devices: Array.from({ length: 65 }, (_, i) => `devices/d${i}`) },
    argument('devices', '65 devices', 'at most 64'),
  ),
  allocate('17 labels', { ...ONE, labels: manyLabels }, argument('labels', '17 labels')),
  allocate(
    'a label value with an escape',
    { ...ONE, labels: { a: 'x\u001b[31m' } },
    argument('labels["a"]'),
  ),
  allocate(
    'labels of 1025 bytes',
    { ...ONE, labels: wideLabels(1025) },
    argument('labels', '1025 bytes', 'at most 1024 bytes of JSON all together'),
  ),
  allocate('a label key in capitals', { ...ONE, labels: { A: '' } }, argument('labels')),
  allocate(
    'an over-long label',
    { ...ONE, labels: { a: 'v'.repeat(256) } },
    argument('labels["a"]', '256 characters', 'at most 255 characters'),
  ),
  allocateRaw(
    'a label key twice',
    Buffer.concat([
      packet.bytes(5, ''),
      packet.bytes(11, packet.bytes(1, 'a')),
      packet.bytes(11, packet.bytes(1, 'a')),
    ]),
    argument('labels', 'key "a" twice'),
  ),
  message(
    ALLOCATE,
    'a request id with other arguments',
    ({ own, requestId }) => ({ session: own.name, requestId, ...ONE }),
    refusal('INVALID_ARGUMENT', 'REQUEST_ID_REUSED', { method: 'AllocatePasids' }),
  ),
]

const OPEN = 'PasidBroker/OpenSession'
export const OPEN_CASES: Case[] = [
  message(OPEN, 'too many labels', () => ({ labels: manyLabels }), argument('labels', '17 labels')),
  message(OPEN, 'an empty label key', () => ({ labels: { '': 'x' } }), argument('labels')),
  message(OPEN, 'max_pasids 2^20', () => ({ maxPasids: 2 ** 20 }), argument('max_pasids')),
  message(
    OPEN,
    'a request id with other arguments',
    ({ requestId }) => ({ requestId, labels: { a: 'c' } }),
    refusal('INVALID_ARGUMENT', 'REQUEST_ID_REUSED', { method: 'OpenSession' }),
  ),
]

const FREE = 'PasidBroker/FreePasids'
const free = (name: string, more: object, expected: Expected): Case => {
  return message(FREE, name, ({ own }) => ({ session: own.name, ...more }), expected)
}
export const FREE_CASES: Case[] = [
  free('nothing named', {}, argument('what', 'nothing')),
  free('no numbers', { pasids: {} }, argument('pasids.pasids', 'nothing')),
  free('number 0', { pasids: { pasids: [0] } }, argument('pasids.pasids[0]', '0', PASIDS)),
  free('a number twice', { pasids: { pasids: [301, 301] } }, argument('pasids.pasids')),
  free("another's number", { pasids: { pasids: [301, 400] } }, notFound('400')),
  free("nobody's number", { pasids: { pasids: [9999] } }, notFound('9999')),
  free('an empty range', { range: {} }, argument('range.first', '0', PASIDS)),
  free('a range the wrong way', { range: { first: 9, last: 8 } }, argument('range.first')),
  free('a range beyond the width', { range: { first: 9, last: 1 << 20 } }, argument('range.last')),
  free("the device's number in HOST scope", { pasids: { pasids: [7] } }, notFound('7')),
  free(
    'a HOST number in DEVICE scope',
    { scope: 'SCOPE_DEVICE', device: 'devices/vf0', pasids: { pasids: [300] } },
    notFound('300', 'DEVICE/vf0'),
  ),
]
