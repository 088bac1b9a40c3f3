/** `status`, `map`, `check`: how the daemon and its namespace are. */

import { rowsOf, type Namespace, type Reclaim, type ServingStatus } from '../../client/index.js'
import { short, when } from '../columns.js'
import { EXIT, type ExitCode } from '../exits.js'
import { writeFacts, writeJsonObject, type Fact } from '../facts.js'
import { writeMap } from '../map.js'
import { printable } from '../rows.js'
import type { Work } from '../settings.js'
import { unprovenText, withheldText } from './reclaim.js'

interface Status {
  readonly health: ServingStatus
  readonly namespace: Namespace
  readonly sessions: number
  readonly devices: number
  readonly absent: readonly string[]
  readonly reclaim: Reclaim
}

async function readStatus({ client }: Work): Promise<Status> {
  const [health, namespace, reclaim] = await Promise.all([
    client.health(),
    client.getNamespace(),
    client.getReclaim(),
  ])
  let sessions = 0
  for await (const tenant of rowsOf(client.tenants())) {
    // Those below are counted in those above.
    if (tenant.parent === '') sessions += tenant.sessions
  }
  let devices = 0
  const absent: string[] = []
  for await (const device of rowsOf(client.devices())) {
    devices += 1
    if (!device.present) absent.push(device.name)
  }
  return { health, namespace, sessions, devices, absent, reclaim }
}

/** Only what an operator has to do something about. */
function reclaimFacts(reclaim: Reclaim): Fact[] {
  const { breakerOpen, stuckCount, backendState, backendProblem } = reclaim
  const facts: Fact[] = []
  // A daemon of an earlier release does not say.
  if (backendState !== 'BACKEND_STATE_READY' && backendState !== 'BACKEND_STATE_UNSPECIFIED') {
    facts.push([
      'backend',
      `${short(backendState, 'BACKEND_STATE_')}: ${printable(backendProblem)}`,
    ])
  }
  if (breakerOpen) {
    const what = `OPEN since ${when(reclaim.breakerTime)}, held back: ${withheldText(reclaim)}`
    facts.push(['reclaim breaker', `${what}; see pasidctl reclaim`])
  }
  if (reclaim.unprovenSessions > 0) {
    facts.push(['unproven', `${unprovenText(reclaim)}; see pasidctl reclaim`])
  }
  if (stuckCount > 0) facts.push(['stuck', `${stuckCount} sessions; see pasidctl reclaim`])
  return facts
}

function statusFacts(status: Status): Fact[] {
  const { health, namespace, sessions, devices, absent, reclaim } = status
  const { capacity, reserved, free, held, freePending, quarantined } = namespace
  const missing = absent.length === 0 ? '' : `, absent: ${absent.join(', ')}`
  return [
    ['daemon', health],
    ['revision', namespace.revision],
    ['sessions', sessions],
    ['devices', `${devices}${missing}`],
    ['numbers', `${capacity} in HOST scope, ${free} free, ${reserved} reserved`],
    ['held', held],
    ['on their way back', freePending],
    ['resting', quarantined],
    ['largest free block', namespace.largestFreeBlock],
    ...reclaimFacts(reclaim),
  ]
}

export async function status(work: Work): Promise<ExitCode> {
  const found = await readStatus(work)
  const { occupancy: _occupancy, ...namespace } = found.namespace
  const { stuck: _stuck, ...reclaim } = found.reclaim
  if (work.format === 'json') await writeJsonObject(work.output, { ...found, namespace, reclaim })
  else await writeFacts(work.output, statusFacts(found))
  return found.health === 'SERVING' ? EXIT.OK : EXIT.UNAVAILABLE
}

export interface MapOptions {
  readonly device?: string
}

export async function map(work: Work, { device }: MapOptions): Promise<void> {
  const namespace = await work.client.getNamespace({ device })
  if (work.format === 'json') await writeJsonObject(work.output, namespace)
  else await writeMap(work.output, namespace)
}

export async function check({ client, output, format, timeoutMs }: Work): Promise<ExitCode> {
  const report = await client.check(timeoutMs)
  if (format === 'json') await writeJsonObject(output, report)
  else {
    const { consistent, problems, problemCount } = report
    const word = consistent
      ? output.colors.green('consistent')
      : output.colors.red('NOT consistent')
    const counts = `${report.allocations} allocations, ${report.sessions} sessions`
    const what = `${counts}, ${report.bindings} bindings at revision ${report.revision}`
    const shown = problems.map(({ against, description }) => {
      return `  ${against}: ${printable(description)}\n`
    })
    const rest =
      problemCount > problems.length ? `  and ${problemCount - problems.length} more\n` : ''
    await output.write(`${word}: ${what}\n${shown.join('')}${rest}`)
  }
  return report.consistent ? EXIT.OK : EXIT.FAILED
}
