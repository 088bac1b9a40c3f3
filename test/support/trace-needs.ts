/**
 * The invalidations that VT-d software must make for what it has changed, after Linux
 * drivers/iommu/intel/{pasid,cache,iommu}.c: in the order context, PASID, IOTLB, device-TLB; now
 * and then a wider one than needed. Carried out on a unit, and held against what an oracle names.
 */
import { assert } from '../../src/core/assert.js'
import type { IommuUnit } from '../../src/backend/emulator/unit.js'
import type { DescriptorBlock, VtdDescriptor } from '../../src/uapi/vtd-descriptor.js'
import { PAGE } from './trace-image.js'
import { blockStart, type Space } from './trace-tables.js'
import type { Block, Device, Directory, Entry, Need, World } from './trace-world.js'

/** The block as one descriptor can name it, now and then a wider one; undefined = everything. */
function named(world: World, block: Block): Block | undefined {
  const { random, options } = world
  if (random.percent(10)) return undefined
  const order = block.order + (random.percent(12) ? 1 + random.below(3) : 0)
  if (order > options.addressMask) return undefined
  return { first: blockStart(block.first, order), order }
}

/** Of the PASID in every device with such a directory, and of requests without one that use it. */
function deviceNeeds(world: World, entry: Entry, block: Block | undefined): readonly Need[] {
  const needs: Need[] = []
  for (const device of world.devices) {
    if (!device.ats || !entry.directories.includes(device.directory)) continue
    const { pasid } = entry
    needs.push({ cache: 'DEVICE_TLB', device, pasid, block })
    if (device.rid === pasid) needs.push({ cache: 'DEVICE_TLB', device, pasid: undefined, block })
  }
  return needs
}

/** For pages of a first stage. `leaf`: only leaves were changed. */
export function firstStageNeeds(
  world: World,
  space: Space,
  changed: Block,
  leaf: boolean,
): readonly Need[] {
  const needs: Need[] = []
  const later: Need[] = []
  for (const entry of world.entries) {
    if (entry.first !== space || entry.state !== 'PRESENT') continue
    const { domain, pasid } = entry
    const block = named(world, changed)
    needs.push({ cache: 'PIOTLB', domain, pasid, block, leaf: leaf && world.random.percent(90) })
    later.push(...deviceNeeds(world, entry, named(world, changed)))
  }
  return [...needs, ...later]
}

/**
 * For pages of a second stage: of its own domain, and of each that is nested on it, whose
 * device-TLB entries nothing tells apart by guest page (CACHE_TAG_NESTING_DEVTLB).
 */
export function secondStageNeeds(
  world: World,
  space: Space,
  changed: Block,
  leaf: boolean,
): readonly Need[] {
  const domains = new Set<number>()
  const later: Need[] = []
  for (const entry of world.entries) {
    if (entry.second !== space || entry.state !== 'PRESENT') continue
    domains.add(entry.domain)
    const block = entry.type === 'NESTED' ? undefined : named(world, changed)
    later.push(...deviceNeeds(world, entry, block))
  }
  const needs = [...domains].map((domain): Need => {
    const block = named(world, changed)
    return { cache: 'IOTLB', domain, block, leaf: leaf && world.random.percent(90) }
  })
  return [...needs, ...later]
}

/** For a PASID entry that was present: intel_pasid_tear_down_entry. */
export function entryNeeds(world: World, entry: Entry): readonly Need[] {
  const { domain, pasid } = entry
  const { random } = world
  const wide = random.below(10)
  const pasidCache: Need = {
    cache: 'PASID',
    domain: wide === 0 ? undefined : domain,
    pasid: wide <= 1 ? undefined : pasid,
  }
  return [pasidCache, translationsOf(entry), ...deviceNeeds(world, entry, undefined)]
}

function translationsOf({ type, domain, pasid }: Entry): Need {
  const all = { domain, block: undefined, leaf: false }
  if (type === 'FIRST' || type === 'PASS') return { cache: 'PIOTLB', pasid, ...all }
  return { cache: 'IOTLB', ...all }
}

/** For one that was not: pasid_flush_caches. */
export function newEntryNeeds(world: World, entry: Entry): readonly Need[] {
  if (!world.options.cachingMode) return []
  const { domain, pasid } = entry
  return [{ cache: 'PASID', domain, pasid }, translationsOf(entry)]
}

