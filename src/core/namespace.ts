/**
 * One numbering: which numbers are taken, by whom, since when. The bitmap answers "which is free";
 * the table beside it, in pages that exist only where numbers were granted, says the rest. A number
 * is taken while it is HELD, FREE_PENDING, QUARANTINED or reserved.
 */

import { broken } from './assert.js'
import { PasidBitmap } from './bitmap.js'
import type { Generation, NamespaceId, SessionId, TenantId, WallMs } from './ids.js'
import type { PasidRange, PasidRun } from './range.js'

/** IDLE and ACTIVE are both HELD here: which it is follows from the count of bindings. */
export const SLOT = { FREE: 0, HELD: 1, FREE_PENDING: 2, QUARANTINED: 3 } as const
export type Slot = (typeof SLOT)[keyof typeof SLOT]

const PAGE_BITS = 12
const PAGE_SIZE = 2 ** PAGE_BITS
const PAGE_MASK = PAGE_SIZE - 1

/** 33 bytes a number: 35 MB for a full 20-bit namespace. */
interface Page {
  readonly slot: Uint8Array
  readonly reserved: Uint8Array
  readonly bindings: Uint16Array
  readonly tenant: Uint16Array
  readonly session: Uint32Array
  readonly generation: Float64Array
  readonly at: Float64Array
  /** The session's other numbers here, as a ring-less list; 0 ends it (0 is never granted). */
  readonly next: Uint32Array
  readonly previous: Uint32Array
}

function emptyPage(): Page {
  return {
    slot: new Uint8Array(PAGE_SIZE),
    reserved: new Uint8Array(PAGE_SIZE),
    bindings: new Uint16Array(PAGE_SIZE),
    tenant: new Uint16Array(PAGE_SIZE),
    session: new Uint32Array(PAGE_SIZE),
    generation: new Float64Array(PAGE_SIZE),
    at: new Float64Array(PAGE_SIZE),
    next: new Uint32Array(PAGE_SIZE),
    previous: new Uint32Array(PAGE_SIZE),
  }
}

export interface Holder {
  readonly session: SessionId
  readonly tenant: TenantId
  readonly generation: Generation
  readonly at: WallMs
}

export class Namespace {
  readonly bits: number
  readonly size: number
  /** Where the next search begins: one past the last number granted. */
  cursor = 1
  readonly #bitmap: PasidBitmap
  readonly #pages: (Page | undefined)[]
  readonly #heads = new Map<SessionId, number>()
  readonly #counts = { held: 0, pending: 0, quarantined: 0, reservedFree: 0 }

  constructor(
    readonly id: NamespaceId,
    bits: number,
  ) {
    this.bits = bits
    this.#bitmap = new PasidBitmap(bits)
    this.size = this.#bitmap.size
    this.#pages = new Array<Page | undefined>(Math.ceil(this.size / PAGE_SIZE)).fill(undefined)
    this.#bitmap.occupy(0)
  }

  get counts(): { readonly held: number; readonly pending: number; readonly quarantined: number } {
    return this.#counts
  }

  get freeCount(): number {
    return this.#bitmap.freeCount
  }

  /** Numbers that nobody can be given at present for a reservation, 0 not counted. */
  get reservedCount(): number {
    return this.#counts.reservedFree
  }

  countFree(range: PasidRange): number {
    return this.#bitmap.countFree(range.first, Math.min(range.last, this.size - 1))
  }

  largestFreeOrder(): number | undefined {
    return this.#bitmap.largestFreeOrder()
  }

