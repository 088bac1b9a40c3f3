/**
 * MapGuestMemory and UnmapGuestMemory: what was handed over on the side socket becomes a range of
 * the session's guest memory. Holds: a token is spent by the call that passes every other check.
 */

import type { SessionId } from '../core/ids.js'
import { accept, refuse, type Outcome } from '../core/refusal.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import type { Call } from './caller.js'
import type { ServiceContext } from './context.js'
import { mapGuestMemoryOf, unmapGuestMemoryOf } from './convert/guest-memory.js'
import { mapped } from './unary.js'

const TOKEN_REMEDY = 'send the descriptor on the side socket again, and use the new token'

export async function mapGuestMemory(
  { broker, guestFiles }: ServiceContext,
  session: SessionId,
  message: VmmRequest<'MapGuestMemory'>,
  { caller }: Call,
): Promise<Outcome<VmmResponse<'MapGuestMemory'>>> {
  const asked = mapGuestMemoryOf(message)
  if (!asked.ok) return asked
  const { range, token } = asked.value
  return broker.mapGuestMemory({
    session,
    range,
    as: 'OWNER',
    open() {
      const file = guestFiles.take(token, caller)
      if (file !== undefined) return accept(file)
      return refuse({ code: 'MEMORY_TOKEN_INVALID', remedy: TOKEN_REMEDY })
    },
  })
}

export async function unmapGuestMemory(
  { broker }: ServiceContext,
  session: SessionId,
  message: VmmRequest<'UnmapGuestMemory'>,
): Promise<Outcome<VmmResponse<'UnmapGuestMemory'>>> {
  const asked = unmapGuestMemoryOf(message)
  if (!asked.ok) return asked
  const unmapping = broker.unmapGuestMemory({ session, range: asked.value, as: 'OWNER' })
  return mapped(unmapping, (unmapped) => ({ unmapped }))
}
