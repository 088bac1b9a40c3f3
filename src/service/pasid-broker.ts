/** The gRPC service PasidBroker: the VMM's side, one call a method; Control is in control.ts. */

import type { FreedPasids } from '../broker/answers.js'
import { actorOf } from '../broker/caller.js'
import type { SessionId } from '../core/ids.js'
import { accept, refuse, type Outcome } from '../core/refusal.js'
import type { StrictPasidBroker } from '../wire/services.js'
import type { VmmResponse } from '../wire/messages.js'
import { namedRefusal, proveSession, type Call } from './caller.js'
import type { ServiceContext } from './context.js'
import { controlHandler } from './control.js'
import { serverInfoProto } from './convert/server-info.js'
import { mapGuestMemory, unmapGuestMemory } from './guest-memory.js'
import { openSession, resumeSession } from './opening.js'
import { type Handle, mapped, unary } from './unary.js'
import { VmmCommands } from './vmm-commands.js'

/** `name`: of the session, without `sessions/`. */
type Run<Request, Response> = (
  session: SessionId,
  message: Request,
  call: Call & { readonly name: string },
) => Outcome<Response> | Promise<Outcome<Response>>

export function pasidBrokerHandlers(context: ServiceContext): StrictPasidBroker {
  const { broker } = context
  const commands = new VmmCommands(context)

  /** A call of a proven session; most name it in `session`. */
  const inSession = <Request extends { session: string }, Response>(
    method: string,
    run: Run<Request, Response>,
  ) =>
    unary(
      context,
      `PasidBroker/${method}`,
      proven({ context, field: 'session' }, (m: Request) => m.session, run),
    )
  const byName = <Request extends { name: string }, Response>(
    method: string,
    run: Run<Request, Response>,
  ) =>
    unary(
      context,
      `PasidBroker/${method}`,
      proven({ context, field: 'name' }, (m: Request) => m.name, run),
    )

  return {
    GetServerInfo: unary(context, 'PasidBroker/GetServerInfo', (_message, { caller }) => {
      return accept(serverInfoProto(context, broker.info(), caller))
    }),
    OpenSession: unary(context, 'PasidBroker/OpenSession', (message, call) => {
      return openSession(context, message, call)
    }),
    ResumeSession: unary(context, 'PasidBroker/ResumeSession', (message, call) => {
      return resumeSession(context, message, call)
    }),
    GetSession: byName('GetSession', (session) => commands.getSession(session)),
    CloseSession: byName('CloseSession', (session, _message, { caller }) => {
      return mapped(broker.closeSession(session, actorOf(caller)), closedProto)
    }),
    AllocatePasids: inSession('AllocatePasids', (s, m) => commands.allocatePasids(s, m)),
    FreePasids: inSession('FreePasids', (s, m) => commands.freePasids(s, m)),
    ListPasids: inSession('ListPasids', (s, m, { name }) => commands.listPasids(s, name, m)),
    AttachDevice: inSession('AttachDevice', (s, m, { caller }) => {
      return commands.attachDevice(s, m, caller)
    }),
    DetachDevice: inSession('DetachDevice', (s, m) => commands.detachDevice(s, m)),
    BindPasid: inSession('BindPasid', (s, m) => commands.bindPasid(s, m)),
    UnbindPasids: inSession('UnbindPasids', (s, m) => commands.unbindPasids(s, m)),
    Invalidate: inSession('Invalidate', (s, m) => commands.invalidate(s, m)),
    InvalidateRaw: inSession('InvalidateRaw', (s, m) => commands.invalidateRaw(s, m)),
    MapGuestMemory: inSession('MapGuestMemory', (s, m, call) => {
      return mapGuestMemory(context, s, m, call)
    }),
    UnmapGuestMemory: inSession('UnmapGuestMemory', (s, m) => unmapGuestMemory(context, s, m)),
    RespondPageRequest: inSession('RespondPageRequest', (s, m) => {
      return commands.respondPageRequest(s, m)
    }),
    Control: controlHandler(context, commands),
  }
}

function proven<Request, Response>(
  { context, field }: { readonly context: ServiceContext; readonly field: string },
  nameOf: (message: Request) => string,
  run: Run<Request, Response>,
): Handle<Request, Response> {
  return async (message, call) => {
    const session = proveSession(context.broker, call, field, nameOf(message))
    if (!session.ok) return session
    const { id, name } = session.value
    const outcome = await run(id, message, { ...call, name })
    return outcome.ok ? outcome : refuse(namedRefusal(outcome.refusal, name))
  }
}

function closedProto({ freed, durable }: FreedPasids): VmmResponse<'CloseSession'> {
  return { freed, durable }
}
