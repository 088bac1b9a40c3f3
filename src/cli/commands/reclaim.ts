/** `reclaim`: how the taking back of what dead processes held stands; `reclaim resume`. */

import type { Command } from 'commander'
import type { Reclaim } from '../../client/index.js'
import type { ActFlags } from '../act.js'
import { stuckText, when } from '../columns.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import type { Does } from '../perform.js'
import { REASON_OPTION, YES_OPTION, type Work } from '../settings.js'
import { confirm, requireConsent } from '../terminal.js'

function breakerText({ breakerOpen, breakerTime, breakerShare, breakerFloor }: Reclaim): string {
  if (breakerOpen) return `OPEN since ${when(breakerTime)}: too many deaths were only inferred`
  return `closed; opens above ${breakerShare} % and ${breakerFloor} inferred deaths in one pass`
}

export function withheldText({ withheldSessions, withheldPasids }: Reclaim): string {
  return numbersText(withheldPasids, withheldSessions)
}

export function unprovenText({ unprovenSessions, unprovenPasids }: Reclaim): string {
  return numbersText(unprovenPasids, unprovenSessions)
}

function numbersText(pasids: number, sessions: number): string {
  return `${pasids} PASIDs of ${sessions} sessions`
}

function sweepText({ sweepTime }: Reclaim): string {
  if (sweepTime === null) return ''
  const ms = Number(sweepTime.seconds) * 1000 + sweepTime.nanos / 1e6
  return ` in ${ms.toFixed(1)} ms`
}

function reclaimFacts(reclaim: Reclaim): Fact[] {
  const { watchedOwners, unwatchedOwners, unknownOwners, stuck, stuckCount } = reclaim
  const sweep = `${reclaim.sweepLooked} owners looked at${sweepText(reclaim)}`
  const shown = stuck.length < stuckCount ? `, the first ${stuck.length} below` : ''
  return [
    ['breaker', breakerText(reclaim)],
    ['held back', withheldText(reclaim)],
    ['unproven', unprovenText(reclaim)],
    ['owners', `${watchedOwners} watched, ${unwatchedOwners} only swept, ${unknownOwners} unknown`],
    ['newest sweep', sweep],
    ['all looked at', reclaim.passTime === null ? 'never yet' : when(reclaim.passTime)],
    ['unfinished sweeps', reclaim.unfinishedSweeps],
    ['stuck', `${stuckCount} sessions${shown}`],
    ...stuck.map((one): Fact => [one.name, one.stuck === null ? 'stuck' : stuckText(one.stuck)]),
  ]
}

async function show({ client, output, format }: Work): Promise<void> {
  const reclaim = await client.getReclaim()
  if (format === 'json') await writeJsonObject(output, reclaim)
  else await writeFacts(output, reclaimFacts(reclaim))
}

async function resume(work: Work, flags: ActFlags): Promise<void> {
  const { client, output, format, terminal } = work
  requireConsent(terminal, flags)
  if (flags.yes !== true) {
    const reclaim = await client.getReclaim()
    if (format === 'table') await writeFacts(output, reclaimFacts(reclaim))
    const unproven = `, and ${unprovenText(reclaim)} that devices may still have`
    const more = reclaim.unprovenSessions > 0 ? unproven : ''
    const risk = 'If their owners live, others get their numbers.'
    const question = `Let ${withheldText(reclaim)} go${more}? ${risk}`
    await confirm(terminal, flags, question)
  }
  const answer = await client.resumeReclaim({ reason: flags.reason })
  if (format === 'json') await writeJsonObject(output, answer)
  else await output.write(`resumed: ${answer.pasids} PASIDs of ${answer.sessions} sessions go\n`)
}

export function addReclaim(root: Command, does: Does): void {
  const reclaim = root
    .command('reclaim')
    .description('how the taking back of what dead processes held stands')
    .action(does(show))
  reclaim
    .command('resume')
    .description('close the circuit breaker: what is held back or unproven goes to rest')
    .option(...REASON_OPTION)
    .option(...YES_OPTION)
    .action(does((work, flags: ActFlags) => resume(work, flags)))
}