  slotOf(pasid: number): Slot {
    return (this.#page(pasid)?.slot[pasid & PAGE_MASK] ?? SLOT.FREE) as Slot
  }

  sessionOf(pasid: number): SessionId {
    return (this.#page(pasid)?.session[pasid & PAGE_MASK] ?? 0) as SessionId
  }

  bindingsOf(pasid: number): number {
    return this.#page(pasid)?.bindings[pasid & PAGE_MASK] ?? 0
  }

  isReserved(pasid: number): boolean {
    return this.#page(pasid)?.reserved[pasid & PAGE_MASK] === 1
  }

  isFree(pasid: number): boolean {
    return this.#bitmap.isFree(pasid)
  }

  holderOf(pasid: number): Holder {
    const page = this.#ensure(pasid)
    const i = pasid & PAGE_MASK
    return {
      session: (page.session[i] ?? 0) as SessionId,
      tenant: (page.tenant[i] ?? 0) as TenantId,
      generation: (page.generation[i] ?? 0) as Generation,
      at: (page.at[i] ?? 0) as WallMs,
    }
  }

  /** Next-fit: from the cursor to the end of the range, then from its start to the cursor. */
  findOne(range: PasidRange): number | undefined {
    const start = this.#startIn(range)
    return this.#bitmap.nextFree(start, range.last) ?? this.#bitmap.nextFree(range.first, start - 1)
  }

  /** As findOne, for a naturally aligned block of 2^order. */
  findBlock(order: number, range: PasidRange): number | undefined {
    return (
      this.#bitmap.nextFreeBlock(order, this.#startIn(range), range.last) ??
      this.#bitmap.nextFreeBlock(order, range.first, range.last)
    )
  }

  /**
   * Where to begin in a range: at the cursor, or where a cursor outside falls in it when the range
   * is repeated over the namespace. So a tenant's window is walked through as well, one past its
   * last number is its first, and its lowest number is not the favourite.
   */
  #startIn({ first, last }: PasidRange): number {
    if (this.cursor >= first && this.cursor <= last) return this.cursor
    const length = last - first + 1
    const past = (this.cursor - first) % length
    return past < 0 ? first + past + length : first + past
  }

  grant(run: PasidRun, holder: Holder): void {
    if (run.count === 1) this.#bitmap.occupy(run.first)
    else this.#bitmap.occupyRange(run.first, run.count)
    this.#hold(run, holder)
  }

  /** Load only: as grant(), also where a reservation has come since the numbers were granted. */
  regrant(run: PasidRun, holder: Holder): void {
    for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
      if (this.isReserved(pasid)) this.#counts.reservedFree -= 1
      else this.#bitmap.occupy(pasid)
    }
    this.#hold(run, holder)
  }

