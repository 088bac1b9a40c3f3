/**
 * The memory of what a session has of one IOMMU group, in a file that outlives the daemon: records
 * of one size, none of which crosses a page, so that each is written whole or not at all whatever
 * ends the process. Little endian. What cannot be read is nothing: no id is ever guessed.
 */

import type { FirstStageTable } from '../../core/binding.js'
import { PASID_LAST } from '../../core/ids.js'
import type { HwInfo } from './ports.js'

export const RECORD_BYTES = 128
/** "pasidd" and the version of the layout. */
const MAGIC = 0x70617369
const VERSION = 1
/** HEADER is the first record, and nowhere else. */
const TYPES = { FREE: 0, HEADER: 1, DEVICE: 2, HWPT: 3, PLACE: 4, PAGE: 5 } as const
const NAME_AT = 64
const NAME_BYTES_MAX = 63
const INFO_AT = 24
const INFO_BYTES_MAX = 40
/** In place of an HWPT's record: the parent. */
const PARENT = 0xffff_ffff
const WIDTHS = [48, 57] as const
const RESTING = ['NO', 'YES', 'INTENDED'] as const

export interface HeaderRecord {
  readonly type: 'HEADER'
  readonly session: number
  readonly parent: number
  /** Made by us on the IOAS. */
  readonly ownParent: { readonly ioas: number; readonly dirtyTracking: boolean } | undefined
  /** Undefined: there is none. */
  readonly faults: { readonly id: number; readonly own: boolean } | undefined
}

export interface DeviceRecord {
  readonly type: 'DEVICE'
  readonly name: string
  readonly devId: number
  readonly info: HwInfo
  /** Whether its RID was moved to the parent, or was about to be. */
  readonly resting: 'NO' | 'INTENDED' | 'YES'
}

export interface HwptRecord {
  readonly type: 'HWPT'
  readonly id: number
  readonly table: FirstStageTable
}

export interface PlaceRecord {
  readonly type: 'PLACE'
  /** Index of its record. */
  readonly device: number
  readonly target: number
  /** Index of its record; undefined: the parent. */
  readonly hwpt: number | undefined
  readonly domain: number
}

/** One page of a group of page requests that waits for its answer. */
export interface PageRecord {
  readonly type: 'PAGE'
  readonly device: number
  readonly target: number
  readonly group: number
  readonly cookie: number
  readonly address: bigint
  /** IOMMU_PGFAULT_PERM_*. */
  readonly perm: number
}

export type MemoryRecord = HeaderRecord | DeviceRecord | HwptRecord | PlaceRecord | PageRecord

export function encodeRecord(record: MemoryRecord | undefined): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES)
  if (record === undefined) return bytes
  const view = new DataView(bytes.buffer)
  view.setUint8(0, TYPES[record.type])
  switch (record.type) {
    case 'HEADER':
      putWords(view, [MAGIC, record.session, record.parent, record.ownParent?.ioas ?? 0])
      view.setUint32(20, record.faults?.id ?? 0, true)
      view.setUint8(1, VERSION)
      view.setUint8(2, record.ownParent === undefined ? 0 : record.ownParent.dirtyTracking ? 2 : 1)
      view.setUint8(3, record.faults === undefined ? 0 : record.faults.own ? 2 : 1)
      return bytes
    case 'DEVICE':
      return encodeDevice(bytes, view, record)
    case 'HWPT': {
      const { address, width, supervisor, writeProtect, extendedAccessed } = record.table
      view.setUint8(1, width)
      const flags = [supervisor, writeProtect, extendedAccessed]
      view.setUint8(
        2,
        flags.reduce((bits, flag, i) => bits | (flag ? 1 << i : 0), 0),
      )
      view.setUint32(4, record.id, true)
      view.setBigUint64(8, BigInt(address), true)
      return bytes
    }
    case 'PLACE':
      putWords(view, [record.device, record.target, record.hwpt ?? PARENT, record.domain])
      return bytes
    case 'PAGE':
      putWords(view, [record.device, record.target, record.group, record.cookie, record.perm])
      view.setBigUint64(24, record.address, true)
      return bytes
  }
}

