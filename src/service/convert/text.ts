/** Text for people and text from people: bounded, and always well formed. */

import { quoted } from '../../wire/quote.js'
import type { Fields } from './fields.js'

const CONTROL = /\p{Cc}/u
const REASON_LENGTH_MAX = 255

/** Cut to `length`; half a surrogate pair would be no UTF-8. */
export function shown(text: string, length: number): string {
  return text.slice(0, length).replace(/\p{Surrogate}/gu, '?')
}

/** Why an operator did something, for the audit. */
export function reasonOf(fields: Fields, reason: string): string {
  if (reason.length > REASON_LENGTH_MAX) {
    const bound = `at most ${REASON_LENGTH_MAX} characters`
    fields.no('reason', `${reason.length} characters`, bound, 'shorten it')
  }
  if (CONTROL.test(reason)) {
    fields.no('reason', quoted(reason), 'no control characters', 'leave them out')
  }
  return reason
}
