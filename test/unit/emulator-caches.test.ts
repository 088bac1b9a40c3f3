/** What stays in the caches, and what an invalidation takes out: never less than asked. */

import { describe, expect, test } from 'vitest'
import { DEVICE_DEFAULTS } from '../../src/backend/emulator/device.js'
import { blockAround } from '../../src/backend/emulator/pages.js'
import { PasidCache } from '../../src/backend/emulator/pasid-cache.js'
import { GROWN_ENTRIES_MAX, NO_PASID } from '../../src/backend/emulator/tagged-cache.js'
import { rightsFor, TranslationCache } from '../../src/backend/emulator/translation-cache.js'
import { blockOfRange } from '../../src/backend/emulator/unit.js'
import { domainId, RID, target } from '../../src/core/ids.js'
import { GuestTables } from '../support/emulator-guest.js'
import { DOMAIN, ONE, Rig, VM } from '../support/emulator-rig.js'

const small = { order: 0, writable: true, user: true } as const
const NO_ATS = { ats: false }

async function mapped(
  pages: readonly number[],
  device: ConstructorParameters<typeof Rig>[0] = NO_ATS,
): Promise<{ rig: Rig; tables: GuestTables }> {
  const rig = new Rig(device)
  await rig.attach()
  const tables = new GuestTables(rig.guest)
  await rig.bind(tables.table())
  for (const page of pages) {
    tables.map(page, { ...small, frame: page + 0x1000 })
    rig.ask(page)
    tables.map(page, { ...small, frame: page + 0x2000 })
  }
  return { rig, tables }
}

describe('stale translations', () => {
  test('are served until their page is invalidated; the neighbours stay', async () => {
    const { rig } = await mapped([10, 11, 12, 13])
    expect(rig.answer(11)).toBe(`${0x1000 + 11} IOTLB`)
    await rig.invalidatePages(11, 1)
    expect(rig.answer(10)).toBe(`${0x1000 + 10} IOTLB`)
    expect(rig.answer(11)).toBe(`${0x2000 + 11} TABLES`)
    expect(rig.answer(12)).toBe(`${0x1000 + 12} IOTLB`)
  })

  test('a range is widened to its aligned block, and no further', async () => {
    const { rig } = await mapped([2, 3, 4, 5, 6, 7, 8])
    // 3..4 lie in no block smaller than 0..7.
    await rig.invalidatePages(3, 2)
    for (const page of [2, 3, 4, 5, 6, 7]) expect(rig.answer(page)).toContain('TABLES')
    expect(rig.answer(8)).toContain('IOTLB')
  })

  test('a large block reaches everything in it and nothing beside', async () => {
    const pages = [4095, 4096, 5000, 8191, 8192]
    const { rig } = await mapped(pages)
    await rig.invalidatePages(4096, 4096)
    const sources = pages.map((page) => rig.answer(page).split(' ')[1])
    expect(sources).toEqual(['IOTLB', 'TABLES', 'TABLES', 'TABLES', 'IOTLB'])
  })

  test('a leaf of 2 MiB goes by any page inside it', async () => {
    for (const inside of [512, 700, 1023]) {
      const { rig, tables } = await mapped([])
      tables.map(512, { frame: 1024, order: 9, writable: true, user: true })
      rig.ask(600)
      tables.map(512, { frame: 2048, order: 9, writable: true, user: true })
      await rig.invalidatePages(511, 1)
      await rig.invalidatePages(1024, 1)
      expect(rig.answer(600)).toBe(`${1024 + 88} IOTLB`)
      await rig.invalidatePages(inside, 1)
      expect(rig.answer(600)).toBe(`${2048 + 88} TABLES`)
    }
  })

  test('a block beyond the largest of the unit takes the whole PASID, and only that', async () => {
    const { rig, tables } = await mapped([1, 2 ** 19])
    await rig.bind(tables.table(), target(2))
    rig.ask(1, { at: target(2) })
    await rig.invalidatePages(2 ** 20, 2 ** 19)
    expect(rig.answer(1)).toContain('TABLES')
    expect(rig.answer(2 ** 19)).toContain('TABLES')
    expect(rig.answer(1, { at: target(2) })).toContain('IOTLB')
  })

  test('the device-TLB serves its own until it is invalidated too', async () => {
    const { rig } = await mapped([5, 6], { ats: true })
    const range = { address: 5n << 12n, pages: 1n, leaf: true }
    await rig.invalidate({ caches: ['IOTLB'], range })
    expect(rig.answer(5)).toBe(`${0x1000 + 5} DEVICE_TLB`)
    await rig.invalidate({ caches: ['DEVICE_TLB'], range })
    expect(rig.answer(5)).toBe(`${0x2000 + 5} TABLES`)
    await rig.invalidate({ caches: ['DEVICE_TLB'], range: undefined })
    expect(rig.answer(6)).toBe(`${0x1000 + 6} IOTLB`)
  })

  test('of a pass-through binding go with their domain', async () => {
    const { rig } = await mapped([5])
    await rig.bind({ kind: 'PASS_THROUGH' }, RID, domainId(8))
    rig.ask(9, { at: RID })
    expect(rig.answer(9, { at: RID })).toContain('IOTLB')
    await rig.invalidatePages(9, 1, RID)
    expect(rig.answer(9, { at: RID })).toContain('TABLES')
    expect(rig.answer(5)).toContain('IOTLB')
  })

  test('a right that was added needs no invalidation, one that was taken does', async () => {
    const { rig, tables } = await mapped([])
    tables.map(5, { ...small, frame: 5, writable: false })
    expect(rig.answer(5, { write: true })).toBe('WRITE_NOT_ALLOWED')
    rig.ask(5)
    tables.map(5, { ...small, frame: 5 })
    expect(rig.answer(5, { write: true })).toBe('5 TABLES')
    tables.map(5, { ...small, frame: 5, writable: false })
    expect(rig.answer(5, { write: true })).toBe('5 IOTLB')
    await rig.invalidatePages(5, 1)
    expect(rig.answer(5, { write: true })).toBe('WRITE_NOT_ALLOWED')
  })

  test('one DID and PASID with two tables is served from either (VT-d 6.2.3.1)', async () => {
    const { rig } = await mapped([5])
    rig.emulator.addDevice({ ...DEVICE_DEFAULTS, name: 'second', ats: false })
    await rig.emulator.attachDevice('second', VM)
    const other = new GuestTables(rig.guest)
    other.map(5, { ...small, frame: 77 })
    const place = { device: 'second', session: VM, target: ONE }
    await rig.emulator.bind({ ...place, table: other.table(), domain: DOMAIN })
    const access = { target: ONE, address: 5n << 12n, write: false, privileged: false }
    expect(rig.emulator.translate('second', access)).toMatchObject({ source: 'IOTLB' })
  })
})

