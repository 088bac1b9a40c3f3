/**
 * What the methods of EmulatorLab have in common: who may, that there is a lab, what is recorded.
 */

import type { Lab } from '../../backend/lab.js'
import { actorOf, type Caller } from '../../broker/caller.js'
import type { SessionId } from '../../core/ids.js'
import { accept, refuse, type Outcome } from '../../core/refusal.js'
import type { ServiceContext } from '../context.js'
import { mayAct, mayRead } from '../operator-role.js'
import { unary, type Handle } from '../unary.js'

export class LabCalls {
  constructor(readonly context: ServiceContext) {}

  /** For whoever has a role. */
  read<Request, Response>(method: string, handle: Handle<Request, Response>) {
    return this.#call(method, mayRead, handle)
  }

  /** For operators. */
  act<Request, Response>(method: string, handle: Handle<Request, Response>) {
    return this.#call(method, (caller) => mayAct(caller, method), handle)
  }

  #call<Request, Response>(
    method: string,
    may: (caller: Caller) => Outcome<Caller>,
    handle: Handle<Request, Response>,
  ) {
    const { broker } = this.context
    return unary<Request, Response>(this.context, `EmulatorLab/${method}`, (message, call) => {
      const allowed = may(call.caller)
      if (!allowed.ok) return allowed
      const available = broker.lab('', () => undefined)
      return available.ok ? handle(message, call) : available
    })
  }

  /** `device` empty: none in particular. What `use` refuses is refused. */
  on<T>(device: string, use: (lab: Lab) => Outcome<T>): Outcome<T> {
    const used = this.context.broker.lab(device, use)
    return used.ok ? used.value : used
  }

  /** By its id, without `sessions/`. */
  session(name: string): Outcome<SessionId> {
    const id = this.context.broker.sessionId(name)
    if (id !== undefined) return accept(id)
    return refuse({ code: 'SESSION_NOT_FOUND', session: name })
  }

  audit(caller: Caller, subject: string, details: string): void {
    this.context.broker.auditLab({ actor: actorOf(caller), subject, details })
  }
}
