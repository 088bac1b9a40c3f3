/**
 * Who may command a session: its owner process, or the delegate that opened it, with the session's
 * token, while the kernel says that the process lives. Asked at every command.
 */

import { accept, type Outcome, type Refusal } from '../core/refusal.js'
import { sameProcess } from '../core/owner.js'
import type { Session } from '../core/session.js'
import type { Caller, TokenBearer } from './caller.js'
import type { Context } from './context.js'
import type { Reaper } from './reaper.js'

/** The session that the bearer has the token of; whose it is, is not looked at. */
export function sessionOfToken(
  context: Context,
  { caller, session: name, tokenHash }: TokenBearer,
): Outcome<Session> {
  if (caller.ended()) return refusal({ code: 'CALLER_ENDED', pid: caller.process.pid })
  const session = context.state.sessionByName.get(name)
  // Another tenant's session looks like one that does not exist.
  if (session === undefined || !actsFor(context, caller, session)) {
    return refusal({ code: 'SESSION_NOT_FOUND', session: name })
  }
  if (sameText(session.record.tokenHash, tokenHash)) return accept(session)
  return refusal({ code: 'SESSION_TOKEN_WRONG', session: name })
}

/** Without telling where they differ. */
function sameText(expected: string, given: string): boolean {
  let difference = expected.length ^ given.length
  for (let i = 0; i < expected.length; i += 1) {
    difference |= expected.charCodeAt(i) ^ given.charCodeAt(i)
  }
  return difference === 0
}

function refusal(what: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: what }
}

function actsFor(context: Context, caller: Caller, session: Session): boolean {
  const { name } = context.state.tenantOf(session)
  return caller.tenant === name || caller.delegateFor.has(name)
}

/** Undefined when the caller may command the session. */
export function mayCommand(
  context: Context,
  reaper: Reaper,
  caller: Caller,
  session: Session,
): Refusal | undefined {
  const { owner, delegate, name, state } = session.record
  const { process } = caller
  if (caller.ended()) return { code: 'CALLER_ENDED', pid: process.pid }
  if (owner === undefined) return { code: 'SESSION_LINGERING', session: name }
  if (sameProcess(owner, process)) return undefined
  // Of this tenant: to be one of it, and a delegate for others, is not enough.
  const isDelegate = caller.delegateFor.has(context.state.tenantOf(session).name)
  if (delegate !== process.uid || !isDelegate) {
    if (state === 'LINGERING') return { code: 'SESSION_LINGERING', session: name }
    return { code: 'NOT_OWNER', session: name, pid: process.pid }
  }
  // A delegate acts for a process that lives; its end may not have been told yet.
  if (state !== 'OPEN' || !reaper.hasEnded(session)) return undefined
  return { code: 'OWNER_ENDED', pid: owner.pid }
}
