/** `who`: who holds a number, and what a process holds. */

import type { Command } from 'commander'
import { PasidError, rowsOf, type Allocation, type Session } from '../../client/index.js'
import { bindingText, idOf, labelsText, scopeText, short, when } from '../columns.js'
import { CliFailure, EXIT } from '../exits.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import { requirePasid } from '../pasid.js'
import type { Does } from '../perform.js'
import { ownerCommand } from '../process.js'
import { writeRows, type Column } from '../rows.js'
import * as settings from '../settings.js'
import { ownerFacts, readAllocation } from './get.js'

interface WhoOptions {
  readonly device?: string
  readonly pid?: number
}

/** What `ownerCommand` adds to the API's session. */
interface Owned {
  readonly session: Session
  /** Null: not to be told. */
  readonly command: string | null
}

const OWNED_COLUMNS: readonly Column<Owned>[] = [
  { title: 'SESSION', text: ({ session }) => idOf(session.name) },
  { title: 'TENANT', text: ({ session }) => idOf(session.tenant) },
  { title: 'STATE', text: ({ session }) => short(session.state, 'SESSION_STATE_') },
  { title: 'PASIDS', text: ({ session }) => String(session.heldPasids), right: true },
  { title: 'BINDINGS', text: ({ session }) => String(session.bindings), right: true },
  { title: 'UID', text: ({ session }) => String(session.owner?.uid ?? '-'), right: true },
  { title: 'COMMAND', text: ({ command }) => command ?? '-' },
  { title: 'OPENED', text: ({ session }) => when(session.openTime) },
  { title: 'LABELS', text: ({ session }) => labelsText(session.labels) },
]

function owned(session: Session): Owned {
  return { session, command: ownerCommand(session) ?? null }
}

/** Null: the number rests, or its session ended since the number was read. */
async function holderOf(work: settings.Work, { session }: Allocation): Promise<Session | null> {
  if (session === '') return null
  try {
    return await work.client.getSession(session)
  } catch (error) {
    if (error instanceof PasidError && error.reason === 'SESSION_NOT_FOUND') return null
    throw error
  }
}

/** What its session gave back is its no more: the number rests, or is on its way to. */
const GIVEN_BACK: readonly string[] = [
  'ALLOCATION_STATE_FREE_PENDING',
  'ALLOCATION_STATE_QUARANTINED',
]

function whoFacts(allocation: Allocation, session: Session | null): Fact[] {
  const { pasid, bindings } = allocation
  const whose = GIVEN_BACK.includes(allocation.state) ? 'given back by' : 'session'
  const holder: Fact[] =
    session === null
      ? [[whose, allocation.session === '' ? 'a session that is gone' : allocation.session]]
      : [
          [whose, `${session.name} ${short(session.state, 'SESSION_STATE_')}`],
          ...ownerFacts(session),
        ]
  return [
    ['PASID', `${pasid} (0x${pasid.toString(16)}) of ${scopeText(allocation)} scope`],
    ['state', short(allocation.state, 'ALLOCATION_STATE_')],
    ['tenant', idOf(allocation.tenant)],
    ...holder,
    ['since', when(allocation.grantTime)],
    ['generation', allocation.generation],
    ['labels', labelsText(allocation.labels)],
    ...bindings.map((binding): Fact => ['binding', bindingText(binding)]),
  ]
}

async function whoHolds(work: settings.Work, pasid: number, device?: string): Promise<void> {
  const { client, output, format } = work
  const allocation = await readAllocation(client, pasid, device)
  const session = await holderOf(work, allocation)
  if (format === 'table') return writeFacts(output, whoFacts(allocation, session))
  const command = session === null ? null : owned(session).command
  return writeJsonObject(output, { allocation, session, command })
}

/** Sessions have no filter by process: all are read, and theirs are kept. */
async function whatOwns({ client, output, format }: settings.Work, pid: number): Promise<void> {
  const found: Owned[] = []
  for await (const session of rowsOf(client.sessions())) {
    if (session.owner?.pid === pid) found.push(owned(session))
  }
  if (found.length === 0) {
    throw new CliFailure(`process ${pid} owns no session`, EXIT.NOT_FOUND)
  }
  const pages = (async function* () {
    yield await Promise.resolve(found)
  })()
  await writeRows(output, pages, OWNED_COLUMNS, { format, limit: Number.POSITIVE_INFINITY })
}

async function who(
  work: settings.Work,
  what: string | undefined,
  { device, pid }: WhoOptions,
): Promise<void> {
  if (pid !== undefined && what === undefined && device === undefined) return whatOwns(work, pid)
  if (pid === undefined && what !== undefined) {
    return whoHolds(work, requirePasid(what), device)
  }
  throw new CliFailure('who takes a PASID, or --pid PID; one of them', EXIT.USAGE)
}

export function addWho(root: Command, does: Does): void {
  root
    .command('who [pasid]')
    .description('who holds a PASID: session, process, delegate, bindings; or what a process holds')
    .option(...settings.DEVICE_OPTION)
    .option('--pid <pid>', 'sessions that this process owns', settings.parsePid)
    .action(does((work, what: string | undefined, options: WhoOptions) => who(work, what, options)))
}
