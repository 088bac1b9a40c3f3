/** What AttachDevice is asked with a device handed over, at its bounds; and what it answers. */
import { describe, expect, test } from 'vitest'
import type { NativeAttachment } from '../../src/broker/answers.js'
import type { SessionId } from '../../src/core/ids.js'
import { attachedProto, attachOf } from '../../src/service/convert/attach.js'
import { pasidBrokerDefinition } from '../../src/wire/load.js'
import type { VmmRequest } from '../../src/wire/messages.js'
import { strictPasidBroker } from '../../src/wire/services.js'
import type { Decoded } from '../../src/wire/strict.js'

const SESSION = 1 as SessionId
const TOKEN = '0123456789abcdef'.repeat(4)
const ID_LAST = 4_294_967_295

/** As a handler is given it: through the encoder and the strict decoder. */
function asked(message: object): ReturnType<typeof attachOf> {
  const bytes = pasidBrokerDefinition.AttachDevice.requestSerialize({
    device: 'devices/nic0',
    ...message,
  })
  const strict = strictPasidBroker['AttachDevice']?.requestDeserialize(bytes)
  const decoded = strict as Decoded<VmmRequest<'AttachDevice'>>
  if (!decoded.ok) throw new Error(JSON.stringify(decoded.refusal))
  return attachOf(SESSION, decoded.message)
}

describe('what is handed over', () => {
  test('nothing: by number only', () => {
    const command = { verb: 'attach-device', session: SESSION, device: 'nic0', request: undefined }
    expect(asked({})).toEqual({ ok: true, value: { command, handOver: undefined } })
  })

  test.each([1, ID_LAST])('a parent of the VMM’s, and a fault queue, with id %i', (id) => {
    const outcome = asked({ handOver: { token: TOKEN, hwptId: id, faultId: id } })
    const parent = { kind: 'HWPT', id }
    const handOver = { token: TOKEN, parent, moveRid: false, faultId: id }
    expect(outcome).toMatchObject({ ok: true, value: { handOver } })
  })

  test.each([
    [1, false],
    [ID_LAST, true],
  ])('an IOAS with id %i, dirty tracking %s', (ioasId, dirtyTracking) => {
    const outcome = asked({
      handOver: { token: TOKEN, ioas: { ioasId, dirtyTracking }, moveRid: true },
    })
    const parent = { kind: 'IOAS', id: ioasId, dirtyTracking }
    const handOver = { token: TOKEN, parent, moveRid: true, faultId: undefined }
    expect(outcome).toMatchObject({ ok: true, value: { handOver } })
  })
})

describe('a request id', () => {
  const key = (handOver: object | undefined) => {
    const requestId = '00000000-0000-4000-8000-000000000001'
    const outcome = asked({ requestId, ...(handOver && { handOver }) })
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal))
    const { request } = outcome.value.command
    return [request?.fingerprintHigh, request?.fingerprintLow]
  }
  const first = { token: TOKEN, hwptId: 5, faultId: 7 }

  test('may be repeated with another token: the first is spent', () => {
    expect(key({ ...first, token: 'f'.repeat(64) })).toEqual(key(first))
  })

  test.each([
    ['another HWPT', { ...first, hwptId: 6 }],
    ['an IOAS of the same id', { token: TOKEN, ioas: { ioasId: 5 }, faultId: 7 }],
    ['the RID moved', { ...first, moveRid: true }],
    ['another fault queue', { ...first, faultId: 8 }],
    ['no fault queue', { token: TOKEN, hwptId: 5 }],
    ['nothing handed over', undefined],
  ])('is not the same with %s', (_name, other) => {
    expect(key(other)).not.toEqual(key(first))
  })

  test('is not the same with dirty tracking', () => {
    const ioas = (dirtyTracking: boolean) => ({ token: TOKEN, ioas: { ioasId: 5, dirtyTracking } })
    expect(key(ioas(true))).not.toEqual(key(ioas(false)))
  })
})

describe('the answer', () => {
  const device = { name: 'nic0', scope: 'HOST', facts: undefined, sessions: [] } as const
  const native = (rid: NativeAttachment['rid']) => ({ devId: 3, parentHwpt: 4, rid })

  test('has nothing native of a device by number only', () => {
    expect(attachedProto({ device, native: undefined })).toEqual({
      device: { name: 'devices/nic0', scope: 'SCOPE_HOST', present: false },
      native: null,
    })
  })

  test.each(['NOT_ATTACHED', 'ON_PARENT', 'COMPATIBLE', 'INCOMPATIBLE'] as const)(
    'says where the RID is: %s',
    (rid) => {
      expect(attachedProto({ device, native: native(rid) })).toMatchObject({
        native: { devId: 3, parentHwptId: 4, ridState: `RID_STATE_${rid}` },
      })
    },
  )
})
