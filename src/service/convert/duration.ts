/** Spans of time that callers name. */

import type { Fields } from './fields.js'

/** google.protobuf.Duration, as it is decoded. */
interface DurationAsked {
  readonly seconds: string
  readonly nanos: number
}

const NANOS_LAST = 999_999_999

/** Whole milliseconds from 0 to `last`; nothing is 0. */
export function durationOf(
  fields: Fields,
  field: string,
  value: DurationAsked | null,
  lastMs: number,
): number {
  if (value === null) return 0
  const { seconds, nanos } = value
  const ms = Number(seconds) * 1000 + nanos / 1e6
  const whole = nanos >= 0 && nanos <= NANOS_LAST && nanos % 1e6 === 0
  if (whole && ms >= 0 && ms <= lastMs) return ms
  const bound = `whole milliseconds from 0 to ${lastMs / 1000} s`
  fields.no(field, `${seconds} s ${nanos} ns`, bound, 'ask for less, or round it')
  return 0
}
