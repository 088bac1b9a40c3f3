/**
 * Guest memory for backends that walk the guest's tables themselves: ranges of guest-physical
 * addresses, mapped for a session and taken away again. Not durable: a restart of the daemon
 * forgets them, and so does the session's end. Decided and done in one turn, on the state as it is.
 */

import {
  BackendFault,
  type GuestMemories,
  type MemoryFile,
  type MemoryRange,
} from '../../backend/backend.js'
import { openSession, standingSession } from '../../core/decide/preconditions.js'
import { accepted } from '../../core/decided.js'
import type { SessionId } from '../../core/ids.js'
import { GUEST_RANGES_PER_SESSION_MAX } from '../../core/limits.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'
import { make, no, type Context } from '../context.js'

/** What was handed over, for rooms that do not know the backend's door. */
export type GuestFile = MemoryFile

export interface MapGuestMemory {
  readonly session: SessionId
  /** Multiples of 4096, at least one page and at most 1 TiB, below 2^48. */
  readonly range: MemoryRange
  /** An operator may do it for a session that nobody owns just now. */
  readonly as: 'OWNER' | 'OPERATOR'
  /** Called when nothing else speaks against it; the file is the broker's from then on. */
  readonly open: () => Outcome<GuestFile>
}

export interface UnmapGuestMemory {
  readonly session: SessionId
  /** Undefined: everything that is mapped. */
  readonly range: Pick<MemoryRange, 'address' | 'bytes'> | undefined
  readonly as: 'OWNER' | 'OPERATOR'
}

const NO_GUEST_MEMORY = {
  code: 'FEATURE_NOT_AVAILABLE',
  feature: 'guest-memory',
  remedy: 'map the memory on the IOAS of your own iommufd; GetServerInfo says what there is',
} as const

/** As refusals name it, and operators read it. */
function rangeText({ address, bytes }: Pick<MemoryRange, 'address' | 'bytes'>): string {
  return `0x${address.toString(16)}..0x${(address + bytes - 1).toString(16)}`
}

async function inSession<T>(
  context: Context,
  { session, as }: Pick<MapGuestMemory, 'session' | 'as'>,
  run: (memories: GuestMemories) => Outcome<T>,
): Promise<Outcome<T>> {
  const { state, backend } = context
  const { guestMemory } = backend
  if (guestMemory === undefined) return no(context, NO_GUEST_MEMORY)
  const find = as === 'OWNER' ? openSession : standingSession
  const made = await make(context, () => {
    const found = find(state, session)
    return 'found' in found ? accepted([], run(guestMemory)) : found.stop
  })
  if (!made.ok) return made
  const { answer } = made.value
  return answer.ok ? answer : no(context, answer.refusal)
}

export function mapGuestMemory(
  context: Context,
  command: MapGuestMemory,
): Promise<Outcome<{ readonly mapped: boolean }>> {
  const { session, range, open } = command
  return inSession(context, command, (memories) => {
    const ranges = memories.ranges(session)
    const end = range.address + range.bytes
    const other = ranges.find((each) => {
      return each.address < end && range.address < each.address + each.bytes
    })
    if (other !== undefined) {
      const [asked, mapped] = [rangeText(range), rangeText(other)]
      return refuse({ code: 'MEMORY_OVERLAPS', asked, mapped })
    }
    if (ranges.length >= GUEST_RANGES_PER_SESSION_MAX) {
      return refuse({ code: 'MEMORY_EXHAUSTED', limit: GUEST_RANGES_PER_SESSION_MAX })
    }
    const opened = open()
    return opened.ok ? mapFile(memories, command, opened.value) : opened
  })
}

/** The file is mapped, or closed. */
function mapFile(
  memories: GuestMemories,
  { session, range }: MapGuestMemory,
  file: GuestFile,
): Outcome<{ readonly mapped: boolean }> {
  if (range.offset + range.bytes > file.bytes) {
    file.close()
    return refuse({
      code: 'INVALID_ARGUMENT',
      field: 'size',
      value: String(range.bytes),
      bound: `offset + size at most the ${file.bytes} bytes of the file`,
      remedy: 'make the file longer or map less of it, and hand it over again',
    })
  }
  try {
    memories.map(session, range, file)
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    const remedy = 'map less, or unmap what is not needed'
    return refuse({ code: 'MEMORY_REFUSED', problem: fault.message, remedy })
  }
  return accept({ mapped: file.mapped })
}

/** Answers how many ranges there were. */
export function unmapGuestMemory(
  context: Context,
  command: UnmapGuestMemory,
): Promise<Outcome<number>> {
  const { session, range } = command
  return inSession(context, command, (memories) => {
    const ranges = memories.ranges(session)
    if (range === undefined) {
      memories.drop(session)
      return accept(ranges.length)
    }
    const whole = ranges.some(({ address, bytes }) => {
      return address === range.address && bytes === range.bytes
    })
    if (!whole) return refuse({ code: 'MEMORY_NOT_FOUND', asked: rangeText(range) })
    memories.unmap(session, range)
    return accept(1)
  })
}
