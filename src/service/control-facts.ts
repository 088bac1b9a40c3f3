/** What a Control stream says without looking: names of its commands, and refusals of its frame. */

import type { Refusal } from '../core/refusal.js'
import type { VmmResponse } from '../wire/messages.js'
import { quoted } from '../wire/quote.js'

export type AnswerKey = Exclude<keyof VmmResponse<'Control'>, 'id' | 'answer'>

/** `Control/AllocatePasids` and so on, made once. */
export const METHODS: Readonly<Partial<Record<AnswerKey, string>>> = {
  allocatePasids: 'Control/AllocatePasids',
  freePasids: 'Control/FreePasids',
  listPasids: 'Control/ListPasids',
  attachDevice: 'Control/AttachDevice',
  detachDevice: 'Control/DetachDevice',
  bindPasid: 'Control/BindPasid',
  unbindPasids: 'Control/UnbindPasids',
  invalidate: 'Control/Invalidate',
  invalidateRaw: 'Control/InvalidateRaw',
  respondPageRequest: 'Control/RespondPageRequest',
  getSession: 'Control/GetSession',
}

export const OPEN_FIRST: Refusal = {
  code: 'INVALID_ARGUMENT',
  field: 'command',
  value: 'another command',
  bound: 'open, as the first on a stream',
  remedy: 'send open first',
}
export const OPEN_AGAIN: Refusal = {
  code: 'INVALID_ARGUMENT',
  field: 'command',
  value: quoted('open'),
  bound: 'once a stream',
  remedy: 'open another stream for another session',
}
export const NO_COMMAND: Refusal = {
  code: 'INVALID_ARGUMENT',
  field: 'command',
  value: 'nothing',
  bound: 'one of the commands of ControlRequest',
  remedy: 'set it',
}
