/**
 * AttachDevice: by number only, or with the descriptors that were handed over on the side socket.
 * Holds: a token is spent by the call that passes every other check.
 */

import type { HandOver } from '../broker/answers.js'
import type { Caller } from '../broker/caller.js'
import type { SessionId } from '../core/ids.js'
import { accept, refuse, type Outcome } from '../core/refusal.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import type { ServiceContext } from './context.js'
import { attachedProto, attachOf, type AttachAsked } from './convert/attach.js'
import { mapped } from './unary.js'

const TOKEN_REMEDY = 'send both descriptors on the side socket again, and use the new token'

export async function attachDevice(
  context: ServiceContext,
  session: SessionId,
  message: VmmRequest<'AttachDevice'>,
  caller: Caller,
): Promise<Outcome<VmmResponse<'AttachDevice'>>> {
  const asked = attachOf(session, message)
  if (!asked.ok) return asked
  const { command, handOver } = asked.value
  const take = handOver && ((): Outcome<HandOver> => taken(context, handOver, caller))
  return mapped(context.broker.attachDevice(command, take), attachedProto)
}

/** The descriptors are the broker's from then on. */
function taken(
  { handOverTokens }: ServiceContext,
  { token, parent, moveRid, faultId }: NonNullable<AttachAsked['handOver']>,
  caller: Caller,
): Outcome<HandOver> {
  const handed = handOverTokens.take(token, caller)
  if (handed === undefined) {
    return refuse({ code: 'HAND_OVER_TOKEN_INVALID', remedy: TOKEN_REMEDY })
  }
  const { iommufd, cdev } = handed
  return accept({ iommufd, cdev, parent, moveRid, faultId })
}
