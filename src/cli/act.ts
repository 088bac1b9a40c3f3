/**
 * How something of another's is broken: what breaks is shown first (validate_only), then the person
 * is asked, then it is done. With --yes it is done at once; with --dry-run never.
 */

import type { ActOptions } from '../client/index.js'
import { writeFacts, writeJsonObject, type Fact } from './facts.js'
import type { Work } from './settings.js'
import { confirm, note, type Consent } from './terminal.js'

export interface ActFlags extends Consent {
  readonly reason?: string
}

interface Answer {
  /** False: done, but not recorded yet. */
  readonly durable: boolean
}

export interface Act<Done extends Answer> {
  readonly run: (options: ActOptions) => Promise<Done>
  /** What there was before. */
  readonly facts: (answer: Done) => readonly Fact[]
  /** With all that the answer depends on. */
  readonly question: (answer: Done) => string
  readonly done: string
}

export async function carryOut<Done extends Answer>(
  { output, format, terminal }: Work,
  flags: ActFlags,
  act: Act<Done>,
): Promise<void> {
  const isTable = format === 'table'
  if (flags.dryRun === true || flags.yes !== true) {
    const before = await act.run({ validateOnly: true, reason: flags.reason })
    if (isTable) await writeFacts(output, act.facts(before))
    if (flags.dryRun === true) {
      if (isTable) await output.write('dry run: nothing was changed\n')
      else await writeJsonObject(output, { ...before, validateOnly: true })
      return
    }
    await confirm(terminal, flags, act.question(before))
  }
  const answer = await act.run({ reason: flags.reason })
  if (isTable) {
    if (flags.yes === true) await writeFacts(output, act.facts(answer))
    await output.write(`${act.done}\n`)
  } else await writeJsonObject(output, { ...answer, validateOnly: false })
  if (!answer.durable) {
    note(terminal, 'it is done, but the ledger cannot be written: it is recorded once it can be')
  }
}
