/** The gRPC service PasidBroker: the VMM's side, one call a method; Control is in control.ts. */

import type { Metadata } from '@grpc/grpc-js'
import type { SessionId } from '../core/ids.js'
import { accept, refuse, type Outcome } from '../core/refusal.js'
import type { StrictPasidBroker } from '../wire/services.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import { namedRefusal, proveSession } from './caller.js'
import type { ServiceContext } from './context.js'
import { controlHandler } from './control.js'
import { serverInfoProto } from './convert/server-info.js'
import { sessionAsked, sessionProto } from './convert/session.js'
import { present } from '../core/assert.js'
import { tokenHash } from './tokens.js'
import { type Handle, mapped, unary } from './unary.js'
import { VmmCommands } from './vmm-commands.js'

type Run<Request, Response> = (
  session: SessionId,
  message: Request,
  name: string,
) => Outcome<Response> | Promise<Outcome<Response>>

/** `tenant`: whose socket this is. */
export function pasidBrokerHandlers(context: ServiceContext, tenant: string): StrictPasidBroker {
  const { broker, version, limits } = context
  const commands = new VmmCommands(context)

  /** A call of a proven session; most name it in `session`. */
  const inSession = <Request extends { session: string }, Response>(
    method: string,
    run: Run<Request, Response>,
  ) =>
    unary(
      context,
      `PasidBroker/${method}`,
      proven({ context, tenant, field: 'session' }, (m: Request) => m.session, run),
    )
  const byName = <Request extends { name: string }, Response>(
    method: string,
    run: Run<Request, Response>,
  ) =>
    unary(
      context,
      `PasidBroker/${method}`,
      proven({ context, tenant, field: 'name' }, (m: Request) => m.name, run),
    )

  return {
    GetServerInfo: unary(context, 'PasidBroker/GetServerInfo', () => {
      return accept(serverInfoProto(broker.info(), version, limits))
    }),
    OpenSession: unary(context, 'PasidBroker/OpenSession', (message) => {
      return openSession(context, tenant, message)
    }),
    GetSession: byName('GetSession', (session) => commands.getSession(session)),
    CloseSession: byName('CloseSession', (session) => {
      return broker.closeSession({ verb: 'close-session', session })
    }),
    AllocatePasids: inSession('AllocatePasids', (s, m) => commands.allocatePasids(s, m)),
    FreePasids: inSession('FreePasids', (s, m) => commands.freePasids(s, m)),
    ListPasids: inSession('ListPasids', (s, m, name) => commands.listPasids(s, name, m)),
    AttachDevice: inSession('AttachDevice', (s, m) => commands.attachDevice(s, m)),
    DetachDevice: inSession('DetachDevice', (s, m) => commands.detachDevice(s, m)),
    BindPasid: inSession('BindPasid', (s, m) => commands.bindPasid(s, m)),
    UnbindPasids: inSession('UnbindPasids', (s, m) => commands.unbindPasids(s, m)),
    Invalidate: inSession('Invalidate', (s, m) => commands.invalidate(s, m)),
    RespondPageRequest: inSession('RespondPageRequest', (s, m) => {
      return commands.respondPageRequest(s, m)
    }),
    Control: controlHandler(context, tenant, commands),
  }
}

function proven<Request, Response>(
  where: { readonly context: ServiceContext; readonly tenant: string; readonly field: string },
  nameOf: (message: Request) => string,
  run: Run<Request, Response>,
): Handle<Request, Response> {
  return async (message: Request, metadata: Metadata) => {
    const { context, tenant, field } = where
    const caller = { tenant, metadata }
    const session = proveSession(context.broker, caller, field, nameOf(message))
    if (!session.ok) return session
    const { id, name } = session.value
    const outcome = await run(id, message, name)
    return outcome.ok ? outcome : refuse(namedRefusal(outcome.refusal, name))
  }
}

function openSession(
  context: ServiceContext,
  tenantName: string,
  message: VmmRequest<'OpenSession'>,
): Outcome<VmmResponse<'OpenSession'>> | Promise<Outcome<VmmResponse<'OpenSession'>>> {
  const { broker, tokens } = context
  const asked = sessionAsked(message)
  if (!asked.ok) return asked
  const token = tokens.token(tenantName, asked.value.request)
  const opened = broker.openSession({
    verb: 'open-session',
    tenant: present(broker.tenantId(tenantName), `tenant ${tenantName}`),
    name: tokens.sessionName(),
    tokenHash: tokenHash(token),
    ...asked.value,
  })
  return mapped(opened, ({ session }) => ({ session: sessionProto(session), token }))
}
