/**
 * Programming of PASID entries: what the host's IOMMU driver does for a bind, a replace and an
 * unbind, in one device's table. Nothing here fails: what may be refused was refused before, and
 * what a group's devices share is counted elsewhere (effects.ts).
 *
 * What always holds: an entry is written while not present, P last; it is taken down in the order
 * of Linux intel_pasid_tear_down_entry, with every invalidation, before the DID or the number can
 * be used again. The tables are the only record of what is bound.
 */

import { assert, present } from '../../core/assert.js'
import type { Table } from '../../core/binding.js'
import { RID, type DomainId, type SessionId, type Target } from '../../core/ids.js'
import type { AddressSpace } from './address-space.js'
import { pasidOf, type DeviceState } from './device.js'
import type { DomainIds } from './domain-ids.js'
import {
  clearEntry,
  clearPresent,
  decodeEntry,
  domainOf,
  encodeEntry,
  ENTRY_WORDS,
  isPresent,
  setPresent,
  typeOf,
  type PasidEntry,
} from './pasid-entry.js'
import { entryOffset } from './pasid-table.js'
import type { PageBlock } from './pages.js'
import type { IommuUnit } from './unit.js'

/** Tells who raised page requests what became of them. */
export type AnswerGroup = (device: DeviceState, target: Target, group: number) => void

/**
 * A guest's table hangs under its session's second stage: NESTED. PASS_THROUGH is the second stage
 * alone (PGTT 2), what a guest means by it: its requests carry guest-physical addresses. PGTT 4
 * would take them for host-physical ones, and hand the guest the host's memory.
 */
function entryFor(table: Table, space: AddressSpace, domain: number): PasidEntry {
  const through = table.kind === 'PASS_THROUGH'
  return {
    type: through ? 'SECOND_STAGE' : 'NESTED',
    domain,
    faultsDisabled: false,
    pageWalkSnoop: true,
    pageSnoop: false,
    secondStage: { pointer: space.root, width: space.width, accessedDirty: false },
    firstStage: through
      ? undefined
      : {
          pointer: table.address,
          levels: table.width === 48 ? 4 : 5,
          supervisor: table.supervisor,
          writeProtect: table.writeProtect,
          extendedAccessed: table.extendedAccessed,
        },
  }
}

/** Pairs with entryFor(). */
export function tableOf(page: Uint32Array, at: number): Table {
  const { firstStage } = decodeEntry(page, at)
  if (firstStage === undefined) return { kind: 'PASS_THROUGH' }
  return {
    kind: 'FIRST_STAGE',
    address: firstStage.pointer,
    width: firstStage.levels === 4 ? 48 : 57,
    supervisor: firstStage.supervisor,
    writeProtect: firstStage.writeProtect,
    extendedAccessed: firstStage.extendedAccessed,
  }
}

/** Where an entry lies: its page and the index of its first word. */
export interface EntryPlace {
  readonly page: Uint32Array
  readonly at: number
}

/** What an entry is made from. */
export interface Programmed {
  readonly table: Table
  /** The hardware domain id. */
  readonly domain: number
  readonly space: AddressSpace
}

/** What stands at a place, as the table says. */
export type Standing = 'NOTHING' | 'FOREIGN' | 'OWN'

export class Programming {
  readonly #unit: IommuUnit
  readonly #domains: DomainIds
  readonly #answerInvalid: AnswerGroup
  /** An entry that is only compared is encoded here. */
  readonly #scratch = new Uint32Array(ENTRY_WORDS)

  constructor(unit: IommuUnit, domains: DomainIds, answerInvalid: AnswerGroup) {
    this.#unit = unit
    this.#domains = domains
    this.#answerInvalid = answerInvalid
  }

  isPresent(device: DeviceState, target: Target): boolean {
    const page = device.table?.findPage(target)
    return page !== undefined && isPresent(page, entryOffset(target))
  }

  /** Whose binding stands there; undefined: nobody's. */
  sessionAt(device: DeviceState, target: Target): SessionId | undefined {
    if (target !== RID && target >= 2 ** device.facts.pasidBits) return undefined
    const page = device.table?.findPage(target)
    const at = entryOffset(target)
    if (page === undefined || !isPresent(page, at)) return undefined
    return this.#domains.sessionOf(domainOf(page, at))
  }

  standing(device: DeviceState, target: Target, session: SessionId): Standing {
    const page = device.table?.findPage(target)
    const at = entryOffset(target)
    if (page === undefined || !isPresent(page, at)) return 'NOTHING'
    return this.#domains.sessionOf(domainOf(page, at)) === session ? 'OWN' : 'FOREIGN'
  }

