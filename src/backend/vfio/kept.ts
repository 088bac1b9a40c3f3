/**
 * What an earlier life of the daemon left in the keeper's hands: each memory, with the descriptors
 * that it speaks of, becomes a holding again. What does not fit together, or is not of the device
 * that has its name now, is detached and closed: no id is guessed.
 */

import fs from 'node:fs'
import {
  domainId,
  sessionId,
  SESSION_ID_LAST,
  type SessionId,
  type Target,
} from '../../core/ids.js'
import { sameTable } from '../../core/binding.js'
import type { HandedFd, TurnedAway } from '../backend.js'
import type { DeviceCalls } from './device-calls.js'
import { pageOf, type WaitingGroup } from './fault-queue.js'
import { HeldFd } from './held-fd.js'
import { HeldDevice } from './held-device.js'
import { Holding, hwptKey, pageKey, placeKey } from './holding.js'
import type { Hwpt } from './hwpts.js'
import { keptName, Memory } from './memory.js'
import {
  decodeRecord,
  RECORD_BYTES,
  type DeviceRecord,
  type HeaderRecord,
  type MemoryRecord,
  type PageRecord,
  type PlaceRecord,
} from './records.js'
import type { FdKeeper, HostDevice } from './ports.js'
import type { Stray, Unclaimed } from './unclaimed.js'

/** Records of one memory: 2^20 PASIDs and as many tables, of a few devices. */
const RECORDS_MAX = 2 ** 22
const UNRECORDED = 'no record of what was attached came with its descriptors'
const NAME = /^vfio\.([0-9]{1,10})\.([^.:]{1,63})\.(iommufd|cdev|fault|memory)$/

export interface KeptParts {
  readonly keeper: FdKeeper
  readonly hosts: ReadonlyMap<string, HostDevice>
  readonly callsFor: (host: HostDevice, session: SessionId) => DeviceCalls
}

export interface KeptHolding {
  readonly holding: Holding
  /** Our own fault queue, to be read again. */
  readonly queue: { readonly id: number; readonly fd: HeldFd } | undefined
  readonly waiting: readonly WaitingGroup[]
}

/** What was kept: whole holdings, and what is of no use. */
export function takeKept(parts: KeptParts): {
  readonly holdings: readonly KeptHolding[]
  readonly turnedAway: readonly TurnedAway[]
} & Unclaimed {
  const fds = new Map(parts.keeper.takeKept())
  const holdings: KeptHolding[] = []
  const broken: Found[] = []
  const turnedAway: TurnedAway[] = []
  for (const [name, fd] of [...fds]) {
    const [, session, lead, what] = NAME.exec(name) ?? []
    if (what !== 'memory' || lead === undefined) continue
    const id = Number(session)
    if (id < 1 || id > SESSION_ID_LAST) continue
    const records = readAll(fd)
    const header = records?.get(0)
    if (records === undefined || header?.type !== 'HEADER' || header.session !== id) continue
    const found = { session: sessionId(id), lead, header, records }
    const why = problemOf(parts, fds, found)
    const holding = why === undefined ? restore(parts, fds, found) : undefined
    if (holding !== undefined) {
      holdings.push(holding)
      continue
    }
    broken.push(found)
    for (const { name: device } of of(records, 'DEVICE').values()) {
      turnedAway.push({ device, session: found.session, why: why ?? UNRECORDED })
    }
  }
  for (const left of devicesIn(fds.keys())) {
    const { device, session } = left
    const isSaid = turnedAway.some((each) => each.device === device && each.session === session)
    if (!isSaid) turnedAway.push({ ...left, why: UNRECORDED })
  }
  // After all that are whole have what is theirs.
  const strays = broken.flatMap((found) => straysOf(parts, fds, found))
  for (const name of fds.keys()) parts.keeper.drop(name)
  return { holdings, strays, useless: [...fds.values()], turnedAway }
}

/** Of which devices there are descriptors, by their names with the keeper; each once. */
export function devicesIn(names: Iterable<string>): readonly Omit<TurnedAway, 'why'>[] {
  const found = new Map<string, Omit<TurnedAway, 'why'>>()
  for (const name of names) {
    const [, number, device] = NAME.exec(name) ?? []
    const session = Number(number)
    if (device === undefined || session < 1 || session > SESSION_ID_LAST) continue
    found.set(`${session}/${device}`, { device, session: sessionId(session) })
  }
  return [...found.values()]
}

interface Found {
  readonly session: SessionId
  readonly lead: string
  readonly header: HeaderRecord
  readonly records: Records
}

