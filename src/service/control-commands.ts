/** The commands of a Control stream: which message field is which verb of VmmCommands. */

import type { Caller } from '../broker/caller.js'
import type { Outcome } from '../core/refusal.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import type { ProvenSession } from './caller.js'
import type { AnswerKey } from './control-facts.js'
import type { VmmCommands } from './vmm-commands.js'

export type Answer<Key extends AnswerKey> = NonNullable<VmmResponse<'Control'>[Key]>
export type Answering<Key extends AnswerKey> = Outcome<Answer<Key>> | Promise<Outcome<Answer<Key>>>

/** What a command may say of the session beside the stream's own. */
export interface Named {
  readonly session?: string
  readonly name?: string
}

/** Checks, bounds and answers one command; `run` is called at most once, before it returns. */
export type CarryOut = <Key extends AnswerKey, Arguments extends Named>(
  key: Key,
  message: Arguments | null | undefined,
  run: (message: Arguments) => Answering<Key>,
) => void

/** Each verb reaches the broker before this returns. False: the message has no command. */
export function runCommand(
  c: VmmCommands,
  { id: session, name, caller }: ProvenSession & { readonly caller: Caller },
  m: VmmRequest<'Control'>,
  carryOut: CarryOut,
): boolean {
  switch (m.command) {
    case 'allocatePasids':
      carryOut(m.command, m.allocatePasids, (a) => c.allocatePasids(session, a))
      return true
    case 'freePasids':
      carryOut(m.command, m.freePasids, (a) => c.freePasids(session, a))
      return true
    case 'listPasids':
      carryOut(m.command, m.listPasids, (a) => c.listPasids(session, name, a))
      return true
    case 'attachDevice':
      carryOut(m.command, m.attachDevice, (a) => c.attachDevice(session, a, caller))
      return true
    case 'detachDevice':
      carryOut(m.command, m.detachDevice, (a) => c.detachDevice(session, a))
      return true
    case 'bindPasid':
      carryOut(m.command, m.bindPasid, (a) => c.bindPasid(session, a))
      return true
    case 'unbindPasids':
      carryOut(m.command, m.unbindPasids, (a) => c.unbindPasids(session, a))
      return true
    case 'invalidate':
      carryOut(m.command, m.invalidate, (a) => c.invalidate(session, a))
      return true
    case 'invalidateRaw':
      carryOut(m.command, m.invalidateRaw, (a) => c.invalidateRaw(session, a))
      return true
    case 'respondPageRequest':
      carryOut(m.command, m.respondPageRequest, (a) => c.respondPageRequest(session, a))
      return true
    case 'getSession':
      carryOut(m.command, m.getSession, () => c.getSession(session))
      return true
    default:
      return false
  }
}
