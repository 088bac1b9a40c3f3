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

/** A command's id that cannot be its answer's: none, or one of those under way. */
export function idRefusal(id: string, underWay: ReadonlySet<string>): Refusal | undefined {
  if (id !== '0' && !underWay.has(id)) return undefined
  const value = id === '0' ? '0' : `${id}, which is under way`
  const bound = 'at least 1, and unique among the commands under way'
  return { code: 'INVALID_ARGUMENT', field: 'id', value, bound, remedy: 'count upwards' }
}
