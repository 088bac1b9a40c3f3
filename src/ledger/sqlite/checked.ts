/**
 * Values from the file, taken for what they should be. What is asserted before a row is written is
 * checked here when it is read.
 */

import { CodecFault } from '../bytes.js'

export function damaged(what: string): never {
  throw new CodecFault(what)
}

export function whole(value: unknown, last: number, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > last) {
    damaged(`${what}: ${String(value)}`)
  }
  return value
}

export function numberOf(value: unknown): number {
  return whole(value, Number.MAX_SAFE_INTEGER, 'number in a record')
}

export function oneOf<S>(known: readonly S[], value: unknown): S {
  const found = known.find((one) => one === value)
  if (found === undefined) damaged(`unknown state ${String(value)}`)
  return found
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) damaged('a record is not an object')
  return value as Readonly<Record<string, unknown>>
}
