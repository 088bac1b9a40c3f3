/** What the EmulatorLab's messages have in common: targets, names of caches, bounds of windows. */

import type { CacheName } from '../../backend/lab.js'
import { RID, type Target } from '../../core/ids.js'
import type { EmulatedTarget } from '../../wire/generated/pasid/v1/EmulatedTarget.js'
import type { EmulatedTarget__Output } from '../../wire/generated/pasid/v1/EmulatedTarget.js'
import { targetOf } from '../convert/binding.js'
import type { Fields } from '../convert/fields.js'

export const CACHES: Readonly<Record<CacheName, string>> = {
  CONTEXT: 'context',
  PASID: 'pasid',
  IOTLB: 'iotlb',
  PAGING_STRUCTURE: 'paging-structure',
  DEVICE_TLB: 'device-tlb',
}

const PAGE_MASK = 0xfffn

export function emulatedTargetOf(fields: Fields, message: EmulatedTarget__Output | null): Target {
  return targetOf(fields, 'target.', message ?? {})
}

export function emulatedTargetProto(target: number): EmulatedTarget {
  return target === RID ? { rid: true } : { pasid: target }
}

/** `devices/{name}`, or empty for none in particular. */
export function deviceOrNone(fields: Fields, field: string, value: string): string {
  return value === '' ? '' : fields.name(field, value, 'devices')
}

/** A whole number up to `last`. */
export function atMost(fields: Fields, field: string, value: number, last: number): number {
  if (value > last) {
    fields.no(field, String(value), `a whole number from 0 to ${last}`, 'send less')
  }
  return value
}

/** How many rows: 1 to `last`; 0 is `unsaid`. */
export function rowsOf(fields: Fields, value: number, unsaid: number, last: number): number {
  if (value > last) {
    fields.no('count', String(value), `1 to ${last}, or 0 for ${unsaid}`, 'ask in several calls')
  }
  return value === 0 ? unsaid : value
}

/** A sequence number; what no number of a sequence can be is beyond all of them. */
export function sequenceOf(value: string): number {
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}

/** 64 bits, 4 KiB aligned. */
export function pageAddressOf(fields: Fields, field: string, value: string): bigint {
  const address = BigInt(value)
  if ((address & PAGE_MASK) !== 0n) {
    fields.no(field, value, 'a multiple of 4096', 'round down to a page')
  }
  return address
}
