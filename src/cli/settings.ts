/** The options that all commands of `pasidctl` have, and what a command is given to work with. */

import { InvalidArgumentError } from 'commander'
import type { OperatorClient } from '../client/index.js'
import type { Output } from './output.js'

const PAGE_SIZE_MAX = 5000
const TIMEOUT_S_MAX = 3600

/** As commander parses them. */
export interface GlobalOptions {
  readonly socket?: string
  readonly output: 'table' | 'json'
  readonly timeout: number
}

export interface ListOptions {
  readonly pageSize: number
  readonly limit?: number
  readonly filter?: string
}

/** What a command works with. */
export interface Work {
  readonly client: OperatorClient
  readonly output: Output
  readonly format: 'table' | 'json'
  readonly timeoutMs: number
}

function whole(text: string, first: number, last: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= first && value <= last) return value
  throw new InvalidArgumentError(`must be a whole number from ${first} to ${last}.`)
}

export const parsePageSize = (text: string) => whole(text, 1, PAGE_SIZE_MAX)
export const parseLimit = (text: string) => whole(text, 1, Number.MAX_SAFE_INTEGER)

/** Seconds, with a fraction if need be; in milliseconds. */
export function parseTimeout(text: string): number {
  const seconds = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= TIMEOUT_S_MAX) return seconds * 1000
  throw new InvalidArgumentError(`must be seconds, more than 0 and at most ${TIMEOUT_S_MAX}.`)
}
