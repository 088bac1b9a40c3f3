/**
 * What happens in a trace: which access comes next, and what software changes. Accesses like to
 * come back to what was asked before, and to what was just changed: that is where a cache can be
 * wrong.
 */
import type { Access } from '../../src/backend/emulator/request-path.js'
import { changeContext, changeEntry, changeGroup } from './trace-entry-changes.js'
import { PAGE } from './trace-image.js'
import { changePages } from './trace-page-changes.js'
import { isLeaf, orderOf, pagesOfOrder, pathTo, type Space } from './trace-tables.js'
import {
  entryAt,
  pagesOf,
  type Change,
  type Device,
  type Entry,
  type World,
} from './trace-world.js'

export interface Asked {
  readonly device: Device
  readonly pasid: number | undefined
  readonly page: number
  readonly write: boolean
  readonly privileged: boolean
}

const RECENT = 4
const OFFSETS = [0n, 0n, 8n, 0x7fcn, 0xfffn]

function bitOf(page: number, bit: number): boolean {
  return Math.floor(page / pagesOfOrder(bit)) % 2 === 1
}

export class TraceSteps {
  readonly #world: World
  readonly #recent: Asked[] = []
  #focus: Asked | undefined
  #asked: Asked | undefined

  constructor(world: World) {
    this.#world = world
  }

  /** What software has changed last was on the way of this. */
  get focus(): Asked | undefined {
    return this.#focus
  }

  nextAccess(): { readonly device: Device; readonly access: Access } {
    const { random } = this.#world
    const asked = this.#chooseAsked()
    this.#asked = asked
    const { device, pasid, page, write, privileged } = asked
    const address = BigInt(page) * BigInt(PAGE) + random.pick(OFFSETS)
    return { device, access: { pasid, address, write, privileged } }
  }

  /** The access was translated: it is worth to come back to. */
  remember(): void {
    if (this.#asked === undefined || this.#recent.includes(this.#asked)) return
    this.#recent.unshift(this.#asked)
    if (this.#recent.length > RECENT) this.#recent.pop()
  }

  /** What software does next; undefined: it found nothing to do. */
  nextChange(): Change | undefined {
    const { broken, random } = this.#world
    if (broken !== undefined) {
      this.#world.broken = undefined
      return broken()
    }
    for (let tries = 0; tries < 8; tries += 1) {
      const known = this.#recent.length > 0 && random.percent(85)
      const target = known ? random.pick(this.#recent) : this.#newAsked()
      const change = this.#change(target)
      if (change === undefined) continue
      this.#focus = target
      return change
    }
    return undefined
  }

  #chooseAsked(): Asked {
    const { random } = this.#world
    const chance = random.below(100)
    if (this.#focus !== undefined && chance < 55) return this.#again(this.#focus)
    if (this.#recent.length > 0 && chance < 70) return this.#again(random.pick(this.#recent))
    return chance > 97 ? this.#oddAsked() : this.#newAsked()
  }

  /** The same page once more, perhaps by another right, device, or way. */
  #again(asked: Asked): Asked {
    const { random, devices } = this.#world
    const chance = random.below(100)
    if (chance < 70) return asked
    if (chance < 85) return { ...asked, write: !asked.write }
    if (chance < 90) return { ...asked, privileged: !asked.privileged }
    if (chance < 93) return { ...asked, device: random.pick(devices) }
    // In a large leaf, another page of it.
    if (chance < 97) return { ...asked, page: asked.page + (bitOf(asked.page, 8) ? -256 : 256) }
    const { rid } = asked.device
    return { ...asked, pasid: asked.pasid === undefined ? rid : undefined }
  }

  #newAsked(): Asked {
    const { random, devices, entries, options } = this.#world
    const device = random.pick(devices)
    const plain = random.percent(30) || !device.pasids
    const pasid = plain && random.percent(95) ? undefined : random.pick(entries).pasid
    const entry = entryAt(this.#world, device.directory, pasid ?? device.rid)
    const hot = entry === undefined ? undefined : pagesOf(entry)
    // Passed through: anything, now and then what the host has not.
    const bits = options.hostAddressWidth - 12 + (random.percent(5) ? 1 : 0)
    const page = hot === undefined ? random.bits(Math.min(bits, 52)) : random.pick(hot)
    const privileged = random.percent(entry?.supervisor === true ? 20 : 4)
    return { device, pasid, page, write: random.percent(45), privileged }
  }

  /** Not canonical, beyond the table, or an interrupt. */
  #oddAsked(): Asked {
    const { random, directorySize } = this.#world
    const asked = this.#newAsked()
    const kind = random.below(3)
    if (kind === 0) return { ...asked, page: random.bits(52) }
    if (kind === 1) return { ...asked, pasid: 2 ** (directorySize + 13) + random.below(100) }
    return { ...asked, page: 0xfee00 + random.below(256) }
  }

  #change({ device, pasid, page }: Asked): Change | undefined {
    const { random } = this.#world
    const number = pasid ?? device.rid
    const chance = random.below(100)
    if (chance < 8) return changeContext(this.#world, device)
    if (chance < 13) return changeGroup(this.#world, device, number)
    if (chance < 35) return changeEntry(this.#world, device, number)
    const entry = entryAt(this.#world, device.directory, number)
    return entry === undefined ? undefined : this.#changePages(entry, page)
  }

  #changePages({ first, second }: Entry, page: number): Change | undefined {
    const { random } = this.#world
    if (first !== undefined && (second === undefined || random.percent(50))) {
      return changePages(this.#world, first, page)
    }
    if (second === undefined) return undefined
    const guest = first === undefined ? page : this.#guestPage(first, page)
    return changePages(this.#world, second, guest)
  }

  /** The page of a table on the way, or the one that comes out of the first stage. */
  #guestPage(first: Space, page: number): number {
    const { random } = this.#world
    const path = pathTo(first, page)
    const last = path[path.length - 1]
    if (last !== undefined && isLeaf(last) && random.percent(55)) {
      const order = orderOf(last.table.level)
      const output = Math.floor(last.output / PAGE / 2 ** order) * 2 ** order
      return output + (page % 2 ** order)
    }
    return random.pick(path).table.name / PAGE
  }
}
