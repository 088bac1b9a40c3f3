/** ResumeSession: who may take a session over, and when its owner must have ended first. */

import { sameProcess, type Owner } from '../../core/owner.js'
import type { Outcome } from '../../core/refusal.js'
import type { OpenedSession } from '../answers.js'
import { sessionOfToken } from '../authority.js'
import { actorOf, type TokenBearer } from '../caller.js'
import { no, type Context } from '../context.js'
import type { Reaper } from '../reaper.js'
import { resumeSession } from './sessions.js'

export interface Resumption {
  readonly bearer: TokenBearer
  /** Who becomes the owner: the bearer, or the process that it names as a delegate. */
  readonly owner: Owner
  readonly delegate: number | undefined
}

export async function resume(
  context: Context,
  reaper: Reaper,
  { bearer, owner, delegate }: Resumption,
): Promise<Outcome<OpenedSession>> {
  const found = sessionOfToken(context, bearer)
  if (!found.ok) return no(context, found.refusal)
  const { record } = found.value
  const { tenant, process } = bearer.caller
  const charged = context.state.tenantOf(found.value).name
  if (delegate === undefined && tenant !== charged) {
    const action = `own a session of tenants/${charged} itself`
    const remedy = 'send the owner_token of the process that is to own it'
    const facts = { role: 'delegate', uid: process.uid, action, remedy }
    return no(context, { code: 'ROLE_NOT_ALLOWED', ...facts })
  }
  const other = record.owner !== undefined && !sameProcess(record.owner, owner)
  if (other && record.state === 'OPEN' && reaper.hasEnded(found.value)) {
    await reaper.lose(found.value)
  }
  const command = { verb: 'resume-session', session: record.id, owner, delegate } as const
  return resumeSession(context, command, actorOf(bearer.caller))
}
