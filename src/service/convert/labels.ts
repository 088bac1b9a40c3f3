/** Labels: what callers write on sessions and grants for their own use. */

import {
  LABEL_KEY_LENGTH_MAX,
  LABEL_VALUE_LENGTH_MAX,
  LABELS_BYTES_MAX,
  LABELS_MAX,
} from '../../core/limits.js'
import type { Labels } from '../../core/session.js'
import { quoted } from '../../wire/quote.js'
import type { Fields } from './fields.js'

/** Begins with a letter or digit, so that no key means something to JavaScript (`__proto__`). */
const KEY = /^[a-z0-9][a-z0-9._/-]*$/
const KEY_BOUND =
  `1 to ${LABEL_KEY_LENGTH_MAX} characters a-z, 0-9, '.', '_', '/' and '-', ` +
  'the first a letter or digit'
const CONTROL = /\p{Cc}/u
const NONE: Labels = {}

/** In the order of their keys, so that equal labels are written equally. */
export function labelsOf(fields: Fields, labels: Readonly<Record<string, string>>): Labels {
  let none = true
  for (const _key in labels) {
    none = false
    break
  }
  if (none) return NONE
  const keys = Object.keys(labels)
  fields.count('labels', keys.length, LABELS_MAX, 'labels')
  const sorted: Record<string, string> = {}
  for (const key of keys.sort()) {
    const value = labels[key] ?? ''
    if (key.length > LABEL_KEY_LENGTH_MAX || !KEY.test(key)) {
      fields.no('labels', `key ${quoted(key)}`, KEY_BOUND, 'use such keys')
    }
    if (value.length > LABEL_VALUE_LENGTH_MAX) {
      const bound = `at most ${LABEL_VALUE_LENGTH_MAX} characters`
      fields.no(`labels[${quoted(key)}]`, `${value.length} characters`, bound, 'shorten it')
    }
    if (CONTROL.test(value)) {
      fields.no(`labels[${quoted(key)}]`, quoted(value), 'no control characters', 'leave them out')
    }
    sorted[key] = value
  }
  // Written with each number of a grant.
  const bytes = Buffer.byteLength(JSON.stringify(sorted))
  if (bytes > LABELS_BYTES_MAX) {
    const bound = `at most ${LABELS_BYTES_MAX} bytes of JSON all together`
    fields.no('labels', `${bytes} bytes`, bound, 'shorten them')
  }
  return sorted
}
