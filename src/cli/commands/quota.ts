/**
 * `quota`: what tenants may have, have, and are kept; `quota set` and `quota revert` change it.
 * Holds: a change is made on the limits that were read (etag), never on others' newer ones.
 */

import type { Command } from 'commander'
import { PasidError, rowsOf, type Tenant } from '../../client/index.js'
import { idOf } from '../columns.js'
import { CliFailure, EXIT } from '../exits.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import { changesBetween, LIMITS_HELP, limitsIn } from '../limits.js'
import type { Does } from '../perform.js'
import { writeRows, type Column } from '../rows.js'
import { DRY_RUN_OPTION, REASON_OPTION, type Work } from '../settings.js'

interface ChangeOptions {
  readonly reason?: string
  readonly dryRun?: boolean
}

type Tenants = ReadonlyMap<string, Tenant>

const INHERITED = ' (inherited)'

function windowText({ window, ownWindow }: Tenant): string {
  const text = window === null ? 'none' : `${window.first}-${window.last}`
  return ownWindow === null ? `${text}${INHERITED}` : text
}

function perSessionText({ sessionMaxPasids, ownSessionMaxPasids }: Tenant): string {
  return ownSessionMaxPasids === undefined
    ? `${sessionMaxPasids}${INHERITED}`
    : String(sessionMaxPasids)
}

function originText({ configured, overridden }: Tenant): string {
  if (!configured) return 'not configured'
  return overridden ? 'changed' : 'configured'
}

const own = (limit: number | undefined) => (limit === undefined ? '-' : String(limit))

const QUOTA_COLUMNS: readonly Column<Tenant>[] = [
  { title: 'TENANT', text: (row) => idOf(row.name) },
  { title: 'PARENT', text: (row) => (row.parent === '' ? '-' : idOf(row.parent)) },
  { title: 'USED', text: (row) => String(row.usedPasids), right: true },
  { title: 'MAX', text: (row) => own(row.maxPasids), right: true },
  { title: 'GUARANTEED', text: (row) => own(row.guaranteedPasids), right: true },
  { title: 'SET ASIDE', text: (row) => String(row.setAsidePasids), right: true },
  { title: 'SESSIONS', text: (row) => String(row.sessions), right: true },
  { title: 'MAX', text: (row) => own(row.maxSessions), right: true },
  { title: 'PER SESSION', text: perSessionText },
  { title: 'WINDOW', text: windowText },
  { title: 'LIMITS', text: originText },
]

/** The least limit of all above: what holds for a tenant beside its own. */
function aboveText(tenants: Tenants, tenant: Tenant, limit: 'maxPasids' | 'maxSessions'): string {
  let least: Tenant | undefined
  let at = tenants.get(tenant.parent)
  while (at !== undefined) {
    if ((at[limit] ?? Infinity) < (least?.[limit] ?? Infinity)) least = at
    at = tenants.get(at.parent)
  }
  return least === undefined ? '' : `, ${own(least[limit])} by ${idOf(least.name)}`
}

function limitText(tenants: Tenants, tenant: Tenant, limit: 'maxPasids' | 'maxSessions'): string {
  const text = tenant[limit] === undefined ? 'no limit of its own' : `at most ${tenant[limit]}`
  return text + aboveText(tenants, tenant, limit)
}

function quotaFacts(tenants: Tenants, tenant: Tenant): Fact[] {
  const { usedPasids, sessions, guaranteedPasids, setAsidePasids, parent } = tenant
  return [
    ['tenant', idOf(tenant.name)],
    ['parent', parent === '' ? '-' : idOf(parent)],
    ['PASIDs', `${usedPasids}, ${limitText(tenants, tenant, 'maxPasids')}`],
    ['guaranteed', `${own(guaranteedPasids)}, set aside now ${setAsidePasids}`],
    ['sessions', `${sessions}, ${limitText(tenants, tenant, 'maxSessions')}`],
    ['per session', perSessionText(tenant)],
    ['window', windowText(tenant)],
    ['limits', originText(tenant)],
    ['etag', tenant.etag],
  ]
}

