/**
 * `release`: takes one number back from whoever holds it. Holds: the number is taken from the grant
 * that was looked at, never from one that came after.
 */

import type { Command } from 'commander'
import { PasidError, type Allocation } from '../../client/index.js'
import { carryOut, type ActFlags } from '../act.js'
import { scopeText } from '../columns.js'
import { CliFailure, EXIT } from '../exits.js'
import { requirePasid } from '../pasid.js'
import type { Does } from '../perform.js'
import * as settings from '../settings.js'
import { requireConsent } from '../terminal.js'
import { allocationFacts, readAllocation } from './get.js'

interface ReleaseOptions extends ActFlags {
  readonly device?: string
  readonly generation?: string
}

/** `5000 of HOST scope`. */
function numberText(allocation: Allocation): string {
  return `PASID ${allocation.pasid} of ${scopeText(allocation)} scope`
}

function questionText(allocation: Allocation): string {
  const holder = allocation.session === '' ? 'nobody' : allocation.session
  const breaks = `${allocation.bindings.length} bindings break`
  return `Take ${numberText(allocation)} from ${holder}? ${breaks}.`
}

async function release(work: settings.Work, what: string, options: ReleaseOptions): Promise<void> {
  const { client, terminal } = work
  const pasid = requirePasid(what)
  requireConsent(terminal, options)
  const { device } = options
  const generation = options.generation ?? (await readAllocation(client, pasid, device)).generation
  await carryOut(work, options, {
    async run(act) {
      const answer = await client.releaseAllocation({ pasid, generation }, { device, ...act })
      const { allocation } = answer
      if (allocation !== null) return { ...answer, allocation }
      throw new CliFailure('the daemon did not say what it released', EXIT.BUG)
    },
    facts: ({ allocation }) => allocationFacts(allocation),
    question: ({ allocation }) => questionText(allocation),
    done: `released PASID ${pasid} of generation ${generation}`,
  }).catch((error: unknown) => {
    if (!(error instanceof PasidError) || error.reason !== 'GENERATION_STALE') throw error
    const text = `PASID ${pasid} is not of generation ${generation} any more, and was not taken`
    const current = error.metadata['current']
    const now = current === undefined ? '' : `; it is of ${current} now`
    throw new CliFailure(`${text}${now}: look again (pasidctl who ${pasid})`, EXIT.CONFLICT)
  })
}

export function addRelease(root: Command, does: Does): void {
  root
    .command('release <pasid>')
    .description('take a PASID back from its holder; what is bound is unbound first')
    .option(...settings.DEVICE_OPTION)
    .option(
      '--generation <number>',
      'only if it is of this grant (get and who show it); else of the one there is now',
      settings.parseRevision,
    )
    .option(...settings.REASON_OPTION)
    .option(...settings.YES_OPTION)
    .option(...settings.DRY_RUN_OPTION)
    .action(does((work, what: string, options: ReleaseOptions) => release(work, what, options)))
}
