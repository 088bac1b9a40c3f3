/**
 * Numbers of the hardware on the command line, decimal or hexadecimal with 0x, and how they read.
 */

import { InvalidArgumentError } from 'commander'
import { PASID_LAST } from '../core/ids.js'

const NUMBER = /^(\d+|0x[0-9a-f]+)$/i
const WORD_LAST = 2n ** 64n - 1n

/** 64 bits. @throws InvalidArgumentError */
export function parseWord(text: string): bigint {
  if (NUMBER.test(text)) {
    const value = BigInt(text)
    if (value <= WORD_LAST) return value
  }
  throw new InvalidArgumentError('must be a number of 64 bits, decimal or 0x hexadecimal.')
}

/** 32 bits. @throws InvalidArgumentError */
export function parseCount(text: string): number {
  const value = parseWord(text)
  if (value <= 0xffff_ffffn) return Number(value)
  throw new InvalidArgumentError('must be a number of 32 bits, decimal or 0x hexadecimal.')
}

/** A PASID, or `rid`: requests without one. @throws InvalidArgumentError */
export function parseTarget(text: string): number | 'rid' {
  if (text.toLowerCase() === 'rid') return 'rid'
  const value = parseCount(text)
  if (value >= 1 && value <= PASID_LAST) return value
  throw new InvalidArgumentError(`must be a PASID from 1 to ${PASID_LAST}, or rid.`)
}

/** Whole milliseconds, at most an hour. @throws InvalidArgumentError */
export function parseMs(text: string): number {
  const value = parseCount(text)
  if (value <= 3_600_000) return value
  throw new InvalidArgumentError('must be whole milliseconds, at most 3600000.')
}

export function hex(value: bigint | number | string): string {
  return `0x${BigInt(value).toString(16)}`
}
