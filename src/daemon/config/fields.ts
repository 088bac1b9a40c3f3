/**
 * The leaves of the configuration: each checks one value and says, when it is wrong, what it is,
 * what it must be, and what to do. Holds: a message has no key in it; the path is put before it
 * later.
 */

import { z } from 'zod'
import { NAME_LENGTH_MAX } from '../../core/limits.js'
import { didYouMean } from './nearest.js'

/** Characters of a wrong value that are shown. */
const SHOWN_LENGTH_MAX = 60
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A value of the file as its author wrote it. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (value instanceof Date) return value.toISOString()
  const text = JSON.stringify(value)
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text
}

/** A leaf: `read` answers with the value, or undefined when it is not `bound`. */
export function leaf<T>(
  bound: string,
  read: (value: unknown) => T | undefined,
  remedy = '',
): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const result = read(value)
    if (result !== undefined) return result
    const advice = remedy === '' ? '' : `; ${remedy}`
    context.addIssue({ code: 'custom', message: `is ${shown(value)}, must be ${bound}${advice}` })
    return z.NEVER
  })
}

/** A whole number, both bounds inside. */
export function count(first: number, last: number, remedy = ''): z.ZodType<number> {
  const isCount = (value: unknown) =>
    typeof value === 'number' && Number.isInteger(value) && value >= first && value <= last
  return leaf(
    `a whole number from ${first} to ${last}`,
    (value) => (isCount(value) ? Number(value) : undefined),
    remedy,
  )
}

export function flag(): z.ZodType<boolean> {
  return leaf('true or false', (value) => (typeof value === 'boolean' ? value : undefined))
}

/** A length of time such as "1s", "250ms", "2m", "1h"; in milliseconds, both bounds inside. */
export function duration(firstMs: number, lastMs: number): z.ZodType<number> {
  const bound = `a time from ${timeText(firstMs)} to ${timeText(lastMs)}`
  const read = (value: unknown) => {
    const [, digits, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(String(value)) ?? []
    if (typeof value !== 'string' || digits === undefined || unit === undefined) return undefined
    const ms = Number(digits) * (UNITS_MS[unit] ?? Number.NaN)
    return ms >= firstMs && ms <= lastMs ? ms : undefined
  }
  return leaf(bound, read, 'write it as "500ms", "1s", "2m" or "1h"')
}

/** The shortest way to write a time that `duration` reads back. */
export function timeText(ms: number): string {
  for (const unit of ['h', 'm', 's']) {
    const size = UNITS_MS[unit] ?? 1
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms}ms`
}

/** Permission bits, written as in chmod. */
export function mode(): z.ZodType<number> {
  const read = (value: unknown) =>
    typeof value === 'string' && /^0?[0-7]{3}$/.test(value) ? Number.parseInt(value, 8) : undefined
  return leaf('permission bits in octal', read, 'write it in quotes, as in "0660"')
}

export function modeText(bits: number): string {
  return bits.toString(8).padStart(4, '0')
}

/** One of some words. */
export function choice<const T extends string>(words: readonly T[]): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const found = words.find((word) => word === value)
    if (found !== undefined) return found
    const bound = `one of ${words.map((word) => `"${word}"`).join(', ')}`
    const advice = typeof value === 'string' ? `; ${didYouMean(value, words)}` : ''
    context.addIssue({ code: 'custom', message: `is ${shown(value)}, must be ${bound}${advice}` })
    return z.NEVER
  })
}

/** A name of a device or tenant: one DNS label. */
export function name(): z.ZodType<string> {
  const isName = (value: unknown): value is string =>
    typeof value === 'string' &&
    value.length <= NAME_LENGTH_MAX &&
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(value)
  const bound = `1 to ${NAME_LENGTH_MAX} characters a-z, 0-9 and -, with no - at either end`
  return leaf(bound, (value) => (isName(value) ? value : undefined))
}

/** Text for people, or a name of the system. */
export function text(lengthMax: number): z.ZodType<string> {
  const isText = (value: unknown): value is string =>
    typeof value === 'string' && value.length >= 1 && value.length <= lengthMax
  return leaf(`text of 1 to ${lengthMax} characters`, (value) =>
    isText(value) ? value : undefined,
  )
}

/** A path from the root, without `.` and `..`; trailing slashes are dropped. */
export function absolutePath(): z.ZodType<string> {
  const read = (value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith('/') || value.includes('\0'))
      return undefined
    if (value.split('/').some((part) => part === '.' || part === '..')) return undefined
    const clean = value.replace(/\/+/g, '/').replace(/\/$/, '')
    return clean === '' ? undefined : clean
  }
  return leaf('an absolute path without . or ..', read, 'start it with /')
}

/** Of a PCI function, in full and as sysfs writes it: domain, bus, device, function. */
export function pciAddress(): z.ZodType<string> {
  const read = (value: unknown) => {
    const text = typeof value === 'string' ? value.toLowerCase() : ''
    return /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(text) ? text : undefined
  }
  const remedy = 'write it as in /sys/bus/pci/devices, such as "0000:00:03.0"'
  return leaf('a PCI address in full', read, remedy)
}

/** A list; what it holds is checked by `item`. */
export function list<T>(item: z.ZodType<T>, lengthMax: number): z.ZodType<readonly T[]> {
  const items = z.array(item, {
    error: (issue) => `is ${shown(issue.input)}, must be a list in square brackets`,
  })
  return items.superRefine((value, context) => {
    if (value.length <= lengthMax) return
    const message = `has ${value.length} entries, must have at most ${lengthMax}`
    context.addIssue({ code: 'custom', message })
  })
}

/**
 * A table with these keys and no others. Several unknown keys give one line each; for those of
 * `foreign` it says what to do about that one.
 */
export function table<S extends z.ZodRawShape>(
  shape: S,
  foreign: Readonly<Record<string, string>> = {},
) {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') {
        return `is ${shown(issue.input)}, must be a table with ${known.join(', ')}`
      }
      const keys = issue.keys as readonly string[]
      const advice = (key: string) => foreign[key] ?? didYouMean(key, known)
      return keys.map((key) => `${key}: is no key here; ${advice(key)}`).join('\n')
    },
  })
}