/** Names of all that the record speaks of. */
function namesOf({ session, lead, header, records }: Found): readonly string[] {
  const names = [keptName(session, lead, 'memory')]
  if (header.faults?.own === true) names.push(keptName(session, lead, 'fault'))
  for (const { name } of of(records, 'DEVICE').values()) {
    names.push(keptName(session, name, 'iommufd'), keptName(session, name, 'cdev'))
  }
  return names
}

/** Why it cannot be taken up whole; undefined: it can. */
function problemOf(
  { hosts }: KeptParts,
  fds: ReadonlyMap<string, HandedFd>,
  found: Found,
): string | undefined {
  const devices = [...of(found.records, 'DEVICE').values()]
  if (devices.length === 0) return UNRECORDED
  const missing = namesOf(found).filter((name) => !fds.has(name))
  if (missing.length > 0) return `of what belongs together, ${missing.join(', ')} was not kept`
  for (const { name } of devices) {
    const host = hosts.get(name)
    if (host === undefined) return `there is no device ${name} in the configuration any more`
    const cdev = fds.get(keptName(found.session, name, 'cdev'))
    const wrong = cdev && host.problemWith(cdev)
    if (wrong !== undefined) return `${name} is another device now: ${wrong.problem}`
  }
  return undefined
}

/** Takes what it uses out of `fds`; undefined: it uses nothing. */
function restore(
  parts: KeptParts,
  fds: Map<string, HandedFd>,
  found: Found,
): KeptHolding | undefined {
  const { session, lead, header, records } = found
  return new Restoring(parts, session, lead, header, records, (name) => {
    const taken = fds.get(name)
    fds.delete(name)
    return taken
  }).holding(namesOf(found))
}

/** Takes the devices of one that is not whole out of `fds`. */
function straysOf(
  { hosts, keeper }: KeptParts,
  fds: Map<string, HandedFd>,
  { session, records }: Found,
): readonly Stray[] {
  // Whoever has the name now: all are attached in the same way.
  const [host] = hosts.values()
  const places = [...of(records, 'PLACE').values()]
  const strays: Stray[] = []
  for (const [index, { name }] of of(records, 'DEVICE')) {
    const kept = keptName(session, name, 'cdev')
    const cdev = fds.get(kept)
    if (host === undefined || cdev === undefined) continue
    fds.delete(kept)
    keeper.drop(kept)
    const ours = places.filter(({ device }) => device === index)
    strays.push({ host, cdev, targets: ours.map(({ target }) => target as Target) })
  }
  return strays
}

type Records = ReadonlyMap<number, MemoryRecord>

function readAll(fd: HandedFd): Records | undefined {
  const records = new Map<number, MemoryRecord>()
  const bytes = new Uint8Array(RECORD_BYTES)
  try {
    for (let index = 0; index < RECORDS_MAX; index += 1) {
      const read = fs.readSync(fd.number, bytes, 0, RECORD_BYTES, index * RECORD_BYTES)
      if (read === 0) return records
      const record = read < RECORD_BYTES ? 'BROKEN' : decodeRecord(bytes)
      if (record === 'BROKEN') return undefined
      if (record !== undefined) records.set(index, record)
    }
  } catch {
    // Not a file that can be read: nothing is known.
  }
  return undefined
}

function of<Type extends MemoryRecord['type']>(
  records: Records,
  type: Type,
): ReadonlyMap<number, Extract<MemoryRecord, { type: Type }>> {
  const found = new Map<number, Extract<MemoryRecord, { type: Type }>>()
  for (const [index, record] of records) {
    if (record.type === type) found.set(index, record as Extract<MemoryRecord, { type: Type }>)
  }
  return found
}

/** One memory on its way to a holding. */
class Restoring {
  readonly #parts: KeptParts
  readonly #session: SessionId
  readonly #lead: string
  readonly #header: HeaderRecord
  readonly #records: Records
  readonly #take: (name: string) => HandedFd | undefined
  readonly #indices = new Map<string, number>([['header', 0]])

  constructor(
    parts: KeptParts,
    session: SessionId,
    lead: string,
    header: HeaderRecord,
    records: Records,
    take: (name: string) => HandedFd | undefined,
  ) {
    this.#parts = parts
    this.#session = session
    this.#lead = lead
    this.#header = header
    this.#records = records
    this.#take = take
  }

