/**
 * The parts of records that are JSON, in batches and in rows alike: labels, owners, limits changed
 * at run time. Each pair asserts on the way in what it checks on the way out; an owner and limits
 * are taken only as they would be written, so nothing foreign hides in them.
 */

import { assert } from '../core/assert.js'
import { PASID_LAST } from '../core/ids.js'
import type { Owner } from '../core/owner.js'
import { TENANT_LIMITS, type TenantLimit, type TenantOverride } from '../core/quota.js'
import type { PasidRange } from '../core/range.js'
import type { Labels } from '../core/session.js'
import { CodecFault } from './bytes.js'

/** include/linux/threads.h PID_MAX_LIMIT. */
export const PID_LAST = 2 ** 22
/** include/linux/types.h uid_t, gid_t. */
export const USER_ID_LAST = 0xffff_ffff
/** 64 bits in decimal, as /proc prints them; empty where the kernel does not tell. */
const DECIMAL = /^\d{0,20}$/
/** How much of a damaged text its message shows. */
const SHOWN_LENGTH_MAX = 200

type Loose<T> = { readonly [Key in keyof T]?: unknown }

// -- labels --------------------------------------------------------------------------------------

/** Pairs with JSON.stringify(). */
export function labelsOf(text: string): Labels {
  const labels = Object.create(null) as Record<string, string>
  for (const [key, value] of Object.entries(objectIn(text))) {
    if (typeof value !== 'string') throw new CodecFault(`label ${key} is not a text`)
    labels[key] = value
  }
  return { ...labels }
}

// -- owners --------------------------------------------------------------------------------------

export function ownerText(owner: Owner): string {
  assert(isOwner(owner), 'an owner is a process with its credentials')
  const { pid, inode, startTime, pidNamespace, uid, gid } = owner
  return JSON.stringify({ pid, inode, startTime, pidNamespace, uid, gid })
}

export function ownerOf(text: string): Owner {
  const found: Loose<Owner> = objectIn(text)
  if (!isOwner(found) || ownerText(found) !== text) throw damagedText('owner', text)
  return found
}

function isOwner(owner: Loose<Owner>): owner is Owner {
  const names = [owner.inode, owner.startTime, owner.pidNamespace]
  return (
    isWhole(owner.pid, 1, PID_LAST) &&
    names.every((name) => typeof name === 'string' && DECIMAL.test(name)) &&
    isWhole(owner.uid, 0, USER_ID_LAST) &&
    isWhole(owner.gid, 0, USER_ID_LAST)
  )
}

// -- limits changed at run time ------------------------------------------------------------------

/** The same limits give the same text, in whatever order they were set: rows are compared by it. */
export function overrideText(override: TenantOverride): string {
  assert(isOverride(override), 'limits changed at run time are some, and within their bounds')
  const sorted: { [Limit in TenantLimit]?: number | PasidRange | null } = {}
  for (const limit of TENANT_LIMITS) {
    const value = override[limit]
    if (value === undefined) continue
    const isRange = typeof value === 'object' && value !== null
    sorted[limit] = isRange ? { first: value.first, last: value.last } : value
  }
  return JSON.stringify(sorted)
}

export function overrideOf(text: string): TenantOverride {
  const found: Loose<TenantOverride> = objectIn(text)
  if (!isOverride(found) || overrideText(found) !== text) throw damagedText('override', text)
  return found
}

function isOverride(override: Loose<TenantOverride>): override is TenantOverride {
  const limits = Object.keys(override)
  return (
    limits.length > 0 &&
    limits.every((limit) => TENANT_LIMITS.some((known) => known === limit)) &&
    TENANT_LIMITS.every((limit) => {
      const value = override[limit]
      if (!limits.includes(limit) || value === null) return true
      return limit === 'window' ? isRange(value) : isWhole(value, 0, Number.MAX_SAFE_INTEGER)
    })
  )
}

function isRange(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { first, last }: Loose<PasidRange> = value
  return isWhole(last, 1, PASID_LAST) && isWhole(first, 1, last)
}

// -- any JSON ------------------------------------------------------------------------------------

function isWhole(value: unknown, first: number, last: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= first && Number(value) <= last
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new CodecFault('a JSON text is damaged', { cause })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new CodecFault('a JSON text is not an object')
  }
  return parsed as Readonly<Record<string, unknown>>
}

function damagedText(what: string, text: string): CodecFault {
  return new CodecFault(`${what}: ${text.slice(0, SHOWN_LENGTH_MAX)}`)
}