async function readTenants({ client }: Work): Promise<Tenants> {
  const tenants = new Map<string, Tenant>()
  for await (const tenant of rowsOf(client.tenants())) tenants.set(tenant.name, tenant)
  return tenants
}

/** @throws CliFailure when there is no such tenant */
function tenantIn(tenants: Tenants, name: string): Tenant {
  const full = name.startsWith('tenants/') ? name : `tenants/${name}`
  const tenant = tenants.get(full)
  if (tenant !== undefined) return tenant
  throw new CliFailure(`there is no ${full}; pasidctl tenants lists them`, EXIT.NOT_FOUND)
}

async function show(work: Work, name: string | undefined): Promise<void> {
  const { client, output, format } = work
  if (name === undefined) {
    const all = { format, limit: Number.POSITIVE_INFINITY }
    return writeRows(output, client.tenants(), QUOTA_COLUMNS, all)
  }
  const tenants = await readTenants(work)
  const tenant = tenantIn(tenants, name)
  if (format === 'json') return writeJsonObject(output, tenant)
  return writeFacts(output, quotaFacts(tenants, tenant))
}

/** What the change means for what there is already. */
function overText(after: Tenant): string {
  const over = [
    after.usedPasids > (after.maxPasids ?? Infinity) ? `${after.usedPasids} PASIDs` : '',
    after.sessions > (after.maxSessions ?? Infinity) ? `${after.sessions} sessions` : '',
  ].filter((text) => text !== '')
  if (over.length === 0) return ''
  return `over the limit with ${over.join(' and ')}: nothing is taken away, nothing more given\n`
}

async function change(
  work: Work,
  name: string,
  { reason, dryRun = false }: ChangeOptions,
  pairs: readonly string[] | undefined,
): Promise<void> {
  const { client, output, format } = work
  const limits = pairs === undefined ? undefined : limitsIn(pairs)
  const before = tenantIn(await readTenants(work), name)
  const how = { etag: before.etag, reason, validateOnly: dryRun }
  const asked =
    limits === undefined
      ? client.revertTenant(before.name, how)
      : client.updateTenant(before.name, limits, how)
  const after = await asked.catch((error: unknown) => {
    if (!(error instanceof PasidError) || error.reason !== 'ETAG_STALE') throw error
    const text = `the limits of ${before.name} were changed by another meanwhile`
    throw new CliFailure(
      `${text}: look (pasidctl quota ${idOf(name)}), decide again`,
      EXIT.CONFLICT,
    )
  })
  if (format === 'json') return writeJsonObject(output, after)
  const changes = changesBetween(before, after)
  if (changes.length > 0) await writeFacts(output, changes)
  const done = changes.length === 0 ? 'no limit is another' : `changed: tenant ${idOf(before.name)}`
  await output.write(`${overText(after)}${dryRun ? 'dry run: nothing was changed' : done}\n`)
}

export function addQuota(root: Command, does: Does): void {
  const quota = root
    .command('quota [tenant]')
    .description('limits of tenants, their use, guarantees, and what is inherited')
    .action(does((work, name: string | undefined) => show(work, name)))
  quota
    .command('set <tenant> <limits...>')
    .description('change limits while the daemon runs')
    .option(...REASON_OPTION)
    .option(...DRY_RUN_OPTION)
    .addHelpText('after', LIMITS_HELP)
    .action(
      does((work, name: string, pairs: readonly string[], options: ChangeOptions) => {
        return change(work, name, options, pairs)
      }),
    )
  quota
    .command('revert <tenant>')
    .description('put the limits of the configuration in force again')
    .option(...REASON_OPTION)
    .option(...DRY_RUN_OPTION)
    .action(
      does((work, name: string, options: ChangeOptions) => change(work, name, options, undefined)),
    )
}