  /** All the names are there. */
  holding(names: readonly string[]): KeptHolding | undefined {
    const { parent: id, ownParent, faults } = this.#header
    const fd = this.#take(keptName(this.#session, this.#lead, 'memory'))
    if (fd === undefined) return undefined
    const devices = of(this.#records, 'DEVICE')
    const places = of(this.#records, 'PLACE')
    const pages = of(this.#records, 'PAGE')
    const hwptRecords = of(this.#records, 'HWPT')
    for (const [index, { name }] of devices) this.#indices.set(`device/${name}`, index)
    for (const [index, { table }] of hwptRecords) this.#indices.set(hwptKey(table), index)
    this.#index(devices, places)
    const groups = this.#groups(devices, pages)
    const count = Math.max(...this.#records.keys()) + 1
    const kept = { names, indices: this.#indices, count }
    const holding = new Holding({
      session: this.#session,
      parent: { id, own: ownParent },
      foreignFaultId: faults?.own === false ? faults.id : undefined,
      memory: Memory.adopt(this.#parts.keeper, fd, kept),
    })
    const held = new Map<number, HeldDevice>()
    for (const [index, record] of devices) held.set(index, this.#device(holding, record))
    const hwpts = new Map<number, Hwpt>()
    for (const [index, record] of hwptRecords) {
      hwpts.set(index, holding.hwpts.adopt(record.id, record.table))
    }
    for (const place of places.values()) restorePlace(holding, held, hwpts, place)
    const queueFd = this.#take(keptName(this.#session, this.#lead, 'fault'))
    const queue = queueFd && new HeldFd(queueFd, `the fault queue of ${this.#lead}`)
    return {
      holding,
      queue: queue && faults && { id: faults.id, fd: queue },
      waiting: groups,
    }
  }

  #device(holding: Holding, { name, devId, info, resting }: DeviceRecord): HeldDevice {
    const { hosts, callsFor } = this.#parts
    const host = hosts.get(name)
    const take = (what: 'iommufd' | 'cdev'): HandedFd | undefined => {
      return this.#take(keptName(this.#session, name, what))
    }
    const [iommufd, cdev] = [take('iommufd'), take('cdev')]
    if (host === undefined || iommufd === undefined || cdev === undefined) {
      throw new RangeError(`${name}: what was found is gone`)
    }
    const calls = callsFor(host, this.#session)
    const held = new HeldFd(cdev, `the descriptor of ${name}`)
    const parts = {
      host,
      iommufd: new HeldFd(iommufd, `the iommufd of ${name}`),
      cdev: held,
      calls,
      port: host.attachPort(held, calls),
    }
    const device = new HeldDevice(parts, { devId, info })
    holding.devices.set(name, device)
    if (resting !== 'NO') holding.resting.add(device)
    if (resting === 'INTENDED') holding.unrested.add(device)
    return device
  }

  #index(
    devices: ReadonlyMap<number, DeviceRecord>,
    places: ReadonlyMap<number, PlaceRecord>,
  ): void {
    for (const [index, { device, target }] of places) {
      const name = devices.get(device)?.name
      if (name !== undefined) this.#indices.set(placeKey({ name }, target as Target), index)
    }
  }

  #groups(
    devices: ReadonlyMap<number, DeviceRecord>,
    pages: ReadonlyMap<number, PageRecord>,
  ): readonly WaitingGroup[] {
    const groups = new Map<string, WaitingGroup & { readonly pages: ReturnType<typeof pageOf>[] }>()
    for (const [index, record] of pages) {
      const device = devices.get(record.device)?.name
      if (device === undefined) continue
      const { group, cookie } = record
      const target = record.target as Target
      const key = `${device}/${target}/${group}`
      const known = groups.get(key) ?? { device, target, group, cookie, pages: [] }
      this.#indices.set(pageKey(known, known.pages.length), index)
      known.pages.push(pageOf({ addr: record.address, perm: record.perm }))
      groups.set(key, known)
    }
    return [...groups.values()]
  }
}

/** Whatever is remembered may stand, or not. */
function restorePlace(
  holding: Holding,
  devices: ReadonlyMap<number, HeldDevice>,
  hwpts: ReadonlyMap<number, Hwpt>,
  { device: index, target: number, hwpt: hwptIndex, domain }: PlaceRecord,
): void {
  const device = devices.get(index)
  const hwpt = hwptIndex === undefined ? holding.hwpts.parent : hwpts.get(hwptIndex)
  if (device === undefined || hwpt === undefined) return
  const target = number as Target
  const place = holding.places.get(target)
  if (place === undefined) {
    hwpt.users += 1
    holding.places.set(target, {
      table: hwpt.table,
      domain: domainId(domain),
      hwpt,
      through: new Set([device]),
      unproven: new Set([device]),
    })
    return
  }
  // A replace that was cut off: one entry of a group has one table, whichever it is.
  if (!sameTable(place.table, hwpt.table)) return
  place.through.add(device)
  place.unproven.add(device)
}
