/** The options that all commands of `pasidctl` have, and what a command is given to work with. */

import { InvalidArgumentError, type Command } from 'commander'
import type { OperatorClient } from '../client/index.js'
import type { Output } from './output.js'
import type { Terminal } from './terminal.js'

const PAGE_SIZE_DEFAULT = 1000
const PAGE_SIZE_MAX = 5000
const TIMEOUT_S_MAX = 3600
/** Linux PID_MAX_LIMIT. */
const PID_MAX = 2 ** 22

export const DEVICE_OPTION = ['--device <name>', 'in the DEVICE scope of this device'] as const
export const REASON_OPTION = ['--reason <text>', 'why, for the audit'] as const
export const YES_OPTION = ['-y, --yes', 'do not ask'] as const
export const DRY_RUN_OPTION = ['--dry-run', 'only show what it would do'] as const

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
  readonly terminal: Terminal
}

function whole(text: string, first: number, last: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= first && value <= last) return value
  throw new InvalidArgumentError(`must be a whole number from ${first} to ${last}.`)
}

export const parsePageSize = (text: string) => whole(text, 1, PAGE_SIZE_MAX)
export const parseLimit = (text: string) => whole(text, 1, Number.MAX_SAFE_INTEGER)

export const parsePid = (text: string) => whole(text, 1, PID_MAX)

/** A revision or a generation, 0 to 2^53 - 1; as text, as the API has it. */
export const parseRevision = (text: string) => String(whole(text, 0, Number.MAX_SAFE_INTEGER))

/** Seconds, with a fraction if need be; in milliseconds. */
export function parseTimeout(text: string): number {
  const seconds = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= TIMEOUT_S_MAX) return seconds * 1000
  throw new InvalidArgumentError(`must be seconds, more than 0 and at most ${TIMEOUT_S_MAX}.`)
}

/** The options of every command that lists. */
export function addPaging(command: Command): Command {
  return command
    .option('--page-size <rows>', 'rows asked for at a time', parsePageSize, PAGE_SIZE_DEFAULT)
    .option('--limit <rows>', 'end after so many', parseLimit)
}
