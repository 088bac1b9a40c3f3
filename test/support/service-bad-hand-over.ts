/** Bad input to AttachDevice with a device that is handed over; the daemon has the emulator. */
import {
  argument,
  type Case,
  type Expected,
  LONG,
  message,
  raw,
  refusal,
} from './service-bad-case.js'
import { packet } from './service-rig.js'

const ATTACH = 'PasidBroker/AttachDevice'
const DEVICE = 'devices/nic0'
const HAND_OVER_FIELD = 4
const TOKEN = '0123456789abcdef'.repeat(4)
const TOKEN_BOUND = '64 hex digits 0-9 and a-f'
const ID_BOUND = 'a whole number from 1 to 4294967295'
const GOOD = { token: TOKEN, hwptId: 1 }

function bad(name: string, handOver: object, expected: Expected): Case {
  return message(
    ATTACH,
    name,
    ({ own }) => ({ session: own.name, device: DEVICE, handOver }),
    expected,
  )
}

/** With the bytes of a HandOver. */
function badRaw(name: string, bytes: readonly Buffer[], expected: Expected): Case {
  const append = packet.bytes(HAND_OVER_FIELD, Buffer.concat(bytes))
  return raw(ATTACH, name, ({ own }) => ({ session: own.name, device: DEVICE }), append, expected)
}

const token = (name: string, value: string, shown?: string): Case => {
  return bad(name, { ...GOOD, token: value }, argument('hand_over.token', shown, TOKEN_BOUND))
}

const tokenBytes = packet.bytes(1, TOKEN)
const hwptBytes = packet.varint(2, 1)

export const HAND_OVER_CASES: readonly Case[] = [
  bad('an empty hand-over', {}, argument('hand_over.token', 'nothing', TOKEN_BOUND)),
  token('no token', '', 'nothing'),
  token('a token of 63 digits', TOKEN.slice(1), `"${TOKEN.slice(1)}"`),
  token('a token of 65 digits', `${TOKEN}0`, `"${TOKEN}0"`),
  token('a token in capitals', TOKEN.toUpperCase(), `"${TOKEN.toUpperCase()}"`),
  token('a token with a line feed behind it', `${TOKEN}\n`),
  token('an over-long token', LONG),
  bad(
    'no parent',
    { token: TOKEN },
    argument('hand_over.second_stage', 'nothing', 'one of hwpt_id, ioas'),
  ),
  bad('HWPT 0', { ...GOOD, hwptId: 0 }, argument('hand_over.hwpt_id', '0', ID_BOUND)),
  bad(
    'IOAS 0',
    { token: TOKEN, ioas: { dirtyTracking: true } },
    argument('hand_over.ioas.ioas_id', '0', ID_BOUND),
  ),
  bad('fault queue 0', { ...GOOD, faultId: 0 }, argument('hand_over.fault_id', '0', ID_BOUND)),
  badRaw(
    'both parents',
    [tokenBytes, hwptBytes, packet.bytes(3, packet.varint(1, 1))],
    argument('hand_over.ioas', 'both hwpt_id and ioas'),
  ),
  badRaw(
    'HWPT 2^32, which coerces to 0',
    [tokenBytes, packet.varint(2, 2n ** 32n)],
    argument('hand_over.hwpt_id', '4294967296', 'a whole number from 0 to 4294967295'),
  ),
  badRaw(
    'IOAS -1, which coerces to 2^32 - 1',
    [tokenBytes, packet.bytes(3, packet.varint(1, -1n))],
    argument('hand_over.ioas.ioas_id', '18446744073709551615'),
  ),
  badRaw(
    'fault queue 2^32',
    [tokenBytes, hwptBytes, packet.varint(5, 2n ** 32n)],
    argument('hand_over.fault_id', '4294967296'),
  ),
  badRaw(
    'the RID moved twice as much',
    [tokenBytes, hwptBytes, packet.varint(4, 2)],
    argument('hand_over.move_rid', '2', '0 (false) or 1 (true)'),
  ),
  badRaw(
    'dirty tracking of 2',
    [tokenBytes, packet.bytes(3, Buffer.concat([packet.varint(1, 1), packet.varint(2, 2)]))],
    argument('hand_over.ioas.dirty_tracking', '2'),
  ),
  badRaw(
    'a token that is no UTF-8',
    [packet.bytes(1, Buffer.from([0xff]))],
    argument('hand_over.token', 'bytes that are not UTF-8'),
  ),
  badRaw(
    'an unknown field of the hand-over',
    [tokenBytes, hwptBytes, packet.varint(6, 1)],
    argument('hand_over', 'unknown field 6 (varint)'),
  ),
  raw(
    ATTACH,
    'two hand-overs',
    ({ own }) => ({ session: own.name, device: DEVICE, handOver: GOOD }),
    packet.bytes(HAND_OVER_FIELD, ''),
    argument('hand_over', 'given twice'),
  ),
  bad(
    'a hand-over to the emulator',
    GOOD,
    refusal('UNIMPLEMENTED', 'FEATURE_NOT_AVAILABLE', { feature: 'native-backend' }),
  ),
]
