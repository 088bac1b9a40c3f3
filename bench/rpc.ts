/**
 * The RPC bench: pasidd against an echo that does nothing, over the same kind of socket with the
 * same messages. Servers and clients are processes of their own. Every comparison is made of pairs
 * that take turns, in changing order, so that a slow second of the machine meets both; the figure
 * is the median of the pairs' ratios with its spread. Nothing is asserted. Called by main.ts.
 */

import {
  markdownTable,
  microseconds,
  rateText,
  ratioText,
  spreadOf,
  verdictOf,
  type Bar,
  type Row,
  type Spread,
} from './rpc-figures.js'
import { ClientProcess, startHosts, type Hosts } from './rpc-hosts.js'
import type { Call, Latency, Route, TargetName, Task } from './rpc-task.js'

export interface RpcOptions {
  /** A few calls of everything, to see that it runs. */
  readonly smoke: boolean
  readonly root: string
  readonly profileTo: string | undefined
  readonly say: (line: string) => void
}

type RateTask = Extract<Task, { kind: 'rate' }>

interface Sizes {
  readonly pairs: number
  readonly unaryCalls: number
  readonly streamCalls: number
  readonly aloneCalls: number
  readonly hotCalls: number
  readonly commits: number
  readonly pacedPerSecond: number
}

const FULL: Sizes = {
  pairs: 11,
  unaryCalls: 4000,
  streamCalls: 16_000,
  aloneCalls: 300,
  hotCalls: 2000,
  commits: 200,
  pacedPerSecond: 300,
}
const SMOKE: Sizes = {
  pairs: 1,
  unaryCalls: 200,
  streamCalls: 400,
  aloneCalls: 20,
  hotCalls: 50,
  commits: 10,
  pacedPerSecond: 100,
}
const IN_FLIGHT = 64
/** Pairs that are run and not counted: the compilers of both servers have seen everything then. */
const PAIRS_WARMUP = 2
/** Batches of the hot path in each round that is measured beside a paced load. */
const PACED_ROUND_FACTOR = 3

class Bench {
  readonly #rows: Row[] = []

  constructor(
    private readonly client: ClientProcess,
    private readonly other: ClientProcess,
    private readonly hosts: Hosts,
    private readonly sizes: Sizes,
    private readonly options: RpcOptions,
  ) {}

