/** What ioctl(2) answers: as values, and as the message that carries them. */

import { accept, refuse, type Outcome, type Refusal } from '../../core/refusal.js'
import type { Errno, UapiError } from '../../uapi/errno.js'
import type { UapiResponse } from '../../wire/messages.js'
import { errnoOf } from './errno.js'

/** A refusal is for what no kernel says: the call ends with its status. */
export type Answer = Outcome<UapiResponse<'Ioctl'>>

/** `result` 0 or more; `data`: what is written back, from the start of the structure on. */
export function returned(result: number, data?: Uint8Array): Answer {
  return accept(data === undefined ? { result } : { result, data: Buffer.from(data) })
}

export function failed(errno: Errno): Answer {
  return accept({ result: -1, error: errno })
}

export function wrong({ errno }: UapiError): Answer {
  return failed(errno)
}

export function refused(refusal: Refusal): Answer {
  const errno = errnoOf(refusal)
  return errno === undefined ? refuse(refusal) : failed(errno)
}