/** For a directory entry: all that is below it. Not present, its PASIDs have domain 0. */
export function groupNeeds(
  world: World,
  directory: Directory,
  index: number,
  was: boolean,
): readonly Need[] {
  if (!was) {
    if (!world.options.cachingMode) return []
    const domain = world.random.percent(50) ? undefined : 0
    return [{ cache: 'PASID', domain, pasid: undefined }]
  }
  const needs: Need[] = []
  for (const entry of world.entries) {
    if (entry.pasid >>> 6 !== index || !entry.directories.includes(directory)) continue
    if (entry.state === 'PRESENT') needs.push(...entryNeeds(world, entry))
  }
  if (world.options.cachingMode) needs.push({ cache: 'PASID', domain: 0, pasid: undefined })
  return sorted(needs)
}

/** For a context entry that was present: intel_context_flush_present. */
export function contextNeeds(world: World, device: Device): readonly Need[] {
  const { random, options } = world
  const functionMask = random.percent(20) ? 1 + random.below(3) : 0
  const sourceId = random.percent(10) ? undefined : device.sourceId
  const needs: Need[] = [{ cache: 'CONTEXT', sourceId, functionMask }]
  const domains = new Set(options.cachingMode ? [0] : [])
  for (const { state, directories, domain } of world.entries) {
    if (state === 'PRESENT' && directories.includes(device.directory)) domains.add(domain)
  }
  if (random.percent(25)) {
    needs.push({ cache: 'PASID', domain: undefined, pasid: undefined })
    needs.push({ cache: 'IOTLB', domain: undefined, block: undefined, leaf: false })
  } else {
    for (const domain of domains) {
      needs.push({ cache: 'PASID', domain, pasid: undefined })
      needs.push({ cache: 'IOTLB', domain, block: undefined, leaf: false })
    }
  }
  if (!device.ats) return sorted(needs)
  if (random.percent(30)) {
    needs.push({ cache: 'DEVICE_TLB', device, pasid: 'ALL', block: undefined })
    return sorted(needs)
  }
  const pasids = new Set<number | undefined>([undefined])
  for (const { directories, pasid } of world.entries) {
    if (directories.includes(device.directory)) pasids.add(pasid)
  }
  for (const pasid of pasids) needs.push({ cache: 'DEVICE_TLB', device, pasid, block: undefined })
  return sorted(needs)
}

/** For one that was not; of one that was wrong or absent the domain is 0. */
export function newContextNeeds(world: World, device: Device | undefined): readonly Need[] {
  if (!world.options.cachingMode) return []
  return [
    { cache: 'CONTEXT', sourceId: device?.sourceId, functionMask: 0 },
    { cache: 'IOTLB', domain: 0, block: undefined, leaf: false },
  ]
}

export function rootNeeds(world: World): readonly Need[] {
  return [
    { cache: 'CONTEXT', sourceId: undefined, functionMask: 0 },
    { cache: 'PASID', domain: undefined, pasid: undefined },
    { cache: 'IOTLB', domain: undefined, block: undefined, leaf: false },
    ...world.devices.map((device): Need => {
      return { cache: 'DEVICE_TLB', device, pasid: 'ALL', block: undefined }
    }),
  ]
}

const ORDER: readonly Need['cache'][] = ['CONTEXT', 'PASID', 'PIOTLB', 'IOTLB', 'DEVICE_TLB']

function sorted(needs: readonly Need[]): readonly Need[] {
  return needs.toSorted((a, b) => ORDER.indexOf(a.cache) - ORDER.indexOf(b.cache))
}

export function carryOut(unit: IommuUnit, need: Need): void {
  switch (need.cache) {
    case 'CONTEXT': {
      const { sourceId, functionMask } = need
      const granularity = sourceId === undefined ? 'GLOBAL' : 'DEVICE'
      unit.invalidateContext(granularity, sourceId ?? 0, functionMask)
      break
    }
    case 'PASID':
      unit.invalidatePasidCache(need.domain, need.pasid)
      break
    case 'PIOTLB':
      unit.invalidatePiotlb(need.domain, need.pasid, need.block, need.leaf)
      break
    case 'IOTLB':
      unit.invalidateIotlb(need.domain, need.block, need.leaf)
      break
    default:
      if (need.pasid === 'ALL') unit.invalidateWholeDeviceTlb(need.device, need.block)
      else unit.invalidateDeviceTlb(need.device, need.pasid, need.block)
  }
}

