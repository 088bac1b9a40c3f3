/** `get`: one PASID or one session, with all that is known of it. */

import { PasidError, type Allocation, type Session } from '../../client/index.js'
import { PASID_LAST } from '../../core/ids.js'
import { bindingText, idOf, labelsText, scopeText, short, when } from '../columns.js'
import { CliFailure, EXIT } from '../exits.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import type { Work } from '../settings.js'

export interface GetOptions {
  readonly device?: string
}

function allocationFacts(allocation: Allocation): Fact[] {
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

function sessionFacts(session: Session): Fact[] {
  return [
    ['session', session.name],
    ['tenant', idOf(session.tenant)],
    ['state', short(session.state, 'SESSION_STATE_')],
    ['PASIDs', `${session.heldPasids} of ${session.maxPasids}`],
    ['devices', session.devices.map(idOf).join(', ')],
    ['bindings', `${session.bindings}, of them lost ${session.lostBindings}`],
    ['opened', when(session.openTime)],
    ['labels', labelsText(session.labels)],
  ]
}

function pasidIn(what: string): number | undefined {
  if (!/^(\d+|0x[0-9a-fA-F]+)$/.test(what)) return undefined
  const value = Number(what)
  if (value >= 1 && value <= PASID_LAST) return value
  throw new CliFailure(`${what} is no PASID: they go from 1 to ${PASID_LAST}`, EXIT.USAGE)
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
  const allocation = await client.getAllocation(pasid, { device }).catch((error: unknown) => {
    if (!(error instanceof PasidError) || error.reason !== 'PASID_NOT_FOUND') throw error
    const scope = device === undefined ? 'HOST scope' : `the DEVICE scope of ${idOf(device)}`
    throw new CliFailure(`nobody holds PASID ${pasid} in ${scope}`, EXIT.NOT_FOUND)
  })
  if (format === 'json') await writeJsonObject(output, allocation)
  else await writeFacts(output, allocationFacts(allocation))
}
