/** `end`: ends a session whatever its owner does. */

import type { Command } from 'commander'
import type { Session } from '../../client/index.js'
import { carryOut, type ActFlags } from '../act.js'
import { CliFailure, EXIT } from '../exits.js'
import type { Does } from '../perform.js'
import * as settings from '../settings.js'
import { requireConsent } from '../terminal.js'
import { sessionFacts } from './get.js'

function questionText({ name, heldPasids, bindings, devices }: Session): string {
  const breaks = `${heldPasids} PASIDs, ${bindings} bindings, ${devices.length} devices`
  return `End ${name}? It loses ${breaks}.`
}

async function end(work: settings.Work, name: string, flags: ActFlags): Promise<void> {
  requireConsent(work.terminal, flags)
  await carryOut(work, flags, {
    async run(act) {
      const answer = await work.client.endSession(name, act)
      const { session } = answer
      if (session !== null) return { ...answer, session }
      throw new CliFailure('the daemon did not say what it ended', EXIT.BUG)
    },
    facts: ({ session }) => sessionFacts(session),
    question: ({ session }) => questionText(session),
    done: 'ended: everything of it is unbound, given back and detached',
  })
}

export function addEnd(root: Command, does: Does): void {
  root
    .command('end <session>')
    .description('end a session (its id, or sessions/ID): everything is unbound and given back')
    .option(...settings.REASON_OPTION)
    .option(...settings.YES_OPTION)
    .option(...settings.DRY_RUN_OPTION)
    .action(does((work, name: string, flags: ActFlags) => end(work, name, flags)))
}
