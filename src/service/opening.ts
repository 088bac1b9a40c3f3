/**
 * OpenSession and ResumeSession: whose the session becomes. The caller's own, or, for a delegate,
 * that of the process whose pidfd it has handed over. Holds: an owner token is spent by the call
 * that uses it, and a repeated request id needs none; nobody but the session's owner and its
 * delegate is given its token again.
 */

import { actorOf, type Caller } from '../broker/caller.js'
import { present } from '../core/assert.js'
import { sameProcess, type Owner } from '../core/owner.js'
import { accept, refuse, type Outcome } from '../core/refusal.js'
import type { SessionView } from '../core/view.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import { endedRefusal, notAllowed, shownTokenHash, type Call } from './caller.js'
import type { ServiceContext } from './context.js'
import { Fields } from './convert/fields.js'
import { ownerTokenOf, sessionAsked, sessionProto } from './convert/session.js'
import { tokenHash } from './tokens.js'

const TOKEN_REMEDY = 'send the pidfd on the side socket again, and use the new token'

/** Whom a session is opened for: who is charged, whose it becomes, and who opens it for them. */
interface Party {
  readonly tenant: string
  readonly delegate: number | undefined
  /** For a delegate; undefined: the caller itself is the owner. */
  readonly ownerToken: string | undefined
}

function partyOf(caller: Caller, message: VmmRequest<'OpenSession'>): Outcome<Party> {
  const { ownerToken, tenant } = message
  if (ownerToken === '' && tenant === '') {
    if (caller.tenant !== undefined) {
      return accept({ tenant: caller.tenant, delegate: undefined, ownerToken: undefined })
    }
    const remedy = 'send owner_token and tenant, or call as a user of a tenant'
    return notAllowed(caller, 'open a session of its own', remedy)
  }
  if (caller.delegateFor.size === 0) {
    const remedy = 'leave owner_token and tenant out: the tenant follows from the rules'
    return notAllowed(caller, 'open a session for another process', remedy)
  }
  const fields = new Fields()
  const token = ownerTokenOf(fields, ownerToken)
  const name = fields.name('tenant', tenant, 'tenants')
  const party = fields.answer({ tenant: name, delegate: caller.process.uid, ownerToken: token })
  if (!party.ok || caller.delegateFor.has(name)) return party
  const remedy = 'name a tenant that the configuration lets it act for'
  return notAllowed(caller, `open a session for a process of tenants/${name}`, remedy)
}

/** The process behind an owner token; the token is spent. */
function ownerOf(context: ServiceContext, token: string, caller: Caller): Outcome<Owner> {
  const taken = context.ownerTokens.take(token, caller)
  if (taken === undefined) return refuse({ code: 'OWNER_TOKEN_INVALID', remedy: TOKEN_REMEDY })
  if (taken.ended) return refuse({ code: 'OWNER_ENDED', pid: taken.owner.pid })
  return accept(taken.owner)
}

/** `more`: what else a repeated request id must agree in. */
export async function openSession(
  context: ServiceContext,
  message: VmmRequest<'OpenSession'>,
  { caller }: Call,
  more: object = {},
): Promise<Outcome<VmmResponse<'OpenSession'>>> {
  const { broker, tokens } = context
  const party = partyOf(caller, message)
  if (!party.ok) return party
  const asked = sessionAsked(message, more)
  if (!asked.ok) return asked
  const ended = endedRefusal(caller)
  if (ended !== undefined) return refuse(ended)
  const { tenant: tenantName, delegate, ownerToken } = party.value
  const tenant = present(broker.tenantId(tenantName), `tenant ${tenantName}`)
  const { request } = asked.value
  let owner: Outcome<Owner | undefined> = accept(caller.process)
  if (ownerToken !== undefined) {
    // The first attempt has spent the token: its owner is in the session that is answered again.
    const again = request !== undefined && broker.seenOpenSession(tenant, request)
    owner = again ? accept(undefined) : ownerOf(context, ownerToken, caller)
  }
  if (!owner.ok) return owner
  const token = tokens.token(tenantName, request)
  const opened = await broker.openSession(
    {
      verb: 'open-session',
      tenant,
      name: tokens.sessionName(),
      tokenHash: tokenHash(token),
      owner: owner.value,
      delegate,
      ...asked.value,
    },
    actorOf(caller),
  )
  if (!opened.ok) return opened
  const { session } = opened.value
  const { pid } = caller.process
  // Only a repeated request id can find another's: who knows it must not be told the token.
  if (!mayCommand(caller, session)) return refuse({ code: 'NOT_OWNER', session: session.name, pid })
  return accept({ session: sessionProto(session), token })
}

/** A session without an owner, from a release that knew none, is his who can name its secrets. */
function mayCommand({ process }: Caller, { owner, delegate }: SessionView): boolean {
  if (owner === undefined) return true
  return delegate === process.uid || sameProcess(owner, process)
}

export async function resumeSession(
  context: ServiceContext,
  message: VmmRequest<'ResumeSession'>,
  { caller, metadata }: Call,
): Promise<Outcome<VmmResponse<'ResumeSession'>>> {
  const { broker } = context
  const fields = new Fields()
  const name = fields.name('name', message.name, 'sessions')
  const isDelegate = message.ownerToken !== ''
  const ownerToken = isDelegate ? ownerTokenOf(fields, message.ownerToken) : ''
  const asked = fields.answer({ name, ownerToken })
  if (!asked.ok) return asked
  if (isDelegate && caller.delegateFor.size === 0) {
    const remedy = 'leave owner_token out: the caller becomes the owner'
    return notAllowed(caller, 'resume a session for another process', remedy)
  }
  if (!isDelegate && caller.tenant === undefined) {
    const remedy = 'send the owner_token of the process that is to own it'
    return notAllowed(caller, 'own a session itself', remedy)
  }
  const ended = endedRefusal(caller)
  if (ended !== undefined) return refuse(ended)
  const owner = isDelegate ? ownerOf(context, ownerToken, caller) : accept(caller.process)
  if (!owner.ok) return owner
  const resumed = await broker.resumeSession({
    bearer: { caller, session: name, tokenHash: shownTokenHash(metadata) },
    owner: owner.value,
    delegate: isDelegate ? caller.process.uid : undefined,
  })
  if (!resumed.ok) return resumed
  const { incarnation, recoveredRevision } = broker.info()
  return accept({ session: sessionProto(resumed.value.session), incarnation, recoveredRevision })
}
