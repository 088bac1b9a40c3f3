/**
 * Guest memory from the lab: mapping zeros or a file of the operator's, and reading and writing it
 * by the word. A write is whole or not at all.
 */

import type { Lab } from '../../backend/lab.js'
import type { GuestFile } from '../../broker/verbs/guest-memory.js'
import type { SessionId } from '../../core/ids.js'
import { accept, refuse, type Outcome, type Refusal } from '../../core/refusal.js'
import { quoted } from '../../wire/quote.js'
import type { LabRequest } from '../../wire/messages.js'
import type { StrictEmulatorLab } from '../../wire/services.js'
import { Fields } from '../convert/fields.js'
import { guestRangeOf, pagesOf, type GuestRange } from '../convert/guest-memory.js'
import { mapped } from '../unary.js'
import type { LabCalls } from './calls.js'
import { ZerosBudget } from './zeros.js'

const WORD_BYTES = 8
const GUEST_ADDRESSES = 2n ** 48n
const TRANSFER_BYTES_MAX = 65_536
export const ZEROS_BYTES_MAX = 2 ** 30
const PATH_BYTES_MAX = 4096

export interface MapAsked {
  /** Without `sessions/`. */
  readonly session: string
  readonly range: GuestRange & { readonly offset: number; readonly readOnly: boolean }
  /** Undefined: zeros. */
  readonly path: string | undefined
}

export function mapOf(message: LabRequest<'MapMemory'>): Outcome<MapAsked> {
  const fields = new Fields()
  const session = fields.name('session', message.session, 'sessions')
  const path = pathOf(fields, message)
  const range = guestRangeOf(fields, message)
  const offset = pagesOf(fields, 'offset', message.offset)
  if (path === undefined) {
    if (offset !== 0) fields.no('offset', message.offset, '0 with zeros', 'leave it out')
    if (range.bytes > ZEROS_BYTES_MAX) {
      const bound = `at most ${ZEROS_BYTES_MAX} with zeros`
      fields.no('size', message.size, bound, 'map less, or a file')
    }
  }
  const { readOnly } = message
  return fields.answer({ session, range: { ...range, offset, readOnly }, path })
}

function pathOf(fields: Fields, message: LabRequest<'MapMemory'>): string | undefined {
  if (message.source === 'zeros') {
    if (message.zeros !== true) fields.no('zeros', 'false', 'true', 'set it, or name a path')
    return undefined
  }
  if (message.source !== 'path') fields.missing('source', 'one of zeros, path')
  const path = message.path ?? ''
  const isPath = path.startsWith('/') && !path.includes('\0')
  if (!isPath || Buffer.byteLength(path) > PATH_BYTES_MAX) {
    const bound = `an absolute path of at most ${PATH_BYTES_MAX} bytes`
    fields.no('path', quoted(path), bound, "name a regular file on the daemon's host")
  }
  return path
}

export interface UnmapAsked {
  readonly session: string
  /** Undefined: everything that is mapped. */
  readonly range: GuestRange | undefined
}

export function unmapOf(message: LabRequest<'UnmapMemory'>): Outcome<UnmapAsked> {
  const fields = new Fields()
  const session = fields.name('session', message.session, 'sessions')
  const { guestAddress, size } = message
  if (guestAddress === '0' && size === '0') return fields.answer({ session, range: undefined })
  return fields.answer({ session, range: guestRangeOf(fields, message) })
}

export interface WordsAsked {
  readonly session: string
  readonly address: number
  /** A multiple of 8. */
  readonly bytes: number
}

export function readOf(message: LabRequest<'ReadMemory'>): Outcome<WordsAsked> {
  const fields = new Fields()
  const asked = wordsOf(fields, message, { field: 'size', bytes: message.size })
  return fields.answer(asked)
}

export function writeOf(
  message: LabRequest<'WriteMemory'>,
): Outcome<WordsAsked & { readonly data: Buffer }> {
  const fields = new Fields()
  const { data } = message
  const asked = wordsOf(fields, message, { field: 'data', bytes: data.length })
  return fields.answer({ ...asked, data })
}

function wordsOf(
  fields: Fields,
  message: { readonly session: string; readonly guestAddress: string },
  { field, bytes }: { readonly field: string; readonly bytes: number },
): WordsAsked {
  const session = fields.name('session', message.session, 'sessions')
  const address = BigInt(message.guestAddress)
  if (address % BigInt(WORD_BYTES) !== 0n) {
    fields.no('guest_address', message.guestAddress, 'a multiple of 8', 'round down to a word')
  }
  if (bytes === 0 || bytes % WORD_BYTES !== 0 || bytes > TRANSFER_BYTES_MAX) {
    const bound = `a multiple of 8 from 8 to ${TRANSFER_BYTES_MAX}`
    fields.no(field, `${bytes} bytes`, bound, 'round to words, or split the call')
  }
  if (address + BigInt(bytes) > GUEST_ADDRESSES) {
    fields.no('guest_address', message.guestAddress, 'below 2^48', 'send a guest-physical address')
  }
  return { session, address: Number(address), bytes }
}

