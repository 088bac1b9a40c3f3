/** What the emulator's laboratory answers, for people. */

import type { RecordedFault, TranslateResponse, WatchFaultsResponse } from '../client/index.js'
import { idOf, when } from './columns.js'
import type { Fact } from './facts.js'
import { hex } from './numbers.js'
import type { Column } from './rows.js'

type Outcome = Pick<TranslateResponse, 'translated' | 'fault'>
type Target = RecordedFault['target']

export function targetOf(target: Target): string {
  if (target === null) return '-'
  return target.pasid === undefined ? 'RID' : String(target.pasid)
}

const KIB = 1024
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

/** Of a power of two, exactly. */
export function sizeText(bytes: string): string {
  let value = BigInt(bytes)
  let unit = 0
  while (value >= KIB && value % BigInt(KIB) === 0n && unit < UNITS.length - 1) {
    value /= BigInt(KIB)
    unit += 1
  }
  return `${value} ${UNITS[unit] ?? ''}`
}

export function outcomeText({ translated, fault }: Outcome): string {
  if (translated) return `${hex(translated.address)} in a page of ${sizeText(translated.pageSize)}`
  if (!fault) return '-'
  // Reason 0 is the emulator's own: nothing left the device, so there is nothing to record.
  const why = fault.reason === 0 ? '' : ' (FPD)'
  const unrecorded = fault.recorded ? '' : `, not recorded${why}`
  return `fault ${hex(fault.reason)} ${fault.name}${unrecorded}`
}

export function translationFacts(answer: TranslateResponse): Fact[] {
  const { staleness, source } = answer
  const met: Fact[] = [
    ['outcome', outcomeText(answer)],
    ['answered by', source],
  ]
  if (staleness === null) return [...met, ['tables', 'say the same']]
  const needed = staleness.needed.map((one): Fact => {
    const pages = one.size === '0' ? '' : ` ${hex(one.address)} ${sizeText(one.size)}`
    const place = one.device === '' ? `domain ${one.hardwareDomain}` : idOf(one.device)
    return ['needed', `${one.cache} ${place} PASID ${one.pasid}${pages}: ${one.remedy}`]
  })
  const stale: Fact[] = [
    ['STALE', staleness.difference],
    ['tables', outcomeText(staleness)],
  ]
  return [...met, ...stale, ...needed]
}

export const FAULT_COLUMNS: readonly Column<RecordedFault>[] = [
  { title: 'NUMBER', text: (row) => row.sequence, right: true },
  { title: 'TIME', text: (row) => when(row.time), width: 20 },
  { title: 'DEVICE', text: (row) => idOf(row.device) },
  { title: 'TARGET', text: (row) => targetOf(row.target), right: true },
  { title: 'ADDRESS', text: (row) => hex(row.address), right: true },
  { title: 'ACCESS', text: accessText },
  { title: 'REASON', text: (row) => `${hex(row.reason)} ${row.name}` },
]

function accessText({ write, privileged }: Pick<RecordedFault, 'write' | 'privileged'>): string {
  return `${write ? 'write' : 'read'}${privileged ? ' privileged' : ''}`
}

export function watchedFaultText({ fault, lost }: WatchFaultsResponse): string {
  if (fault) {
    const place = `${idOf(fault.device)} ${targetOf(fault.target)} ${hex(fault.address)}`
    const number = fault.sequence.padStart(8)
    return `${number}  ${place} ${accessText(fault)}: ${hex(fault.reason)} ${fault.name}`
  }
  return `${'LOST'.padStart(8)}  ${lost ?? '0'} faults were MISSED`
}

const BYTES_PER_LINE = 32
const WORD_BYTES = 8

/** Little-endian words of 64 bits, four a line. */
export function wordLines(address: bigint, data: Buffer): string[] {
  const lines: string[] = []
  for (let at = 0; at < data.length; at += BYTES_PER_LINE) {
    const words: string[] = []
    for (let i = at; i < Math.min(at + BYTES_PER_LINE, data.length); i += WORD_BYTES) {
      words.push(data.readBigUInt64LE(i).toString(16).padStart(16, '0'))
    }
    const place = (address + BigInt(at)).toString(16).padStart(12, '0')
    lines.push(`0x${place}  ${words.join(' ')}`)
  }
  return lines
}
