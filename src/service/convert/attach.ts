/** Attaching a device, with what the VMM hands over of it, and what is answered. */

import type { AttachedDevice, NativeAttachment, Parent, RidState } from '../../broker/answers.js'
import type { AttachDevice } from '../../core/commands.js'
import type { SessionId } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import type { HandOver__Output } from '../../wire/generated/pasid/v1/HandOver.js'
import { quoted } from '../../wire/quote.js'
import type { VmmRequest, VmmResponse } from '../../wire/messages.js'
import { deviceProto } from './device.js'
import { Fields } from './fields.js'
import { requestKey } from './request-key.js'

/** As the side socket gives them. */
const TOKEN = /^[0-9a-f]{64}$/
const TOKEN_BOUND = '64 hex digits 0-9 and a-f'

/** What goes with the two descriptors; ids of the VMM's own iommufd. */
interface HandOverFacts {
  readonly parent: Parent
  readonly moveRid: boolean
  readonly faultId: number | undefined
}

export interface AttachAsked {
  readonly command: AttachDevice
  /** Undefined: by number only. */
  readonly handOver: (HandOverFacts & { readonly token: string }) | undefined
}

export function attachOf(
  session: SessionId,
  { device: name, requestId, handOver: handed }: VmmRequest<'AttachDevice'>,
): Outcome<AttachAsked> {
  const fields = new Fields()
  const device = fields.name('device', name, 'devices')
  const token = handed === null ? '' : tokenOf(fields, handed.token)
  const facts = handed === null ? undefined : factsOf(fields, handed)
  // Without the token, which a repeated call has another of, or none that is still good.
  const request = requestKey(fields, requestId, { device, handOver: facts })
  return fields.answer({
    command: { verb: 'attach-device', session, device, request },
    handOver: facts && { ...facts, token },
  })
}

function tokenOf(fields: Fields, token: string): string {
  if (token === '') fields.missing('hand_over.token', TOKEN_BOUND)
  else if (!TOKEN.test(token)) {
    const remedy = 'send the token as the side socket gave it'
    fields.no('hand_over.token', quoted(token), TOKEN_BOUND, remedy)
  }
  return token
}

function factsOf(fields: Fields, message: HandOver__Output): HandOverFacts {
  const { faultId, moveRid } = message
  const parent = parentOf(fields, message)
  if (faultId !== undefined) {
    idOf(fields, 'fault_id', faultId, 'send what IOMMU_FAULT_QUEUE_ALLOC answered, or leave it out')
  }
  return { parent, moveRid, faultId }
}

function parentOf(fields: Fields, { hwptId, ioas }: HandOver__Output): Parent {
  if (ioas) {
    const { ioasId, dirtyTracking } = ioas
    const id = idOf(fields, 'ioas.ioas_id', ioasId, 'send what IOMMU_IOAS_ALLOC answered')
    return { kind: 'IOAS', id, dirtyTracking }
  }
  if (hwptId === undefined) fields.missing('hand_over.second_stage', 'one of hwpt_id, ioas')
  const remedy = 'send what IOMMU_HWPT_ALLOC answered'
  return { kind: 'HWPT', id: idOf(fields, 'hwpt_id', hwptId ?? 0, remedy) }
}

/** An object of an iommufd; 0 is none. */
function idOf(fields: Fields, field: string, id: number, remedy: string): number {
  const bound = 'a whole number from 1 to 4294967295'
  if (id === 0) fields.no(`hand_over.${field}`, '0', bound, remedy)
  return id
}

const RID_STATES = {
  NOT_ATTACHED: 'RID_STATE_NOT_ATTACHED',
  ON_PARENT: 'RID_STATE_ON_PARENT',
  COMPATIBLE: 'RID_STATE_COMPATIBLE',
  INCOMPATIBLE: 'RID_STATE_INCOMPATIBLE',
} as const satisfies Record<RidState, string>

export function attachedProto({ device, native }: AttachedDevice): VmmResponse<'AttachDevice'> {
  return { device: deviceProto(device), native: native === undefined ? null : nativeProto(native) }
}

function nativeProto({ devId, parentHwpt, rid }: NativeAttachment) {
  return { devId, parentHwptId: parentHwpt, ridState: RID_STATES[rid] }
}