  /** Fills the table for numbers whose bits are taken. */
  #hold(run: PasidRun, holder: Holder): void {
    for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
      const page = this.#ensure(pasid)
      const i = pasid & PAGE_MASK
      page.slot[i] = SLOT.HELD
      page.session[i] = holder.session
      page.tenant[i] = holder.tenant
      page.generation[i] = holder.generation
      page.at[i] = holder.at
      this.#enlist(pasid, page, i, holder.session)
    }
    this.#counts.held += run.count
  }

  /** Pairs with grant(). */
  ungrant(run: PasidRun): void {
    for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
      const page = this.#ensure(pasid)
      const i = pasid & PAGE_MASK
      const idle = page.slot[i] === SLOT.HELD && page.bindings[i] === 0
      if (!idle) broken(`pasid ${pasid} is idle when its grant is undone`)
      page.slot[i] = SLOT.FREE
      this.#delist(pasid, page, i)
      this.#vacate(pasid, page, i)
    }
    this.#counts.held -= run.count
  }

  beginFree(run: PasidRun): void {
    this.#move(run, SLOT.HELD, SLOT.FREE_PENDING)
    this.#counts.held -= run.count
    this.#counts.pending += run.count
  }

  /** Pairs with beginFree(). */
  unbeginFree(run: PasidRun): void {
    this.#move(run, SLOT.FREE_PENDING, SLOT.HELD)
    this.#counts.pending -= run.count
    this.#counts.held += run.count
  }

  release(run: PasidRun, from: 'HELD' | 'FREE_PENDING'): void {
    for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
      const page = this.#ensure(pasid)
      const i = pasid & PAGE_MASK
      if (page.slot[i] !== SLOT[from]) broken(`pasid ${pasid} is ${from} when it is released`)
      if (page.bindings[i] !== 0) broken(`pasid ${pasid} is bound nowhere when it is released`)
      page.slot[i] = SLOT.QUARANTINED
      this.#delist(pasid, page, i)
    }
    this.#counts[from === 'HELD' ? 'held' : 'pending'] -= run.count
    this.#counts.quarantined += run.count
  }

  /** Pairs with release(). */
  unrelease(run: PasidRun, to: 'HELD' | 'FREE_PENDING'): void {
    for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
      const page = this.#ensure(pasid)
      const i = pasid & PAGE_MASK
      if (page.slot[i] !== SLOT.QUARANTINED) broken(`pasid ${pasid} is quarantined`)
      page.slot[i] = SLOT[to]
      this.#enlist(pasid, page, i, (page.session[i] ?? 0) as SessionId)
    }
    this.#counts.quarantined -= run.count
    this.#counts[to === 'HELD' ? 'held' : 'pending'] += run.count
  }

  /** Load only: a number that was resting when the ledger was read. */
  quarantine(run: PasidRun, holder: Holder): void {
    this.regrant(run, holder)
    this.release(run, 'HELD')
  }

  /** The hold is over and the release durable: the numbers are free. */
  lapse(run: PasidRun): void {
    for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
      const page = this.#ensure(pasid)
      const i = pasid & PAGE_MASK
      if (page.slot[i] !== SLOT.QUARANTINED) broken(`pasid ${pasid} is quarantined`)
      page.slot[i] = SLOT.FREE
      this.#vacate(pasid, page, i)
    }
    this.#counts.quarantined -= run.count
  }

  bind(pasid: number): void {
    const page = this.#ensure(pasid)
    const i = pasid & PAGE_MASK
    page.bindings[i] = (page.bindings[i] ?? 0) + 1
  }

  unbind(pasid: number): void {
    const page = this.#ensure(pasid)
    const i = pasid & PAGE_MASK
    const bindings = page.bindings[i] ?? 0
    if (bindings === 0) broken(`pasid ${pasid} is bound`)
    page.bindings[i] = bindings - 1
  }

  /** Nobody is given these from now on; numbers held among them stay until they are released. */
  reserve(range: PasidRange): void {
    for (let pasid = range.first; pasid <= range.last; pasid += 1) {
      const page = this.#ensure(pasid)
      const i = pasid & PAGE_MASK
      if (page.reserved[i] === 1) continue
      page.reserved[i] = 1
      if (!this.#bitmap.isFree(pasid)) continue
      this.#bitmap.occupy(pasid)
      this.#counts.reservedFree += 1
    }
  }

  /** Whether the session has numbers here that it has not given back, or that are on their way. */
  holdsAny(session: SessionId): boolean {
    return this.#heads.has(session)
  }

  /** The numbers of a session here, in no order; O(its own). */
  *heldBy(session: SessionId): Generator<number> {
    for (let pasid = this.#heads.get(session) ?? 0; pasid !== 0; ) {
      const next = this.#page(pasid)?.next[pasid & PAGE_MASK] ?? 0
      yield pasid
      pasid = next
    }
  }

  /** The lowest number above `after` that is in any state but free; skips empty pages whole. */
  nextKnown(after: number): number | undefined {
    for (let pasid = after + 1; pasid < this.size; ) {
      const page = this.#page(pasid)
      if (page === undefined) {
        pasid = (pasid | PAGE_MASK) + 1
        continue
      }
      const end = Math.min((pasid | PAGE_MASK) + 1, this.size)
      for (; pasid < end; pasid += 1) if (page.slot[pasid & PAGE_MASK] !== SLOT.FREE) return pasid
    }
    return undefined
  }

  #move(run: PasidRun, from: Slot, to: Slot): void {
    for (let pasid = run.first; pasid < run.first + run.count; pasid += 1) {
      const page = this.#ensure(pasid)
      const i = pasid & PAGE_MASK
      if (page.slot[i] !== from) broken(`pasid ${pasid} is in slot state ${from}`)
      page.slot[i] = to
    }
  }

  #vacate(pasid: number, page: Page, i: number): void {
    if (page.reserved[i] === 1) this.#counts.reservedFree += 1
    else this.#bitmap.vacate(pasid)
  }

  #enlist(pasid: number, page: Page, i: number, session: SessionId): void {
    const head = this.#heads.get(session) ?? 0
    page.next[i] = head
    page.previous[i] = 0
    if (head !== 0) this.#ensure(head).previous[head & PAGE_MASK] = pasid
    this.#heads.set(session, pasid)
  }

  #delist(pasid: number, page: Page, i: number): void {
    const next = page.next[i] ?? 0
    const previous = page.previous[i] ?? 0
    if (next !== 0) this.#ensure(next).previous[next & PAGE_MASK] = previous
    if (previous !== 0) this.#ensure(previous).next[previous & PAGE_MASK] = next
    else if (next !== 0) this.#heads.set((page.session[i] ?? 0) as SessionId, next)
    else this.#heads.delete((page.session[i] ?? 0) as SessionId)
  }

  #page(pasid: number): Page | undefined {
    return this.#pages[pasid >>> PAGE_BITS]
  }

  #ensure(pasid: number): Page {
    if (pasid < 0 || pasid >= this.size) broken(`pasid ${pasid} is within the namespace`)
    const page = this.#pages[pasid >>> PAGE_BITS]
    if (page !== undefined) return page
    const fresh = emptyPage()
    this.#pages[pasid >>> PAGE_BITS] = fresh
    return fresh
  }
}