describe('translation cache', () => {
  const rights = { readable: true, writable: true, user: true, supervisor: false, dirty: true }
  const mapping = { frame: 1, order: 0, ...rights }
  const read = rightsFor(false, false)

  test('is bounded, and replaces the oldest first; it says how many', () => {
    const cache = new TranslationCache(8)
    for (let page = 0; page < 8; page += 1) cache.fill(2, 3, { ...mapping, first: page })
    // The same block again replaces nothing.
    cache.fill(2, 3, { ...mapping, first: 0 })
    expect([cache.size, cache.evicted]).toEqual([8, 0])
    for (let page = 8; page < 20; page += 1) cache.fill(2, 3, { ...mapping, first: page })
    expect([cache.size, cache.evicted]).toEqual([8, 12])
    expect(cache.find(2, 3, 11, read)).toBeUndefined()
    for (let page = 12; page < 20; page += 1) expect(cache.find(2, 3, page, read)?.first).toBe(page)
    cache.flushAll()
    expect(cache.size).toBe(0)
  })

  test('grows first while eviction is off; beyond its bound it replaces, and says so', () => {
    const cache = new TranslationCache(8)
    cache.setEviction(false)
    const fill = (page: number): void => cache.fill(2, 3, { ...mapping, first: page, frame: page })
    for (let page = 0; page < GROWN_ENTRIES_MAX; page += 1) fill(page)
    for (const page of [0, 7, 8, 4095, GROWN_ENTRIES_MAX - 1]) {
      expect(cache.find(2, 3, page, read)?.frame).toBe(page)
    }
    expect([cache.size, cache.evicted]).toEqual([GROWN_ENTRIES_MAX, 0])
    fill(GROWN_ENTRIES_MAX)
    expect([cache.size, cache.evicted]).toEqual([GROWN_ENTRIES_MAX, 1])
    expect(cache.find(2, 3, 0, read)).toBeUndefined()
    expect(cache.find(2, 3, GROWN_ENTRIES_MAX, read)?.frame).toBe(GROWN_ENTRIES_MAX)
    cache.flushBlock(2, 3, { first: 4096, order: 12 })
    expect(cache.size).toBe(GROWN_ENTRIES_MAX - 4096)
    // What was invalidated has left room: nothing goes for these.
    for (let page = 1; page <= 4096; page += 1) fill(GROWN_ENTRIES_MAX + page)
    expect([cache.size, cache.evicted]).toEqual([GROWN_ENTRIES_MAX, 1])
    expect(cache.find(2, 3, 1, read)?.frame).toBe(1)
    cache.setEviction(false)
    expect(cache.evicted).toBe(0)
    cache.flushDomain(2, undefined)
    expect(cache.size).toBe(0)
  })

  test('tags that share a bucket are told apart', () => {
    const cache = new TranslationCache(2)
    for (let pasid = 0; pasid < 64; pasid += 1) {
      cache.fill(2, pasid, { ...mapping, first: 5, frame: pasid })
      cache.flushPasid(2, pasid + 1)
      cache.flushPasid(3, pasid)
      cache.flushDomain(4, undefined)
      cache.flushBlock(2, pasid, { first: 4, order: 0 })
      expect(cache.find(2, pasid, 5, read)?.frame).toBe(pasid)
    }
    cache.flushDomain(2, undefined)
    expect(cache.size).toBe(0)
  })

  test('an entry answers only what it permits; a larger one may', () => {
    const cache = new TranslationCache(8)
    cache.fill(2, 3, { ...mapping, first: 512, order: 0, frame: 1, writable: false })
    cache.fill(2, 3, { ...mapping, first: 512, order: 9, frame: 2, dirty: false })
    expect(cache.find(2, 3, 512, read)?.frame).toBe(1)
    expect(cache.find(2, 3, 513, read)?.frame).toBe(2)
    expect(cache.find(2, 3, 512, rightsFor(true, false))).toBeUndefined()
    expect(cache.find(2, 3, 512, rightsFor(false, true))).toBeUndefined()
    cache.fill(2, 3, { ...mapping, first: 512, order: 9, frame: 2 })
    expect(cache.find(2, 3, 512, rightsFor(true, false))?.frame).toBe(2)
  })

  test('a block of a domain is of second-stage addresses: what has a PASID goes whole', () => {
    const cache = new TranslationCache(8)
    cache.fill(2, NO_PASID, { ...mapping, first: 5 })
    cache.fill(2, NO_PASID, { ...mapping, first: 6 })
    cache.fill(2, 7, { ...mapping, first: 6 })
    cache.flushDomain(2, { first: 5, order: 0 })
    expect(cache.find(2, NO_PASID, 5, read)).toBeUndefined()
    expect(cache.find(2, NO_PASID, 6, read)).toBeDefined()
    expect(cache.find(2, 7, 6, read)).toBeUndefined()
  })
})