/** Undefined: the record is free. 'BROKEN': it is none of ours. */
export function decodeRecord(bytes: Uint8Array): MemoryRecord | undefined | 'BROKEN' {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_BYTES)
  const word = (index: number): number => view.getUint32(4 + 4 * index, true)
  switch (view.getUint8(0)) {
    case TYPES.FREE:
      return undefined
    case TYPES.HEADER: {
      if (word(0) !== MAGIC || view.getUint8(1) !== VERSION) return 'BROKEN'
      const [own, faults] = [view.getUint8(2), view.getUint8(3)]
      return {
        type: 'HEADER',
        session: word(1),
        parent: word(2),
        ownParent: own === 0 ? undefined : { ioas: word(3), dirtyTracking: own === 2 },
        faults: faults === 0 ? undefined : { id: word(4), own: faults === 2 },
      }
    }
    case TYPES.DEVICE:
      return decodeDevice(bytes, view)
    case TYPES.HWPT: {
      const width = WIDTHS.find((known) => known === view.getUint8(1))
      const address = Number(view.getBigUint64(8, true))
      if (width === undefined || !Number.isSafeInteger(address)) return 'BROKEN'
      const has = (bit: number): boolean => (view.getUint8(2) & (1 << bit)) !== 0
      const flags = { supervisor: has(0), writeProtect: has(1), extendedAccessed: has(2) }
      return { type: 'HWPT', id: word(0), table: { kind: 'FIRST_STAGE', address, width, ...flags } }
    }
    case TYPES.PLACE: {
      const hwpt = word(2) === PARENT ? undefined : word(2)
      if (word(1) > PASID_LAST) return 'BROKEN'
      return { type: 'PLACE', device: word(0), target: word(1), hwpt, domain: word(3) }
    }
    case TYPES.PAGE: {
      if (word(1) > PASID_LAST) return 'BROKEN'
      const place = { device: word(0), target: word(1), group: word(2), cookie: word(3) }
      return { type: 'PAGE', ...place, perm: word(4), address: view.getBigUint64(24, true) }
    }
    default:
      return 'BROKEN'
  }
}

function putWords(view: DataView, words: readonly number[]): void {
  for (const [i, word] of words.entries()) view.setUint32(4 + 4 * i, word, true)
}

function encodeDevice(bytes: Uint8Array, view: DataView, record: DeviceRecord): Uint8Array {
  const { name, devId, info, resting } = record
  const data = info.data.subarray(0, INFO_BYTES_MAX)
  const text = new TextEncoder().encode(name).subarray(0, NAME_BYTES_MAX)
  view.setUint8(1, RESTING.indexOf(resting))
  view.setUint8(2, text.length)
  view.setUint8(3, data.length)
  view.setUint32(4, devId, true)
  view.setUint32(8, info.dataType, true)
  view.setUint8(12, info.maxPasidLog2)
  view.setBigUint64(16, info.capabilities, true)
  bytes.set(data, INFO_AT)
  bytes.set(text, NAME_AT)
  return bytes
}

function decodeDevice(bytes: Uint8Array, view: DataView): DeviceRecord | 'BROKEN' {
  const [nameBytes, dataBytes] = [view.getUint8(2), view.getUint8(3)]
  const resting = RESTING[view.getUint8(1)]
  if (nameBytes > NAME_BYTES_MAX || dataBytes > INFO_BYTES_MAX) return 'BROKEN'
  if (resting === undefined) return 'BROKEN'
  return {
    type: 'DEVICE',
    name: new TextDecoder().decode(bytes.subarray(NAME_AT, NAME_AT + nameBytes)),
    devId: view.getUint32(4, true),
    resting,
    info: {
      dataType: view.getUint32(8, true),
      maxPasidLog2: view.getUint8(12),
      capabilities: view.getBigUint64(16, true),
      data: bytes.slice(INFO_AT, INFO_AT + dataBytes),
    },
  }
}
