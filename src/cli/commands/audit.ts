/** `audit`: what was done to what others have, by whom, why, and how it went; newest first. */

import type { Command } from 'commander'
import type { AuditEvent } from '../../client/index.js'
import { when } from '../columns.js'
import type { Does } from '../perform.js'
import { processText } from '../process.js'
import type { Column } from '../rows.js'
import { addPaging, type ListOptions, type Work } from '../settings.js'
import { pageOf, writeList } from './lists.js'

export function actorText({ actor }: Pick<AuditEvent, 'actor'>): string {
  return actor === null ? 'daemon' : processText(actor)
}

const orDash = (text: string) => (text === '' ? '-' : text)

const AUDIT_COLUMNS: readonly Column<AuditEvent>[] = [
  { title: 'TIME', text: (row) => when(row.time), width: 20 },
  { title: 'ACTION', text: (row) => row.action, width: 17 },
  { title: 'SUBJECT', text: (row) => orDash(row.subject), width: 25 },
  { title: 'BY', text: actorText, width: 24 },
  { title: 'OUTCOME', text: (row) => row.outcome },
  { title: 'CAUSE', text: (row) => orDash(row.cause) },
  { title: 'DETAILS', text: (row) => orDash(row.details) },
  { title: 'REVISION', text: (row) => row.revision, right: true },
]

function audit(work: Work, options: ListOptions): Promise<void> {
  return writeList(work, work.client.auditEvents(pageOf(options)), AUDIT_COLUMNS, options)
}

export function addAudit(root: Command, does: Does): void {
  const command = root.command('audit').description('who did what to whom, newest first')
  addPaging(command)
    .option('--filter <expression>', `for example 'action = RECLAIM', 'uid = 1000'`)
    .action(does(audit))
}
