/** Numbers on the command line: decimal, or hexadecimal with 0x. */

import { PASID_LAST } from '../core/ids.js'
import { CliFailure, EXIT } from './exits.js'

/** Undefined: it is no number at all. @throws CliFailure for a number that is no PASID */
export function pasidIn(text: string): number | undefined {
  if (!/^(\d+|0x[0-9a-fA-F]+)$/.test(text)) return undefined
  const value = Number(text)
  if (value >= 1 && value <= PASID_LAST) return value
  throw new CliFailure(`${text} is no PASID: they go from 1 to ${PASID_LAST}`, EXIT.USAGE)
}

/** @throws CliFailure */
export function requirePasid(text: string): number {
  const pasid = pasidIn(text)
  if (pasid !== undefined) return pasid
  throw new CliFailure(`${text} is no PASID: they are numbers, 1 to ${PASID_LAST}`, EXIT.USAGE)
}