  /** Whether exactly this stands there, by its bits. The entry is the space's session's own. */
  stands(
    device: DeviceState,
    target: Target,
    what: { readonly table: Table; readonly domain: DomainId; readonly space: AddressSpace },
  ): boolean {
    const domain = this.#domains.find(what.space.session, what.domain)
    const page = device.table?.findPage(target)
    if (domain === undefined || page === undefined) return false
    const scratch = this.#scratch.fill(0)
    encodeEntry(scratch, 0, entryFor(what.table, what.space, domain))
    setPresent(scratch, 0)
    const at = entryOffset(target)
    for (let i = 0; i < ENTRY_WORDS; i += 1) if (page[at + i] !== scratch[i]) return false
    return true
  }

  /** The hardware domain id of a present entry. */
  domainOf(device: DeviceState, target: Target): number {
    const page = present(device.table?.findPage(target), 'the page of a present entry')
    return domainOf(page, entryOffset(target))
  }

  /** intel_pasid_setup_nested. Nothing stands there. */
  setUp(device: DeviceState, target: Target, what: Programmed): void {
    const { log } = this.#unit
    const page = present(device.table, 'the table of an attached device').ensurePage(target)
    const at = entryOffset(target)
    encodeEntry(page, at, entryFor(what.table, what.space, what.domain))
    if (log.on) log.record({ kind: 'WRITE_ENTRY', device: device.name, target })
    setPresent(page, at)
    if (log.on) log.record({ kind: 'SET_PRESENT', device: device.name, target })
    if (!this.#unit.options.cachingMode) return
    // pasid_flush_caches: that nothing was there may be cached (VT-d 6.1).
    this.#unit.invalidatePasidCache(what.domain, target)
    this.#unit.invalidatePiotlb(what.domain, target, undefined, false)
  }

  /** intel_pasid_tear_down_entry: after it, nothing of the place is left anywhere. */
  tearDown(device: DeviceState, target: Target): void {
    const { log } = this.#unit
    const page = present(device.table?.findPage(target), 'the page of a present entry')
    const at = entryOffset(target)
    assert(isPresent(page, at), 'a present entry is torn down')
    clearPresent(page, at)
    if (log.on) log.record({ kind: 'CLEAR_PRESENT', device: device.name, target })
    this.#flush(device, target, { page, at })
    clearEntry(page, at)
    if (log.on) log.record({ kind: 'CLEAR_ENTRY', device: device.name, target })
    this.drain(device, target)
  }

  /** Another table in a present entry, without a moment in which it is not present. */
  rewrite(device: DeviceState, target: Target, what: Programmed): void {
    const { log } = this.#unit
    const page = present(device.table?.findPage(target), 'the page of a present entry')
    const at = entryOffset(target)
    const before = page.slice(at, at + ENTRY_WORDS)
    const scratch = this.#scratch.fill(0)
    encodeEntry(scratch, 0, entryFor(what.table, what.space, what.domain))
    setPresent(scratch, 0)
    page.set(scratch, at)
    if (log.on) log.record({ kind: 'WRITE_ENTRY', device: device.name, target })
    // What is cached carries the old tags.
    this.#flush(device, target, { page: before, at: 0 })
  }

  /** PASID cache, IOTLB, device-TLB, in that order: each could be filled from the one before it. */
  #flush(device: DeviceState, target: Target, entry: EntryPlace): void {
    this.flushPasidCache(target, entry)
    this.flushIotlb(target, entry, { whole: true, block: undefined, leaf: false })
    this.#unit.invalidateDeviceTlb(device, pasidOf(target), undefined)
  }

  flushPasidCache(target: Target, entry: EntryPlace): void {
    this.#unit.invalidatePasidCache(domainOf(entry.page, entry.at), target)
  }

  /**
   * `whole`: as at a teardown, where a second stage under the entry means the whole domain.
   * Otherwise only the PASID, or a block of its pages; entries of the second stage alone are not
   * reached by PASID (VT-d 6.5.2.4), so there it is the domain again.
   */
  flushIotlb(
    target: Target,
    entry: EntryPlace,
    how: { readonly whole: boolean; readonly block: PageBlock | undefined; readonly leaf: boolean },
  ): void {
    const domain = domainOf(entry.page, entry.at)
    const type = typeOf(entry.page, entry.at)
    const byDomain = type === 'SECOND_STAGE' || (how.whole && type === 'NESTED')
    if (byDomain) this.#unit.invalidateIotlb(domain, how.block, how.leaf)
    else this.#unit.invalidatePiotlb(domain, target, how.block, how.leaf)
  }

  /** Page requests of the place that wait are answered INVALID. */
  drain(device: DeviceState, target: Target): void {
    const { log } = this.#unit
    const due = device.pageRequests.drain(target)
    if (log.on) {
      const answered = due.length
      log.record({ kind: 'DRAIN_PAGE_REQUESTS', device: device.name, target, answered })
    }
    for (const group of due) this.#answerInvalid(device, target, group)
  }
}
