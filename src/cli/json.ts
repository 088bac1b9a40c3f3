/**
 * Messages as JSON: protobuf's own mapping (lowerCamel keys, names of enums, 64-bit numbers as
 * strings, times as RFC 3339, spans as seconds), with every field present. Stable as long as the
 * API is. Holds: nothing in it steers a terminal.
 */

/** google.protobuf.Timestamp and Duration look the same here: the field's name tells. */
interface SecondsAndNanos {
  readonly seconds: string
  readonly nanos: number
}

/** Fields that are a google.protobuf.Duration; a test holds this against proto/. */
export const DURATION_FIELDS: ReadonlySet<string> = new Set(['hold', 'linger', 'sweepTime'])
/** oneofs of proto/, whose discriminators proto-loader adds; a test holds this against it too. */
export const ONEOFS: ReadonlySet<string> = new Set([
  'answer',
  'ask',
  'command',
  'event',
  'form',
  'granularity',
  'outcome',
  'response',
  'secondStage',
  'table',
  'tablesSay',
  'target',
  'what',
])
/** Maps, whose keys are the caller's. */
const MAPS: ReadonlySet<string> = new Set(['labels'])

function isSecondsAndNanos(value: object): value is SecondsAndNanos {
  return 'seconds' in value && 'nanos' in value && Object.keys(value).length === 2
}

/** RFC 3339 in UTC, to the millisecond. */
export function timeText(time: SecondsAndNanos | null): string {
  if (time === null) return ''
  return new Date(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6)).toISOString()
}

/** As protobuf writes it: `1s`, `0.250s`. */
export function durationText(span: SecondsAndNanos | null): string {
  if (span === null) return ''
  const digits = String(span.nanos)
    .padStart(9, '0')
    .replace(/(000)+$/, '')
  return digits === '' ? `${span.seconds}s` : `${span.seconds}.${digits}s`
}

/** Discriminators (`target`, `_hostMax`) are proto-loader's, not the message's. */
function isDiscriminator(key: string, value: unknown, message: object): boolean {
  if (!ONEOFS.has(key) && !key.startsWith('_')) return false
  return typeof value === 'string' && Object.hasOwn(message, value) && value !== key
}

export function plain(value: unknown, field = ''): unknown {
  if (Array.isArray(value)) return value.map((part) => plain(part, field))
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (typeof value !== 'object' || value === null) return value
  if (MAPS.has(field)) return value
  if (isSecondsAndNanos(value)) {
    return DURATION_FIELDS.has(field) ? durationText(value) : timeText(value)
  }
  const entries = Object.entries(value).filter(([key, part]) => {
    return part !== undefined && !isDiscriminator(key, part, value)
  })
  return Object.fromEntries(entries.map(([key, part]) => [key, plain(part, key)]))
}

function escaped(text: string): string {
  let out = ''
  for (let at = 0; at < text.length; at += 1) {
    out += `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`
  }
  return out
}

/**
 * JSON.stringify escapes what is below U+0020 only: not DEL, not the C1 controls (U+009B begins an
 * escape sequence as ESC [ does), not what turns the writing direction.
 */
export function jsonText(message: unknown, indent?: number): string {
  const text = JSON.stringify(plain(message), undefined, indent)
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)
}
