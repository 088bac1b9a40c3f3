/**
 * What an emulator's log of operations must say of a teardown: for each entry the whole sequence of
 * intel_pasid_tear_down_entry (Linux drivers/iommu/intel/pasid.c), in its order, with the tags that
 * the entry had, nothing between, and no other entry touched.
 */

import type { Emulator } from '../../src/backend/emulator/emulator.js'
import type { Operation } from '../../src/backend/emulator/operation-log.js'
import { RID } from '../../src/core/ids.js'

/** An entry as it stood before. */
export interface Entry {
  readonly device: string
  /** 0: the RID's. */
  readonly target: number
  /** The hardware's domain id. */
  readonly domain: number
  /** Whether a first stage alone translates: then the IOTLB is invalidated by PASID. */
  readonly firstStageOnly: boolean
}

const ENTRIES_READ = 1000

/** The present entries of the devices, the first device's first. */
export function entriesOf(emulator: Emulator, devices: readonly string[]): readonly Entry[] {
  return devices.flatMap((device) => {
    const { entries } = emulator.dumpTables(device, { first: 0, count: ENTRIES_READ })
    return entries.map(({ pasid, entry }) => {
      const { domain, type } = entry
      return { device, target: pasid, domain, firstStageOnly: type === 'FIRST_STAGE' }
    })
  })
}

/** `ats`: whether the device has a device-TLB. `answered`: page-request groups that wait. */
export function teardownOf(entry: Entry, ats = true, answered = 0): readonly object[] {
  const { device, target, domain, firstStageOnly } = entry
  const block = undefined
  const leaf = false
  const pasid = target === RID ? undefined : target
  return [
    { kind: 'CLEAR_PRESENT', device, target },
    { kind: 'INVALIDATE_PASID_CACHE', domain, pasid: target },
    firstStageOnly
      ? { kind: 'INVALIDATE_PIOTLB', domain, pasid: target, block, leaf }
      : { kind: 'INVALIDATE_IOTLB', domain, block, leaf },
    ...(ats ? [{ kind: 'INVALIDATE_DEVICE_TLB', device, pasid, block }] : []),
    { kind: 'CLEAR_ENTRY', device, target },
    { kind: 'DRAIN_PAGE_REQUESTS', device, target, answered },
  ]
}

const ENDS: readonly Operation['kind'][] = ['DRAIN_PAGE_REQUESTS']

/**
 * The log in parts: each teardown from CLEAR_PRESENT to its drain, by its entry, in the order done.
 * What is not part of one is answered beside.
 */
export function partsOf(log: readonly Operation[]): {
  readonly teardowns: ReadonlyMap<string, readonly Operation[]>
  readonly beside: readonly Operation[]
} {
  const teardowns = new Map<string, readonly Operation[]>()
  const beside: Operation[] = []
  let open: Operation[] | undefined
  for (const operation of log) {
    if (operation.kind === 'CLEAR_PRESENT') {
      if (open !== undefined) throw new Error(`a teardown within another: ${nameOf(operation)}`)
      if (teardowns.has(nameOf(operation))) throw new Error(`${nameOf(operation)} a second time`)
      open = []
      teardowns.set(nameOf(operation), open)
    }
    if (open === undefined) beside.push(operation)
    else open.push(operation)
    if (ENDS.includes(operation.kind)) open = undefined
  }
  if (open !== undefined) throw new Error('a teardown has no end')
  return { teardowns, beside }
}

export function nameOf({ device, target }: Pick<Entry, 'device' | 'target'>): string {
  return `${device} ${target}`
}
