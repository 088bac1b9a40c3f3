/**
 * The numbers of the domain, branded so that one is never taken for another. Each is made in one
 * place, here, by a function that asserts its range; foreign input is checked before it comes here.
 */

import { broken } from './assert.js'

declare const brand: unique symbol
export type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** 20 bits: PCIe "PASID" field of the TLP prefix; VT-d "PASID" of a scalable-mode table index. */
export const PASID_BITS_MAX = 20
export const PASID_LAST = 2 ** PASID_BITS_MAX - 1

/** 1..2^20-1. 0 is never a PASID of ours: include/linux/iommu.h IOMMU_NO_PASID. */
export type Pasid = Branded<number, 'Pasid'>
/** What a binding hangs on: a PASID, or `RID` (0): requests without PASID, VT-d RID_PASID. */
export type Target = Branded<number, 'Target'>
/** A numbering: 0 is HOST, 1 + device is the DEVICE scope of that device. */
export type NamespaceId = Branded<number, 'NamespaceId'>
/** A device's number in the ledger; stable for the ledger's life. 0..DEVICES_MAX-1. */
export type DeviceId = Branded<number, 'DeviceId'>
/** A tenant's number in the ledger; stable for the ledger's life. */
export type TenantId = Branded<number, 'TenantId'>
/** A session's number in the ledger; never used twice. 1..2^32-1. */
export type SessionId = Branded<number, 'SessionId'>
/** Counts committed changes; a whole number below 2^53. */
export type Revision = Branded<number, 'Revision'>
/** The revision of a number's grant: tells a reused number from its former self. */
export type Generation = Branded<number, 'Generation'>
/** 16 bits, given by the VMM to each binding: the guest's VT-d domain id. Known in its session. */
export type DomainId = Branded<number, 'DomainId'>
/** Milliseconds of the monotonic clock since an arbitrary start; never compared over restarts. */
export type InstantMs = Branded<number, 'InstantMs'>
/** Milliseconds since 1970 of the wall clock: for people and records, never for decisions. */
export type WallMs = Branded<number, 'WallMs'>

export const HOST_NAMESPACE = 0 as NamespaceId
export const RID = 0 as Target
export const DOMAIN_LAST = 0xffff
export const DEVICES_MAX = 4096
export const SESSION_ID_LAST = 0xffff_ffff

function whole(value: number, first: number, last: number, what: string): void {
  if (Number.isSafeInteger(value) && value >= first && value <= last) return
  broken(`${what}: ${value}`)
}

export function pasid(value: number): Pasid {
  whole(value, 1, PASID_LAST, 'pasid')
  return value as Pasid
}

export function target(value: number): Target {
  whole(value, 0, PASID_LAST, 'target')
  return value as Target
}

export function deviceId(value: number): DeviceId {
  whole(value, 0, DEVICES_MAX - 1, 'device id')
  return value as DeviceId
}

export function tenantId(value: number): TenantId {
  whole(value, 0, 0xffff, 'tenant id')
  return value as TenantId
}

export function sessionId(value: number): SessionId {
  whole(value, 1, SESSION_ID_LAST, 'session id')
  return value as SessionId
}

export function revision(value: number): Revision {
  whole(value, 0, Number.MAX_SAFE_INTEGER, 'revision')
  return value as Revision
}

export function generation(value: number): Generation {
  whole(value, 0, Number.MAX_SAFE_INTEGER, 'generation')
  return value as Generation
}

export function domainId(value: number): DomainId {
  whole(value, 0, DOMAIN_LAST, 'domain id')
  return value as DomainId
}

export function instantMs(value: number): InstantMs {
  if (!Number.isFinite(value) || value < 0) broken(`instant: ${value}`)
  return value as InstantMs
}

export function wallMs(value: number): WallMs {
  whole(value, 0, Number.MAX_SAFE_INTEGER, 'wall time')
  return value as WallMs
}

export function namespaceOfDevice(device: DeviceId): NamespaceId {
  return (device + 1) as NamespaceId
}

export function namespaceId(value: number): NamespaceId {
  whole(value, 0, DEVICES_MAX, 'namespace id')
  return value as NamespaceId
}
