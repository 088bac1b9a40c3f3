/**
 * The gRPC service VfioUapi: the 2020 ioctls byte for byte, on the VMM sockets. Identity, session
 * tokens and meters are those of PasidBroker; docs/VFIO_UAPI.md has each call with its errors. A
 * native backend has none of it.
 */

import { actorOf } from '../broker/caller.js'
import { refuse, type Outcome } from '../core/refusal.js'
import type { StrictVfioUapi } from '../wire/services.js'
import type { UapiRequest, UapiResponse } from '../wire/messages.js'
import { namedRefusal, proveSession, type Call, type ProvenSession } from './caller.js'
import type { ServiceContext } from './context.js'
import { Fields } from './convert/fields.js'
import { mapped, unary } from './unary.js'
import { containerOf } from './vfio/container.js'
import { ioctl } from './vfio/ioctl.js'
import { uapiAvailable } from './vfio/native.js'
import { openContainer } from './vfio/open.js'

/** The largest structure has 80 bytes, and a capability chain fits in a page. */
const DATA_BYTES_MAX = 4096

export function vfioUapiHandlers(context: ServiceContext): StrictVfioUapi {
  const { broker, containers: kinds } = context
  return {
    OpenContainer: unary(context, 'VfioUapi/OpenContainer', (message, call) => {
      const there = uapiAvailable(broker)
      return there.ok ? openContainer(context, kinds, message, call) : there
    }),
    Ioctl: unary(context, 'VfioUapi/Ioctl', (message, call) => {
      return inSession(context, message.session, call, (session) => {
        return ioctlOn(context, session, message)
      })
    }),
    CloseContainer: unary(context, 'VfioUapi/CloseContainer', (message, call) => {
      return inSession(context, message.session, call, ({ id }) => {
        const closed = broker.closeSession(id, actorOf(call.caller))
        return mapped(closed, ({ freed, durable }) => {
          kinds.closed(id)
          return { freed, durable }
        })
      })
    }),
  }
}

async function inSession<Response>(
  context: ServiceContext,
  value: string,
  call: Call,
  run: (session: ProvenSession) => Outcome<Response> | Promise<Outcome<Response>>,
): Promise<Outcome<Response>> {
  const there = uapiAvailable(context.broker)
  if (!there.ok) return there
  const session = proveSession(context.broker, call, 'session', value)
  if (!session.ok) return session
  const outcome = await run(session.value)
  return outcome.ok ? outcome : refuse(namedRefusal(outcome.refusal, session.value.name))
}

function ioctlOn(
  { broker, containers: kinds }: ServiceContext,
  { id, name }: ProvenSession,
  { request, argument, data }: UapiRequest<'Ioctl'>,
): Outcome<UapiResponse<'Ioctl'>> | Promise<Outcome<UapiResponse<'Ioctl'>>> {
  const fields = new Fields()
  fields.count('data', data.length, DATA_BYTES_MAX, 'bytes')
  const asked = fields.answer(data)
  if (!asked.ok) return asked
  const container = containerOf(broker.state, kinds, id)
  if (container === undefined) return refuse({ code: 'SESSION_CLOSING', session: name })
  const bytes = Uint8Array.from(asked.value)
  return ioctl({ broker, kinds, container, request, argument: BigInt(argument), bytes })
}
