/**
 * One access of a trace, held against the slow model: whether the unit answered what the tables
 * say, set the dirty flags that it had to, and no flag that it had not. Accessed flags may come
 * late, when a cache has answered; and a walk that ends in a fault may leave those of the entries
 * it came by.
 */
import type { Translation } from '../../src/backend/emulator/unit.js'
import { slowTranslate, type SlowAnswer } from './slow-iommu.js'
import type { TraceImage, Use } from './trace-image.js'
import type { Visit } from './trace-run.js'
import { addressOf, BITS, pathTo } from './trace-tables.js'
import type { World } from './trace-world.js'

export interface Judged {
  readonly slow: SlowAnswer
  readonly met: Translation
  /** Why the unit's answer is not what the tables say; undefined = it is. */
  readonly difference: string | undefined
}

const INTERRUPT_RANGE = 0x87
/** The second stage lets no flag be set in a first-stage table. */
const FLAG_DENIED = 0x77

interface Flag {
  readonly at: number
  readonly flag: number
}

/** Makes the access on the unit, after the slow model was asked. */
export function judge(visit: Visit): Judged {
  const { world, unit, device, access } = visit
  const { image } = world
  image.looked.length = 0
  image.stored.length = 0
  const request = { sourceId: device.sourceId, ...access }
  const slow = slowTranslate(image.slow, BigInt(world.root), world.caps, request)
  const owed = allowFlags(image, slow, access.write)
  const met = unit.translate(device, access)
  const difference = differenceOf(image, { slow, met, owed })
  if (difference === undefined || slow.kind !== 'FAULT' || slow.code !== FLAG_DENIED) {
    return { slow, met, difference }
  }
  // By a stale right an accessed flag was set, after which the tables deny nothing any more. Those
  // flags do not count, so whoever blames nobody is right as well.
  if (visit.forgotten === undefined || met.staleness !== undefined) return { slow, met, difference }
  const after = slowTranslate(image.slow, BigInt(world.root), world.caps, request)
  return { slow: after, met, difference: differenceOf(image, { slow: after, met, owed: [] }) }
}

/** Notes which flags the access may set; answers the dirty flags that it must. */
function allowFlags(image: TraceImage, slow: SlowAnswer, write: boolean): readonly Flag[] {
  const owed: Flag[] = []
  if (slow.kind === 'FAULT') {
    // A first stage is done with its leaf before what comes out of it is refused; and to set its
    // flags is a write to the second one.
    const nested = hasLooked(image, 'FIRST') && hasLooked(image, 'SECOND')
    const late = write && (nested || slow.code === INTERRUPT_RANGE)
    for (const at of image.looked) {
      const use = image.useAt(at)
      if (use === 'OTHER') continue
      const { flags, dirty } = BITS[use]
      image.allow(at, late || (nested && use === 'SECOND') ? flags : flags & ~dirty)
    }
    return owed
  }
  // The last word that is read is the leaf of the second stage.
  const last = slow.ssLevel === undefined ? -1 : image.looked[image.looked.length - 1]
  for (const { address, value } of slow.updates) {
    const at = image.indexOf(Number(address))
    const use = image.useAt(at)
    if (use === 'OTHER') throw new Error('the slow model sets flags in what is no page table')
    const bits = BITS[use]
    const low = Number(value & 0xfffn)
    image.allow(at, low & bits.flags)
    if (!write || (low & bits.dirty) === 0) continue
    if (use === 'FIRST' || at === last) owed.push({ at, flag: bits.dirty })
  }
  return owed
}

function hasLooked(image: TraceImage, use: Use): boolean {
  return image.looked.some((at) => image.useAt(at) === use)
}

function differenceOf(
  image: TraceImage,
  what: { readonly slow: SlowAnswer; readonly met: Translation; readonly owed: readonly Flag[] },
): string | undefined {
  const { slow, met, owed } = what
  const { outcome } = met
  if (slow.kind === 'FAULT') {
    const same = outcome.kind === 'FAULT' && outcome.code === slow.code
    if (same && outcome.recorded === slow.recorded) return undefined
    return `the tables say ${textOf(slow)}, the unit ${metText(met)}`
  }
  if (outcome.kind === 'FAULT' || BigInt(outcome.address) !== slow.hpa) {
    return `the tables say ${textOf(slow)}, the unit ${metText(met)}`
  }
  for (const { at, flag } of owed) {
    const address = image.addressAt(at)
    if ((image.low(address) & flag) === 0) return `no dirty flag at 0x${address.toString(16)}`
  }
  return undefined
}

export function textOf(slow: SlowAnswer): string {
  if (slow.kind === 'TRANSLATED') return `0x${slow.hpa.toString(16)}`
  return `${slow.reason} 0x${slow.code.toString(16)}${slow.recorded ? '' : ' silenced'}`
}

export function metText({ outcome, source }: Translation): string {
  const what =
    outcome.kind === 'TRANSLATED'
      ? `0x${outcome.address.toString(16)}`
      : `${outcome.fault} 0x${outcome.code.toString(16)}${outcome.recorded ? '' : ' silenced'}`
  return `${what} by ${source}`
}

/** What the unit's last access did to memory that it should not have done; undefined = nothing. */
export function misdeedOf(world: World): string | undefined {
  const { image } = world
  for (const at of image.stored) {
    const address = image.addressAt(at)
    const text = `0x${address.toString(16)}`
    const use = image.useAt(at)
    if (use === 'OTHER') return `the unit wrote at ${text}, which is no page table`
    if (!image.isAsAllowed(at)) {
      return `the unit made ${text} 0x${(image.read(address) ?? 0n).toString(16)}`
    }
    if (use === 'FIRST' && isTracked(world, address) === false) {
      return `the unit set a flag at ${text}, in a page whose second stage has no dirty flag`
    }
  }
  return undefined
}

/** Whether the second stage's dirty flag of a table's page is set; undefined: there is none. */
function isTracked({ image, seconds }: World, address: number): boolean | undefined {
  const frame = Math.floor(address / 4096) * 4096
  for (const space of seconds) {
    if (!space.flags) continue
    for (const [page, { table }] of space.guests) {
      if (table.frame !== frame) continue
      const path = pathTo(space, page)
      const leaf = path[path.length - 1]
      if (leaf !== undefined) return (image.low(addressOf(leaf)) & BITS.SECOND.dirty) !== 0
    }
  }
  return undefined
}
