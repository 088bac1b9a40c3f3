/** docs/EMULATOR.md against the code, both ways: faults, operation log, sizes that it names. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { FAULT, isRecorded, type FaultName } from '../../src/backend/emulator/faults.js'
import { ContextCache } from '../../src/backend/emulator/context-cache.js'
import { FAULTS_KEPT_DEFAULT } from '../../src/backend/emulator/fault-records.js'
import {
  OPERATIONS_KEPT_DEFAULT,
  type Operation,
} from '../../src/backend/emulator/operation-log.js'
import { PAGE_REQUESTS_WAITING_MAX } from '../../src/backend/emulator/page-requests.js'
import { silenced } from '../../src/backend/emulator/reset.js'
import { GROWN_ENTRIES_MAX } from '../../src/backend/emulator/tagged-cache.js'
import { UNIT_DEFAULTS } from '../../src/backend/emulator/unit-options.js'

const FILE = path.resolve(import.meta.dirname, '../../docs/EMULATOR.md')
const DOCUMENT = fs.readFileSync(FILE, 'utf8')

function section(title: string): string {
  const [, found = ''] = DOCUMENT.split(`\n## ${title}\n`)
  const [text = ''] = found.split('\n## ')
  return text
}

function rows(title: string): readonly (readonly string[])[] {
  const lines = section(title).split('\n')
  return lines
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

/** The compiler knows when one is missing or too many. */
const KINDS: Readonly<Record<Operation['kind'], true>> = {
  WRITE_CONTEXT: true,
  CLEAR_CONTEXT: true,
  WRITE_ENTRY: true,
  SET_PRESENT: true,
  CLEAR_PRESENT: true,
  CLEAR_ENTRY: true,
  INVALIDATE_CONTEXT: true,
  INVALIDATE_PASID_CACHE: true,
  INVALIDATE_PIOTLB: true,
  INVALIDATE_IOTLB: true,
  INVALIDATE_DEVICE_TLB: true,
  INVALIDATE_WHOLE_DEVICE_TLB: true,
  DRAIN_PAGE_REQUESTS: true,
  PAGE_GROUP_RESPONSE: true,
}

describe('docs/EMULATOR.md', () => {
  test('has every fault with its code and what FPD does, and none besides, each once', () => {
    const documented = rows('Faults').filter(([code = '']) => code.startsWith('0x'))
    const inCode = Object.entries(FAULT).map(([name, code]) => {
      const kept = isRecorded(name as FaultName, true) ? 'always' : 'not recorded'
      return [`0x${code.toString(16)}`, `\`${name}\``, kept]
    })
    expect(documented.map(([code, name, , kept]) => [code, name, kept])).toEqual(inCode)
    for (const [, name, meaning = ''] of documented) expect(meaning, name).not.toBe('')
  })

  test('names what an access of a silent device comes to', () => {
    for (const name of ['DEVICE_DEAD', 'DEVICE_RESETTING'] as const) {
      expect(silenced(name)).toMatchObject({ reason: 0, recorded: false })
      expect(section('Faults')).toContain(`\`${name}\``)
    }
  })

  test('has every kind of operation that the log can have, and none besides, each once', () => {
    const documented = rows('The operation log').flatMap(([kinds = '']) => {
      return [...kinds.matchAll(/`([A-Z_]+)`/g)].map(([, kind]) => kind)
    })
    expect(documented.toSorted()).toEqual(Object.keys(KINDS).toSorted())
  })

  test('says how much each cache holds', () => {
    const { pasidCacheEntries, iotlbEntries, deviceTlbEntries } = UNIT_DEFAULTS
    const sizes = rows('Caches')
      .slice(1)
      .map(([cache, , entries]) => [cache, Number(entries)])
    expect(sizes).toEqual([
      ['context', new ContextCache().capacity],
      ['PASID', pasidCacheEntries],
      ['IOTLB', iotlbEntries],
      ['paging-structure', UNIT_DEFAULTS.pagingStructureEntries],
      ['device-TLB, one a device with ATS', deviceTlbEntries],
    ])
    expect(GROWN_ENTRIES_MAX).toBe(65_536)
    expect(section('Caches')).toContain('65 536')
  })

  test('says how much is kept, and where a device has too many page requests', () => {
    expect(section('Faults')).toContain(`the newest ${FAULTS_KEPT_DEFAULT};`)
    expect(OPERATIONS_KEPT_DEFAULT).toBe(16_384)
    expect(section('The operation log')).toContain('the newest 16 384.')
    expect(section('Page requests')).toContain(`${PAGE_REQUESTS_WAITING_MAX} descriptors`)
  })
})
