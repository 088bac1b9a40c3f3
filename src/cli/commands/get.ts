/** `get`: one PASID or one session, with all that is known of it. */

import {
  PasidError,
  type Allocation,
  type OperatorClient,
  type Session,
} from '../../client/index.js'
import {
  bindingText,
  idOf,
  labelsText,
  lingerText,
  scopeText,
  short,
  stuckText,
  when,
} from '../columns.js'
import { CliFailure, EXIT } from '../exits.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import { pasidIn } from '../pasid.js'
import { ownerCommand, processText } from '../process.js'
import type { Work } from '../settings.js'

export interface GetOptions {
  readonly device?: string
}

export function allocationFacts(allocation: Allocation): Fact[] {
  return [
    ['PASID', `${allocation.pasid} (0x${allocation.pasid.toString(16)})`],
    ['scope', scopeText(allocation)],
    ['state', short(allocation.state, 'ALLOCATION_STATE_')],
    ['session', allocation.session === '' ? '-' : allocation.session],
    ['tenant', idOf(allocation.tenant)],
    ['generation', allocation.generation],
    ['granted', when(allocation.grantTime)],
    ['labels', labelsText(allocation.labels)],
    ...allocation.bindings.map((binding): Fact => ['binding', bindingText(binding)]),
  ]
}

/** Whose it is and how it ends, so far as there is something to tell. */
export function ownerFacts(session: Session): Fact[] {
  const { owner, delegateUid, cause, withheld, unproven, stuck } = session
  const facts: Fact[] = [
    ['owner', owner === null ? 'not known' : processText(owner, ownerCommand(session))],
  ]
  if (delegateUid !== undefined) facts.push(['delegate', `uid ${delegateUid}`])
  if (lingerText(session) !== '-') facts.push(['linger', lingerText(session)])
  if (cause !== 'END_CAUSE_UNSPECIFIED') facts.push(['cause', short(cause, 'END_CAUSE_')])
  if (withheld) facts.push(['withheld', 'its numbers are held back: pasidctl reclaim'])
  if (unproven) facts.push(['unproven', 'a device may still have its numbers: pasidctl reclaim'])
  if (stuck !== null) facts.push(['stuck', stuckText(stuck)])
  return facts
}

export function sessionFacts(session: Session): Fact[] {
  return [
    ['session', session.name],
    ['tenant', idOf(session.tenant)],
    ['state', short(session.state, 'SESSION_STATE_')],
    ...ownerFacts(session),
    ['PASIDs', `${session.heldPasids} of ${session.maxPasids}`],
    ['devices', session.devices.map(idOf).join(', ')],
    ['bindings', `${session.bindings}, of them lost ${session.lostBindings}`],
    ['opened', when(session.openTime)],
    ['labels', labelsText(session.labels)],
  ]
}

/** @throws CliFailure when nobody holds it */
export async function readAllocation(
  client: OperatorClient,
  pasid: number,
  device: string | undefined,
): Promise<Allocation> {
  try {
    return await client.getAllocation(pasid, { device })
  } catch (error) {
    if (!(error instanceof PasidError) || error.reason !== 'PASID_NOT_FOUND') throw error
    const scope = device === undefined ? 'HOST scope' : `the DEVICE scope of ${idOf(device)}`
    throw new CliFailure(`nobody holds PASID ${pasid} in ${scope}`, EXIT.NOT_FOUND)
  }
}

/** `what`: a number (decimal or 0x…), or `sessions/{id}`. */
export async function get(work: Work, what: string, { device }: GetOptions): Promise<void> {
  const { client, output, format } = work
  const pasid = pasidIn(what)
  if (pasid === undefined && !what.startsWith('sessions/')) {
    const text = `${what} is neither a PASID (a number) nor a session (sessions/ID)`
    throw new CliFailure(text, EXIT.USAGE)
  }
  if (pasid === undefined) {
    const session = await client.getSession(what)
    if (format === 'json') await writeJsonObject(output, session)
    else await writeFacts(output, sessionFacts(session))
    return
  }
  const allocation = await readAllocation(client, pasid, device)
  if (format === 'json') await writeJsonObject(output, allocation)
  else await writeFacts(output, allocationFacts(allocation))
}