  async run(): Promise<string> {
    const { unaryCalls, streamCalls } = this.sizes
    const unary = { call: 'allocate', route: 'unary', calls: unaryCalls, keyed: false } as const
    const allocations = `durable allocations, ${IN_FLIGHT} in flight`
    await this.#rates(`${allocations}, unary`, unary, { kind: 'at least', value: 0.8 })
    await this.#rates(`${allocations}, unary, request ids`, { ...unary, keyed: true }, undefined)
    const stream = { ...unary, route: 'control', calls: streamCalls } as const
    await this.#rates(`${allocations}, Control`, stream, { kind: 'at least', value: 0.4 })
    await this.#rates(`${allocations}, Control, request ids`, { ...stream, keyed: true }, undefined)
    const invalidations = { ...stream, call: 'invalidate' } as const
    await this.#rates(`invalidations, ${IN_FLIGHT} in flight, Control`, invalidations, undefined)
    await this.#alone('unary')
    await this.#alone('control')
    await this.#hot('invalidate')
    await this.#hot('bind')
    const paced = await this.#besideTheDisk()
    const method =
      `Medians of ${this.sizes.pairs} pairs of rounds that take turns; the ratio is that of each ` +
      'pair. Servers and client are processes of their own. Beside a rate stands the processor ' +
      'time that the server used for each call, all its threads together (pasidd has one for the ' +
      'ledger). One sync is the p50 of a one-row commit of SQLite, WAL and synchronous=FULL.'
    const head = ['what', 'echo', 'pasidd', 'ratio (least to most)', 'bar', '']
    const cells = this.#rows.map((row) => {
      return [row.what, row.echo, row.pasidd, row.ratio, row.bar, row.verdict]
    })
    return [method, markdownTable(head, cells), paced].join('\n\n')
  }

  /** Runs `round` of both in turn, the first one changing; what is counted comes back. */
  async #pairs<Result>(
    round: (target: TargetName) => Promise<Result>,
  ): Promise<Record<TargetName, Result>[]> {
    const counted: Record<TargetName, Result>[] = []
    const warmup = this.options.smoke ? 0 : PAIRS_WARMUP
    for (let i = 0; i < warmup + this.sizes.pairs; i += 1) {
      let pair: Record<TargetName, Result>
      if (i % 2 === 0) pair = { echo: await round('echo'), pasidd: await round('pasidd') }
      else {
        const pasidd = await round('pasidd')
        pair = { echo: await round('echo'), pasidd }
      }
      if (i >= warmup) counted.push(pair)
    }
    return counted
  }

  /** A few calls say nothing about a bar. */
  #verdict(ratios: Spread, bar: Bar): Pick<Row, 'bar' | 'verdict'> {
    return verdictOf(ratios, this.options.smoke ? undefined : bar)
  }

  #add(row: Row): void {
    this.#rows.push(row)
    const { what, echo, pasidd, ratio, bar, verdict } = row
    this.options.say(`${what}: echo ${echo}, pasidd ${pasidd}, ratio ${ratio} ${bar} ${verdict}`)
  }

  async #rates(
    name: string,
    load: Omit<RateTask, 'kind' | 'target' | 'inFlight'>,
    bar: Bar,
  ): Promise<void> {
    const pairs = await this.#pairs(async (target) => {
      const before = this.hosts.cpuMs(target)
      const rate = { kind: 'rate', target, inFlight: IN_FLIGHT, ...load } as const
      const { perSecond } = await this.client.run(rate)
      const cpuUs = ((this.hosts.cpuMs(target) - before) / load.calls) * 1000
      await this.client.run({ kind: 'free', target })
      return { perSecond, cpuUs }
    })
    const cpu = (of: TargetName) => microseconds(spreadOf(pairs.map((pair) => pair[of].cpuUs)))
    const ratios = spreadOf(pairs.map((pair) => pair.pasidd.perSecond / pair.echo.perSecond))
    this.#add({
      what: name,
      echo: `${rateText(spreadOf(pairs.map(({ echo }) => echo.perSecond)))}, ${cpu('echo')}`,
      pasidd: `${rateText(spreadOf(pairs.map(({ pasidd }) => pasidd.perSecond)))}, ${cpu('pasidd')}`,
      ratio: ratioText(ratios),
      ...this.#verdict(ratios, bar),
    })
  }

  /** One allocation alone, against one commit of the same disk and two echoes. */
  async #alone(route: Route): Promise<void> {
    const { aloneCalls, commits } = this.sizes
    const syncs: number[] = []
    const pairs = await this.#pairs(async (target) => {
      const alone = { kind: 'alone', target, route, call: 'allocate', calls: aloneCalls } as const
      const { allocate } = await this.client.run(alone)
      await this.client.run({ kind: 'free', target })
      const { directory } = this.hosts
      const sync = await this.client.run({ kind: 'sync', directory, commits })
      syncs.push(sync.p50Us)
      return { p50Us: allocate?.p50Us ?? Number.NaN, syncUs: sync.p50Us }
    })
    const ratios = spreadOf(
      pairs.map(({ echo, pasidd }) => {
        const syncUs = (echo.syncUs + pasidd.syncUs) / 2
        return pasidd.p50Us / (syncUs + 2 * echo.p50Us)
      }),
    )
    this.#add({
      what: `one allocation alone, p50, ${route}; against one sync (${microseconds(spreadOf(syncs))}) + 2 echoes`,
      echo: microseconds(spreadOf(pairs.map(({ echo }) => echo.p50Us))),
      pasidd: microseconds(spreadOf(pairs.map(({ pasidd }) => pasidd.p50Us))),
      ratio: ratioText(ratios),
      ...this.#verdict(ratios, { kind: 'at most', value: 1 }),
    })
  }

  /** One at a time over Control. */
  async #hot(call: Call): Promise<void> {
    const calls = this.sizes.hotCalls
    const pairs = await this.#pairs((target) => {
      return this.client.run({ kind: 'alone', target, route: 'control', call, calls })
    })
    for (const name of Object.keys(pairs[0]?.echo ?? {})) {
      const p50 = (of: Readonly<Record<string, Latency>>) => of[name]?.p50Us ?? Number.NaN
      const ratios = spreadOf(pairs.map(({ echo, pasidd }) => p50(pasidd) / p50(echo)))
      this.#add({
        what: `${name} over Control, p50`,
        echo: microseconds(spreadOf(pairs.map(({ echo }) => p50(echo)))),
        pasidd: microseconds(spreadOf(pairs.map(({ pasidd }) => p50(pasidd)))),
        ratio: ratioText(ratios),
        ...this.#verdict(ratios, { kind: 'at most', value: 2 }),
      })
    }
  }

  /**
   * Invalidations while another process's session makes the disk sync, beside the same with as many
   * calls that do not sync, and with none: what differs between the first two is the disk.
   */
  async #besideTheDisk(): Promise<string> {
    const { hotCalls, pairs, pacedPerSecond: perSecond } = this.sizes
    const calls = hotCalls * PACED_ROUND_FACTOR
    const measure = {
      kind: 'alone',
      target: 'pasidd',
      route: 'control',
      call: 'invalidate',
    } as const
    const rounds: Record<'allocate' | 'read' | 'none', Latency[]> = {
      allocate: [],
      read: [],
      none: [],
    }
    for (let i = 0; i < pairs; i += 1) {
      for (const beside of ['none', 'read', 'allocate'] as const) {
        if (beside !== 'none') {
          const pace: Task = { kind: 'pace', target: 'pasidd', call: beside, perSecond }
          await this.other.run(pace)
        }
        const { invalidate } = await this.client.run({ ...measure, calls })
        await this.other.run({ kind: 'pause' })
        if (invalidate !== undefined) rounds[beside].push(invalidate)
      }
    }
    return this.#besideTable(rounds)
  }

  #besideTable(rounds: Record<'allocate' | 'read' | 'none', readonly Latency[]>): string {
    const { pacedPerSecond } = this.sizes
    const names = {
      none: 'nothing else',
      read: `${pacedPerSecond}/s reads (GetSession) of another session: no sync`,
      allocate: `${pacedPerSecond}/s durable allocations of another session: the disk syncs`,
    }
    const rows = (['none', 'read', 'allocate'] as const).map((beside) => {
      const p50 = spreadOf(rounds[beside].map(({ p50Us }) => p50Us))
      const p99 = spreadOf(rounds[beside].map(({ p99Us }) => p99Us))
      const against = spreadOf(
        rounds[beside].map(({ p99Us }, i) => p99Us / (rounds.read[i]?.p99Us ?? Number.NaN)),
      )
      return [names[beside], microseconds(p50), microseconds(p99), ratioText(against)]
    })
    for (const row of rows) this.options.say(`invalidate beside ${row.join(', ')}`)
    const head = ['invalidate over Control beside', 'p50', 'p99', 'p99 against the reads']
    return markdownTable(head, rows)
  }
}

export async function benchRpc(options: RpcOptions): Promise<string> {
  const hosts = await startHosts(options.root, { profileTo: options.profileTo })
  const client = new ClientProcess()
  const other = new ClientProcess()
  try {
    await client.open(hosts)
    await other.open(hosts)
    const sizes = options.smoke ? SMOKE : FULL
    return await new Bench(client, other, hosts, sizes, options).run()
  } finally {
    await Promise.all([client.end(), other.end()])
    await hosts.stop()
  }
}