/** The invalidation that a descriptor stands for; those of other kinds are nobody's need. */
export function needOf(descriptor: VtdDescriptor, devices: readonly Device[]): Need {
  const deviceOf = (sourceId: number): Device => {
    const device = devices.find((each) => each.sourceId === sourceId)
    assert(device !== undefined, `a device-TLB of ${sourceId}, which is no device`)
    return device
  }
  switch (descriptor.kind) {
    case 'CONTEXT': {
      const { granularity, sourceId, functionMask } = descriptor
      return {
        cache: 'CONTEXT',
        sourceId: granularity === 'DEVICE' ? sourceId : undefined,
        functionMask,
      }
    }
    case 'PASID_CACHE': {
      const { granularity, domain, pasid } = descriptor
      return {
        cache: 'PASID',
        domain: granularity === 'GLOBAL' ? undefined : domain,
        pasid: granularity === 'PASID' ? pasid : undefined,
      }
    }
    case 'PIOTLB': {
      const { domain, pasid, leaf } = descriptor
      return { cache: 'PIOTLB', domain, pasid, block: blockOf(descriptor.block), leaf }
    }
    case 'IOTLB': {
      const { granularity, leaf } = descriptor
      const domain = granularity === 'GLOBAL' ? undefined : descriptor.domain
      return { cache: 'IOTLB', domain, block: blockOf(descriptor.block), leaf }
    }
    case 'DEVICE_TLB':
    case 'PASID_DEVICE_TLB': {
      const pasid = descriptor.kind === 'DEVICE_TLB' ? undefined : descriptor.pasid
      const device = deviceOf(descriptor.sourceId)
      return { cache: 'DEVICE_TLB', device, pasid, block: blockOf(descriptor.block) }
    }
    default:
      throw new Error(`the oracle named a descriptor of kind ${descriptor.kind}`)
  }
}

function blockOf(block: DescriptorBlock | undefined): Block | undefined {
  if (block === undefined) return undefined
  return { first: Number(block.address / BigInt(PAGE)), order: block.order }
}

function meet(a: Block | undefined, b: Block | undefined): boolean {
  if (a === undefined || b === undefined) return true
  const order = Math.max(a.order, b.order)
  return blockStart(a.first, order) === blockStart(b.first, order)
}

/** Whether an invalidation takes away everything that a narrow one, named for one entry, does. */
export function covers(wide: Need, narrow: Need): boolean {
  switch (narrow.cache) {
    case 'CONTEXT': {
      if (wide.cache !== 'CONTEXT') return false
      if (wide.sourceId === undefined) return true
      const ignored = 7 & ~(7 >> wide.functionMask)
      return ((wide.sourceId ^ (narrow.sourceId ?? 0)) & ~ignored) === 0
    }
    case 'PASID': {
      if (wide.cache !== 'PASID') return false
      if (wide.domain === undefined) return true
      if (wide.pasid === undefined) return wide.domain === narrow.domain
      // What was cached of an absent entry has domain 0, and goes whatever domain is named.
      const same = wide.domain === narrow.domain || narrow.domain === 0
      return same && wide.pasid === narrow.pasid
    }
    case 'PIOTLB': {
      // Leaves go in any case, paging structures unless IH spares them.
      if (wide.cache === 'IOTLB') {
        if (wide.domain !== undefined && wide.domain !== narrow.domain) return false
        return wide.block === undefined || !wide.leaf || narrow.leaf
      }
      if (wide.cache !== 'PIOTLB') return false
      const same = wide.domain === narrow.domain && wide.pasid === narrow.pasid
      if (!same || !meet(wide.block, narrow.block)) return false
      return wide.block === undefined || !wide.leaf || narrow.leaf
    }
    case 'IOTLB': {
      if (wide.cache !== 'IOTLB') return false
      if (wide.domain === undefined) return true
      if (wide.domain !== narrow.domain || !meet(wide.block, narrow.block)) return false
      return wide.block === undefined || !wide.leaf || narrow.leaf
    }
    default: {
      if (wide.cache !== 'DEVICE_TLB' || wide.device !== narrow.device) return false
      if (wide.pasid === 'ALL') return true
      return wide.pasid === narrow.pasid && meet(wide.block, narrow.block)
    }
  }
}

export function needText(need: Need): string {
  const hex = (value: number): string => `0x${value.toString(16)}`
  const block = 'block' in need && need.block !== undefined ? need.block : undefined
  const where = block === undefined ? 'all' : `${hex(block.first * PAGE)} order ${block.order}`
  const leaf = 'leaf' in need && need.leaf ? ' IH' : ''
  switch (need.cache) {
    case 'CONTEXT':
      return `context ${need.sourceId === undefined ? 'all' : hex(need.sourceId)} FM ${need.functionMask}`
    case 'PASID':
      return `PASID cache DID ${need.domain ?? 'all'} PASID ${need.pasid ?? 'all'}`
    case 'PIOTLB':
      return `PIOTLB DID ${need.domain} PASID ${need.pasid} ${where}${leaf}`
    case 'IOTLB':
      return `IOTLB DID ${need.domain ?? 'all'} ${where}${leaf}`
    default:
      return `device-TLB of ${need.device.name} PASID ${need.pasid ?? 'none'} ${where}`
  }
}
