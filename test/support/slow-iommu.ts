/**
 * A slow, obvious model of a VT-d unit in scalable mode, written from the tables' layouts alone and
 * without a look at the product's emulator, which it is there to judge. A pure function: it reads
 * the tables for each access, keeps nothing, writes nothing (it lists what a unit would write).
 *
 * Layouts: VT-d 9.x as in QEMU's intel_iommu_internal.h and Linux's drivers/iommu/intel/pasid.h.
 * Choices where those leave one:
 * - An entry's P is looked at before anything else in it (QEMU checks PGTT before P).
 * - Non-zero reserved fields of a PASID entry are 0x5a, bad PGTT/AW/FLPM 0x5b (Linux's texts); SRE,
 *   WPE and EAFE are reserved without their capability, as is RID_PRIV. ERE, NXE, SMEP and SLEE of
 *   VT-d 3.0 are reserved: no unit modelled here has execute requests. Fields that PGTT has no use
 *   for (AW and SLPTPTR, SRE to FLPTPTR) are ignored.
 * - Only the half of the root entry that the device uses is checked (QEMU checks both).
 * - A request without PASID into 0xfeexxxxx is an interrupt, not DMA, whatever the tables say:
 *   INTERRUPT_RANGE without a look at them. One with PASID is translated like any other (VT-d
 * 3.14).
 * - Just the address that comes out is held against 0xfeexxxxx, not its whole page as QEMU does.
 * - DTE and PRE do not matter: there are no translation and no page requests here. Flags are always
 *   written: the atomic update's failures (0x7d, 0x90, 0x91) do not exist.
 */
import { faulted, SLOW_FAULTS, type SlowReason } from './slow-faults.js'
import type { SlowAnswer, SlowCaps, SlowMemory, SlowRequest, SlowTranslated } from './slow-types.js'
import {
  type Below,
  mask,
  type Place,
  type SecondStage,
  walkFirstStage,
  walkSecondStage,
  Words,
} from './slow-walk.js'

export type { SlowAnswer, SlowCaps, SlowMemory, SlowRequest } from './slow-types.js'

/** Where the model is in one access: what it reads, and whether an FPD bit has been met. */
interface Visit {
  readonly words: Words
  readonly caps: SlowCaps
  readonly request: SlowRequest
  silenced: boolean
}

const PRESENT = 1n
const FPD = 2n
const POINTER = mask(63, 12)

function bit(word: bigint, at: number): boolean {
  return ((word >> BigInt(at)) & 1n) === 1n
}

function field(word: bigint, high: number, low: number): number {
  return Number((word & mask(high, low)) >> BigInt(low))
}

function word(entry: readonly bigint[], at: number): bigint {
  return entry[at] ?? 0n
}

function beyondHost(caps: SlowCaps): bigint {
  return mask(63, caps.hostAddressWidth)
}

/** The 4-word context entry of the requester, checked. */
function contextEntry(visit: Visit, root: bigint): SlowReason | readonly bigint[] {
  const { words, caps, request } = visit
  const bus = BigInt(request.sourceId >> 8)
  const devfn = request.sourceId & 0xff
  const half = words.read((root & POINTER) + bus * 16n + (devfn < 128 ? 0n : 8n))
  if (half === undefined) return 'ROOT_ENTRY_UNREADABLE'
  if ((half & PRESENT) === 0n) return 'ROOT_ENTRY_NOT_PRESENT'
  if ((half & (mask(11, 1) | beyondHost(caps))) !== 0n) return 'ROOT_ENTRY_RESERVED'
  const entry = words.entry((half & POINTER) + BigInt(devfn % 128) * 32n, 4)
  if (entry === undefined) return 'CONTEXT_ENTRY_UNREADABLE'
  visit.silenced ||= (word(entry, 0) & FPD) !== 0n
  if ((word(entry, 0) & PRESENT) === 0n) return 'CONTEXT_ENTRY_NOT_PRESENT'
  const reserved = [
    mask(8, 5) | beyondHost(caps),
    mask(63, caps.supervisorRequests ? 21 : 20),
    mask(63, 0),
    mask(63, 0),
  ]
  if (reserved.some((bits, at) => (word(entry, at) & bits) !== 0n)) return 'CONTEXT_ENTRY_RESERVED'
  return entry
}

