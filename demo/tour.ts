/**
 * The demo as one function: a daemon, a guest's recorded queue sent through its socket twice, and
 * whether all agree at the end. Called by main.ts and, with a short queue, by its test.
 */

import { readBootId } from '../src/daemon/ports.js'
import { disagreements, expected, listed, observed, recorded, type View } from './agreement.js'
import type { Descriptor } from './descriptors.js'
import { Guest } from './guest.js'
import { DEVICE, startHost, type Host } from './host.js'
import { domainsOf } from './plan.js'
import { replay, type ReplayOptions } from './replay.js'
import { allocationsTable, countsTable, latencyTable, throughput, type Run } from './report.js'

export interface TourOptions {
  readonly descriptors: readonly Descriptor[]
  /** One line, or a table of several. */
  readonly say: (text: string) => void
  /** Told how a run goes, `done` being descriptors; called with the total at the end. */
  readonly watch: (run: string) => { update(done: number): void; end(): void }
}

export interface TourResult {
  readonly runs: readonly Run[]
  /** None: every descriptor was answered and everybody agrees. */
  readonly problems: readonly string[]
}

const IN_FLIGHT = 64
const RUNS = [
  { name: 'serial', mode: 'serial' },
  { name: 'pipelined', mode: 'pipelined' },
] as const satisfies readonly { name: string; mode: ReplayOptions['mode'] }[]

export async function runTour(options: TourOptions): Promise<TourResult> {
  const { say } = options
  const host = await startHost((line) => say(line.trimEnd()))
  try {
    say(`pasidd serves on ${host.daemon.vmmSocket}, its ledger is beside it.`)
    const guests: Guest[] = []
    const runs: Run[] = []
    for (const { name, mode } of RUNS) {
      const { guest, run } = await runOnce(host, options, { name, mode })
      guests.push(guest)
      runs.push(run)
    }
    reportRuns(options, runs)
    const problems = runs.flatMap((run) => runProblems(run, options.descriptors.length))
    problems.push(...(await compareViews(host, guests, say)))
    return { runs, problems }
  } finally {
    await host.stop()
    host.remove()
  }
}

async function runOnce(
  host: Host,
  { descriptors, watch }: TourOptions,
  { name, mode }: { name: string; mode: ReplayOptions['mode'] },
): Promise<{ guest: Guest; run: Run }> {
  const guest = await Guest.open({
    client: host.vmm,
    name: mode,
    device: `devices/${DEVICE}`,
    domains: domainsOf(descriptors),
    inFlight: IN_FLIGHT,
  })
  const progress = watch(name)
  const onProgress = (done: number) => progress.update(done)
  const tally = await replay(descriptors, { link: guest, mode, inFlight: IN_FLIGHT, onProgress })
  progress.end()
  await guest.close()
  return { guest, run: { name, tally } }
}

function reportRuns({ descriptors, say }: TourOptions, runs: readonly Run[]): void {
  say('\nWhat became of the descriptors')
  say(countsTable(descriptors, runs))
  say('\nHow long the calls took (client and daemon share one event loop here)')
  say(latencyTable(runs))
  for (const run of runs) say(throughput(run))
  say(
    'A wait is done when every descriptor before it is answered. Serial: nothing after it is sent\n' +
      'before that, as with a guest CPU that spins on it. Pipelined: what follows is sent already, up\n' +
      `to ${IN_FLIGHT} calls at once; the broker keeps the order per device, and the wait takes until its\n` +
      'condition holds.',
  )
}

function runProblems({ name, tally }: Run, total: number): string[] {
  const problems: string[] = []
  const answered = tally.ended - tally.total('refused')
  if (answered !== total) problems.push(`${name}: ${answered} of ${total} descriptors answered`)
  problems.push(...tally.refusals.map((refusal) => `${name}: refused: ${refusal}`))
  return problems
}

async function compareViews(
  host: Host,
  guests: readonly Guest[],
  say: TourOptions['say'],
): Promise<string[]> {
  const { view: list, allocations } = await listed(host.operator)
  say("\nThe operator's view (as `pasidctl list`)")
  say(allocationsTable(allocations))
  const check = await host.operator.check()
  say(
    `Check: ${check.consistent ? 'consistent' : 'INCONSISTENT'} at revision ${check.revision}: ` +
      `${check.allocations} allocations, ${check.sessions} sessions, ${check.bindings} bindings`,
  )
  const problems = check.problems.map(({ against, description }) => `${against}: ${description}`)
  if (!check.consistent && problems.length === 0) problems.push('Check: inconsistent')
  const emulator = observed(await host.daemon.backend.observe())
  await host.stop()
  const ledger = await recorded(host.daemon.config.stateDir, readBootId())
  const asked = expected(
    DEVICE,
    guests.flatMap(({ tables }) => [...tables]),
  )
  problems.push(...disagreements(asked, [list, emulator, ledger]))
  say(agreementLine([asked, list, emulator, ledger]))
  return problems
}

function agreementLine(views: readonly View[]): string {
  const counts = views.map(({ who, bindings }) => `${who} ${bindings.length}`)
  return `Bindings, each compared with what the guests were told: ${counts.join(', ')}`
}