export function readWords(lab: Lab, session: SessionId, asked: GuestRange): Outcome<Buffer> {
  const data = Buffer.alloc(asked.bytes)
  for (let at = 0; at < asked.bytes; at += WORD_BYTES) {
    const word = lab.readMemory(session, asked.address + at)
    if (word === undefined) return refuse(notMapped(asked))
    data.writeBigUInt64LE(word, at)
  }
  return accept(data)
}

/** What was written before a word that cannot be is written back. */
export function writeWords(
  lab: Lab,
  session: SessionId,
  asked: GuestRange & { readonly data: Buffer },
): Outcome<undefined> {
  const before = readWords(lab, session, asked)
  if (!before.ok) return before
  for (let at = 0; at < asked.bytes; at += WORD_BYTES) {
    if (lab.writeMemory(session, asked.address + at, asked.data.readBigUInt64LE(at))) continue
    for (let i = 0; i < at; i += WORD_BYTES) {
      lab.writeMemory(session, asked.address + i, before.value.readBigUInt64LE(i))
    }
    return refuse(notMapped(asked))
  }
  return accept(undefined)
}

function rangeText({ address, bytes }: GuestRange): string {
  return `0x${address.toString(16)}..0x${(address + bytes - 1).toString(16)}`
}

function notMapped(range: GuestRange): Refusal {
  return { code: 'MEMORY_NOT_FOUND', asked: rangeText(range) }
}

type MemoryCalls = 'MapMemory' | 'UnmapMemory' | 'ReadMemory' | 'WriteMemory'

export function memoryHandlers(calls: LabCalls): Pick<StrictEmulatorLab, MemoryCalls> {
  const { broker, guestFiles } = calls.context
  const budget = new ZerosBudget()
  const open = (path: string | undefined, bytes: number): Outcome<GuestFile> => {
    if (path === undefined) return budget.open(bytes, () => guestFiles.zeros(bytes))
    const opened = guestFiles.openPath(path)
    return 'problem' in opened ? refuse({ code: 'MEMORY_REFUSED', ...opened }) : accept(opened)
  }
  return {
    MapMemory: calls.act('MapMemory', async (message, { caller }) => {
      const asked = mapOf(message)
      if (!asked.ok) return asked
      const { range, path } = asked.value
      const session = calls.session(asked.value.session)
      if (!session.ok) return session
      const done = await broker.mapGuestMemory({
        session: session.value,
        range,
        as: 'OPERATOR',
        open: () => open(path, range.bytes),
      })
      if (!done.ok) return done
      const what = path === undefined ? 'zeros' : `path ${quoted(path)}`
      calls.audit(caller, message.session, `MapMemory: ${rangeText(range)} ${what}`)
      return accept({})
    }),
    UnmapMemory: calls.act('UnmapMemory', async (message, { caller }) => {
      const asked = unmapOf(message)
      if (!asked.ok) return asked
      const { range } = asked.value
      const session = calls.session(asked.value.session)
      if (!session.ok) return session
      const unmapping = broker.unmapGuestMemory({ session: session.value, range, as: 'OPERATOR' })
      return mapped(unmapping, (unmapped) => {
        const which = range === undefined ? 'everything' : rangeText(range)
        calls.audit(caller, message.session, `UnmapMemory: ${which}, ${unmapped} ranges`)
        return { unmapped }
      })
    }),
    ReadMemory: calls.act('ReadMemory', (message) => {
      const asked = readOf(message)
      if (!asked.ok) return asked
      const session = calls.session(asked.value.session)
      if (!session.ok) return session
      return calls.on('', (lab) => {
        const read = readWords(lab, session.value, asked.value)
        return read.ok ? accept({ data: read.value }) : read
      })
    }),
    WriteMemory: calls.act('WriteMemory', (message) => {
      const asked = writeOf(message)
      if (!asked.ok) return asked
      const session = calls.session(asked.value.session)
      if (!session.ok) return session
      return calls.on('', (lab) => {
        const written = writeWords(lab, session.value, asked.value)
        return written.ok ? accept({}) : written
      })
    }),
  }
}
