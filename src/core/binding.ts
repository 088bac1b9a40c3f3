/**
 * Bindings: which table a device's requests with a PASID (or without: RID) go through. One binding
 * per (device, target). The transitions are the table below; any other is a bug.
 */

import type { DeviceId, DomainId, Generation, Pasid, SessionId, Target } from './ids.js'
import type { AddressWidth } from './device.js'

export interface FirstStageTable {
  readonly kind: 'FIRST_STAGE'
  /** Guest-physical address of the top-level table; 4 KiB aligned, below 2^52. VT-d FLPTPTR. */
  readonly address: number
  readonly width: AddressWidth
  /** VT-d SRE: supervisor requests are allowed. */
  readonly supervisor: boolean
  /** VT-d WPE: only together with `supervisor`. */
  readonly writeProtect: boolean
  /** VT-d EAFE: extended accessed flag. */
  readonly extendedAccessed: boolean
}

/** Requests are not translated by a first stage (VT-d PGTT pass-through). */
export interface PassThrough {
  readonly kind: 'PASS_THROUGH'
}

export type Table = FirstStageTable | PassThrough

export type BindingState = 'BINDING' | 'BOUND' | 'UNBINDING' | 'LOST'

export interface Binding {
  readonly session: SessionId
  readonly device: DeviceId
  readonly target: Target
  /** The grant that the target's number came from; 0 for RID. */
  readonly generation: Generation
  readonly table: Table
  /** While a replace is under way: what was bound before, to be restored if it fails. */
  readonly previous: { readonly table: Table; readonly domain: DomainId } | undefined
  readonly domain: DomainId
  /** The guest's number for it; unique per device; equal to the PASID without translation. */
  readonly guestPasid: Pasid | undefined
  readonly state: BindingState
  /** Why it is LOST; empty otherwise. */
  readonly cause: string
}

/** From state to states; 'GONE' is no record at all. */
export const BINDING_TRANSITIONS: Readonly<
  Record<BindingState | 'GONE', readonly (BindingState | 'GONE')[]>
> = {
  GONE: ['BINDING'],
  // A bind that failed and touched nothing leaves nothing; one that may have touched is lost.
  BINDING: ['BOUND', 'UNBINDING', 'LOST', 'GONE'],
  // Replace goes through BINDING; a reset backend or a failed invalidation loses it.
  BOUND: ['BINDING', 'UNBINDING', 'LOST'],
  UNBINDING: ['GONE'],
  // The owner binds anew or unbinds.
  LOST: ['BINDING', 'UNBINDING', 'GONE'],
}

/** One number per (device, target): 12 bits of device above 20 bits of target. */
export function bindingKey(device: DeviceId, target: Target | Pasid): number {
  return device * 2 ** 20 + target
}

/** Pairs with bindingKey(). */
export function deviceOfKey(key: number): DeviceId {
  return Math.floor(key / 2 ** 20) as DeviceId
}

export function sameTable(a: Table, b: Table): boolean {
  if (a.kind === 'PASS_THROUGH' || b.kind === 'PASS_THROUGH') return a.kind === b.kind
  return (
    a.address === b.address &&
    a.width === b.width &&
    a.supervisor === b.supervisor &&
    a.writeProtect === b.writeProtect &&
    a.extendedAccessed === b.extendedAccessed
  )
}