/** The PASID that the request is under, with its privilege. */
function requester(
  request: SlowRequest,
  context: readonly bigint[],
):
  | SlowReason
  | { readonly pasid: number; readonly privileged: boolean; readonly execute: boolean } {
  const limit = 2 ** (field(word(context, 0), 11, 9) + 13)
  if (request.pasid === undefined) {
    const pasid = field(word(context, 1), 19, 0)
    if (pasid >= limit) return 'RID_PASID_TOO_LARGE'
    return { pasid, privileged: bit(word(context, 1), 20), execute: false }
  }
  if (!bit(word(context, 0), 3)) return 'PASID_NOT_ENABLED'
  if (request.pasid >= limit) return 'PASID_TOO_LARGE'
  const { pasid, privileged, execute = false } = request
  return { pasid, privileged, execute }
}

/** The 8-word PASID entry, present; its fields are not yet checked. */
function pasidEntry(
  visit: Visit,
  directory: bigint,
  pasid: number,
): SlowReason | readonly bigint[] {
  const { words, caps } = visit
  const pointer = words.read(directory + BigInt(pasid >> 6) * 8n)
  if (pointer === undefined) return 'PASID_DIRECTORY_UNREADABLE'
  visit.silenced ||= (pointer & FPD) !== 0n
  if ((pointer & PRESENT) === 0n) return 'PASID_DIRECTORY_NOT_PRESENT'
  if ((pointer & (mask(11, 2) | beyondHost(caps))) !== 0n) return 'PASID_DIRECTORY_RESERVED'
  const entry = words.entry((pointer & POINTER) + BigInt(pasid & 63) * 64n, 8)
  if (entry === undefined) return 'PASID_ENTRY_UNREADABLE'
  visit.silenced ||= (word(entry, 0) & FPD) !== 0n
  if ((word(entry, 0) & PRESENT) === 0n) return 'PASID_ENTRY_NOT_PRESENT'
  return entry
}

const TYPES = new Map([
  [1, { first: true, second: false }],
  [2, { first: false, second: true }],
  [3, { first: true, second: true }],
  [4, { first: false, second: false }],
])

type Stages = NonNullable<ReturnType<typeof TYPES.get>>

/** The words of a PASID entry in which all bits must be 0. */
const UNUSED = Array.from({ length: 5 }, () => mask(63, 0))

/** What PGTT asks for, once the entry's fields are found good for it. */
function stagesOf(caps: SlowCaps, entry: readonly bigint[]): SlowReason | Stages {
  const stages = TYPES.get(field(word(entry, 0), 8, 6))
  if (stages === undefined) return 'PASID_ENTRY_TYPE'
  const second = mask(5, 5) | mask(11, 10) | (stages.second ? beyondHost(caps) : 0n)
  const first =
    mask(1, 1) |
    mask(6, 5) |
    mask(11, 8) |
    (caps.supervisorRequests ? 0n : mask(0, 0) | mask(4, 4)) |
    (caps.extendedAccessed ? 0n : mask(7, 7)) |
    (stages.second ? 0n : beyondHost(caps))
  const reserved = [second, mask(22, 16), stages.first ? first : 0n, ...UNUSED]
  if (reserved.some((bits, at) => (word(entry, at) & bits) !== 0n)) return 'PASID_ENTRY_RESERVED'
  const width = field(word(entry, 0), 4, 2)
  if (stages.second && (width < 1 || width > 3)) return 'PASID_ENTRY_ADDRESS_WIDTH'
  const mode = field(word(entry, 2), 3, 2)
  if (stages.first && mode > (caps.fiveLevels ? 1 : 0)) return 'PASID_ENTRY_PAGING_MODE'
  return stages
}

