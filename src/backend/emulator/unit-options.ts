/**
 * What one remapping unit can do, and how much it holds: the fields of its CAP and ECAP registers
 * and the sizes of its caches. Read by the unit, its walks and its registers.
 */

import { assert } from '../../core/assert.js'
import { PHYSICAL_BITS } from './memory.js'
import { PAGE_NUMBER_BITS } from './pages.js'

export interface UnitOptions {
  /** Translations; a power of two from 2 on, like the next two. */
  readonly iotlbEntries: number
  /** Translations that each device keeps. */
  readonly deviceTlbEntries: number
  /** Paging entries that lead to tables, of both stages together. */
  readonly pagingStructureEntries: number
  /** PASID-table entries. */
  readonly pasidCacheEntries: number
  /** CAP.MAMV: a page-selective descriptor covers 2^this pages at most. 9..52. */
  readonly addressMask: number
  /** CAP.FL1GP: the first stage has leaves of 1 GiB. */
  readonly leaf1G: boolean
  /** CAP.FL5LP: it may have 5 levels. */
  readonly fiveLevels: boolean
  /** ECAP.SRS. */
  readonly supervisorRequests: boolean
  /** ECAP.EAFS. */
  readonly extendedAccessed: boolean
  /** HAW: bits of a host-physical address; those beyond it are reserved in all entries. 39..52. */
  readonly hostAddressWidth: number
  /** CAP.CM: entries that are not present or wrong may be cached as well (VT-d 6.1). */
  readonly cachingMode: boolean
  /** Off: a full cache grows to 65536 entries before it replaces its oldest. */
  readonly eviction: boolean
}

export const UNIT_DEFAULTS: UnitOptions = {
  // Of the order of a real unit's; a network card's own cache holds some hundreds.
  iotlbEntries: 4096,
  deviceTlbEntries: 256,
  pagingStructureEntries: 1024,
  pasidCacheEntries: 1024,
  // Of the recorded host: one descriptor covers 1 GiB.
  addressMask: 18,
  leaf1G: true,
  fiveLevels: true,
  supervisorRequests: true,
  extendedAccessed: true,
  hostAddressWidth: PHYSICAL_BITS,
  cachingMode: false,
  eviction: true,
}

const HOST_ADDRESS_WIDTH_MIN = 39
/** The largest leaf of 2 MiB is one block. */
const ADDRESS_MASK_MIN = 9

export function assertOptions({ addressMask, hostAddressWidth }: UnitOptions): void {
  const mask = addressMask >= ADDRESS_MASK_MIN && addressMask <= PAGE_NUMBER_BITS
  assert(Number.isSafeInteger(addressMask) && mask, `MAMV: ${addressMask}`)
  const wide = hostAddressWidth >= HOST_ADDRESS_WIDTH_MIN && hostAddressWidth <= PHYSICAL_BITS
  assert(Number.isSafeInteger(hostAddressWidth) && wide, `HAW: ${hostAddressWidth}`)
}
