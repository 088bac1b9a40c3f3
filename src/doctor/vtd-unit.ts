/** What a VT-d unit can do, by its capability registers (11.4.3; Linux intel/iommu.h ecap_*). */

import { PASID_BITS_MAX } from '../core/ids.js'
import { fieldOf } from '../uapi/register-fields.js'
import type { HostFacts, IommuUnit } from './host-facts.js'

const ECAP_NEST = 26
const ECAP_PASID = 40
const ECAP_SMTS = 43
const ECAP_PSS_FIRST = 35
const ECAP_PSS_LAST = 39

export interface VtdAbilities {
  readonly scalableMode: boolean
  readonly nested: boolean
  /** PASIDs are below 2^this: 2 << ECAP.PSS, with ECAP.PASID; else 0. */
  readonly pasidBits: number
}

/** Undefined: its registers are not to be seen. */
export function abilitiesOf({ ecap }: IommuUnit): VtdAbilities | undefined {
  if (ecap === undefined) return undefined
  const has = (bit: number) => fieldOf(ecap, bit, bit) === 1
  const width = Math.min(PASID_BITS_MAX, fieldOf(ecap, ECAP_PSS_FIRST, ECAP_PSS_LAST) + 1)
  return {
    scalableMode: has(ECAP_SMTS),
    nested: has(ECAP_NEST),
    pasidBits: has(ECAP_PASID) ? width : 0,
  }
}

/** Those that the functions are behind; without any function, all. */
export function unitsInQuestion({ iommus, functions }: HostFacts): readonly IommuUnit[] {
  const names = new Set(functions.map(({ iommu }) => iommu))
  const behind = iommus.filter(({ name }) => names.has(name))
  return behind.length > 0 ? behind : iommus
}