describe('entries that are replaced', () => {
  const absent = { kind: 'FAULT', fault: 'PASID_ENTRY_NOT_PRESENT', silenced: false } as const

  test('of the PASID cache: at its bound none, one past it the oldest', () => {
    const cache = new PasidCache(4)
    cache.setEviction(false)
    for (let pasid = 0; pasid < GROWN_ENTRIES_MAX; pasid += 1) cache.fill(1, pasid, absent)
    expect([cache.size, cache.evicted]).toEqual([GROWN_ENTRIES_MAX, 0])
    cache.fill(1, GROWN_ENTRIES_MAX, absent)
    expect([cache.size, cache.evicted]).toEqual([GROWN_ENTRIES_MAX, 1])
    expect(cache.find(1, 0)).toBeUndefined()
    expect(cache.find(1, 1)).toBe(absent)
    expect(cache.find(1, GROWN_ENTRIES_MAX)).toBe(absent)
  })

  test('are counted for each cache, from when eviction was switched', async () => {
    const unit = { iotlbEntries: 4, deviceTlbEntries: 2, pagingStructureEntries: 2 }
    const rig = new Rig({}, { unit })
    await rig.attach()
    const tables = new GuestTables(rig.guest)
    await rig.bind(tables.table())
    const access = (): void => {
      for (let page = 0; page < 6; page += 1) {
        tables.map(page, { ...small, frame: page })
        rig.ask(page)
      }
    }
    const evicted = () => rig.emulator.cacheSizes().map((fill) => [fill.name, fill.evicted > 0])
    access()
    const names = ['CONTEXT', 'PASID', 'IOTLB', 'PAGING_STRUCTURE', 'DEVICE_TLB']
    const full = names.slice(2)
    expect(evicted()).toEqual(names.map((name) => [name, full.includes(name)]))
    rig.emulator.lab.set({ eviction: false })
    rig.emulator.lab.flush()
    access()
    expect(evicted()).toEqual(names.map((name) => [name, false]))
  })
})

describe('blocks of an invalidation', () => {
  test.each([
    [0, 1, 0, 0],
    [1, 1, 1, 0],
    [1, 2, 0, 2],
    [2, 2, 2, 1],
    [511, 2, 0, 10],
    [2 ** 52 - 1, 1, 2 ** 52 - 1, 0],
    [2 ** 52 - 2, 2, 2 ** 52 - 2, 1],
    [2 ** 51 - 1, 2, 0, 52],
    [0, 2 ** 52, 0, 52],
  ])('%i pages from %i', (first, pages, start, order) => {
    expect(blockAround(first, pages)).toEqual({ first: start, order })
  })

  test('the whole address space is no block; nothing passes 64 bits', () => {
    expect(blockOfRange({ address: 0n, pages: 1n << 52n })).toBeUndefined()
    expect(() => blockOfRange({ address: 4096n, pages: 1n << 52n })).toThrow()
    expect(() => blockOfRange({ address: 1n, pages: 1n })).toThrow()
    expect(() => blockOfRange({ address: 0n, pages: 0n })).toThrow()
  })
})
