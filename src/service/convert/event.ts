/** What a session's owner hears unasked, and its word on a page request. */

import type { DeviceFaultView, SessionEvent } from '../../broker/answers.js'
import { RID, type SessionId, type Target } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import { headroomProto } from './allocation.js'
import { bindingProto } from './binding.js'
import { Fields } from './fields.js'
import { timestamp } from './time.js'
import type { VmmRequest, VmmResponse } from '../../wire/messages.js'

const PAGE_TOKEN_BYTES_MAX = 64

const CODES = {
  PAGE_RESPONSE_CODE_SUCCESS: 'SUCCESS',
  PAGE_RESPONSE_CODE_INVALID: 'INVALID',
  PAGE_RESPONSE_CODE_FAILURE: 'FAILURE',
} as const

export interface PageResponse {
  readonly session: SessionId
  readonly token: Uint8Array
  readonly code: (typeof CODES)[keyof typeof CODES]
}

export function pageResponseOf(
  session: SessionId,
  message: VmmRequest<'RespondPageRequest'>,
): Outcome<PageResponse> {
  const fields = new Fields()
  const { length } = message.token
  const bound = `1 to ${PAGE_TOKEN_BYTES_MAX} bytes`
  if (length === 0) fields.missing('token', bound)
  else if (length > PAGE_TOKEN_BYTES_MAX) {
    fields.no('token', `${length} bytes`, bound, 'send PageRequest.token unchanged')
  }
  if (message.code === 'PAGE_RESPONSE_CODE_UNSPECIFIED') {
    fields.missing('code', Object.keys(CODES).join(', '))
    return fields.answer({ session, token: message.token, code: 'INVALID' })
  }
  return fields.answer({ session, token: message.token, code: CODES[message.code] })
}

/** Events have id 0. */
export function eventProto(event: SessionEvent): VmmResponse<'Control'> {
  switch (event.kind) {
    case 'binding-lost':
      return { bindingLost: { binding: bindingProto(event.binding) } }
    case 'session-ended':
      return { sessionEnded: { cause: event.cause } }
    case 'quota-changed':
      return { quotaChanged: { headroom: headroomProto(event.headroom) } }
    case 'page-request': {
      const { token, deadlineAt } = event
      const pages = event.pages.map(({ address, ...access }) => {
        return { address: address.toString(), ...access }
      })
      const about = { token: Buffer.from(token), ...placeProto(event) }
      return { pageRequest: { ...about, pages, deadline: timestamp(deadlineAt) } }
    }
    case 'device-faults':
      return { deviceFaults: { faults: event.faults.map(faultProto), lost: event.lost } }
    case 'device-reset':
      return { deviceReset: { device: `devices/${event.device}`, done: event.done } }
  }
}

function placeProto({ device, target }: { readonly device: string; readonly target: Target }) {
  return { device: `devices/${device}`, ...(target === RID ? { rid: true } : { pasid: target }) }
}

function faultProto({ device, target, address, ...fault }: DeviceFaultView) {
  return { ...placeProto({ device, target }), ...fault, address: address.toString() }
}
