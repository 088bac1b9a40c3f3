/**
 * One walk for people: every level of the first and the second stage on the way of an input
 * address, with the entry's value and flags. Only looks: no cache, no flag set, no right checked.
 * Ends where there is nothing to go on with, and says so.
 */

import type { PhysicalMemory } from './memory.js'
import { hex, SECOND_STAGE_LEVELS } from './second-stage-summary.js'
import type { PasidEntry } from './pasid-entry.js'

type SecondStage = NonNullable<PasidEntry['secondStage']>

const INDEX_BITS = 9
const PAGE_BITS = 12
const ADDRESS = 0x000f_ffff_ffff_f000n
const PAGE_SIZE = 0x80n

/** VT-d 9.7 and 9.8: bits by their names, the highest first. */
const FIRST_STAGE_FLAGS: readonly (readonly [bit: bigint, name: string])[] = [
  [10n, 'EA'],
  [7n, 'PS'],
  [6n, 'D'],
  [5n, 'A'],
  [2n, 'U/S'],
  [1n, 'R/W'],
  [0n, 'P'],
]
const SECOND_STAGE_FLAGS: readonly (readonly [bit: bigint, name: string])[] = [
  [9n, 'D'],
  [8n, 'A'],
  [7n, 'PS'],
  [1n, 'W'],
  [0n, 'R'],
]

function flagsText(entry: bigint, flags: typeof FIRST_STAGE_FLAGS): string {
  const set = flags.filter(([bit]) => ((entry >> bit) & 1n) === 1n).map(([, name]) => name)
  return set.length === 0 ? 'none' : set.join(' ')
}

/** What the walked entry is called. */
export interface WalkedEntry {
  readonly pasid: number
  readonly entry: PasidEntry
}

/** `address`: as the device sends it, 64 bits. */
export function walkLines(
  memory: PhysicalMemory,
  { pasid, entry }: WalkedEntry,
  address: bigint,
): readonly string[] {
  const { firstStage, secondStage } = entry
  const lines = [`walk of ${hex(address)} from PASID entry ${pasid}`]
  if (firstStage === undefined) {
    if (secondStage === undefined) return [...lines, `  no table: host-physical ${hex(address)}`]
    throughSecondStage(memory, secondStage, address, '  ', lines)
    return lines
  }
  /** Host-physical of an address that a first stage names. */
  const host = (named: bigint): bigint | undefined => {
    if (secondStage === undefined) return named
    return throughSecondStage(memory, secondStage, named, '    ', lines)
  }
  let table = BigInt(firstStage.pointer)
  for (let level: number = firstStage.levels; level > 0; level -= 1) {
    const found = host(table)
    if (found === undefined) return lines
    const shift = BigInt(PAGE_BITS + INDEX_BITS * (level - 1))
    const index = (address >> shift) & 0x1ffn
    const at = found + index * 8n
    const value = memory.read(Number(at))
    const place = `  first stage, level ${level}: entry ${index} of ${hex(table)} at ${hex(at)}`
    if (value === undefined) return [...lines, `${place}: no memory`]
    lines.push(`${place}: ${hex(value)}, flags ${flagsText(value, FIRST_STAGE_FLAGS)}`)
    if ((value & 1n) === 0n) return [...lines, '  not present']
    const leaf = level === 1 || (value & PAGE_SIZE) !== 0n
    if (!leaf) {
      table = value & ADDRESS
      continue
    }
    const mask = (1n << shift) - 1n
    const output = (value & ADDRESS & ~mask) | (address & mask)
    const kind = secondStage === undefined ? 'host-physical' : 'guest-physical'
    lines.push(`  leaf: ${kind} ${hex(output)}`)
    if (secondStage !== undefined) host(output)
    return lines
  }
  return lines
}

/** Undefined where it ends; the lines say why. */
function throughSecondStage(
  memory: PhysicalMemory,
  { pointer, width }: SecondStage,
  address: bigint,
  indent: string,
  lines: string[],
): bigint | undefined {
  if (address >> BigInt(width) !== 0n) {
    lines.push(
      `${indent}guest-physical ${hex(address)} is beyond the ${width} bits of the second stage`,
    )
    return undefined
  }
  let table = BigInt(pointer)
  for (let level = SECOND_STAGE_LEVELS[width]; level > 0; level -= 1) {
    const shift = BigInt(PAGE_BITS + INDEX_BITS * (level - 1))
    const index = (address >> shift) & 0x1ffn
    const at = table + index * 8n
    const value = memory.read(Number(at))
    const entry = `entry ${index} at ${hex(at)}`
    const place = `${indent}second stage of ${hex(address)}, level ${level}: ${entry}`
    if (value === undefined) {
      lines.push(`${place}: no memory`)
      return undefined
    }
    lines.push(`${place}: ${hex(value)}, flags ${flagsText(value, SECOND_STAGE_FLAGS)}`)
    if ((value & 3n) === 0n) {
      lines.push(`${indent}not present: no memory is mapped there`)
      return undefined
    }
    if (level > 1 && (value & PAGE_SIZE) === 0n) {
      table = value & ADDRESS
      continue
    }
    const mask = (1n << shift) - 1n
    const output = (value & ADDRESS & ~mask) | (address & mask)
    lines.push(`${indent}host-physical ${hex(output)}`)
    return output
  }
  return undefined
}
