/** Who may do what on the admin socket: observers read, operators act too. */

import type { Caller } from '../broker/caller.js'
import { accept, refuse, type Outcome } from '../core/refusal.js'
import { endedRefusal, notAllowed } from './caller.js'
import { callerOf } from './peer.js'

/** A caller who may read: whoever has a role here. */
export function readerOf(call: Parameters<typeof callerOf>[0]): Outcome<Caller> {
  const identity = callerOf(call)
  return identity.ok ? mayRead(identity.value) : identity
}

export function mayRead(caller: Caller): Outcome<Caller> {
  if (caller.role !== undefined) return accept(caller)
  const remedy = 'have a rule of the configuration give it a role'
  return notAllowed(caller, 'call Operator or EmulatorLab', remedy)
}

/** A caller who may change what is not theirs, and who still is who connected. */
export function mayAct(caller: Caller, method: string): Outcome<Caller> {
  const reader = mayRead(caller)
  if (!reader.ok) return reader
  if (caller.role !== 'operator') {
    return notAllowed(caller, `call ${method}`, 'call as an operator: observers only read')
  }
  const ended = endedRefusal(caller)
  return ended === undefined ? accept(caller) : refuse(ended)
}
