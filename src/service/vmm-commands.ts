/**
 * The commands of a session, one a verb: message in, message out. Unary calls and Control streams
 * both end here; who the session is, is settled before.
 */

import type { Broker } from '../broker/broker.js'
import type { Caller } from '../broker/caller.js'
import type { SessionId } from '../core/ids.js'
import { accept, type Outcome } from '../core/refusal.js'
import type { Session } from '../wire/generated/pasid/v1/Session.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import { attachDevice } from './attach-device.js'
import type { ServiceContext } from './context.js'
import {
  allocatedProto,
  allocateOf,
  allocationProto,
  freedProto,
  freeOf,
  headroomProto,
} from './convert/allocation.js'
import { bindingProto, bindOf, boundProto, unbindOf } from './convert/binding.js'
import { detachOf } from './convert/device.js'
import { pageResponseOf } from './convert/event.js'
import { invalidatedProto, invalidateOf } from './convert/invalidation.js'
import {
  allocationPosition,
  allocationPositionText,
  pageOf,
  rowsThatFit,
} from './convert/paging.js'
import { allocationSize, bindingSize } from './convert/row-size.js'
import { sessionProto } from './convert/session.js'
import { PAGE_BYTES_SHARE } from './limits.js'
import { invalidateRaw } from './raw-invalidation.js'
import { mapped } from './unary.js'

type Answer<T> = Outcome<T> | Promise<Outcome<T>>

export class VmmCommands {
  readonly #broker: Broker
  readonly #context: ServiceContext

  constructor(context: ServiceContext) {
    this.#broker = context.broker
    this.#context = context
  }

  allocatePasids(
    session: SessionId,
    message: VmmRequest<'AllocatePasids'>,
  ): Answer<VmmResponse<'AllocatePasids'>> {
    const command = allocateOf(session, message)
    return command.ok ? mapped(this.#broker.allocate(command.value), allocatedProto) : command
  }

  freePasids(
    session: SessionId,
    message: VmmRequest<'FreePasids'>,
  ): Answer<VmmResponse<'FreePasids'>> {
    const command = freeOf(session, message)
    return command.ok ? mapped(this.#broker.free(command.value), freedProto) : command
  }

  async listPasids(
    session: SessionId,
    name: string,
    message: VmmRequest<'ListPasids'>,
  ): Promise<Outcome<VmmResponse<'ListPasids'>>> {
    const { pageTokens, limits } = this.#context
    const list = { method: 'ListPasids', fields: [name] }
    const page = pageOf(message, list, pageTokens)
    if (!page.ok) return page
    const { limit } = page.value
    const after = allocationPosition(page.value.after)
    const listed = await this.#broker.listOwn({ session, after, limit })
    if (!listed.ok) return listed
    const { rows, next, ridBindings, revision, headroom } = listed.value
    let room = limits.messageBytes * PAGE_BYTES_SHARE
    for (const binding of ridBindings) room -= bindingSize(binding)
    const fit = rowsThatFit(rows, room, allocationSize)
    const cut = fit.length < rows.length
    const position = allocationPositionText(cut ? fit.at(-1) : next)
    return accept({
      allocations: fit.map(allocationProto),
      nextPageToken: pageTokens.make(list, position),
      ridBindings: cut ? [] : ridBindings.map(bindingProto),
      revision,
      headroom: headroomProto(headroom),
    })
  }

  attachDevice(
    session: SessionId,
    message: VmmRequest<'AttachDevice'>,
    caller: Caller,
  ): Answer<VmmResponse<'AttachDevice'>> {
    return attachDevice(this.#context, session, message, caller)
  }

  detachDevice(
    session: SessionId,
    message: VmmRequest<'DetachDevice'>,
  ): Answer<VmmResponse<'DetachDevice'>> {
    const command = detachOf(session, message)
    return command.ok ? this.#broker.detachDevice(command.value) : command
  }

  bindPasid(
    session: SessionId,
    message: VmmRequest<'BindPasid'>,
  ): Answer<VmmResponse<'BindPasid'>> {
    const command = bindOf(session, message)
    return command.ok ? mapped(this.#broker.bind(command.value), boundProto) : command
  }

  unbindPasids(
    session: SessionId,
    message: VmmRequest<'UnbindPasids'>,
  ): Answer<VmmResponse<'UnbindPasids'>> {
    const command = unbindOf(session, message)
    return command.ok ? this.#broker.unbind(command.value) : command
  }

  invalidate(
    session: SessionId,
    message: VmmRequest<'Invalidate'>,
  ): Answer<VmmResponse<'Invalidate'>> {
    const command = invalidateOf(session, message)
    return command.ok ? mapped(this.#broker.invalidate(command.value), invalidatedProto) : command
  }

  invalidateRaw(
    session: SessionId,
    message: VmmRequest<'InvalidateRaw'>,
  ): Answer<VmmResponse<'InvalidateRaw'>> {
    return invalidateRaw(this.#broker, session, message)
  }

  respondPageRequest(
    session: SessionId,
    message: VmmRequest<'RespondPageRequest'>,
  ): Answer<VmmResponse<'RespondPageRequest'>> {
    const response = pageResponseOf(session, message)
    if (!response.ok) return response
    return mapped(this.#broker.respondPageRequest(response.value), () => ({}))
  }

  getSession(session: SessionId): Answer<Session> {
    return mapped(this.#broker.getSession(session), sessionProto)
  }
}