type Translation = Omit<SlowTranslated, 'kind' | 'updates'>

function passThrough(caps: SlowCaps, address: bigint): SlowReason | Translation {
  if ((address & beyondHost(caps)) !== 0n) return 'PASS_THROUGH_TOO_WIDE'
  const none = { gpa: undefined, fsLevel: undefined, ssLevel: undefined }
  return { hpa: address, writable: true, user: true, ...none }
}

function throughStages(
  visit: Visit,
  entry: readonly bigint[],
  stages: Stages,
  access: { readonly address: bigint; readonly write: boolean; readonly privileged: boolean },
): SlowReason | Translation {
  const { words, caps } = visit
  const [low, high] = [word(entry, 0), word(entry, 2)]
  const second: SecondStage = {
    root: low & POINTER,
    levels: field(low, 4, 2) + 2,
    flags: bit(low, 9),
  }
  const below: Below = (address, write): SlowReason | Place =>
    stages.second
      ? walkSecondStage(words, caps, second, address, write)
      : { hpa: address, level: undefined, writable: true }
  const first = stages.first
    ? walkFirstStage(
        words,
        caps,
        {
          root: high & POINTER,
          levels: field(high, 3, 2) + 4,
          extendedAccessed: bit(high, 7),
          writeProtect: bit(high, 4),
        },
        access,
        below,
      )
    : { address: access.address, level: undefined, writable: true, user: true }
  if (faulted(first)) return first
  const place = below(first.address, access.write)
  if (faulted(place)) return place
  return {
    hpa: place.hpa,
    gpa: stages.second ? first.address : undefined,
    writable: first.writable && place.writable,
    user: first.user,
    fsLevel: first.level,
    ssLevel: place.level,
  }
}

function inInterruptRange(address: bigint): boolean {
  return address >> 20n === 0xfeen
}

function translate(visit: Visit, root: bigint): SlowReason | Translation {
  const { caps, request } = visit
  const { address, write } = request
  if (request.pasid === undefined && inInterruptRange(address)) return 'INTERRUPT_RANGE'
  const context = contextEntry(visit, root)
  if (faulted(context)) return context
  const who = requester(request, context)
  if (faulted(who)) return who
  const entry = pasidEntry(visit, word(context, 0) & POINTER, who.pasid)
  if (faulted(entry)) return entry
  const stages = stagesOf(caps, entry)
  if (faulted(stages)) return stages
  if (stages.first && who.execute) return 'EXECUTE_NOT_ENABLED'
  if (stages.first && who.privileged && !bit(word(entry, 2), 0)) return 'SUPERVISOR_NOT_ENABLED'
  const found =
    stages.first || stages.second
      ? throughStages(visit, entry, stages, { address, write, privileged: who.privileged })
      : passThrough(caps, address)
  if (faulted(found)) return found
  return inInterruptRange(found.hpa) ? 'INTERRUPT_RANGE' : found
}

/**
 * What a unit with these capabilities does with one request, given its memory and the address of
 * its scalable-mode root table (RTADDR, bits 11:0 ignored).
 */
export function slowTranslate(
  memory: SlowMemory,
  root: bigint,
  caps: SlowCaps,
  request: SlowRequest,
): SlowAnswer {
  const visit: Visit = { words: new Words(memory), caps, request, silenced: false }
  const found = translate(visit, root)
  if (faulted(found)) {
    const { code, qualified } = SLOW_FAULTS[found]
    return { kind: 'FAULT', reason: found, code, recorded: !(qualified && visit.silenced) }
  }
  const updates = [...visit.words.changed].map(([address, value]) => ({ address, value }))
  return { kind: 'TRANSLATED', ...found, updates }
}
