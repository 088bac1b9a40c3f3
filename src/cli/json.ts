/**
 * Messages as JSON: protobuf's own mapping (lowerCamel keys, names of enums, 64-bit numbers as
 * strings, times as RFC 3339), with every field present. Stable as long as the API is.
 */

interface Timestamp {
  readonly seconds: string
  readonly nanos: number
}

function isTimestamp(value: object): value is Timestamp {
  return 'seconds' in value && 'nanos' in value && Object.keys(value).length === 2
}

/** RFC 3339 in UTC, to the millisecond. */
export function timeText(time: Timestamp | null): string {
  if (time === null) return ''
  return new Date(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6)).toISOString()
}

/** Discriminators (`target`, `_hostMax`) are proto-loader's, not the message's. */
function isDiscriminator(key: string, value: unknown, message: object): boolean {
  return typeof value === 'string' && Object.hasOwn(message, value) && value !== key
}

export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (typeof value !== 'object' || value === null) return value
  if (isTimestamp(value)) return timeText(value)
  const entries = Object.entries(value).filter(([key, part]) => {
    return part !== undefined && !isDiscriminator(key, part, value)
  })
  return Object.fromEntries(entries.map(([key, part]) => [key, plain(part)]))
}
