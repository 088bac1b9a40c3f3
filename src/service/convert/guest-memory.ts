/** Ranges of guest memory, mapped and taken away. */

import { GUEST_MEMORY_END, GUEST_RANGE_BYTES_MAX } from '../../core/limits.js'
import type { Outcome } from '../../core/refusal.js'
import { quoted } from '../../wire/quote.js'
import type { VmmRequest } from '../../wire/messages.js'
import { Fields } from './fields.js'

const PAGE_BYTES = 4096n
const TOKEN = /^[\x21-\x7e]{1,64}$/
const TOKEN_BOUND = '1 to 64 printable characters'

export interface GuestRange {
  /** Guest-physical. */
  readonly address: number
  readonly bytes: number
}

export interface MapAsked {
  readonly token: string
  readonly range: GuestRange & { readonly offset: number; readonly readOnly: boolean }
}

export function mapGuestMemoryOf(message: VmmRequest<'MapGuestMemory'>): Outcome<MapAsked> {
  const fields = new Fields()
  const { token, readOnly } = message
  if (token === '') fields.missing('token', TOKEN_BOUND)
  else if (!TOKEN.test(token)) {
    fields.no('token', quoted(token), TOKEN_BOUND, 'send the token as the side socket gave it')
  }
  const range = guestRangeOf(fields, message)
  const offset = pagesOf(fields, 'offset', message.offset)
  return fields.answer({ token, range: { ...range, offset, readOnly } })
}

/** Undefined: everything that is mapped. */
export function unmapGuestMemoryOf(
  message: VmmRequest<'UnmapGuestMemory'>,
): Outcome<GuestRange | undefined> {
  const fields = new Fields()
  const { guestAddress, size } = message
  if (guestAddress === '0' && size === '0') return fields.answer(undefined)
  return fields.answer(guestRangeOf(fields, message))
}

/** Whole pages below 2^48, one at least, and 1 TiB at most. */
export function guestRangeOf(
  fields: Fields,
  { guestAddress, size }: { readonly guestAddress: string; readonly size: string },
): GuestRange {
  const address = pagesOf(fields, 'guest_address', guestAddress)
  const bytes = pagesOf(fields, 'size', size)
  if (bytes === 0) fields.no('size', size, 'at least 4096', 'name a page or more')
  if (bytes > GUEST_RANGE_BYTES_MAX) {
    fields.no('size', size, 'at most 2^40', 'map it in several ranges, each with its own token')
  }
  if (address >= GUEST_MEMORY_END) {
    fields.no('guest_address', guestAddress, 'below 2^48', 'send a guest-physical address')
  }
  if (BigInt(guestAddress) + BigInt(size) > BigInt(GUEST_MEMORY_END)) {
    fields.no('size', size, 'guest_address + size at most 2^48', 'name less')
  }
  return { address, bytes }
}

/** Beyond 2^53 it is no exact number any more, and beyond every bound that is checked after it. */
export function pagesOf(fields: Fields, field: string, value: string): number {
  const whole = BigInt(value)
  if (whole % PAGE_BYTES !== 0n) {
    fields.no(field, value, 'a multiple of 4096', 'round it to whole pages')
  }
  if (whole > BigInt(Number.MAX_SAFE_INTEGER)) {
    fields.no(field, value, 'at most 2^53 - 4096', 'send less')
  }
  return Number(whole)
}
