/** Changes as lines for people: revision, kind, what is new. */

import type { WatchEvent, WatchResponse } from '../client/index.js'
import { bindingText, idOf, scopeText, short, targetText } from './columns.js'
import { processText } from './process.js'
import { printable } from './rows.js'

const REVISION_WIDTH = 10
const KIND_WIDTH = 10

type Told<Kind extends keyof WatchEvent> = NonNullable<WatchEvent[Kind]>
type Line = readonly [kind: string, text: string]

function sessionText({ name, tenant, state, cause, owner }: Told<'session'>): string {
  const is = state === 'SESSION_STATE_UNSPECIFIED' ? 'gone' : short(state, 'SESSION_STATE_')
  const why = cause === 'END_CAUSE_UNSPECIFIED' ? '' : ` by ${short(cause, 'END_CAUSE_')}`
  const whose = owner === null ? '' : `, ${processText(owner)}`
  return `${idOf(name)} ${is}${why}, tenant ${idOf(tenant)}${whose}`
}

/** Empty where the change names none. */
function ofSession(session: string): string {
  return session === '' ? '' : ` of ${idOf(session)}`
}

function numbersText(numbers: Told<'numbers'>): string {
  const { ranges, state, session, generation } = numbers
  const which = ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
  const grant = generation === '0' ? '' : `, generation ${generation}`
  const is = short(state, 'ALLOCATION_STATE_')
  return `${scopeText(numbers)} ${which.join(',')} ${is}${ofSession(session)}${grant}`
}

function auditText({ action, subject, actor, outcome, cause }: Told<'audit'>): string {
  const who = actor === null ? 'the daemon' : processText(actor)
  const why = cause === '' ? '' : ` (${cause})`
  return `${action} ${subject === '' ? '' : `${subject} `}by ${who}: ${outcome}${why}`
}

function changedBinding({ binding, removed, session }: Told<'binding'>): string {
  if (binding === null) return `one${ofSession(session)}`
  const what = removed
    ? `${idOf(binding.device)} ${targetText(binding)} gone`
    : bindingText(binding)
  return `${what}${ofSession(session)}`
}

/** Undefined: of a kind that a later release added. */
function lineOf(event: WatchEvent): Line | undefined {
  const { session, numbers, binding, attachment, tenant, audit } = event
  if (session) return ['session', sessionText(session)]
  if (numbers) return ['numbers', numbersText(numbers)]
  if (binding) return ['binding', changedBinding(binding)]
  if (attachment) {
    const done = attachment.attached ? 'attached' : 'detached'
    return ['device', `${idOf(attachment.device)} ${done}${ofSession(attachment.session)}`]
  }
  if (tenant !== undefined) return ['tenant', `${idOf(tenant)} has other limits`]
  if (audit) return ['audit', auditText(audit)]
  return undefined
}

function text(revision: string, [kind, what]: Line): string {
  const begin = `${revision.padStart(REVISION_WIDTH)}  ${kind.padEnd(KIND_WIDTH)}`
  return printable(`${begin}  ${what}`)
}

/** One line an event. `isResync`: changes were missed. */
export function watchLines({ started, change, resync }: WatchResponse): {
  readonly lines: readonly string[]
  readonly isResync: boolean
} {
  if (resync) {
    const what = `changes were MISSED (${resync.reason}): list anew, then go on from here`
    return { lines: [text(resync.revision, ['RESYNC', what])], isResync: true }
  }
  if (started) {
    const what = 'what changes after this revision follows'
    return { lines: [text(started.revision, ['started', what])], isResync: false }
  }
  if (!change) return { lines: [], isResync: false }
  const lines = change.events.map(lineOf).filter((line) => line !== undefined)
  return { lines: lines.map((line) => text(change.revision, line)), isResync: false }
}
