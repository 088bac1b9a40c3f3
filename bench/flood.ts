/**
 * The flood bench: what a tenant's calls take while another tenant floods the daemon, against what
 * they take alone, in interleaved pairs within one run. The limits are those that ship.
 */

import { fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { FloodAsked, FloodSaid } from './flood-task.js'
import { markdownTable, microseconds, ratioText, spreadOf, verdictOf } from './rpc-figures.js'
import { ClientProcess, startHosts, type Hosts } from './rpc-hosts.js'
import type { Latency, Route } from './rpc-task.js'

const BAR = { kind: 'at most', value: 3 } as const
const CONNECTIONS = 32
const IN_FLIGHT = 64
/** The burst that a tenant may make is over by then: what is measured is the flood that stays. */
const SETTLE_MS = 3000

interface Size {
  readonly pairs: number
  readonly calls: number
}

const FULL: Size = { pairs: 9, calls: 1000 }
const SMOKE: Size = { pairs: 1, calls: 50 }

class Flood {
  readonly #child = fork(fileURLToPath(new URL('flood-client.js', import.meta.url)), [])

  begin(socket: string): void {
    this.#send({ kind: 'begin', socket, connections: CONNECTIONS, inFlight: IN_FLIGHT })
  }

  end(): Promise<FloodSaid> {
    const said = new Promise<FloodSaid>((resolve) => this.#child.once('message', resolve))
    this.#send({ kind: 'end' })
    return said
  }

  stop(): void {
    this.#child.disconnect()
  }

  #send(asked: FloodAsked): void {
    this.#child.send(asked)
  }
}

interface Pair {
  readonly alone: Latency
  readonly flooded: Latency
  readonly flood: FloodSaid
}

interface Load {
  readonly route: Route
  readonly call: 'allocate' | 'invalidate'
}

async function onePair(
  hosts: Hosts,
  victim: ClientProcess,
  flood: Flood,
  { load, calls }: { readonly load: Load; readonly calls: number },
): Promise<Pair> {
  const measure = async (): Promise<Latency> => {
    const answer = await victim.run({ kind: 'alone', target: 'pasidd', ...load, calls })
    await victim.run({ kind: 'free', target: 'pasidd' })
    const latency = answer[load.call]
    if (latency === undefined) throw new Error(`no figure of ${load.call}`)
    return latency
  }
  const alone = await measure()
  flood.begin(hosts.otherSocket)
  await sleep(SETTLE_MS)
  const flooded = await measure()
  return { alone, flooded, flood: await flood.end() }
}

const LOADS: readonly Load[] = [
  { route: 'unary', call: 'allocate' },
  { route: 'control', call: 'allocate' },
  { route: 'control', call: 'invalidate' },
]

export async function benchFlood(options: {
  readonly smoke: boolean
  readonly root: string
  readonly say: (line: string) => void
}): Promise<string> {
  const { smoke, root, say } = options
  const { pairs, calls } = smoke ? SMOKE : FULL
  const hosts = await startHosts(root, { shippedLimits: true })
  const victim = new ClientProcess()
  const flood = new Flood()
  const rows: string[][] = []
  try {
    await victim.open(hosts)
    for (const load of LOADS) {
      const found: Pair[] = []
      for (let i = 0; i < pairs; i += 1) {
        found.push(await onePair(hosts, victim, flood, { load, calls }))
      }
      rows.push(rowOf(load, found))
      say((rows.at(-1) ?? []).join(', '))
    }
  } finally {
    flood.stop()
    await victim.end()
    await hosts.stop()
  }
  return [
    `One tenant calls one after the other; another keeps ${CONNECTIONS * IN_FLIGHT} unary calls under ` +
      `way on ${CONNECTIONS} connections, begun again as they end. ${pairs} pairs, each alone and ` +
      'then beside the flood; limits as shipped.',
    markdownTable(
      ['call', 'p99 alone', 'p99 beside the flood', 'p99 ratio', 'p50 ratio', 'bar', '', 'flood'],
      rows,
    ),
  ].join('\n\n')
}

function rowOf({ route, call }: Load, pairs: readonly Pair[]): string[] {
  const ratio = (pick: (latency: Latency) => number) => {
    return spreadOf(pairs.map(({ alone, flooded }) => pick(flooded) / pick(alone)))
  }
  const p99 = ratio(({ p99Us }) => p99Us)
  const { bar, verdict } = verdictOf(p99, BAR)
  const answered = pairs.reduce((sum, { flood }) => sum + flood.answered, 0)
  const refused = pairs.reduce((sum, { flood }) => sum + flood.refused, 0)
  return [
    `${call} (${route})`,
    microseconds(spreadOf(pairs.map(({ alone }) => alone.p99Us))),
    microseconds(spreadOf(pairs.map(({ flooded }) => flooded.p99Us))),
    ratioText(p99),
    ratioText(ratio(({ p50Us }) => p50Us)),
    bar,
    verdict,
    `${answered} carried out, ${refused} refused or cut`,
  ]
}
